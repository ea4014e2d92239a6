/**
 * Records that no place in the log holds yet, as this node knows them: its
 * own outbox, what others offered, and what the provisional set places
 * (docs/PROTOCOL.md, sections "Offers" and "Provisional set").
 *
 * Bounded: what is not placed is capped for each author by count and bytes;
 * this node's own outbox, and what is kept, are exempt.
 */

import type { Digest, EpochId, Millis, UserId } from './ids.js';
import type { Offer } from './layout.js';
import { POOL_BYTES_PER_AUTHOR_MAX, POOL_RECORDS_PER_AUTHOR_MAX } from './limits.js';
import type { ChannelRecord } from './record.js';
import type { Signed } from './statements.js';

export interface Pooled extends Offer {
  readonly cameAt: Millis;
  /** When it came, or was last offered to a leader by this node. */
  offeredAt: Millis;
  /** Under which leadership this node offered it first, and when. */
  offer?: { readonly epoch: EpochId; readonly at: Millis } | undefined;
  /** Kept in the store: a branch places it or it fell out of the log, so somebody may rely on it. */
  kept: boolean;
  /** Kept under its own key, not in the run of a branch that places it. */
  apart?: boolean;
  /** Own records: the batch whose one signature covers this one. */
  readonly batch?: SignedBatch | undefined;
}

/** One as it comes; all have their fields in this order: engines read objects of one shape much faster. */
export const pooledFrom = (
  { record, proof }: Offer,
  { cameAt, kept, apart = false }: Pick<Pooled, 'cameAt' | 'kept'> & { readonly apart?: boolean },
  batch?: SignedBatch,
): Pooled => ({ record, proof, cameAt, offeredAt: cameAt, offer: undefined, kept, apart, batch });

/** Records of this node under one signature. */
export interface SignedBatch {
  readonly roster: number;
  readonly rosterHash: Digest;
  readonly signed: Signed;
  readonly records: readonly ChannelRecord[];
}

export class Pool {
  readonly #byDigest = new Map<Digest, Pooled>();
  readonly #byPrev = new Map<Digest, Digest[]>();
  readonly #use = new Map<UserId, { count: number; bytes: number }>();
  /** All that is held, by author. */
  readonly #held = new Map<UserId, { count: number; bytes: number }>();
  /** What counts against its author's share. */
  readonly #counted = new Set<Digest>();
  #bytes = 0;
  /** Grows with each record that comes or goes. */
  version = 0;

  get size(): number {
    return this.#byDigest.size;
  }

  /** Of all records. */
  get bytes(): number {
    return this.#bytes;
  }

  get(digest: Digest): Pooled | undefined {
    return this.#byDigest.get(digest);
  }

  /** How much of one author's is held, of whatever kind. */
  heldOf(author: UserId): { readonly count: number; readonly bytes: number } {
    return this.#held.get(author) ?? { count: 0, bytes: 0 };
  }

  values(): IterableIterator<Pooled> {
    return this.#byDigest.values();
  }

  /** False when the author's share is used up; the author will offer it again. */
  add(pooled: Pooled, exempt: boolean): boolean {
    const { record } = pooled;
    if (this.#byDigest.has(record.digest)) return true;
    const use = this.#use.get(record.author) ?? { count: 0, bytes: 0 };
    if (!exempt) {
      const full =
        use.count >= POOL_RECORDS_PER_AUTHOR_MAX ||
        use.bytes + record.bytes.length > POOL_BYTES_PER_AUTHOR_MAX;
      if (full) return false;
      use.count += 1;
      use.bytes += record.bytes.length;
      this.#use.set(record.author, use);
      this.#counted.add(record.digest);
    }
    this.version += 1;
    this.#hold(record, 1);
    this.#byDigest.set(record.digest, pooled);
    const siblings = this.#byPrev.get(record.prev);
    if (siblings) siblings.push(record.digest);
    else this.#byPrev.set(record.prev, [record.digest]);
    return true;
  }

  remove(digest: Digest): Pooled | undefined {
    const pooled = this.#byDigest.get(digest);
    if (!pooled) return undefined;
    const { record } = pooled;
    this.version += 1;
    this.#byDigest.delete(digest);
    this.#uncount(record);
    this.#hold(record, -1);
    const siblings = this.#byPrev.get(record.prev)!.filter((d) => d !== digest);
    if (siblings.length > 0) this.#byPrev.set(record.prev, siblings);
    else this.#byPrev.delete(record.prev);
    return pooled;
  }

  /** Of what counts against an author's share removes what `rankOf` puts last; false when nothing comes after `rank`. */
  dropLast(author: UserId, rankOf: (digest: Digest) => number, rank: number): boolean {
    let last: Digest | undefined;
    let lastRank = rank;
    for (const digest of this.#counted) {
      if (this.#byDigest.get(digest)!.record.author !== author) continue;
      const its = rankOf(digest);
      if (its <= rank || its < lastRank) continue;
      last = digest;
      lastRank = its;
    }
    return last !== undefined && this.remove(last) !== undefined;
  }

  /** Marks a record as kept: something places it, so it no longer counts as its author's. */
  keep(pooled: Pooled): void {
    pooled.kept = true;
    this.#uncount(pooled.record);
  }

  #hold({ author, bytes }: ChannelRecord, sign: 1 | -1): void {
    this.#bytes += sign * bytes.length;
    const held = this.#held.get(author) ?? { count: 0, bytes: 0 };
    held.count += sign;
    held.bytes += sign * bytes.length;
    if (held.count === 0) this.#held.delete(author);
    else this.#held.set(author, held);
  }

  #uncount({ digest, author, bytes }: ChannelRecord): void {
    if (!this.#counted.delete(digest)) return;
    const use = this.#use.get(author)!;
    use.count -= 1;
    use.bytes -= bytes.length;
    if (use.count === 0) this.#use.delete(author);
  }

  /** Records whose predecessor is `prev`. */
  childrenOf(prev: Digest): ChannelRecord[] {
    return (this.#byPrev.get(prev) ?? []).map((d) => this.#byDigest.get(d)!.record);
  }
}
