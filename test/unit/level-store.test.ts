/**
 * The store on LevelDB where it differs from other stores: its directory, its
 * lock, and what it says about damage. The rule behind every test here: damage
 * is an error with a code, or it changed nothing that was stored
 * (docs/decisions/0002-store-integrity.md).
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store, StoreOp } from '../../src/core/store.js';
import { checkStore } from '../../src/node/check-store.js';
import { levelStore, openLevelStore } from '../../src/node/level-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { assertBatches, lastBatch } from './fixtures/store-batches.js';

let base: string;
let dir: string;
const opened: Store[] = [];

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'conclave-level-'));
  dir = join(base, 'store');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await rm(base, { recursive: true });
});

const SYNCED = { sync: true };
const ALL = { gte: '', lt: '\u{10ffff}' };

const error = (code: string, message: RegExp = /./) =>
  expect.objectContaining({ name: 'ConclaveError', code, message: expect.stringMatching(message) });

async function open(path = dir): Promise<Store> {
  const store = await openLevelStore(path);
  opened.push(store);
  return store;
}

async function put(store: Store, key: string, value = key): Promise<void> {
  await store.write([{ key, value: new Uint8Array(Buffer.from(value)) }], SYNCED);
}

const at = (...parts: string[]): string => join(dir, ...parts);

async function edit(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, change(bytes));
}

function flip(bytes: Buffer, place: number, mask: number): Buffer {
  bytes.writeUInt8(bytes[place]! ^ mask, place);
  return bytes;
}

const filesIn = async (path: string): Promise<string[]> =>
  (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();

const walOf = async (path = dir): Promise<string> =>
  (await filesIn(path)).filter((name) => name.endsWith('.log')).at(-1)!;

/** Everything a store answers, by each way of asking. */
async function contents(store: Store, keys: readonly string[]): Promise<string> {
  const digest = createHash('sha256');
  for (const reverse of [false, true]) {
    for await (const [key, value] of store.range({ ...ALL, reverse }))
      digest.update(key).update(value);
  }
  for (const value of await store.getMany(keys)) digest.update(value ?? 'absent');
  return digest.digest('hex');
}

function child(mode: string, path = dir, wrap: readonly string[] = []) {
  const script = join(import.meta.dirname, 'fixtures/store-child.ts');
  const [command, ...args] = [...wrap, process.execPath, '--import', 'tsx', script, mode, path];
  return spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function childLines(
  mode: string,
  path = dir,
  wrap: readonly string[] = [],
): Promise<string[]> {
  const process = child(mode, path, wrap);
  const closed = once(process, 'close');
  const output = await text(process.stdout);
  await closed;
  return output.trim().split('\n');
}

describe('opening a directory', () => {
  test('makes it, parents included, and finds the same content again', async () => {
    dir = join(base, 'a/b/c');
    const store = await levelStore(dir)();
    await put(store, 'x');
    await store.close();
    const again = await open();
    expect(await again.get('x')).toEqual(new Uint8Array(Buffer.from('x')));
    expect((await filesIn(dir)).filter((name) => !name.startsWith('leveldb'))).toEqual([
      'high-water',
      'mark',
    ]);
  });

  test('refuses a file, and a directory of something else, and touches neither', async () => {
    await writeFile(dir, 'text');
    await expect(open()).rejects.toEqual(error('store_foreign', /not a directory/));
    const other = join(base, 'other');
    const level = new ClassicLevel(other);
    await level.put('a', 'b');
    await level.close();
    const before = await filesIn(other);
    await expect(open(other)).rejects.toEqual(error('store_foreign', /CURRENT|MANIFEST|LOCK|LOG/));
    expect(await filesIn(other)).toEqual(before);
  });

  test('refuses what is not there when told not to create, and creates nothing', async () => {
    await expect(openLevelStore(dir, { create: false })).rejects.toEqual(error('store_missing'));
    expect(await readdir(base)).toEqual([]);
    await mkdir(dir);
    await expect(openLevelStore(dir, { create: false })).rejects.toEqual(error('store_missing'));
    await expect(checkStore(dir)).rejects.toEqual(error('store_missing'));
    expect(await readdir(dir)).toEqual([]);
  });

  test('refuses the store of a newer version, before LevelDB opens it', async () => {
    await (await open()).close();
    const lines = `conclave-store 2\nlater yes\n`;
    const check = createHash('sha256').update(lines).digest('hex').slice(0, 16);
    await writeFile(at('mark'), `${lines}check ${check}\n`);
    const log = await readFile(at('leveldb/LOG'));
    await expect(open()).rejects.toEqual(error('store_newer', /version 2.*install a newer/));
    expect(await readFile(at('leveldb/LOG'))).toEqual(log);
  });

  test('refuses a LevelDB without its mark, or with the mark of another store', async () => {
    await (await open()).close();
    await (await open(join(base, 'two'))).close();
    await rename(at('mark'), join(base, 'mark'));
    await expect(open()).rejects.toEqual(error('store_damaged', /"mark" is missing/));
    await cp(join(base, 'two/mark'), at('mark'));
    await expect(open()).rejects.toEqual(error('store_damaged', /high-water/));
    await cp(join(base, 'two/high-water'), at('high-water'));
    await expect(open()).rejects.toEqual(error('store_damaged', /different stores/));
  });

  describe('whose initialisation was cut off', () => {
    const remains: [string, readonly string[]][] = [
      ['before LevelDB', ['initialising']],
      ['after LevelDB was made', ['initialising', 'leveldb']],
      ['before the mark', ['initialising', 'leveldb', 'high-water']],
      ['after the mark', ['initialising', 'leveldb', 'high-water', 'mark']],
    ];
    test.each(remains)('%s, initialises it', async (_, kept) => {
      await (await open()).close();
      await writeFile(at('initialising'), '');
      for (const name of await readdir(dir)) {
        if (!kept.includes(name)) await rm(at(name), { recursive: true });
      }
      const store = await open();
      await put(store, 'x');
      await store.close();
      expect(await readdir(dir)).toEqual(['high-water', 'leveldb', 'mark']);
      expect((await checkStore(dir)).problems).toEqual([]);
      expect(await (await open()).get('x')).toBeDefined();
    });

    test('never does so where something was stored', async () => {
      const store = await open();
      await put(store, 'x');
      await store.close();
      await rename(at('mark'), at('initialising'));
      await expect(open()).rejects.toEqual(error('store_damaged', /"mark" is missing/));
    });
  });
});

describe('the lock', () => {
  test('a second open in this process is refused, by any path, and the first goes on', async () => {
    const store = await open();
    await symlink(dir, join(base, 'link'));
    for (const path of [dir, `${dir}/.`, join(base, 'link')]) {
      await expect(open(path)).rejects.toEqual(error('store_locked', /this process/));
    }
    await expect(checkStore(dir)).rejects.toEqual(error('store_locked'));
    expect(await childLines('open')).toEqual(['store_locked']);
    await put(store, 'x');
    expect(await store.get('x')).toBeDefined();
    await store.close();
    expect(await childLines('open')).toEqual(['open']);
  });

  test('held by another process is an error that may pass', async () => {
    const writer = child('write');
    await once(writer.stdout, 'data');
    await expect(open()).rejects.toEqual(error('store_locked', /another process/));
    await expect(open()).rejects.toMatchObject({ retryable: true });
    writer.kill('SIGKILL');
    await once(writer, 'close');
    expect(await lastBatch(await open())).toBeGreaterThan(0);
  });

  test('of several opens at once in this process one wins', async () => {
    const results = await Promise.allSettled([open(), open(), open()]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('a failed open lets the directory go', async () => {
    await (await open()).close();
    await rename(at('mark'), join(base, 'mark'));
    await expect(open()).rejects.toEqual(error('store_damaged'));
    await rename(join(base, 'mark'), at('mark'));
    await open();
  });

  test('processes that race to initialise directories end with one store in each', {
    timeout: 60_000,
  }, async () => {
    const lines = await Promise.all([1, 2, 3].map(() => childLines('append')));
    expect(lines).toEqual([['appended'], ['appended'], ['appended']]);
    const directories = await readdir(dir);
    expect(directories.length).toBeGreaterThan(10);
    for (const name of directories) {
      expect((await checkStore(at(name))).keys).toBe(3);
      expect(await readdir(at(name))).toEqual(['high-water', 'leveldb', 'mark']);
    }
  });
});

describe('a write that fails', () => {
  test('stops the store, which opens again with all that was acknowledged', {
    timeout: 30_000,
  }, async () => {
    // A limit on the size of files, in blocks of 512 bytes, stands for a full disk.
    const limit = ['sh', '-c', 'ulimit -f 1000; exec "$0" "$@"'];
    const lines = await childLines('fill', dir, limit);
    expect(lines.splice(-4)).toEqual(['store_failed', 'store_failed', 'store_failed', 'ok']);
    const acknowledged = Number(lines.at(-1));
    expect(acknowledged).toBeGreaterThan(5);
    const store = await open();
    const last = await lastBatch(store);
    expect(last - acknowledged).toBeOneOf([0, 1]);
    await assertBatches(store, last);
    await put(store, 'goes on');
  });
});

describe('a value that was changed', () => {
  async function tamper(change: (level: ClassicLevel<string, Buffer>) => Promise<void>) {
    const level = new ClassicLevel<string, Buffer>(at('leveldb'), { valueEncoding: 'buffer' });
    await change(level);
    await level.close();
  }

  beforeEach(async () => {
    const store = await open();
    for (const key of ['a', 'b', 'c', 'd']) await put(store, key);
    await store.close();
  });

  test.each<[string, (stored: Buffer) => Buffer]>([
    ['has one bit flipped', (stored) => flip(stored, stored.length - 1, 1)],
    ['has its checksum changed', (stored) => flip(stored, 0, 1)],
    ['is cut off', (stored) => stored.subarray(0, -1)],
    ['is cut off within its checksum', (stored) => stored.subarray(0, 5)],
    ['is empty', () => Buffer.alloc(0)],
  ])('and %s rejects by every way of reading, and the others are read', async (_, change) => {
    await tamper(async (level) => level.put('b', change((await level.get('b'))!)));
    const store = await open();
    const corrupt = error('store_corrupt', /"b".*conclave doctor/);
    await expect(store.get('b')).rejects.toEqual(corrupt);
    await expect(store.getMany(['a', 'b'])).rejects.toEqual(corrupt);
    await expect(contents(store, [])).rejects.toEqual(corrupt);
    expect(await store.getMany(['a', 'c', 'd'])).not.toContain(undefined);
    await put(store, 'b', 'mended');
    expect(await store.get('b')).toEqual(new Uint8Array(Buffer.from('mended')));
  });

  test('a value under another key is seen', async () => {
    await tamper(async (level) => level.put('b', (await level.get('a'))!));
    await expect((await open()).get('b')).rejects.toEqual(error('store_corrupt', /"b"/));
  });

  test('checkStore names every key that is concerned, and counts the rest', async () => {
    expect(await checkStore(dir)).toMatchObject({ keys: 4, valueBytes: 4, problems: [] });
    await tamper(async (level) => {
      await level.put('b', Buffer.from('123456789'));
      await level.put('d', Buffer.from('123456789'));
    });
    const seen: number[] = [];
    const report = await checkStore(dir, { onProgress: (keys) => seen.push(keys) });
    expect(report).toMatchObject({ keys: 4, valueBytes: 2 });
    expect(report.problems).toEqual([
      { code: 'store_corrupt', key: 'b', message: expect.stringContaining('"b"') },
      { code: 'store_corrupt', key: 'd', message: expect.stringContaining('"d"') },
    ]);
    expect(seen.at(-1)).toBe(4);
  });
});

describe('lost batches', () => {
  test('an older LevelDB is seen, and how many batches it lacks', async () => {
    const store = await open();
    await put(store, 'a');
    await store.close();
    await cp(at('leveldb'), join(base, 'old'), { recursive: true });
    const later = await open();
    for (let i = 0; i < 7; i++) await put(later, `b${i}`);
    await later.close();
    await rm(at('leveldb'), { recursive: true });
    await rename(join(base, 'old'), at('leveldb'));
    const rolledBack = error('store_rolled_back', /The last 7 batches are lost/);
    await expect(open()).rejects.toEqual(rolledBack);
    // Opening has changed LevelDB's files; the finding stays.
    await expect(open()).rejects.toEqual(rolledBack);
    expect((await checkStore(dir)).problems).toEqual([
      { code: 'store_rolled_back', message: expect.stringContaining('7 batches') },
    ]);
  });

  test('closing makes what was written without sync count as synced', async () => {
    const store = await open();
    await put(store, 'a');
    await store.close();
    await cp(at('leveldb'), join(base, 'old'), { recursive: true });
    const later = await open();
    await later.write([{ key: 'b', value: Uint8Array.of(1) }], { sync: false });
    await later.close();
    await rm(at('leveldb'), { recursive: true });
    await rename(join(base, 'old'), at('leveldb'));
    await expect(open()).rejects.toEqual(error('store_rolled_back'));
  });

  test('a log cut off anywhere is seen, or nothing was lost', { timeout: 60_000 }, async () => {
    const { keys, original } = await build(3);
    const size = (await stat(at(await walOf()))).size;
    const random = seededRandom(7);
    const lengths = [
      0,
      1,
      6,
      7,
      8,
      size - 1,
      size,
      ...Array.from({ length: 60 }, () => Math.floor(random() * size)),
    ];
    let seen = 0;
    for (const length of lengths) {
      const verdict = await afterDamage(keys, original, (copy, wal) =>
        edit(join(copy, wal), (bytes) => bytes.subarray(0, length)),
      );
      if (length === size) expect(verdict).toBe('unchanged');
      else
        expect(verdict, `cut at ${length} of ${size}`).toBeOneOf([
          'store_rolled_back',
          'store_damaged',
        ]);
      if (verdict !== 'unchanged') seen++;
    }
    expect(seen).toBe(lengths.filter((length) => length < size).length);
  });

  /** Tiny batches, through two changes of the log and nearly up to the third. Returns the log. */
  async function fillLogs(): Promise<string> {
    const store = await open();
    let changes = 0;
    let log = await walOf();
    for (let i = 0; changes < 2 || (await stat(at(log))).size < 13_800_000; i++) {
      await store.write([{ key: 'same', value: Uint8Array.of(i % 256) }], { sync: false });
      if (i % 100 !== 0 || (await walOf()) === log) continue;
      changes++;
      log = await walOf();
    }
    await store.close();
    expect(await walOf()).toBe(log);
    return log;
  }

  test('a manifest cut off anywhere is seen', { timeout: 60_000 }, async () => {
    await fillLogs();
    const manifest = (await filesIn(dir)).find((name) => name.includes('MANIFEST'))!;
    const { size } = await stat(at(manifest));
    const messages: string[] = [];
    for (let length = 0; length < size; length += 10) {
      const copy = join(base, 'copy');
      await cp(dir, copy, { recursive: true });
      await edit(join(copy, manifest), (bytes) => bytes.subarray(0, length));
      const failure = await openLevelStore(copy).catch((reason: unknown) => reason);
      expect(failure, `cut at ${length} of ${size}`).toEqual(error('store_damaged'));
      messages.push((failure as Error).message);
      await rm(copy, { recursive: true });
    }
    // LevelDB itself sees the shortest, and opens the others as an older state.
    expect(messages).toContainEqual(expect.stringMatching(/LevelDB cannot open/));
    expect(messages).toContainEqual(expect.stringMatching(/LevelDB has lost the first batch/));
  });

  test('a hole before the newest batches is seen, and which batches fell into it', async () => {
    const store = await open();
    // Each is padded to 1 KiB: about 31 in each block of 32 KiB, and no change of the log.
    for (let i = 0; i < 1_000; i++) {
      await store.write([{ key: `k/${i}`, value: Uint8Array.of(1) }], { sync: false });
    }
    await store.close();
    await edit(at(await walOf()), (bytes) => bytes.fill(0, 65_536, 65_600));
    await expect(open()).rejects.toEqual(
      error('store_damaged', /batches are missing before batch \d+, the newest: \d+, \d+/),
    );
    await expect(open()).rejects.toEqual(error('store_damaged', /batches are missing/));
  });

  test('a hole at the start of a log as full as can be is seen', { timeout: 60_000 }, async () => {
    const log = await fillLogs();
    await edit(at(log), (bytes) => bytes.fill(0, 0, 7));
    await expect(open()).rejects.toEqual(error('store_damaged', /batches are missing/));
  });

  test('a torn slot of the high-water file costs nothing, two are damage', async () => {
    const store = await open();
    await put(store, 'a');
    await store.close();
    for (const offset of [0, 512]) {
      const whole = await readFile(at('high-water'));
      await edit(at('high-water'), (bytes) => bytes.fill(0xff, offset, offset + 16));
      await (await open()).close();
      await writeFile(at('high-water'), whole);
    }
    await edit(at('high-water'), (bytes) => bytes.fill(0));
    await expect(open()).rejects.toEqual(error('store_damaged', /high-water/));
  });
});

/**
 * A store of a few hundred keys over several sessions, so that it has tables,
 * a full log and a manifest of several records. Returns its keys and contents.
 */
async function build(sessions: number): Promise<{ keys: string[]; original: string }> {
  const random = seededRandom(1);
  const keys = new Set<string>();
  for (let session = 0; session < sessions; session++) {
    const store = await open();
    for (let batch = 0; batch < 6; batch++) {
      const ops: StoreOp[] = [];
      for (let i = 0; i < 20; i++) {
        const key = `key/${String(Math.floor(random() * 400)).padStart(4, '0')}`;
        keys.add(key);
        const value = Uint8Array.from({ length: Math.floor(random() * 120) }, () => random() * 256);
        ops.push(random() < 0.1 ? { key } : { key, value });
      }
      await store.write(ops, { sync: batch % 3 !== 1 });
    }
    await store.close();
  }
  const names = [...keys].sort();
  // Read from a copy: to open a store moves its log into a table.
  const copy = join(base, 'original');
  await cp(dir, copy, { recursive: true });
  const store = await openLevelStore(copy);
  const original = await contents(store, names);
  await store.close();
  return { keys: names, original };
}

/**
 * `unchanged`, the code of the error by which opening or reading shows the
 * damage, or `silent`, which must not be. `checkStore` must say the same.
 */
async function verdictOf(copy: string, keys: readonly string[], original: string): Promise<string> {
  let verdict: string;
  try {
    const store = await openLevelStore(copy);
    try {
      verdict = (await contents(store, keys)) === original ? 'unchanged' : 'silent';
    } finally {
      await store.close();
    }
  } catch (failure) {
    verdict = (failure as { code?: string }).code ?? `untyped: ${failure}`;
  }
  const whole = await checkStore(copy).then(
    ({ problems }) => problems.length === 0,
    () => false,
  );
  expect(whole, `checkStore, after ${verdict}`).toBe(verdict === 'unchanged');
  return verdict;
}

async function afterDamage(
  keys: readonly string[],
  original: string,
  damage: (copy: string, wal: string) => Promise<void>,
): Promise<string> {
  const copy = join(base, 'copy');
  await cp(dir, copy, { recursive: true });
  await damage(copy, await walOf(copy));
  const verdict = await verdictOf(copy, keys, original);
  await rm(copy, { recursive: true });
  return verdict;
}

describe('damage to any file', () => {
  const SEED = Number(process.env.FLIP_SEED ?? Date.now() % 1_000_000);
  const SEEN = ['store_damaged', 'store_rolled_back', 'store_corrupt'];

  test('each file that is deleted or emptied is noticed, or nothing was lost', {
    timeout: 60_000,
  }, async () => {
    const { keys, original } = await build(3);
    const verdicts: Record<string, string> = {};
    for (const file of await filesIn(dir)) {
      const kind = file.replace(/[0-9]+/, 'N');
      const damages = { deleted: rm, emptied: (path: string) => writeFile(path, '') };
      for (const [how, damage] of Object.entries(damages)) {
        const verdict = await afterDamage(keys, original, (copy) => damage(join(copy, file)));
        verdicts[`${kind} ${how}`] = verdict;
        expect([...SEEN, 'unchanged'], `${file} ${how}`).toContain(verdict);
      }
    }
    expect(verdicts).toMatchObject({
      'mark deleted': 'store_damaged',
      'high-water deleted': 'store_damaged',
      'leveldb/CURRENT deleted': 'store_damaged',
      'leveldb/MANIFEST-N deleted': 'store_damaged',
      'leveldb/N.log deleted': 'store_rolled_back',
      'leveldb/N.ldb deleted': 'store_damaged',
      'leveldb/N.ldb emptied': 'store_damaged',
      'leveldb/LOCK deleted': 'unchanged',
      'leveldb/LOG deleted': 'unchanged',
    });
  });

  test(`a flipped byte anywhere is seen, or nothing changed (FLIP_SEED=${SEED})`, {
    timeout: 120_000,
  }, async () => {
    const { keys, original } = await build(3);
    const random = seededRandom(SEED);
    const seenIn: Record<string, number> = {};
    for (const file of await filesIn(dir)) {
      const { size } = await stat(at(file));
      const kind = file.replace(/[0-9]+/, 'N');
      // Every place in turn would take minutes; the ends of a file are where its structure is.
      const places = Array.from({ length: Math.min(size, 60) }, (_, i) =>
        i < 20 ? Math.max(0, size - 1 - Math.floor(random() * 600)) : Math.floor(random() * size),
      );
      for (const place of places) {
        const mask = 1 + Math.floor(random() * 255);
        const damage = (copy: string) =>
          edit(join(copy, file), (bytes) => flip(bytes, place, mask));
        const verdict = await afterDamage(keys, original, damage);
        const where = `${file} at ${place} of ${size} under mask ${mask}`;
        expect([...SEEN, 'store_newer', 'unchanged'], where).toContain(verdict);
        if (verdict !== 'unchanged') seenIn[kind] = (seenIn[kind] ?? 0) + 1;
      }
    }
    // A test that sees nothing would pass as well: the live files must show damage.
    for (const kind of [
      'mark',
      'leveldb/CURRENT',
      'leveldb/MANIFEST-N',
      'leveldb/N.ldb',
      'leveldb/N.log',
    ]) {
      expect(seenIn[kind], kind).toBeGreaterThan(5);
    }
  });

  test('checkStore says where a table is damaged, and LevelDB does not get to read it', async () => {
    await build(3);
    const table = (await filesIn(dir)).find((name) => name.endsWith('.ldb'))!;
    await edit(at(table), (bytes) => flip(bytes, 100, 1));
    const before = await readFile(at('leveldb/LOG'));
    expect((await checkStore(dir)).problems).toEqual([
      {
        code: 'store_damaged',
        message: expect.stringMatching(/\.ldb, bytes 0 to \d+: the block of keys up to/),
      },
    ]);
    await expect(open()).rejects.toEqual(error('store_damaged', /\.ldb, bytes 0 to/));
    expect(await readFile(at('leveldb/LOG'))).toEqual(before);
  });
});
