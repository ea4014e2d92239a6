/**
 * The simulator's own counting of voters, so that a mistake in the core's does
 * not blind the invariants.
 */

import type { UserId } from '../core/ids.js';
import type { Roster } from '../core/roster.js';

export const votersOf = (roster: Roster): UserId[] =>
  [...roster.members.values()].filter((m) => m.votes).map((m) => m.user);

/** More than half. */
export const isMore = (count: number, of: number): boolean => count > of / 2;

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
