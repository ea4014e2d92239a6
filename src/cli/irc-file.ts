/**
 * An IRC log as a file, compressed with gzip or not (its first bytes say). It
 * is read twice and never held: first for its content's hash, which is what
 * makes it known when it is imported again, then for its messages. What is
 * appended to it meanwhile is left for another time.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ConclaveError } from '../core/errors.js';
import { type IrcCounts, type IrcMessage, parseIrc } from './irc.js';
import { utcDay } from './when.js';

const GZIP_MAGIC = [0x1f, 0x8b];
const DATE_IN_NAME = /(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)/;

export interface IrcFile {
  readonly path: string;
  /** SHA-256 of the content, uncompressed, in hex. */
  readonly hash: string;
  /** Start of the UTC day on which it begins, ms since 1970. */
  readonly day_ms: number;
  /** Whether the name says the day; otherwise it is that of the file's last change. */
  readonly dayInName: boolean;
  readonly counts: Readonly<IrcCounts>;
  /** Throws `file_changed` when the content is not what it was. */
  messages(signal: AbortSignal): AsyncGenerator<IrcMessage>;
}

/** Throws `bad_file` when it can't be read to its end. */
export async function openIrcFile(path: string, signal: AbortSignal): Promise<IrcFile> {
  const { day_ms, dayInName } = await dayOf(path);
  const counts: IrcCounts = { messages: 0, system: 0, other: 0 };
  const first = new Tally();
  for await (const _ of parseIrc(first.over(content(path, signal)), day_ms, counts));
  const hash = first.digest();
  return {
    path,
    hash,
    day_ms,
    dayInName,
    counts,
    async *messages(signal) {
      const again = new Tally(first.bytes);
      const ignored = { messages: 0, system: 0, other: 0 };
      yield* parseIrc(again.over(content(path, signal)), day_ms, ignored);
      if (again.digest() !== hash) throw changed(path);
    },
  };
}

async function dayOf(path: string): Promise<{ day_ms: number; dayInName: boolean }> {
  const [date] = DATE_IN_NAME.exec(basename(path)) ?? [];
  const named = date === undefined ? undefined : utcDay(date);
  if (named !== undefined) return { day_ms: named, dayInName: true };
  const { mtime } = await stat(path).catch((error) => {
    throw unreadable(path, error);
  });
  return { day_ms: utcDay(mtime.toISOString().slice(0, 10))!, dayInName: false };
}

async function* content(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    const file = createReadStream(path, { signal });
    if (!(await isGzip(path))) {
      yield* file;
      return;
    }
    // A failure of either destroys the other, and reading it throws.
    yield* pipeline(file, createGunzip(), () => {});
  } catch (error) {
    if (signal.aborted) throw error;
    throw unreadable(path, error);
  }
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && GZIP_MAGIC.every((byte, i) => buffer[i] === byte);
  } finally {
    await file.close();
  }
}

/** Hashes what passes through, up to a number of bytes; the rest does not pass. */
class Tally {
  readonly #hash = createHash('sha256');
  readonly #bytesMax: number;
  bytes = 0;

  constructor(bytesMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax;
  }

  async *over(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      const part = chunk.subarray(0, this.#bytesMax - this.bytes);
      this.bytes += part.length;
      this.#hash.update(part);
      yield part;
      if (this.bytes >= this.#bytesMax) return;
    }
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

function unreadable(path: string, cause: unknown): ConclaveError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = code === 'ENOENT' ? 'there is no such file' : message;
  return new ConclaveError('bad_file', `${path} can't be read: ${why}`, { cause });
}

const changed = (path: string): ConclaveError =>
  new ConclaveError(
    'file_changed',
    `${path} changed while it was read, so some of its lines may be in the channel under an older version: import a copy of it`,
  );
