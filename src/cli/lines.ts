/**
 * Lines from byte streams. A line ends in "\n" (a "\r" before it is dropped),
 * the last one may lack it, bytes that are not UTF-8 become U+FFFD. No line
 * longer than the limit is ever held: it is a `line_too_long` error.
 */

import { Buffer } from 'node:buffer';
import { addAbortSignal, type Readable } from 'node:stream';
import { ConclaveError } from '../core/errors.js';

const NEWLINE = 0x0a;
const RETURN = 0x0d;

export class LineSplitter {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that `chunk` completes. Throws `line_too_long`. */
  *push(chunk: Buffer): Generator<string> {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      if (end === -1) break;
      this.#keep(chunk.subarray(from, end));
      yield this.#take();
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  /** The last line, if it lacked its "\n". */
  *end(): Generator<string> {
    if (this.#bytes > 0) yield this.#take();
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.#bytesMax) {
      throw new ConclaveError(
        'line_too_long',
        `a line has more than ${this.#bytesMax} bytes: split it`,
      );
    }
    this.#parts.push(part);
  }

  #take(): string {
    let line = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    if (line.at(-1) === RETURN) line = line.subarray(0, -1);
    this.#parts = [];
    this.#bytes = 0;
    return line.toString('utf8');
  }
}

/** Reads no faster than it is asked. An abort destroys the stream. Throws `line_too_long`. */
export async function* readLines(
  stream: Readable,
  bytesMax: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const splitter = new LineSplitter(bytesMax);
  for await (const chunk of addAbortSignal(signal, stream))
    yield* splitter.push(Buffer.from(chunk));
  yield* splitter.end();
}
