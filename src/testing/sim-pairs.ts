/**
 * A map in memory whose keys are put in order only when a range is asked for,
 * and then cheaply: new keys are sorted among themselves and merged in.
 */

import type { StoreOp } from '../core/store.js';

/** So many keys are rather put into their places one by one. */
const FEW = 32;

export type Pair = readonly [string, Uint8Array];

export class Pairs {
  readonly #values: Map<string, Uint8Array>;
  /** In order; may name keys that are gone. */
  #sorted: string[];
  /** Keys that came since, each in neither list twice. */
  #fresh: string[] = [];
  /** Keys that are gone and still named above. */
  readonly #gone = new Set<string>();

  constructor(from: Iterable<Pair> = []) {
    this.#values = new Map(from);
    this.#sorted = [...this.#values.keys()].sort();
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  get keys(): IterableIterator<string> {
    return this.#values.keys();
  }

  set(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) {
      if (this.#values.delete(key)) this.#gone.add(key);
      return;
    }
    const before = this.#values.size;
    this.#values.set(key, value);
    if (this.#values.size > before && !this.#gone.delete(key)) this.#fresh.push(key);
  }

  apply(ops: readonly StoreOp[]): void {
    for (const { key, value } of ops) this.set(key, value);
  }

  /** Pairs from `gte` on, in order, while `isWanted`, at most `limit`. */
  range(gte: string, isWanted: (key: string) => boolean, limit: number): Pair[] {
    this.#settle();
    const keys = this.#sorted;
    const pairs: Pair[] = [];
    for (let i = lowerBound(keys, gte); i < keys.length && pairs.length < limit; i++) {
      const key = keys[i]!;
      if (!isWanted(key)) break;
      const value = this.#values.get(key);
      if (value) pairs.push([key, value]);
    }
    return pairs;
  }

  copy(): Pairs {
    return new Pairs(this.#values);
  }

  #settle(): void {
    if (this.#gone.size * 2 > this.#sorted.length) {
      this.#sorted = this.#sorted.filter((key) => this.#values.has(key));
      this.#fresh = this.#fresh.filter((key) => this.#values.has(key));
      this.#gone.clear();
    }
    if (this.#fresh.length <= FEW) {
      for (const key of this.#fresh) this.#sorted.splice(lowerBound(this.#sorted, key), 0, key);
    } else {
      this.#sorted = merged(this.#sorted, this.#fresh.sort());
    }
    this.#fresh = [];
  }
}

/** Where the first key that is not below `key` stands. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function merged(a: readonly string[], b: readonly string[]): string[] {
  const out: string[] = [];
  let from = 0;
  for (const key of b) {
    const to = lowerBound(a, key);
    while (from < to) out.push(a[from++]!);
    out.push(key);
  }
  while (from < a.length) out.push(a[from++]!);
  return out;
}
