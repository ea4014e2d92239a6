/**
 * The simulator's own counting of voters and of who must be online, so that a
 * mistake in the core's does not blind the invariants.
 */

import type { FewPolicy } from '../core/genesis.js';
import type { UserId } from '../core/ids.js';
import { MIN_ONLINE_DEFAULT } from '../core/limits.js';
import type { Roster } from '../core/roster.js';

export const votersOf = (roster: Roster): UserId[] =>
  [...roster.members.values()].filter((m) => m.votes).map((m) => m.user);

/** More than half. */
export const isMore = (count: number, of: number): boolean => count > of / 2;

/** How many members must be online in a channel with these. */
export type LeastOnline = (members: Iterable<UserId>) => number;

/** By who joined as an archive, whatever a roster says. */
export function leastOnlineOf(
  { minOnline, few }: { readonly minOnline: number; readonly few: FewPolicy },
  archives: ReadonlySet<UserId>,
): LeastOnline {
  if (few === 'always' || minOnline >= MIN_ONLINE_DEFAULT) return () => minOnline;
  return (members) => {
    for (const user of members) if (archives.has(user)) return minOnline;
    return MIN_ONLINE_DEFAULT;
  };
}

/** The highest position that more than half have reached. */
export function reachedByMore(positions: readonly number[]): number {
  let best = 0;
  for (const position of positions) {
    if (position <= best) continue;
    const there = positions.filter((p) => p >= position).length;
    if (isMore(there, positions.length)) best = position;
  }
  return best;
}
