/**
 * Hunts a mutant: runs it on one seed after the other, each in a worker
 * thread, until the invariant that it was made for reports it and the clean
 * core passes the same seed. A crash, a hang, or another invariant's report
 * does not count.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { bundle } from './bundle.js';
import { isReportOf, type Mutant } from './mutant.js';
import type { Outcome, Task } from './worker.js';

/** A run that says nothing for so long hangs; an ordinary one takes a fraction of a second. */
const HANG_MS = 120_000;
const HEAP_MB_MAX = 1_024;
/** Three times the semi-space of the simulator's own processes (src/testing/runs.ts). */
const YOUNG_MB_MAX = 192;

export interface Hunted {
  readonly mutant: Mutant;
  readonly caught: boolean;
  /** Seeds tried. */
  readonly seeds: number;
  /** The one that caught it. */
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
      const died = ({ message }: Error): void => finish({ invariant: 'a crash', message });
      const timer = setTimeout(() => finish({ invariant: 'a hang' }), HANG_MS);
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

const cleanBundles = new Map<string, Promise<string>>();

/** One for all mutants that run the core as it is. */
function cleanBundle({ name, tuning }: Mutant, directory: string): Promise<string> {
  const file = join(directory, tuning ? `${name}-clean.mjs` : 'clean.mjs');
  const known = cleanBundles.get(file) ?? bundle(name, tuning ?? [], file).then(() => file);
  cleanBundles.set(file, known);
  return known;
}

/** Tries the seeds in order. */
export async function hunt(
  mutant: Mutant,
  seeds: readonly number[],
  directory: string,
): Promise<Hunted> {
  const startedAt = performance.now();
  const ms = (): number => performance.now() - startedAt;
  const { name, edits, tuning = [], run = 'channel', options = {} } = mutant;
  const file = join(directory, `${name}.mjs`);
  await bundle(name, [...tuning, ...edits], file);
  const lanes = { mutant: new Lane(file), clean: new Lane(await cleanBundle(mutant, directory)) };
  const others = new Map<string, number>();
  const unclean = new Map<number, string>();
  try {
    for (const [i, seed] of seeds.entries()) {
      const task = { seed, run, options: typeof options === 'function' ? options(seed) : options };
      const { invariant, message = '' } = await lanes.mutant.run(task);
      if (invariant === undefined) continue;
      if (!isReportOf(mutant.invariant, invariant)) {
        others.set(invariant, (others.get(invariant) ?? 0) + 1);
        continue;
      }
      const clean = await lanes.clean.run(task);
      if (clean.invariant === undefined) {
        const what = `${invariant}: ${message}`;
        return {
          mutant,
          caught: true,
          seeds: i + 1,
          seed,
          message: what,
          ms: ms(),
          others,
          unclean,
        };
      }
      unclean.set(seed, `${clean.invariant}: ${clean.message}`);
    }
    return { mutant, caught: false, seeds: seeds.length, ms: ms(), others, unclean };
  } finally {
    await Promise.all([lanes.mutant.close(), lanes.clean.close()]);
  }
}
