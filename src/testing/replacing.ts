/**
 * Keys that are replaced in a run (docs/PROTOCOL.md, section "Replaced keys").
 * The new key is on a node of its own, behind the members in the order of
 * nodes: there from the start, and in no channel until it has the old key's
 * place. The old key's node goes on as it was: it is the thief.
 */

import type { SealingPublic, UserId } from '../core/ids.js';
import { type MembershipBody, type Roster, rosterStart } from '../core/roster.js';
import { encodeStatement } from '../core/statements.js';
import { below, between, chance, drawsOf, sample } from './prng.js';
import type { SimCrypto } from './sim-crypto.js';
import type { Change, WorkloadOptions } from './workload.js';

const NOBODYS_SIG = new Uint8Array(64);
/** The share of seeds in which somebody gets a new key. */
const SHARE = 0.1;
const NODES_MIN = 3;

/** From a stream of its own, so that the runs of all other seeds stay as they were. */
export function planReplacements(o: WorkloadOptions): Change[] {
  const draw = drawsOf(o.seed, 'replacements');
  if (!chance(draw, SHARE) || o.nodes < NODES_MIN) return [];
  const all = Array.from({ length: o.nodes }, (_, i) => i);
  const whom = sample(draw, all, chance(draw, 0.7) ? 1 : 2);
  return whom.flatMap((node, i): Change[] => {
    const at = Math.floor(between(draw, o.from, o.until));
    const registers = Math.floor(between(draw, o.from, at));
    const other = (node + 1 + below(draw, o.nodes - 1)) % o.nodes;
    // Only its recovery key has a founder replaced. Its invitation ends with it, so all are in before.
    const byRecovery = chance(draw, 0.5) || node === 0;
    const attempt = Math.floor(between(draw, o.from, o.until));
    const isForged = chance(draw, 0.3);
    if (node === 0 && o.early) return [];
    const what = { what: 'replace', node, as: o.nodes + i } as const;
    return [
      ...(byRecovery ? [{ at: registers, what: 'recovery', node, by: node } as const] : []),
      ...(isForged ? [{ at: attempt, ...what, by: other, word: 'forged' } as const] : []),
      { at, ...what, by: byRecovery ? other : 0, ...(byRecovery && { word: 'recovery' as const }) },
    ];
  });
}

/** How many nodes there are with those of new keys. */
export const nodesWith = (nodes: number, changes: readonly Change[]): number =>
  Math.max(nodes, ...changes.map(({ as = 0 }) => as + 1));

/** A user's recovery key. */
export const recoveryOf = (crypto: SimCrypto, user: UserId): UserId =>
  crypto.userOf(`recovery of ${user}`);

/** Registers a recovery key of a member, as if it were the first that it has. */
export function recoveryBody(roster: Roster, user: UserId, key: UserId): MembershipBody {
  const { channel, number, hash } = roster;
  const request = encodeStatement({
    ...{ tag: 'recovery', channel, roster: number, rosterHash: hash },
    ...{ user, key, by: null },
  });
  return { kind: 'recovery', base: number, request, bySig: NOBODYS_SIG };
}

export interface Replacing {
  readonly old: UserId;
  readonly user: UserId;
  readonly name: string;
  readonly sealing: SealingPublic | null;
  /** The key that decides; null where its author does. */
  readonly by: UserId | null;
}

/** Puts a new key in the place of an old one. */
export function replaceBody(
  crypto: SimCrypto,
  { channel, number }: Pick<Roster, 'channel' | 'number'>,
  { old, user, name, sealing, by }: Replacing,
): MembershipBody {
  const request = encodeStatement({
    ...{ tag: 'replace', channel, roster: 0, rosterHash: rosterStart(crypto.sha256, channel) },
    ...{ old, user, name, sealing, recovery: by, by },
  });
  const userSig = crypto.sign(user, request);
  const bySig = by === null ? NOBODYS_SIG : crypto.sign(by, request);
  return { kind: 'replace', base: number, request, userSig, bySig };
}
