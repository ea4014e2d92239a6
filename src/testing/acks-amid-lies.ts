/**
 * Acknowledgements where not all are of one chain, nor one of each member: in
 * runs in which a member misbehaves (offences.ts). Part of the invariants.
 */

import type { UserId } from '../core/ids.js';
import type { Ack } from '../core/statements.js';
import type { Branches } from './branches.js';
import type { Break, Chains } from './chains.js';

/** What was acknowledged under one leadership and roster. */
export interface Acknowledged {
  readonly acks: Map<UserId, Ack>;
  /** Up to where it amounts to these. */
  final: number;
  committed: number;
}

/** An acknowledgement that somebody gave. */
export interface GivenAck {
  readonly user: UserId;
  readonly ack: Ack;
}

export const asGiven = ([user, ack]: readonly [UserId, Ack]): GivenAck => ({ user, ack });

/** How far `user` acknowledged the chain that `ack` is of. */
export function reachedAlong(
  chains: Chains,
  branches: Branches,
  ack: Ack,
  user: UserId,
  all: readonly GivenAck[],
): number {
  const tip = chains.get(ack.hash);
  let reached = 0;
  for (const { user: by, ack: other } of all) {
    if (by !== user || other.seq <= reached) continue;
    const upTo = Math.min(other.seq, ack.seq);
    const theirs = chains.get(other.hash);
    const isSame =
      tip && theirs
        ? chains.at(tip, upTo) === chains.at(theirs, upTo)
        : branches.hasAt(other.epoch, other.seq, other.hash) &&
          branches.hasAt(ack.epoch, ack.seq, ack.hash);
    if (isSame) reached = upTo;
  }
  return reached;
}

/** Invariant 3: under one leadership an honest member acknowledges one chain, whatever its leader does. */
export function checkOneChain(
  chains: Chains,
  user: UserId,
  ack: Ack,
  all: readonly GivenAck[],
  onBreak: Break,
): void {
  const tip = chains.get(ack.hash);
  for (const { user: by, ack: other } of all) {
    const theirs = by === user && chains.get(other.hash);
    if (!tip || !theirs || ack.kind === 'online') continue;
    const upTo = Math.min(ack.seq, other.seq);
    if (chains.at(tip, upTo) === chains.at(theirs, upTo)) continue;
    const who = user.slice(0, 8);
    onBreak('3 log matching', `${who} acknowledges two chains in term ${ack.term}`);
  }
}
