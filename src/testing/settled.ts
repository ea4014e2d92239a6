/**
 * What must be so a bounded time after the last fault (docs/PROTOCOL.md,
 * section "Liveness"): every node a member, one leader, equal logs, and all
 * that was ever stored by a member final, once. Asked of members that follow
 * the protocol and are not gone for good, and in a network that stays
 * asymmetric of those whom its shape lets have it. And what must never be: a message in the log that nobody
 * posted.
 */

import type { ChannelState } from '../core/channel-state.js';
import type { Digest, UserId } from '../core/ids.js';
import { isMessageLane } from '../core/log.js';
import { heldRecord, isCommitted } from '../core/provisional.js';
import type { ChannelRecord } from '../core/record.js';
import type { EpochKind } from '../core/statements.js';
import type { Application } from './application.js';
import { isMore } from './counting.js';
import type { Invariants } from './invariants.js';
import type { SimNode } from './sim-node.js';
import { connectedTo, isServed, type Reach } from './topology.js';

/** Everyone reaches everyone. */
const WHOLE: Reach = () => true;

/** Why the run has not come to rest; undefined once it has. */
export function unsettled(
  nodes: readonly SimNode[],
  app: Application,
  invariants: Invariants,
  reach: Reach = WHOLE,
): string | undefined {
  // Two histories are final: what becomes of those who hold them is not asked here.
  if (invariants.offences.isForked) return undefined;
  const { members, unaware, minOnline, mayVote } = membersOf(nodes, app);
  if (unaware) return `node ${unaware.index} does not know that it is no member any more`;
  return unsettledMembers(members, app, invariants, { minOnline, mayVote, reach });
}

/**
 * Who is a member by the newest roster, or never was one; how many must be online
 * under it; who of them votes, or will once it is let in; and one that it does
 * not name any more and that does not know.
 */
export function membersOf(nodes: readonly SimNode[], app: Application) {
  const states = nodes.map((node) => node.state(app.channel));
  const newest = Math.max(...states.map((st) => st?.roster.number ?? 0));
  const roster = states.find((st) => st?.roster.number === newest)?.roster;
  const isDeparted = ({ user }: SimNode): boolean => roster?.departed.has(user) ?? false;
  const isIn = ({ user }: SimNode): boolean => roster?.members.has(user) ?? false;
  return {
    members: nodes.filter((node) => !isDeparted(node) && (!app.isForNewKey(node) || isIn(node))),
    minOnline: app.leastOnline(roster?.members.keys() ?? []),
    mayVote: ({ user }: SimNode): boolean => roster?.members.get(user)?.votes ?? true,
    // Where no member is left that holds the log nobody can tell it.
    unaware: nodes.some((node) => isIn(node) && !node.isGone && app.isMember(node))
      ? nodes.find((node) => isDeparted(node) && !node.isGone && app.isMember(node))
      : undefined,
  };
}

function unsettledMembers(
  nodes: readonly SimNode[],
  app: Application,
  invariants: Invariants,
  { minOnline, mayVote, reach }: Pick<Terms, 'minOnline' | 'reach'> & { mayVote: MayVote },
): string | undefined {
  const { offences } = invariants;
  const honest = nodes.filter(({ user, isGone }) => offences.isHonest(user) && !isGone);
  const indices = honest.map(({ index }) => index);
  const heard = (node: SimNode): number => indices.filter((i) => reach(node.index, i)).length;
  const voting = nodes.filter(mayVote);
  const hearsMore = (node: SimNode): boolean =>
    isMore(
      voting.filter((o) => honest.includes(o) && reach(node.index, o.index)).length,
      voting.length,
    );
  const first = honest.find(hearsMore);
  if (!first) {
    const areLost = nodes.some(({ isGone }) => isGone);
    const why = unsettledApart(honest, app, reach);
    if (why || !areLost || honest.filter(mayVote).length < minOnline) return why;
    return unsettledFew(honest, app, invariants);
  }
  const others = connectedTo(first.index, indices, reach);
  return unsettledTogether(
    honest.filter(({ index }) => others.includes(index)),
    app,
    invariants,
    { minOnline, all: nodes, reach, heard, hearsMore },
  );
}

type MayVote = (node: SimNode) => boolean;

interface Terms {
  readonly minOnline: number;
  /** Those that misbehave among them: they may lead. */
  readonly all: readonly SimNode[];
  readonly reach: Reach;
  /** How many a node reaches, itself among them. */
  readonly heard: (node: SimNode) => number;
  /** Whether it reaches more than half of those who vote. */
  readonly hearsMore: (node: SimNode) => boolean;
}

/** Where somebody reaches more than half, and these are connected to it. */
function unsettledTogether(
  nodes: readonly SimNode[],
  app: Application,
  invariants: Invariants,
  { minOnline, all, reach, heard, hearsMore }: Terms,
): string | undefined {
  const states = nodes.map((node) => node.state(app.channel));
  const first = states[0];
  if (!first) return `node ${nodes[0]!.index} has no channel`;
  const leaders = all.filter((node) => leads(node, app, 'roster'));
  if (leaders.length !== 1) return 'there is not one leader';
  const [leader] = leaders as [SimNode];
  if (!hearsMore(leader)) return `node ${leader.index} leads and reaches no majority`;
  const { offences } = invariants;
  const isTwoFaced = offences.hasTwoChains(leader.state(app.channel)!.leadership!.id);
  const canCommit = heard(leader) >= minOnline;
  const served = new Set(
    nodes.flatMap(({ index }) => {
      const all = nodes.map((node) => node.index);
      return canCommit && isServed(index, leader.index, all, reach) ? [index] : [];
    }),
  );
  // What the others hold of one that is gone becomes final too.
  const authors = new Set(
    all.filter((n) => served.has(n.index) || n.isGone).map(({ user }) => user),
  );
  for (const [k, st] of states.entries()) {
    const node = nodes[k]!;
    const i = node.index;
    const member = st?.roster.members.get(node.user);
    if (!st || !member) return `node ${i} is not a member`;
    const hearsAll = nodes.length > 2 && nodes.every((other) => reach(leader.index, other.index));
    if (hearsAll && !member.votes) return `node ${i} has no vote`;
    const why =
      differs(i, st, first, nodes[0]!.index, isTwoFaced) ??
      (served.has(i) ? waits(node, st, authors, states) : undefined);
    if (why) return why;
    // Where too few are online to place messages nobody suspects a leader of leaving anything out.
    if (isTwoFaced || (!canCommit && offences.may(leader.user, 'censor'))) continue;
    if (app.missingInvite(node)) return `node ${i} lacks an invitation that is done`;
    // Who does not reach it may have an online leader, whose branch this one merges.
    if (!reach(i, leader.index)) continue;
    if (leads(node, app, 'online')) return `node ${i} leads online, and reaches the leader`;
    // What nobody may place waits in the branch of a leader that was replaced.
    const branches = [...st.branches.values()].filter(
      (b) => canCommit || b.certificates.length > 0,
    );
    if (branches.length > 0) return `node ${i} has ${branches.length} branches`;
    if (st.wishes.length > 0) return `node ${i} has a wish`;
    if (!st.leadership?.live) return `node ${i} has no leader`;
  }
  if (!canCommit) return undefined;
  const { committed, finalAt } = invariants;
  const waiting = [...committed.promised].find(
    (digest) => !finalAt.has(digest) && !invariants.mayBeWithheld(digest),
  );
  // Who does not reach the leader may hold it still: then others carry it there.
  if (waiting && invariants.isHeld(waiting)) return `committed ${nameOf(waiting)} is not final`;
  const lost = missing(served, app, invariants);
  // All is at rest and nobody holds it any more.
  if (lost) invariants.broke('8 nothing lost', lost);
  return lost;
}

const nameOf = (digest: Digest): string => `message ${digest.slice(0, 8)}`;

const leads = (node: SimNode, app: Application, kind: EpochKind): boolean => {
  const st = node.state(app.channel);
  return st?.leading != null && st.leadership?.epoch.kind === kind;
};

/** How a node's log, roster or set is not what all have in the end. */
function differs(
  i: number,
  st: ChannelState,
  first: ChannelState,
  other: number,
  isTwoFaced: boolean,
): string | undefined {
  if (st.conflict !== null) return `node ${i} stopped: ${st.conflict}`;
  if (st.roster.hash !== first.roster.hash) {
    return `node ${i} is under roster ${st.roster.number}, node ${other} under ${first.roster.number}`;
  }
  if (st.log.final.hash !== first.log.final.hash) {
    return `node ${i} is final up to ${st.log.final.seq}, node ${other} up to ${first.log.final.seq}`;
  }
  // What a leader with two faces told some of the others never knew: a change of membership may wait there.
  const waiting = isTwoFaced ? st.log.tail.filter((e) => isMessageLane(e.record)) : st.log.tail;
  return waiting.length > 0 ? `node ${i} has ${waiting.length} entries in its tail` : undefined;
}

/** Messages of a node that are not final. A membership record that another change overtook stays until it is forgotten. */
function waits(
  node: SimNode,
  st: ChannelState,
  authors: ReadonlySet<UserId>,
  states: readonly (ChannelState | undefined)[],
): string | undefined {
  const { outbox, pool } = st;
  if (outbox.size > 0) return `node ${node.index} has ${outbox.size} in its outbox`;
  const waiting = [...pool.values()].flatMap(({ record }) =>
    isMessageLane(record) && authors.has(record.author) ? record : [],
  );
  if (!waiting.some((record) => isWhole(record, node, st, states))) return undefined;
  return `node ${node.index} has ${waiting.length} messages in its pool`;
}

/**
 * Whether all that stands before a message is final or held by somebody. Where
 * its author's disk was put back that may be gone: then no leader can place the
 * message, and it stays in pools until they forget it, which is longer than a
 * run takes to settle (seed 160308).
 */
function isWhole(
  record: ChannelRecord,
  node: SimNode,
  { roster, keys }: ChannelState,
  states: readonly (ChannelState | undefined)[],
): boolean {
  const root = roster.members.get(record.author)?.root;
  for (let at: ChannelRecord | undefined = record; at; ) {
    const { prev }: ChannelRecord = at;
    if (prev === root || node.disk.get(keys.placed(prev))) return true;
    at = held(states, prev);
  }
  return false;
}

function held(
  states: readonly (ChannelState | undefined)[],
  digest: Digest,
): ChannelRecord | undefined {
  for (const st of states) {
    const found = st && heldRecord(st, digest);
    if (found) return found.record;
  }
  return undefined;
}

/** Where nobody reaches more than half: no roster leader, and whoever is connected is final up to the same point. */
function unsettledApart(
  nodes: readonly SimNode[],
  app: Application,
  reach: Reach,
): string | undefined {
  const indices = nodes.map(({ index }) => index);
  for (const node of nodes) {
    const st = node.state(app.channel);
    if (st?.conflict) return `node ${node.index} stopped: ${st.conflict}`;
    if (leads(node, app, 'roster')) {
      return `node ${node.index} leads and reaches no majority`;
    }
    const [other] = connectedTo(node.index, indices, reach);
    const seqs = connectedTo(node.index, indices, reach).map(
      (i) => nodes.find(({ index }) => index === i)!.state(app.channel)?.log.final.seq,
    );
    const ahead = seqs.find((seq) => seq !== seqs[0]);
    if (ahead !== undefined) return `node ${other} is final up to ${seqs[0]}, another to ${ahead}`;
  }
  return undefined;
}

/**
 * Where so many are gone that the others are at most half: if they may, they
 * have one online leader, and what they hold is committed.
 */
function unsettledFew(
  nodes: readonly SimNode[],
  app: Application,
  { offences, final }: Invariants,
): string | undefined {
  const states = nodes.map((node) => node.state(app.channel));
  const without = nodes.find((_, k) => !states[k]);
  if (without) return `node ${without.index} has no channel`;
  if (!offences.areNone) return undefined;
  if (states[0]?.genesis.quorum !== 'online') return undefined;
  const leaders = nodes.filter((node) => leads(node, app, 'online'));
  if (leaders.length !== 1) return 'there is not one online leader';
  const epoch = leaders[0]!.state(app.channel)!.leadership!.id;
  for (const [k, st] of states.entries()) {
    const node = nodes[k]!;
    if (!st?.roster.members.has(node.user)) return `node ${node.index} is not a member`;
    if (st.leadership?.id !== epoch || !st.leadership.live)
      return `node ${node.index} does not follow the online leader`;
    const open = [...st.pool.values()].find(
      ({ record }) =>
        isMessageLane(record) && !isCommitted(st, record) && isWhole(record, node, st, states),
    );
    if (open) return `${nameOf(open.record.digest)} at node ${node.index} is not committed`;
  }
  const own = new Set(nodes.map(({ index }) => index));
  // Who crashed as it made one final is not told again.
  const placed = new Set(final.map(({ entry }) => entry.id));
  for (const [id, { node, stored, seen }] of app.submitted) {
    if (own.has(node) && stored && seen === 'nothing' && !placed.has(id))
      return `message ${id} of node ${node} is not committed`;
  }
  return undefined;
}

/** A message that was stored or committed and is not final. */
function missing(
  served: ReadonlySet<number>,
  app: Application,
  invariants: Invariants,
): string | undefined {
  const placed = new Set(invariants.final.map(({ entry }) => entry.id));
  const final = new Set(invariants.final.map(({ entry }) => entry.digest));
  for (const digest of invariants.committed.promised) {
    if (!final.has(digest) && !invariants.mayBeWithheld(digest)) {
      return `committed ${nameOf(digest)} is not final`;
    }
  }
  for (const [id, { node, stored, seen }] of app.submitted) {
    if (app.mayBeGone(node)) continue;
    if ((stored || seen !== 'nothing') && served.has(node) && !placed.has(id)) {
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
): string | undefined {
  const { twins } = invariants.offences;
  const seen = new Set<string>();
  for (const { entry } of invariants.final) {
    if (entry.kind !== 'message' || twins.has(entry.digest)) continue;
    const submitted = app.submitted.get(entry.id!);
    if (!submitted || nodes[submitted.node]!.user !== entry.author) {
      return `entry ${entry.seq} was never posted by its author`;
    }
    if (seen.has(entry.id!)) return `message ${entry.id} is in the log twice`;
    seen.add(entry.id!);
    if (entry.body.length !== submitted.bytes) return `entry ${entry.seq} has another body`;
  }
  return undefined;
}
