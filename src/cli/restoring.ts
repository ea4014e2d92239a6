/**
 * A node's directory from a backup: made beside its place, verified whole, and
 * moved there only then. Nothing stays of one that failed.
 */

import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import type { VerifyReport } from '../node/api.js';
import { type BackupReader, type Manifest, openBackup } from './backup-file.js';
import { aborted } from './errors.js';
import type { Host } from './host.js';
import { passphraseWrong, writeIdentity } from './identity.js';
import { decodeIdentity, unlock } from './identity-file.js';
import { makeDir, syncDirectory } from './make-dir.js';
import type { Passphrase } from './passphrase.js';
import type { Progress } from './progress.js';
import { formatTime } from './when.js';

/** A draft's name; `doctor` finds those that a crash left. */
export const restoringName = (dir: string, pid: number | string): string =>
  `${dir}.restoring-${pid}`;

export interface Restore {
  readonly host: Host;
  readonly dir: string;
  readonly file: string;
  readonly passphrase: Passphrase;
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
}

export interface Restored {
  readonly manifest: Manifest;
  readonly channels: readonly VerifyReport[];
}

/** Throws `exists`, what `openBackup` throws, and `verify_failed`. */
export async function restoreTo(o: Restore): Promise<Restored> {
  const { dir, file, passphrase } = o;
  await refuseUsed(dir);
  const backup = await openBackup(file, passphrase);
  const draft = restoringName(dir, process.pid);
  try {
    await makeDir(dirname(dir));
    await mkdir(draft, { mode: 0o700 });
    const channels = await fill(o, draft, backup);
    // Only an empty directory gives way.
    await rmdir(dir).catch(() => {});
    await rename(draft, dir);
    await syncDirectory(dirname(dir));
    return { manifest: backup.manifest, channels };
  } finally {
    await backup.close();
    await rm(draft, { recursive: true, force: true });
  }
}

async function refuseUsed(dir: string): Promise<void> {
  const names = await readdir(dir).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw cause;
  });
  if (names.length > 0) {
    throw new ConclaveError('exists', `${dir} is not empty: restore into a new directory`);
  }
}

async function fill(o: Restore, draft: string, backup: BackupReader): Promise<VerifyReport[]> {
  const { host, file, passphrase, signal, progress } = o;
  const { manifest } = backup;
  const { user, made } = manifest;
  const identity = decodeIdentity(manifest.identity);
  if (identity?.user !== user) {
    throw new ConclaveError('backup_damaged', `the identity in the backup ${file} is damaged`);
  }
  const given = identity.sealed && (await passphrase());
  if (identity.sealed && given !== undefined && !(await unlock(identity, given))) {
    throw passphraseWrong(`the identity in the backup ${file}`);
  }
  async function* pages(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const page of backup.pages()) {
      if (signal.aborted) throw aborted(signal);
      done += page.length;
      progress({ what: 'bytes restored', done });
      yield page;
    }
  }
  const evidence = `a backup of ${formatTime(made)} was restored`;
  await host.restoreStore({ dir: draft, pages: pages(), evidence });
  const onProgress = (what: 'keys' | 'entries', done: number): void => {
    if (signal.aborted) throw aborted(signal);
    progress({ what: `${what} checked`, done });
  };
  const { problems, channels } = await host.verifyStore({ dir: draft, user, onProgress });
  const first = problems[0] ?? channels.flatMap((channel) => channel.problems)[0];
  if (first) {
    throw new ConclaveError(
      'verify_failed',
      `what the backup ${file} holds does not verify: ${first.where}: ${first.what}. Use another backup`,
    );
  }
  await writeIdentity(draft, manifest.identity);
  return [...channels];
}
