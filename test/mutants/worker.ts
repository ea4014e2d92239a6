/** Runs seeds in a worker thread; bundled with a mutant's edits, or without. */

import { parentPort } from 'node:worker_threads';
import { simulate } from '../../src/testing/simulate.js';
import { runPrivate } from '../sim/private-run.js';
import type { RunKind, RunOptions } from './mutant.js';

export interface Task {
  readonly seed: number;
  readonly run: RunKind;
  readonly options: RunOptions;
}

/** What a run reported first, if it reported anything. */
export interface Outcome {
  readonly invariant?: string | undefined;
  readonly message?: string | undefined;
  /** What it costs to run. */
  readonly steps: number;
}

async function runChannel(seed: number, options: RunOptions): Promise<Outcome> {
  const { violation, steps } = await simulate({ ...options, seed });
  return { invariant: violation?.invariant, message: violation?.message, steps };
}

/** Invariant 18: the same seed, the same trace. */
async function runTwice(seed: number, options: RunOptions): Promise<Outcome> {
  const first = await simulate({ ...options, seed });
  const second = await simulate({ ...options, seed });
  const steps = first.steps + second.steps;
  if (first.traceHash === second.traceHash) return { steps };
  const message = `seed ${seed} gave the traces ${first.traceHash} and ${second.traceHash}`;
  return { invariant: '18 same trace', message, steps };
}

async function runMessages(seed: number): Promise<Outcome> {
  return { ...(await runPrivate(seed)).violation, steps: 0 };
}

const RUNS: Record<RunKind, (seed: number, options: RunOptions) => Promise<Outcome>> = {
  channel: runChannel,
  twice: runTwice,
  private: runMessages,
};

parentPort!.on('message', ({ seed, run, options }: Task) => {
  RUNS[run](seed, options).then((outcome) => parentPort!.postMessage(outcome));
});
