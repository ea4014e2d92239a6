/**
 * The provisional set (docs/PROTOCOL.md, section "Provisional set"): what this
 * node holds that is not in its log, as branches of places with their
 * certificates, each record once beside them. It grows by union: whatever
 * comes by whatever way, the same set results. Every change of memory here has
 * its store operation beside it.
 */

import { Branch } from './branch.js';
import {
  type Certificate,
  certifiedPoint,
  committedFlaw,
  encodeCertificate,
} from './certificate.js';
import { endOf, HEADER_BYTES, type Header, headersOf, type Point, type Stretch } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import { type ElectionProof, encodeElectionProof, isElected } from './epoch-record.js';
import type { Digest, EpochId, Millis, UserId } from './ids.js';
import { type Entry, encodePoint, type Offer } from './layout.js';
import {
  CHECKPOINT_BYTES,
  CHECKPOINT_ENTRIES,
  PAGE_BYTES_MAX,
  PAGE_ENTRIES_MAX,
  SET_BYTES_MAX,
  SET_BYTES_PER_AUTHOR_MAX,
  SET_RECORDS_MAX,
  SET_RECORDS_PER_AUTHOR_MAX,
  WITHHELD_AGAIN_MS,
} from './limits.js';
import { isMessageLane } from './log.js';
import type { Place } from './order.js';
import type { Pooled } from './pool.js';
import type { ChannelRecord } from './record.js';
import { cutRuns, openFront, putPlace, trimRuns } from './runs.js';
import { isBetterWarrant, isInStanding, warrantOf } from './standing.js';

/** A record that this node holds and that is not final here. */
export const heldRecord = (st: ChannelState, digest: Digest): Offer | undefined =>
  st.pool.get(digest) ?? st.log.entryOf(digest);

/** Whether what a branch places at `seq` is a former member's, and no warrant covers it. */
const isWithheld = (st: ChannelState, branch: Branch, seq: number, held: Offer): boolean =>
  !isInStanding(st, held) && seq > (warrantOf(st, branch)?.seq ?? 0);

/** What a branch places at `seq`, if it is not final, and not withheld. */
export function shownAt(st: ChannelState, branch: Branch, seq: number): Offer | undefined {
  const held = heldRecord(st, branch.headerAt(seq)!.digest);
  return held && !isWithheld(st, branch, seq, held) ? held : undefined;
}

/** What a branch says of what it places at `seq`: `nothing` where it is final, or vanishes with its place. */
function saysAt(st: ChannelState, branch: Branch, seq: number): 'matters' | 'withheld' | 'nothing' {
  const held = heldRecord(st, branch.headerAt(seq)!.digest);
  if (held === undefined) return 'nothing';
  if (isWithheld(st, branch, seq, held)) return 'withheld';
  return isMessageLane(held.record) ? 'matters' : 'nothing';
}

/** Forgets an offer that nothing places. */
export function dropOffer(ctx: StepContext, st: ChannelState, pooled: Pooled): void {
  st.pool.remove(pooled.record.digest);
  st.orphans.delete(pooled.record.digest);
  if (pooled.apart) ctx.ready.del(st.keys.pool(pooled.record.digest));
}

/** Whether a branch places the record. */
export function isInBranch(st: ChannelState, digest: Digest): boolean {
  for (const branch of st.branches.values()) if (branch.seqOf(digest) !== undefined) return true;
  return false;
}

/** Whether the record has a certified place and is not final. */
export function isCertified(st: ChannelState, digest: Digest): boolean {
  const inTail = st.log.seqOf(digest);
  if (inTail !== undefined && inTail <= committedInLog(st)) return true;
  for (const branch of st.branches.values()) {
    const seq = branch.seqOf(digest);
    if (seq !== undefined && seq <= branch.certified) return true;
  }
  return false;
}

/** The smallest certified place of a record that is not final; null when it has none. */
export function certifiedPlace(st: ChannelState, digest: Digest): Place | null {
  let smallest: Place | null = null;
  const consider = (header: Header, seq: number): void => {
    const { term, epoch } = header;
    // One record has one digest: term, epoch and seq decide.
    const isSmaller =
      smallest === null ||
      term < smallest.term ||
      (term === smallest.term &&
        (epoch < smallest.epoch || (epoch === smallest.epoch && seq < smallest.seq)));
    if (isSmaller) smallest = { term, epoch, seq, digest };
  };
  const inTail = st.log.seqOf(digest);
  if (inTail !== undefined && inTail <= committedInLog(st)) {
    consider(st.log.headerAt(inTail)!, inTail);
  }
  for (const branch of st.branches.values()) {
    const seq = branch.seqOf(digest);
    if (seq !== undefined && seq <= branch.certified) consider(branch.headerAt(seq)!, seq);
  }
  return smallest;
}

/** Seq up to which the log is committed: its final point, or further. */
export const committedInLog = (st: ChannelState): number =>
  Math.max(st.logCert?.seq ?? 0, st.log.final.seq);

/** Whether the tail or a branch places the record, so that it is shown. */
export const isShownPlaced = (st: ChannelState, digest: Digest): boolean =>
  st.log.seqOf(digest) !== undefined ||
  (st.pool.get(digest) !== undefined && isInBranch(st, digest));

/** Whether the record's predecessor is not shown: neither final nor placed here, though it may wait in the pool. */
export function isOrphan(st: ChannelState, record: ChannelRecord): boolean {
  if (!st.orphans.has(record.digest)) return false;
  if (!isPredecessorKnown(st, record)) return true;
  st.orphans.delete(record.digest);
  return false;
}

/** What the log places has its predecessor there too, be it final, not its author's last, and no fact in memory. */
export const isPredecessorKnown = (
  st: ChannelState,
  { digest, prev, author }: ChannelRecord,
): boolean =>
  st.log.seqOf(digest) !== undefined ||
  isShownPlaced(st, prev) ||
  prev === st.log.finalTipOf(author) ||
  prev === st.roster.members.get(author)?.root ||
  st.facts.has(prev);

/** No online leader places more until what is here is in the log. */
export const isSetFull = ({ pool }: ChannelState): boolean =>
  pool.size >= SET_RECORDS_MAX || pool.bytes >= SET_BYTES_MAX;

/** Whether an author has more here than its outbox lets one have that follows the protocol. */
export function isShareFull({ pool }: ChannelState, author: UserId): boolean {
  const { count, bytes } = pool.heldOf(author);
  return count > SET_RECORDS_PER_AUTHOR_MAX || bytes > SET_BYTES_PER_AUTHOR_MAX;
}

/** Branches of online epochs that this user led. */
export function branchesLedBy(st: ChannelState, leader: UserId): number {
  const led = [...st.branches.keys()].filter((id) => {
    const epoch = st.epochs.get(id)?.epoch;
    return epoch?.kind === 'online' && epoch.leader === leader;
  });
  return led.length;
}

/** Keeps the proof of an election while entries of it may have to be shown. */
export function rememberEpoch(ctx: StepContext, st: ChannelState, proof: ElectionProof): void {
  if (st.epochs.has(proof.id)) return;
  st.epochs.set(proof.id, { id: proof.id, epoch: proof.epoch, ballots: proof.ballots });
  ctx.ready.put(st.keys.epoch(proof.id), encodeElectionProof(proof));
}

/** Whether ballots, whose signatures were verified, elected this leader under a roster that is known here. */
export function isProven(st: ChannelState, { epoch, ballots }: Omit<ElectionProof, 'id'>): boolean {
  const electors = st.electors[epoch.roster];
  if (electors === undefined || electors.hash !== epoch.rosterHash) return false;
  return isElected(epoch, ballots, electors.voters, electors.minOnline);
}

/** A branch that begins at `base`; the one that is there, if there is one. */
export function openBranch(ctx: StepContext, st: ChannelState, id: EpochId, base: Point): Branch {
  const known = st.branches.get(id);
  if (known) return known;
  const branch = new Branch(ctx.crypto.sha256, id, base);
  st.branches.set(id, branch);
  ctx.ready.put(st.keys.branch(id), encodePoint(base));
  return branch;
}

/** Puts a place behind a branch's tip, with its chain hash where that is known; its record is kept from now on. */
export function addPlace(
  ctx: StepContext,
  st: ChannelState,
  branch: Branch,
  header: Header,
  known?: Digest,
): void {
  const { seq, hash } = known ? branch.restore(header, known) : branch.extend(header);
  const offer = keepRecord(ctx, st, header.digest);
  putPlace(ctx, st, branch, seq, { header, hash, offer });
  st.version += 1;
}

/** Keeps a message of the pool; returns it if it is to be stored with this place. Own ones are in the outbox. */
function keepRecord(ctx: StepContext, st: ChannelState, digest: Digest): Pooled | null {
  const pooled = st.pool.get(digest);
  const own = st.outbox.get(digest);
  if (own?.state === 'queued') {
    own.state = 'sent';
    reportProgress(ctx, st, own.pooled.record, 'sent', null);
  }
  if (!pooled || pooled.kept || own || !isMessageLane(pooled.record)) return null;
  st.pool.keep(pooled);
  return pooled;
}

/**
 * Unites a stretch of places with the branch `id`: what overlaps agrees, since
 * hashes bind all that is before them; what does not connect is left out.
 */
export function uniteBranch(
  ctx: StepContext,
  st: ChannelState,
  id: EpochId,
  stretch: Stretch,
): Branch | undefined {
  const { anchor, headers, hashes } = stretch;
  const branch = openBranch(ctx, st, id, anchor);
  if (anchor.seq < branch.base.seq) prependPlaces(ctx, st, branch, stretch);
  if (branch.hashAt(anchor.seq) !== anchor.hash) return undefined;
  for (const [i, header] of headers.entries()) {
    const seq = anchor.seq + i + 1;
    if (seq > branch.tip.seq) addPlace(ctx, st, branch, header, hashes[i]);
    else if (branch.hashAt(seq) !== hashes[i]) return undefined;
  }
  return branch;
}

/**
 * Unites a certified page with its branch. What was placed there behind the
 * last certificate and differs gives way: only what is certified is sure.
 */
export function uniteCertified(
  ctx: StepContext,
  st: ChannelState,
  page: Stretch & { epoch: EpochId },
): Branch | undefined {
  const branch = st.branches.get(page.epoch);
  if (branch && branch !== st.leadership?.branch) {
    const agrees = agreesUpTo(branch, page);
    if (agrees !== undefined && agrees < Math.min(branch.tip.seq, endOf(page).seq)) {
      cutBranch(ctx, st, branch, Math.max(agrees, branch.certified));
    }
  }
  return uniteBranch(ctx, st, page.epoch, page);
}

/** How far a stretch and the branch have the same places; undefined where they do not meet. */
function agreesUpTo(branch: Branch, { anchor, hashes }: Stretch): number | undefined {
  if (branch.hashAt(anchor.seq) === undefined) return undefined;
  if (branch.hashAt(anchor.seq) !== anchor.hash) return branch.base.seq;
  const parts = hashes.findIndex((hash, i) => branch.hashAt(anchor.seq + i + 1) !== hash);
  return anchor.seq + (parts < 0 ? hashes.length : parts);
}

/** Forgets what a branch places behind `seq`; records stay held. */
function cutBranch(ctx: StepContext, st: ChannelState, branch: Branch, seq: number): void {
  const keep = Math.max(seq, branch.base.seq);
  cutRuns(ctx, st, branch, keep);
  branch.cut(keep);
  ctx.ready.sync = true;
  st.version += 1;
}

function prependPlaces(
  ctx: StepContext,
  st: ChannelState,
  branch: Branch,
  { anchor, headers, hashes }: Stretch,
): void {
  const count = branch.base.seq - anchor.seq;
  const missing = { anchor, headers: headers.slice(0, count), hashes: hashes.slice(0, count) };
  const end = endOf(missing);
  if (end.seq !== branch.base.seq || end.hash !== branch.base.hash) return;
  openFront(ctx, st, branch);
  branch.prepend(missing);
  for (const [i, header] of missing.headers.entries()) {
    const offer = keepRecord(ctx, st, header.digest);
    const place = { header, hash: missing.hashes[i]!, offer };
    putPlace(ctx, st, branch, anchor.seq + i + 1, place);
  }
  ctx.ready.put(st.keys.branch(branch.id), encodePoint(anchor));
  ctx.ready.sync = true;
  st.version += 1;
}

/**
 * Keeps the places of a tail that is about to be cut behind `seq`: what a
 * certificate in it certifies as a branch of that certificate's epoch, the rest
 * as one of the epoch that placed the last entry.
 */
export function keepDisplaced(ctx: StepContext, st: ChannelState, seq: number): void {
  const cert = st.logCert;
  if (cert && cert.seq > seq) {
    const branch = keepTail(ctx, st, st.log.final.seq, cert.seq, uniteCertified);
    if (branch) keepCertificate(ctx, st, branch, cert.seq, cert.bytes);
    st.logCert = null;
    ctx.ready.del(st.keys.committed);
    keepTail(ctx, st, cert.seq, st.log.tip.seq);
  } else keepTail(ctx, st, seq, st.log.tip.seq);
}

/** Keeps the tail's places behind `from`, up to `to`, under the epoch of the last of them. */
function keepTail(
  ctx: StepContext,
  st: ChannelState,
  from: number,
  to: number,
  unite: typeof uniteCertified = uniteStretch,
): Branch | undefined {
  const entries = st.log.tail.filter((e) => e.seq > from && e.seq <= to);
  const id = entries.at(-1)?.header.epoch;
  const matters = entries.some((e) => isMessageLane(e.record));
  if (id === undefined || !matters || !st.epochs.has(id)) return undefined;
  const anchor = { seq: from, hash: st.log.hashAt(from)! };
  const headers = entries.map((e) => e.header);
  const hashes = entries.map((e) => e.hash);
  return unite(ctx, st, { epoch: id, anchor, headers, hashes });
}

const uniteStretch: typeof uniteCertified = (ctx, st, stretch) =>
  uniteBranch(ctx, st, stretch.epoch, stretch);

/**
 * Takes in a certificate of commitment whose signatures were verified. True
 * when it holds and says something new: what it certifies is committed here.
 */
export function takeCommitted(ctx: StepContext, st: ChannelState, cert: Certificate): boolean {
  const known = st.epochs.get(cert.epoch);
  if (!known || st.genesis.quorum === 'roster') return false;
  if (committedFlaw(cert, cert.epoch, known.epoch) !== undefined) return false;
  const { seq, hash } = certifiedPoint(ctx.crypto.sha256, cert);
  if (cert.epochKind === 'roster' && seq > st.log.final.seq && st.log.hashAt(seq) === hash) {
    if (seq <= committedInLog(st)) return false;
    const from = committedInLog(st);
    st.logCert = { seq, bytes: encodeCertificate(cert) };
    ctx.ready.put(st.keys.committed, st.logCert.bytes);
    ctx.ready.sync = true;
    ownAreCommitted(
      ctx,
      st,
      st.log.tail.filter((e) => e.seq > from && e.seq <= seq).map((e) => e.record.digest),
    );
    return true;
  }
  const branch = st.branches.get(cert.epoch);
  if (branch?.hashAt(seq) !== hash || seq <= branch.certified) return false;
  const from = Math.max(branch.certified, branch.base.seq);
  // Those between were lost on the way; without them no page from here would end in time. The exchange brings them.
  if (seq > furthestInPage(st, branch, from, seq)) return false;
  keepCertificate(ctx, st, branch, seq, encodeCertificate(cert));
  if (branch === st.leadership?.branch) st.leadership.certifiedAt = ctx.now;
  const digests: Digest[] = [];
  for (let at = from + 1; at <= seq; at++) digests.push(branch.headerAt(at)!.digest);
  ownAreCommitted(ctx, st, digests);
  return true;
}

/** How far a page behind `from` may go by its entries and bytes, looked at up to `upTo`. */
export function furthestInPage(
  st: ChannelState,
  branch: Branch,
  from: number,
  upTo = branch.tip.seq,
): number {
  let bytes = 0;
  let seq = from;
  while (seq < upTo && seq - from < PAGE_ENTRIES_MAX) {
    const held = heldRecord(st, branch.headerAt(seq + 1)!.digest);
    bytes += HEADER_BYTES + (held ? held.record.bytes.length + held.proof.length : 0);
    if (bytes > PAGE_BYTES_MAX && seq > from) break;
    seq += 1;
  }
  return seq;
}

/** Keeps the newest certificate, and one at each checkpoint, where pages may end: never two further apart than a page. */
function keepCertificate(
  ctx: StepContext,
  st: ChannelState,
  branch: Branch,
  seq: number,
  bytes: Uint8Array,
): void {
  const kept = branch.certificates;
  const last = kept.at(-1)?.seq;
  if (last !== undefined && last >= seq) return;
  const before = kept.at(-2)?.seq ?? branch.base.seq;
  const isKept =
    last === undefined ||
    seq - before > PAGE_ENTRIES_MAX ||
    isCheckpoint(st, branch, before, last) ||
    isBetterWarrant(st, branch, last, bytes);
  if (!isKept) {
    kept.pop();
    ctx.ready.del(st.keys.commit(branch.id, last));
  }
  kept.push({ seq, bytes });
  ctx.ready.put(st.keys.commit(branch.id, seq), bytes);
  ctx.ready.sync = true;
  st.version += 1;
}

function isCheckpoint(st: ChannelState, branch: Branch, from: number, to: number): boolean {
  if (to - from >= CHECKPOINT_ENTRIES) return true;
  let bytes = 0;
  for (let seq = Math.max(from, branch.base.seq) + 1; seq <= to; seq++) {
    bytes += heldRecord(st, branch.headerAt(seq)!.digest)?.record.bytes.length ?? 0;
  }
  return bytes >= CHECKPOINT_BYTES;
}

/** Tells of this node's own messages that are committed now, and of those behind them that only waited for these. Behind `withheld` comes `final` alone. */
function ownAreCommitted(ctx: StepContext, st: ChannelState, digests: readonly Digest[]): void {
  const rest = [...digests];
  for (const digest of rest) {
    const own = st.outbox.get(digest);
    if (own?.state !== 'queued' && own?.state !== 'sent') continue;
    if (!isCommitted(st, own.pooled.record)) continue;
    own.state = 'committed';
    reportProgress(ctx, st, own.pooled.record, 'committed', null);
    for (const next of st.pool.childrenOf(digest)) rest.push(next.digest);
  }
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}

/** Whether a message, and all before it that is not final, has a certified place. */
export function isCommitted(st: ChannelState, record: ChannelRecord): boolean {
  for (let at: ChannelRecord | undefined = record; at; at = heldRecord(st, at.prev)?.record) {
    if (!isCertified(st, at.digest) || isOrphan(st, at)) return false;
    if (st.outbox.get(at.prev)?.state === 'committed') return true;
  }
  return true;
}

export function reportProgress(
  ctx: StepContext,
  st: ChannelState,
  { id, digest }: ChannelRecord,
  state: 'queued' | 'sent' | 'committed' | 'final' | 'withheld',
  seq: number | null,
): void {
  ctx.ready.events.push({ type: 'progress', channel: st.id, id, digest, state, seq });
}

/** After entries became final: forgets places that no longer say anything. */
export function pruneSet(ctx: StepContext, st: ChannelState, entries: readonly Entry[]): void {
  if (st.logCert && st.logCert.seq <= st.log.final.seq) {
    st.logCert = null;
    ctx.ready.del(st.keys.committed);
  }
  if (st.orphans.size > 0) {
    for (const { record } of entries) {
      st.orphans.delete(record.digest);
      for (const next of st.pool.childrenOf(record.digest)) st.orphans.delete(next.digest);
    }
  }
  const behindOwn = entries.flatMap(({ record }) =>
    record.author === ctx.self ? st.pool.childrenOf(record.digest) : [],
  );
  if (behindOwn.length > 0) {
    ownAreCommitted(
      ctx,
      st,
      behindOwn.map(({ digest }) => digest),
    );
  }
  for (const branch of [...st.branches.values()]) {
    // Who joins the running epoch needs its chain whole.
    if (branch === st.leadership?.branch) continue;
    const isWithheld = trimBranch(ctx, st, branch);
    if (branch.size === 0) dropBranch(ctx, st, branch, isWithheld);
  }
  forgetEpochs(ctx, st);
}

/**
 * Up to where a branch says nothing any more, and whether some of that is
 * withheld. What is withheld at its front stays as long as the rest: a
 * certificate that is to come may be its warrant, and what follows it can't be
 * merged without it.
 */
function untilMatters(st: ChannelState, branch: Branch): { seq: number; isWithheld: boolean } {
  let withheld = Number.POSITIVE_INFINITY;
  for (let seq = branch.base.seq + 1; seq <= branch.tip.seq; seq++) {
    const says = saysAt(st, branch, seq);
    if (says === 'matters') return { seq: Math.min(seq, withheld) - 1, isWithheld: false };
    if (says === 'withheld') withheld = Math.min(withheld, seq);
  }
  return { seq: branch.tip.seq, isWithheld: Number.isFinite(withheld) };
}

/** What is placed at the front, and is no message that is held, is final or vanishes. Returns whether some of it is withheld. */
function trimBranch(ctx: StepContext, st: ChannelState, branch: Branch): boolean {
  const { seq, isWithheld } = untilMatters(st, branch);
  if (seq === branch.base.seq) return false;
  const gone = isWithheld ? headersOf(branch, branch.base.seq + 1, seq) : [];
  trimRuns(ctx, st, branch, seq);
  branch.trim(seq);
  ctx.ready.put(st.keys.branch(branch.id), encodePoint(branch.base));
  for (const { digest } of gone) {
    const pooled = st.pool.get(digest);
    if (!pooled || st.outbox.has(digest) || isInStanding(st, pooled)) continue;
    if (isMessageLane(pooled.record) && !isInBranch(st, digest)) dropOffer(ctx, st, pooled);
  }
  while (branch.certificates.length > 1 && branch.certificates[0]!.seq <= seq) {
    ctx.ready.del(st.keys.commit(branch.id, branch.certificates.shift()!.seq));
  }
  return isWithheld;
}

function dropBranch(ctx: StepContext, st: ChannelState, branch: Branch, isWithheld: boolean): void {
  st.branches.delete(branch.id);
  st.exchange.asked.delete(branch.id);
  st.exchange.served.delete(branch.id);
  st.exchange.confirms.delete(branch.id);
  rememberDone(st, branch, isWithheld ? ctx.now + WITHHELD_AGAIN_MS : null);
  ctx.ready.del(st.keys.branch(branch.id));
  for (const { seq } of branch.certificates) ctx.ready.del(st.keys.commit(branch.id, seq));
}

const DONE_MAX = 256;

function rememberDone(
  { exchange: { done } }: ChannelState,
  { id, tip, certified }: Branch,
  againAt: Millis | null,
): void {
  if (tip.seq === 0) return;
  done.delete(id);
  done.set(id, { tip: tip.seq, certified: againAt === null ? certified : 0, againAt });
  if (done.size > DONE_MAX) done.delete(done.keys().next().value!);
}

/** Forgets elections of which nothing is left that is not final. */
export function forgetEpochs(ctx: StepContext, st: ChannelState): void {
  if (st.epochs.size <= 1 && st.epochs.has(st.leadership?.id as EpochId)) return;
  const inTail = new Set(st.log.tail.map((e) => e.header.epoch));
  for (const id of [...st.epochs.keys()]) {
    if (id === st.leadership?.id || inTail.has(id)) continue;
    const isInSet = [...st.branches.values()].some((b) => b.id === id || mentions(b, id));
    if (isInSet || isOfNewestTerm(st, id)) continue;
    st.epochs.delete(id);
    ctx.ready.del(st.keys.epoch(id));
    if (st.acks.delete(id)) ctx.ready.del(st.keys.ack(id));
  }
}

/** A certificate that counts what was acknowledged in the newest term seen may come late, and must not be news here. */
function isOfNewestTerm({ acks, hard }: ChannelState, id: EpochId): boolean {
  const own = acks.get(id)?.ack;
  return own?.kind === 'roster' && own.term >= hard.roster.seen;
}

/** Only a former tail holds places of several epochs; those are short. */
function mentions(branch: Branch, id: EpochId): boolean {
  const first = branch.headerAt(branch.base.seq + 1);
  if (!first || first.epoch === branch.id) return false;
  for (let seq = branch.base.seq + 1; seq <= branch.tip.seq; seq++) {
    if (branch.headerAt(seq)!.epoch === id) return true;
  }
  return false;
}
