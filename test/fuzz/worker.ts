/** Runs cases in a worker thread; bundled with a mutant's edits, or without. */

import { parentPort, workerData } from 'node:worker_threads';
import type { Corpus } from './corpus.js';
import { caseDice } from './dice.js';
import { documentedSchemas } from './documented-schema.js';
import type { Target } from './target.js';
import { closeControl } from './targets/control.js';
import { targetsFor } from './targets/index.js';

export interface Setup {
  readonly corpus: Corpus;
  /** The text of docs/PROTOCOL.md. */
  readonly protocol: string;
  /** The number of the case that runs, for whoever watches. */
  readonly current: Int32Array;
}

export type Task =
  | {
      readonly do: 'run';
      readonly target: string;
      readonly seed: number;
      readonly from: number;
      readonly count: number;
    }
  /** Makes one case, and does not run it. */
  | { readonly do: 'make'; readonly target: string; readonly seed: number; readonly from: number }
  | { readonly do: 'check'; readonly target: string; readonly input: Uint8Array }
  | { readonly do: 'list' }
  | { readonly do: 'close' };

export interface Outcome {
  readonly cases: number;
  readonly accepted: number;
  readonly finding?: { readonly number: number; readonly message: string; readonly input: string };
  readonly input?: Uint8Array;
  readonly targets?: readonly Pick<Target, 'name' | 'what' | 'share'>[];
}

const { corpus, protocol, current } = workerData as Setup;
const targets = targetsFor(documentedSchemas(protocol));
const targetOf = (name: string): Target => targets.find((t) => t.name === name)!;

const STACK_LINES = 12;

const messageOf = (error: unknown): string =>
  error instanceof Error
    ? `${error.message}${error.cause instanceof Error ? `\n${error.cause.stack}` : ''}`
    : `${error}`;

async function runCases(name: string, seed: number, from: number, count: number): Promise<Outcome> {
  const target = targetOf(name);
  const seen = corpus[name] ?? [];
  let accepted = 0;
  // Most cases end in an error, whose stack costs more than the case; a finding is run again with one.
  Error.stackTraceLimit = 0;
  for (let i = 0; i < count; i++) {
    const number = from + i;
    Atomics.store(current, 0, number);
    let input = new Uint8Array(0);
    try {
      input = new Uint8Array(target.make(caseDice(seed, name, number), seen));
      const result = target.check(input);
      if (typeof result === 'boolean' ? result : await result) accepted += 1;
    } catch (error) {
      const again = await checkOne(name, input);
      const hex = Buffer.from(input).toString('hex');
      const finding = again.finding ?? { message: messageOf(error), input: hex };
      return { cases: i + 1, accepted, finding: { ...finding, number } };
    }
  }
  return { cases: count, accepted };
}

async function checkOne(name: string, input: Uint8Array): Promise<Outcome> {
  Error.stackTraceLimit = STACK_LINES;
  try {
    return { cases: 1, accepted: (await targetOf(name).check(input)) ? 1 : 0 };
  } catch (error) {
    const hex = Buffer.from(input).toString('hex');
    return { cases: 1, accepted: 0, finding: { number: 0, message: messageOf(error), input: hex } };
  }
}

async function perform(task: Task): Promise<Outcome> {
  switch (task.do) {
    case 'run':
      return runCases(task.target, task.seed, task.from, task.count);
    case 'make': {
      const seen = corpus[task.target] ?? [];
      const dice = caseDice(task.seed, task.target, task.from);
      return { cases: 0, accepted: 0, input: targetOf(task.target).make(dice, seen) };
    }
    case 'check':
      return checkOne(task.target, task.input);
    case 'list':
      return {
        ...{ cases: 0, accepted: 0 },
        targets: targets.map(({ name, what, share }) => ({ name, what, share })),
      };
    case 'close':
      await closeControl();
      return { cases: 0, accepted: 0 };
  }
}

parentPort!.on('message', async (task: Task) => parentPort!.postMessage(await perform(task)));
