/**
 * All that any simulated node ever put into a branch: the chain of an online
 * epoch, or what fell out of a log, whose hashes the log's chains know. A place
 * is checked once, when the first node writes it: invariants 3, 9 and 12.
 */

import { branchStart, chainNext, type Header } from '../core/chain.js';
import type { Hash } from '../core/crypto.js';
import type { Digest, EpochId, UserId } from '../core/ids.js';
import type { Break, ChainEntry, Chains } from './chains.js';

export interface BranchPlace {
  readonly header: Header;
  readonly hash: Digest;
}

/** What the invariants know of a message, from wherever a node wrote it. */
export interface KnownMessage {
  readonly author: UserId;
  readonly prev: Digest;
}

interface OnlineChain {
  /** By seq, from 1. */
  readonly places: BranchPlace[];
  readonly at: Map<Digest, number>;
}

export class Branches {
  readonly #hash: Hash;
  readonly #chains: Chains;
  readonly #break: Break;
  readonly #online = new Map<EpochId, OnlineChain>();
  readonly messages = new Map<Digest, KnownMessage>();
  /** Where each record stands in the final log. */
  readonly #finalAt: ReadonlyMap<Digest, number>;

  constructor(hash: Hash, chains: Chains, finalAt: ReadonlyMap<Digest, number>, onBreak: Break) {
    this.#hash = hash;
    this.#chains = chains;
    this.#finalAt = finalAt;
    this.#break = onBreak;
  }

  /** Whether an online epoch's chain, as it was checked, has this hash at `seq`. */
  hasAt(epoch: EpochId, seq: number, hash: Digest): boolean {
    return this.#online.get(epoch)?.places[seq - 1]?.hash === hash;
  }

  /** Digests of an online epoch's chain up to `seq`. */
  digestsUpTo(epoch: EpochId, seq: number): Digest[] {
    const places = this.#online.get(epoch)?.places ?? [];
    return places.slice(0, seq).map((p) => p.header.digest);
  }

  /** Takes in a place of branch `id` as it was written. */
  add(id: EpochId, seq: number, place: BranchPlace): BranchPlace {
    // What a leader with two faces told the others is checked; of what it told some nothing is known.
    if (this.#isOfLog(seq, place) || this.#chains.hasTwoChains(id)) return place;
    const { header, hash } = place;
    const chain = this.#online.get(id) ?? { places: [], at: new Map<Digest, number>() };
    this.#online.set(id, chain);
    const known = chain.places[seq - 1];
    if (known) {
      if (known.hash !== hash) {
        this.#break('3 log matching', `one online leadership placed two entries at seq ${seq}`);
      }
      return known;
    }
    const before = seq === 1 ? branchStart(this.#hash, id) : chain.places[seq - 2]?.hash;
    const isNext = before !== undefined && chainNext(this.#hash, before, seq, header) === hash;
    if (!isNext || header.epoch !== id) {
      this.#break('3 log matching', `place ${seq} of a branch does not follow from the one before`);
      return place;
    }
    this.#checkPlace(chain, seq, header);
    chain.places.push(place);
    chain.at.set(header.digest, seq);
    return place;
  }

  #isOfLog(seq: number, { header, hash }: BranchPlace): boolean {
    const entry: ChainEntry | undefined = this.#chains.get(hash);
    return entry?.seq === seq && entry.digest === header.digest && entry.epoch === header.epoch;
  }

  /** Invariants 9 and 12 in an online epoch: once, by a member, behind its `prev` there or in the final log. */
  #checkPlace(chain: OnlineChain, seq: number, { digest, roster }: Header): void {
    if (chain.at.has(digest)) {
      this.#break('9 order', `an online leadership places a record twice, again at seq ${seq}`);
    }
    if (this.#finalAt.has(digest)) return;
    const message = this.messages.get(digest);
    if (!message) {
      this.#break('8 nothing lost', `a place at seq ${seq} is kept without its record`);
      return;
    }
    const { author, prev } = message;
    if (this.#chains.isForked()) return;
    if (!chain.at.has(prev) && !this.#finalAt.has(prev) && !this.#chains.isRoot(prev)) {
      this.#break('9 order', `an online leadership places seq ${seq} before its prev`);
    }
    const isFinal = (entry: ChainEntry): boolean => this.#finalAt.get(entry.digest) === entry.seq;
    if (!this.#chains.isMemberUnder(author, roster, isFinal)) {
      this.#break('12 roster', `the author of place ${seq} is no member under roster ${roster}`);
    }
  }
}
