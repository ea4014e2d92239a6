/**
 * The store port on LevelDB. It promises what the port promises, and that
 * damage is an error with a code, never an empty or an older store: what is
 * checked, when, and at what cost stands in docs/decisions/0002-store-integrity.md.
 *
 * - Writes run one after the other, in the order of the calls. The caller
 *   bounds how many wait.
 * - After a write failed, the store refuses everything: what is on disk is then
 *   uncertain, and only opening it again tells.
 * - `close` makes every batch durable that was written without `sync`.
 * - One process, and in it one `Store`, has a directory open at a time.
 */

import { ConclaveError } from '../core/errors.js';
import type { RangeOptions, Store, StoreOp } from '../core/store.js';
import {
  checkKey,
  checkOps,
  checkRange,
  storeClosed,
  storeCorrupt,
  storeFailed,
} from '../core/store-rules.js';
import { type Batch, ownEntries } from './level-batches.js';
import { type OpenLevel, openLevel } from './level-open.js';
import { syncOlderLogs } from './store-files.js';
import { seal, unseal } from './store-seal.js';

/** What a range holds in memory of what LevelDB read ahead. */
const RANGE_AHEAD_BYTES = 65_536;
const RANGE_AHEAD_PAIRS = 512;

export interface LevelStoreOptions {
  /** Whether to initialise an empty or absent directory (default true). */
  readonly create?: boolean;
}

/** A store in `dir`, to be opened by who gets it, as `openNode({ store: levelStore(dir) })`. */
export function levelStore(dir: string, options?: LevelStoreOptions): () => Promise<Store> {
  return () => openLevelStore(dir, options);
}

/**
 * Opens the store in `dir`. Rejects with `store_locked` (retryable), `store_foreign`,
 * `store_newer`, `store_missing`, `store_damaged`, `store_rolled_back` or `store_failed`.
 */
export async function openLevelStore(dir: string, options?: LevelStoreOptions): Promise<Store> {
  return new LevelStore(await openLevel(dir, options));
}

class LevelStore implements Store {
  readonly #level: OpenLevel;
  /** The number of the last batch that was given one; every batch up to it was queued. */
  #lastBatch: number;
  /** Settles when every write so far has; never rejects. */
  #tail: Promise<unknown> = Promise.resolve();
  /** Whether a batch was written after the last one that was synced. */
  #unsynced = false;
  #failure: ConclaveError | undefined;
  #closing: Promise<void> | undefined;

  constructor(level: OpenLevel) {
    this.#level = level;
    this.#lastBatch = level.lastBatch;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.getMany([key]))[0];
  }

  async getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    this.#guard();
    for (const key of keys) checkKey(key);
    const all = await this.#level.db.getMany([...keys]).catch((error: unknown) => {
      throw readError(`one of ${keys.length} keys from ${JSON.stringify(keys[0])}`, error);
    });
    return all.map((stored, i) => stored && reveal(Buffer.from(keys[i]!), stored));
  }

  async *range(options: RangeOptions): AsyncGenerator<readonly [string, Uint8Array]> {
    this.#guard();
    const { gte, lt, reverse = false, limit = -1 } = checkRange(options);
    const pairs = this.#level.db.iterator<Buffer, Buffer>({
      gte: Buffer.from(gte),
      lt: Buffer.from(lt),
      reverse,
      limit,
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      highWaterMarkBytes: RANGE_AHEAD_BYTES,
    });
    try {
      for (;;) {
        const chunk = await pairs.nextv(RANGE_AHEAD_PAIRS).catch((error: unknown) => {
          throw readError(`a key from ${JSON.stringify(gte)}`, error);
        });
        if (chunk.length === 0) return;
        for (const [key, stored] of chunk) {
          this.#guard();
          yield [key.toString(), reveal(key, stored)];
        }
      }
    } finally {
      await pairs.close();
    }
  }

  async write(ops: readonly StoreOp[], { sync }: { readonly sync: boolean }): Promise<void> {
    this.#guard();
    checkOps(ops);
    const n = this.#lastBatch + 1;
    const batch = this.#batch(ops, n);
    this.#lastBatch = n;
    const done = this.#tail.then(() => this.#commit(batch, n, sync));
    this.#tail = done.catch(() => {});
    return done;
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  #guard(): void {
    if (this.#closing) throw storeClosed();
    if (this.#failure) throw this.#failure;
  }

  /** Copies the operations into a LevelDB batch with the store's own entries of batch `n`. */
  #batch(ops: readonly StoreOp[], n: number): Batch {
    const batch = this.#level.db.batch();
    let bytes = 0;
    for (const { key, value } of ops) {
      if (value === undefined) {
        batch.del(key);
      } else {
        const stored = seal(key, value);
        batch.put(key, stored);
        bytes += key.length + stored.length;
      }
    }
    for (const { key, value } of ownEntries(n, bytes)) batch.put(key, seal(key, value));
    return batch;
  }

  async #commit(batch: Batch, n: number, sync: boolean): Promise<void> {
    if (this.#failure) {
      await batch.close();
      throw this.#failure;
    }
    try {
      await batch.write({ sync });
      if (sync && this.#unsynced) await syncOlderLogs(this.#level.dir);
      if (sync) this.#level.highWater.record(n);
    } catch (cause) {
      this.#failure = storeFailed(cause);
      throw this.#failure;
    }
    this.#unsynced = !sync;
  }

  async #shutDown(): Promise<void> {
    try {
      await this.#tail;
      if (this.#unsynced && !this.#failure) {
        const n = this.#lastBatch + 1;
        await this.#commit(this.#batch([], n), n, true);
      }
    } finally {
      await this.#level.close();
    }
  }
}

function reveal(key: Uint8Array, stored: Uint8Array): Uint8Array {
  const value = unseal(key, stored);
  if (value === undefined)
    throw storeCorrupt(`the value of key ${JSON.stringify(Buffer.from(key).toString())}`);
  return value;
}

function readError(what: string, cause: unknown): unknown {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (code === 'LEVEL_CORRUPTION') return storeCorrupt(what, cause);
  if (/_NOT_OPEN$/.test(code)) return storeClosed();
  return new ConclaveError(
    'store_failed',
    `the store cannot read ${what}: ${(cause as Error).message}`,
    {
      cause,
    },
  );
}
