/**
 * A relay's key on disk: `relay.key` in `--dir`, the Ed25519 seed as 64 hex
 * digits, readable by its owner alone. Clients pin the public half, so a lost
 * file is a new relay to them: back it up. It is made once, atomically, and
 * never overwritten.
 */

import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import { unhex } from '../core/ids.js';

const SEED_BYTES = 32;
const SEED_HEX = /^[0-9a-f]{64}\n?$/;
const FOR_OTHERS = 0o077;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/**
 * The seed in `dir`, made with `random` when there is none. Throws
 * `bad_relay_key`, `relay_key_exposed` or `relay_dir_failed`.
 */
export async function loadOrCreateKey(
  dir: string,
  random: (bytes: number) => Uint8Array,
): Promise<Uint8Array> {
  const path = join(dir, 'relay.key');
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const known = await readKey(path);
    if (known) return known;
    await createKey(path, `${path}.${hex(random(8))}`, random(SEED_BYTES));
    const created = await readKey(path);
    if (created) return created;
    throw new ConclaveError('relay_dir_failed', `${path} was removed while the relay started`);
  } catch (cause) {
    if (cause instanceof ConclaveError) throw cause;
    throw new ConclaveError(
      'relay_dir_failed',
      `the relay's key can't be kept in ${dir} (${codeOf(cause)}): choose a directory that this user may write`,
      { cause },
    );
  }
}

async function readKey(path: string): Promise<Uint8Array | undefined> {
  const text = await readFile(path, 'latin1').catch((error) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & FOR_OTHERS) !== 0) {
    throw new ConclaveError(
      'relay_key_exposed',
      `${path} can be read by others: run "chmod 600 ${path}", or remove it if someone may have read it`,
    );
  }
  if (!SEED_HEX.test(text)) {
    throw new ConclaveError(
      'bad_relay_key',
      `${path} does not hold a key of 64 hex digits: restore it from a backup, or remove it to start as a new relay`,
    );
  }
  return unhex(text.slice(0, 2 * SEED_BYTES));
}

/** Complete or not at all, and never over a key that somebody else made meanwhile. */
async function createKey(path: string, draft: string, seed: Uint8Array): Promise<void> {
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${hex(seed)}\n`);
    await file.sync();
    await link(draft, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}
