/**
 * Changes of the log that leaders and followers share: append, replace the
 * tail, make a prefix final (docs/PROTOCOL.md, sections "Log", "Final").
 * Every change of memory here has its store operation beside it.
 */

import { Writer } from './bytes.js';
import {
  type Certificate,
  certifiedPoint,
  electorsOf,
  encodeCertificate,
  encodeStep,
} from './certificate.js';
import { type Chain, type EpochDescriptor, headersOf } from './chain.js';
import type { ChannelState } from './channel-state.js';
import { noteDepartures } from './departed.js';
import type { StepContext } from './effects.js';
import { invariant } from './errors.js';
import { rememberFact, rememberTips } from './facts.js';
import type { Digest, EpochId, UserId } from './ids.js';
import { type Entry, encodeEntry, encodeFinal, encodeSigned } from './layout.js';
import { rememberSuspicion } from './leadership.js';
import {
  CHECKPOINT_BYTES,
  CHECKPOINT_ENTRIES,
  PAGE_BYTES_MAX,
  PAGE_ENTRIES_MAX,
  TAIL_ENTRIES_MAX,
} from './limits.js';
import { isCarried, isMessageLane } from './log.js';
import { pooledFrom } from './pool.js';
import { isInBranch, keepDisplaced, pruneSet, reportProgress } from './provisional.js';
import { majorityOf, majorityPosition } from './quorum.js';
import type { ChannelRecord } from './record.js';
import { applyMembership, isMembership, type Roster } from './roster.js';
import { keepApart } from './runs.js';
import type { Context, Propose, Signed } from './statements.js';

/** What this node's statements in the channel start with. */
export const contextOf = (st: ChannelState): Context => ({
  channel: st.id,
  roster: st.roster.number,
  rosterHash: st.roster.hash,
});

/**
 * The chain that entries go to now: an online epoch's own, in which only what
 * it holds itself or what is final counts as placed, else the log.
 */
const runningChain = (st: ChannelState): Chain => st.leadership?.branch ?? st.log;

/** Whether a record is known to be placed: final, or in the chain. */
export const isPlaced = (st: ChannelState, digest: Digest, chain = runningChain(st)): boolean =>
  chain.seqOf(digest) !== undefined || st.facts.has(digest);

/** True when the record's predecessor is placed, so that it may follow. */
export function prevIsPlaced(
  st: ChannelState,
  { prev, author }: ChannelRecord,
  chain = runningChain(st),
): boolean {
  const tip = chain === st.log ? st.log.tipOf(author) : st.log.finalTipOf(author);
  return prev === st.roster.members.get(author)?.root || prev === tip || isPlaced(st, prev, chain);
}

/** Once the log has reached the leader's newest proposal, that proves whose tail it holds. */
export function proveTail(ctx: StepContext, st: ChannelState): void {
  const newest = st.leadership?.proposal;
  if (!newest || st.leading) return;
  const { propose, signed } = newest;
  if (st.log.hashAt(propose.tipSeq) !== propose.tipHash) return;
  const known = st.tailProof?.propose;
  const isNews = known?.epoch !== propose.epoch || known.tipSeq < propose.tipSeq;
  if (isNews && propose.tipSeq > st.log.final.seq) keepProposal(ctx, st, propose, signed);
}

/** Keeps the proposal that proves whose tail this log holds. */
export function keepProposal(
  ctx: StepContext,
  st: ChannelState,
  propose: Propose,
  signed: Omit<Signed, 'by'>,
): void {
  st.tailProof = { propose, signed };
  ctx.ready.ops.push({
    key: st.keys.proposal,
    value: () => encodeSigned(signed.statement, signed.sig),
  });
}

/** The roster after a membership record, or undefined when it is not valid now. */
export function rosterAfter(
  ctx: StepContext,
  st: ChannelState,
  record: ChannelRecord,
): Roster | undefined {
  try {
    return applyMembership(ctx.crypto.sha256, st.roster, record);
  } catch {
    return undefined;
  }
}

export function appendEntry(
  ctx: StepContext,
  st: ChannelState,
  record: ChannelRecord,
  proof: () => Uint8Array,
  at: { epoch: EpochId; term: number; roster: number },
  hash?: Digest,
): Entry {
  // A leader's own record is not signed yet; any other's proof is known, and may be needed before the batch is.
  const entry = st.log.append(record, proof(), at, hash);
  persistEntry(ctx, st, entry, proof);
  if (record.kind === 'merge' && st.leadership) st.leadership.mergedAt = ctx.now;
  return entry;
}

function persistEntry(
  ctx: StepContext,
  st: ChannelState,
  entry: Entry,
  proof: () => Uint8Array,
): void {
  const pooled = st.pool.remove(entry.record.digest);
  ctx.ready.ops.push({
    key: st.keys.log(entry.seq),
    value: () => {
      (entry as { proof: Uint8Array }).proof = proof();
      return encodeEntry(entry);
    },
  });
  if (pooled?.apart) ctx.ready.del(st.keys.pool(entry.record.digest));
  ctx.ready.sync = true;
  st.offered.delete(entry.record.digest);
  const own = st.outbox.get(entry.record.digest);
  if (own && own.state === 'queued') {
    own.state = 'sent';
    reportProgress(ctx, st, entry.record, 'sent', null);
  }
}

/** Drops the tail behind `seq`. Messages go back to the pool, their places to a branch; nothing that somebody wrote is lost. */
export function truncateTail(ctx: StepContext, st: ChannelState, seq: number): void {
  keepDisplaced(ctx, st, seq);
  st.version += 1;
  for (const { seq: at, record, proof } of st.log.truncate(seq)) {
    ctx.ready.del(st.keys.log(at));
    ctx.ready.sync = true;
    if (!isMessageLane(record)) continue;
    const own = st.outbox.get(record.digest);
    if (own) {
      st.pool.add(own.pooled, true);
      if (own.state === 'sent' && !isInBranch(st, record.digest)) {
        own.state = 'queued';
        reportProgress(ctx, st, record, 'queued', null);
      }
      continue;
    }
    const pooled = pooledFrom({ record, proof }, { cameAt: ctx.now, kept: true });
    st.pool.add(pooled, true);
    keepApart(ctx, st, pooled);
  }
  const lead = st.leadership;
  if (!lead || lead.branch) return;
  lead.matched = Math.min(lead.matched, seq);
  // What a leader placed stays its log while it leads: another placed otherwise, and was certified.
  if (st.leading) endLeadership(ctx, st, ctx.timing.election_min_ms);
}

/**
 * The certificate that these acknowledgements of one leadership amount to, or
 * undefined when they certify nothing new.
 *
 * @param among  the members that are counted: all voters for `final`, the electorate for `committed`
 * @param beyond only a seq above this is new
 */
export function certificateFrom(
  chain: Chain,
  kind: Certificate['kind'],
  { id, epoch }: { id: EpochId; epoch: EpochDescriptor },
  acks: ReadonlyMap<UserId, { seq: number; sig: Uint8Array }>,
  among: readonly UserId[],
  beyond: number,
): Certificate | undefined {
  const tip = chain.tip.seq;
  const positions = among.map((user) => Math.min(acks.get(user)?.seq ?? 0, tip));
  const seq = majorityPosition(positions);
  if (seq <= Math.max(beyond, chain.base.seq)) return undefined;
  const head = chain.headerAt(seq);
  // Raft, figure 8: only an entry of this leadership is certified by counting.
  if (head?.epoch !== id) return undefined;
  const chosen = among
    .flatMap((user) => {
      const ack = acks.get(user);
      return ack && ack.seq >= seq && ack.seq <= tip ? [{ user, ...ack }] : [];
    })
    .sort((a, b) => a.seq - b.seq || (a.user < b.user ? -1 : 1))
    .slice(0, majorityOf(among.length));
  const furthest = chosen.at(-1)!.seq;
  // No certificate has so many links: such acknowledgements of an old branch come from far apart.
  if (furthest - seq > TAIL_ENTRIES_MAX) return undefined;
  return {
    kind,
    epochKind: epoch.kind,
    channel: epoch.channel,
    roster: epoch.roster,
    rosterHash: epoch.rosterHash,
    epoch: id,
    term: epoch.term,
    seq,
    prevHash: chain.hashAt(seq - 1)!,
    head,
    links: headersOf(chain, seq + 1, furthest),
    acks: chosen,
  };
}

/**
 * Makes everything up to the certified seq final. The certificate was checked
 * against the roster and its signatures were verified; the tail holds the
 * certified entry. Returns true when the roster changed with it.
 */
export function finalise(ctx: StepContext, st: ChannelState, cert: Certificate): boolean {
  const bytes = encodeCertificate(cert);
  const point = certifiedPoint(ctx.crypto.sha256, cert);
  invariant(st.log.hashAt(cert.seq) === point.hash, 'only the certified prefix becomes final');
  const { seq: lastSeq, hash: prevOfFirst } = st.log.final;
  const wasIn = isIn(ctx, st);
  const last = st.cert;
  rememberTips(st, cert.seq);
  const entries = st.log.finalise(cert.seq);
  const tips = new Map<UserId, Digest>();
  let membership: Entry | undefined;
  for (const entry of entries) {
    const { record, seq } = entry;
    st.kept.bytesSince += record.bytes.length;
    ctx.ready.put(st.keys.placed(record.digest), new Writer(8).u64(seq).done());
    rememberFact(st, record.digest);
    if (isMembership(record.kind)) membership = entry;
    else if (isMessageLane(record)) tips.set(record.author, record.digest);
    if (isCarried(record)) ctx.ready.events.push({ type: 'carried', channel: st.id, seq, record });
    ownIsFinal(ctx, st, record.digest, seq);
  }
  for (const [user, digest] of tips) {
    // A former member's, brought by a merge: what it writes once it is back stands behind its join.
    if (!st.roster.members.has(user)) st.log.forgetTip(user);
    else ctx.ready.put(st.keys.tip(user), new Writer(32).id(digest).done());
  }
  st.cert = bytes;
  // Who catches up gets a page from one kept certificate to the next: the last one may be needed between.
  const isFar = cert.seq - st.kept.seq > PAGE_ENTRIES_MAX || st.kept.bytesSince > PAGE_BYTES_MAX;
  if (isFar && lastSeq > st.kept.seq && last.length > 0) {
    ctx.ready.put(st.keys.cert(lastSeq), last);
  }
  const due =
    cert.seq - st.kept.seq >= CHECKPOINT_ENTRIES || st.kept.bytesSince >= CHECKPOINT_BYTES;
  if (due || membership) {
    ctx.ready.put(st.keys.cert(cert.seq), bytes);
    st.kept = { seq: cert.seq, bytesSince: 0 };
  }
  ctx.ready.put(
    st.keys.final,
    encodeFinal({
      seq: st.log.final.seq,
      hash: st.log.final.hash,
      keptSeq: st.kept.seq,
      bytesSince: st.kept.bytesSince,
      cert: bytes,
    }),
  );
  ctx.ready.sync = true;
  ctx.ready.events.push({ type: 'changed', channel: st.id });
  pruneSet(ctx, st, entries);
  // Somebody leads a later term: what this node held or followed is over.
  const lead = st.leadership;
  if (lead?.epoch.kind === 'roster' && cert.term > lead.epoch.term) {
    endLeadership(ctx, st, ctx.timing.election_min_ms);
  }
  if (membership) changeRoster(ctx, st, membership, entries, prevOfFirst, bytes);
  if (!wasIn && isIn(ctx, st)) {
    ctx.ready.events.push({ type: 'joined', channel: st.id, token: st.joining?.token ?? null });
    st.joining = null;
  }
  return membership !== undefined;
}

/** A member, and not only in the history before its invitation: it may have been one before. */
const isIn = ({ self }: StepContext, { roster, log, joining }: ChannelState): boolean =>
  roster.members.has(self) && log.final.seq >= (joining?.pinned.seq ?? 0);

function ownIsFinal(ctx: StepContext, st: ChannelState, digest: Digest, seq: number): void {
  const own = st.outbox.get(digest);
  if (!own) return;
  st.outbox.delete(digest);
  st.outBytes -= own.pooled.record.bytes.length;
  ctx.ready.del(st.keys.out(own.count));
  reportProgress(ctx, st, own.pooled.record, 'final', seq);
}

function changeRoster(
  ctx: StepContext,
  st: ChannelState,
  entry: Entry,
  finalised: readonly Entry[],
  prevOfFirst: Digest,
  cert: Uint8Array,
): void {
  const next = applyMembership(ctx.crypto.sha256, st.roster, entry.record);
  const from = finalised.indexOf(entry);
  const step = {
    seq: entry.seq,
    prevHash: finalised[from - 1]?.hash ?? prevOfFirst,
    headers: finalised.slice(from, -1).map((e) => e.header),
    record: entry.record.bytes,
    proof: () => entry.proof,
    cert,
  };
  ctx.ready.ops.push({
    key: st.keys.step(next.number),
    value: () => encodeStep({ ...step, proof: step.proof() }),
  });
  const before = st.roster;
  const wasLeading = st.leading !== null;
  st.roster = next;
  st.electors[next.number] = electorsOf(next);
  for (const wish of st.wishes) {
    if (wish.current?.record.digest === entry.record.digest) wish.doneAt = next.number;
  }
  endLeadership(ctx, st, wasLeading ? 0 : ctx.timing.election_min_ms);
  noteDepartures(ctx, st, before);
  if (st.memory) Object.assign(st.memory, { round: '', reports: new Map() });
  ctx.ready.events.push({ type: 'roster', channel: st.id });
  // Relays forward for members only, so they must know this one as soon as members do.
  if (next.members.has(ctx.self)) {
    for (const link of ctx.linksTo([])) {
      ctx.ready.serves.push({ type: 'announce', channel: st.id, link, first: next.number });
    }
  }
}

/** Forgets the leadership that was followed or held; stands for election after `patience_ms` or more. */
export function endLeadership(ctx: StepContext, st: ChannelState, patience_ms: number): void {
  rememberSuspicion(st);
  st.leadership = null;
  if (st.epochs.size > 0) pruneSet(ctx, st, []);
  st.leading = null;
  st.election = null;
  st.yieldUntil = null;
  st.limbo = null;
  st.pull = null;
  st.challenge = null;
  st.heardAcks.clear();
  st.offered.clear();
  st.electionAt = ctx.now + patience_ms * (1 + ctx.patience());
  ctx.ready.wake(st.electionAt);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}
