/**
 * Work on a stream of items, many at a time, results in the order of the items:
 * what `send -` pipelines with. At most a window of items is under way or waits to
 * be taken, and the source is read ahead of the results by no more than that,
 * so a slow result holds up the source and nothing grows.
 */

export interface Window<Item> {
  readonly items: number;
  readonly bytes: number;
  bytesOf(item: Item): number;
}

class Gate {
  #wake: () => void = () => {};
  #opened = this.#next();

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  wait(): Promise<void> {
    return this.#opened;
  }

  open(): void {
    const wake = this.#wake;
    this.#opened = this.#next();
    wake();
  }
}

/**
 * A failed item ends it with that item's error, in its turn; a failed source
 * ends it after the results of what came before. The source is not waited for
 * when the consumer stops early: abort it yourself if it can block.
 */
export async function* mapInOrder<Item, Result>(
  source: AsyncIterable<Item>,
  window: Window<Item>,
  start: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: { readonly result: Promise<Result>; readonly bytes: number }[] = [];
  let bytes = 0;
  const changed = new Gate();
  let stopped = false;
  let ended: { error?: unknown } | undefined;

  const isFull = (): boolean => running.length >= window.items || bytes >= window.bytes;

  const feed = async (): Promise<void> => {
    for await (const item of source) {
      if (stopped) return;
      const one = { result: start(item), bytes: window.bytesOf(item) };
      one.result.catch(() => {});
      running.push(one);
      bytes += one.bytes;
      changed.open();
      while (isFull() && !stopped) await changed.wait();
      if (stopped) return;
    }
  };
  void feed()
    .then(
      () => {
        ended = {};
      },
      (error: unknown) => {
        ended = { error };
      },
    )
    .then(() => changed.open());

  try {
    for (;;) {
      const first = running[0];
      if (first) {
        const result = await first.result;
        running.shift();
        bytes -= first.bytes;
        changed.open();
        yield result;
      } else if (ended) {
        if ('error' in ended) throw ended.error;
        return;
      } else {
        await changed.wait();
      }
    }
  } finally {
    stopped = true;
    changed.open();
  }
}
