/**
 * Records: what authors sign (docs/PROTOCOL.md, section "Records").
 *
 *     record = version u8 · channel 32 · author 32 · boot 16 · n u64 · prev 32
 *            · kind text · id 16 · time u64 · keyEpoch u32 · body bytes
 *
 * A record's identity is its digest, SHA-256 over a tag and these bytes. The
 * same bytes travel, are hashed, signed and stored; nothing is re-encoded.
 * `body` is opaque to everyone but members.
 *
 * A proof says that the author signed the record, alone or in a batch:
 *
 *     proof = roster u64 · rosterHash 32 · count u16 · index u16 · path list of 32 · sig 64
 */

import { bytesEqual, decodeWhole, fromUtf8, Reader, Writer } from './bytes.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, Ulid, UserId } from './ids.js';
import { unhex } from './ids.js';
import {
  PROTOCOL_VERSION,
  RECORD_BODY_BYTES_MAX,
  RECORD_KIND_CHARS_MAX,
  RECORDS_PER_BATCH_MAX,
} from './limits.js';
import { KnownTree, merkleRoot, merkleTree } from './merkle.js';
import { type Signed, signedRecords } from './statements.js';

export interface RecordFields {
  readonly channel: ChannelId;
  readonly author: UserId;
  /** Minted each time a node opens its store; all zero in records that a leader places itself. */
  readonly boot: Ulid;
  /** 1, 2, 3 … within the boot. */
  readonly n: number;
  /** Digest of the author's previous record in the same lane. */
  readonly prev: Digest;
  readonly kind: string;
  /** The author's name for it; never order, never identity. */
  readonly id: Ulid;
  /** Author's wall clock, ms since 1970. */
  readonly time: number;
  /** How the body is encrypted: 0 not at all, 1 under the channel key that it names. */
  readonly keyEpoch: number;
  readonly body: Uint8Array;
}

/** A decoded record with its identity and its exact bytes. */
export interface ChannelRecord extends RecordFields {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/**
 * A body that is encrypted with its record's header as associated data, and so
 * can be made only when that is known. The core has no ciphers and no
 * randomness: it calls `seal`, once.
 */
export interface SealedBody {
  /** Of what `seal` returns. */
  readonly length: number;
  seal(header: Uint8Array): Uint8Array;
}

/** `keyEpoch` of a record whose body is encrypted. */
export const KEY_EPOCH_SEALED = 1;
const BODY_LENGTH_BYTES = 4;

export const ZERO_BOOT = '0'.repeat(26) as Ulid;
const KIND = /^[a-z][a-z0-9-]*$/;
const DIGEST_TAG = new TextEncoder().encode('conclave/record');

export function recordDigest(hash: Hash, bytes: Uint8Array): Digest {
  const w = new Writer(DIGEST_TAG.length + bytes.length);
  return w.raw(DIGEST_TAG).raw(bytes).hashedId(hash);
}

/** Throws `record_too_large` or `bad_record`. */
export function encodeRecord(hash: Hash, fields: RecordFields): ChannelRecord {
  checkBody(fields.body);
  const bytes = writeHeader(fields, fields.body.length).bytes(fields.body).kept();
  return recordFrom(fields, recordDigest(hash, bytes), bytes);
}

/** The record whose body `seal` makes of its header. Throws `record_too_large` or `bad_record`. */
export function sealRecord(
  hash: Hash,
  header: Omit<RecordFields, 'body' | 'keyEpoch'>,
  body: SealedBody,
): ChannelRecord {
  const fields = { ...header, keyEpoch: KEY_EPOCH_SEALED };
  const sealed = body.seal(writeHeader(fields, 0).done());
  return encodeRecord(hash, { ...fields, body: sealed });
}

/** What stands before a record's body and its length: the associated data of its encryption. */
export const headerOf = ({ bytes, body }: ChannelRecord): Uint8Array =>
  bytes.subarray(0, bytes.length - body.length - BODY_LENGTH_BYTES);

function checkBody({ length }: Uint8Array): void {
  if (length <= RECORD_BODY_BYTES_MAX) return;
  throw new ConclaveError(
    'record_too_large',
    `a record's body has ${length} bytes; the limit is ${RECORD_BODY_BYTES_MAX}. Split it.`,
  );
}

/** Throws `bad_record`. */
function writeHeader(fields: Omit<RecordFields, 'body'>, bodyBytes: number): Writer {
  if (fields.kind.length > RECORD_KIND_CHARS_MAX || !KIND.test(fields.kind)) {
    throw new ConclaveError('bad_record', `"${fields.kind}" is not a record kind`);
  }
  return new Writer(192 + bodyBytes)
    .u8(PROTOCOL_VERSION)
    .id(fields.channel)
    .id(fields.author)
    .ulid(fields.boot)
    .u64(fields.n)
    .id(fields.prev)
    .text(fields.kind)
    .ulid(fields.id)
    .u64(fields.time)
    .u32(fields.keyEpoch);
}

/** Every record has its fields in this order: engines read objects of one shape much faster. */
const recordFrom = (f: RecordFields, digest: Digest, bytes: Uint8Array): ChannelRecord => ({
  channel: f.channel,
  author: f.author,
  boot: f.boot,
  n: f.n,
  prev: f.prev,
  kind: f.kind,
  id: f.id,
  time: f.time,
  keyEpoch: f.keyEpoch,
  body: f.body,
  digest,
  bytes,
});

/** Throws `bad_encoding` or `bad_record`. */
export function decodeRecord(hash: Hash, bytes: Uint8Array): ChannelRecord {
  const fields = decodeWhole(bytes, (r) => {
    if (r.u8() !== PROTOCOL_VERSION) {
      throw new ConclaveError('bad_record', 'a record of another protocol version');
    }
    return {
      channel: r.id<ChannelId>(),
      author: r.id<UserId>(),
      boot: r.ulid(),
      n: r.u64(),
      prev: r.id<Digest>(),
      kind: readKind(r),
      id: r.ulid(),
      time: r.u64(),
      keyEpoch: r.u32(),
      body: r.bytes(RECORD_BODY_BYTES_MAX),
    };
  });
  return recordFrom(fields, recordDigest(hash, bytes), bytes);
}

/** What stands before the kind: version, channel, author, boot, n, prev. */
const KIND_AT = 1 + 32 + 32 + 16 + 8 + 32;

/** The kind of an encoded record, of which the rest is not looked at. Throws `bad_encoding` or `bad_record`. */
export function kindOf(bytes: Uint8Array): string {
  return readKind(new Reader(bytes.subarray(KIND_AT)));
}

/** The kind that was read last: most records are of the same one. */
let lastKind = { bytes: new Uint8Array(0), kind: '' };

function readKind(r: Reader): string {
  const bytes = r.bytes(RECORD_KIND_CHARS_MAX);
  if (bytes.length > 0 && bytesEqual(bytes, lastKind.bytes)) return lastKind.kind;
  const kind = fromUtf8(bytes);
  if (!KIND.test(kind)) throw new ConclaveError('bad_record', 'a record with a malformed kind');
  lastKind = { bytes: bytes.slice(), kind };
  return kind;
}

/** Shows that an author signed a record, under which roster, and where in its batch it stands. */
export interface RecordProof {
  readonly roster: number;
  readonly rosterHash: Digest;
  readonly count: number;
  readonly index: number;
  readonly path: readonly Uint8Array[];
  readonly sig: Uint8Array;
}

export function encodeProof(proof: RecordProof): Uint8Array {
  const w = new Writer(160 + proof.path.length * 32);
  w.u64(proof.roster).id(proof.rosterHash).u16(proof.count).u16(proof.index);
  return w
    .list(proof.path, (p) => w.raw(p))
    .raw(proof.sig)
    .kept();
}

function readProof(r: Reader): RecordProof {
  const proof = {
    roster: r.u64(),
    rosterHash: r.id<Digest>(),
    count: r.u16(),
    index: r.u16(),
    path: r.list(16, () => r.raw(32)),
    sig: r.raw(64),
  };
  if (proof.count < 1 || proof.count > RECORDS_PER_BATCH_MAX || proof.index >= proof.count) {
    throw new ConclaveError('bad_encoding', "a record's proof names a place outside its batch");
  }
  return proof;
}

export const decodeProof = (bytes: Uint8Array): RecordProof => decodeWhole(bytes, readProof);

/** The number of the roster under which an encoded proof was signed, without decoding the rest. */
export const signedUnder = (proof: Uint8Array): number => new Reader(proof).u64();

/** The statement that the proof's signature must cover; undefined if the path does not fit. */
export function provenStatement(
  hash: Hash,
  record: ChannelRecord,
  proof: RecordProof,
): Signed | undefined {
  const root = merkleRoot(hash, unhex(record.digest), proof.index, proof.count, proof.path);
  return root && batchStatement(record, proof, root);
}

function batchStatement(record: ChannelRecord, proof: RecordProof, root: Uint8Array): Signed {
  const context = { channel: record.channel, roster: proof.roster, rosterHash: proof.rosterHash };
  return {
    by: record.author,
    statement: signedRecords(context, root, proof.count),
    sig: proof.sig,
  };
}

/** Proofs of records that came together, many of one batch: its tree is hashed, and its signature listed, once. */
export class BatchProofs {
  readonly #hash: Hash;
  readonly #batches: { author: UserId; proof: RecordProof; tree: KnownTree }[] = [];

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** The statement to verify for this record, null where one that is listed covers it, undefined if its path does not fit. */
  statementOf(record: ChannelRecord, proof: RecordProof): Signed | null | undefined {
    // A batch of one, as chat mostly makes them, shares its tree with no other record.
    if (proof.count === 1) return provenStatement(this.#hash, record, proof);
    const digest = unhex(record.digest);
    const known = this.#batches.findLast(
      (b) => b.author === record.author && isSameBatch(b.proof, proof),
    );
    if (known?.tree.holds(digest, proof.index, proof.path)) return null;
    if (known) return provenStatement(this.#hash, record, proof);
    const tree = new KnownTree(this.#hash, proof.count);
    if (!tree.holds(digest, proof.index, proof.path)) return undefined;
    this.#batches.push({ author: record.author, proof, tree });
    return batchStatement(record, proof, tree.root!);
  }
}

const isSameBatch = (a: RecordProof, b: RecordProof): boolean =>
  a.count === b.count &&
  a.roster === b.roster &&
  a.rosterHash === b.rosterHash &&
  bytesEqual(a.sig, b.sig);

/** Root and proofs of a batch that its author is about to sign; `sig` is filled in by the signer. */
export function batchOf(
  hash: Hash,
  records: readonly ChannelRecord[],
  context: { readonly roster: number; readonly rosterHash: Digest },
): { root: Uint8Array; proofs: (sig: Uint8Array) => RecordProof[] } {
  const { root, paths } = merkleTree(
    hash,
    records.map((r) => unhex(r.digest)),
  );
  const proofs = (sig: Uint8Array): RecordProof[] =>
    paths.map((path, index) => ({ ...context, count: records.length, index, path, sig }));
  return { root, proofs };
}
