/**
 * All that any simulated node ever put into its log, as one tree of chain
 * hashes: the memory of the invariants. An entry enters when a node writes it,
 * and is checked once against everything before it: invariants 3, 9, 10 and,
 * as far as one entry shows it, 12.
 */

import { decodeCertificate, recordSignatures } from '../core/certificate.js';
import { chainNext, chainStart, type Header } from '../core/chain.js';
import type { Verifier } from '../core/check-proof.js';
import type { Hash } from '../core/crypto.js';
import type { ChannelId, Digest, EpochId, Ulid, UserId } from '../core/ids.js';
import { decodeRawEntry, type RawEntry } from '../core/layout.js';
import { MERGE_RECORDS_MAX } from '../core/limits.js';
import { isMessageLane } from '../core/log.js';
import { decodeMergeBody, type MergeBody } from '../core/merge-record.js';
import { type ChannelRecord, decodeRecord } from '../core/record.js';
import { decodeMembership, departedBy, enteredBy, isMembership } from '../core/roster.js';
import { isMore, type LeastOnline } from './counting.js';

const SKIP = 64;
/** Up to here a hash is tried behind another predecessor too. */
const BOUND_SEQS = 8;

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
  readonly isMessage: boolean;
  readonly isMembership: boolean;
  readonly body: Uint8Array;
  /** Who becomes a member with it. */
  readonly joins: UserId | null;
  /** Who is none any more with it. */
  readonly departs: UserId | null;
  /** Who is a member behind it. */
  readonly members: ReadonlySet<UserId>;
  /** Changes of membership up to here: the number of the roster that follows. */
  readonly changes: number;
}

/** Who leads or led a term, with the last entry that it found. */
export interface Leader {
  readonly node: number;
  /** Who voted for it. */
  readonly ballots: readonly UserId[];
  readonly epoch: EpochId;
  readonly tip: ChainEntry;
}

/** An entry that is final. */
export interface Placed {
  readonly entry: ChainEntry;
  /** Lowest term under which it is known to be final. */
  term: number;
}

/** Says what is broken, as the invariant's number and words. */
export type Break = (invariant: string, message: string) => void;

export class Chains {
  readonly #hash: Hash;
  readonly #isValid: Verifier['isValid'];
  readonly #break: Break;
  readonly #byHash = new Map<Digest, ChainEntry>();
  readonly #byDigest = new Map<Digest, ChainEntry[]>();
  /** Entries by which a user becomes a member. */
  readonly #joins = new Map<UserId, ChainEntry[]>();
  /** Entries by which a user leaves, or is removed. */
  readonly #departures = new Map<UserId, ChainEntry[]>();
  /** The one hash that a leadership may have at a seq. */
  readonly #placed = new Map<string, Digest>();
  /** Term and roster of each epoch, as its first entry has them. */
  readonly #epochs = new Map<EpochId, Pick<Header, 'term' | 'roster'>>();
  /** Records and proofs that were verified, as they were stored. */
  readonly #proven = new Map<Digest, Pick<RawEntry, 'record' | 'proof'>>();
  readonly #start: ChainEntry;
  /** Whether a leadership may have placed two entries at one seq: its leader has two faces. */
  hasTwoChains: (epoch: EpochId) => boolean = () => false;
  /** Whether two histories are final, of which only one is known here. */
  isForked: () => boolean = () => false;
  /** A member may have served such pages: a certificate vouches for its records, nothing for their proofs. */
  mayHaveFalseProofs: () => boolean = () => false;
  /** Who may commit in an online epoch. */
  electorateOf: (epoch: EpochId) => readonly UserId[] | undefined = () => undefined;
  /** How many must be online for messages to be placed. */
  leastOnline: LeastOnline = () => 1;
  /** Told of each entry, once. */
  onEntry: ((entry: ChainEntry) => void) | undefined;

  constructor(crypto: Verifier, channel: ChannelId, founder: UserId, onBreak: Break) {
    const hash = crypto.sha256;
    this.#hash = hash;
    this.#isValid = crypto.isValid;
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
      isMessage: false,
      isMembership: false,
      body: new Uint8Array(0),
      joins: founder,
      departs: null,
      members: new Set([founder]),
      changes: 0,
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
    if (known) {
      if (known.previous?.hash !== previous) {
        this.#break('3 log matching', `entry ${raw.seq} has one hash behind two prefixes`);
      }
      if (!this.#isProven(raw)) this.#checkProof(raw);
      return known;
    }
    const before = this.#byHash.get(previous);
    if (!before) {
      this.#break('3 log matching', `entry ${raw.seq} was written behind an unknown entry`);
      return undefined;
    }
    const { seq, header } = raw;
    if (seq !== before.seq + 1 || chainNext(this.#hash, before.hash, seq, header) !== raw.hash) {
      this.#break('3 log matching', `the hash of entry ${seq} does not bind what is before it`);
    }
    // Some are enough: a hash that forgets its predecessor does so everywhere.
    if (seq <= BOUND_SEQS && chainNext(this.#hash, header.digest, seq, header) === raw.hash) {
      this.#break('3 log matching', `the hash of entry ${seq} is the same behind any other`);
    }
    const record = this.#checkProof(raw);
    const change = isMembership(record.kind) ? decodeMembership(record.kind, record.body) : null;
    if (change && change.base !== before.changes) {
      this.#break(
        '12 roster',
        `entry ${seq} is a change of roster ${change.base}, not of the last`,
      );
    }
    const [joins, departs] = [enteredBy(record) ?? null, departedBy(record) ?? null];
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
      isMessage: isMessageLane(record),
      isMembership: change !== null,
      body: record.body,
      ...{ joins, departs, members: membersBehind(before.members, joins, departs) },
      changes: before.changes + (change ? 1 : 0),
    };
    this.#checkEpoch(entry, header);
    this.#byHash.set(entry.hash, entry);
    if (joins) note(this.#joins, joins, entry);
    if (departs) note(this.#departures, departs, entry);
    this.#checkPlace(entry);
    this.onEntry?.(entry);
    return entry;
  }

  /** True when these very bytes were verified. */
  #isProven({ header, record, proof }: RawEntry): boolean {
    const known = this.#proven.get(header.digest);
    return (
      known !== undefined &&
      Buffer.compare(known.record, record) === 0 &&
      Buffer.compare(known.proof, proof) === 0
    );
  }

  /** Invariant 10: the author signed it, and what is stored beside it shows that. */
  #checkProof(raw: RawEntry): ChannelRecord {
    const record = decodeRecord(this.#hash, raw.record);
    if (record.digest !== raw.header.digest) {
      this.#break('3 log matching', `entry ${raw.seq} holds another record than its header names`);
    }
    if (this.#isSigned(record, raw.proof)) this.#proven.set(record.digest, raw);
    else if (!this.#isProvenElsewhere(record))
      this.#break('10 no invention', `nothing shows that its author signed entry ${raw.seq}`);
    return record;
  }

  /** Whether another copy showed it, where some member serves pages with false proofs beside what is certified. */
  #isProvenElsewhere({ digest }: ChannelRecord): boolean {
    return this.mayHaveFalseProofs() && this.#proven.has(digest);
  }

  #isSigned(record: ChannelRecord, proof: Uint8Array): boolean {
    try {
      return recordSignatures(this.#hash, record, proof).every(this.#isValid);
    } catch {
      return false;
    }
  }

  /** Invariants 3 and 12: an epoch has one leader's entry at a seq, one term, and one roster. */
  #checkEpoch(entry: ChainEntry, { epoch, term, roster }: Header): void {
    const place = `${epoch}/${entry.seq}`;
    const other = this.#placed.get(place);
    if (other !== undefined && other !== entry.hash && !this.hasTwoChains(epoch)) {
      this.#break('3 log matching', `one leadership placed two entries at seq ${entry.seq}`);
    }
    this.#placed.set(place, entry.hash);
    const known = this.#epochs.get(epoch);
    if (!known) this.#epochs.set(epoch, { term, roster });
    else if (known.term !== term) {
      this.#break('3 log matching', `the epoch of entry ${entry.seq} has another term`);
    } else if (known.roster !== roster) {
      this.#break('12 roster', `the epoch of entry ${entry.seq} outlived roster ${known.roster}`);
    }
  }

  /** Invariants 9 and 12: once, after its `prev`, by a member, under the roster in force. */
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
    const isIn = entry.kind === 'epoch' || before.members.has(entry.author!);
    if (!isIn && !(entry.isMessage && hasWarrant(entry))) {
      this.#break('12 roster', `the author of entry ${entry.seq} is no member there`);
    }
    if (entry.kind === 'merge') this.#checkWarrants(entry);
    const need = entry.isMessage ? this.leastOnline(before.members) : 0;
    if (before.members.size < need && !isMerged(entry)) {
      this.#break(
        '12 roster',
        `entry ${entry.seq} is a message of a channel of ${before.members.size}, where ${need} must be online`,
      );
    }
    // A change that is not final may be inherited: then the new leader's `epoch` record stands behind it.
    const least = before.changes - (entry.kind === 'epoch' ? 1 : 0);
    if (entry.roster > before.changes || entry.roster < least) {
      this.#break(
        '12 roster',
        `entry ${entry.seq} was placed under roster ${entry.roster}, behind change ${before.changes}`,
      );
    }
  }

  /** Invariant 12: more than half of those of an electorate who are members here signed a warrant. */
  #checkWarrants({ seq, body, previous }: ChainEntry): void {
    for (const { epoch, warrant } of decodeMergeBody(body).branches) {
      const electorate = warrant.length > 0 ? this.electorateOf(epoch) : undefined;
      if (!electorate) continue;
      const signers = new Set(decodeCertificate(warrant).acks.map(({ user }) => user));
      const left = electorate.filter((user) => previous!.members.has(user));
      if (isMore(left.filter((user) => signers.has(user)).length, left.length)) continue;
      this.#break('12 roster', `the merge at seq ${seq} has a warrant of too few who are members`);
    }
  }

  /** True for the channel itself: `prev` of the founder's first message. */
  isRoot(digest: Digest): boolean {
    return digest === this.#start.digest;
  }

  /** Whether a user is a member by the first `roster` changes of the final log. */
  isMemberUnder(user: UserId, roster: number, isFinal: (entry: ChainEntry) => boolean): boolean {
    const last = (of: ReadonlyMap<UserId, readonly ChainEntry[]>): number =>
      Math.max(
        -1,
        ...(of.get(user) ?? [])
          .filter((e) => e.changes <= roster && (e.seq === 0 || isFinal(e)))
          .map(({ changes }) => changes),
      );
    return last(this.#joins) > last(this.#departures);
  }

  /** Where a record stands in the chain that ends at `tip`. */
  #before(tip: ChainEntry, digest: Digest): ChainEntry | undefined {
    return this.#byDigest.get(digest)?.find((e) => this.at(tip, e.seq) === e);
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

function note(of: Map<UserId, ChainEntry[]>, user: UserId, entry: ChainEntry): void {
  of.set(user, [...(of.get(user) ?? []), entry]);
}

function membersBehind(
  before: ReadonlySet<UserId>,
  joins: UserId | null,
  departs: UserId | null,
): ReadonlySet<UserId> {
  if (!joins && !departs) return before;
  const members = new Set(before);
  if (departs) members.delete(departs);
  if (joins) members.add(joins);
  return members;
}

/** The merge that an entry is part of. */
function mergeOf({ previous, seq }: ChainEntry): MergeBody | undefined {
  for (let entry = previous, n = 0; entry && n < MERGE_RECORDS_MAX; entry = entry.previous, n++) {
    if (entry.kind === 'epoch') return undefined;
    if (entry.kind !== 'merge') continue;
    const merge = decodeMergeBody(entry.body);
    return seq <= entry.seq + merge.entries ? merge : undefined;
  }
  return undefined;
}

const isMerged = (entry: ChainEntry): boolean => mergeOf(entry) !== undefined;

/** Whether an entry is of a merge whose record has a warrant: somebody who left may have written it. */
const hasWarrant = (entry: ChainEntry): boolean =>
  mergeOf(entry)?.branches.some(({ warrant }) => warrant.length > 0) ?? false;
