/**
 * Verification of a store (docs/PROTOCOL.md, section "Verification"): offline,
 * everything. Recomputes the genesis, the chain and every roster, checks every
 * signature and certificate, and compares what is derived with what is stored.
 * It goes on after a problem, and says where each one is.
 */

import { decodeWhole } from '../core/bytes.js';
import {
  type Certificate,
  certificateSignatures,
  certifiedPoint,
  checkFinalCertificate,
  checkStep,
  decodeCertificate,
  decodeStep,
  recordSignatures,
} from '../core/certificate.js';
import { chainNext, chainStart } from '../core/chain.js';
import type { Crypto } from '../core/crypto.js';
import { channelIdOf, decodeGenesis } from '../core/genesis.js';
import { type ChannelId, type Digest, type UserId, unhex } from '../core/ids.js';
import {
  after,
  type ChannelKeys,
  channelKeys,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodeRawEntry,
  decodeStoredGenesis,
} from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { type ChannelRecord, decodeRecord } from '../core/record.js';
import { genesisRoster, isMembership, type Roster } from '../core/roster.js';
import type { Signed } from '../core/statements.js';
import type { Store } from '../core/store.js';
import type { VerifyReport } from './api.js';

type Problem = VerifyReport['problems'][number];

const PROBLEMS_MAX = 100;
/** The event loop gets a turn after this many entries. */
const ENTRIES_PER_TURN = 512;

class Verifier {
  readonly #crypto: Crypto;
  readonly #store: Store;
  readonly keys: ChannelKeys;
  readonly #id: ChannelId;
  readonly problems: Problem[] = [];
  readonly rosters: Roster[] = [];
  /** Seq of each membership record that a step speaks of. */
  readonly #steps = new Map<number, number>();
  /** Batches of records whose signature was found right: many records share one. */
  readonly #seen = new Set<string>();

  constructor(crypto: Crypto, store: Store, id: ChannelId) {
    this.#crypto = crypto;
    this.#store = store;
    this.#id = id;
    this.keys = channelKeys(id);
  }

  problem(where: string, what: unknown): void {
    if (this.problems.length >= PROBLEMS_MAX) return;
    this.problems.push({ where, what: what instanceof Error ? what.message : String(what) });
  }

  /** Runs one check; whatever it throws is a problem at `where`. */
  async check(where: string, run: () => void | Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.problem(where, error);
    }
  }

  verifyAll(where: string, signed: readonly Signed[]): void {
    for (const s of signed) {
      const key = Buffer.concat([unhex(s.by), s.sig, this.#crypto.sha256(s.statement)]).toString(
        'latin1',
      );
      if (this.#seen.has(key)) continue;
      if (!this.#crypto.ed25519Verify(unhex(s.by), s.statement, s.sig)) {
        this.problem(where, `a signature of ${s.by} does not verify`);
      } else if (this.#seen.size < 65_536) this.#seen.add(key);
    }
  }

  async *#under(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    try {
      yield* this.#store.range({ gte: prefix, lt: after(prefix) });
    } catch (error) {
      this.problem(prefix, error);
    }
  }

  async genesis(): Promise<boolean> {
    await this.check(this.keys.genesis, async () => {
      const value = await this.#store.get(this.keys.genesis);
      if (!value) throw new Error('the genesis is missing');
      const stored = decodeStoredGenesis(value);
      if (channelIdOf(this.#crypto.sha256, stored.bytes) !== this.#id) {
        throw new Error('the genesis is of another channel');
      }
      const genesis = decodeGenesis(stored.bytes);
      this.verifyAll(this.keys.genesis, [
        { by: genesis.founder, statement: stored.bytes, sig: stored.sig },
      ]);
      this.rosters.push(genesisRoster(this.#crypto.sha256, this.#id, genesis));
    });
    return this.rosters.length > 0;
  }

  async hardState(): Promise<void> {
    await this.check(this.keys.hard, async () => {
      const value = await this.#store.get(this.keys.hard);
      if (!value) throw new Error("the node's promises are missing");
      decodeHardState(value);
    });
  }

  async rosterSteps(): Promise<void> {
    for await (const [key, value] of this.#under(this.keys.steps)) {
      await this.check(key, () => {
        const step = decodeStep(value);
        const checked = checkStep(this.#crypto.sha256, this.rosters.at(-1)!, step);
        if (key !== this.keys.step(checked.roster.number))
          throw new Error('a roster step is missing before it');
        this.verifyAll(key, checked.signatures);
        this.rosters.push(checked.roster);
        this.#steps.set(step.seq, checked.roster.number);
      });
    }
  }

  /** Certificates by the seq that they certify. */
  async certificates(): Promise<Map<number, { key: string; cert: Certificate }>> {
    const certs = new Map<number, { key: string; cert: Certificate }>();
    const add = (key: string, value: Uint8Array): void => {
      const cert = decodeCertificate(value);
      const roster = this.rosters[cert.roster];
      if (!roster) throw new Error(`a certificate of roster ${cert.roster}, which is unknown`);
      checkFinalCertificate(cert, roster);
      this.verifyAll(key, certificateSignatures(this.#crypto.sha256, cert));
      certs.set(cert.seq, { key, cert });
    };
    for await (const [key, value] of this.#under(this.keys.certs)) {
      await this.check(key, () => {
        add(key, value);
        if (!certs.has(Number.parseInt(key.slice(this.keys.certs.length), 16))) {
          throw new Error('a certificate under the wrong seq');
        }
      });
    }
    const final = await this.#store
      .get(this.keys.final)
      .catch((error) => this.problem(this.keys.final, error));
    if (final) {
      await this.check(this.keys.final, () => {
        const { seq, cert } = decodeFinal(final);
        add(this.keys.final, cert);
        if (!certs.has(seq))
          throw new Error('the final point is not the one that its certificate certifies');
      });
    }
    return certs;
  }

  /** Walks the log. Returns the counts of a report. */
  async log(
    onProgress?: (entries: number) => void,
  ): Promise<{ entries: number; final: number; head: Digest }> {
    const hash = this.#crypto.sha256;
    const certs = await this.certificates();
    const finalSeq = await this.#finalSeq();
    const tips = new Map<UserId, Digest>();
    const placed = new Map<Digest, number>();
    let at = { seq: 0, hash: chainStart(hash, this.#id) };
    let head = at.hash;
    let entries = 0;
    let final = 0;
    for await (const [key, value] of this.#under(this.keys.logs)) {
      await this.check(key, async () => {
        const raw = decodeRawEntry(value);
        if (key !== this.keys.log(raw.seq)) throw new Error('an entry under the wrong seq');
        if (raw.seq !== at.seq + 1) this.problem(key, `seq ${at.seq + 1} is missing before it`);
        const record = decodeRecord(hash, raw.record);
        if (record.digest !== raw.header.digest)
          throw new Error('its record is not the one that the chain names');
        const expected = chainNext(hash, at.hash, raw.seq, raw.header);
        if (raw.seq === at.seq + 1 && expected !== raw.hash)
          this.problem(key, 'the chain breaks here');
        at = { seq: raw.seq, hash: raw.hash };
        this.verifyAll(key, recordSignatures(hash, record, raw.proof));
        this.#checkOrder(key, record, tips, placed);
        placed.set(record.digest, raw.seq);
        if (record.kind === 'message') entries += 1;
        if (raw.seq <= finalSeq) {
          if (record.kind === 'message') final += 1;
          head = raw.hash;
          await this.#checkFinal(key, record, raw.seq);
          if (isMessageLane(record)) tips.set(record.author, record.digest);
        }
        const certified = certs.get(raw.seq);
        if (certified && certifiedPoint(hash, certified.cert).hash !== raw.hash) {
          this.problem(certified.key, `it certifies another entry than the one at seq ${raw.seq}`);
        }
        certs.delete(raw.seq);
      });
      if (at.seq % ENTRIES_PER_TURN === 0) {
        onProgress?.(at.seq);
        await new Promise(setImmediate);
      }
    }
    if (at.seq < finalSeq)
      this.problem(this.keys.logs, `the log ends at seq ${at.seq}, its final point is ${finalSeq}`);
    for (const { key, cert } of certs.values())
      this.problem(key, `it certifies seq ${cert.seq}, which the log lacks`);
    await this.#checkTips(tips);
    onProgress?.(at.seq);
    return { entries, final, head };
  }

  async #finalSeq(): Promise<number> {
    try {
      const value = await this.#store.get(this.keys.final);
      return value ? decodeFinal(value).seq : 0;
    } catch {
      return 0;
    }
  }

  /** Invariant 9: once, after its predecessor. */
  #checkOrder(
    key: string,
    record: ChannelRecord,
    tips: ReadonlyMap<UserId, Digest>,
    placed: ReadonlyMap<Digest, number>,
  ): void {
    if (placed.has(record.digest))
      this.problem(key, `the record stands at seq ${placed.get(record.digest)} too`);
    if (
      !isMessageLane(record) ||
      placed.has(record.prev) ||
      tips.get(record.author) === record.prev
    )
      return;
    const member = this.rosters.some((r) => r.members.get(record.author)?.root === record.prev);
    if (!member) this.problem(key, "it does not follow its author's previous record");
  }

  async #checkFinal(key: string, record: ChannelRecord, seq: number): Promise<void> {
    const stored = await this.#store.get(this.keys.placed(record.digest));
    if (!stored || decodeWhole(stored, (r) => r.u64()) !== seq) {
      this.problem(this.keys.placed(record.digest), `the index does not know it at seq ${seq}`);
    }
    if (isMembership(record.kind) && !this.#steps.has(seq)) {
      this.problem(key, 'a change of membership without the step that proves it');
    }
  }

  async #checkTips(tips: ReadonlyMap<UserId, Digest>): Promise<void> {
    const stored = new Map<string, Digest>();
    for await (const [key, value] of this.#under(this.keys.tips)) {
      await this.check(key, () => {
        stored.set(
          key.slice(this.keys.tips.length),
          decodeWhole(value, (r) => r.id<Digest>()),
        );
      });
    }
    for (const [user, digest] of tips) {
      if (stored.get(user) !== digest)
        this.problem(this.keys.tip(user), "it is not the author's last final message");
      stored.delete(user);
    }
    for (const user of stored.keys())
      this.problem(this.keys.tips + user, 'its author has no final message');
  }

  async offers(): Promise<void> {
    for (const prefix of [this.keys.outs, this.keys.pools]) {
      for await (const [key, value] of this.#under(prefix)) {
        await this.check(key, () => {
          const { record, proof } = decodeOffer(this.#crypto.sha256, value);
          this.verifyAll(key, recordSignatures(this.#crypto.sha256, record, proof));
        });
      }
    }
    for await (const [key, value] of this.#under(this.keys.acks)) {
      await this.check(key, () => {
        if (value.length < 65) throw new Error('an acknowledgement that is cut short');
      });
    }
  }
}

/** Verifies one channel of a store. Never throws for what is in the store. */
export async function verifyChannel(
  crypto: Crypto,
  store: Store,
  id: ChannelId,
  onProgress?: (entries: number) => void,
): Promise<VerifyReport> {
  const v = new Verifier(crypto, store, id);
  const nothing = { entries: 0, final: 0, head: chainStart(crypto.sha256, id) };
  let counts = nothing;
  if (await v.genesis()) {
    await v.hardState();
    await v.rosterSteps();
    counts = await v.log(onProgress);
    await v.offers();
  }
  return { channel: id, ok: v.problems.length === 0, ...counts, problems: v.problems };
}
