/**
 * A channel's log in memory: the final point, the tail behind it, and each
 * author's last placed message (docs/PROTOCOL.md, section "Log"). Final
 * entries live in the store alone, so memory does not grow with the log.
 *
 * Promises: the final point only grows; the tail is contiguous from it; what a
 * truncation drops is returned to the caller, never lost.
 */

import { type Chain, chainNext, type Header, type Point } from './chain.js';
import type { Hash } from './crypto.js';
import { invariant } from './errors.js';
import type { Digest, EpochId, UserId } from './ids.js';
import type { Entry } from './layout.js';
import {
  JOIN_LAG_ENTRIES_MAX,
  TAIL_BYTES_MAX,
  TAIL_ENTRIES_MAX,
  TAIL_EPOCHS_MAX,
} from './limits.js';
import type { ChannelRecord } from './record.js';
import { isLeaderKind, isMembership } from './roster.js';

/** True for records whose order is kept by author and `prev`. */
export const isMessageLane = (record: ChannelRecord): boolean =>
  !isMembership(record.kind) && !isLeaderKind(record.kind);

/** True for records that the core keeps and orders like messages, and gives no meaning. */
export const isCarried = (record: ChannelRecord): boolean =>
  record.kind !== 'message' && isMessageLane(record);

export class Log implements Chain {
  readonly #hash: Hash;
  #final: Point;
  #finalTerm: number;
  #tail: Entry[] = [];
  #tailBytes = 0;
  readonly #inTail = new Map<Digest, number>();
  /** Membership records in the tail, oldest first. */
  #changes: Entry[] = [];
  /** `merge` records in the tail, oldest first, and before them the last final one. */
  #merges: Pick<Entry, 'seq' | 'record'>[] = [];
  /** Last message of each author that is final, and over it the last in the tail. */
  readonly #finalTips: Map<UserId, Digest>;
  #tips: Map<UserId, Digest>;
  /** Hashes of the newest final positions; the last is that of `final`. */
  #recent: Digest[];

  constructor(hash: Hash, final: Point, finalTerm: number, tips: Map<UserId, Digest>) {
    this.#hash = hash;
    this.#final = final;
    this.#finalTerm = finalTerm;
    this.#finalTips = tips;
    this.#tips = new Map(tips);
    this.#recent = [final.hash];
  }

  get final(): Point {
    return this.#final;
  }
  get base(): Point {
    return this.#final;
  }
  get tail(): readonly Entry[] {
    return this.#tail;
  }
  get tailBytes(): number {
    return this.#tailBytes;
  }
  /** The tail has room for `epoch` records alone. */
  get isFull(): boolean {
    const { length } = this.#tail;
    return length >= TAIL_ENTRIES_MAX - TAIL_EPOCHS_MAX || this.#tailBytes >= TAIL_BYTES_MAX;
  }
  get tip(): Point {
    return this.#tail.at(-1) ?? this.#final;
  }
  /** Term of the last final entry. */
  get finalTerm(): number {
    return this.#finalTerm;
  }
  /** Term of the last entry; logs are compared by it, then by length. */
  get lastTerm(): number {
    return this.#tail.at(-1)?.header.term ?? this.#finalTerm;
  }

  /** Chain hash at `seq`, while it is in memory. */
  hashAt(seq: number): Digest | undefined {
    if (seq > this.#final.seq) return this.#tail[seq - this.#final.seq - 1]?.hash;
    return this.#recent[this.#recent.length - 1 - (this.#final.seq - seq)];
  }

  /** Oldest seq whose hash is in memory. */
  get memoryFrom(): number {
    return this.#final.seq - this.#recent.length + 1;
  }

  entryAt(seq: number): Entry | undefined {
    return this.#tail[seq - this.#final.seq - 1];
  }

  headerAt(seq: number): Header | undefined {
    return this.entryAt(seq)?.header;
  }

  /** Seq of a record in the tail. */
  seqOf(digest: Digest): number | undefined {
    return this.#inTail.get(digest);
  }

  /** The entry of a record in the tail. */
  entryOf(digest: Digest): Entry | undefined {
    const seq = this.#inTail.get(digest);
    return seq === undefined ? undefined : this.entryAt(seq);
  }

  /** Its author is no member any more. */
  forgetTip(author: UserId): void {
    this.#finalTips.delete(author);
    this.#tips.delete(author);
  }

  /** Digest of the author's last final message. */
  finalTipOf(author: UserId): Digest | undefined {
    return this.#finalTips.get(author);
  }

  /** Digest of the author's last placed message. */
  tipOf(author: UserId): Digest | undefined {
    return this.#tips.get(author);
  }

  /** Puts one entry behind the tip; `known` is its chain hash, where it was computed already. */
  append(
    record: ChannelRecord,
    proof: Uint8Array,
    at: { epoch: EpochId; term: number; roster: number },
    known?: Digest,
  ): Entry {
    const { seq, hash } = this.tip;
    const { epoch, term, roster } = at;
    const header: Header = { epoch, term, roster, digest: record.digest };
    const next = known ?? chainNext(this.#hash, hash, seq + 1, header);
    return this.restore({ seq: seq + 1, header, hash: next, record, proof });
  }

  /** Puts an entry behind the tip whose hash is known. */
  restore(entry: Entry): Entry {
    invariant(entry.seq === this.tip.seq + 1, 'the tail is contiguous');
    this.#tail.push(entry);
    this.#tailBytes += entry.record.bytes.length;
    this.#inTail.set(entry.record.digest, entry.seq);
    if (isMessageLane(entry.record)) this.#tips.set(entry.record.author, entry.record.digest);
    else if (isMembership(entry.record.kind)) this.#changes.push(entry);
    else if (entry.record.kind === 'merge') this.#merges.push(entry);
    return entry;
  }

  /** A `merge` record that is final: what it brings may lie in the tail. */
  noteFinalMerge(seq: number, record: ChannelRecord): void {
    this.#merges = [{ seq, record }, ...this.#merges.filter((merge) => merge.seq > seq)];
  }

  /** The last `merge` record before `seq`. */
  mergeBefore(seq: number): Pick<Entry, 'seq' | 'record'> | undefined {
    return this.#merges.findLast((merge) => merge.seq < seq);
  }

  /** Drops all entries behind `seq` and returns them, oldest first. */
  truncate(seq: number): Entry[] {
    invariant(seq >= this.#final.seq, 'what is final is never truncated');
    const dropped = this.#tail.splice(seq - this.#final.seq);
    if (dropped.length === 0) return dropped;
    for (const entry of dropped) {
      this.#tailBytes -= entry.record.bytes.length;
      this.#inTail.delete(entry.record.digest);
    }
    this.#changes = this.#changes.filter((e) => e.seq <= seq);
    this.#merges = this.#merges.filter((e) => e.seq <= seq);
    this.#tips = new Map(this.#finalTips);
    for (const { record } of this.#tail) {
      if (isMessageLane(record)) this.#tips.set(record.author, record.digest);
    }
    return dropped;
  }

  /** Moves the final point to `seq` and returns the entries that became final. */
  finalise(seq: number): Entry[] {
    invariant(
      seq > this.#final.seq && seq <= this.tip.seq,
      'only entries of the tail become final',
    );
    const entries = this.#tail.splice(0, seq - this.#final.seq);
    for (const entry of entries) {
      this.#tailBytes -= entry.record.bytes.length;
      this.#inTail.delete(entry.record.digest);
      this.#recent.push(entry.hash);
      if (isMessageLane(entry.record))
        this.#finalTips.set(entry.record.author, entry.record.digest);
    }
    if (this.#recent.length > 2 * JOIN_LAG_ENTRIES_MAX) {
      this.#recent = this.#recent.slice(-JOIN_LAG_ENTRIES_MAX);
    }
    this.#changes = this.#changes.filter((e) => e.seq > seq);
    const lastMerge = this.#merges.findLast((e) => e.seq <= seq);
    if (lastMerge) this.noteFinalMerge(lastMerge.seq, lastMerge.record);
    const last = entries.at(-1)!;
    this.#final = { seq: last.seq, hash: last.hash };
    this.#finalTerm = last.header.term;
    return entries;
  }

  /** The first membership record in the tail: at most one change is in flight. */
  membershipInFlight(): Entry | undefined {
    return this.#changes[0];
  }

  /** Positions and hashes, exponentially further back from the tip, the final point last. */
  locators(max: number): Point[] {
    const points: Point[] = [];
    for (let back = 0; points.length < max - 1; back = back === 0 ? 1 : back * 2) {
      const seq = this.tip.seq - back;
      if (seq <= this.#final.seq) break;
      points.push({ seq, hash: this.hashAt(seq)! });
    }
    points.push(this.#final);
    return points;
  }
}
