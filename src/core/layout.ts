/**
 * Where a node keeps what in its store (docs/ARCHITECTURE.md, "Store"), and
 * the encodings of the values that are the node's own business.
 *
 *     node/…                       identity-wide values
 *     c/<channel>/genesis          genesis bytes · signature 64 · name text
 *     c/<channel>/hard             promises, see HardState
 *     c/<channel>/final            seq u64 · hash 32 · bytes since the last checkpoint u64 · certificate bytes
 *     c/<channel>/log/<seq>        one entry, see encodeEntry
 *     c/<channel>/at/<digest>      seq of a final record
 *     c/<channel>/tip/<user>       digest of the author's last final message
 *     c/<channel>/cert/<seq>       certificate kept at a checkpoint
 *     c/<channel>/step/<number>    what put roster `number` in force (kept for ever)
 *     c/<channel>/epoch/<epoch>    the election's proof of a leadership whose entries are not all final
 *     c/<channel>/ack/<epoch>      this node's latest acknowledgement under that leadership
 *     c/<channel>/committed        newest certificate of commitment over the log's tail
 *     c/<channel>/forgotten        there while this node has lost memory: why it thinks so
 *     c/<channel>/recovered        boot in which this node recovered from lost memory last
 *     c/<channel>/proposal         newest proposal of a roster leader that the log has reached: signature 64 · statement
 *     c/<channel>/commit/<epoch>/<seq>  certificate that a branch is committed up to there
 *     c/<channel>/branch/<epoch>   where a branch of the provisional set begins: seq u64 · hash 32
 *     c/<channel>/place/<epoch>/<seq>   a run of places of a branch, the first of them at `seq`, see encodeRun
 *     c/<channel>/out/<count>      own records that are not final, in order: record bytes · proof bytes
 *     c/<channel>/convict/<hash> a proof of misbehaviour: when it was kept u64 (ms since 1970) · portable proof bytes
 *     c/<channel>/pool/<digest>    records that fell out of the log or a branch, and that neither holds: record bytes · proof bytes
 */

import { decodeWhole, type Reader, Writer } from './bytes.js';
import type { Header, Point } from './chain.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, EpochId, UserId } from './ids.js';
import {
  FRAME_PAYLOAD_BYTES_MAX,
  MISBEHAVIOUR_BYTES_MAX,
  RECORD_BODY_BYTES_MAX,
} from './limits.js';
import { type ChannelRecord, decodeRecord } from './record.js';
import type { EpochKind } from './statements.js';

const RECORD_BYTES_MAX = RECORD_BODY_BYTES_MAX + 512;
const SEQ_DIGITS = 14;
const SIGNATURE_BYTES = 64;

/** Fixed-width hex, so that keys sort by number. */
export const ordinal = (n: number): string => n.toString(16).padStart(SEQ_DIGITS, '0');

export const CHANNEL_PREFIX = 'c/';
/** Upper bound (exclusive) of all keys that start with `prefix`. */
export const after = (prefix: string): string => `${prefix.slice(0, -1)}0`;

export function channelKeys(channel: ChannelId) {
  const at = `${CHANNEL_PREFIX}${channel}/`;
  return {
    all: at,
    genesis: `${at}genesis`,
    hard: `${at}hard`,
    final: `${at}final`,
    logs: `${at}log/`,
    log: (seq: number) => `${at}log/${ordinal(seq)}`,
    placements: `${at}at/`,
    placed: (digest: Digest) => `${at}at/${digest}`,
    tips: `${at}tip/`,
    tip: (user: UserId) => `${at}tip/${user}`,
    certs: `${at}cert/`,
    cert: (seq: number) => `${at}cert/${ordinal(seq)}`,
    steps: `${at}step/`,
    step: (number: number) => `${at}step/${ordinal(number)}`,
    epochs: `${at}epoch/`,
    epoch: (epoch: EpochId) => `${at}epoch/${epoch}`,
    acks: `${at}ack/`,
    ack: (epoch: EpochId) => `${at}ack/${epoch}`,
    committed: `${at}committed`,
    forgotten: `${at}forgotten`,
    recovered: `${at}recovered`,
    proposal: `${at}proposal`,
    commits: `${at}commit/`,
    commit: (epoch: EpochId, seq: number) => `${at}commit/${epoch}/${ordinal(seq)}`,
    branches: `${at}branch/`,
    branch: (epoch: EpochId) => `${at}branch/${epoch}`,
    places: `${at}place/`,
    place: (epoch: EpochId, seq: number) => `${at}place/${epoch}/${ordinal(seq)}`,
    convictions: `${at}convict/`,
    conviction: (id: Digest) => `${at}convict/${id}`,
    outs: `${at}out/`,
    out: (count: number) => `${at}out/${ordinal(count)}`,
    pools: `${at}pool/`,
    pool: (digest: Digest) => `${at}pool/${digest}`,
  };
}
export type ChannelKeys = ReturnType<typeof channelKeys>;

/** One entry of the log. */
export interface Entry {
  readonly seq: number;
  readonly header: Header;
  /** Chain hash at this entry. */
  readonly hash: Digest;
  readonly record: ChannelRecord;
  readonly proof: Uint8Array;
}

export function encodeEntry(e: Entry): Uint8Array {
  const w = new Writer(256 + e.record.bytes.length + e.proof.length);
  w.u64(e.seq).id(e.header.epoch).u64(e.header.term).u64(e.header.roster).id(e.header.digest);
  return w.id(e.hash).bytes(e.record.bytes).bytes(e.proof).done();
}

/** The entry without decoding its record. */
export interface RawEntry {
  readonly seq: number;
  readonly header: Header;
  readonly hash: Digest;
  readonly record: Uint8Array;
  readonly proof: Uint8Array;
}

export const decodeRawEntry = (bytes: Uint8Array): RawEntry =>
  decodeWhole(bytes, (r) => ({
    seq: r.u64(),
    header: { epoch: r.id<EpochId>(), term: r.u64(), roster: r.u64(), digest: r.id<Digest>() },
    hash: r.id<Digest>(),
    record: r.bytes(RECORD_BYTES_MAX),
    proof: r.bytes(1_024),
  }));

export function decodeEntry(hash: Hash, bytes: Uint8Array): Entry {
  const { seq, header, hash: at, record, proof } = decodeRawEntry(bytes);
  return { seq, header, hash: at, record: decodeRecord(hash, record), proof };
}

/** A record outside the log, with its proof. */
export interface Offer {
  readonly record: ChannelRecord;
  /** Encoded proof; filled in once signed, for records of this node. */
  proof: Uint8Array;
}

export const encodeOffer = (o: Offer): Uint8Array =>
  new Writer(64 + o.record.bytes.length + o.proof.length)
    .bytes(o.record.bytes)
    .bytes(o.proof)
    .done();

export const decodeOffer = (hash: Hash, bytes: Uint8Array): Offer =>
  decodeWhole(bytes, (r) => ({
    record: decodeRecord(hash, r.bytes(RECORD_BYTES_MAX)),
    proof: r.bytes(1_024),
  }));

/** A promise about one kind of epoch. */
export interface VotePromise {
  /** No ballot and no acknowledgement below this term. */
  readonly term: number;
  /** Highest term in which it voted or followed; `term` is above it when one that lost memory asked for that. */
  readonly seen: number;
  /** For whom it voted in `term`, and with which electorate. */
  readonly votedFor: { readonly candidate: UserId; readonly electorate: Digest } | null;
}

/**
 * What a voter has promised: one promise for each kind of epoch. On disk
 * before a ballot or an acknowledgement that rests on it leaves.
 */
export type HardState = Readonly<Record<EpochKind, VotePromise>>;

const NO_PROMISE: VotePromise = { term: 0, seen: 0, votedFor: null };
export const FRESH_HARD_STATE: HardState = { roster: NO_PROMISE, online: NO_PROMISE };

function writePromise(w: Writer, p: VotePromise): void {
  w.u64(p.term)
    .u64(p.seen)
    .u8(p.votedFor ? 1 : 0);
  if (p.votedFor) w.id(p.votedFor.candidate).id(p.votedFor.electorate);
}

function readPromise(r: Reader): VotePromise {
  const term = r.u64();
  const seen = r.u64();
  const voted = r.u8();
  if (voted > 1) throw new ConclaveError('bad_encoding', 'a flag that is neither 0 nor 1');
  const votedFor = voted ? { candidate: r.id<UserId>(), electorate: r.id<Digest>() } : null;
  return { term, seen, votedFor };
}

export function encodeHardState(h: HardState): Uint8Array {
  const w = new Writer(160);
  writePromise(w, h.roster);
  writePromise(w, h.online);
  return w.done();
}

export const decodeHardState = (bytes: Uint8Array): HardState =>
  decodeWhole(bytes, (r) => ({ roster: readPromise(r), online: readPromise(r) }));

/** Of a branch's places: what one value holds at most, beside the last record. */
export const RUN_PLACES_MAX = 512;
export const RUN_BYTES_MAX = 262_144;

/** A place of a branch, and its record where it is stored with it. */
export interface StoredPlace {
  readonly header: Header;
  readonly hash: Digest;
  readonly offer: Offer | null;
}

/** A place with its record as it is stored; without bytes where that stands elsewhere, or nowhere. */
export interface RawPlace {
  readonly header: Header;
  readonly hash: Digest;
  readonly record: Uint8Array;
  readonly proof: Uint8Array;
}

const NOTHING = new Uint8Array(0);
const PLACE_BYTES = 72;

/** A run that this step writes, and may add to. */
export interface OpenRun {
  readonly first: number;
  readonly places: StoredPlace[];
  bytes: number;
}

/**
 * Places of one leadership, one behind the other:
 *
 *     run = epoch 32 · term u64 · roster u64 · list of (digest 32 · chain hash 32 · record bytes · proof bytes)
 */
export function encodeRun(places: readonly StoredPlace[]): Uint8Array {
  let size = 64;
  for (const { offer } of places) {
    size += PLACE_BYTES + (offer ? offer.record.bytes.length + offer.proof.length : 0);
  }
  const { epoch, term, roster } = places[0]!.header;
  const w = new Writer(size).id(epoch).u64(term).u64(roster);
  w.list(places, ({ header, hash, offer }) => {
    w.id(header.digest).id(hash);
    w.bytes(offer?.record.bytes ?? NOTHING).bytes(offer?.proof ?? NOTHING);
  });
  return w.done();
}

export const decodeRun = (bytes: Uint8Array): RawPlace[] =>
  decodeWhole(bytes, (r) => {
    const epoch = r.id<EpochId>();
    const term = r.u64();
    const roster = r.u64();
    return r.list(RUN_PLACES_MAX, () => ({
      header: { epoch, term, roster, digest: r.id<Digest>() },
      hash: r.id<Digest>(),
      record: r.bytes(RECORD_BYTES_MAX),
      proof: r.bytes(1_024),
    }));
  });

/** A statement of this channel with its signature. */
export function encodeSigned(statement: Uint8Array, sig: Uint8Array): Uint8Array {
  const out = new Uint8Array(statement.length + SIGNATURE_BYTES);
  out.set(sig);
  out.set(statement, SIGNATURE_BYTES);
  return out;
}

export const decodeSigned = (bytes: Uint8Array): { statement: Uint8Array; sig: Uint8Array } => ({
  sig: bytes.subarray(0, SIGNATURE_BYTES),
  statement: bytes.subarray(SIGNATURE_BYTES),
});

export const encodePoint = ({ seq, hash }: Point): Uint8Array =>
  new Writer(40).u64(seq).id(hash).done();

export const decodePoint = (bytes: Uint8Array): Point =>
  decodeWhole(bytes, (r) => ({ seq: r.u64(), hash: r.id<Digest>() }));

/** A proof of misbehaviour, and since when it is kept, ms since 1970. */
export interface StoredConviction {
  readonly since: number;
  readonly proof: Uint8Array;
}

export const encodeConviction = ({ since, proof }: StoredConviction): Uint8Array =>
  new Writer(16 + proof.length).u64(since).bytes(proof).done();

export const decodeConviction = (bytes: Uint8Array): StoredConviction =>
  decodeWhole(bytes, (r) => ({ since: r.u64(), proof: r.bytes(MISBEHAVIOUR_BYTES_MAX) }));

export interface FinalState {
  readonly seq: number;
  readonly hash: Digest;
  /** Seq of the last certificate kept, and bytes that became final since. */
  readonly keptSeq: number;
  readonly bytesSince: number;
  /** The newest certificate; empty at seq 0. */
  readonly cert: Uint8Array;
}

export const encodeFinal = (f: FinalState): Uint8Array =>
  new Writer(512).u64(f.seq).id(f.hash).u64(f.keptSeq).u64(f.bytesSince).bytes(f.cert).done();

export const decodeFinal = (bytes: Uint8Array): FinalState =>
  decodeWhole(bytes, (r) => ({
    seq: r.u64(),
    hash: r.id<Digest>(),
    keptSeq: r.u64(),
    bytesSince: r.u64(),
    cert: r.bytes(FRAME_PAYLOAD_BYTES_MAX),
  }));

export interface StoredGenesis {
  readonly bytes: Uint8Array;
  readonly sig: Uint8Array;
  readonly name: string;
}

export const encodeStoredGenesis = (g: StoredGenesis): Uint8Array =>
  new Writer(512).bytes(g.bytes).raw(g.sig).text(g.name).done();

export const decodeStoredGenesis = (bytes: Uint8Array): StoredGenesis =>
  decodeWhole(bytes, (r) => ({ bytes: r.bytes(8_192), sig: r.raw(64), name: r.text(1_024) }));
