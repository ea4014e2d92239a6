/**
 * What a leader does (docs/PROTOCOL.md, sections "Placing" and "Committing"):
 * opens its epoch with an `epoch` record, places what members offer, proposes
 * it in order, counts acknowledgements, and announces what they amount to.
 * Placing never waits for the disk: the leader's own acknowledgement counts
 * only once it is durable, like everybody's.
 */

import type { Branch } from './branch.js';
import { type Certificate, encodeCertificate, encodeHeaders } from './certificate.js';
import { type EpochDescriptor, headersOf } from './chain.js';
import { type ChannelState, chainOf, type Leadership, type Leading } from './channel-state.js';
import type { StepContext } from './effects.js';
import { encodeEpochBody, isAckUnder } from './epoch-record.js';
import { type Digest, type Ulid, type UserId, ZERO_DIGEST } from './ids.js';
import { encodeSigned } from './layout.js';
import { leadershipOf } from './leadership.js';
import { NEW_BESIDE_PART_MAX, WINDOW_BYTES_MAX, WINDOW_ENTRIES_MAX } from './limits.js';
import { isMessageLane } from './log.js';
import type { Pooled } from './pool.js';
import {
  addPlace,
  committedInLog,
  heldRecord,
  isCertified,
  isInBranch,
  isSetFull,
  isShareFull,
  takeCommitted,
} from './provisional.js';
import { isMajority } from './quorum.js';
import { batchOf, encodeProof, encodeRecord, ZERO_BOOT } from './record.js';
import {
  appendEntry,
  certificateFrom,
  contextOf,
  endLeadership,
  finalise,
  isPlaced,
  keepProposal,
  prevIsPlaced,
  rosterAfter,
} from './replica.js';
import { minOnline, voters } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import { isInStanding } from './standing.js';
import { type Ack, encodeStatement, type Propose, signedRecords } from './statements.js';

export const HEADERS_PER_PROPOSAL_MAX = 1_024;

/** Becomes leader of an epoch that this node won. */
export function takeLead(
  ctx: StepContext,
  st: ChannelState,
  epoch: EpochDescriptor,
  ballots: Leadership['ballots'],
): void {
  endLeadership(ctx, st, ctx.timing.election_min_ms);
  const lead = leadershipOf(ctx, st, epoch, ballots, true);
  st.leadership = lead;
  const before = chainOf(st, lead).tip;
  const leading: Leading = {
    beat: 0,
    firstSeq: before.seq + 1,
    acks: new Map(),
    heardAt: new Map(voters(st.roster).map((u) => [u, ctx.now])),
    proposed: before,
    lastProposalAt: ctx.now,
    nudge: false,
    placeable: [],
    queued: new Set(),
    membershipQueue: [],
    merging: null,
    newSincePart: 0,
    missingSince: null,
  };
  st.leading = leading;
  st.exchange.vain = 0;
  sendElected(ctx, st, null, null);
  if (lead.branch) noteUncertified(st);
  else {
    placeOwn(ctx, st, lead, 'epoch', encodeEpochBody(lead));
    for (const { record } of st.pool.values()) notePlaceable(st, record.digest);
  }
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}

/** An online leader places anew what is not certified, wherever it is held. */
function noteUncertified(st: ChannelState): void {
  const held = [...st.log.tail, ...st.pool.values()].map((e) => e.record.digest);
  for (const digest of held) if (!isCertified(st, digest)) notePlaceable(st, digest);
}

/** CH_ELECTED, to all or as the answer to a challenge: proof of the election, and a beat. */
export function sendElected(
  ctx: StepContext,
  st: ChannelState,
  to: UserId | null,
  echo: Ulid | null,
): void {
  const { leadership: lead, leading } = st;
  if (!lead || !leading) return;
  leading.beat += 1;
  const statement = encodeStatement({
    tag: 'beat',
    ...contextOf(st),
    epoch: lead.id,
    term: lead.epoch.term,
    beat: leading.beat,
    echo: echo ?? ZERO_BOOT,
  });
  const signed = ctx.ready.signed(ctx.self, statement);
  const command = () => ({
    name: 'CH_ELECTED' as const,
    payload: {
      id: st.id,
      from: ctx.self,
      ...(to ? { to } : {}),
      election: lead.epoch.term,
      leader: ctx.self,
      kind: lead.epoch.kind,
      s: statement,
      sig: signed.sig,
      electorate: [...lead.epoch.electorate],
      ballots: [...lead.ballots],
    },
  });
  if (to) sendToUser(ctx, ctx.ready.early, to, command);
  else sendToMembers(ctx, st, ctx.ready.early, command);
}

type Placing = { record: Pooled['record']; proof: () => Uint8Array };

export function placeInLog(ctx: StepContext, st: ChannelState, lead: Leadership, p: Placing): void {
  const at = { epoch: lead.id, term: lead.epoch.term, roster: st.roster.number };
  appendEntry(ctx, st, p.record, p.proof, at);
}

/** A record that the leader itself makes, and sends to all since they need it to acknowledge it. */
export function placeOwn(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  kind: 'epoch' | 'merge',
  body: Uint8Array,
): void {
  const hash = ctx.crypto.sha256;
  const record = encodeRecord(hash, {
    channel: st.id,
    author: ctx.self,
    boot: ZERO_BOOT,
    n: 0,
    prev: ZERO_DIGEST,
    kind,
    id: ctx.ulid(),
    time: ctx.wall,
    keyEpoch: 0,
    body,
  });
  const context = contextOf(st);
  const { root, proofs } = batchOf(hash, [record], context);
  const signed = ctx.ready.signed(ctx.self, signedRecords(context, root, 1));
  const proof = () => encodeProof(proofs(signed.sig)[0]!);
  sendToMembers(ctx, st, ctx.ready.early, () => ({
    name: 'CH_MSG',
    payload: { id: st.id, from: ctx.self, each: { records: [record.bytes], proofs: [proof()] } },
  }));
  placeInLog(ctx, st, lead, { record, proof });
}

const MEMBERSHIP_QUEUE_MAX = 64;

/** Queues a membership record for placing; its author offers it again when it is not placed. */
export function queueMembership(leading: Leading, pooled: Pooled): void {
  const queue = leading.membershipQueue;
  const known = queue.some((p) => p.record.digest === pooled.record.digest);
  if (!known && queue.length < MEMBERSHIP_QUEUE_MAX) queue.push(pooled);
}

/**
 * Queues a message for placing if its predecessor is placed. In an online
 * epoch a predecessor that is held but not placed here is placed first: in the
 * set, or in this node's tail, others may not have it. What a branch holds
 * comes into the log by a merge (merge.ts).
 */
export function notePlaceable(st: ChannelState, digest: Digest): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  if (lead.branch) {
    for (const missing of missingPath(st, leading, digest)) {
      leading.queued.add(missing);
      leading.placeable.push(missing);
    }
    return;
  }
  const pooled = st.pool.get(digest);
  if (!pooled || !isMessageLane(pooled.record) || !prevIsPlaced(st, pooled.record)) return;
  if (!isInBranch(st, digest)) leading.placeable.push(digest);
}

/** The record and those of its predecessors that the running branch lacks, oldest first. */
function missingPath(st: ChannelState, leading: Leading, digest: Digest): Digest[] {
  const path: Digest[] = [];
  for (let at = digest; !isPlaced(st, at) && !leading.queued.has(at); ) {
    const held = heldRecord(st, at);
    if (!held || !isMessageLane(held.record)) return [];
    path.push(at);
    if (prevIsPlaced(st, held.record)) break;
    at = held.record.prev;
  }
  return path.reverse();
}

/** While a merge is under way it gets half of the window, and new traffic the other half. */
function windowIsOpen({ log, leading }: ChannelState): boolean {
  const isMerging = leading?.merging && leading.merging.rest.length > 0;
  const share = isMerging ? 2 : 1;
  const { length } = log.tail;
  if (length < WINDOW_ENTRIES_MAX / share && log.tailBytes < WINDOW_BYTES_MAX / share) return true;
  // A merge's parts may fill the window all the time: some are placed beside each.
  return (
    isMerging === true &&
    leading!.newSincePart < NEW_BESIDE_PART_MAX &&
    log.tailBytes < 1.5 * WINDOW_BYTES_MAX
  );
}

export function onlineMembers(ctx: StepContext, st: ChannelState): UserId[] {
  return [...st.roster.members.keys()].filter((u) => u === ctx.self || ctx.isOnline(u));
}

/** Places what may be placed now. One membership change at a time, with nothing behind it. */
export function placeOffers(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  const mayPlace = onlineMembers(ctx, st).length >= minOnline(st.roster);
  if (lead.branch) {
    if (leading.placeable.length > 0 && mayPlace)
      placeInBranch(ctx, st, leading, lead, lead.branch);
    return;
  }
  if (st.log.membershipInFlight()) return;
  if (leading.placeable.length > 0 && mayPlace) placeMessages(ctx, st, leading, lead);
  if (st.log.isFull) return;
  for (const pooled of leading.membershipQueue.splice(0)) {
    if (rosterAfter(ctx, st, pooled.record)) {
      placeInLog(ctx, st, lead, { record: pooled.record, proof: () => pooled.proof });
      return;
    }
  }
}
function placeMessages(
  ctx: StepContext,
  st: ChannelState,
  leading: Leading,
  lead: Leadership,
): void {
  const queue = leading.placeable;
  let taken = 0;
  while (taken < queue.length && windowIsOpen(st)) {
    const pooled = st.pool.get(queue[taken++]!);
    if (!pooled || isPlaced(st, pooled.record.digest)) continue;
    if (!isInStanding(st, pooled)) continue;
    placeInLog(ctx, st, lead, { record: pooled.record, proof: () => pooled.proof });
    leading.newSincePart += 1;
    for (const child of st.pool.childrenOf(pooled.record.digest)) notePlaceable(st, child.digest);
  }
  queue.splice(0, taken);
}

function placeInBranch(
  ctx: StepContext,
  st: ChannelState,
  leading: Leading,
  lead: Leadership,
  branch: Branch,
): void {
  const queue = leading.placeable;
  const { epoch, id } = lead;
  let room = branchRoom(st, branch);
  let taken = 0;
  while (taken < queue.length && room.entries > 0 && room.bytes > 0) {
    const digest = queue[taken++]!;
    leading.queued.delete(digest);
    const held = heldRecord(st, digest);
    if (!held || isPlaced(st, digest) || !prevIsPlaced(st, held.record)) continue;
    if (!isInStanding(st, held) || isShareFull(st, held.record.author)) continue;
    addPlace(ctx, st, branch, { epoch: id, term: epoch.term, roster: epoch.roster, digest });
    room = { entries: room.entries - 1, bytes: room.bytes - held.record.bytes.length };
    for (const child of st.pool.childrenOf(digest)) notePlaceable(st, child.digest);
  }
  queue.splice(0, taken);
}

/** What may be placed before more is committed; nothing once the provisional set is full. */
function branchRoom(st: ChannelState, branch: Branch): { entries: number; bytes: number } {
  if (isSetFull(st)) return { entries: 0, bytes: 0 };
  const from = Math.max(branch.certified, branch.base.seq);
  let bytes = WINDOW_BYTES_MAX;
  for (const { digest } of headersOf(branch, from + 1, branch.tip.seq)) {
    bytes -= heldRecord(st, digest)?.record.bytes.length ?? 0;
  }
  return { entries: WINDOW_ENTRIES_MAX - (branch.tip.seq - from), bytes };
}

/** Proposes what was placed since the last proposal; an empty proposal is the heartbeat. */
export function propose(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  const due = ctx.now - leading.lastProposalAt >= ctx.timing.heartbeat_ms || leading.nudge;
  const chain = chainOf(st, lead);
  let first = true;
  while (leading.proposed.seq < chain.tip.seq || (due && first)) {
    first = false;
    proposeNext(ctx, st, leading, lead);
  }
  ctx.ready.wake(leading.lastProposalAt + ctx.timing.heartbeat_ms);
}

function proposeNext(ctx: StepContext, st: ChannelState, leading: Leading, lead: Leadership): void {
  const base = leading.proposed;
  const chain = chainOf(st, lead);
  const seq = Math.min(chain.tip.seq, base.seq + HEADERS_PER_PROPOSAL_MAX);
  const tip = { seq, hash: chain.hashAt(seq)! };
  const { statement, signed, propose } = signProposal(ctx, st, leading, lead, base, tip);
  if (!lead.branch && seq > base.seq) keepProposal(ctx, st, propose, signed);
  const headers = encodeHeaders(headersOf(chain, base.seq + 1, seq));
  leading.proposed = tip;
  leading.lastProposalAt = ctx.now;
  leading.nudge = false;
  sendToMembers(ctx, st, ctx.ready.early, () => ({
    name: 'CH_PROPOSE',
    payload: { id: st.id, from: ctx.self, s: statement, sig: signed.sig, headers },
  }));
}

/** The leader's signature that `tip` follows `base` in its log. */
export function signProposal(
  ctx: StepContext,
  st: ChannelState,
  leading: Leading,
  lead: Leadership,
  base: { seq: number; hash: Digest },
  tip: { seq: number; hash: Digest },
) {
  leading.beat += 1;
  const propose: Propose = {
    tag: 'propose',
    ...contextOf(st),
    kind: lead.epoch.kind,
    epoch: lead.id,
    term: lead.epoch.term,
    beat: leading.beat,
    baseSeq: base.seq,
    baseHash: base.hash,
    tipSeq: tip.seq,
    tipHash: tip.hash,
    finalSeq: st.log.final.seq,
    quiet: false,
  };
  const statement = encodeStatement(propose);
  return { propose, statement, signed: ctx.ready.signed(ctx.self, statement) };
}

/** Counts one acknowledgement of this leadership; the driver verified it. */
export function countAck(
  ctx: StepContext,
  st: ChannelState,
  user: UserId,
  ack: Ack,
  sig: Uint8Array,
): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead || !isAckUnder(lead, ack)) return;
  leading.heardAt.set(user, ctx.now);
  if (chainOf(st, lead).hashAt(ack.seq) !== ack.hash) return;
  const known = leading.acks.get(user);
  if (!known || ack.seq > known.seq) leading.acks.set(user, { seq: ack.seq, sig });
}

/** Announces what the acknowledgements counted so far amount to. */
export function advance(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  const chain = chainOf(st, lead);
  const { acks } = leading;
  const isRoster = lead.branch === null;
  const final = isRoster
    ? certificateFrom(chain, 'final', lead, acks, voters(st.roster), 0)
    : undefined;
  const known = lead.branch ? lead.branch.certified : committedInLog(st);
  const beyond = Math.max(known, final?.seq ?? 0);
  const committed = certificateFrom(chain, 'committed', lead, acks, lead.epoch.electorate, beyond);
  if (committed && takeCommitted(ctx, st, committed)) announce(ctx, st, committed);
  if (final) {
    announce(ctx, st, final);
    if (finalise(ctx, st, final)) announceRosterChange(ctx, st);
  }
}

/** What is committed is claimed once it is durable here; what is final is durable with a majority. */
export function announce(ctx: StepContext, st: ChannelState, certificate: Certificate): void {
  const cert = encodeCertificate(certificate);
  const lane = certificate.kind === 'final' ? ctx.ready.early : ctx.ready.late;
  sendToMembers(ctx, st, lane, () => ({
    name: 'CH_COMMIT',
    payload: { id: st.id, from: ctx.self, cert },
  }));
}

/**
 * Joiners get the page that holds the change from the leader: for the relay
 * they are no members yet. Who is still none asks again under the new roster.
 */
function announceRosterChange(ctx: StepContext, st: ChannelState): void {
  for (const [user, { request }] of st.joins) {
    const anchor = [{ seq: request.seq, hash: request.hash }];
    ctx.ready.serves.push({
      type: 'page',
      channel: st.id,
      to: user,
      anchor,
      want: [],
      withGenesis: false,
    });
    if (st.roster.members.has(user)) st.joins.delete(user);
  }
}

/** Signs and, once durable, counts the leader's own acknowledgement of its tip. */
export function ackOwn(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead || !st.roster.members.get(ctx.self)?.votes) return;
  if (lead.epoch.term < st.hard[lead.epoch.kind].term) return;
  const { tip } = chainOf(st, lead);
  if (tip.seq < leading.firstSeq || tip.seq <= (lead.acked?.seq ?? 0)) return;
  const ack: Ack = {
    tag: 'ack',
    ...contextOf(st),
    kind: lead.epoch.kind,
    epoch: lead.id,
    term: lead.epoch.term,
    seq: tip.seq,
    hash: tip.hash,
  };
  const signed = ctx.ready.signed(ctx.self, encodeStatement(ack));
  lead.acked = { seq: tip.seq, signed };
  st.acks.set(lead.id, { ack, signed });
  ctx.ready.ops.push({
    key: st.keys.ack(lead.id),
    value: () => encodeSigned(signed.statement, signed.sig),
  });
  ctx.ready.sync = true;
  ctx.ready.self.push({ type: 'own-ack', channel: st.id, ack, signed });
  // Acknowledgements of a membership change go to all: its proof must not die with one holder.
  if (lead.branch || !st.log.membershipInFlight()) return;
  sendToMembers(ctx, st, ctx.ready.late, () => ({
    name: 'ACK_CH_MSG',
    payload: { id: st.id, from: ctx.self, s: signed.statement, sig: signed.sig },
  }));
}

/** Check-quorum: a leader that hears from no majority of those it counts steps down. */
export function tickLeader(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  leading.heardAt.set(ctx.self, ctx.now);
  const all = lead.branch ? lead.epoch.electorate : voters(st.roster);
  const heard = all.filter(
    (u) => ctx.now - (leading.heardAt.get(u) ?? 0) < ctx.timing.check_quorum_ms,
  );
  if (!isMajority(heard.length, all.length)) {
    ctx.ready.events.push({
      type: 'note',
      channel: st.id,
      note: 'stepped down',
      detail: `heard from ${heard.length} of ${all.length} voters`,
    });
    endLeadership(ctx, st, ctx.timing.election_min_ms);
  }
}
