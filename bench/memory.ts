/**
 * What 100,000 messages in a channel cost a node: resident memory while they
 * are imported and after a fresh start, and how long the start takes. Each node
 * is a process of its own, run from dist/ as a user runs it. Beside them, what
 * a Node process costs that does nothing.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ENTRIES = 100_000;
const STARTS = 5;
/** The bounds. */
const RSS_MIB_MAX = 250;
const START_MS_MAX = 2_000;

interface Measured {
  readonly entries: number;
  /** From the start of the process until the node was open. */
  readonly ready_ms: number;
  readonly seconds: number;
  readonly rss_mib: number;
  readonly rss_most_mib: number;
}

const pathTo = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

function run(args: readonly string[]): string {
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`a process exited with ${status}`);
  return stdout;
}

const measure = (...args: string[]): Measured =>
  JSON.parse(run([pathTo('./memory-node.mjs'), ...args]));

const BARE =
  'console.log(JSON.stringify([performance.now(), process.memoryUsage.rss() / 1_048_576]))';

export interface MemoryRow {
  readonly fill: Measured;
  /** The median of the starts. */
  readonly start: Measured;
  readonly bare: { readonly ready_ms: number; readonly rss_mib: number };
  readonly ok: boolean;
}

export function benchMemory(entries = ENTRIES): MemoryRow {
  if (!existsSync(pathTo('../dist/node/index.js'))) {
    throw new Error('there is no dist/: run "npm run build" first');
  }
  const dir = mkdtempSync(join(tmpdir(), 'conclave-bench-'));
  try {
    const fill = measure('fill', join(dir, 'store'), String(entries));
    const starts = Array.from({ length: STARTS }, () => measure('start', join(dir, 'store')));
    starts.sort((a, b) => a.ready_ms - b.ready_ms);
    const start = starts[Math.floor(STARTS / 2)]!;
    const [ready_ms, rss_mib] = JSON.parse(run(['--input-type=module', '-e', BARE]));
    const most = Math.max(fill.rss_most_mib, ...starts.map((s) => s.rss_most_mib));
    const ok = most < RSS_MIB_MAX && start.ready_ms < START_MS_MAX;
    return { fill, start, bare: { ready_ms, rss_mib }, ok };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function print({ fill, start, bare, ok }: MemoryRow): void {
  const mib = (value: number): string => `${value.toFixed(0)} MiB`;
  console.log(
    `memory, ${fill.entries} messages imported in ${fill.seconds.toFixed(1)} s: ` +
      `resident ${mib(fill.rss_mib)}, at most ${mib(fill.rss_most_mib)} (bound ${RSS_MIB_MAX})`,
  );
  console.log(
    `memory, started again: open after ${start.ready_ms.toFixed(0)} ms (bound ${START_MS_MAX}), ` +
      `${(start.ready_ms / bare.ready_ms).toFixed(1)} × a bare Node process; ` +
      `resident ${mib(start.rss_mib)}, bare ${mib(bare.rss_mib)}; ${ok ? 'within' : 'OVER'} the bounds`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const row = benchMemory();
  print(row);
  if (!row.ok) process.exitCode = 1;
}
