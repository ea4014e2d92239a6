/**
 * The identity of a node: an Ed25519 seed and a nickname, in `identity.json`
 * in the node's directory (identity-file.ts), readable by its owner alone, its
 * seed encrypted where a passphrase was given. Who has the file, and the
 * passphrase, is that user; without it, nobody is. It is written whole or not
 * at all, and never over another one's.
 */

import { randomBytes } from 'node:crypto';
import { access, chmod, link, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import { NICKNAME_BYTES_MAX } from '../core/limits.js';
import { usageError } from './errors.js';
import {
  decodeIdentity,
  encodeIdentity,
  type Identity,
  type IdentityFile,
  type Owner,
  SEED_BYTES,
  unlock,
  userOf,
} from './identity-file.js';
import { makeDir, syncDirectory } from './make-dir.js';
import { PASSPHRASE_ENV, type Passphrase } from './passphrase.js';
import { printable } from './printable.js';

export type { Identity } from './identity-file.js';

export const IDENTITY = 'identity.json';
export const identityPath = (dir: string): string => join(dir, IDENTITY);

/** Whether the directory has one, good or not. */
export const hasIdentity = (dir: string): Promise<boolean> => exists(identityPath(dir));

export interface NewIdentity {
  readonly name: string | undefined;
  readonly passphrase: string | undefined;
  /** Makes what a node needs besides; the identity comes last. */
  readonly prepare: (dir: string) => Promise<void>;
}

/** Throws `exists` when the directory has an identity, `usage` for a bad name. */
export async function createIdentity(
  dir: string,
  { name, passphrase, prepare }: NewIdentity,
): Promise<Identity> {
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  const user = userOf(seed);
  const identity = { user, name: checkName(name ?? user.slice(0, 8)), seed };
  await makeDir(dir);
  if ((await readdir(dir)).length === 0) await chmod(dir, 0o700);
  if (await exists(identityPath(dir))) throw alreadyThere(dir);
  await prepare(dir);
  await writeIdentity(dir, await encodeIdentity(identity, passphrase));
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

/** Writes `text` as the directory's identity, never over one unless that is to be replaced. */
export async function writeIdentity(dir: string, text: string, replace = false): Promise<void> {
  const path = identityPath(dir);
  const draft = `${path}.${process.pid}.tmp`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await (replace ? rename(draft, path) : link(draft, path));
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

/** The file as it is. Throws `no_identity`. */
export function readIdentityText(dir: string): Promise<string> {
  return readFile(identityPath(dir), 'utf8').catch(async (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT' && cause.code !== 'ENOTDIR') throw cause;
    throw new ConclaveError('no_identity', await withoutIdentity(dir), { cause });
  });
}

async function readFileOf(dir: string): Promise<IdentityFile> {
  const found = decodeIdentity(await readIdentityText(dir));
  if (found) return found;
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

/** Who it is, for which no passphrase is needed, and whether the seed is encrypted. Throws `no_identity` or `bad_identity`. */
export async function readOwner(dir: string): Promise<Owner & { readonly encrypted: boolean }> {
  const { user, name, sealed } = await readFileOf(dir);
  return { user, name, encrypted: sealed !== undefined };
}

/** Throws `no_identity`, `bad_identity`, `passphrase_needed` or `passphrase_wrong`. */
export async function readIdentity(dir: string, passphrase: Passphrase): Promise<Identity> {
  const file = await readFileOf(dir);
  if (file.sealed === undefined) return file;
  const given = await passphrase();
  if (given === undefined) throw passphraseNeeded(`the identity in ${dir}`);
  const identity = await unlock(file, given);
  if (!identity) throw passphraseWrong(`the identity in ${dir}`);
  return identity;
}

export const passphraseNeeded = (what: string): ConclaveError =>
  new ConclaveError(
    'passphrase_needed',
    `${what} is encrypted: give its passphrase with --passphrase-file FILE, or in ${PASSPHRASE_ENV}`,
  );

/** Says no more than that: neither how wrong, nor whether the file was changed. */
export const passphraseWrong = (what: string): ConclaveError =>
  new ConclaveError('passphrase_wrong', `${what} does not open with this passphrase`);
