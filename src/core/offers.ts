/**
 * Records on their way to a leader (docs/PROTOCOL.md, sections "Records" and
 * "Offers"). An author signs its records in batches, keeps them in its outbox
 * until they are final, and offers them in order to each new leader. Any
 * member may offer any record that it holds, so nothing depends on its
 * author being alive.
 */

import type { ChannelState, Leadership } from './channel-state.js';
import type { Outgoing, Payload } from './commands.js';
import type { Send, StepContext, Submission, Submit } from './effects.js';
import { hearsLeader, standsAgainst } from './hearing.js';
import type { Digest, UserId } from './ids.js';
import { encodeOffer, type Offer } from './layout.js';
import { notePlaceable, onlineMembers, queueMembership } from './leader.js';
import {
  CARRIER_KEEP_MS,
  MERGE_PATIENCE_MS,
  MERGE_PATIENCE_MS_MAX,
  OFFER_UNSURE_MS,
  OFFER_WINDOW_RECORDS,
  OUTBOX_BYTES_MAX,
  OUTBOX_RECORDS_MAX,
  POOL_KEEP_MS,
  RECORDS_BATCH_BYTES_MAX,
  RECORDS_PER_BATCH_MAX,
} from './limits.js';
import { isMessageLane } from './log.js';
import { noteOwnRecord } from './memory.js';
import { type Pooled, pooledFrom } from './pool.js';
import { isCertified } from './provisional.js';
import { batchOf, type ChannelRecord, encodeProof, encodeRecord, sealRecord } from './record.js';
import { contextOf, isPlaced, rosterAfter } from './replica.js';
import { isMembership, minOnline } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import { isInStanding } from './standing.js';
import { signedRecords } from './statements.js';

/** Whether the outbox has no room, once `count` submissions of `bytes` that wait are in it. */
const outboxIsFull = (st: ChannelState, count: number, bytes: number): boolean =>
  st.outbox.size + count >= OUTBOX_RECORDS_MAX || st.outBytes + bytes >= OUTBOX_BYTES_MAX;

/** Of what was submitted, what may become records under the roster in force; the rest fails. */
export function admit(
  { self, ready }: StepContext,
  st: ChannelState,
  submits: readonly Submit[],
): Submission[] {
  const admitted: Submission[] = [];
  let bytes = 0;
  for (const { token, submissions, readersSince, also = [] } of submits) {
    const refused = whyNot(st, self, readersSince, admitted.length, bytes);
    if (refused) {
      ready.events.push({ type: 'failed', token, ...refused });
      continue;
    }
    admitted.push(...submissions);
    for (const { body } of submissions) bytes += body.length;
    for (const { key, value } of also) ready.put(key, value);
    ready.events.push({ type: 'done', token }, { type: 'changed', channel: st.id });
  }
  return admitted;
}

function whyNot(
  st: ChannelState,
  self: UserId,
  readersSince: number | undefined,
  count: number,
  bytes: number,
): { code: string; message: string; retryable: boolean } | null {
  if (!st.roster.members.has(self)) {
    const message = 'this node is not a member of the channel';
    return { code: 'removed', message, retryable: false };
  }
  if (readersSince !== undefined && readersSince !== st.roster.readersSince) {
    const message = 'the members changed: a key for those that are now is needed';
    return { code: 'readers_changed', message, retryable: true };
  }
  if (!outboxIsFull(st, count, bytes)) return null;
  const message = 'too many messages wait to become final; send more when some are';
  return { code: 'outbox_full', message, retryable: true };
}

/** Makes, signs and stores this node's records. They leave once they are durable. */
export function submit(
  ctx: StepContext,
  st: ChannelState,
  submissions: readonly Submission[],
): ChannelRecord[] {
  const root = st.roster.members.get(ctx.self)!.root;
  const records: ChannelRecord[] = [];
  for (const s of submissions) {
    st.ownN += 1;
    const header = {
      channel: st.id,
      author: ctx.self,
      boot: ctx.boot,
      n: st.ownN,
      prev: st.ownPrev ?? root,
      kind: s.kind,
      id: s.id,
      time: s.time,
    };
    const { sha256 } = ctx.crypto;
    const record =
      s.body instanceof Uint8Array
        ? encodeRecord(sha256, { ...header, keyEpoch: 0, body: s.body })
        : sealRecord(sha256, header, s.body);
    st.ownPrev = record.digest;
    records.push(record);
  }
  for (let i = 0; i < records.length; i += RECORDS_PER_BATCH_MAX) {
    keep(ctx, st, records.slice(i, i + RECORDS_PER_BATCH_MAX));
  }
  return records;
}

function keep(ctx: StepContext, st: ChannelState, records: readonly ChannelRecord[]): void {
  for (const pooled of signBatch(ctx, st, records)) {
    const count = ++st.outCount;
    st.outbox.set(pooled.record.digest, { pooled, count, state: 'queued' });
    st.outBytes += pooled.record.bytes.length;
    st.pool.add(pooled, true);
    ctx.ready.ops.push({ key: st.keys.out(count), value: () => encodeOffer(pooled) });
  }
  ctx.ready.sync = true;
  // Placed, by this node too, only once it is durable.
  ctx.ready.self.push({
    type: 'own-records',
    channel: st.id,
    digests: records.map((r) => r.digest),
  });
}

/** One signature for all of them; each proof is filled in once signed. */
export function signBatch(
  ctx: StepContext,
  st: ChannelState,
  records: readonly ChannelRecord[],
): Pooled[] {
  const context = contextOf(st);
  const { root, proofs } = batchOf(ctx.crypto.sha256, records, context);
  const signed = ctx.ready.signed(ctx.self, signedRecords(context, root, records.length));
  const batch = { roster: context.roster, rosterHash: context.rosterHash, signed, records };
  const came = { cameAt: ctx.now, kept: false };
  const pooled = records.map((record) =>
    pooledFrom({ record, proof: new Uint8Array(0) }, came, batch),
  );
  ctx.ready.onSigned.push(() => {
    proofs(signed.sig).forEach((proof, i) => {
      pooled[i]!.proof = encodeProof(proof);
    });
  });
  return pooled;
}

/**
 * Whom to offer own records: all, where a leader is heard; else the member that
 * said it hears one, and carries them there; undefined where nobody does.
 */
function receiverOf(ctx: StepContext, st: ChannelState): UserId | 'all' | undefined {
  if (hearsLeader(ctx, st)) return 'all';
  const { carrier } = st;
  const isRecent = carrier !== null && ctx.now - carrier.at < CARRIER_KEEP_MS;
  return isRecent && ctx.isOnline(carrier.user) ? carrier.user : undefined;
}

/** Offers own records to the leader, in order, as far as the window lets them. */
export function offerOwn(ctx: StepContext, st: ChannelState): void {
  if (st.outbox.size === 0 || !st.roster.members.has(ctx.self)) return;
  const to = receiverOf(ctx, st);
  if (to === undefined) return;
  // Where this node reaches too few, its leader may yet reach enough.
  const isSure = to === 'all' && onlineMembers(ctx, st).length >= minOnline(st.roster);
  st.unsureSince = isSure ? null : (st.unsureSince ?? ctx.now);
  const sureEnoughAt = (st.unsureSince ?? 0) + OFFER_UNSURE_MS;
  if (!isSure && ctx.now < sureEnoughAt) return ctx.ready.wake(sureEnoughAt);
  if (ctx.now >= st.offerAt) {
    st.offered.clear();
    st.nothingToOffer = null;
    st.offerAt = ctx.now + (isSure ? ctx.timing.offer_ms : OFFER_UNSURE_MS);
  }
  if (!hasNothingToOffer(ctx, st)) {
    const batch = offersOf(ctx, st);
    if (batch.length > 0) sendOffers(ctx, st, ctx.ready.late, batch, to === 'all' ? null : to);
    else if (st.offered.size < OFFER_WINDOW_RECORDS) {
      const { outCount, version, leadership } = st;
      st.nothingToOffer = { outCount, version, leadership, until: st.offerAt };
    }
  }
  if (st.offered.size > 0) ctx.ready.wake(st.offerAt);
}

/** Since the last look nothing was submitted, displaced or certified, and the same leader leads. */
function hasNothingToOffer(ctx: StepContext, st: ChannelState): boolean {
  const last = st.nothingToOffer;
  if (last === null || ctx.now >= last.until || last.leadership !== st.leadership) return false;
  return last.outCount === st.outCount && last.version === st.version;
}

/** Own records that the leader's chain lacks, as far as the window lets them, which counts them as offered. */
function offersOf(ctx: StepContext, st: ChannelState): Pooled[] {
  const batch: Pooled[] = [];
  for (const { pooled, state } of st.outbox.values()) {
    if (st.offered.size >= OFFER_WINDOW_RECORDS) break;
    const { digest } = pooled.record;
    const mayWait = state !== 'queued' && mayWaitForMerge(ctx, st, pooled);
    if (mayWait && (state === 'committed' || isCertified(st, digest))) continue;
    if (st.offered.has(digest) || isPlaced(st, digest)) continue;
    st.offered.add(digest);
    noteOffer(ctx, st, pooled);
    batch.push(pooled);
  }
  return batch;
}

/**
 * Whether a roster leader may still place a change of membership: it is one of
 * the roster in force, which no other has changed. Who joins is let in by the
 * leader itself, while it answers.
 */
export function isOpenChange(ctx: StepContext, st: ChannelState, record: ChannelRecord): boolean {
  const { kind } = record;
  if (!isMembership(kind) || kind === 'join' || kind === 'vote') return false;
  if (st.leadership?.branch !== null || st.log.membershipInFlight()) return false;
  return (
    st.leadership.epoch.roster === st.roster.number && rosterAfter(ctx, st, record) !== undefined
  );
}

/** Remembers since when the leader that is followed should know of a record. */
export function noteOffer(ctx: StepContext, st: ChannelState, pooled: Pooled): void {
  const epoch = st.leadership?.id;
  if (epoch && pooled.offer?.epoch !== epoch) pooled.offer = { epoch, at: ctx.now };
}

/**
 * Under a roster leader: what is certified in a branch, which it may not have
 * yet, comes by a merge, unless none goes on, or it goes on for very long.
 */
function mayWaitForMerge(ctx: StepContext, st: ChannelState, { cameAt }: Pooled): boolean {
  const lead = st.leadership;
  if (lead?.branch !== null) return false;
  const waitsSince = Math.max(cameAt, lead.since);
  const newest = Math.max(waitsSince, lead.mergedAt);
  return ctx.now - newest < MERGE_PATIENCE_MS && ctx.now - waitsSince < MERGE_PATIENCE_MS_MAX;
}

/** Sends records, to one user or to all: as one signed batch where they are just that, else each with its proof. */
export function sendOffers(
  ctx: StepContext,
  st: ChannelState,
  lane: Send[],
  offers: readonly (Offer & Pick<Pooled, 'batch'>)[],
  to: UserId | null,
): void {
  for (const some of inFrames(offers)) {
    const command = (): Outgoing => ({
      name: 'CH_MSG',
      payload: { id: st.id, from: ctx.self, ...(to ? { to } : {}), ...contents(some) },
    });
    if (to) sendToUser(ctx, lane, to, command);
    else sendToMembers(ctx, st, lane, command);
  }
}

type Contents = Pick<Payload<'CH_MSG'>, 'batch' | 'each'>;

function contents(offers: readonly (Offer & Pick<Pooled, 'batch'>)[]): Contents {
  const records = offers.map((o) => o.record.bytes);
  const batch = offers[0]?.batch;
  if (batch?.records.length !== offers.length || offers.some((o) => o.batch !== batch)) {
    return { each: { records, proofs: offers.map((o) => o.proof) } };
  }
  const { roster, rosterHash: roster_hash, signed } = batch;
  return { batch: { author: signed.by, roster, roster_hash, sig: signed.sig, records } };
}

/** Cuts offers into pieces that fit one frame each. */
export function inFrames<T extends { record: { bytes: Uint8Array } }>(offers: readonly T[]): T[][] {
  const frames: T[][] = [];
  let bytes = RECORDS_BATCH_BYTES_MAX;
  for (const offer of offers) {
    bytes += offer.record.bytes.length;
    const last = frames.at(-1);
    if (!last || bytes > RECORDS_BATCH_BYTES_MAX || last.length >= RECORDS_PER_BATCH_MAX) {
      frames.push([offer]);
      bytes = offer.record.bytes.length;
    } else last.push(offer);
  }
  return frames;
}

/** Records that came from a member; the driver verified their authors' signatures. */
export function onRecords(
  ctx: StepContext,
  st: ChannelState,
  items: readonly { record: ChannelRecord; proof: () => Uint8Array }[],
): void {
  for (const { record, proof } of items) {
    if (isPlaced(st, record.digest)) continue;
    const known = st.pool.get(record.digest);
    if (st.log.seqOf(record.digest) !== undefined) {
      notePlaceable(st, record.digest);
      continue;
    }
    if (known) {
      // It may have come before this node led, or before its predecessor was known to be placed.
      if (st.leading && isMembership(record.kind)) queueMembership(st.leading, known);
      notePlaceable(st, record.digest);
      continue;
    }
    const pooled = pooledFrom({ record, proof: proof() }, { cameAt: ctx.now, kept: false });
    // A former member's is only held where it is placed: by a merge, under a warrant.
    if (!isInStanding(st, pooled) && !isAwaited(st, record.digest)) continue;
    noteOwnRecord(ctx, st, record);
    if (st.leading && isMembership(record.kind)) queueMembership(st.leading, pooled);
    if (keepOffered(st, pooled)) notePlaceable(st, record.digest);
  }
}

const isAwaited = ({ limbo }: ChannelState, digest: Digest): boolean =>
  limbo?.headers.some((header) => header.digest === digest) === true;

/**
 * Keeps a record as far as its author's share allows. What the leader placed
 * takes the room of what was only offered: without it the chain can't go on.
 */
function keepOffered(st: ChannelState, pooled: Pooled): boolean {
  if (st.pool.add(pooled, false)) return true;
  const { author, digest } = pooled.record;
  const awaited = new Map(st.limbo?.headers.map((header, i) => [header.digest, i]));
  const rank = awaited.get(digest);
  if (rank === undefined) return false;
  const rankOf = (other: Digest): number => awaited.get(other) ?? Number.POSITIVE_INFINITY;
  while (st.pool.dropLast(author, rankOf, rank)) if (st.pool.add(pooled, false)) return true;
  return false;
}

function* take<T>(items: IterableIterator<T>, count: number): Generator<T> {
  for (let taken = 0; taken < count; taken++) {
    const next = items.next();
    if (next.done) return;
    yield next.value;
  }
}

/** Records of the pool that one look for offers sees; a set of many thousands takes several. */
const LOOKED_AT_MAX = 2_048;

/**
 * Offers what this node holds of others and nobody placed: what fell out of
 * the log at once, the rest when its author seems not to do it itself.
 */
export function offerOthers(ctx: StepContext, st: ChannelState): void {
  if (ctx.now < st.offerOthersAt) return;
  st.offerOthersAt = ctx.now + ctx.timing.offer_ms / 2;
  const lead = st.leadership;
  const due: Pooled[] = [];
  // What comes and goes meanwhile does not disturb the iteration.
  const rest = st.offerOthersRest ?? { records: st.pool.values(), left: st.pool.size };
  const part = Math.min(rest.left, LOOKED_AT_MAX);
  rest.left -= part;
  st.offerOthersRest = rest.left > 0 ? rest : null;
  for (const pooled of take(rest.records, part)) {
    const { record, kept } = pooled;
    if (!kept && ctx.now - pooled.cameAt > POOL_KEEP_MS) {
      if (!st.outbox.has(record.digest)) st.pool.remove(record.digest);
      continue;
    }
    const patience = kept ? ctx.timing.offer_ms : ctx.timing.offer_ms * 2;
    if (due.length >= RECORDS_PER_BATCH_MAX || ctx.now - pooled.offeredAt < patience) continue;
    if (!isInStanding(st, pooled)) continue;
    if (isMessageLane(record)) {
      if (mayWaitForMerge(ctx, st, pooled) && isCertified(st, record.digest)) continue;
    } else if (!isOpenChange(ctx, st, record)) continue;
    if (!isPlaced(st, record.digest) && !st.outbox.has(record.digest)) due.push(pooled);
  }
  if (!lead?.live || st.leading) return;
  for (const pooled of due) {
    pooled.offeredAt = ctx.now;
    noteOffer(ctx, st, pooled);
  }
  const inTail = offersOfTail(ctx, st, lead);
  if (due.length + inTail.length === 0) return;
  // Against a leader that leaves them out more than half must know them.
  const to = standsAgainst(ctx, lead) ? null : lead.epoch.leader;
  sendOffers(ctx, st, ctx.ready.late, [...due, ...inTail], to);
}

/** What others wrote and only this node's tail places: an online leader may not have it, nor its author be there. */
function offersOfTail(ctx: StepContext, st: ChannelState, { branch, since }: Leadership): Offer[] {
  const patience = 2 * ctx.timing.offer_ms;
  if (!branch || ctx.now < Math.max(st.offerTailAt, since + patience)) return [];
  st.offerTailAt = ctx.now + patience;
  const offers = st.log.tail.filter(
    ({ record }) =>
      isMessageLane(record) && record.author !== ctx.self && !isPlaced(st, record.digest),
  );
  return offers.slice(0, RECORDS_PER_BATCH_MAX);
}
