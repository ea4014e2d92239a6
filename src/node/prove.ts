/**
 * Makes a portable proof that a message is final (docs/PROTOCOL.md, section
 * "Portable proofs") of what this node's store holds. The certificate is the
 * nearest that was kept at or behind the message. What it made it checks
 * itself: of a store that is damaged no proof leaves.
 */

import { decodeWhole } from '../core/bytes.js';
import { decodeCertificate, decodeStep, type RosterStep } from '../core/certificate.js';
import { chainStart, type Header } from '../core/chain.js';
import type { ChannelState } from '../core/channel-state.js';
import { checkPortableProof, type Verifier } from '../core/check-proof.js';
import { ConclaveError } from '../core/errors.js';
import { type Digest, isId } from '../core/ids.js';
import {
  after,
  decodeEntry,
  decodeFinal,
  decodeRawEntry,
  decodeStoredGenesis,
  type Entry,
} from '../core/layout.js';
import { TAIL_ENTRIES_MAX } from '../core/limits.js';
import { encodePortableProof } from '../core/portable-proof.js';
import type { ChannelRecord } from '../core/record.js';
import type { Store } from '../core/store.js';
import { findRecords, logReader } from './explain-find.js';
import { armour } from './proof-file.js';

export interface ProveOptions {
  readonly store: Store;
  readonly crypto: Verifier;
  /** Up to where the log is final on disk. */
  readonly finalSeq: number;
  /** The key of a message, where its text is to be shown. */
  readonly keyFor?: (record: ChannelRecord) => Promise<Uint8Array | undefined>;
}

/** `which`: a record's id or digest. Rejects with `bad_id`, `no_message`, `not_final`, `ambiguous_id`, `proof_too_large` or `cannot_prove`. */
export async function proveFinal(
  st: ChannelState,
  which: string,
  o: ProveOptions,
): Promise<string> {
  const digest = which.toLowerCase();
  const entry = isId(digest) ? await byDigest(st, digest as Digest, o) : await byId(st, which, o);
  const cert = await nearestCertificate(st, entry.seq, o);
  const genesis = decodeStoredGenesis(await stored(o, st.keys.genesis));
  const steps: RosterStep[] = [];
  const { roster, seq: certified } = decodeCertificate(cert);
  for (let number = 1; number <= roster; number++) {
    steps.push(decodeStep(await stored(o, st.keys.step(number))));
  }
  const inclusion = await inclusionOf(st, entry, { bytes: cert, seq: certified }, o);
  const disclosure = await o.keyFor?.(entry.record);
  const proof = encodePortableProof({
    kind: 'final',
    genesis: genesis.bytes,
    genesisSig: genesis.sig,
    steps,
    inclusion,
    ...(disclosure && { disclosure }),
  });
  try {
    checkPortableProof(o.crypto, proof);
  } catch (error) {
    throw cannotProve((error as Error).message, error);
  }
  return armour(proof);
}

const cannotProve = (why: string, cause?: unknown): ConclaveError =>
  new ConclaveError(
    'cannot_prove',
    `what this store holds of it proves nothing: ${why}. "conclave verify" shows what is damaged; another member may prove it`,
    { cause },
  );

async function stored({ store }: ProveOptions, key: string): Promise<Uint8Array> {
  const value = await store.get(key);
  if (value === undefined) throw cannotProve(`${key} is missing`);
  return value;
}

async function byDigest(st: ChannelState, digest: Digest, o: ProveOptions): Promise<Entry> {
  const place = await o.store.get(st.keys.placed(digest));
  const seq = place && decodeWhole(place, (r) => r.u64());
  if (seq === undefined || seq > o.finalSeq) {
    throw new ConclaveError(
      'no_message',
      `no message ${digest} is final here; "conclave explain --json" shows the digests of a message`,
    );
  }
  return decodeEntry(o.crypto.sha256, await stored(o, st.keys.log(seq)));
}

async function byId(st: ChannelState, id: string, o: ProveOptions): Promise<Entry> {
  const log = logReader(o.store, o.crypto.sha256, st.keys, o.finalSeq);
  const found = await findRecords(st, id, log);
  const final = found.flatMap((each) => (each.final ? [each.final.entry] : []));
  if (final.length === 1) return final[0]!;
  if (final.length === 0) {
    throw new ConclaveError(
      'not_final',
      `the message ${id} is not final yet, and what is not final can not be proven: "conclave explain" says what it waits for`,
      { retryable: true },
    );
  }
  const digests = final.map(({ record }) => record.digest);
  throw new ConclaveError(
    'ambiguous_id',
    `${final.length} messages have the id ${id}: name one by its digest, ${digests.join(' or ')}`,
  );
}

/** The first certificate that was kept at or behind `seq`, else the newest. */
async function nearestCertificate(
  { keys }: ChannelState,
  seq: number,
  o: ProveOptions,
): Promise<Uint8Array> {
  const kept = o.store.range({ gte: keys.cert(seq), lt: after(keys.certs), limit: 1 });
  for await (const [, value] of kept) return value;
  return decodeFinal(await stored(o, keys.final)).cert;
}

/** The record, and the headers from it to the certified entry. */
async function inclusionOf(
  { id, keys }: ChannelState,
  { seq, record, proof }: Entry,
  cert: { readonly bytes: Uint8Array; readonly seq: number },
  o: ProveOptions,
): Promise<RosterStep> {
  if (cert.seq - seq > TAIL_ENTRIES_MAX) throw cannotProve(`no certificate is near seq ${seq}`);
  const headers: Header[] = [];
  const range = { gte: keys.log(seq), lt: keys.log(cert.seq) };
  for await (const [, value] of o.store.range(range)) headers.push(decodeRawEntry(value).header);
  const prevHash =
    seq === 1
      ? chainStart(o.crypto.sha256, id)
      : decodeRawEntry(await stored(o, keys.log(seq - 1))).hash;
  return { seq, prevHash, headers, record: record.bytes, proof, cert: cert.bytes };
}
