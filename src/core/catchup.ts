/**
 * Catching up (docs/PROTOCOL.md, section "Catching up"). A member that is
 * behind asks with CH_PULL, whose locators are positions and hashes
 * exponentially further back, and gets CH_APPEND pages: final ones from any
 * member, since they end in a certificate and prove themselves; the tail from
 * the leader alone, under its proposal. Pages are bounded, so memory is too.
 */

import {
  type Certificate,
  certifiedPoint,
  decodeCertificate,
  decodeHeaders,
} from './certificate.js';
import { dropFirst, endOf, type Point, type Stretch, stretchOf } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Payload } from './commands.js';
import type { Hash } from './crypto.js';
import type { StepContext } from './effects.js';
import { decodeElectionProof, type ElectionProof } from './epoch-record.js';
import { ConclaveError } from './errors.js';
import { appendProposed, follow, isValidFinal, notePropose } from './follower.js';
import { hearsRosterLeader } from './hearing.js';
import type { Digest, UserId } from './ids.js';
import { JOIN_REPEAT_MS, TAIL_ENTRIES_MAX } from './limits.js';
import { isMessageLane } from './log.js';
import { askWhetherIn } from './membership.js';
import { noteOwnAck, noteOwnRecord, remember } from './memory.js';
import { pooledFrom } from './pool.js';
import { isProven, rememberEpoch } from './provisional.js';
import { pullFrom } from './pulls.js';
import { type ChannelRecord, decodeRecord } from './record.js';
import {
  appendEntry,
  endLeadership,
  finalise,
  keepProposal,
  rosterAfter,
  truncateTail,
} from './replica.js';
import { isMembership } from './roster.js';
import { decodeAs, type Propose, type Report, type Signed } from './statements.js';

/** A page as the driver's inspection found it: its chain leads to `end`, its records match its headers. */
export interface Page extends Stretch {
  readonly records: readonly ChannelRecord[];
  readonly proofs: readonly Uint8Array[];
  readonly end: Point;
  readonly cert: Certificate | null;
  readonly propose: Propose | null;
  /** The proposal with its signature. */
  readonly signed: Omit<Signed, 'by'> | null;
  /** What the sender reported to one that lost memory. */
  readonly report: Report | null;
  /** Whose proposal it is, if not the sender's. */
  readonly proof: ElectionProof | null;
  /** Where the sender's final point is. */
  readonly final: number;
  /** How many pages of the same answer follow. */
  readonly more: number;
}

/** Throws `bad_page` or `bad_encoding`. */
export function inspectPage(hash: Hash, p: Payload<'CH_APPEND'>, propose: Propose | null): Page {
  const headers = decodeHeaders(p.headers, TAIL_ENTRIES_MAX);
  if (headers.length !== p.records.length || headers.length !== p.proofs.length) {
    throw new ConclaveError('bad_page', 'a page with a different number of headers and records');
  }
  // What is not certified is held for long, so it needs memory of its own; the rest is on disk after the step.
  const records = p.records.map((bytes) => decodeRecord(hash, p.cert ? bytes : bytes.slice()));
  records.forEach((record, i) => {
    if (record.digest !== headers[i]!.digest || record.channel !== p.id) {
      throw new ConclaveError('bad_page', 'a page whose records are not those of its headers');
    }
  });
  const stretch = stretchOf(hash, p.anchor, headers);
  const end = endOf(stretch);
  const cert = p.cert ? decodeCertificate(p.cert) : null;
  if (cert && headers.length > 0) {
    const point = certifiedPoint(hash, cert);
    if (point.seq !== end.seq || point.hash !== end.hash) {
      throw new ConclaveError('bad_page', 'a page whose certificate is for another point');
    }
  }
  const proof = p.proof ? decodeElectionProof(hash, p.id, p.proof) : null;
  if (proof && propose?.epoch !== proof.id) {
    throw new ConclaveError('bad_page', 'a page whose proposal is of another election');
  }
  if (propose && (propose.tipSeq !== end.seq || propose.tipHash !== end.hash)) {
    throw new ConclaveError('bad_page', 'a page whose proposal is for another point');
  }
  return {
    ...stretch,
    records,
    proofs: p.proofs,
    end,
    cert,
    propose,
    signed: p.propose ? { statement: p.propose.s.slice(), sig: p.propose.sig.slice() } : null,
    proof,
    report: p.report ? decodeAs('report', p.report.s) : null,
    final: p.final,
    more: p.more ?? 0,
  };
}

/** Takes in a page. The driver verified the certificate's or the proposal's signatures. */
export function onPage(ctx: StepContext, st: ChannelState, from: UserId, page: Page): void {
  if (st.conflict) return;
  if (st.pull?.to === from) st.pull = null;
  if (page.cert) takeFinalPage(ctx, st, from, page, page.cert);
  else if (page.report) takeReportedTail(ctx, st, from, page);
  else if (page.proof) takeProvenTail(ctx, st, page, page.proof);
  else if (page.propose) takeTailPage(ctx, st, from, page);
}

/**
 * A tail that is better than this node's own, with the proof that a leader,
 * dead by now, proposed it. Who was refused for its log takes it and stands
 * again: a log that is not behind holds all that may be final (Raft, section
 * 5.4.1), so nothing is lost by taking the better one whole.
 */
function takeProvenTail(
  ctx: StepContext,
  st: ChannelState,
  page: Page,
  proof: ElectionProof,
): void {
  const last = page.headers.at(-1);
  if (!last || proof.epoch.kind !== 'roster' || !isProven(st, proof)) return;
  if (proof.epoch.roster !== st.roster.number || hearsRosterLeader(ctx, st)) return;
  const isBetter =
    last.term > st.log.lastTerm || (last.term === st.log.lastTerm && page.end.seq > st.log.tip.seq);
  if (!isBetter) return;
  rememberEpoch(ctx, st, proof);
  if (!installTail(ctx, st, page, proof.epoch.term)) return;
  keepProposal(ctx, st, page.propose!, page.signed!);
  // What this node followed before is over: it would take up its late proposals.
  const lead = st.leadership;
  if (lead && !lead.branch && lead.epoch.term < proof.epoch.term) {
    endLeadership(ctx, st, ctx.timing.election_min_ms);
  }
  st.election = null;
  st.electionAt = ctx.now + ctx.timing.gather_ms * ctx.patience();
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}

/** The best log that was reported to this node, which lost memory: then it has all that it may have helped to make final. */
function takeReportedTail(ctx: StepContext, st: ChannelState, from: UserId, page: Page): void {
  const { memory } = st;
  if (!memory || !isAskedFor(st, from, page)) return;
  if (installTail(ctx, st, page, page.report!.lastTerm)) remember(ctx, st, memory);
}

/** Whether a page with a report of its sender is what this node asked for. */
const isAskedFor = (st: ChannelState, from: UserId, { report, end }: Page): boolean =>
  report !== null &&
  report.round === st.memory?.round &&
  st.memory.reports.has(from) &&
  report.lastSeq === end.seq &&
  report.lastHash === end.hash;

/** Puts a tail of terms up to `newest` in place of this node's own, from where they part. False when it does not fit. */
function installTail(ctx: StepContext, st: ChannelState, page: Page, newest: number): boolean {
  const { anchor } = page;
  if (page.headers.some(({ term }) => term > newest)) return false;
  if (anchor.seq < st.log.final.seq || st.log.hashAt(anchor.seq) !== anchor.hash) return false;
  holdTail(ctx, st, page);
  for (const [i, header] of page.headers.entries()) {
    const seq = anchor.seq + i;
    const hash = page.hashes[i]!;
    if (st.log.hashAt(seq + 1) === hash) continue;
    if (st.log.tip.seq > seq) truncateTail(ctx, st, seq);
    if (!appendProposed(ctx, st, header, hash)) return false;
  }
  return true;
}

function takeFinalPage(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  page: Page,
  cert: Certificate,
): void {
  noteOwnAck(ctx, st, cert);
  // A second copy asks for nothing: where links repeat, questions would breed.
  if (cert.seq <= st.log.final.seq) return;
  if (!isValidFinal(st, cert)) return;
  if (page.headers.length > 0 && !installPage(ctx, st, page)) return;
  if (isOtherHistory(st, cert.seq)) return refuseHistory(ctx, st);
  const point = certifiedPoint(ctx.crypto.sha256, cert);
  if (st.log.hashAt(cert.seq) !== point.hash) return;
  finalise(ctx, st, cert);
  // The next request to join names the new final point, once the answer to this one is whole.
  const nextAt = page.more > 0 ? ctx.now + JOIN_REPEAT_MS : ctx.now;
  if (st.joining) Object.assign(st.joining, { nextAt, refusedSince: null });
  if (page.more > 0 && st.roster.members.has(ctx.self)) {
    st.pull = { to: from, at: ctx.now };
    return;
  }
  const news = page.final > st.log.final.seq || st.log.tip.seq < page.end.seq;
  if (news && !st.roster.members.has(ctx.self)) askWhetherIn(ctx, st);
  if (news) pullFrom(ctx, st, from);
  else if (st.leadership?.epoch.leader === from && !st.leading) pullFrom(ctx, st, from);
}

/** True when the invitation pinned a point that this history does not go through. */
function isOtherHistory(st: ChannelState, upTo: number): boolean {
  const pinned = st.joining?.pinned;
  if (!pinned || pinned.seq <= st.log.final.seq || pinned.seq > upTo) return false;
  return st.log.hashAt(pinned.seq) !== pinned.hash;
}

function refuseHistory(ctx: StepContext, st: ChannelState): void {
  truncateTail(ctx, st, st.log.final.seq);
  const { token } = st.joining!;
  st.joining = null;
  ctx.ready.events.push({
    type: 'failed',
    token,
    code: 'history_mismatch',
    message:
      'the members showed another history than the one that the invitation names: ask who invited you',
    retryable: false,
  });
}

/** Puts a certified page in place of what the tail has there. False when it does not fit. */
function installPage(ctx: StepContext, st: ChannelState, page: Page): boolean {
  const skip = Math.max(0, st.log.memoryFrom - page.anchor.seq, st.log.final.seq - page.anchor.seq);
  if (skip > page.headers.length) return false;
  const base = dropFirst(page, skip).anchor;
  if (st.log.hashAt(base.seq) !== base.hash) return false;
  for (let i = skip; i < page.headers.length; i++) {
    const record = page.records[i]!;
    const hash = page.hashes[i]!;
    const seq = page.anchor.seq + i;
    if (st.log.hashAt(seq + 1) === hash) continue;
    if (isMembership(record.kind) && !rosterAfter(ctx, st, record)) return false;
    noteOwnRecord(ctx, st, record);
    if (st.log.tip.seq > seq) truncateTail(ctx, st, seq);
    const proof = page.proofs[i]!;
    appendEntry(ctx, st, record, () => proof, page.headers[i]!, hash);
  }
  return true;
}

/** The leader's tail: its records join the pool, then the proposal is followed like any other. */
function takeTailPage(ctx: StepContext, st: ChannelState, from: UserId, page: Page): void {
  const lead = st.leadership;
  const p = page.propose!;
  if (!lead || lead.id !== p.epoch || lead.epoch.leader !== from) return;
  if (lead.epoch.term < st.hard[lead.epoch.kind].term) return;
  holdTail(ctx, st, page);
  st.limbo = null;
  follow(ctx, st, lead, page);
  notePropose(lead, p, page.signed!);
}

/** Puts a tail's records beside those that wait to be placed. */
function holdTail(ctx: StepContext, st: ChannelState, page: Page): void {
  page.records.forEach((record, i) => {
    const isFinal = page.anchor.seq + i < st.log.final.seq;
    if (isFinal || st.log.seqOf(record.digest) !== undefined) return;
    st.pool.add(
      pooledFrom({ record, proof: page.proofs[i]! }, { cameAt: ctx.now, kept: false }),
      true,
    );
  });
}

/** Whether a message waits in the pool; a change of membership is not looked up, and may be final though it came again. */
function isWaiting(st: ChannelState, digest: Digest): boolean {
  const pooled = st.pool.get(digest);
  return pooled !== undefined && isMessageLane(pooled.record);
}

/**
 * Digests whose place must be looked up in the store before these records are
 * handled: those that memory cannot tell to be new, and their predecessors. A
 * record is surely new when it follows its author's last placed message, an
 * entry of the tail, or a record that is not placed itself.
 */
export function lookupsFor(st: ChannelState, records: readonly ChannelRecord[]): Digest[] {
  const unknown = new Set<Digest>();
  const fresh = new Set<Digest>();
  for (const record of records) {
    const { digest, prev, author } = record;
    if (!isMessageLane(record) || st.log.seqOf(digest) !== undefined) continue;
    const isNew =
      fresh.has(prev) ||
      prev === st.log.tipOf(author) ||
      st.log.seqOf(prev) !== undefined ||
      isWaiting(st, prev);
    if (isNew) {
      fresh.add(digest);
      continue;
    }
    if (!st.facts.has(digest)) unknown.add(digest);
    if (!st.facts.has(prev)) unknown.add(prev);
  }
  return [...unknown];
}
