/**
 * kill -9 at any moment loses no acknowledged batch: a child process writes
 * synced batches as fast as it can and names each one once it was acknowledged;
 * it is killed at random moments, and the store must open and hold every batch
 * that was named, whole, and at most the one more that was under way.
 *
 * It does not test syncing, since the page cache outlives a process: that is
 * what the fault-injecting store is for (src/testing/fault-store.ts).
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStore } from '../../src/node/check-store.js';
import { openLevelStore } from '../../src/node/level-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { assertBatches, lastBatch } from './fixtures/store-batches.js';

const ROUNDS = 10;
const ROUND_BATCHES_MAX = 400;
const KILL_DELAY_MS_MAX = 5;
const SEED = Number(process.env.KILL9_SEED ?? Date.now() % 1_000_000);

let dir: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'conclave-kill9-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(dir, { recursive: true });
});

/** Lets a child write, kills it, and returns the last batch that it named. */
async function writeUntilKilled(batches: number, delayMs: number): Promise<number> {
  const script = join(import.meta.dirname, 'fixtures/store-child.ts');
  const writer = spawn(process.execPath, ['--import', 'tsx', script, 'write', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = writer;
  const closed = once(writer, 'close');
  let acknowledged = 0;
  let seen = 0;
  for await (const line of createInterface({ input: writer.stdout })) {
    if (!/^[0-9]+$/.test(line)) throw new Error(`the writer failed: ${line}`);
    acknowledged = Number(line);
    // A delay of under a sync's length moves the kill within the batch that is under way.
    if (++seen === batches) setTimeout(() => writer.kill('SIGKILL'), delayMs);
  }
  await closed;
  expect(writer.signalCode).toBe('SIGKILL');
  return acknowledged;
}

test(`kill -9 loses no acknowledged batch (KILL9_SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const random = seededRandom(SEED);
  let total = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const batches = 1 + Math.floor(random() * ROUND_BATCHES_MAX);
    const acknowledged = await writeUntilKilled(batches, random() * KILL_DELAY_MS_MAX);
    const store = await openLevelStore(dir);
    total = await lastBatch(store);
    expect(total - acknowledged, `round ${round}: batches beyond the last named`).toBeOneOf([0, 1]);
    await assertBatches(store, total);
    await store.close();
  }
  expect(total).toBeGreaterThan(ROUNDS);
  expect((await checkStore(dir)).problems).toEqual([]);
});
