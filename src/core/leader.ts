/**
 * What a leader does (docs/PROTOCOL.md, sections "Placing" and "Committing"):
 * opens its epoch with an `epoch` record, places what members offer, proposes
 * it in order, counts acknowledgements, and announces what they amount to.
 * Placing never waits for the disk: the leader's own acknowledgement counts
 * only once it is durable, like everybody's.
 */

import { encodeCertificate, encodeHeaders } from './certificate.js';
import type { Header } from './chain.js';
import type { ChannelState, Leadership, Leading } from './channel-state.js';
import type { StepContext } from './effects.js';
import { encodeEpochBody } from './epoch-record.js';
import { type Digest, type Ulid, type UserId, ZERO_DIGEST } from './ids.js';
import type { Entry } from './layout.js';
import { WINDOW_BYTES_MAX, WINDOW_ENTRIES_MAX } from './limits.js';
import { isMessageLane } from './log.js';
import type { Pooled } from './pool.js';
import { isMajority } from './quorum.js';
import { batchOf, encodeProof, encodeRecord, ZERO_BOOT } from './record.js';
import {
  appendEntry,
  certificateFrom,
  contextOf,
  endLeadership,
  finalise,
  placedAt,
  prevIsPlaced,
  rosterAfter,
} from './replica.js';
import { voters } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import { type Ack, encodeStatement, signedRecords } from './statements.js';

const HEADERS_PER_PROPOSAL_MAX = 1_024;

/** Becomes leader of an epoch that this node won. */
export function takeLead(ctx: StepContext, st: ChannelState, lead: Leadership): void {
  endLeadership(ctx, st, ctx.timing.election_min_ms);
  st.leadership = lead;
  const before = st.log.tip;
  const leading: Leading = {
    beat: 0,
    firstSeq: before.seq + 1,
    acks: new Map(),
    heardAt: new Map(voters(st.roster).map((u) => [u, ctx.now])),
    proposed: before,
    lastProposalAt: ctx.now,
    nudge: false,
    placeable: [],
    membershipQueue: [],
  };
  st.leading = leading;
  sendElected(ctx, st, null, null);
  placeEpochRecord(ctx, st, lead);
  for (const { record } of st.pool.values()) notePlaceable(st, record.digest);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
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

function placeEpochRecord(ctx: StepContext, st: ChannelState, lead: Leadership): void {
  const hash = ctx.crypto.sha256;
  const record = encodeRecord(hash, {
    channel: st.id,
    author: ctx.self,
    boot: ZERO_BOOT,
    n: 0,
    prev: ZERO_DIGEST,
    kind: 'epoch',
    id: ctx.ulid(),
    time: ctx.wall,
    keyEpoch: 0,
    body: encodeEpochBody(lead),
  });
  const context = contextOf(st);
  const { root, proofs } = batchOf(hash, [record], context);
  const signed = ctx.ready.signed(ctx.self, signedRecords(context, root, 1));
  const proof = () => encodeProof(proofs(signed.sig)[0]!);
  sendToMembers(ctx, st, ctx.ready.early, () => ({
    name: 'CH_MSG',
    payload: { id: st.id, from: ctx.self, each: { records: [record.bytes], proofs: [proof()] } },
  }));
  place(ctx, st, lead, { record, proof });
}

type Placing = { record: Pooled['record']; proof: () => Uint8Array };

function place(ctx: StepContext, st: ChannelState, lead: Leadership, p: Placing): Entry {
  return appendEntry(ctx, st, p.record, p.proof, {
    epoch: lead.id,
    term: lead.epoch.term,
    roster: st.roster.number,
  });
}

const MEMBERSHIP_QUEUE_MAX = 64;

/** Queues a membership record for placing; its author offers it again when it is not placed. */
export function queueMembership(leading: Leading, pooled: Pooled): void {
  const queue = leading.membershipQueue;
  const known = queue.some((p) => p.record.digest === pooled.record.digest);
  if (!known && queue.length < MEMBERSHIP_QUEUE_MAX) queue.push(pooled);
}

/** Queues a pooled message for placing if its predecessor is placed. */
export function notePlaceable(st: ChannelState, digest: Digest): void {
  const pooled = st.pool.get(digest);
  if (st.leading && pooled && isMessageLane(pooled.record) && prevIsPlaced(st, pooled.record)) {
    st.leading.placeable.push(digest);
  }
}

const windowIsOpen = (st: ChannelState): boolean =>
  st.log.tip.seq - st.log.final.seq < WINDOW_ENTRIES_MAX && st.log.tailBytes < WINDOW_BYTES_MAX;

export function onlineMembers(ctx: StepContext, st: ChannelState): UserId[] {
  return [...st.roster.members.keys()].filter((u) => u === ctx.self || ctx.isOnline(u));
}

/** Places what may be placed now. One membership change at a time, with nothing behind it. */
export function placeOffers(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead || st.log.membershipInFlight()) return;
  if (leading.placeable.length > 0 && onlineMembers(ctx, st).length >= st.genesis.minOnline) {
    placeMessages(ctx, st, leading, lead);
  }
  for (const pooled of leading.membershipQueue.splice(0)) {
    if (st.roster.members.has(pooled.record.author) && rosterAfter(ctx, st, pooled.record)) {
      place(ctx, st, lead, { record: pooled.record, proof: () => pooled.proof });
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
    if (!pooled || placedAt(st, pooled.record.digest) !== undefined) continue;
    if (!st.roster.members.has(pooled.record.author)) continue;
    place(ctx, st, lead, { record: pooled.record, proof: () => pooled.proof });
    for (const child of st.pool.childrenOf(pooled.record.digest)) queue.push(child.digest);
  }
  queue.splice(0, taken);
}

/** Proposes what was placed since the last proposal; an empty proposal is the heartbeat. */
export function propose(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  const due = ctx.now - leading.lastProposalAt >= ctx.timing.heartbeat_ms || leading.nudge;
  let first = true;
  while (leading.proposed.seq < st.log.tip.seq || (due && first)) {
    first = false;
    proposeNext(ctx, st, leading, lead);
  }
  ctx.ready.wake(leading.lastProposalAt + ctx.timing.heartbeat_ms);
}

function proposeNext(ctx: StepContext, st: ChannelState, leading: Leading, lead: Leadership): void {
  const base = leading.proposed;
  const from = base.seq - st.log.final.seq;
  const entries = st.log.tail.slice(from, from + HEADERS_PER_PROPOSAL_MAX);
  const tip = entries.at(-1) ?? base;
  const { statement, signed } = signProposal(ctx, st, leading, lead, base, tip);
  const headers = encodeHeaders(entries.map((e): Header => e.header));
  leading.proposed = { seq: tip.seq, hash: tip.hash };
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
  const statement = encodeStatement({
    tag: 'propose',
    ...contextOf(st),
    epoch: lead.id,
    term: lead.epoch.term,
    beat: leading.beat,
    baseSeq: base.seq,
    baseHash: base.hash,
    tipSeq: tip.seq,
    tipHash: tip.hash,
    finalSeq: st.log.final.seq,
    quiet: false,
  });
  return { statement, signed: ctx.ready.signed(ctx.self, statement) };
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
  if (!leading || !lead || ack.epoch !== lead.id || ack.term !== lead.epoch.term) return;
  if (ack.roster !== st.roster.number || ack.rosterHash !== st.roster.hash) return;
  leading.heardAt.set(user, ctx.now);
  if (st.log.hashAt(ack.seq) !== ack.hash) return;
  const known = leading.acks.get(user);
  if (!known || ack.seq > known.seq) leading.acks.set(user, { seq: ack.seq, sig });
}

/** Announces what the acknowledgements counted so far amount to. */
export function advance(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead) return;
  const id = { id: lead.id, term: lead.epoch.term };
  const final = certificateFrom(st, 'final', id, leading.acks, voters(st.roster), 0);
  const beyond = Math.max(lead.committed, final?.seq ?? 0);
  const committed = certificateFrom(
    st,
    'committed',
    id,
    leading.acks,
    lead.epoch.electorate,
    beyond,
  );
  if (committed && st.genesis.quorum === 'online') {
    announce(ctx, st, encodeCertificate(committed));
    markCommitted(ctx, st, lead, committed.seq);
  }
  if (final) {
    announce(ctx, st, encodeCertificate(final));
    const changed = finalise(ctx, st, final);
    if (!changed) lead.committed = Math.max(lead.committed, final.seq);
    else announceRosterChange(ctx, st);
  }
}

function announce(ctx: StepContext, st: ChannelState, cert: Uint8Array): void {
  sendToMembers(ctx, st, ctx.ready.early, () => ({
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

/** Own records up to `seq` of the running leadership are committed. */
export function markCommitted(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  seq: number,
): void {
  for (let at = Math.max(lead.committed, st.log.final.seq) + 1; at <= seq; at++) {
    const digest = st.log.entryAt(at)?.record.digest;
    const own = digest && st.outbox.get(digest);
    if (!own || own.state === 'committed') continue;
    own.state = 'committed';
    ctx.ready.events.push({
      type: 'progress',
      channel: st.id,
      id: own.pooled.record.id,
      digest,
      state: 'committed',
      seq: null,
    });
  }
  lead.committed = Math.max(lead.committed, seq);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}

/** Signs and, once durable, counts the leader's own acknowledgement of its tip. */
export function ackOwn(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead || !st.roster.members.get(ctx.self)?.votes) return;
  const tip = st.log.tip;
  if (tip.seq < leading.firstSeq || tip.seq <= (lead.acked?.seq ?? 0)) return;
  const ack: Ack = {
    tag: 'ack',
    ...contextOf(st),
    epoch: lead.id,
    term: lead.epoch.term,
    seq: tip.seq,
    hash: tip.hash,
  };
  const signed = ctx.ready.signed(ctx.self, encodeStatement(ack));
  lead.acked = { seq: tip.seq, signed };
  ctx.ready.ops.push({
    key: st.keys.ack(lead.id),
    value: () => encodeStoredAck(signed.statement, signed.sig),
  });
  ctx.ready.sync = true;
  ctx.ready.self.push({ type: 'own-ack', channel: st.id, ack, signed });
  // Acknowledgements of a membership change go to all: its proof must not die with one holder.
  if (!st.log.membershipInFlight()) return;
  sendToMembers(ctx, st, ctx.ready.late, () => ({
    name: 'ACK_CH_MSG',
    payload: { id: st.id, from: ctx.self, s: signed.statement, sig: signed.sig },
  }));
}

export function encodeStoredAck(statement: Uint8Array, sig: Uint8Array): Uint8Array {
  const out = new Uint8Array(statement.length + 64);
  out.set(sig);
  out.set(statement, 64);
  return out;
}

/** Check-quorum: a leader that hears from no majority steps down. */
export function tickLeader(ctx: StepContext, st: ChannelState): void {
  const { leading } = st;
  if (!leading) return;
  leading.heardAt.set(ctx.self, ctx.now);
  const all = voters(st.roster);
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
