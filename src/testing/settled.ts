/**
 * What must be so a bounded time after the last fault: every node a member,
 * one leader, equal logs, and all that was ever stored by a member final, once
 * (docs/PROTOCOL.md, section "Liveness"). And what must never be: a message in
 * the log that nobody posted.
 */

import { isMessageLane } from '../core/log.js';
import type { Application } from './application.js';
import type { Invariants } from './invariants.js';
import type { SimNode } from './sim-node.js';

/** Why the run has not come to rest; undefined once it has. */
export function unsettled(
  nodes: readonly SimNode[],
  app: Application,
  invariants: Invariants,
  minOnline: number,
): string | undefined {
  const canCommit = nodes.length >= minOnline;
  const states = nodes.map((node) => node.state(app.channel));
  const first = states[0];
  if (!first) return 'node 0 has no channel';
  for (const [i, st] of states.entries()) {
    if (!st?.roster.members.has(nodes[i]!.user)) return `node ${i} is not a member`;
    if (st.conflict !== null) return `node ${i} stopped: ${st.conflict}`;
    if (st.roster.hash !== first.roster.hash) {
      return `node ${i} is under roster ${st.roster.number}, node 0 under ${first.roster.number}`;
    }
    if (st.log.final.hash !== first.log.final.hash) {
      return `node ${i} is final up to ${st.log.final.seq}, node 0 up to ${first.log.final.seq}`;
    }
    if (st.log.tail.length > 0) return `node ${i} has ${st.log.tail.length} entries in its tail`;
    if (canCommit && st.outbox.size > 0) return `node ${i} has ${st.outbox.size} in its outbox`;
    // A membership record that another change overtook stays there until it is forgotten.
    const waiting = [...st.pool.values()].filter(({ record }) => isMessageLane(record)).length;
    if (canCommit && waiting > 0) return `node ${i} has ${waiting} messages in its pool`;
    if (app.missingInvite(nodes[i]!)) return `node ${i} lacks an invitation that is done`;
    if (st.branches.size > 0) return `node ${i} has ${st.branches.size} branches`;
    if (st.wishes.length > 0) return `node ${i} has a wish`;
    if (!st.leadership?.live) return `node ${i} has no leader`;
  }
  if (states.filter((st) => st!.leading).length !== 1) return 'there is not one leader';
  const lost = canCommit ? missing(app, invariants) : undefined;
  // All is at rest and nobody holds it any more.
  if (lost) invariants.broke('8 nothing lost', lost);
  return lost;
}

/** A message that was stored or committed and is not final. */
function missing(app: Application, invariants: Invariants): string | undefined {
  const placed = new Set(invariants.final.map(({ entry }) => entry.id));
  const final = new Set(invariants.final.map(({ entry }) => entry.digest));
  for (const digest of invariants.committed) {
    if (!final.has(digest)) return `committed message ${digest.slice(0, 8)} is not final`;
  }
  for (const [id, { node, stored, seen }] of app.submitted) {
    if ((stored || seen !== 'nothing') && !placed.has(id)) {
      return `message ${id} of node ${node} (stored: ${stored}, seen: ${seen}) is not final`;
    }
  }
  return undefined;
}

/** What is in the final log and nobody asked for. */
export function invented(
  nodes: readonly SimNode[],
  app: Application,
  invariants: Invariants,
  minOnline: number,
): string | undefined {
  const seen = new Set<string>();
  for (const { entry } of invariants.final) {
    if (entry.kind !== 'message') continue;
    const submitted = app.submitted.get(entry.id!);
    if (!submitted || nodes[submitted.node]!.user !== entry.author) {
      return `entry ${entry.seq} was never posted by its author`;
    }
    if (seen.has(entry.id!)) return `message ${entry.id} is in the log twice`;
    seen.add(entry.id!);
    if (entry.body.length !== submitted.bytes) return `entry ${entry.seq} has another body`;
    if (nodes.length < minOnline) return `entry ${entry.seq} was placed below minOnline`;
  }
  return undefined;
}
