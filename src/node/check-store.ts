/**
 * Checks a whole store on LevelDB that no one has open: every block of every
 * table, every batch that a write-ahead log can have held, and the checksum of
 * every value (docs/decisions/0002-store-integrity.md). It reports all that it
 * finds, rather than the first problem only. Nothing is repaired.
 */

import { ConclaveError } from '../core/errors.js';
import { STORE_KEY_FIRST, storeCorrupt } from '../core/store-rules.js';
import type { Database } from './level-batches.js';
import { describeDamage, openLevel, scanTables } from './level-open.js';
import { unseal } from './store-seal.js';

const PROBLEMS_MAX = 1_000;
const WALK_AHEAD_BYTES = 262_144;
const WALK_AHEAD_PAIRS = 1_000;

export interface StoreProblem {
  readonly code: string;
  /** The key that is concerned, where one is known. */
  readonly key?: string;
  readonly message: string;
}

export interface StoreReport {
  readonly keys: number;
  readonly valueBytes: number;
  readonly tables: number;
  /** Empty when the store is whole; at most 1,000. */
  readonly problems: readonly StoreProblem[];
}

export interface CheckStoreOptions {
  /** Called now and then with the number of keys checked so far. */
  readonly onProgress?: (keys: number) => void;
}

/** What a check finds; any other error (locked, missing, foreign, newer) rejects. */
const FINDINGS = new Set(['store_damaged', 'store_rolled_back', 'store_corrupt']);

export async function checkStore(
  dir: string,
  { onProgress }: CheckStoreOptions = {},
): Promise<StoreReport> {
  const scan = await scanTables(dir, Number.POSITIVE_INFINITY);
  const { tables, damaged } = scan;
  // LevelDB must not read damaged tables: it could merge them into new ones that look whole.
  if (damaged.length > 0) {
    const problems = damaged.slice(0, PROBLEMS_MAX).map((damage) => ({
      code: 'store_damaged',
      message: describeDamage(damage),
    }));
    return { keys: 0, valueBytes: 0, tables, problems };
  }
  try {
    const level = await openLevel(dir, { create: false, scan });
    try {
      return { tables, ...(await walk(level.db, onProgress)) };
    } finally {
      await level.close();
    }
  } catch (error) {
    if (!(error instanceof ConclaveError && FINDINGS.has(error.code))) throw error;
    const problems = [{ code: error.code, message: error.message }];
    return { keys: 0, valueBytes: 0, tables, problems };
  }
}

async function walk(
  db: Database,
  onProgress: CheckStoreOptions['onProgress'],
): Promise<Omit<StoreReport, 'tables'>> {
  const problems: StoreProblem[] = [];
  let keys = 0;
  let valueBytes = 0;
  let last = '';
  const pairs = db.iterator<Buffer, Buffer>({
    gte: Buffer.from(STORE_KEY_FIRST),
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    highWaterMarkBytes: WALK_AHEAD_BYTES,
  });
  try {
    for (;;) {
      const chunk = await pairs.nextv(WALK_AHEAD_PAIRS);
      if (chunk.length === 0) break;
      for (const [keyBytes, stored] of chunk) {
        last = keyBytes.toString();
        const value = unseal(keyBytes, stored);
        if (value !== undefined) valueBytes += value.length;
        else if (problems.length < PROBLEMS_MAX) problems.push(corrupt(last));
      }
      keys += chunk.length;
      onProgress?.(keys);
    }
  } catch (error) {
    const where = `after key ${JSON.stringify(last)}`;
    problems.push({
      code: 'store_corrupt',
      message: `LevelDB cannot read on ${where}: ${(error as Error).message}`,
    });
  } finally {
    await pairs.close();
  }
  return { keys, valueBytes, problems };
}

function corrupt(key: string): StoreProblem {
  const { code, message } = storeCorrupt(`the value of key ${JSON.stringify(key)}`);
  return { code, key, message };
}
