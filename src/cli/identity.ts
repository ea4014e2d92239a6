/**
 * The identity of a node: an Ed25519 seed and a nickname, in `identity.json`
 * in the node's directory, readable by its owner alone. Who has the file is
 * that user; without it, nobody is. It is written whole or not at all, and
 * never over another one.
 */

import { randomBytes } from 'node:crypto';
import { access, link, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import { hex32, type UserId, unhex } from '../core/ids.js';
import { NICKNAME_BYTES_MAX } from '../core/limits.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { usageError } from './errors.js';
import { makeDir } from './make-dir.js';
import { printable } from './printable.js';

export interface Identity {
  readonly user: UserId;
  readonly name: string;
  /** Ed25519 seed, 32 bytes. */
  readonly seed: Uint8Array;
}

const VERSION = 1;
const SEED_BYTES = 32;
const HEX_32 = /^[0-9a-f]{64}$/;

const identityPath = (dir: string): string => join(dir, 'identity.json');

const userOf = (seed: Uint8Array): UserId => hex32<UserId>(nativeCrypto.ed25519PublicKey(seed));

/** Whether the directory has one, good or not. */
export const hasIdentity = (dir: string): Promise<boolean> => exists(identityPath(dir));

/**
 * Throws `exists` when the directory has an identity, `usage` for a bad name.
 * `prepare` makes what a node needs besides; the identity comes last.
 */
export async function createIdentity(
  dir: string,
  name: string | undefined,
  prepare: (dir: string) => Promise<void>,
): Promise<Identity> {
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  const user = userOf(seed);
  const identity = { user, name: checkName(name ?? user.slice(0, 8)), seed };
  await makeDir(dir);
  if (await exists(identityPath(dir))) throw alreadyThere(dir);
  await prepare(dir);
  await writeOnce(identityPath(dir), encode(identity), dir);
  return identity;
}

function checkName(name: string): string {
  const bytes = Buffer.byteLength(name);
  if (
    bytes === 0 ||
    bytes > NICKNAME_BYTES_MAX ||
    printable(name) !== name ||
    name.trim() !== name
  ) {
    throw usageError(
      `"${printable(name)}" can't be a name: give 1 to ${NICKNAME_BYTES_MAX} bytes without control characters or outer spaces`,
    );
  }
  return name;
}

const encode = ({ user, name, seed }: Identity): string =>
  `${JSON.stringify({ version: VERSION, user, name, seed: Buffer.from(seed).toString('hex') }, null, 2)}\n`;

async function writeOnce(path: string, text: string, dir: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await link(draft, path);
    await syncDirectory(dir);
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === 'EEXIST' ? alreadyThere(dir, cause) : cause;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const alreadyThere = (dir: string, cause?: unknown): ConclaveError =>
  new ConclaveError(
    'exists',
    `${dir} has an identity already, which is not replaced: use it, or name another directory`,
    { cause },
  );

/** Else the name of a file may be lost with the power. Not every system can. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Throws `no_identity` or `bad_identity`. */
export async function readIdentity(dir: string): Promise<Identity> {
  const text = await readFile(identityPath(dir), 'utf8').catch(
    async (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT' && cause.code !== 'ENOTDIR') throw cause;
      throw new ConclaveError('no_identity', await withoutIdentity(dir), { cause });
    },
  );
  const identity = decode(text);
  if (identity) return identity;
  throw new ConclaveError(
    'bad_identity',
    `${identityPath(dir)} is not what "conclave init" wrote: restore it from a copy`,
  );
}

/** What to do: whatever holds other things is hardly meant to become a node's directory. */
async function withoutIdentity(dir: string): Promise<string> {
  const names = await readdir(dir).catch(({ code }: NodeJS.ErrnoException) => {
    return code === 'ENOTDIR' ? undefined : [];
  });
  const makes = `name the directory of a node; "conclave init --dir DIR" makes one`;
  if (!names) return `${dir} is no directory: ${makes}`;
  if (names.length > 0) return `there is no identity in ${dir}, which holds other files: ${makes}`;
  return `there is no identity in ${dir}: run "conclave init --dir ${dir}" first`;
}

function decode(text: string): Identity | undefined {
  try {
    const { version, user, name, seed } = JSON.parse(text) as Record<string, unknown>;
    if (version !== VERSION || typeof name !== 'string') return undefined;
    if (typeof seed !== 'string' || !HEX_32.test(seed)) return undefined;
    const bytes = unhex(seed);
    const owner = userOf(bytes);
    return owner === user ? { user: owner, name, seed: bytes } : undefined;
  } catch {
    return undefined;
  }
}
