/**
 * The store port: an ordered map from text keys to byte values with atomic
 * batches (docs/ARCHITECTURE.md, "Store"). Implementations live outside the
 * core and all pass one compliance suite (test/compliance/store.ts).
 *
 * Promises:
 * - `write` is atomic: after a crash all of a batch's operations are there or none is;
 * - after `write(ops, {sync: true})` resolved, the batch and every batch before it
 *   survive the loss of power;
 * - a value read is the value written, or the call rejects with `store_corrupt`.
 */

/** One operation of a batch; `value` absent deletes the key. */
export interface StoreOp {
  readonly key: string;
  readonly value?: Uint8Array;
}

export interface RangeOptions {
  /** Inclusive lower bound. */
  readonly gte: string;
  /** Exclusive upper bound. */
  readonly lt: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface Store {
  get(key: string): Promise<Uint8Array | undefined>;
  getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Pairs in key order (bytewise), read lazily in bounded memory. */
  range(options: RangeOptions): AsyncIterable<readonly [string, Uint8Array]>;
  write(ops: readonly StoreOp[], options: { readonly sync: boolean }): Promise<void>;
  close(): Promise<void>;
}
