/** A recovery key in a file of its own, readable by its owner alone; it is to be kept away from the node. */

import { readFile } from 'node:fs/promises';
import { ConclaveError } from '../core/errors.js';
import { makeRecoveryKey, recoveryKeyOf } from '../node/index.js';
import { atomicFile } from './atomic-file.js';

export interface RecoveryFile {
  /** The public half. */
  readonly key: string;
  readonly secret: string;
  /** It was not there before. */
  readonly isNew: boolean;
}

/** Throws `no_recovery_key`, `cannot_read` and `bad_recovery_key`. */
export async function readRecoveryKey(path: string): Promise<RecoveryFile> {
  const found = await secretIn(path);
  if (found === undefined) {
    throw new ConclaveError('no_recovery_key', `there is no file ${path}: name the recovery key's`);
  }
  return { key: recoveryKeyOf(found), secret: found, isNew: false };
}

/** Makes one where there is no such file. */
export async function theRecoveryKey(path: string): Promise<RecoveryFile> {
  if ((await secretIn(path)) !== undefined) return readRecoveryKey(path);
  const { secret, key } = makeRecoveryKey();
  const file = await atomicFile(path, { mode: 0o600, replace: false });
  try {
    await file.write(`${secret}\n`);
    await file.commit();
  } finally {
    await file.close();
  }
  return { key, secret, isNew: true };
}

const secretIn = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new ConclaveError('cannot_read', `${path} can't be read: ${cause.message}`, { cause });
  });
