/** Makes a directory, and those above it: one after the other, since Node's own way of doing all at once never ends under `/proc`. */

import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConclaveError } from '../core/errors.js';

/** For its owner alone. Throws `io`. */
export async function makeDir(dir: string): Promise<void> {
  const path = resolve(dir);
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cannot(path, cause);
  });
  if (found?.isDirectory()) return;
  if (found) throw cannot(path, new Error('something else has this name'));
  await makeDir(dirname(path));
  await mkdir(path, { mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cannot(path, cause);
  });
}

const cannot = (path: string, cause: Error): ConclaveError =>
  new ConclaveError('io', `the directory ${path} can't be made: ${cause.message}`, { cause });

/** Else the name of a file may be lost with the power. Not every system can. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
