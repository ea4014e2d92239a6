/**
 * Replays simulator runs by seed: `npx tsx test/sim/replay.ts SEED [COUNT] [--log]`.
 * Prints a line for each run that broke something, with `--log` all that happened.
 */

import { simulate } from '../../src/testing/simulate.js';

const args = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const flags = new Set(process.argv.slice(2).filter((a) => a.startsWith('--')));
const first = Number(args[0] ?? 1);
const count = Number(args[1] ?? 1);
const started = Date.now();
let steps = 0;
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  const r = await simulate({ seed, ...(flags.has('--log') ? { log: console.log } : {}) });
  steps += r.steps;
  if (!r.ok) failed += 1;
  if (!r.ok || count === 1) {
    const { faults, workload, ...plan } = r.plan;
    const what = r.violation
      ? `BROKEN ${r.violation.invariant} at ${r.violation.at.toFixed(0)} ms: ${r.violation.message}`
      : 'ok';
    console.log(
      `seed ${seed} ${JSON.stringify({ ...plan, faults: faults.length, posts: workload.posts.length })} steps ${r.steps} final ${r.final} messages ${r.messages} terms ${r.terms} ${r.virtualMs.toFixed(0)} ms ${r.traceHash.slice(0, 12)} ${what}`,
    );
  }
}
const seconds = (Date.now() - started) / 1000;
console.log(
  `${count} runs, ${failed} broken, ${steps} steps in ${seconds.toFixed(1)} s: ${(count / seconds).toFixed(1)} runs/s, ${Math.round(steps / seconds)} steps/s`,
);
