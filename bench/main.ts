/** `npm run bench [commit|relay|memory|sim]`: the project's own figures, as ratios against something run beside them. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchCommit } from './commit.js';

const only = process.argv[2];
const wanted = (name: string): boolean => only === undefined || only === name;

function runAlone(file: string): void {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', path], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}

if (wanted('commit')) {
  for (const nodes of [3, 5]) {
    const r = await benchCommit(nodes);
    console.log(
      `commit, ${nodes} nodes: ${r.perSecond.toFixed(0)} records/s committed, ` +
        `${r.ofBare.toFixed(3)} × bare LevelDB in synced batches of 100; ` +
        `one send after the other p50 ${r.p50.toFixed(2)} ms, p99 ${r.p99.toFixed(2)} ms, ` +
        `p50 ${r.p50OfBare.toFixed(1)} × one bare synced write`,
    );
  }
}
if (wanted('relay')) runAlone('./relay-fanout.ts');
if (wanted('memory')) runAlone('./memory.ts');
if (wanted('sim')) runAlone('./sim.ts');
