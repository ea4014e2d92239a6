/**
 * The order of what is not final (docs/PROTOCOL.md, section "Display order"):
 * first what is committed, by place, then what is only sent, by author,
 * predecessor and digest; in both, no record before its predecessor. Readers
 * and the merge use this one function, so that nodes with equal records and
 * places show equal pages, whatever came first.
 */

import type { Digest, EpochId, UserId } from './ids.js';

/** Where one epoch put a record: the order of certified places. */
export interface Place {
  readonly term: number;
  readonly epoch: EpochId;
  readonly seq: number;
  readonly digest: Digest;
}

export interface Unordered {
  readonly digest: Digest;
  readonly author: UserId;
  readonly prev: Digest;
  /** Smallest certified place; null for what is only sent. */
  readonly place: Place | null;
  /** Its predecessor is neither final nor held: nothing is known of it. */
  readonly isOrphan: boolean;
}

export interface Ordered<T> {
  readonly item: T;
  /** False where its predecessor is only sent, or missing: no record is shown as more than that. */
  readonly committed: boolean;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const comparePlaces = (a: Place, b: Place): number =>
  a.term - b.term || byText(a.epoch, b.epoch) || a.seq - b.seq || byText(a.digest, b.digest);

const byPlace = (a: Unordered, b: Unordered): number => comparePlaces(a.place!, b.place!);
const byAuthor = (a: Unordered, b: Unordered): number =>
  byText(a.author, b.author) || byText(a.prev, b.prev) || byText(a.digest, b.digest);

/** All of `items`, each once, in order. A `prev` that is not among them is final, or missing for orphans. */
export function inOrder<T extends Unordered>(items: readonly T[]): Ordered<T>[] {
  const committed = committedOf(items);
  const first = items.filter((item) => committed.get(item.digest));
  const rest = items.filter((item) => !committed.get(item.digest));
  return [
    ...emit(first, byPlace).map((item) => ({ item, committed: true })),
    ...emit(rest, byAuthor).map((item) => ({ item, committed: false })),
  ];
}

/** Committed is what has a certified place, and whose predecessors among the items have one too. */
function committedOf(items: readonly Unordered[]): Map<Digest, boolean> {
  const byDigest = new Map(items.map((item) => [item.digest, item]));
  const verdicts = new Map<Digest, boolean>();
  for (const start of items) {
    const path: Unordered[] = [];
    let at: Unordered | undefined = start;
    while (at && !verdicts.has(at.digest)) {
      path.push(at);
      at = byDigest.get(at.prev);
    }
    let verdict = at === undefined || verdicts.get(at.digest)!;
    for (const item of path.reverse()) {
      verdict = verdict && item.place !== null && !item.isOrphan;
      verdicts.set(item.digest, verdict);
    }
  }
  return verdicts;
}

/** Repeatedly the smallest whose predecessor does not wait. */
function emit<T extends Unordered>(items: readonly T[], compare: (a: T, b: T) => number): T[] {
  const waiting = new Set(items.map((item) => item.digest));
  const heldBack = new Map<Digest, T[]>();
  const out: T[] = [];
  for (const next of [...items].sort(compare)) {
    if (waiting.has(next.prev)) {
      const siblings = heldBack.get(next.prev);
      if (siblings) siblings.push(next);
      else heldBack.set(next.prev, [next]);
      continue;
    }
    // What was held back is smaller than all that is still to come.
    const ready = [next];
    for (let item = ready.shift(); item; item = ready.shift()) {
      out.push(item);
      waiting.delete(item.digest);
      const released = heldBack.get(item.digest);
      if (!released) continue;
      ready.push(...released);
      ready.sort(compare);
    }
  }
  return out;
}
