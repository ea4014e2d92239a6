/**
 * Work on a stream of items, many at a time, results in the order of the items:
 * what `send -` pipelines with. No more than a window of items is under way or
 * waits to be taken, and the source is not read further ahead, so a slow result
 * holds up the source and nothing grows.
 */

import { aborted } from './errors.js';

export interface Window<Item> {
  readonly items: number;
  readonly bytes: number;
  bytesOf(item: Item): number;
}

/** Something that others wait for a change of. */
class Changes {
  #waiting: { readonly promise: Promise<void>; readonly wake: () => void } | undefined;

  next(): Promise<void> {
    if (!this.#waiting) {
      let wake = (): void => {};
      const promise = new Promise<void>((resolve) => {
        wake = resolve;
      });
      this.#waiting = { promise, wake };
    }
    return this.#waiting.promise;
  }

  notify(): void {
    this.#waiting?.wake();
    this.#waiting = undefined;
  }
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

interface Running<T> {
  readonly bytes: number;
  outcome: Outcome<T> | undefined;
}

/**
 * A failed item ends it with that item's error, in its turn; a failed source
 * after the results of what came before; an abort at once. A source that may
 * block must heed the same signal: it is not waited for.
 */
export async function* mapInOrder<Item, Result>(
  source: AsyncIterable<Item>,
  window: Window<Item>,
  signal: AbortSignal,
  start: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: Running<Result>[] = [];
  const changes = new Changes();
  const notify = (): void => changes.notify();
  let bytes = 0;
  let stopped = false;
  let ended: Outcome<void> | undefined;

  const begin = (item: Item): void => {
    const one: Running<Result> = { bytes: window.bytesOf(item), outcome: undefined };
    bytes += one.bytes;
    running.push(one);
    start(item)
      .then(
        (value) => {
          one.outcome = { value };
        },
        (error: unknown) => {
          one.outcome = { error };
        },
      )
      .then(notify);
  };
  const feed = async (): Promise<void> => {
    for await (const item of source) {
      if (stopped) return;
      begin(item);
      while (running.length >= window.items || bytes >= window.bytes) {
        await changes.next();
        if (stopped) return;
      }
    }
  };
  feed()
    .then(
      () => {
        ended = { value: undefined };
      },
      (error: unknown) => {
        ended = { error };
      },
    )
    .then(notify);

  signal.addEventListener('abort', notify);
  try {
    for (;;) {
      if (signal.aborted) throw aborted(signal);
      const first = running[0];
      if (first?.outcome) {
        running.shift();
        bytes -= first.bytes;
        notify();
        yield unwrap(first.outcome);
      } else if (!first && ended) {
        return unwrap(ended);
      } else {
        await changes.next();
      }
    }
  } finally {
    signal.removeEventListener('abort', notify);
    stopped = true;
    notify();
  }
}

function unwrap<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}
