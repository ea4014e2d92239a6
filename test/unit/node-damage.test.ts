/**
 * Damage to the files of a channel's store: after one flipped byte anywhere,
 * or a lost end of the write-ahead log, either verification says so and where,
 * or nothing that the store holds has changed (the byte was dead).
 */

import { cp, mkdtemp, open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConclaveError } from '../../src/core/errors.js';
import type { UserId } from '../../src/core/ids.js';
import { levelStore, verifyDirectory } from '../../src/node/index.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { allEqual, Cluster, contentOf, patience, together } from './node-cluster.js';

const SEED = Number(process.env.DAMAGE_SEED ?? Date.now() % 1_000_000);
const FLIPS = Number(process.env.DAMAGE_FLIPS ?? 300);

const cluster = new Cluster();
let root: string;
let whole: string;
let user: UserId;
let content: Map<string, string>;

/** A member's store of a few hundred entries, opened several times, so that it has tables and a log. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'conclave-damage-'));
  whole = join(root, 'whole');
  const relay = await cluster.relay();
  const others = [await cluster.node('b'), await cluster.node('c')];
  const own = new Uint8Array(32).fill(7);
  const first = await cluster.levelNode('a', whole, { seed: own });
  user = first.user;
  const channels = await together([first, ...others], [relay.url]);
  const { id } = channels[0]!;
  for (let opened = 0; opened < 3; opened++) {
    const node = opened === 0 ? first : await cluster.levelNode('a', whole, { seed: own });
    channels[0] = node.channel(id);
    for (let i = 0; i < 4; i++) {
      const all = channels.flatMap((channel) =>
        Array.from({ length: 10 }, () => channel.send('x')),
      );
      await Promise.all(all.map((sending) => sending.until('final', patience())));
    }
    await channels[0].members.invite(patience());
    await node.dm(others[0]!.user).send('psst').until('delivered', patience());
    await allEqual(channels);
    await node.close();
  }
  // LevelDB turns its log into a table when it opens: only copies are opened from here on.
  content = await inCopy(contentIn);
});
afterAll(async () => {
  await cluster.stop();
  await rm(root, { recursive: true });
});

async function contentIn(dir: string): Promise<Map<string, string>> {
  const store = await levelStore(dir, { create: false })();
  try {
    return await contentOf(store);
  } finally {
    await store.close();
  }
}

async function filesIn(dir: string): Promise<{ path: string; size: number }[]> {
  const files: { path: string; size: number }[] = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.push({ path: relative(dir, path), size: (await stat(path)).size });
  }
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function inCopy<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = join(root, 'copy');
  await cp(whole, dir, { recursive: true });
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** Changes a copy; what verification says of it, or undefined when it finds it whole. */
function damaged(change: (dir: string) => Promise<void>): Promise<string | undefined> {
  return inCopy(async (dir) => {
    await change(dir);
    const said = await problemsIn(dir);
    if (said === undefined) expect(await contentIn(dir)).toEqual(content);
    return said;
  });
}

async function problemsIn(dir: string): Promise<string | undefined> {
  try {
    const { ok, problems, channels } = await verifyDirectory(dir, { user });
    if (ok) return undefined;
    const all = [...problems, ...channels.flatMap((channel) => channel.problems)];
    expect(all.length).toBeGreaterThan(0);
    for (const { where, what } of all) expect(where.length * what.length).toBeGreaterThan(0);
    return `${all[0]!.where}: ${all[0]!.what}`;
  } catch (error) {
    if (error instanceof ConclaveError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

test('a whole directory verifies', async () => {
  const progress = new Set<string>();
  const onProgress = (what: string): void => void progress.add(what);
  const report = await inCopy((dir) => verifyDirectory(dir, { user, onProgress }));
  expect(report).toMatchObject({ ok: true, problems: [] });
  expect(report.channels).toMatchObject([{ ok: true, entries: 360, final: 360, problems: [] }]);
  expect([...progress]).toEqual(['keys', 'entries']);
  const kinds = new Set([...content.keys()].map((key) => key.split('/')[2]));
  for (const kind of ['log', 'step', 'cert', 'hard', 'final']) expect(kinds).toContain(kind);
});

test(`a flipped byte in any file (DAMAGE_SEED=${SEED})`, { timeout: 300_000 }, async () => {
  const random = seededRandom(SEED);
  const files = await filesIn(whole);
  let seen = 0;
  for (let i = 0; i < FLIPS; i++) {
    // Every file in turn, however small: a byte in each is worth as much.
    const { path, size } = files[i % files.length]!;
    if (size === 0) continue;
    const at = Math.floor(random() * size);
    const mask = 1 + Math.floor(random() * 255);
    const said = await damaged(async (dir) => {
      const file = await open(join(dir, path), 'r+');
      const byte = new Uint8Array(1);
      await file.read(byte, 0, 1, at);
      byte[0]! ^= mask;
      await file.write(byte, 0, 1, at);
      await file.close();
    });
    if (said !== undefined) seen += 1;
  }
  expect(seen).toBeGreaterThan(FLIPS / 4);
});

test(`a lost end of the write-ahead log (DAMAGE_SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const random = seededRandom(SEED + 1);
  const logs = (await filesIn(whole)).filter(({ path, size }) => path.endsWith('.log') && size > 0);
  expect(logs.length).toBeGreaterThan(0);
  for (const { path, size } of logs) {
    const bytes = await readFile(join(whole, path));
    for (let i = 0; i < 20; i++) {
      const length = i === 0 ? 0 : Math.floor(random() * size);
      // What follows is only padding: nothing is lost with it.
      if (bytes.subarray(length).every((byte) => byte === 0)) continue;
      const said = await damaged((dir) => truncate(join(dir, path), length));
      expect(said, `${path} cut to ${length} of ${size}`).toMatch(
        /store_rolled_back|store_damaged/,
      );
    }
    const gone = await damaged((dir) => rm(join(dir, path)));
    expect(gone).toMatch(/store_rolled_back|store_damaged/);
  }
});

test('what is no store, or in use, is an error', async () => {
  await expect(verifyDirectory(join(root, 'nowhere'))).rejects.toMatchObject({
    code: 'store_missing',
  });
  await inCopy(async (dir) => {
    const store = await levelStore(dir)();
    await expect(verifyDirectory(dir)).rejects.toMatchObject({
      code: 'store_locked',
      retryable: true,
    });
    await store.close();
  });
});
