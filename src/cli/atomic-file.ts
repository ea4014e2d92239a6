/**
 * A file that appears whole or not at all: it is written beside its place, and
 * moved there once it is complete and on disk.
 */

import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import { syncDirectory } from './make-dir.js';

const BUFFERED_BYTES = 65_536;

export interface AtomicFile {
  write(content: string | Uint8Array): Promise<void>;
  /** Puts the file in its place. */
  commit(): Promise<void>;
  /** Leaves nothing behind, unless it was committed. */
  close(): Promise<void>;
}

export interface AtomicOptions {
  readonly mode?: number;
  /** Whether a file of that name is replaced (default); else it is `exists`. */
  readonly replace?: boolean;
}

/** Throws `cannot_write`, and `exists`. */
export async function atomicFile(
  path: string,
  { mode = 0o666, replace = true }: AtomicOptions = {},
): Promise<AtomicFile> {
  const draft = `${path}.${process.pid}.tmp`;
  const failed = (cause: unknown): never => {
    const { message, code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST' && !replace) throw fileExists(path, cause);
    throw new ConclaveError('cannot_write', `${path} can't be written: ${message}`, { cause });
  };
  const file: FileHandle = await open(draft, 'wx', mode).catch(failed);
  let buffered: Buffer[] = [];
  let bytes = 0;
  let open_ = true;
  const flush = async (): Promise<void> => {
    await file.writeFile(Buffer.concat(buffered)).catch(failed);
    buffered = [];
    bytes = 0;
  };
  return {
    async write(content) {
      buffered.push(Buffer.from(content));
      bytes += buffered.at(-1)!.length;
      if (bytes >= BUFFERED_BYTES) await flush();
    },
    async commit() {
      await flush();
      await file.sync();
      await file.close();
      open_ = false;
      await (replace ? rename(draft, path) : link(draft, path)).catch(failed);
      await syncDirectory(dirname(path));
    },
    async close() {
      if (open_) await file.close();
      await rm(draft, { force: true });
    },
  };
}

export const fileExists = (path: string, cause?: unknown): ConclaveError =>
  new ConclaveError('exists', `${path} is there already: name another file, or say --force`, {
    cause,
  });

/** Writes a whole file, or leaves what was there. Throws `cannot_write`, and `exists`. */
export async function writeWhole(
  path: string,
  text: string,
  options: AtomicOptions = {},
): Promise<void> {
  const file = await atomicFile(path, options);
  try {
    await file.write(text);
    await file.commit();
  } finally {
    await file.close();
  }
}
