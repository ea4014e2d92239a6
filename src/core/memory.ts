/**
 * Lost memory (docs/PROTOCOL.md, section "Lost memory"). A node that meets a
 * statement of its own that its store does not hold runs on an old disk: what
 * it promised and acknowledged since is unknown to it. It stops voting and
 * acknowledging and asks the others:
 *
 *     CH_RECALL {}              → CH_REPORT {seen, promised} … → above what it may have voted
 *     CH_RECALL {what it knows} → CH_REPORT {promise, log} …   → the best log → votes again
 *
 * First it looks what others saw and promised: what it voted in after it had
 * lost memory before lies above that. Then each voter promises a term above
 * all that the asker may have voted in, so that no acknowledgement given after
 * its report can complete with one that was forgotten, and reports its log.
 * Reports of more than half of the voters, the asker not counted, hold
 * everything that the asker may have helped to make final.
 */

import { Writer } from './bytes.js';
import type { Certificate } from './certificate.js';
import type { ChannelState, Forgotten } from './channel-state.js';
import type { Ready, StepContext } from './effects.js';
import type { ElectionProof } from './epoch-record.js';
import { postponeElection } from './hearing.js';
import type { UserId } from './ids.js';
import type { VotePromise } from './layout.js';
import {
  FORGOTTEN_TERMS_MAX,
  RECALL_PAUSE_MS,
  RECALL_PAUSE_MS_MAX,
  TERM_JUMP_MAX,
  VOTES_ALONE_MS,
} from './limits.js';
import { isMessageLane } from './log.js';
import { heldRecord } from './provisional.js';
import { majorityOf } from './quorum.js';
import type { ChannelRecord } from './record.js';
import { contextOf, endLeadership } from './replica.js';
import { voters } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import {
  type EpochKind,
  encodeStatement,
  type Recall,
  type Report,
  type Signed,
} from './statements.js';
import { reachOf, storePromises } from './voting.js';

export const nothingKnown = (): Forgotten => ({
  round: '',
  known: null,
  firstSeen: new Map(),
  askAt: 0,
  reports: new Map(),
  alone: null,
});

/** Stops voting and acknowledging until the others told what was forgotten. */
export function forget(ctx: StepContext, st: ChannelState, evidence: string): void {
  if (st.memory) return;
  forgetAll(ctx.ready, st, evidence);
  endLeadership(ctx, st, ctx.timing.election_max_ms);
  ctx.ready.events.push({ type: 'note', channel: st.id, note: 'memory lost', detail: evidence });
}

/** The same for a channel that is new to this node's store. */
export function forgetAll(ready: Ready, st: ChannelState, evidence: string): void {
  st.memory = nothingKnown();
  ready.put(st.keys.forgotten, new TextEncoder().encode(evidence));
  ready.sync = true;
}

/** Found by this node itself. Where it votes alone there is nobody to ask, and it goes on. */
function noteForgotten(ctx: StepContext, st: ChannelState, evidence: string): void {
  if (!votesAlone(ctx, st)) forget(ctx, st, evidence);
}

/** A message of this node came that it neither holds nor knows to be final. */
export function noteOwnRecord(ctx: StepContext, st: ChannelState, record: ChannelRecord): void {
  if (record.author !== ctx.self || !isMessageLane(record) || st.outbox.has(record.digest)) return;
  if (heldRecord(st, record.digest) || st.facts.has(record.digest)) return;
  if (st.recoveredIn !== null && record.boot <= st.recoveredIn) return;
  if (st.outbox.size === 0) st.ownPrev = record.digest;
  noteForgotten(ctx, st, `a message of this node, ${record.id}, that its store does not hold`);
}

/** A ballot of this node that its promise does not cover. */
export function noteOwnBallot(ctx: StepContext, st: ChannelState, proof: ElectionProof): void {
  const { kind, term, leader } = proof.epoch;
  if (!proof.ballots.some((b) => b.user === ctx.self)) return;
  const { term: promised, votedFor } = st.hard[kind];
  const isKnown = promised > term || (promised === term && votedFor?.candidate === leader);
  if (!isKnown) noteForgotten(ctx, st, `a ballot of this node in ${kind} term ${term}`);
}

/** An acknowledgement of this node that its store does not hold. */
export function noteOwnAck(ctx: StepContext, st: ChannelState, cert: Certificate): void {
  const own = cert.acks.find((ack) => ack.user === ctx.self);
  if (!own || (st.acks.get(cert.epoch)?.ack.seq ?? 0) >= own.seq) return;
  // What was forgotten is what came last: nothing below the newest term that is known here.
  const isNews =
    cert.epochKind === 'roster'
      ? own.seq > st.log.final.seq && cert.term >= st.hard.roster.seen
      : cert.term > st.hard.online.seen;
  if (isNews) noteForgotten(ctx, st, `an acknowledgement of this node up to seq ${own.seq}`);
}

const isVoter = (ctx: StepContext, st: ChannelState): boolean =>
  st.roster.members.get(ctx.self)?.votes === true;

const votesAlone = (ctx: StepContext, st: ChannelState): boolean =>
  isVoter(ctx, st) && voters(st.roster).length === 1;

const isAsked = (ctx: StepContext, st: ChannelState): boolean =>
  isVoter(ctx, st) && !st.memory && st.conflict === null;

/** Asks again and again until enough have reported. */
export function tickMemory(ctx: StepContext, st: ChannelState): void {
  const { memory } = st;
  if (!memory || st.conflict || !isVoter(ctx, st)) return;
  if (votesAlone(ctx, st)) return waitAlone(ctx, st, memory);
  if (ctx.now >= memory.askAt) ask(ctx, st, memory);
  ctx.ready.wake(memory.askAt);
}

/**
 * Nobody else can report. But members without a vote may have more of the log,
 * and others may vote by now, under a roster that this node forgot. It gets
 * both by catching up, so it goes on once nothing came for a while.
 */
function waitAlone(ctx: StepContext, st: ChannelState, memory: Forgotten): void {
  const { seq } = st.log.final;
  if (memory.alone?.final !== seq) memory.alone = { final: seq, since: ctx.now };
  const until = memory.alone!.since + VOTES_ALONE_MS;
  if (ctx.now < until) return ctx.ready.wake(until);
  memory.known = highestSeen(st);
  remember(ctx, st, memory);
}

/** The highest terms in which this node voted or followed, as far as it knows. */
const highestSeen = ({ hard: { roster, online }, log }: ChannelState) => ({
  roster: Math.max(roster.seen, log.lastTerm),
  online: online.seen,
});

/** Until it knows what it may have voted in it asks with nothing, and nobody promises more for that. */
function ask(ctx: StepContext, st: ChannelState, memory: Forgotten): void {
  if (memory.round === '') memory.round = ctx.ulid();
  memory.askAt = ctx.now + ctx.timing.pull_ms;
  const recall: Recall = {
    tag: 'recall',
    ...contextOf(st),
    round: memory.round as Recall['round'],
    term: memory.known?.roster ?? 0,
    onlineTerm: memory.known?.online ?? 0,
  };
  const statement = encodeStatement(recall);
  const signed = ctx.ready.signed(ctx.self, statement);
  sendToMembers(ctx, st, ctx.ready.early, () => ({
    name: 'CH_RECALL',
    payload: { id: st.id, from: ctx.self, s: statement, sig: signed.sig },
  }));
}

/**
 * Promises a term above what the asker may have voted in, if it knows that,
 * then reports this node's log. Who has seen a higher term says so: then all
 * are asked anew.
 */
export function onRecall(ctx: StepContext, st: ChannelState, from: UserId, r: Recall): void {
  if (!isAsked(ctx, st) || st.roster.members.get(from)?.votes !== true) return;
  if (!ctx.isKnownTo(from)) return;
  if (r.roster !== st.roster.number || r.rosterHash !== st.roster.hash) return;
  const { roster, online } = st.hard;
  const isLook = r.term === 0 && r.onlineTerm === 0;
  // Nobody pushes terms to the sky: this voter comes nearer by steps, like to an online leader's.
  const near = (kind: EpochKind, term: number): number => Math.min(term, reachOf(st, kind));
  const made = isLook
    ? st.hard
    : {
        roster: raised(roster, near('roster', r.term)),
        online: raised(online, near('online', r.onlineTerm)),
      };
  if (made.roster !== roster || made.online !== online) {
    if (!mayRaise(ctx, st, from)) return;
    storePromises(ctx, st, made);
    if (st.leading) endLeadership(ctx, st, 0);
    st.election = null;
  }
  const { statement, signed } = signedReport(ctx, st, r.round);
  sendToUser(ctx, ctx.ready.late, from, () => ({
    name: 'CH_REPORT',
    payload: { id: st.id, from: ctx.self, to: from, s: statement, sig: signed.sig },
  }));
}

/**
 * Who loses memory again and again, or says so, ends a leadership with each
 * promise that it asks for: the next one waits, twice as long each time.
 */
function mayRaise(ctx: StepContext, st: ChannelState, from: UserId): boolean {
  const before = st.recalled.get(from);
  if (before && ctx.now < before.nextAt) return false;
  const isRecent = before && ctx.now < before.nextAt + RECALL_PAUSE_MS_MAX;
  const pause = isRecent ? Math.min(2 * before.pause, RECALL_PAUSE_MS_MAX) : RECALL_PAUSE_MS;
  st.recalled.set(from, { pause, nextAt: ctx.now + pause });
  return true;
}

/** The promise, at least as far above `known` as the asker may have forgotten. */
function raised(promise: VotePromise, known: number): VotePromise {
  const term = known + FORGOTTEN_TERMS_MAX;
  return promise.term >= term ? promise : { ...promise, term, votedFor: null };
}

export function signedReport(
  ctx: StepContext,
  st: ChannelState,
  round: Recall['round'],
): { statement: Uint8Array; signed: Signed } {
  const { tip, lastTerm } = st.log;
  const { roster, online } = st.hard;
  const statement = encodeStatement({
    tag: 'report',
    ...contextOf(st),
    round,
    term: roster.seen,
    promised: roster.term,
    onlineTerm: online.seen,
    onlinePromised: online.term,
    lastTerm,
    lastSeq: tip.seq,
    lastHash: tip.hash,
  });
  return { statement, signed: ctx.ready.signed(ctx.self, statement) };
}

/** A voter's report; the driver verified it. */
export function onReport(ctx: StepContext, st: ChannelState, from: UserId, r: Report): void {
  const { memory } = st;
  if (memory?.round !== r.round || st.roster.members.get(from)?.votes !== true) return;
  if (r.roster !== st.roster.number || r.rosterHash !== st.roster.hash) return;
  // What it has seen since its first report came after this node had stopped voting.
  const first = memory.firstSeen.get(from) ?? { roster: r.term, online: r.onlineTerm };
  memory.firstSeen.set(from, first);
  if (!memory.known) {
    memory.reports.set(from, r);
    return lookedAround(ctx, st, memory);
  }
  const { roster, online } = memory.known;
  if (first.roster > roster || first.online > online) {
    // More than was known: all must promise above that.
    memory.known = {
      roster: Math.max(roster, first.roster),
      online: Math.max(online, first.online),
    };
    return askAnew(ctx, memory);
  }
  const isPromised =
    r.promised >= roster + FORGOTTEN_TERMS_MAX && r.onlinePromised >= online + FORGOTTEN_TERMS_MAX;
  if (!isPromised) return;
  memory.reports.set(from, r);
  recoverFrom(ctx, st, memory);
}

function askAnew(ctx: StepContext, memory: Forgotten): void {
  Object.assign(memory, { round: '', askAt: ctx.now });
  memory.reports.clear();
}

/** More than half of the voters have reported, this node not counted; where there are two or three, all others. */
function haveEnough(st: ChannelState, { reports }: Forgotten): boolean {
  const all = voters(st.roster).length;
  return reports.size >= Math.min(majorityOf(all), all - 1);
}

/**
 * What this node voted in after it had lost memory before, and nobody else
 * did, lies above what more than half promised then: so it asks for promises
 * above what these have promised by now.
 */
function lookedAround(ctx: StepContext, st: ChannelState, memory: Forgotten): void {
  if (!haveEnough(st, memory)) return;
  const reports = [...memory.reports.values()];
  const own = highestSeen(st);
  memory.known = {
    roster: Math.max(1, own.roster, ...reports.map((r) => Math.max(r.term, r.promised))),
    online: Math.max(own.online, ...reports.map((r) => Math.max(r.onlineTerm, r.onlinePromised))),
  };
  askAnew(ctx, memory);
}

/** Takes the best log that was reported, once enough have. */
function recoverFrom(ctx: StepContext, st: ChannelState, memory: Forgotten): void {
  if (!haveEnough(st, memory)) return;
  const best = [...memory.reports].reduce((a, b) => (isBetter(b[1], a[1]) ? b : a));
  const own = { lastTerm: st.log.lastTerm, lastSeq: st.log.tip.seq };
  if (!isBetter(best[1], own)) return remember(ctx, st, memory);
  const anchor = st.log.locators(64);
  // A change of membership in the same step begins a new round.
  const recall = memory.round as Recall['round'];
  sendToUser(ctx, ctx.ready.early, best[0], () => ({
    name: 'CH_PULL',
    payload: {
      id: st.id,
      from: ctx.self,
      to: best[0],
      anchor,
      want: [],
      recall,
    },
  }));
}

const isBetter = (
  a: { lastTerm: number; lastSeq: number },
  b: { lastTerm: number; lastSeq: number },
): boolean => a.lastTerm > b.lastTerm || (a.lastTerm === b.lastTerm && a.lastSeq > b.lastSeq);

/** This log is as good as the best that was reported: votes again, above all that may have been forgotten. */
export function remember(ctx: StepContext, st: ChannelState, memory: Forgotten): void {
  const known = memory.known!;
  const reports = [...memory.reports.values()];
  const { hard, log } = st;
  const roster = Math.max(
    ...[hard.roster.term, log.lastTerm, known.roster + FORGOTTEN_TERMS_MAX],
    ...reports.flatMap((r) => [r.promised, r.lastTerm]),
  );
  const online = Math.max(
    ...[roster, hard.online.term, known.online + FORGOTTEN_TERMS_MAX],
    ...reports.map((r) => r.onlinePromised),
  );
  st.memory = null;
  // Whom it voted for had grants of more than half, so of one that reported: and that one lets a term jump so far.
  const above = (term: number): VotePromise => ({
    term: term + TERM_JUMP_MAX,
    seen: term,
    votedFor: null,
  });
  st.recoveredIn = ctx.boot;
  ctx.ready.put(st.keys.recovered, new Writer(16).ulid(ctx.boot).done());
  st.votedFor = null;
  storePromises(ctx, st, { roster: above(roster), online: above(online) });
  ctx.ready.del(st.keys.forgotten);
  endLeadership(ctx, st, ctx.timing.election_min_ms);
  postponeElection(ctx, st);
  const detail = `reports of ${reports.length} members`;
  ctx.ready.events.push({ type: 'note', channel: st.id, note: 'memory regained', detail });
}
