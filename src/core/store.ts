/**
 * The store port: an ordered map from text keys to byte values with atomic
 * batches (docs/ARCHITECTURE.md, "Store"). Implementations live outside the
 * core and all pass one compliance suite (test/compliance/store.ts).
 *
 * Promises:
 * - `write` is atomic: after a crash all of a batch's operations are there or none is;
 *   writes apply in the order of the calls, operations in the order of the batch;
 * - after `write(ops, {sync: true})` resolved, the batch and every batch before it
 *   survive the loss of power; so does everything after `close` resolved;
 * - a value read is the value written, or the call rejects with `store_corrupt`;
 * - after a write failed, every call rejects with `store_failed`: what is durable is
 *   then uncertain until the store is opened again.
 * Which keys are allowed, their order and the errors: store-rules.ts.
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
  /**
   * Pairs in key order (bytewise), read lazily in bounded memory, as they were when the
   * first of them was asked for.
   */
  range(options: RangeOptions): AsyncIterable<readonly [string, Uint8Array]>;
  write(ops: readonly StoreOp[], options: { readonly sync: boolean }): Promise<void>;
  /** Waits for writes under way; later calls reject with `store_closed`, another `close` does not. */
  close(): Promise<void>;
}
