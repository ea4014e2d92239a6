/**
 * Many seeds, one after the other or in several processes (docs/simulation.md,
 * "Many seeds"). Results come as they are ready; with several processes in
 * no particular order. An abort gives up the runs under way.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { on, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type SimulateOptions, type SimulateResult, simulate } from './simulate.js';

/** What all runs have in common; plain data, so that it can go to a process. */
export type CommonOptions = Omit<
  SimulateOptions,
  'seed' | 'log' | 'observe' | 'signal' | 'onProgress'
>;

export interface RunsOptions {
  /** From `first` on, as long as `seeds.next()` gives any. */
  readonly seeds: Iterable<number>;
  readonly options: CommonOptions;
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Returns false when no more runs shall begin; those under way are still reported. */
  readonly onResult: (result: SimulateResult) => boolean;
}

/** The seeds from `first` to `last`. */
export function* seedRange(first: number, last: number): Generator<number> {
  for (let seed = first; seed <= last; seed++) yield seed;
}

export async function runSeeds(o: RunsOptions): Promise<void> {
  const seeds = o.seeds[Symbol.iterator]();
  let isOver = false;
  const next = (): number | undefined => {
    if (isOver || o.signal.aborted) return undefined;
    const { done, value } = seeds.next();
    return done ? undefined : value;
  };
  const report = (result: SimulateResult): void => {
    if (!o.onResult(result)) isOver = true;
  };
  if (o.jobs <= 1) return runHere(o, next, report);
  const workers = Array.from({ length: o.jobs }, startWorker);
  try {
    await Promise.all(workers.map((worker) => feed(worker, o, next, report)));
  } finally {
    await Promise.all(workers.map(end));
  }
}

type Next = () => number | undefined;
type Report = (result: SimulateResult) => void;

async function runHere({ options, signal }: RunsOptions, next: Next, report: Report) {
  try {
    for (let seed = next(); seed !== undefined; seed = next()) {
      report(await simulate({ ...options, seed, signal }));
      await setImmediate();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/**
 * A run makes a lot of what is soon garbage. With room for it, most is dead
 * when the collector looks; and what it compiled for closures of one run is
 * still there for the next.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=64'];

/** The worker's module has the ending of this one: .ts from the sources, .js in the package. */
function startWorker(): ChildProcess {
  const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const module = fileURLToPath(new URL(`./run-worker${ending}`, import.meta.url));
  return fork(module, {
    execArgv: [...process.execArgv, ...NODE_FLAGS],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

async function end(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
}

async function feed(worker: ChildProcess, o: RunsOptions, next: Next, report: Report) {
  const over = new AbortController();
  worker.once('exit', () => over.abort(new Error('a process of the simulator died')));
  const signal = AbortSignal.any([o.signal, over.signal]);
  const answers = on(worker, 'message', { signal });
  try {
    for (let seed = next(); seed !== undefined; seed = next()) {
      worker.send({ ...o.options, seed } satisfies SimulateOptions);
      const { value } = await answers.next();
      report((value as [SimulateResult])[0]);
    }
  } catch (error) {
    if (!o.signal.aborted) throw over.signal.reason ?? error;
  }
}
