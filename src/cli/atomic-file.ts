/**
 * A file that appears whole or not at all: it is written beside its place, and
 * moved there once it is complete and on disk.
 */

import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { ConclaveError } from '../core/errors.js';

const BUFFERED_UNITS = 65_536;

export interface AtomicFile {
  write(text: string): Promise<void>;
  /** Puts the file in its place. */
  commit(): Promise<void>;
  /** Leaves nothing behind, unless it was committed. */
  close(): Promise<void>;
}

/** Throws `cannot_write`. */
export async function atomicFile(path: string): Promise<AtomicFile> {
  const draft = `${path}.${process.pid}.tmp`;
  const failed = (cause: unknown): never => {
    const { message } = cause as Error;
    throw new ConclaveError('cannot_write', `${path} can't be written: ${message}`, { cause });
  };
  const file: FileHandle = await open(draft, 'wx').catch(failed);
  let buffered = '';
  let open_ = true;
  const flush = async (): Promise<void> => {
    await file.writeFile(buffered).catch(failed);
    buffered = '';
  };
  return {
    async write(text) {
      buffered += text;
      if (buffered.length >= BUFFERED_UNITS) await flush();
    },
    async commit() {
      await flush();
      await file.sync();
      await file.close();
      open_ = false;
      await rename(draft, path).catch(failed);
    },
    async close() {
      if (open_) await file.close();
      await rm(draft, { force: true });
    },
  };
}

/** Writes a whole file, or leaves what was there. Throws `cannot_write`. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const file = await atomicFile(path);
  try {
    await file.write(text);
    await file.commit();
  } finally {
    await file.close();
  }
}
