/**
 * A store in memory that fails as disks and machines do, for tests and the
 * simulator (docs/ARCHITECTURE.md, "Store"). It keeps what was synced apart
 * from what was only written:
 *
 * - `crash` loses what was not synced: all of it, or, given randomness, all
 *   after a random batch. A synced write that is under way counts as not synced.
 * - `failWrite` lets a write fail, on a full disk or in the sync; as the port
 *   demands, the store then refuses everything until it is reopened.
 * - `image` copies what is durable; a store opened from an old image is one
 *   that was restored from an old copy.
 * - `corrupt` damages a value: reads of it reject, as LevelDB's do.
 *
 * Batches stay whole in all of these. Nothing here is random by itself.
 */

import { memoryStore } from '../core/memory-store.js';
import type { Store, StoreOp } from '../core/store.js';
import { checkOps, storeClosed, storeCorrupt, storeFailed } from '../core/store-rules.js';

/** What a disk holds: an opaque copy, to be opened with `faultStore`. */
export interface StoreImage {
  readonly pairs: ReadonlyMap<string, Uint8Array>;
  readonly corrupt: ReadonlySet<string>;
}

/** `disk-full`: the batch is not written. `sync`: it is, but may not survive a crash. */
export type WriteFault = 'disk-full' | 'sync';

export interface FaultStore extends Store {
  /**
   * Ends this store as a loss of power would and returns what the machine finds
   * afterwards: every synced batch, and of the others those before a place that
   * `random` (in [0, 1)) picks, or none without it.
   */
  crash(random?: () => number): FaultStore;
  /** Lets a write fail: the next one, or the one after `skip` more. */
  failWrite(fault: WriteFault, skip?: number): void;
  /** Damages the value of `key` until it is written again. */
  corrupt(key: string): void;
  image(): StoreImage;
  /** Batches that a crash may lose now. */
  readonly unsynced: number;
}

const EMPTY: StoreImage = { pairs: new Map(), corrupt: new Set() };

const FAULTS = {
  'disk-full': 'ENOSPC: no space left on device',
  sync: 'EIO: i/o error, fsync',
} as const;

export function faultStore(image: StoreImage = EMPTY): FaultStore {
  const durable = new Map(image.pairs);
  const durableCorrupt = new Set(image.corrupt);
  const live = memoryStore(durable);
  const liveCorrupt = new Set(image.corrupt);
  let pending: (readonly StoreOp[])[] = [];
  let fault: { readonly kind: WriteFault; skip: number } | undefined;
  let refusal: Error | undefined;
  let crashed = false;

  function guard(): void {
    if (refusal) throw refusal;
  }

  function refuseCorrupt(key: string): void {
    if (liveCorrupt.has(key)) throw storeCorrupt(`the value of key ${JSON.stringify(key)}`);
  }

  /** Makes the first `count` pending batches durable. */
  function sync(count: number): void {
    for (const { key, value } of pending.splice(0, count).flat()) {
      if (value === undefined) durable.delete(key);
      else durable.set(key, value);
      durableCorrupt.delete(key);
    }
  }

  /** The fault that is due for this write, if one is. */
  function dueFault(): WriteFault | undefined {
    if (fault === undefined || fault.skip-- > 0) return undefined;
    const { kind } = fault;
    fault = undefined;
    return kind;
  }

  function fail(kind: WriteFault): never {
    refusal = storeFailed(new Error(FAULTS[kind]));
    throw refusal;
  }

  async function apply(ops: readonly StoreOp[]): Promise<void> {
    const batch = ops.map(({ key, value }) =>
      value ? { key, value: Uint8Array.from(value) } : { key },
    );
    pending.push(batch);
    for (const { key } of batch) liveCorrupt.delete(key);
    await live.write(batch, { sync: false });
  }

  return {
    async get(key) {
      guard();
      refuseCorrupt(key);
      return live.get(key);
    },
    async getMany(keys) {
      guard();
      for (const key of keys) refuseCorrupt(key);
      return live.getMany(keys);
    },
    async *range(options) {
      guard();
      for await (const pair of live.range(options)) {
        guard();
        refuseCorrupt(pair[0]);
        yield pair;
      }
    },
    async write(ops, options) {
      guard();
      checkOps(ops);
      const due = dueFault();
      if (due === 'disk-full') fail(due);
      const applied = apply(ops);
      const last = pending.at(-1)!;
      await applied;
      if (due) fail(due);
      if (!options.sync) return;
      // A crash may come before this; afterwards the batch is durable.
      await Promise.resolve();
      if (crashed) throw storeClosed();
      sync(pending.indexOf(last) + 1);
    },
    async close() {
      if (!refusal) sync(pending.length);
      refusal = storeClosed();
      await live.close();
    },
    crash(random) {
      if (random) sync(Math.floor(random() * (pending.length + 1)));
      pending = [];
      crashed = true;
      refusal = storeClosed();
      return faultStore({ pairs: durable, corrupt: durableCorrupt });
    },
    failWrite(kind, skip = 0) {
      fault = { kind, skip };
    },
    corrupt(key) {
      liveCorrupt.add(key);
      durableCorrupt.add(key);
    },
    image() {
      return { pairs: new Map(durable), corrupt: new Set(durableCorrupt) };
    },
    get unsynced() {
      return pending.length;
    },
  };
}
