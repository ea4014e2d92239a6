/**
 * Hunts a mutant: runs it on one seed after the other, each in a worker
 * thread, until the invariant that it was made for reports it and the clean
 * core passes the same seed. A crash, a hang, or another invariant's report
 * does not count.
 */

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { bundle } from './bundle.js';
import { type Edit, isReportOf, type Mutant } from './mutant.js';
import type { Outcome, Task } from './worker.js';

/** A run that says nothing for so long hangs; an ordinary one takes a fraction of a second. */
const HANG_MS = 120_000;
const HEAP_MB_MAX = 1_024;
/** Three times the semi-space of the simulator's own processes (src/testing/runs.ts). */
const YOUNG_MB_MAX = 192;

export interface Hunted {
  readonly mutant: Mutant;
  readonly caught: boolean;
  /** Seeds tried until one caught it. */
  readonly seeds: number;
  /** One that caught it: the first, or a cheaper one soon after it. */
  readonly seed?: number;
  readonly message?: string;
  /** What it took, bundling included. */
  readonly ms: number;
  /** What else its runs reported, and how often. */
  readonly others: ReadonlyMap<string, number>;
  /** Seeds on which the clean core broke something: a defect of the product or of the simulator. */
  readonly unclean: ReadonlyMap<number, string>;
}

/** Runs tasks in one worker thread, which is started anew when one kills or hangs it. */
class Lane {
  readonly #file: string;
  #worker: Worker | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  async run(task: Task): Promise<Outcome> {
    this.#worker ??= new Worker(this.#file, {
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_MB_MAX,
        maxYoungGenerationSizeMb: YOUNG_MB_MAX,
      },
    });
    const worker = this.#worker;
    const outcome = await new Promise<Outcome>((resolve) => {
      const finish = (result: Outcome): void => {
        clearTimeout(timer);
        worker.off('message', finish);
        worker.off('error', died);
        resolve(result);
      };
      const died = ({ message }: Error): void =>
        finish({ invariant: 'a crash', message, steps: 0 });
      const timer = setTimeout(() => finish({ invariant: 'a hang', steps: 0 }), HANG_MS);
      worker.on('message', finish);
      worker.on('error', died);
      worker.postMessage(task);
    });
    if (outcome.invariant === 'a hang' || outcome.invariant === 'a crash') await this.close();
    return outcome;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

/** Where bundles are kept until `remove`. */
export function makeDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'conclave-mutants-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Tries mutants one after the other; holds the threads that outlive one of them. */
export class Hunter {
  readonly #directory: string;
  /** The core as it is, warm from one mutant to the next. */
  #clean: Promise<Lane> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async close(): Promise<void> {
    const clean = this.#clean;
    this.#clean = undefined;
    await (await clean)?.close();
  }

  async #lane(name: string, edits: readonly Edit[]): Promise<Lane> {
    // Several hunters share a directory.
    const file = join(this.#directory, `${name}-${randomUUID()}.mjs`);
    await bundle(name, edits, file);
    return new Lane(file);
  }

  /**
   * Tries the seeds in order, until one catches the mutant. Then `more` others
   * may catch it too, and the cheapest to run again is the one that is named.
   */
  async hunt(mutant: Mutant, seeds: readonly number[], more = 0): Promise<Hunted> {
    const startedAt = performance.now();
    const { name, edits, tuning } = mutant;
    const sabotaged = await this.#lane(name, [...(tuning ?? []), ...edits]);
    this.#clean ??= this.#lane('clean', []);
    const clean = tuning ? await this.#lane(`${name}-clean`, tuning) : await this.#clean;
    try {
      const found = await search(mutant, seeds, more, sabotaged, clean);
      return { ...found, mutant, ms: performance.now() - startedAt };
    } finally {
      await sabotaged.close();
      if (tuning) await clean.close();
    }
  }
}

async function search(
  mutant: Mutant,
  seeds: readonly number[],
  more: number,
  sabotaged: Lane,
  clean: Lane,
): Promise<Omit<Hunted, 'mutant' | 'ms'>> {
  const { run = 'channel', options = {} } = mutant;
  const others = new Map<string, number>();
  const unclean = new Map<number, string>();
  let needed = 0;
  let best: { seed: number; message: string; steps: number } | undefined;
  for (const [i, seed] of seeds.entries()) {
    if (best && i >= needed + more) break;
    const task = { seed, run, options: typeof options === 'function' ? options(seed) : options };
    const { invariant, message = '', steps } = await sabotaged.run(task);
    if (invariant === undefined) continue;
    if (!isReportOf(mutant.invariant, invariant)) {
      others.set(invariant, (others.get(invariant) ?? 0) + 1);
      continue;
    }
    const control = await clean.run(task);
    if (control.invariant !== undefined) {
      unclean.set(seed, `${control.invariant}: ${control.message}`);
      continue;
    }
    if (!best) needed = i + 1;
    const cost = steps + control.steps;
    if (!best || cost < best.steps) {
      best = { seed, message: `${invariant}: ${message}`, steps: cost };
    }
  }
  if (!best) return { caught: false, seeds: seeds.length, others, unclean };
  const { seed, message } = best;
  return { caught: true, seeds: needed, seed, message, others, unclean };
}
