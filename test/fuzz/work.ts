/**
 * Counts work: how often each block of the product's sources was executed while
 * something ran, by V8's precise coverage. No clock, so a bound on it holds on
 * any machine. Slow to ask for, so it is for chosen inputs.
 */

import { Session } from 'node:inspector';

const SOURCES = /\/src\/(core|cli|node|relay)\//;

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

export class WorkCounter {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks executed since the last time that this was asked. */
  #take(): number {
    let blocks = 0;
    this.#session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error) throw error;
      for (const { url, functions } of (coverage as unknown as Coverage).result) {
        if (!SOURCES.test(url)) continue;
        for (const { ranges } of functions) for (const { count } of ranges) blocks += count;
      }
    });
    return blocks;
  }

  blocksOf(run: () => unknown): number {
    this.#take();
    try {
      run();
    } catch {
      // What is refused costs too.
    }
    return this.#take();
  }

  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }
}
