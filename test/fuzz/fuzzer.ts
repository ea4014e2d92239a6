/**
 * The host of the fuzzer: bundles the targets, with a mutant's edits or
 * without, runs them in a worker thread of bounded memory, and watches it. Time
 * only tells whether a case hangs; nothing else depends on it.
 */

import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { bundle } from '../mutants/bundle.js';
import type { Edit } from '../mutants/mutant.js';
import type { Corpus } from './corpus.js';
import type { Outcome, Setup, Task } from './worker.js';

const ENTRY = fileURLToPath(new URL('./worker.ts', import.meta.url));
const PROTOCOL = new URL('../../docs/PROTOCOL.md', import.meta.url);

/** An ordinary case takes less than a millisecond, a slow machine's pause some seconds. */
const HANG_MS = 30_000;
const HEAP_MB_MAX = 768;

export interface TargetInfo {
  readonly name: string;
  readonly what: string;
  readonly share: number;
}

export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly number: number;
  readonly message: string;
  /** Hex; empty where the case never came to an end. */
  readonly input: string;
}

export class Fuzzer {
  readonly #directory = mkdtempSync(join(tmpdir(), 'conclave-fuzz-'));
  readonly #file: string;
  readonly #setup: Setup;
  #worker: Worker | undefined;

  private constructor(
    corpus: Corpus,
    readonly hangMs: number,
  ) {
    this.#file = join(this.#directory, `${randomUUID()}.mjs`);
    const current = new Int32Array(new SharedArrayBuffer(4));
    this.#setup = { corpus, protocol: readFileSync(PROTOCOL, 'utf8'), current };
  }

  static async start(
    corpus: Corpus,
    edits: readonly Edit[] = [],
    name = 'clean',
    hangMs = HANG_MS,
  ): Promise<Fuzzer> {
    const fuzzer = new Fuzzer(corpus, hangMs);
    await bundle(name, edits, fuzzer.#file, ENTRY);
    return fuzzer;
  }

  async targets(): Promise<readonly TargetInfo[]> {
    return (await this.#perform({ do: 'list' })).targets!;
  }

  async run(target: string, seed: number, from: number, count: number) {
    const outcome = await this.#perform({ do: 'run', target, seed, from, count });
    const finding: Finding | undefined = outcome.finding && { target, seed, ...outcome.finding };
    return { cases: outcome.cases, accepted: outcome.accepted, finding };
  }

  async make(target: string, seed: number, number: number): Promise<Uint8Array> {
    return (await this.#perform({ do: 'make', target, seed, from: number })).input!;
  }

  /** What is wrong with what becomes of this input, if anything. */
  async check(target: string, input: Uint8Array): Promise<string | undefined> {
    return (await this.#perform({ do: 'check', target, input })).finding?.message;
  }

  async #perform(task: Task): Promise<Outcome> {
    const limits = { maxOldGenerationSizeMb: HEAP_MB_MAX };
    this.#worker ??= new Worker(this.#file, { workerData: this.#setup, resourceLimits: limits });
    const worker = this.#worker;
    const { current } = this.#setup;
    const died = (message: string): Outcome => {
      this.#worker = undefined;
      void worker.terminate();
      const number = Atomics.load(current, 0);
      const cases = task.do === 'run' ? number - task.from + 1 : 1;
      return { cases, accepted: 0, finding: { number, message, input: '' } };
    };
    return new Promise<Outcome>((resolve) => {
      let last = -1;
      const watch = setInterval(() => {
        const now = Atomics.load(current, 0);
        if (now === last) finish(died(`hangs: no end after ${this.hangMs / 1_000} s`));
        last = now;
      }, this.hangMs);
      const crash = (error: Error): void => finish(died(`crashes: ${error.stack}`));
      const finish = (outcome: Outcome): void => {
        clearInterval(watch);
        worker.off('message', finish);
        worker.off('error', crash);
        resolve(outcome);
      };
      worker.on('message', finish);
      worker.on('error', crash);
      worker.postMessage(task);
    });
  }

  async close(): Promise<void> {
    if (this.#worker) await this.#perform({ do: 'close' });
    await this.#worker?.terminate();
    this.#worker = undefined;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export interface Plan {
  readonly seed: number;
  readonly cases: number;
  /** Stop after the turn in which this is true. */
  readonly isOver?: () => boolean;
  readonly onTurn?: (done: Totals) => void;
}

export interface Totals {
  cases: number;
  readonly byTarget: Map<string, { cases: number; accepted: number; ms: number }>;
  readonly findings: Finding[];
}

/** Cases of a target that are run in one go, at most. */
const TURN_CASES_MAX = 20_000;

/** Runs so many cases over these targets, in proportion to their shares; each target ends with its first finding. */
export async function fuzz(
  fuzzer: Fuzzer,
  targets: readonly TargetInfo[],
  { seed, cases, isOver = () => false, onTurn }: Plan,
): Promise<Totals> {
  const totals: Totals = { cases: 0, byTarget: new Map(), findings: [] };
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const turns = Math.max(1, Math.ceil(cases / (TURN_CASES_MAX * 10)));
  for (let turn = 0; turn < turns && !isOver(); turn++) {
    for (const { name, share } of targets) {
      if (totals.findings.some((f) => f.target === name)) continue;
      const upTo = (t: number): number => Math.ceil((cases * share * t) / (shares * turns));
      const [from, to] = [upTo(turn), upTo(turn + 1)];
      const startedAt = performance.now();
      const { cases: ran, accepted, finding } = await fuzzer.run(name, seed, from, to - from);
      const sum = totals.byTarget.get(name) ?? { cases: 0, accepted: 0, ms: 0 };
      sum.cases += ran;
      sum.accepted += accepted;
      sum.ms += performance.now() - startedAt;
      totals.byTarget.set(name, sum);
      totals.cases += ran;
      if (finding) totals.findings.push(finding);
      onTurn?.(totals);
    }
  }
  return totals;
}
