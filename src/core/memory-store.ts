/**
 * The store port in memory: for tests, the simulator and nodes that need not
 * outlive their process. It keeps the port's promises except the one about
 * power: what it holds is gone with it (docs/ARCHITECTURE.md, "Store").
 *
 * A map holds the values and a sorted array the keys. Each call does its work
 * before it returns its promise, so its effects are those of the call's moment.
 */

import type { RangeOptions, Store, StoreOp } from './store.js';
import { checkKey, checkOps, checkRange, compareKeys, storeClosed } from './store-rules.js';

export function memoryStore(pairs: Iterable<readonly [string, Uint8Array]> = []): Store {
  const values = new Map<string, Uint8Array>();
  const sorted: string[] = [];
  let closed = false;

  function guard(): void {
    if (closed) throw storeClosed();
  }

  /** The index of the first key that is not below `key`. */
  function lowerBound(key: string): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(sorted[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function apply({ key, value }: StoreOp): void {
    const known = values.has(key);
    if (value === undefined) {
      if (known) sorted.splice(lowerBound(key), 1);
      values.delete(key);
    } else {
      if (!known) sorted.splice(lowerBound(key), 0, key);
      values.set(key, Uint8Array.from(value));
    }
  }

  function read(key: string): Uint8Array | undefined {
    checkKey(key);
    const value = values.get(key);
    return value && Uint8Array.from(value);
  }

  /** The pairs at this moment; values are never changed in place, so no copy is needed yet. */
  function select({ gte, lt, reverse, limit }: RangeOptions): [string, Uint8Array][] {
    const [from, to] = [lowerBound(gte), lowerBound(lt)];
    const size = Math.max(0, Math.min(to - from, limit ?? Number.POSITIVE_INFINITY));
    const keys = reverse ? sorted.slice(to - size, to).reverse() : sorted.slice(from, from + size);
    return keys.map((key) => [key, values.get(key)!]);
  }

  for (const [key, value] of pairs) apply({ key, value });

  return {
    async get(key) {
      guard();
      return read(key);
    },
    async getMany(keys) {
      guard();
      return keys.map(read);
    },
    async *range(options) {
      guard();
      for (const [key, value] of select(checkRange(options))) {
        guard();
        yield [key, Uint8Array.from(value)];
      }
    },
    async write(ops) {
      guard();
      checkOps(ops);
      for (const op of ops) apply(op);
    },
    async close() {
      closed = true;
    },
  };
}
