/**
 * Virtual time: a queue of what happens when. Things at one moment happen in
 * the order in which they were planned, so a run is a function of its seed.
 */

import type { Millis } from '../core/ids.js';

/** Times are whole multiples of this, so that sums and differences of them are exact. */
const TICKS_PER_MS = 1_024;

export interface Timer {
  readonly at: Millis;
  readonly order: number;
  run: (() => void | Promise<void>) | null;
}

const isBefore = (a: Timer, b: Timer): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

export class Timeline {
  now: Millis = 0;
  #heap: Timer[] = [];
  #planned = 0;

  /** Plans `run` for `time`, or for now if that has passed. */
  at(time: Millis, run: () => void | Promise<void>): Timer {
    const at = Math.max(Math.ceil(time * TICKS_PER_MS) / TICKS_PER_MS, this.now);
    const timer: Timer = { at, order: this.#planned++, run };
    this.#push(timer);
    return timer;
  }

  in(delay: Millis, run: () => void | Promise<void>): Timer {
    return this.at(this.now + delay, run);
  }

  cancel(timer: Timer | undefined): void {
    if (timer) timer.run = null;
  }

  /** Moves on to the next planned thing; undefined when none is left. */
  next(): (() => void | Promise<void>) | undefined {
    for (;;) {
      const timer = this.#pop();
      if (!timer) return undefined;
      if (!timer.run) continue;
      this.now = timer.at;
      return timer.run;
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || top === last) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
