/**
 * All that any simulated node ever put into its log, as one tree of chain
 * hashes: the memory of the invariants. An entry enters when a node writes it,
 * and is checked once against everything before it.
 */

import { chainNext, chainStart } from '../core/chain.js';
import type { Hash } from '../core/crypto.js';
import type { ChannelId, Digest, EpochId, Ulid, UserId } from '../core/ids.js';
import { decodeRawEntry } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { decodeRecord } from '../core/record.js';
import { decodeMembership, isMembership, joinSignatures } from '../core/roster.js';

const SKIP = 64;

export interface ChainEntry {
  readonly seq: number;
  readonly hash: Digest;
  readonly previous: ChainEntry | null;
  /** The entry `SKIP` before, for long ways back. */
  readonly skip: ChainEntry | null;
  readonly epoch: EpochId | null;
  readonly term: number;
  readonly roster: number;
  readonly digest: Digest;
  readonly author: UserId | null;
  readonly kind: string;
  readonly id: Ulid | null;
  readonly prev: Digest | null;
  readonly body: Uint8Array;
  /** Who becomes a member with it. */
  readonly joins: UserId | null;
}

/** Says what is broken, as the invariant's number and words. */
export type Break = (invariant: string, message: string) => void;

export class Chains {
  readonly #hash: Hash;
  readonly #break: Break;
  readonly #byHash = new Map<Digest, ChainEntry>();
  readonly #byDigest = new Map<Digest, ChainEntry[]>();
  /** Entries by which a user becomes a member. */
  readonly #joins = new Map<UserId, ChainEntry[]>();
  /** The one hash that a leadership may have at a seq. */
  readonly #placed = new Map<string, Digest>();
  readonly #start: ChainEntry;
  /** Told of each entry, once. */
  onEntry: ((entry: ChainEntry) => void) | undefined;

  constructor(hash: Hash, channel: ChannelId, founder: UserId, onBreak: Break) {
    this.#hash = hash;
    this.#break = onBreak;
    const digest = channel as string as Digest;
    this.#start = {
      seq: 0,
      hash: chainStart(hash, channel),
      previous: null,
      skip: null,
      epoch: null,
      term: 0,
      roster: 0,
      digest,
      author: founder,
      kind: 'genesis',
      id: null,
      prev: null,
      body: new Uint8Array(0),
      joins: founder,
    };
    this.#byHash.set(this.#start.hash, this.#start);
    this.#byDigest.set(digest, [this.#start]);
    this.#joins.set(founder, [this.#start]);
  }

  /** Hash before the first entry. */
  get start(): Digest {
    return this.#start.hash;
  }

  get(hash: Digest): ChainEntry | undefined {
    return this.#byHash.get(hash);
  }

  /** Takes in an entry as it was written behind `previous`. */
  add(previous: Digest, stored: Uint8Array): ChainEntry | undefined {
    const raw = decodeRawEntry(stored);
    const known = this.#byHash.get(raw.hash);
    if (known) return known;
    const before = this.#byHash.get(previous);
    if (!before) {
      this.#break('3 log matching', `entry ${raw.seq} was written behind an unknown entry`);
      return undefined;
    }
    const { seq, header } = raw;
    if (seq !== before.seq + 1 || chainNext(this.#hash, before.hash, seq, header) !== raw.hash) {
      this.#break('3 log matching', `the hash of entry ${seq} does not bind what is before it`);
    }
    const record = decodeRecord(this.#hash, raw.record);
    const place = `${header.epoch}/${seq}`;
    const other = this.#placed.get(place);
    if (other !== undefined && other !== raw.hash) {
      this.#break('3 log matching', `one leadership placed two entries at seq ${seq}`);
    }
    this.#placed.set(place, raw.hash);
    const entry: ChainEntry = {
      seq,
      hash: raw.hash,
      previous: before,
      skip: this.at(before, Math.max(0, seq - SKIP)) ?? null,
      ...header,
      author: record.author,
      kind: record.kind,
      id: record.id,
      prev: isMessageLane(record) ? record.prev : null,
      body: record.body,
      joins: joinerOf(record.kind, record.body),
    };
    this.#byHash.set(entry.hash, entry);
    if (entry.joins) this.#joins.set(entry.joins, [...(this.#joins.get(entry.joins) ?? []), entry]);
    this.#checkPlace(entry);
    this.onEntry?.(entry);
    return entry;
  }

  /** Invariant 9: once, after its `prev`, by a member. */
  #checkPlace(entry: ChainEntry): void {
    const before = entry.previous!;
    const twin = this.#before(before, entry.digest);
    if (twin) {
      this.#break('9 order', `a record stands at seq ${twin.seq} and again at ${entry.seq}`);
    }
    this.#byDigest.set(entry.digest, [...(this.#byDigest.get(entry.digest) ?? []), entry]);
    if (entry.term < before.term) {
      this.#break('3 log matching', `the term falls at seq ${entry.seq}`);
    }
    if (entry.prev !== null && !this.#before(before, entry.prev)) {
      this.#break('9 order', `entry ${entry.seq} stands before its prev`);
    }
    if (entry.kind !== 'epoch' && !this.#isMember(before, entry.author!)) {
      this.#break('12 roster', `the author of entry ${entry.seq} is no member there`);
    }
  }

  /** Where a record stands in the chain that ends at `tip`. */
  #before(tip: ChainEntry, digest: Digest): ChainEntry | undefined {
    return this.#byDigest.get(digest)?.find((e) => this.at(tip, e.seq) === e);
  }

  #isMember(tip: ChainEntry, user: UserId): boolean {
    return this.#joins.get(user)?.some((e) => this.at(tip, e.seq) === e) ?? false;
  }

  /** The entry at `seq` in the chain that ends at `tip`. */
  at(tip: ChainEntry, seq: number): ChainEntry | undefined {
    let entry: ChainEntry | null = tip;
    while (entry && entry.seq > seq) {
      entry = entry.skip && entry.skip.seq >= seq ? entry.skip : entry.previous;
    }
    return entry?.seq === seq ? entry : undefined;
  }
}

function joinerOf(kind: string, body: Uint8Array): UserId | null {
  if (!isMembership(kind)) return null;
  const change = decodeMembership(kind, body);
  return change.kind === 'join' ? joinSignatures(change).request.user : null;
}
