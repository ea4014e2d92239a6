/**
 * Writes text to a stream at the pace of its reader. Once the reader is gone
 * (`conclave log … | head`) every write throws `OutputClosed`, which ends the
 * command quietly.
 */

import type { Writable } from 'node:stream';

export class OutputClosed extends Error {
  constructor() {
    super('the reader of the output is gone');
    this.name = 'OutputClosed';
  }
}

export class Writer {
  readonly #stream: Writable;
  readonly #whenClosed: () => void;
  #error: Error | undefined;

  /** `whenClosed` is called once, when the reader turns out to be gone. */
  constructor(stream: Writable, whenClosed: () => void = () => {}) {
    this.#stream = stream;
    this.#whenClosed = whenClosed;
    stream.on('error', (error: NodeJS.ErrnoException) =>
      this.#close(error.code === 'EPIPE' ? new OutputClosed() : error),
    );
    stream.on('close', () => this.#close(new OutputClosed()));
    if (stream.destroyed) this.#close(new OutputClosed());
  }

  #close(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    this.#whenClosed();
  }

  /** Resolves when the stream takes more. */
  async write(text: string): Promise<void> {
    if (this.#error) throw this.#error;
    if (this.#stream.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ['drain', 'error', 'close']) this.#stream.off(event, done);
        resolve();
      };
      for (const event of ['drain', 'error', 'close']) this.#stream.on(event, done);
    });
    if (this.#error) throw this.#error;
  }

  /** Resolves when all that was written is out, or can't get out. */
  async flush(): Promise<void> {
    if (this.#error) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.write('', () => resolve());
    });
  }
}
