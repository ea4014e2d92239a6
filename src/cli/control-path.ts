/**
 * Where the control socket of a directory is: `control.sock` in it. The path of
 * a UNIX socket is limited to some hundred bytes, so for a directory with a
 * longer path the socket lies in a private directory of the system's temporary
 * one, and the file `control.path` in the node's directory says where.
 */

import { mkdtemp, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** `sun_path` has 104 bytes on macOS and the BSDs, 108 on Linux, a zero at the end included. */
export const SOCKET_PATH_BYTES_MAX = 103;
const SOCKET = 'control.sock';
const POINTER = 'control.path';
const ELSEWHERE = 'conclave-';

const fits = (path: string): boolean => Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
const near = (dir: string): string => join(resolve(dir), SOCKET);

/** Where to connect; undefined when nothing can listen for this directory. */
export async function findSocket(dir: string): Promise<string | undefined> {
  if (fits(near(dir))) return near(dir);
  const path = await readFile(join(dir, POINTER), 'utf8').catch(() => undefined);
  return path !== undefined && isElsewhere(path) ? path : undefined;
}

function isElsewhere(path: string): boolean {
  return basename(path) === SOCKET && basename(dirname(path)).startsWith(ELSEWHERE) && fits(path);
}

/** A path to listen on. The caller has the store open, so what a dead process left is removed. */
export async function claimSocket(dir: string): Promise<string> {
  await releaseSocket(dir);
  if (fits(near(dir))) return near(dir);
  const base = fits(join(tmpdir(), `${ELSEWHERE}XXXXXX`, SOCKET)) ? tmpdir() : '/tmp';
  const path = join(await mkdtemp(join(base, ELSEWHERE)), SOCKET);
  const draft = join(dir, `${POINTER}.tmp`);
  await writeFile(draft, path, { mode: 0o600 });
  await rename(draft, join(dir, POINTER));
  return path;
}

/** Removes the socket, and what pointed at it. */
export async function releaseSocket(dir: string): Promise<void> {
  const path = await findSocket(dir);
  if (path === undefined) return;
  await rm(path, { force: true });
  if (path === near(dir)) return;
  await rmdir(dirname(path)).catch(() => {});
  await rm(join(dir, POINTER), { force: true });
}
