/**
 * Branches: chains of places outside the log (docs/PROTOCOL.md, section
 * "Provisional set"). A branch is the chain of one online epoch, or what fell
 * out of the log under one roster leadership. It holds headers and hashes;
 * records stand beside it, in the pool, whichever branches place them.
 *
 * Promises: a branch is contiguous from its base to its tip; what was
 * certified in it stays certified; it loses places from its front, when their
 * records are final, and behind its last certificate, to a certified stretch.
 */

import { type Chain, chainNext, endOf, type Header, type Point, type Stretch } from './chain.js';
import type { Hash } from './crypto.js';
import { invariant } from './errors.js';
import type { Digest, EpochId, UserId } from './ids.js';

/** A certificate of commitment that is kept: it certifies up to `seq`. */
export interface KeptCertificate {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

/** An acknowledgement of a member under the branch's epoch. */
export interface BranchAck {
  readonly seq: number;
  readonly sig: Uint8Array;
}

export class Branch implements Chain {
  readonly sha256: Hash;
  readonly id: EpochId;
  #base: Point;
  #headers: Header[] = [];
  #hashes: Digest[] = [];
  readonly #at = new Map<Digest, number>();
  /** By seq, ascending: the last covers all that is certified. */
  readonly certificates: KeptCertificate[] = [];
  /** First seqs of the runs that hold its places in the store, ascending (runs.ts). */
  readonly runs: number[] = [];
  /** Acknowledgements that members sent again when asked to confirm. */
  readonly acks = new Map<UserId, BranchAck>();

  constructor(hash: Hash, id: EpochId, base: Point) {
    this.sha256 = hash;
    this.id = id;
    this.#base = base;
  }

  get base(): Point {
    return this.#base;
  }

  get size(): number {
    return this.#headers.length;
  }

  get tip(): Point {
    const hash = this.#hashes.at(-1);
    return hash === undefined ? this.#base : { seq: this.#base.seq + this.#hashes.length, hash };
  }

  /** Everything up to here is committed. */
  get certified(): number {
    return this.certificates.at(-1)?.seq ?? 0;
  }

  hashAt(seq: number): Digest | undefined {
    return seq === this.#base.seq ? this.#base.hash : this.#hashes[seq - this.#base.seq - 1];
  }

  headerAt(seq: number): Header | undefined {
    return this.#headers[seq - this.#base.seq - 1];
  }

  seqOf(digest: Digest): number | undefined {
    return this.#at.get(digest);
  }

  /** Digests placed here, in order. */
  digests(): Digest[] {
    return this.#headers.map((h) => h.digest);
  }

  /** Puts one place behind the tip. */
  extend(header: Header): Point {
    const { seq, hash } = this.tip;
    return this.restore(header, chainNext(this.sha256, hash, seq + 1, header));
  }

  /** Puts a place behind the tip whose hash is known. */
  restore(header: Header, hash: Digest): Point {
    this.#headers.push(header);
    this.#hashes.push(hash);
    const { tip } = this;
    this.#at.set(header.digest, tip.seq);
    return tip;
  }

  /** Puts places before the base, which must lead to it. */
  prepend(stretch: Stretch): void {
    const { anchor, headers, hashes } = stretch;
    const { seq, hash } = endOf(stretch);
    invariant(
      seq === this.#base.seq && hash === this.#base.hash,
      'what is prepended leads to the base',
    );
    for (const [i, { digest }] of headers.entries()) this.#at.set(digest, anchor.seq + i + 1);
    this.#headers = [...headers, ...this.#headers];
    this.#hashes = [...hashes, ...this.#hashes];
    this.#base = anchor;
  }

  /** Forgets the places behind `seq`. */
  cut(seq: number): void {
    const keep = seq - this.#base.seq;
    for (const { digest } of this.#headers.splice(keep)) this.#at.delete(digest);
    this.#hashes.splice(keep);
  }

  /** Forgets the places up to `seq`. */
  trim(seq: number): void {
    const count = seq - this.#base.seq;
    invariant(count >= 0 && count <= this.#headers.length, 'only places held here are trimmed');
    const hash = this.hashAt(seq)!;
    for (const { digest } of this.#headers.splice(0, count)) this.#at.delete(digest);
    this.#hashes.splice(0, count);
    this.#base = { seq, hash };
  }
}
