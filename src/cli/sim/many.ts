/** Many seeds: progress, the failures, and a last line that counts. */

import type { SimulateResult } from '../../testing/index.js';
import { type CommonOptions, runSeeds, seedRange } from '../../testing/runs.js';
import type { Cli } from '../cli.js';
import { aborted, EXIT, exitCode, interruptionOf } from '../errors.js';
import type { Json } from '../output.js';
import type { SimCommandOptions } from '../sim.js';
import { failureJson, failureText, replayCommand, reportFailure } from './failure.js';
import { verdictJson, verdictText } from './report.js';

/** Seeds from `first` on: up to `last`, or for so long. */
export interface Seeds {
  readonly first: number;
  readonly last?: number;
  readonly minutes?: number;
}

interface Sum {
  readonly first: number;
  seeds: number;
  failed: number;
  /** Ended early, beyond what is promised: how many, and the first of them. */
  beyond: number;
  readonly early: { readonly seed: number; readonly why: string }[];
  steps: number;
  virtualMs: number;
  readonly marks: Set<string>;
}

export async function runMany(
  cli: Cli,
  { first, last = Number.MAX_SAFE_INTEGER, minutes }: Seeds,
  options: CommonOptions,
  { jobs = 1, keepGoing = false, shrink = true, save }: SimCommandOptions,
): Promise<void> {
  const { out, signal, host } = cli;
  const sum = emptySum(first);
  const failures: SimulateResult[] = [];
  const started = host.now();
  const isTimeLeft = (): boolean =>
    minutes === undefined || host.now() < started + minutes * 60_000;
  const total = minutes === undefined ? last - first + 1 : undefined;
  const onResult = (result: SimulateResult): boolean => {
    add(sum, result);
    if (!result.ok) failures.push(result);
    const what = `seeds from ${first} (${sum.failed} failed)`;
    out.progress({ what, done: sum.seeds, ...(total !== undefined && { total }) });
    return (result.ok || keepGoing) && isTimeLeft();
  };
  await runSeeds({ seeds: seedRange(first, last), options, jobs, signal, onResult });
  const seconds = (host.now() - started) / 1_000;
  failures.sort((a, b) => a.seed - b.seed);
  for (const [i, result] of failures.entries()) {
    const failing = { ...options, seed: result.seed };
    const failed = {
      ...{
        options: failing,
        result,
        replay: replayCommand(`--seed ${result.seed}`, options),
        save,
      },
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

/** Of the seeds that ended early so many are named. */
const EARLY_NAMED_MAX = 100;
const EARLY_SHOWN_MAX = 10;

export const emptySum = (first: number): Sum => ({
  ...{ first, seeds: 0, failed: 0, beyond: 0, early: [], steps: 0, virtualMs: 0 },
  marks: new Set(),
});

export function add(sum: Sum, { seed, ok, beyond, steps, virtualMs, marks }: SimulateResult): void {
  sum.seeds += 1;
  if (!ok) sum.failed += 1;
  if (beyond !== undefined) {
    sum.beyond += 1;
    if (sum.early.length < EARLY_NAMED_MAX) sum.early.push({ seed, why: beyond });
  }
  sum.steps += steps;
  sum.virtualMs += virtualMs;
  for (const mark of marks) sum.marks.add(mark);
}

const inOrder = ({ early }: Sum) => early.toSorted((a, b) => a.seed - b.seed);

export function sumJson(sum: Sum, seconds: number, interrupted: boolean): Json {
  return {
    first: sum.first,
    seeds: sum.seeds,
    failed: sum.failed,
    beyond: sum.beyond,
    ...(sum.early.length > 0 && { early: inOrder(sum) }),
    steps: sum.steps,
    seconds: Number(seconds.toFixed(1)),
    marks: [...sum.marks].sort(),
    ...(interrupted && { interrupted }),
  };
}

export function sumText(sum: Sum, seconds: number, total: number | undefined): string {
  const { first, seeds, failed, beyond, steps, virtualMs, marks } = sum;
  const part = total !== undefined && seeds < total ? ` of ${total.toLocaleString('en')}` : '';
  const runs = `${seeds.toLocaleString('en')}${part} seeds from ${first}, ${failed} failed, ${beyond} ended early`;
  const speed = `${steps.toLocaleString('en')} steps in ${seconds.toFixed(1)} s, ${Math.round(virtualMs / 1_000 / Math.max(seconds, 0.001))} times real time`;
  const named = inOrder(sum).slice(0, EARLY_SHOWN_MAX);
  const more = beyond > named.length ? `\n  … and ${beyond - named.length} more` : '';
  const early = named.map(({ seed, why }) => `\n  seed ${seed} ended early: ${why}`).join('');
  return `${runs}; ${speed}${early}${more}\nreached: ${[...marks].sort().join(', ') || 'no marks'}`;
}
