/**
 * Verification of a channel in a store (docs/PROTOCOL.md, section
 * "Verification"): offline, everything. Recomputes the genesis, the chain
 * (verify-log.ts), every roster and what is provisional (verify-set.ts), checks
 * every signature and certificate, and compares what is derived with what is
 * stored. It goes on after a problem, and says where each one is.
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
import { channelIdOf, commitName, decodeGenesis } from '../core/genesis.js';
import { type ChannelId, type Digest, hex32, type UserId } from '../core/ids.js';
import {
  decodeConviction,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodeStoredGenesis,
  type FinalState,
} from '../core/layout.js';
import { checkMisbehaviour } from '../core/misbehaviour.js';
import { decodePortableProof } from '../core/portable-proof.js';
import { genesisRoster } from '../core/roster.js';
import type { Store } from '../core/store.js';
import type { Misbehaved, VerifyReport } from './api.js';
import { Verification } from './verification.js';
import { LogWalk } from './verify-log.js';
import { verifySet } from './verify-set.js';

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
  let misbehaved: readonly Misbehaved[] = [];
  const settled = await readSettled(v);
  if (await genesis(v)) {
    await hardState(v);
    const { final } = settled;
    const hasMoved = async (): Promise<boolean> => (await readFinal(v))?.seq !== settled.state?.seq;
    const { steps, certified } = await rosterSteps(v, final.seq);
    await certificates(v, settled, { steps, certified }, hasMoved);
    const walk = new LogWalk(v, {
      final,
      keptSeq: settled.state?.keptSeq ?? 0,
      steps,
      certified,
      hasMoved,
      onProgress,
    });
    totals = await walk.run();
    compareTips(v, walk.tips, settled.tips);
    await index(v, final.seq);
    if (settled.state && settled.state.bytesSince !== walk.bytesSinceKept) {
      v.problem(v.keys.final, 'it miscounts what became final since the last certificate kept');
    }
    await outbox(v, self, walk.tips, hasMoved);
    await pool(v);
    misbehaved = await convictions(v);
    await verifySet(v, { self, finalSeq: final.seq, lastEpoch: walk.epoch, hasMoved });
  }
  const { name, problems } = v;
  const named = name === undefined ? {} : { name };
  const told = misbehaved.length > 0 ? { misbehaved } : {};
  return { channel: id, ...named, ok: problems.length === 0, ...totals, problems, ...told };
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
    const { bytes, sig, name } = decodeStoredGenesis(value);
    if (channelIdOf(sha256, bytes) !== v.id) throw new Error('the genesis is of another channel');
    const decoded = decodeGenesis(bytes);
    v.signatures(v.keys.genesis, [{ by: decoded.founder, statement: bytes, sig }]);
    v.name = name;
    const isKnown = name !== '';
    if (isKnown && commitName(sha256, decoded.salt, name) !== decoded.nameCommitment) {
      v.problem(v.keys.genesis, "the channel's name is not the one that its founder chose");
    }
    v.genesis = decoded;
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

/** The certified points by seq, with the key that certifies. */
type Certified = Map<number, { readonly key: string; readonly hash: Digest }>;

/** The records of the steps by their seq, and the points that the steps certify, up to the final one. */
async function rosterSteps(
  v: Verification,
  finalSeq: number,
): Promise<{ steps: Map<number, Digest>; certified: Certified }> {
  const steps = new Map<number, Digest>();
  const certified: Certified = new Map();
  for await (const [key, value] of v.under(v.keys.steps)) {
    await v.check(key, () => {
      const step = decodeStep(value);
      const checked = checkStep(v.crypto.sha256, v.rosters.at(-1)!, step);
      if (key !== v.keys.step(checked.roster.number)) {
        throw new Error('a roster step is missing before it');
      }
      v.signatures(key, checked.signatures);
      v.rosters.push(checked.roster);
      if (step.seq > finalSeq) return;
      steps.set(step.seq, checked.record.digest);
      certified.set(checked.point.seq, { key, hash: checked.point.hash });
    });
  }
  return { steps, certified };
}

/** Adds the points that certificates certify, up to the final one. */
async function certificates(
  v: Verification,
  { final, state }: Settled,
  { steps, certified }: Awaited<ReturnType<typeof rosterSteps>>,
  hasMoved: () => Promise<boolean>,
): Promise<void> {
  const { sha256 } = v.crypto;
  const kept = new Set<number>();
  /** Behind which entry each roster came into force. */
  const since = [0, ...steps.keys()];
  const add = (key: string, bytes: Uint8Array, seq: number): void => {
    const cert = decodeCertificate(bytes);
    if (cert.seq !== seq) throw new Error(`it certifies seq ${cert.seq}, not ${seq}`);
    const roster = v.rosters[cert.roster];
    if (!roster) throw new Error(`a certificate of roster ${cert.roster}, which nothing proves`);
    const { [cert.roster]: begun = Infinity, [cert.roster + 2]: over = Infinity } = since;
    if (seq <= begun || seq >= over)
      throw new Error(`roster ${cert.roster} counts for no seq ${seq}`);
    checkFinalCertificate(cert, roster);
    v.signatures(key, certificateSignatures(sha256, cert));
    const { hash } = certifiedPoint(sha256, cert);
    const known = certified.get(seq);
    if (known && known.hash !== hash) throw new Error(`${known.key} certifies another entry`);
    certified.set(seq, { key, hash });
  };
  const beyond: string[] = [];
  for await (const [key, value] of v.under(v.keys.certs)) {
    const seq = Number.parseInt(key.slice(v.keys.certs.length), 16);
    if (seq > final.seq) beyond.push(key);
    else await v.check(key, () => add(key, value, seq));
    kept.add(seq);
  }
  // Unless the log grew meanwhile, nothing is certified that is not final.
  if (beyond.length > 0 && !(await hasMoved())) {
    for (const key of beyond) v.problem(key, `it is beyond the final point, ${final.seq}`);
  }
  for (const [at, { key }] of certified) {
    if (kept.has(at) || !key.startsWith(v.keys.steps)) continue;
    v.problem(v.keys.cert(at), 'the certificate of a change of membership is missing');
  }
  if (!state) return;
  await v.check(v.keys.final, () => {
    add(v.keys.final, state.cert, state.seq);
    if (state.keptSeq > 0 && !kept.has(state.keptSeq)) {
      throw new Error(`the certificate kept at seq ${state.keptSeq} is missing`);
    }
    if (certified.get(state.seq)!.hash !== state.hash) {
      throw new Error('the final point is not the one that its certificate certifies');
    }
  });
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

/** Own messages that are not final: each behind the one before, the first behind the last final one that is known here. */
async function outbox(
  v: Verification,
  self: UserId | undefined,
  tips: ReadonlyMap<UserId, Digest>,
  hasMoved: () => Promise<boolean>,
): Promise<void> {
  const { sha256 } = v.crypto;
  const gaps: string[] = [];
  // Who lost memory may have signed since what it does not hold.
  let mayLack = (await v.store.get(v.keys.forgotten)) !== undefined;
  const root = self && v.rosters.find(({ members }) => members.has(self))?.members.get(self)?.root;
  let last = self && (tips.get(self) ?? root);
  for await (const [key, value] of v.under(v.keys.outs)) {
    await v.check(key, () => {
      const { record, proof } = decodeOffer(sha256, value);
      v.signatures(key, recordSignatures(sha256, record, proof));
      if (self !== undefined && record.author !== self) throw new Error('it is no own message');
      if (last !== undefined && record.prev !== last && !mayLack) gaps.push(key);
      mayLack = false;
      last = record.digest;
    });
  }
  if (gaps.length > 0 && !(await hasMoved())) {
    for (const key of gaps) v.problem(key, 'an own message is missing before it');
  }
}

/** Proofs of misbehaviour: each convicts somebody. */
async function convictions(v: Verification): Promise<readonly Misbehaved[]> {
  const { sha256 } = v.crypto;
  const found: Misbehaved[] = [];
  for await (const [key, value] of v.under(v.keys.convictions)) {
    await v.check(key, () => {
      const { since, proof } = decodeConviction(value);
      const decoded = decodePortableProof(proof);
      if (decoded.kind !== 'misbehaviour') throw new Error('it is no proof of misbehaviour');
      const { misbehaviour } = decoded;
      const { channel, offence, offender: user } = misbehaviour;
      if (channel !== v.id) throw new Error('a proof of misbehaviour in another channel');
      if (key !== v.keys.conviction(hex32(sha256(proof))))
        throw new Error('a proof under the wrong key');
      v.signatures(key, checkMisbehaviour(sha256, misbehaviour));
      found.push({ user, offence, since });
    });
  }
  return found;
}

/** Records that branches place, or that fell out of the log. */
async function pool(v: Verification): Promise<void> {
  const { sha256 } = v.crypto;
  for await (const [key, value] of v.under(v.keys.pools)) {
    await v.check(key, () => {
      const { record, proof } = decodeOffer(sha256, value);
      if (key !== v.keys.pool(record.digest)) throw new Error('a record under the wrong digest');
      v.signatures(key, recordSignatures(sha256, record, proof));
    });
  }
}
