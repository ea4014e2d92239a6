/** What a bare LevelDB costs here: synced batches of 100 values, and synced writes one by one. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { percentile } from './processes.js';

const BYTES = 256;
const BATCH = 100;
const SEQUENTIAL = 300;

export interface Bare {
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50: number;
}

export async function bareLevel(count: number): Promise<Bare> {
  const dir = mkdtempSync(join(tmpdir(), 'conclave-bench-'));
  const db = new ClassicLevel<string, Uint8Array>(dir, { valueEncoding: 'view' });
  await db.open();
  const value = new Uint8Array(BYTES).fill(120);
  let key = 0;
  const started = performance.now();
  for (let i = 0; i < count / BATCH; i++) {
    const batch = db.batch();
    for (let j = 0; j < BATCH; j++) batch.put(String(key++).padStart(12, '0'), value);
    await batch.write({ sync: true });
  }
  const seconds = (performance.now() - started) / 1000;
  const samples: number[] = [];
  for (let i = 0; i < SEQUENTIAL; i++) {
    const before = performance.now();
    await db.put(String(key++).padStart(12, '0'), value, { sync: true });
    samples.push(performance.now() - before);
  }
  await db.close();
  rmSync(dir, { recursive: true });
  return { seconds, perSecond: count / seconds, p50: percentile(samples, 50) };
}
