/**
 * Numbers every batch, so that one that was lost is seen. LevelDB skips a
 * damaged part of its write-ahead log and goes on: the batches in it vanish
 * without an error, wherever in the log they stood.
 *
 * Batch n writes n into slot n mod RING_SLOTS of a ring of keys. A batch that
 * was applied leaves its number, and the slot of one that was not still holds
 * an older number. That works while the ring is longer than all the batches
 * that can be in write-ahead logs at once; older ones are in tables, which
 * LevelDB had synced (docs/decisions/0002-store-integrity.md).
 */

import type { ClassicLevel } from 'classic-level';
import { storeCorrupt } from '../core/store-rules.js';
import { unseal } from './store-seal.js';

export type Database = ClassicLevel<string, Uint8Array>;
export type Batch = ReturnType<Database['batch']>;

/**
 * LevelDB starts a new write-ahead log, and writes a table, once the batches
 * since the last take this much memory. With larger tables what is deleted soon
 * is seldom copied: at 4 MiB merging tables took a fifth of a node's time in a
 * merge of 20,000 records.
 */
export const WRITE_BUFFER_BYTES = 16_777_216;
/** Smaller batches are padded to this, which bounds how many fit into a write-ahead log. */
const BATCH_BYTES_MIN = 1_024;
/** One in use, one being made into a table, and one that was and is about to be deleted. */
const WRITE_AHEAD_LOGS_MAX = 3;
const RING_SLOTS = WRITE_AHEAD_LOGS_MAX * (WRITE_BUFFER_BYTES / BATCH_BYTES_MIN + 1);

/** What fills up a small batch: one key for all, so that it takes room in the write-ahead log alone. */
const FILL_KEY = '\0fill';
const RING_PREFIX = '\0ring/';
const RING_END = '\0ring0';
const NUMBER_BYTES = 8;
const LOST_SHOWN_MAX = 10;

const ringKey = (slot: number): string => RING_PREFIX + String(slot).padStart(5, '0');

/** The store's own entries in batch `n`, whose other entries take `bytes`. */
export function ownEntries(n: number, bytes: number): { key: string; value: Uint8Array }[] {
  const value = Buffer.alloc(NUMBER_BYTES);
  value.writeBigUInt64BE(BigInt(n));
  const ring = { key: ringKey(n % RING_SLOTS), value };
  const missing = BATCH_BYTES_MIN - bytes;
  return missing > 0 ? [ring, { key: FILL_KEY, value: Buffer.alloc(missing) }] : [ring];
}

interface Ring {
  /** The number of the newest batch in the store, 0 in a new one. */
  readonly last: number;
  /** Numbers of batches before it that are missing, the first few. */
  readonly lost: readonly number[];
}

export async function readRing(db: Database): Promise<Ring> {
  const numbers = new Map<number, number>();
  let last = 0;
  const pairs = db.iterator<Buffer, Buffer>({
    gte: Buffer.from(RING_PREFIX),
    lt: Buffer.from(RING_END),
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    highWaterMarkBytes: 262_144,
  });
  for await (const [key, stored] of pairs) {
    const value = unseal(key, stored);
    if (value === undefined)
      throw storeCorrupt(`the store's own key ${JSON.stringify(key.toString())}`);
    const n = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0));
    numbers.set(n % RING_SLOTS, n);
    last = Math.max(last, n);
  }
  const lost: number[] = [];
  for (let n = Math.max(1, last - RING_SLOTS + 1); n < last && lost.length < LOST_SHOWN_MAX; n++) {
    if (numbers.get(n % RING_SLOTS) !== n) lost.push(n);
  }
  return { last, lost };
}
