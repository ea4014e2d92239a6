/**
 * What a follower does (docs/PROTOCOL.md, sections "Following" and
 * "Acknowledging"): adopts a proven leadership, makes its log the leader's,
 * and acknowledges, cumulatively, what is durable. Repair is the follower's
 * business: whatever does not fit is pulled.
 */

import type { Certificate } from './certificate.js';
import { certifiedPoint, encodeCertificate, finalFlaw } from './certificate.js';
import {
  type Chain,
  dropFirst,
  electorateDigest,
  endOf,
  epochId,
  type Header,
  type Stretch,
} from './chain.js';
import { type ChannelState, chainOf, type Leadership } from './channel-state.js';
import type { StepContext } from './effects.js';
import { decodeEpochBody, type ElectionProof, isAckUnder } from './epoch-record.js';
import { answering, isHeard } from './hearing.js';
import type { Digest, UserId } from './ids.js';
import { encodeSigned } from './layout.js';
import { leadershipOf } from './leadership.js';
import { TAIL_ENTRIES_MAX } from './limits.js';
import { isMessageLane } from './log.js';
import { noteOwnAck, noteOwnBallot } from './memory.js';
import { decodeMergeBody } from './merge-record.js';
import type { Pooled } from './pool.js';
import { addPlace, heldRecord, isProven, takeCommitted } from './provisional.js';
import { askFor, pullFrom } from './pulls.js';
import { isMajority } from './quorum.js';
import type { ChannelRecord } from './record.js';
import {
  appendEntry,
  certificateFrom,
  contextOf,
  endLeadership,
  finalise,
  isPlaced,
  prevIsPlaced,
  rosterAfter,
  truncateTail,
} from './replica.js';
import { isLeaderKind, isMembership, voters } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import { isInStanding, isUnderWarrant } from './standing.js';
import {
  type Ack,
  type Beat,
  type EpochKind,
  encodeStatement,
  type Propose,
  type Signed,
} from './statements.js';
import { isInReach, promise, reachOf } from './voting.js';

/** CH_ELECTED: the driver verified the leader's beat and every ballot. */
export function onElected(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  proof: ElectionProof,
  beat: Beat,
): void {
  const { epoch, id, ballots } = proof;
  if (epoch.leader !== from || beat.epoch !== id || beat.term !== epoch.term) return;
  if (from === ctx.self || st.conflict) return;
  if (epoch.kind === 'online' && st.genesis.quorum === 'roster') return;
  if (epoch.kind === 'online' && mayWinRoster(ctx, st)) return;
  if (epoch.roster > st.roster.number) return pullFrom(ctx, st, from);
  if (epoch.roster !== st.roster.number || !isProven(st, proof)) return;
  noteOwnBallot(ctx, st, proof);
  const asked = st.challenge !== null && beat.echo === st.challenge.id;
  const known = st.leadership;
  if (known?.id === id) {
    if (!asked) return;
    // Once: a copy of the answer is no sign of life.
    st.challenge = null;
    return hearBeat(ctx, st, known, beat.beat, true);
  }
  const voted =
    st.votedFor?.kind === epoch.kind &&
    st.votedFor.term === epoch.term &&
    st.votedFor.candidate === from;
  const isLive = asked || voted;
  if (epoch.term < st.hard[epoch.kind].term) return;
  if (known && !supersedes(ctx, st, known, proof, isLive)) return;
  if (epoch.kind === 'online' && !isInReach(st, 'online', epoch.term)) {
    // Few can prove an online leader, of any term: this node comes nearer by steps.
    if (st.leading) endLeadership(ctx, st, ctx.timing.election_min_ms);
    return promise(ctx, st, 'online', { term: reachOf(st, 'online'), votedFor: null });
  }
  // Its log may lack what became final since; a page brings that without a promise.
  if (epoch.kind === 'roster' && epoch.term < st.log.finalTerm) return;
  // A live online leader is not left for what may be a dead leader's echo.
  if (known?.branch && epoch.kind === 'roster' && !isLive && isHeard(ctx, st, known)) {
    return challenge(ctx, st, from);
  }
  endLeadership(ctx, st, ctx.timing.election_min_ms);
  if (epoch.term > st.hard[epoch.kind].term) {
    // Whoever follows term n never votes below it, nor for another in it.
    const electorate = electorateDigest(ctx.crypto.sha256, epoch.electorate);
    promise(ctx, st, epoch.kind, { term: epoch.term, votedFor: { candidate: from, electorate } });
  }
  const lead = leadershipOf(ctx, st, epoch, ballots, isLive);
  lead.lastBeat = beat.beat;
  st.leadership = lead;
  if (st.branches.size > 0) st.exchange.greet.add(from);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
  if (!lead.live) challenge(ctx, st, from);
}

/** Whether this node stands for a roster epoch that it may win: it would give that up for an online leader. */
export function mayWinRoster(ctx: StepContext, st: ChannelState): boolean {
  if (st.election?.kind !== 'roster') return false;
  const all = voters(st.roster).length;
  return st.election.stage === 'ballots' || isMajority(answering(ctx, st).length, all);
}

/**
 * Whether a proven leadership takes the place of the one that is followed: a
 * roster one of any online one, else the one of the higher term and id. Against
 * this order only a live one does, and only of one that is heard no more, or
 * not yet: else who meets several at once goes from one to the next, and hears
 * no answer to what it asked the one before.
 */
function supersedes(
  ctx: StepContext,
  st: ChannelState,
  known: Leadership,
  { id, epoch }: ElectionProof,
  isLive: boolean,
): boolean {
  const mayReplace = isLive && !isHeard(ctx, st, known);
  if (known.epoch.kind !== epoch.kind) return epoch.kind === 'roster' || mayReplace;
  if (epoch.term !== known.epoch.term) return epoch.term > known.epoch.term;
  return epoch.kind === 'online' && (id > known.id || mayReplace);
}

/** Remembers the newest proposal of a roster leader, for when the log has reached it. */
export function notePropose(lead: Leadership, propose: Propose, signed: Omit<Signed, 'by'>): void {
  const newest = lead.proposal?.propose.tipSeq ?? -1;
  if (!lead.branch && propose.tipSeq > newest) lead.proposal = { propose, signed };
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
  const last = st.challenge;
  if (last && ctx.now - last.at < ctx.timing.pull_ms) return;
  // An answer may take longer than until the question is repeated.
  const isYoung = last !== null && ctx.now - last.since < ctx.timing.election_max_ms;
  const { id, since } = isYoung ? last : { id: ctx.ulid(), since: ctx.now };
  st.challenge = { id, since, at: ctx.now };
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
  stretch: Stretch,
  signed: Omit<Signed, 'by'>,
): void {
  const isHeartbeat = stretch.headers.length === 0;
  if (from === ctx.self || st.conflict) return;
  if (p.roster > st.roster.number) return pullFrom(ctx, st, from);
  if (p.roster !== st.roster.number || p.rosterHash !== st.roster.hash) {
    return refuse(ctx, st, from, 'roster', p.kind);
  }
  const lead = st.leadership;
  if (lead?.id !== p.epoch || lead.epoch.leader !== from) {
    if (p.term >= st.hard[p.kind].term) challenge(ctx, st, from);
    else refuse(ctx, st, from, 'term', p.kind);
    return;
  }
  const isPast = p.term < st.hard[p.kind].term;
  if (isPast) refuse(ctx, st, from, 'term', p.kind);
  const news = p.beat > lead.lastBeat;
  if (news && isHeartbeat) lead.ackAgain = true;
  if (lead.live) hearBeat(ctx, st, lead, p.beat, false);
  else challenge(ctx, st, from);
  if (!isPast) {
    follow(ctx, st, lead, stretch);
    notePropose(lead, p, signed);
  }
  if (news && isHeartbeat && p.finalSeq > st.log.final.seq) pullFrom(ctx, st, from);
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
  kind: EpochKind,
): void {
  sendToUser(ctx, ctx.ready.early, user, () => ({
    name: 'CH_GRANT',
    payload: {
      id: st.id,
      from: ctx.self,
      to: user,
      round: ctx.boot,
      refused,
      kind,
      term: st.hard[kind].term,
      roster: st.roster.number,
    },
  }));
}

/** Makes the chain behind `base` the leader's; pulls when it does not reach so far. */
export function follow(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  stretch: Stretch,
): void {
  const leader = lead.epoch.leader;
  const { anchor, headers } = stretch;
  const { limbo } = st;
  const limboEnd = limbo && endOf(limbo);
  if (limbo && limboEnd?.seq === anchor.seq && limboEnd.hash === anchor.hash) {
    if (limbo.headers.length + headers.length <= TAIL_ENTRIES_MAX) {
      st.limbo = {
        anchor: limbo.anchor,
        headers: [...limbo.headers, ...headers],
        hashes: [...limbo.hashes, ...stretch.hashes],
      };
    }
    return drainLimbo(ctx, st);
  }
  if (lead.branch) {
    if (lead.branch.hashAt(anchor.seq) === anchor.hash) takeOver(ctx, st, lead, stretch);
    else if (anchor.seq > lead.branch.tip.seq) pullFrom(ctx, st, leader);
    return;
  }
  // What lies before memory is final here, and the leader's log has it.
  const behind = Math.max(0, st.log.memoryFrom - anchor.seq);
  if (behind > headers.length) return;
  const rest = behind > 0 ? dropFirst(stretch, behind) : stretch;
  if (st.log.hashAt(rest.anchor.seq) !== rest.anchor.hash) {
    if (rest.anchor.seq > st.log.final.seq) pullFrom(ctx, st, leader);
    return;
  }
  takeOver(ctx, st, lead, rest);
}

/** The chain holds the stretch's anchor, which is the leader's: appends as many of the headers as have their record here. */
function takeOver(ctx: StepContext, st: ChannelState, lead: Leadership, stretch: Stretch): void {
  const chain = chainOf(st, lead);
  const { anchor, headers, hashes } = stretch;
  let { seq } = anchor;
  let index = 0;
  for (; index < headers.length; index++) {
    const hash = hashes[index]!;
    if (chain.hashAt(seq + 1) !== hash) {
      if (seq < chain.base.seq) return;
      if (!takeEntry(ctx, st, lead, seq, headers[index]!, hash)) break;
    }
    seq += 1;
  }
  st.limbo = null;
  if (seq > lead.matched) lead.matched = seq;
  if (index < headers.length) {
    st.limbo = dropFirst(stretch, index);
    askForMissing(ctx, st, lead, st.limbo.headers);
  }
}

/** An entry is of the leadership that proposes it, or of an earlier term. */
const mayPropose = ({ id, epoch }: Leadership, { epoch: of, term }: Header): boolean =>
  term < epoch.term || (term === epoch.term && of === id);

/** Puts an entry behind `seq`, if its record is here and may stand there. */
function takeEntry(
  ctx: StepContext,
  st: ChannelState,
  lead: Leadership,
  seq: number,
  header: Header,
  hash: Digest,
): boolean {
  if (!lead.branch) {
    if (!mayPropose(lead, header)) return false;
    // A later leader's entries are not cut for an earlier one's: this node may stand with them.
    if (lead.epoch.term < st.log.lastTerm) return false;
    // What a leader proposed only grows: an honest one places one entry at a seq.
    const acked = st.acks.get(lead.id)?.ack.seq ?? 0;
    if (seq < Math.max(lead.matched, acked)) return false;
    if (st.log.tip.seq > seq) truncateTail(ctx, st, seq);
    return appendProposed(ctx, st, header, hash);
  }
  if (lead.branch.tip.seq > seq || !mayStandInBranch(st, lead, header)) return false;
  addPlace(ctx, st, lead.branch, header, hash);
  return true;
}

/** Invariant 9 in an online epoch: once, by a member, after its predecessor, which is final or in the same chain. */
function mayStandInBranch(st: ChannelState, lead: Leadership, header: Header): boolean {
  const { epoch, id, branch } = lead;
  if (header.epoch !== id || header.term !== epoch.term || header.roster !== epoch.roster) {
    return false;
  }
  if (branch!.seqOf(header.digest) !== undefined) return false;
  // The leader may not know yet that it is final.
  if (st.facts.has(header.digest)) return true;
  const held = heldRecord(st, header.digest);
  if (!held || !isInStanding(st, held)) return false;
  return isMessageLane(held.record) && prevIsPlaced(st, held.record);
}

/** Appends the record that a header names, if it is here and may stand here. */
export function appendProposed(
  ctx: StepContext,
  st: ChannelState,
  header: Header,
  hash: Digest,
): boolean {
  const pooled = st.pool.get(header.digest);
  if (!pooled || header.roster > st.roster.number) return false;
  if (!hasRoomFor(st, pooled.record, header)) return false;
  if (!mayStand(ctx, st, pooled, header)) return false;
  const { suspicion } = st.leadership ?? {};
  if (suspicion) suspicion.newest = Math.max(suspicion.newest, pooled.cameAt);
  appendEntry(ctx, st, pooled.record, () => pooled.proof, header, hash);
  return true;
}

/**
 * Whether the tail may grow by this record. What opens an epoch may stand
 * behind whatever leaders before placed: without it nothing of theirs can
 * become final.
 */
function hasRoomFor(st: ChannelState, record: ChannelRecord, at: Header): boolean {
  if (record.kind !== 'epoch') return !st.log.isFull;
  return st.log.tail.length < TAIL_ENTRIES_MAX || at.epoch === st.leadership?.id;
}

/** What every member checks before it appends: invariants 9 and 12. */
function mayStand(ctx: StepContext, st: ChannelState, pooled: Pooled, at: Header): boolean {
  const { record } = pooled;
  if (isPlaced(st, record.digest, st.log) || !isInTurn(st, record, at)) return false;
  if (!isInStanding(st, pooled) && !comesUnderWarrant(st, record)) return false;
  if (record.kind === 'epoch') return opensItsEpoch(ctx, st, record, at);
  if (isLeaderKind(record.kind)) return isMergeRecord(st, record, at);
  // Nothing stands behind a change of membership until it is final.
  if (st.log.membershipInFlight()) return false;
  return isMembership(record.kind)
    ? rosterAfter(ctx, st, record) !== undefined
    : prevIsPlaced(st, record, st.log);
}

/** Whether the record would stand in what a `merge` record brings under a warrant that covers it. */
function comesUnderWarrant(st: ChannelState, record: ChannelRecord): boolean {
  const seq = st.log.tip.seq + 1;
  const merge = st.log.mergeBefore(seq);
  if (!merge || !isMessageLane(record)) return false;
  const body = decodeMergeBody(merge.record.body);
  return seq <= merge.seq + body.entries && isUnderWarrant(st, body, record.digest);
}

/** Terms don't go back, each begins with its one `epoch` record, and each has one leader. */
function isInTurn({ log }: ChannelState, record: ChannelRecord, at: Header): boolean {
  const opens = record.kind === 'epoch';
  if (opens || at.term !== log.lastTerm) return opens && at.term > log.lastTerm;
  const last = log.tail.at(-1)?.header;
  return last === undefined || last.epoch === at.epoch;
}

/** An `epoch` record names the very leadership that its header is of. */
function opensItsEpoch(
  ctx: StepContext,
  st: ChannelState,
  record: ChannelRecord,
  at: Header,
): boolean {
  const rosterHash = st.electors[at.roster]?.hash;
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

/** A merge record is its leader's own, and stands behind no change of membership. */
function isMergeRecord(st: ChannelState, record: ChannelRecord, at: Header): boolean {
  const leader = st.epochs.get(at.epoch)?.epoch.leader;
  if (leader !== undefined && leader !== record.author) return false;
  if (st.log.membershipInFlight()) return false;
  try {
    return decodeMergeBody(record.body).entries > 0;
  } catch {
    return false;
  }
}

const missingOf = (st: ChannelState, headers: readonly Header[]): Digest[] =>
  headers.map((h) => h.digest).filter((d) => !heldRecord(st, d) && !st.facts.has(d));

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
  const chain = chainOf(st, lead);
  const { anchor } = limbo;
  if (chain.hashAt(anchor.seq) !== anchor.hash) {
    st.limbo = null;
    return;
  }
  const first = limbo.headers[0];
  // A page may have brought the chain past the base: then there is something to skip.
  if (first && chain.tip.seq === anchor.seq && missingOf(st, [first]).length > 0) {
    // Ask again when the first question seems lost.
    askForMissing(ctx, st, lead, limbo.headers);
    return;
  }
  takeOver(ctx, st, lead, limbo);
}

/**
 * Acknowledges the matched prefix, behind the disk. The same acknowledgement
 * is sent again, unsigned anew, when a heartbeat asks.
 */
export function acknowledge(ctx: StepContext, st: ChannelState): void {
  const lead = st.leadership;
  if (!lead || st.leading || st.memory || st.conflict) return;
  if (!st.roster.members.get(ctx.self)?.votes || !ctx.isKnownTo(lead.epoch.leader)) return;
  if (lead.epoch.term < st.hard[lead.epoch.kind].term) return;
  const chain = chainOf(st, lead);
  const matched = Math.min(lead.matched, chain.tip.seq);
  // What is final here is in every later leader's log, so a node that is behind is still heard.
  const seq = lead.branch ? matched : Math.max(matched, st.log.final.seq);
  const hash = chain.hashAt(seq);
  if (hash === undefined || !isOfAckedChain(st, lead, chain)) return;
  if (lead.acked && lead.acked.seq >= seq) {
    if (!lead.ackAgain) return;
  } else {
    const ack: Ack = {
      tag: 'ack',
      ...contextOf(st),
      kind: lead.epoch.kind,
      epoch: lead.id,
      term: lead.epoch.term,
      seq,
      hash,
    };
    const signed = ctx.ready.signed(ctx.self, encodeStatement(ack));
    lead.acked = { seq, signed };
    st.acks.set(lead.id, { ack, signed });
    ctx.ready.ops.push({
      key: st.keys.ack(lead.id),
      value: () => encodeSigned(signed.statement, signed.sig),
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
  const toAll = !lead.branch && st.log.membershipInFlight();
  if (toAll) sendToMembers(ctx, st, ctx.ready.late, command());
  else sendToUser(ctx, ctx.ready.late, lead.epoch.leader, command(lead.epoch.leader));
}

/** Under one leadership a member acknowledges one chain, and what it holds of it, whatever its leader proposes to whom. */
function isOfAckedChain(st: ChannelState, lead: Leadership, chain: Chain): boolean {
  const before = st.acks.get(lead.id)?.ack;
  if (!before) return true;
  const there = chain.hashAt(before.seq);
  return before.seq <= chain.tip.seq && (there === undefined || there === before.hash);
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
  if (!lead || lead.branch || st.leading) return;
  if (!isAckUnder(lead, ack)) return;
  if (st.log.hashAt(ack.seq) !== ack.hash || !st.log.membershipInFlight()) return;
  st.heardAcks.set(user, { epoch: ack.epoch, seq: ack.seq, hash: ack.hash, sig });
  const acks = new Map<UserId, { seq: number; sig: Uint8Array }>(st.heardAcks);
  if (lead.acked && lead.acked.signed.sig.length > 0) {
    acks.set(ctx.self, { seq: lead.acked.seq, sig: lead.acked.signed.sig });
  }
  const cert = certificateFrom(st.log, 'final', lead, acks, voters(st.roster), 0);
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
  noteOwnAck(ctx, st, cert);
  if (cert.kind === 'committed') {
    const lead = st.leadership;
    const isBehind = lead?.id === cert.epoch && chainOf(st, lead).tip.seq < cert.seq;
    if (!takeCommitted(ctx, st, cert) && isBehind) pullFrom(ctx, st, from);
    return;
  }
  if (cert.seq <= st.log.final.seq) return noteConflict(ctx, st, cert);
  if (cert.roster > st.roster.number) return pullFrom(ctx, st, from);
  const point = certifiedPoint(ctx.crypto.sha256, cert);
  if (st.log.hashAt(cert.seq) !== point.hash) return pullFrom(ctx, st, from);
  if (isValidFinal(st, cert)) finalise(ctx, st, cert);
}

/**
 * Whether a certificate is a valid final one of the roster in force or of the
 * one before it: majorities of two neighbouring rosters, which differ by one
 * vote at most, intersect, and nobody acknowledges under a roster once it is
 * under the next.
 */
export function isValidFinal(st: ChannelState, cert: Certificate): boolean {
  const electors = st.electors[cert.roster];
  if (electors === undefined || cert.roster < st.roster.number - 1) return false;
  return finalFlaw(cert, electors) === undefined;
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
