/**
 * Verification of a channel in a store (docs/PROTOCOL.md, section
 * "Verification"): offline, everything. Recomputes the genesis, the chain and
 * every roster, checks every signature and certificate, and compares what is
 * derived with what is stored. It goes on after a problem, and says where each
 * one is.
 *
 * The store may be in use: everything is compared at one final point, which is
 * read first, and what is final never changes.
 */

import { decodeWhole } from '../core/bytes.js';
import {
  certificateSignatures,
  certifiedPoint,
  checkFinalCertificate,
  checkStep,
  decodeCertificate,
  decodeStep,
  recordSignatures,
} from '../core/certificate.js';
import { chainStart, type Point } from '../core/chain.js';
import type { Crypto } from '../core/crypto.js';
import { channelIdOf, decodeGenesis } from '../core/genesis.js';
import type { ChannelId, Digest, UserId } from '../core/ids.js';
import {
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodeStoredGenesis,
  type FinalState,
} from '../core/layout.js';
import { genesisRoster } from '../core/roster.js';
import { decodeAs } from '../core/statements.js';
import type { Store } from '../core/store.js';
import type { VerifyReport } from './api.js';
import { Verification } from './verification.js';
import { LogWalk } from './verify-log.js';

export interface VerifyOptions {
  /** Whose store it is: whose acknowledgements it holds. */
  readonly self: UserId | undefined;
  readonly onProgress?: ((entries: number) => void) | undefined;
}

/** Verifies one channel of a store. Never throws for what is in the store. */
export async function verifyChannel(
  crypto: Crypto,
  store: Store,
  id: ChannelId,
  { self, onProgress = () => {} }: VerifyOptions,
): Promise<VerifyReport> {
  const v = new Verification(crypto, store, id);
  let totals = { entries: 0, final: 0, head: chainStart(crypto.sha256, id) };
  const settled = await readSettled(v);
  if (await genesis(v)) {
    await hardState(v);
    const { final } = settled;
    const steps = await rosterSteps(v, final.seq);
    const certified = await certificates(v, settled);
    const hasMoved = async (): Promise<boolean> => (await readFinal(v))?.seq !== settled.state?.seq;
    const walk = new LogWalk(v, { final, steps, certified, hasMoved, onProgress });
    totals = await walk.run();
    compareTips(v, walk.tips, settled.tips);
    await index(v, final.seq);
    await offers(v);
    await acknowledgements(v, self);
  }
  return { channel: id, ok: v.problems.length === 0, ...totals, problems: v.problems };
}

interface Settled {
  readonly final: Point;
  readonly state: FinalState | undefined;
  readonly tips: ReadonlyMap<UserId, Digest>;
}

/** The final point, and each author's last final message as of it. */
async function readSettled(v: Verification): Promise<Settled> {
  for (;;) {
    const before = await readFinal(v);
    const tips = new Map<UserId, Digest>();
    for await (const [key, value] of v.under(v.keys.tips)) {
      await v.check(key, () => {
        const user = key.slice(v.keys.tips.length) as UserId;
        tips.set(
          user,
          decodeWhole(value, (r) => r.id<Digest>()),
        );
      });
    }
    const state = await readFinal(v);
    if (state?.seq !== before?.seq) continue;
    const start = { seq: 0, hash: chainStart(v.crypto.sha256, v.id) };
    return { final: state ?? start, state, tips };
  }
}

async function readFinal(v: Verification): Promise<FinalState | undefined> {
  let state: FinalState | undefined;
  await v.check(v.keys.final, async () => {
    const value = await v.store.get(v.keys.final);
    if (value) state = decodeFinal(value);
  });
  return state;
}

async function genesis(v: Verification): Promise<boolean> {
  const { sha256 } = v.crypto;
  await v.check(v.keys.genesis, async () => {
    const value = await v.store.get(v.keys.genesis);
    if (!value) throw new Error('the genesis is missing');
    const { bytes, sig } = decodeStoredGenesis(value);
    if (channelIdOf(sha256, bytes) !== v.id) throw new Error('the genesis is of another channel');
    const decoded = decodeGenesis(bytes);
    v.signatures(v.keys.genesis, [{ by: decoded.founder, statement: bytes, sig }]);
    v.rosters.push(genesisRoster(sha256, v.id, decoded));
  });
  return v.rosters.length > 0;
}

async function hardState(v: Verification): Promise<void> {
  await v.check(v.keys.hard, async () => {
    const value = await v.store.get(v.keys.hard);
    if (!value) throw new Error("the node's promises are missing");
    decodeHardState(value);
  });
  const conflict = `${v.keys.all}conflict`;
  await v.check(conflict, async () => {
    if (await v.store.get(conflict)) {
      throw new Error('two final certificates conflict: members voted twice, this node stopped');
    }
  });
}

/** Digest of the record of each step, by its seq. */
async function rosterSteps(v: Verification, finalSeq: number): Promise<Map<number, Digest>> {
  const steps = new Map<number, Digest>();
  for await (const [key, value] of v.under(v.keys.steps)) {
    await v.check(key, () => {
      const step = decodeStep(value);
      const { roster, record, signatures } = checkStep(v.crypto.sha256, v.rosters.at(-1)!, step);
      if (key !== v.keys.step(roster.number)) {
        throw new Error('a roster step is missing before it');
      }
      v.signatures(key, signatures);
      v.rosters.push(roster);
      if (step.seq <= finalSeq) steps.set(step.seq, record.digest);
    });
  }
  return steps;
}

type Certified = Map<number, { key: string; hash: Digest }>;

/** The points that certificates certify, up to the final one. */
async function certificates(v: Verification, { final, state }: Settled): Promise<Certified> {
  const { sha256 } = v.crypto;
  const certified: Certified = new Map();
  const add = (key: string, bytes: Uint8Array, seq: number): void => {
    const cert = decodeCertificate(bytes);
    if (cert.seq !== seq) throw new Error(`it certifies seq ${cert.seq}, not ${seq}`);
    const roster = v.rosters[cert.roster];
    if (!roster) throw new Error(`a certificate of roster ${cert.roster}, which nothing proves`);
    checkFinalCertificate(cert, roster);
    v.signatures(key, certificateSignatures(sha256, cert));
    certified.set(seq, { key, hash: certifiedPoint(sha256, cert).hash });
  };
  const beyond: string[] = [];
  for await (const [key, value] of v.under(v.keys.certs)) {
    const seq = Number.parseInt(key.slice(v.keys.certs.length), 16);
    if (seq <= final.seq) await v.check(key, () => add(key, value, seq));
    else beyond.push(key);
  }
  // Unless the log grew meanwhile, nothing is certified that is not final.
  if ((await readFinal(v))?.seq === state?.seq) {
    for (const key of beyond) v.problem(key, `it is beyond the final point, ${final.seq}`);
  }
  if (state) {
    await v.check(v.keys.final, () => {
      add(v.keys.final, state.cert, state.seq);
      const { keptSeq } = state;
      if (keptSeq > 0 && !certified.has(keptSeq)) {
        throw new Error(`the certificate kept at seq ${keptSeq} is missing`);
      }
      if (certified.get(state.seq)!.hash !== state.hash) {
        throw new Error('the final point is not the one that its certificate certifies');
      }
    });
  }
  return certified;
}

function compareTips(
  v: Verification,
  derived: ReadonlyMap<UserId, Digest>,
  stored: ReadonlyMap<UserId, Digest>,
): void {
  for (const user of new Set([...derived.keys(), ...stored.keys()])) {
    if (stored.get(user) !== derived.get(user)) {
      v.problem(v.keys.tip(user), "it is not the author's last final message");
    }
  }
}

/** Every final entry has one place in the index, which the walk looked up; here, that there are no others. */
async function index(v: Verification, finalSeq: number): Promise<void> {
  let count = 0;
  for await (const [key, value] of v.under(v.keys.placements)) {
    await v.check(key, () => {
      if (decodeWhole(value, (r) => r.u64()) <= finalSeq) count += 1;
    });
  }
  if (count !== finalSeq) {
    v.problem(v.keys.placements, `the index has ${count} final records, the log ${finalSeq}`);
  }
}

/** Own records that wait, each behind the one before, and records that fell out of the log. */
async function offers(v: Verification): Promise<void> {
  const { sha256 } = v.crypto;
  let last: Digest | undefined;
  for await (const [key, value] of v.under(v.keys.outs)) {
    await v.check(key, () => {
      const { record, proof } = decodeOffer(sha256, value);
      v.signatures(key, recordSignatures(sha256, record, proof));
      if (last !== undefined && record.prev !== last) {
        v.problem(key, 'an own message is missing before it');
      }
      last = record.digest;
    });
  }
  for await (const [key, value] of v.under(v.keys.pools)) {
    await v.check(key, () => {
      const { record, proof } = decodeOffer(sha256, value);
      if (key !== v.keys.pool(record.digest)) throw new Error('a record under the wrong digest');
      v.signatures(key, recordSignatures(sha256, record, proof));
    });
  }
}

const SIGNATURE_BYTES = 64;

async function acknowledgements(v: Verification, self: UserId | undefined): Promise<void> {
  for await (const [key, value] of v.under(v.keys.acks)) {
    await v.check(key, () => {
      const statement = value.subarray(SIGNATURE_BYTES);
      const ack = decodeAs('ack', statement);
      if (ack.channel !== v.id) throw new Error('an acknowledgement of another channel');
      if (key !== v.keys.ack(ack.epoch)) throw new Error('an acknowledgement of another epoch');
      if (self === undefined) return;
      v.signatures(key, [{ by: self, statement, sig: value.subarray(0, SIGNATURE_BYTES) }]);
    });
  }
}
