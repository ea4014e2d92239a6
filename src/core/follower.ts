/**
 * What a follower does (docs/PROTOCOL.md, sections "Following" and
 * "Acknowledging"): adopts a proven leadership, makes its log the leader's,
 * and acknowledges, cumulatively, what is durable. Repair is the follower's
 * business: whatever does not fit is pulled.
 */

import type { Certificate } from './certificate.js';
import { certifiedPoint, checkFinalCertificate, encodeCertificate } from './certificate.js';
import type { EpochDescriptor, Header, Point } from './chain.js';
import { chainNext, electorateDigest, epochId } from './chain.js';
import type { ChannelState, Leadership } from './channel-state.js';
import type { StepContext } from './effects.js';
import { leadershipOf, setHard } from './election.js';
import { decodeEpochBody } from './epoch-record.js';
import type { Digest, EpochId, UserId } from './ids.js';
import { encodeStoredAck, markCommitted } from './leader.js';
import { TAIL_BYTES_MAX, TAIL_ENTRIES_MAX } from './limits.js';
import { askFor, pullFrom } from './pulls.js';
import { isMajority } from './quorum.js';
import type { ChannelRecord } from './record.js';
import {
  appendEntry,
  certificateFrom,
  contextOf,
  endLeadership,
  finalise,
  placedAt,
  prevIsPlaced,
  rosterAfter,
  truncateTail,
} from './replica.js';
import { isLeaderKind, isMembership, voters } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import { type Ack, type Beat, encodeStatement, type Propose } from './statements.js';

/** CH_ELECTED: the driver verified the leader's beat and every ballot. */
export function onElected(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  epoch: EpochDescriptor,
  id: EpochId,
  beat: Beat,
  ballots: Leadership['ballots'],
): void {
  if (epoch.leader !== from || beat.epoch !== id || beat.term !== epoch.term) return;
  if (epoch.kind !== 'roster' || from === ctx.self || st.conflict) return;
  if (epoch.roster > st.roster.number) return pullFrom(ctx, st, from);
  if (epoch.roster !== st.roster.number || epoch.rosterHash !== st.roster.hash) return;
  const all = new Set(voters(st.roster));
  const cast = new Set(ballots.map((b) => b.user));
  if ([...cast].some((u) => !all.has(u)) || !isMajority(cast.size, all.size)) return;
  if (!all.has(from)) return;
  const asked = st.challenge !== null && beat.echo === st.challenge.id;
  const known = st.leadership;
  if (known?.id === id) {
    if (asked) hearBeat(ctx, st, known, beat.beat, true);
    return;
  }
  if (epoch.term < st.hard.term || (known && known.epoch.term >= epoch.term)) return;
  const voted = st.votedFor?.term === epoch.term && st.votedFor.candidate === from;
  endLeadership(ctx, st, ctx.timing.election_min_ms);
  if (epoch.term > st.hard.term) {
    // Whoever follows term n never votes below it, nor for another in it.
    setHard(ctx, st, {
      ...st.hard,
      term: epoch.term,
      votedFor: {
        candidate: from,
        electorate: electorateDigest(ctx.crypto.sha256, epoch.electorate),
      },
    });
  }
  const lead = leadershipOf(ctx, st, epoch, ballots, asked || voted);
  lead.lastBeat = beat.beat;
  st.leadership = lead;
  ctx.ready.events.push({ type: 'changed', channel: st.id });
  if (!lead.live) challenge(ctx, st, from);
}

function hearBeat(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  beat: number,
  fresh: boolean,
): void {
  if (beat <= lead.lastBeat && !fresh) return;
  lead.lastBeat = Math.max(lead.lastBeat, beat);
  if (fresh && !lead.live) {
    lead.live = true;
    ctx.ready.events.push({ type: 'changed', channel: st.id });
  }
  lead.lastHeardAt = ctx.now;
}

/** Asks a leader for a sign of life that answers this node's fresh question. */
export function challenge(ctx: StepContext, st: ChannelState, leader: UserId): void {
  if (st.challenge && ctx.now - st.challenge.at < ctx.timing.pull_ms) return;
  const id = ctx.ulid();
  st.challenge = { id, at: ctx.now };
  sendToUser(ctx, ctx.ready.early, leader, () => ({
    name: 'CH_PULL',
    payload: { id: st.id, from: ctx.self, to: leader, anchor: [], want: [], challenge: id },
  }));
}

/** Headers of a proposal whose chain the driver's inspection found to lead from base to tip. */
export function onPropose(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  p: Propose,
  headers: readonly Header[],
): void {
  if (from === ctx.self || st.conflict) return;
  if (p.roster > st.roster.number) return pullFrom(ctx, st, from);
  if (p.roster !== st.roster.number || p.rosterHash !== st.roster.hash) {
    return refuse(ctx, st, from, 'roster');
  }
  const lead = st.leadership;
  if (lead?.id !== p.epoch || lead.epoch.leader !== from) {
    if (p.term >= st.hard.term) challenge(ctx, st, from);
    else refuse(ctx, st, from, 'term');
    return;
  }
  if (p.term < st.hard.term) refuse(ctx, st, from, 'term');
  const news = p.beat > lead.lastBeat;
  if (news && headers.length === 0) lead.ackAgain = true;
  if (lead.live) hearBeat(ctx, st, lead, p.beat, false);
  else challenge(ctx, st, from);
  follow(ctx, st, lead, { seq: p.baseSeq, hash: p.baseHash }, headers);
  if (news && headers.length === 0 && p.finalSeq > st.log.final.seq) pullFrom(ctx, st, from);
}

/**
 * Tells a leader that this node can't follow it: it must pull a newer roster
 * first, or stand again above the term that this node has promised, since who
 * promised a term acknowledges nothing below it.
 */
function refuse(
  ctx: StepContext,
  st: ChannelState,
  user: UserId,
  refused: 'roster' | 'term',
): void {
  sendToUser(ctx, ctx.ready.early, user, () => ({
    name: 'CH_GRANT',
    payload: {
      id: st.id,
      from: ctx.self,
      to: user,
      round: ctx.boot,
      refused,
      term: st.hard.term,
      roster: st.roster.number,
    },
  }));
}

/** Makes the log behind `base` the leader's; pulls when it does not reach so far. */
export function follow(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  base: Point,
  headers: readonly Header[],
): void {
  const leader = lead.epoch.leader;
  if (st.limbo && st.limbo.end.seq === base.seq && st.limbo.end.hash === base.hash) {
    if (st.limbo.headers.length + headers.length <= TAIL_ENTRIES_MAX) {
      st.limbo.headers.push(...headers);
      st.limbo.end = endOf(ctx, base, headers);
    }
    return drainLimbo(ctx, st);
  }
  let from = base;
  let rest = headers;
  const behind = st.log.memoryFrom - base.seq;
  if (behind > 0) {
    // What lies before memory is final here, and the leader's log has it.
    if (behind > headers.length) return;
    from = endOf(ctx, base, headers.slice(0, behind));
    rest = headers.slice(behind);
  }
  if (st.log.hashAt(from.seq) !== from.hash) {
    if (from.seq > st.log.final.seq) pullFrom(ctx, st, leader);
    return;
  }
  takeOver(ctx, st, lead, from, rest);
}

function endOf(ctx: StepContext, base: Point, headers: readonly Header[]): Point {
  let { seq, hash } = base;
  for (const h of headers) {
    seq += 1;
    hash = chainNext(ctx.crypto.sha256, hash, seq, h);
  }
  return { seq, hash };
}

/** The log holds `base`, which is the leader's: appends as many of the headers as have their record here. */
function takeOver(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  base: Point,
  headers: readonly Header[],
): void {
  let { seq, hash } = base;
  let index = 0;
  for (; index < headers.length; index++) {
    const header = headers[index]!;
    const next = chainNext(ctx.crypto.sha256, hash, seq + 1, header);
    if (st.log.hashAt(seq + 1) !== next) {
      if (seq < st.log.final.seq) return;
      if (st.log.tip.seq > seq) truncateTail(ctx, st, seq);
      if (!appendProposed(ctx, st, header)) break;
    }
    seq += 1;
    hash = next;
  }
  st.limbo = null;
  if (seq > lead.matched) lead.matched = seq;
  if (index < headers.length) {
    const rest = headers.slice(index);
    st.limbo = { base: { seq, hash }, headers: [...rest], end: endOf(ctx, { seq, hash }, rest) };
    askForMissing(ctx, st, lead, rest);
  }
}

/** Appends the record that a header names, if it is here and may stand here. */
function appendProposed(ctx: StepContext, st: ChannelState, header: Header): boolean {
  if (st.log.tail.length >= TAIL_ENTRIES_MAX || st.log.tailBytes >= TAIL_BYTES_MAX) return false;
  const pooled = st.pool.get(header.digest);
  if (!pooled || header.roster > st.roster.number) return false;
  if (!mayStand(ctx, st, pooled.record, header)) return false;
  const { epoch, term, roster } = header;
  appendEntry(ctx, st, pooled.record, () => pooled.proof, { epoch, term, roster });
  return true;
}

/** What every member checks before it appends: invariants 9 and 12. */
function mayStand(ctx: StepContext, st: ChannelState, record: ChannelRecord, at: Header): boolean {
  if (placedAt(st, record.digest) !== undefined) return false;
  if (!st.roster.members.has(record.author) || at.term < st.log.lastTerm) return false;
  if (record.kind === 'epoch') return opensItsEpoch(ctx, st, record, at);
  if (isLeaderKind(record.kind)) return true;
  // Nothing stands behind a change of membership until it is final.
  if (st.log.membershipInFlight()) return false;
  return isMembership(record.kind)
    ? rosterAfter(ctx, st, record) !== undefined
    : prevIsPlaced(st, record);
}

/** An `epoch` record names the very leadership that its header is of. */
function opensItsEpoch(
  ctx: StepContext,
  st: ChannelState,
  record: ChannelRecord,
  at: Header,
): boolean {
  const rosterHash = st.rosterHashes[at.roster];
  if (rosterHash === undefined) return false;
  try {
    const { epoch } = decodeEpochBody(record.body);
    const id = epochId(ctx.crypto.sha256, {
      ...epoch,
      channel: st.id,
      roster: at.roster,
      rosterHash,
    });
    return id === at.epoch && epoch.term === at.term && epoch.leader === record.author;
  } catch {
    return false;
  }
}

const missingOf = (st: ChannelState, headers: readonly Header[]): Digest[] =>
  headers.map((h) => h.digest).filter((d) => !st.pool.get(d) && st.log.seqInTail(d) === undefined);

function askForMissing(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  headers: readonly Header[],
): void {
  const missing = missingOf(st, headers);
  if (missing.length > 0) askFor(ctx, st, lead.epoch.leader, missing);
}

/** Goes on with a proposal that waited for records. */
export function drainLimbo(ctx: StepContext, st: ChannelState): void {
  const { limbo, leadership: lead } = st;
  if (!limbo || !lead) return;
  if (st.log.hashAt(limbo.base.seq) !== limbo.base.hash) {
    st.limbo = null;
    return;
  }
  const first = limbo.headers[0];
  // A page may have brought the log past the base: then there is something to skip.
  if (first && st.log.tip.seq === limbo.base.seq && !st.pool.get(first.digest)) {
    // Ask again when the first question seems lost.
    askForMissing(ctx, st, lead, limbo.headers);
    return;
  }
  takeOver(ctx, st, lead, limbo.base, limbo.headers);
}

/**
 * Acknowledges the matched prefix, behind the disk. The same acknowledgement
 * is sent again, unsigned anew, when a heartbeat asks.
 */
export function acknowledge(ctx: StepContext, st: ChannelState): void {
  const lead = st.leadership;
  if (!lead || st.leading || !st.roster.members.get(ctx.self)?.votes || st.conflict) return;
  if (lead.epoch.term < st.hard.term) return;
  // What is final here is in every later leader's log, so a node that is behind is still heard.
  const seq = Math.max(Math.min(lead.matched, st.log.tip.seq), st.log.final.seq);
  const hash = st.log.hashAt(seq);
  if (hash === undefined) return;
  if (lead.acked && lead.acked.seq >= seq) {
    if (!lead.ackAgain) return;
  } else {
    const ack: Ack = {
      tag: 'ack',
      ...contextOf(st),
      epoch: lead.id,
      term: lead.epoch.term,
      seq,
      hash,
    };
    const signed = ctx.ready.signed(ctx.self, encodeStatement(ack));
    lead.acked = { seq, signed };
    ctx.ready.ops.push({
      key: st.keys.ack(lead.id),
      value: () => encodeStoredAck(signed.statement, signed.sig),
    });
    ctx.ready.sync = true;
  }
  lead.ackAgain = false;
  const { signed } = lead.acked!;
  const command = (to?: UserId) => () => ({
    name: 'ACK_CH_MSG' as const,
    payload: {
      id: st.id,
      from: ctx.self,
      ...(to ? { to } : {}),
      s: signed.statement,
      sig: signed.sig,
    },
  });
  // Acknowledgements of a membership change go to all: the proof must not die with one holder.
  if (st.log.membershipInFlight()) sendToMembers(ctx, st, ctx.ready.late, command());
  else sendToUser(ctx, ctx.ready.late, lead.epoch.leader, command(lead.epoch.leader));
}

/** Any member may put the certificate of a membership change together. */
export function hearAck(
  ctx: StepContext,
  st: ChannelState,
  user: UserId,
  ack: Ack,
  sig: Uint8Array,
): void {
  const lead = st.leadership;
  if (!lead || st.leading || ack.epoch !== lead.id || ack.rosterHash !== st.roster.hash) return;
  if (st.log.hashAt(ack.seq) !== ack.hash || !st.log.membershipInFlight()) return;
  st.heardAcks.set(user, { epoch: ack.epoch, seq: ack.seq, hash: ack.hash, sig });
  const acks = new Map<UserId, { seq: number; sig: Uint8Array }>(st.heardAcks);
  if (lead.acked && lead.acked.signed.sig.length > 0) {
    acks.set(ctx.self, { seq: lead.acked.seq, sig: lead.acked.signed.sig });
  }
  const id = { id: lead.id, term: lead.epoch.term };
  const cert = certificateFrom(st, 'final', id, acks, voters(st.roster), 0);
  if (cert) finalise(ctx, st, cert);
}

/** CH_COMMIT: the driver verified its acknowledgements. */
export function onCommit(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  cert: Certificate,
): void {
  if (st.conflict) return;
  if (cert.seq <= st.log.final.seq) return noteConflict(ctx, st, cert);
  if (cert.roster > st.roster.number) return pullFrom(ctx, st, from);
  const point = certifiedPoint(ctx.crypto.sha256, cert);
  if (st.log.hashAt(cert.seq) !== point.hash) return pullFrom(ctx, st, from);
  if (cert.kind === 'final') {
    if (isValidFinal(st, cert)) finalise(ctx, st, cert);
    return;
  }
  const lead = st.leadership;
  if (!lead || lead.id !== cert.epoch || cert.seq <= lead.committed) return;
  if (cert.head.epoch !== cert.epoch || st.genesis.quorum === 'roster') return;
  const counted = new Set(cert.acks.map((a) => a.user));
  const inElectorate = lead.epoch.electorate.filter((u) => counted.has(u));
  if (isMajority(inElectorate.length, lead.epoch.electorate.length))
    markCommitted(ctx, st, lead, cert.seq);
}

export function isValidFinal(st: ChannelState, cert: Certificate): boolean {
  try {
    checkFinalCertificate(cert, st.roster);
    return true;
  } catch {
    return false;
  }
}

/** Two conflicting final certificates: more than a majority protocol withstands. This node stops and keeps the proof. */
export function noteConflict(ctx: StepContext, st: ChannelState, cert: Certificate): void {
  if (cert.kind !== 'final' || !isValidFinal(st, cert)) return;
  const own = st.log.hashAt(cert.seq);
  const point = certifiedPoint(ctx.crypto.sha256, cert);
  if (own === undefined || own === point.hash) return;
  st.conflict = `two final certificates conflict at seq ${cert.seq}`;
  ctx.ready.put(`${st.keys.all}conflict`, encodeCertificate(cert));
  ctx.ready.sync = true;
  endLeadership(ctx, st, ctx.timing.election_max_ms);
  ctx.ready.events.push({ type: 'note', channel: st.id, note: 'conflict', detail: st.conflict });
}
