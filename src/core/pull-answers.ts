/**
 * Answers to CH_PULL (docs/PROTOCOL.md, section "Catching up"): a challenge's
 * echo, the leader's tail, a proposal for who is behind in its branch, what the
 * exchange of sets asks. What needs the store is left to serve.ts.
 */

import { encodeHeaders } from './certificate.js';
import { HEADER_BYTES, headersOf, type Point } from './chain.js';
import type { ChannelState, Leadership, Leading } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import { encodeElectionProof } from './epoch-record.js';
import { onSet, onTake } from './exchange.js';
import type { Ulid, UserId } from './ids.js';
import type { Entry } from './layout.js';
import { HEADERS_PER_PROPOSAL_MAX, sendElected, signProposal } from './leader.js';
import { PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGES_PER_ANSWER_MAX } from './limits.js';
import { signedReport } from './memory.js';
import { sendToUser } from './sending.js';

export function answerPull(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  p: Payload<'CH_PULL'>,
): void {
  if (p.challenge) sendElected(ctx, st, from, p.challenge);
  const common = p.anchor.find(({ seq, hash }) => st.log.hashAt(seq) === hash);
  if (common && common.seq >= st.log.final.seq && st.cert.length > 0) {
    sendTail(ctx, st, from, common);
  }
  if (common && p.tail) sendProvenTail(ctx, st, from, common);
  if (common && p.recall) sendReportedTail(ctx, st, from, common, p.recall);
  const asksForFinal = p.anchor.length > 0 && (p.anchor.at(-1)?.seq ?? 0) < st.log.final.seq;
  if (p.want.length > 0 || asksForFinal) {
    ctx.ready.serves.push({
      type: 'page',
      channel: st.id,
      to: from,
      anchor: p.anchor,
      want: p.want,
      withGenesis: false,
    });
  }
  if (p.set) onSet(ctx, st, from, p, p.set);
  if (!p.take) return;
  // Who follows this leader asks with its log's position too; others take pages, as from anybody.
  const isFollower = p.anchor.length > 0 && p.take.epoch === st.leadership?.id;
  if (st.leading && isFollower) proposeTo(ctx, st, from, p.take.seq);
  else onTake(ctx, st, from, p.take);
}

/** A leader's pages of what is not final yet, from memory, one behind the other. */
function sendTail(ctx: StepContext, st: ChannelState, to: UserId, base: Point): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead || lead.branch) return;
  let at = base;
  for (let page = 0; page < PAGES_PER_ANSWER_MAX && at.seq < st.log.tip.seq; page++) {
    const entries = tailPage(st, at);
    sendTailPage(ctx, st, { leading, lead }, to, at, entries);
    const { seq, hash } = entries.at(-1)!;
    at = { seq, hash };
  }
}

/** What of the tail fits a page behind `base`, one entry at least. */
function tailPage({ log }: ChannelState, base: Point): Entry[] {
  const page: Entry[] = [];
  let bytes = 0;
  for (let seq = base.seq + 1; seq <= log.tip.seq && page.length < PAGE_ENTRIES_MAX; seq++) {
    const entry = log.entryAt(seq)!;
    bytes += entry.record.bytes.length + entry.proof.length + HEADER_BYTES;
    if (bytes > PAGE_BYTES_MAX && page.length > 0) break;
    page.push(entry);
  }
  return page;
}

function sendTailPage(
  ctx: StepContext,
  st: ChannelState,
  { leading, lead }: { leading: Leading; lead: Leadership },
  to: UserId,
  base: Point,
  entries: readonly Entry[],
): void {
  const { statement, signed } = signProposal(ctx, st, leading, lead, base, entries.at(-1)!);
  sendToUser(ctx, ctx.ready.late, to, () => ({
    name: 'CH_APPEND',
    payload: {
      id: st.id,
      from: ctx.self,
      to,
      anchor: base,
      headers: encodeHeaders(entries.map((e) => e.header)),
      records: entries.map((e) => e.record.bytes),
      proofs: entries.map((e) => e.proof),
      propose: { s: statement, sig: signed.sig },
      final: st.log.final.seq,
    },
  }));
}

/** What another leader proposed last and this log holds, with that proposal and the proof of its election. */
function sendProvenTail(ctx: StepContext, st: ChannelState, to: UserId, base: Point): void {
  const { tailProof } = st;
  const elected = tailProof && st.epochs.get(tailProof.propose.epoch);
  // A roster leader's own is the better one; an online one has the tail of before.
  const leadsRoster = st.leading !== null && st.leadership?.branch === null;
  if (!elected || leadsRoster || base.seq < st.log.final.seq) return;
  const { propose, signed } = tailProof;
  if (st.log.hashAt(propose.tipSeq) !== propose.tipHash) return;
  const entries = st.log.tail.filter((e) => e.seq > base.seq && e.seq <= propose.tipSeq);
  if (entries.length === 0) return;
  sendToUser(ctx, ctx.ready.late, to, () => ({
    name: 'CH_APPEND',
    payload: {
      id: st.id,
      from: ctx.self,
      to,
      anchor: base,
      headers: encodeHeaders(entries.map((e) => e.header)),
      records: entries.map((e) => e.record.bytes),
      proofs: entries.map((e) => e.proof),
      propose: { s: signed.statement, sig: signed.sig },
      proof: encodeElectionProof(elected),
      final: st.log.final.seq,
    },
  }));
}

/** This node's log to its end, for one that lost memory, with the report that says so. */
function sendReportedTail(
  ctx: StepContext,
  st: ChannelState,
  to: UserId,
  base: Point,
  round: Ulid,
): void {
  if (st.memory || base.seq < st.log.final.seq) return;
  const entries = st.log.tail.filter((e) => e.seq > base.seq);
  const { statement, signed } = signedReport(ctx, st, round);
  sendToUser(ctx, ctx.ready.late, to, () => ({
    name: 'CH_APPEND',
    payload: {
      id: st.id,
      from: ctx.self,
      to,
      anchor: base,
      headers: encodeHeaders(entries.map((e) => e.header)),
      records: entries.map((e) => e.record.bytes),
      proofs: entries.map((e) => e.proof),
      report: { s: statement, sig: signed.sig },
      final: st.log.final.seq,
    },
  }));
}

/** Proposes to one member what follows its part of the running branch; it asks for the records that it lacks. */
function proposeTo(ctx: StepContext, st: ChannelState, to: UserId, seq: number): void {
  const { leading, leadership: lead } = st;
  const branch = lead?.branch;
  if (!leading || !lead || !branch || seq >= branch.tip.seq) return;
  const from = Math.max(seq, branch.base.seq);
  const base = { seq: from, hash: branch.hashAt(from)! };
  const end = Math.min(branch.tip.seq, from + HEADERS_PER_PROPOSAL_MAX);
  const tip = { seq: end, hash: branch.hashAt(end)! };
  const { statement, signed } = signProposal(ctx, st, leading, lead, base, tip);
  const headers = encodeHeaders(headersOf(branch, from + 1, end));
  sendToUser(ctx, ctx.ready.early, to, () => ({
    name: 'CH_PROPOSE',
    payload: { id: st.id, from: ctx.self, to, s: statement, sig: signed.sig, headers },
  }));
}
