/**
 * Opens, and where nothing is yet creates, the LevelDB of a store, and finds
 * out whether it is all there: the mark, the tables, the first batch, the
 * newest synced batch and every batch that a write-ahead log can have held.
 * The order of the steps, and what each one sees, stands in
 * docs/decisions/0002-store-integrity.md.
 */

import { mkdir, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { ConclaveError } from '../core/errors.js';
import { STORE_KEY_FIRST } from '../core/store-rules.js';
import { type Database, ownEntries, readRing, WRITE_BUFFER_BYTES } from './level-batches.js';
import { checkTable, INCOMPLETE, type TableDamage } from './leveldb-table.js';
import {
  beginInit,
  classify,
  createHighWater,
  endInit,
  finishInit,
  type HighWater,
  LEVELDB_DIR,
  newMark,
  openHighWater,
  RESTORE,
  readMark,
  storeDamaged,
} from './store-files.js';
import { seal, unseal } from './store-seal.js';

/** So many bytes of tables, the newest, are checked when a store is opened: half a second. */
const OPEN_TABLE_BYTES_MAX = 268_435_456;

const SCHEMA_KEY = '\0schema';

interface OpenOptions {
  /** Whether to initialise an empty or absent directory (default true). */
  readonly create?: boolean;
  /** The tables' check, if it was made already; else the newest are checked. */
  readonly scan?: TableScan;
}

/** An open database that was found whole. `close`, to be called once, releases the directory. */
export interface OpenLevel {
  readonly dir: string;
  readonly db: Database;
  readonly highWater: HighWater;
  readonly lastBatch: number;
  close(): Promise<void>;
}

export async function openLevel(path: string, options: OpenOptions = {}): Promise<OpenLevel> {
  const { create = true } = options;
  const dir = await resolveDirectory(path, create);
  const release = claim(dir);
  try {
    const empty = (await classify(dir)) === 'empty';
    if (empty && !create) throw storeMissing(dir);
    if (empty) await beginInit(dir);
    else await readMark(dir);
    const scan = options.scan ?? (await scanTables(dir, OPEN_TABLE_BYTES_MAX));
    refuseDamagedTables(dir, scan);
    const db = await openDatabase(dir, empty);
    try {
      // Now that the lock is held: another process may have initialised it meanwhile.
      if (empty && (await classify(dir)) === 'empty') await initialise(dir, db);
      await endInit(dir);
      await refuseCutOffTables(dir, scan);
      const { highWater, lastBatch } = await refuseLostBatches(dir, db);
      return { dir, db, highWater, lastBatch, close: closer(db, highWater, release) };
    } catch (error) {
      await db.close();
      throw error;
    }
  } catch (error) {
    release();
    throw error instanceof ConclaveError ? error : cannotOpen(dir, error);
  }
}

function closer(db: Database, highWater: HighWater, release: () => void): () => Promise<void> {
  return async () => {
    try {
      await db.close();
    } finally {
      highWater.close();
      release();
    }
  };
}

async function resolveDirectory(path: string, create: boolean): Promise<string> {
  try {
    if (create) await mkdir(path, { recursive: true, mode: 0o700 });
    const dir = await realpath(path);
    if ((await stat(dir)).isDirectory()) return dir;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw storeMissing(path);
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw cannotOpen(path, error);
  }
  throw new ConclaveError(
    'store_foreign',
    `${path} is not a directory. Name an empty or a new directory`,
  );
}

/**
 * The directories that this process has open. LevelDB's lock does not hold
 * within a process: a second open would fail and, closing the lock file,
 * release the first one's lock to other processes.
 */
const claimed = new Set<string>();

function claim(dir: string): () => void {
  if (claimed.has(dir)) throw storeLocked(dir, 'this process');
  claimed.add(dir);
  return () => claimed.delete(dir);
}

async function openDatabase(dir: string, createIfMissing: boolean): Promise<Database> {
  const db: Database = new ClassicLevel(join(dir, LEVELDB_DIR), {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    createIfMissing,
    writeBufferSize: WRITE_BUFFER_BYTES,
    // Not compressed: `checkTable` reads index blocks, and signatures and digests don't shrink.
    compression: false,
  });
  try {
    await db.open();
    return db;
  } catch (error) {
    throw translateOpenError(dir, error);
  }
}

/** What LevelDB calls these is not damage: the store is whole and may open later. */
const ENVIRONMENT =
  /No space left|Disk quota|Permission denied|not permitted|Read-only|Too many open files|allocate memory/i;

function translateOpenError(dir: string, error: unknown): ConclaveError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'LEVEL_LOCKED') return storeLocked(dir, 'another process', cause);
  if (ENVIRONMENT.test(message)) return cannotOpen(dir, cause);
  return storeDamaged(dir, `LevelDB cannot open it (${message})`, cause);
}

async function initialise(dir: string, db: Database): Promise<void> {
  if ((await db.keys({ gte: STORE_KEY_FIRST, limit: 1 }).all()).length > 0) {
    throw storeDamaged(dir, 'its file "mark" is missing');
  }
  const mark = newMark();
  const { last } = await readRing(db);
  const schema = { key: SCHEMA_KEY, value: Buffer.from(JSON.stringify(mark)) };
  const batch = db.batch();
  for (const { key, value } of [...ownEntries(last + 1, 0), schema]) {
    batch.put(key, seal(key, value));
  }
  await batch.write({ sync: true });
  await createHighWater(dir, mark.id, last + 1);
  await finishInit(dir, mark);
}

async function refuseLostBatches(
  dir: string,
  db: Database,
): Promise<{ highWater: HighWater; lastBatch: number }> {
  const mark = await readMark(dir);
  const schema = await readSchema(db);
  const ring = await readRing(db);
  const highWater = openHighWater(dir, mark.id);
  try {
    if (ring.last < highWater.batch) {
      throw new ConclaveError(
        'store_rolled_back',
        `the store in ${dir} went back: its newest batch is ${ring.last}, but ${highWater.batch} ` +
          `was synced. The last ${highWater.batch - ring.last} batches are lost, and with them ` +
          `promises that this node gave, so it must not go on from here. ${RESTORE}`,
      );
    }
    if (schema === undefined) throw storeDamaged(dir, 'LevelDB has lost the first batch');
    if (schema !== JSON.stringify(mark)) {
      throw storeDamaged(dir, 'its LevelDB and its file "mark" are of different stores');
    }
    if (ring.lost.length > 0) {
      throw storeDamaged(
        dir,
        `batches are missing before batch ${ring.last}, the newest: ${ring.lost.join(', ')} …`,
      );
    }
    return { highWater, lastBatch: ring.last };
  } catch (error) {
    highWater.close();
    throw error;
  }
}

/** The schema record's text; undefined if it is missing or fails its checksum. */
async function readSchema(db: Database): Promise<string | undefined> {
  const stored = await db.get(SCHEMA_KEY);
  const value = stored && unseal(Buffer.from(SCHEMA_KEY), stored);
  return value && Buffer.from(value).toString();
}

interface TableScan {
  readonly tables: number;
  readonly damaged: readonly (TableDamage & { readonly file: string })[];
  /** Cut off before their end: LevelDB was making them, or they are damaged. */
  readonly incomplete: readonly { readonly file: string; readonly state: string }[];
}

/** Checks tables, the newest first, until `bytesMax` bytes were read. */
export async function scanTables(dir: string, bytesMax: number): Promise<TableScan> {
  const damaged: (TableDamage & { file: string })[] = [];
  const incomplete: { file: string; state: string }[] = [];
  let tables = 0;
  let bytes = 0;
  for (const name of await tableNames(dir)) {
    if (bytes >= bytesMax) break;
    const file = join(LEVELDB_DIR, name);
    const content = await readIfThere(join(dir, file));
    if (content === undefined) continue;
    tables++;
    bytes += content.length;
    const found = checkTable(content);
    if (found === INCOMPLETE) incomplete.push({ file, state: await fileState(dir, file) });
    else damaged.push(...found.map((damage) => ({ ...damage, file })));
  }
  return { tables, damaged, incomplete };
}

/** Table files by falling number, which is the order in which LevelDB made them. */
async function tableNames(dir: string): Promise<string[]> {
  const names = await readdir(join(dir, LEVELDB_DIR)).catch(() => []);
  return names
    .filter((name) => /^[0-9]+\.(ldb|sst)$/.test(name))
    .sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
}

/** A process that has the store open may remove a table while it is being checked. */
async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function describeDamage(damage: TableScan['damaged'][number]): string {
  const { file, offset, bytes, what } = damage;
  return `${file}, bytes ${offset} to ${offset + bytes}: ${what} fails its checksum`;
}

function refuseDamagedTables(dir: string, { damaged }: TableScan): void {
  const [first] = damaged;
  if (first === undefined) return;
  const more = damaged.length > 1 ? `, and ${damaged.length - 1} more` : '';
  throw storeDamaged(dir, describeDamage(first) + more);
}

/**
 * On opening LevelDB removes what it had not finished, or writes it anew under
 * the same name: a file that is still as it was belongs to the store.
 */
async function refuseCutOffTables(dir: string, { incomplete }: TableScan): Promise<void> {
  for (const { file, state } of incomplete) {
    if (state !== GONE && (await fileState(dir, file)) === state) {
      throw storeDamaged(dir, `the table ${file} is cut off`);
    }
  }
}

const GONE = 'gone';

/** Changes when a file is written. */
async function fileState(dir: string, file: string): Promise<string> {
  const found = await stat(join(dir, file), { bigint: true }).catch(() => undefined);
  return found ? `${found.size} bytes at ${found.mtimeNs}` : GONE;
}

function storeLocked(dir: string, by: string, cause?: unknown): ConclaveError {
  return new ConclaveError(
    'store_locked',
    `the store in ${dir} is open in ${by}: close it there, or wait until it is closed`,
    { retryable: true, cause },
  );
}

function storeMissing(dir: string): ConclaveError {
  return new ConclaveError('store_missing', `there is no store in ${dir}: check the path`);
}

function cannotOpen(dir: string, cause: unknown): ConclaveError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ConclaveError('store_failed', `the store in ${dir} cannot be opened: ${why}`, {
    retryable: true,
    cause,
  });
}
