/** Many seeds: progress, the failures, and a last line that counts. */

import type { SimulateResult } from '../../testing/index.js';
import { type CommonOptions, runSeeds, seedRange } from '../../testing/runs.js';
import type { Cli } from '../cli.js';
import { aborted, EXIT, exitCode, interruptionOf } from '../errors.js';
import type { Json } from '../output.js';
import type { SimCommandOptions } from '../sim.js';
import { failureJson, failureText, replayCommand, reportFailure } from './failure.js';
import { verdictJson, verdictText } from './report.js';

interface Sum {
  seeds: number;
  failed: number;
  steps: number;
  virtualMs: number;
  readonly marks: Set<string>;
}

export async function runMany(
  cli: Cli,
  { first, last }: { readonly first: number; readonly last: number },
  options: CommonOptions,
  { jobs, keepGoing = false, shrink = true, save }: SimCommandOptions,
): Promise<void> {
  const { out, signal, host } = cli;
  const sum: Sum = { seeds: 0, failed: 0, steps: 0, virtualMs: 0, marks: new Set() };
  const failures: SimulateResult[] = [];
  const total = last - first + 1;
  const started = host.now();
  const onResult = (result: SimulateResult): boolean => {
    add(sum, result);
    if (!result.ok) failures.push(result);
    out.progress({ what: `seeds (${sum.failed} failed)`, done: sum.seeds, total });
    return result.ok || keepGoing;
  };
  await runSeeds({ seeds: seedRange(first, last), options, jobs, signal, onResult });
  const seconds = (host.now() - started) / 1_000;
  failures.sort((a, b) => a.seed - b.seed);
  for (const [i, result] of failures.entries()) {
    const failing = { ...options, seed: result.seed };
    const failed = {
      ...{ options: failing, result, replay: replayCommand(failing), save },
      shrink: shrink && i === 0,
    };
    const failure = await reportFailure(cli, failed);
    await out.result(
      { ...verdictJson(result), ...failureJson(failure) },
      `${verdictText(result, out.paint)}\n${failureText(failure, out.paint)}\n`,
    );
  }
  await out.result(sumJson(sum, seconds, signal.aborted), sumText(sum, seconds, total));
  const interruption = interruptionOf(host.signal);
  if (sum.failed > 0) cli.exitCode = EXIT.failed;
  else if (interruption) cli.exitCode = exitCode(aborted(host.signal), interruption);
}

function add(sum: Sum, { ok, steps, virtualMs, marks }: SimulateResult): void {
  sum.seeds += 1;
  if (!ok) sum.failed += 1;
  sum.steps += steps;
  sum.virtualMs += virtualMs;
  for (const mark of marks) sum.marks.add(mark);
}

function sumJson(sum: Sum, seconds: number, interrupted: boolean): Json {
  return {
    seeds: sum.seeds,
    failed: sum.failed,
    steps: sum.steps,
    seconds: Number(seconds.toFixed(1)),
    marks: [...sum.marks].sort(),
    ...(interrupted && { interrupted }),
  };
}

function sumText({ seeds, failed, steps, virtualMs, marks }: Sum, seconds: number, total: number) {
  const part = seeds < total ? ` of ${total.toLocaleString('en')}` : '';
  const runs = `${seeds.toLocaleString('en')}${part} seeds, ${failed} failed`;
  const speed = `${steps.toLocaleString('en')} steps in ${seconds.toFixed(1)} s, ${Math.round(virtualMs / 1_000 / Math.max(seconds, 0.001))} times real time`;
  return `${runs}; ${speed}\nreached: ${[...marks].sort().join(', ') || 'no marks'}`;
}
