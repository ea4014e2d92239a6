/**
 * Repairs one channel in a store that is nobody's yet: verifies it, takes away
 * what does not verify, and again, until it does
 * (docs/decisions/0023-repair.md). Verification alone judges; here stands only what to do about it:
 *
 * - the log goes back to the last certified point before the damage, and the
 *   node pulls the rest again from the others;
 * - the provisional set goes as a whole; its records stay, as ones that no
 *   branch holds;
 * - own messages go from a damaged one on, since what follows it can't be placed;
 * - a channel without its genesis goes.
 *
 * Whatever a promise or an acknowledgement may be gone with leaves the node in
 * lost memory. Each round takes something away, so it ends.
 */

import {
  certifiedPoint,
  decodeCertificate,
  decodeStep,
  recordSignatures,
} from '../core/certificate.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, type UserId, unhex } from '../core/ids.js';
import {
  after,
  type ChannelKeys,
  channelKeys,
  decodeFinal,
  decodeOffer,
  decodeRun,
  encodeFinal,
  encodeHardState,
  encodeOffer,
  FRESH_HARD_STATE,
  type Offer,
} from '../core/layout.js';
import { SET_RECORDS_MAX } from '../core/limits.js';
import { isMessageLane } from '../core/log.js';
import { decodeRecord } from '../core/record.js';
import type { Store } from '../core/store.js';
import type { VerifyReport } from './api.js';
import {
  attempt,
  clear,
  cutLog,
  entriesFrom,
  indexLog,
  isFinal,
  lastSeq,
  seqOfKey,
} from './mend-log.js';
import { verifyChannel } from './verify.js';

export interface MendOptions {
  readonly crypto: Crypto;
  readonly store: Store;
  readonly id: ChannelId;
  /** Whose store it is; undefined where the identity can't be read. */
  readonly self: UserId | undefined;
  /** What the node is to say of why it lost memory. */
  readonly evidence: string;
}

/** What was done; nothing when the channel verified. */
export interface Mended {
  readonly deeds: readonly string[];
  /** Those of the deeds by which something is gone that the node does not get back by itself. */
  readonly lost: readonly string[];
  /** Whether promises or acknowledgements may be gone. */
  readonly memoryLost: boolean;
}

/** A repair that takes nothing away must not go on for ever. */
const ROUNDS_MAX = 1_000;

const endless = (id: ChannelId, { where, what }: Problem): ConclaveError =>
  new ConclaveError('repair_failed', `channel ${id} does not verify: ${where}: ${what}`);

type Problem = VerifyReport['problems'][number];

const PROVISIONAL = ['epoch', 'ack', 'commit', 'branch', 'place', 'committed', 'proposal'];

export async function mendChannel(options: MendOptions): Promise<Mended> {
  const mending = new Mending(options);
  await mending.dropFinalOuts();
  const { crypto, store, id, self } = options;
  for (let round = 0; ; round++) {
    // A channel that was dropped has nothing to verify.
    if (!(await store.get(channelKeys(id).genesis)) && round > 0) return mending.done();
    const { problems } = await verifyChannel(crypto, store, id, { self });
    // Two certificates that conflict are members' doing, and no damage.
    const damage = problems.filter(({ where }) => !where.endsWith('/conflict'));
    if (damage.length === 0) return mending.done();
    if (round === ROUNDS_MAX) throw endless(id, damage[0]!);
    await mending.round(damage);
  }
}

class Mending {
  readonly #o: MendOptions;
  readonly #keys: ChannelKeys;
  readonly #deeds = new Set<string>();
  readonly #lost = new Set<string>();
  #memoryLost = false;
  /** Messages that were saved from what was dropped. */
  #kept = 0;
  /** The final point that index and certificate were made anew for. */
  #remade: number | undefined;

  constructor(options: MendOptions) {
    this.#o = options;
    this.#keys = channelKeys(options.id);
  }

  done(): Mended {
    const [deeds, lost] = [[...this.#deeds], [...this.#lost]];
    return { deeds, lost, memoryLost: this.#memoryLost };
  }

  async round(problems: readonly Problem[]): Promise<void> {
    const { store } = this.#o;
    const keys = this.#keys;
    const of = (kind: string): Problem[] =>
      problems.filter(({ where }) => where.slice(keys.all.length).split('/')[0] === kind);
    if (of('genesis').length > 0) {
      return this.#drop();
    }
    if (of('hard').length > 0) {
      await this.#put(keys.hard, encodeHardState(FRESH_HARD_STATE));
      await this.#forget('its promises were made anew');
    }
    for (const { where } of of('pool')) if (!where.endsWith('/')) await clear(store, where);
    for (const { where } of of('convict')) if (!where.endsWith('/')) await clear(store, where);
    const firstOut = of('out')[0];
    if (firstOut) await this.#dropOutsFrom(firstOut.where);
    const isSet = PROVISIONAL.some((kind) => of(kind).length > 0);
    if (isSet || of('pool').some(({ where }) => where.endsWith('/'))) await this.#dropSet();
    await this.#mendLog(of);
  }

  async #drop(): Promise<void> {
    await clear(this.#o.store, this.#keys.all);
    this.#lose('the channel is gone from this node: join it again with an invitation');
  }

  #lose(deed: string): void {
    this.#deeds.add(deed);
    this.#lost.add(deed);
  }

  async #mendLog(of: (kind: string) => Problem[]): Promise<void> {
    const keys = this.#keys;
    const { store } = this.#o;
    const [logs, certs, steps] = [of('log'), of('cert'), of('step')];
    const index = [...of('at'), ...of('tip')];
    // What looks wrong in the log may be the index alone.
    if (index.length > 0 && this.#remade === undefined) return this.#remakeIndex();
    const all = [logs, certs, steps, index, of('final')];
    if (all.every((some) => some.length === 0)) return;
    const seqs = (some: readonly Problem[], prefix: string): number[] =>
      some.map(({ where }) => seqOfKey(where, prefix)).filter((seq) => !Number.isNaN(seq));
    const bad = [...seqs(logs, keys.logs), ...seqs(certs, keys.certs)];
    for (const { where } of certs) await clear(store, where);
    const firstStep = steps.map(({ where }) => where).sort()[0];
    if (firstStep) await clear(store, keys.steps, firstStep);
    const end = await lastSeq(store, keys);
    const last = Math.min(await this.#finalSeq(), end, ...bad.map((seq) => seq - 1));
    // Nothing but the genesis is left, and does not do.
    if (this.#remade === 0) return this.#drop();
    await this.#rewind(last === this.#remade ? last - 1 : last);
  }

  async #remakeIndex(): Promise<void> {
    const { store, crypto } = this.#o;
    const seq = Math.min(await this.#finalSeq(), await lastSeq(store, this.#keys));
    await indexLog(store, crypto.sha256, this.#keys, seq);
    this.#remade = Number.POSITIVE_INFINITY;
    this.#deeds.add('the index of its messages was made anew');
  }

  /** Infinity where it can't be read, or is gone. */
  async #finalSeq(): Promise<number> {
    const { store } = this.#o;
    const { final, certs } = this.#keys;
    const value = await store.get(final);
    if (!value) {
      const range = { gte: certs, lt: after(certs), limit: 1 };
      for await (const _ of store.range(range)) return Number.POSITIVE_INFINITY;
      return 0;
    }
    return attempt(() => decodeFinal(value).seq) ?? Number.POSITIVE_INFINITY;
  }

  /** Makes the last certified point up to `last` the final one, and all that hangs on it anew. */
  async #rewind(last: number): Promise<void> {
    const { store, crypto } = this.#o;
    const keys = this.#keys;
    const before = await this.#finalSeq();
    await this.#dropSet();
    const point = await this.#certifiedBefore(last);
    const seq = point?.seq ?? 0;
    await clear(store, keys.certs, keys.cert(seq + 1));
    if (point) {
      const state = { ...point, keptSeq: seq, bytesSince: 0 };
      await this.#put(keys.cert(seq), point.cert);
      await this.#put(keys.final, encodeFinal(state));
    } else {
      await clear(store, keys.final);
    }
    await this.#dropStepsBehind(seq);
    await cutLog(store, keys, seq);
    await indexLog(store, crypto.sha256, keys, seq);
    this.#remade = seq;
    const lost = before > seq && Number.isFinite(before) ? `, ${before} before` : '';
    this.#deeds.add(`its log is final up to seq ${seq}${lost}: the rest comes from other members`);
  }

  /** The newest certificate of a point up to `last`. */
  async #certifiedBefore(last: number) {
    const { store, crypto } = this.#o;
    const keys = this.#keys;
    const read = (cert: Uint8Array) =>
      attempt(() => ({ ...certifiedPoint(crypto.sha256, decodeCertificate(cert)), cert }));
    const value = await store.get(keys.final);
    const state = value && attempt(() => decodeFinal(value));
    const newest = state && read(state.cert);
    if (newest && newest.seq <= last) return newest;
    const lt = Number.isFinite(last) ? keys.cert(last + 1) : after(keys.certs);
    for await (const [, cert] of store.range({ gte: keys.certs, lt, reverse: true })) {
      const point = read(cert);
      if (point && point.seq <= last) return point;
    }
    return undefined;
  }

  async #dropStepsBehind(seq: number): Promise<void> {
    const { store, crypto } = this.#o;
    const { steps } = this.#keys;
    for await (const [key, value] of store.range({ gte: steps, lt: after(steps) })) {
      const certified = attempt(
        () => certifiedPoint(crypto.sha256, decodeCertificate(decodeStep(value).cert)).seq,
      );
      if (certified !== undefined && certified <= seq) continue;
      await clear(store, steps, key);
      return;
    }
  }

  /** Drops the tail and what is provisional, and keeps the records, as far as they are right. */
  async #dropSet(): Promise<void> {
    const { store, crypto } = this.#o;
    const keys = this.#keys;
    const final = await this.#finalSeq();
    for await (const [, value] of store.range({ gte: keys.places, lt: after(keys.places) })) {
      for (const { record, proof } of attempt(() => decodeRun(value)) ?? []) {
        if (record.length > 0) await this.#keep(record, proof);
      }
    }
    if (Number.isFinite(final)) {
      for await (const { record, proof } of entriesFrom(store, crypto.sha256, keys, final + 1)) {
        await this.#keep(record.bytes, proof);
      }
      await cutLog(store, keys, final);
    }
    for (const prefix of [keys.epochs, keys.acks, keys.commits, keys.branches, keys.places]) {
      await clear(store, prefix);
    }
    await store.write([{ key: keys.committed }, { key: keys.proposal }], { sync: false });
    await this.#forget('what was not final was dropped, but for the messages in it');
  }

  /** Puts a message that nothing holds any more where the node offers it from. */
  async #keep(record: Uint8Array, proof: Uint8Array): Promise<void> {
    const { store, crypto } = this.#o;
    const offer = attempt(() => ({ record: decodeRecord(crypto.sha256, record), proof }));
    if (!offer || !isMessageLane(offer.record) || !this.#isSigned(offer)) return;
    const { digest, author } = offer.record;
    if (this.#kept === SET_RECORDS_MAX) return;
    if (author === this.#o.self || (await isFinal(store, this.#keys, digest))) return;
    this.#kept += 1;
    await this.#put(this.#keys.pool(digest), encodeOffer(offer));
  }

  #isSigned({ record, proof }: Offer): boolean {
    const { sha256, ed25519Verify } = this.#o.crypto;
    if (record.channel !== this.#o.id) return false;
    const signed = attempt(() => recordSignatures(sha256, record, proof));
    return (
      signed?.every(({ by, statement, sig }) => ed25519Verify(unhex(by), statement, sig)) ?? false
    );
  }

  async #dropOutsFrom(first: string): Promise<void> {
    const { store } = this.#o;
    const { outs } = this.#keys;
    const from = first.endsWith('/') ? outs : first;
    const dropped = await clear(store, outs, from);
    const those = dropped === 1 ? '1 own message that was' : `${dropped} own messages that were`;
    this.#lose(`${those} not final can't be sent any more`);
  }

  /** A repair of the files brings back what was deleted. */
  async dropFinalOuts(): Promise<void> {
    const { store, crypto } = this.#o;
    const { outs } = this.#keys;
    for await (const [key, value] of store.range({ gte: outs, lt: after(outs) })) {
      const offer = attempt(() => decodeOffer(crypto.sha256, value));
      if (offer && (await isFinal(store, this.#keys, offer.record.digest))) await clear(store, key);
    }
  }

  async #forget(deed: string): Promise<void> {
    this.#memoryLost = true;
    this.#deeds.add(deed);
    await this.#put(this.#keys.forgotten, new TextEncoder().encode(this.#o.evidence));
  }

  #put(key: string, value: Uint8Array): Promise<void> {
    return this.#o.store.write([{ key, value }], { sync: false });
  }
}
