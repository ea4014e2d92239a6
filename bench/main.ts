/** `npm run bench [-- NAME]`: the project's own figures, as ratios against something run beside them (README.md). */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS } from '../src/testing/runs.js';
import { benchCatchUp } from './catch-up.js';
import { benchCommit } from './commit.js';
import { benchMerge } from './merge.js';
import { benchRelayAttack, P99_RATIO_MAX } from './relay-attack.js';

const BENCHES: { readonly [name: string]: string } = {
  commit: 'committed records a second, and one send after the other, 3 and 5 nodes',
  merge: 'six nodes cut 3 | 3, so many records on each side (merge RECORDS; 10,000)',
  'catch-up': 'a newcomer at 100,000 entries',
  relay: "the relay's deliveries a second to 10 and 100 receivers",
  'relay-attack': 'p99 of a good channel beside 2,000 idle and 200 hostile connections',
  memory: "a node's memory and start time with 100,000 entries",
  sim: 'the simulator: core steps a second, virtual against real time, what a seed costs',
};
const USAGE = `Usage: npm run bench [-- NAME]

Measures one of these, or all of them (some minutes):

${Object.entries(BENCHES)
  .map(([name, what]) => `  ${name.padEnd(12)} ${what}`)
  .join('\n')}`;

const only = process.argv[2];
if (only === '--help' || only === '-h') {
  console.log(USAGE);
  process.exit(0);
}
const records = Number(process.argv[3] ?? 10_000);
if ((only !== undefined && !Object.hasOwn(BENCHES, only)) || !(records >= 1)) {
  console.error(`there is no benchmark "${process.argv.slice(2).join(' ')}"\n\n${USAGE}`);
  process.exit(2);
}
const wanted = (name: string): boolean => only === undefined || only === name;

function runAlone(file: string, flags: readonly string[] = []): void {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const args = [...flags, '--import', 'tsx', path];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
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
if (wanted('merge')) {
  const r = await benchMerge(records);
  console.log(
    `merge, six nodes cut 3 | 3, ${r.records} records: equal heads ${r.equal.toFixed(2)} s after the heal ` +
      `(roster leader at ${r.led.toFixed(2)} s, one node holds both sides at ${r.oneHolds.toFixed(2)} s, ` +
      `all do at ${r.allHold.toFixed(2)} s, first merged records final at ${r.merging.toFixed(2)} s); ` +
      `a node used ${r.cpuMost.toFixed(2)} s of a core at most, all six ${r.cpuSum.toFixed(1)} s, both relays ${r.cpuRelays.toFixed(1)} s; ` +
      `${r.fresh.count} new messages meanwhile were committed after ${r.fresh.median.toFixed(0)} ms (median), ${r.fresh.most.toFixed(0)} ms at most; ` +
      `${(r.equal / r.plainSeconds).toFixed(2)} × sending as many without a partition; ` +
      `largest process ${r.rssMiB.toFixed(0)} MiB`,
  );
}
if (wanted('catch-up')) {
  const r = await benchCatchUp(100_000);
  console.log(
    `catch-up of a newcomer, ${r.entries} entries: ${r.seconds.toFixed(2)} s, ` +
      `${r.ofBare.toFixed(1)} × writing as many to a bare LevelDB; ` +
      `the newcomer used ${r.cpu.toFixed(2)} s of a core, the members ${r.cpuMembers.toFixed(2)} s, the relay ${r.cpuRelay.toFixed(2)} s; ` +
      `${r.rssMiB.toFixed(0)} MiB`,
  );
}
if (wanted('relay')) runAlone('./relay-fanout.ts');
if (wanted('relay-attack')) {
  const r = await benchRelayAttack();
  const ms = ({ p50, p99 }: { p50: number; p99: number }): string =>
    `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms`;
  console.log(
    `relay-attack, send to committed: alone ${ms(r.alone)}; beside 2,000 idle ${ms(r.idle)}; ` +
      `and 200 hostile ${ms(r.hostile)}: p99 ${r.ratio.toFixed(2)} × alone (bound ${P99_RATIO_MAX}), ` +
      `${r.ok ? 'within' : 'OVER'} the bound; tried ${r.tried.connections} connections, ` +
      `${r.tried.handshakes} false handshakes, ${r.tried.frames} frames; ` +
      `the relay: ${r.kibPerIdle.toFixed(1)} KiB for an idle connection, ${r.rssMiB.toFixed(0)} MiB at most`,
  );
  if (!r.ok) process.exitCode = 1;
}
if (wanted('memory')) runAlone('./memory.ts');
if (wanted('sim')) runAlone('./sim.ts', NODE_FLAGS);
