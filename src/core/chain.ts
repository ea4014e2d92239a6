/**
 * The log's hash chain, epochs and their names (docs/PROTOCOL.md, sections
 * "Chain" and "Epochs").
 *
 *     hash(0)   = H("conclave/chain" · channel)
 *     hash(seq) = H("conclave/chain" · hash(seq-1) · seq u64 · epoch 32 · term u64 · roster u64 · record digest 32)
 *     epoch id  = H("conclave/epoch" · channel · kind u8 · term u64 · leader 32 · roster u64 · rosterHash 32 · electorate digest 32)
 *
 *     branch start = H("conclave/branch" · epoch id)
 *
 * Seq 0 is the genesis; entries start at 1. An online epoch has a chain of its
 * own, which starts at the epoch's id instead of the channel's.
 */

import { utf8, Writer } from './bytes.js';
import type { Hash } from './crypto.js';
import type { ChannelId, Digest, EpochId, UserId } from './ids.js';
import type { Context, EpochKind } from './statements.js';

/** A header on the wire. */
export const HEADER_BYTES = 80;

/** What the chain binds about one entry, beside its seq. */
export interface Header {
  readonly epoch: EpochId;
  readonly term: number;
  readonly roster: number;
  readonly digest: Digest;
}

export interface Point {
  readonly seq: number;
  readonly hash: Digest;
}

const CHAIN_TAG = utf8('conclave/chain');
const BRANCH_TAG = utf8('conclave/branch');
const ELECTORATE_TAG = utf8('conclave/electorate');
const EPOCH_TAG = utf8('conclave/epoch');

export function chainStart(hash: Hash, channel: ChannelId): Digest {
  return new Writer(64).bytes(CHAIN_TAG).id(channel).hashedId(hash);
}

/** Hash at seq 0 of an online epoch's own chain. */
export const branchStart = (hash: Hash, epoch: EpochId): Digest =>
  new Writer(64).bytes(BRANCH_TAG).id(epoch).hashedId(hash);

/**
 * Positions that an epoch's leader and followers speak of: the log's tail
 * behind its final point, or the branch of an online epoch.
 */
export interface Chain {
  /** Position before the first entry held here. */
  readonly base: Point;
  readonly tip: Point;
  hashAt(seq: number): Digest | undefined;
  headerAt(seq: number): Header | undefined;
  /** Where a record stands behind `base`. */
  seqOf(digest: Digest): number | undefined;
}

/** Headers from `from` to `to`, both included; shorter where the chain ends. */
export function headersOf(chain: Chain, from: number, to: number): Header[] {
  const headers: Header[] = [];
  for (let seq = from; seq <= Math.min(to, chain.tip.seq); seq++)
    headers.push(chain.headerAt(seq)!);
  return headers;
}

export function chainNext(hash: Hash, previous: Digest, seq: number, header: Header): Digest {
  const w = new Writer(160).bytes(CHAIN_TAG).id(previous).u64(seq);
  w.id(header.epoch).u64(header.term).u64(header.roster).id(header.digest);
  return w.hashedId(hash);
}

/** What `chainNext` gives here, if this chain has the same header behind the same hash, and so computed it. */
export function knownNext(
  chain: Chain,
  previous: Digest,
  seq: number,
  header: Header,
): Digest | undefined {
  const here = chain.headerAt(seq);
  const isSame =
    here !== undefined &&
    here.digest === header.digest &&
    here.epoch === header.epoch &&
    here.term === header.term &&
    here.roster === header.roster;
  return isSame && chain.hashAt(seq - 1) === previous ? chain.hashAt(seq) : undefined;
}

/** Part of a chain: the headers behind `anchor`, with the hash at each, so that none is computed twice. */
export interface Stretch {
  readonly anchor: Point;
  readonly headers: readonly Header[];
  readonly hashes: readonly Digest[];
}

export function stretchOf(hash: Hash, anchor: Point, headers: readonly Header[]): Stretch {
  let { seq, hash: at } = anchor;
  const hashes = headers.map((header) => {
    seq += 1;
    at = chainNext(hash, at, seq, header);
    return at;
  });
  return { anchor, headers, hashes };
}

/** Where a stretch ends. */
export const endOf = ({ anchor, hashes }: Pick<Stretch, 'anchor' | 'hashes'>): Point =>
  hashes.length === 0 ? anchor : { seq: anchor.seq + hashes.length, hash: hashes.at(-1)! };

/** A stretch without its first `count` headers. */
export const dropFirst = (s: Stretch, count: number): Stretch => ({
  anchor: endOf({ anchor: s.anchor, hashes: s.hashes.slice(0, count) }),
  headers: s.headers.slice(count),
  hashes: s.hashes.slice(count),
});

/** The point reached from `base` over `headers`. */
export const chainOver = (hash: Hash, base: Point, headers: readonly Header[]): Point =>
  endOf(stretchOf(hash, base, headers));

/** One leadership, as its id binds it. */
export interface EpochDescriptor extends Context {
  readonly kind: EpochKind;
  readonly term: number;
  readonly leader: UserId;
  /** The members that granted the pre-vote, sorted. */
  readonly electorate: readonly UserId[];
}

/** Digest of a sorted list of members. */
export function electorateDigest(hash: Hash, electorate: readonly UserId[]): Digest {
  const w = new Writer(64 + electorate.length * 32).bytes(ELECTORATE_TAG);
  return w.list([...electorate].sort(), (u) => w.id(u)).hashedId(hash);
}

export function epochId(hash: Hash, e: EpochDescriptor): EpochId {
  const electorate = electorateDigest(hash, e.electorate);
  const w = new Writer(256)
    .bytes(EPOCH_TAG)
    .id(e.channel)
    .u8(e.kind === 'roster' ? 0 : 1);
  w.u64(e.term).id(e.leader).u64(e.roster).id(e.rosterHash);
  return w.id(electorate).hashedId(hash);
}
