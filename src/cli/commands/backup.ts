/** `backup` and `restore`: a node, identity and store, as one file. */

import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fileExists } from '../atomic-file.js';
import { writeBackup } from '../backup-file.js';
import { advising } from '../begin-anew.js';
import { type Cli, withSession } from '../cli.js';
import { connectControl } from '../control-client.js';
import { aborted } from '../errors.js';
import { readIdentity, readIdentityText, readOwner } from '../identity.js';
import { printable } from '../printable.js';
import { restoreTo } from '../restoring.js';
import { whileLocked } from '../session.js';
import { formatTime } from '../when.js';
import { dirOption, example } from './shared.js';

export function addBackup(program: Command, cli: () => Cli): void {
  const command = program
    .command('backup')
    .summary('write the node to a file')
    .description(
      'Writes identity and store, as they are at one moment, to a file that appears only when it is ' +
        'complete. Works while the node is up. The file is encrypted under the passphrase that is ' +
        'given, else not at all; it is then good for whoever reads it, messages and, unless it has a ' +
        'passphrase of its own, identity.',
    )
    .argument('<file>', 'the file to write')
    .addOption(dirOption())
    .option('--force', 'replace a file of that name')
    .action((file: string, { dir, force = false }) => backup(cli(), dir, resolve(file), force));
  example(command, 'conclave backup --dir ./alice alice.backup --passphrase-file ./secret');
}

type Take = (page: Uint8Array) => Promise<void>;

async function backup(cli: Cli, dir: string, path: string, force: boolean): Promise<void> {
  const { out, host } = cli;
  const owner = await readOwner(dir);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere && !force) throw fileExists(path);
  const passphrase = await cli.passphrase();
  // One passphrase for both: who restores is asked for one.
  if (passphrase !== undefined && owner.encrypted) await readIdentity(dir, cli.passphrase);
  const { user, name } = owner;
  const { bytes } = await writeBackup(path, {
    passphrase,
    force,
    manifest: { made: host.now(), user, name, identity: await readIdentityText(dir) },
    pages: (take) => advising(dir, () => pagesOf(cli, dir, take)),
    onProgress: (done) => out.progress({ what: 'bytes backed up', done }),
  });
  const encrypted = passphrase !== undefined;
  const warning = encrypted
    ? 'encrypted under the passphrase: without it the backup is worth nothing'
    : out.paint('yellow', openBackupText(owner.encrypted));
  await out.result(
    { file: path, user, bytes, encrypted },
    `${printable(path)}: ${bytes} bytes\n${warning}`,
  );
}

const openBackupText = (isIdentitySealed: boolean): string =>
  isIdentitySealed
    ? 'NOT ENCRYPTED but for the identity: who has this file reads what the store holds'
    : 'NOT ENCRYPTED: who has this file reads what the store holds, and can act as you';

/** From the node that is up, or from the store. */
async function pagesOf(cli: Cli, dir: string, take: Take): Promise<void> {
  const { host, signal } = cli;
  const running = await connectControl(dir);
  running?.destroy();
  if (!running) {
    await whileLocked(host, async () => {
      for await (const page of host.snapshotStore(dir)) {
        if (signal.aborted) throw aborted(signal);
        await take(page);
      }
    });
    return;
  }
  await withSession(cli, { dir, links: false }, (session) =>
    session.call(
      'backup',
      {},
      {
        emit: ({ page }) => take(Buffer.from(String(page), 'base64')),
        progress: () => {},
        signal,
      },
    ),
  );
}

export function addRestore(program: Command, cli: () => Cli): void {
  const command = program
    .command('restore')
    .summary('make a node from a backup')
    .description(
      'Makes a new directory from what "conclave backup" wrote, and verifies all of it before it says ' +
        'so. The restored node has lost its memory since the backup: it votes and acknowledges again ' +
        'once enough other members have told it what it forgot, by itself. Never run it beside the ' +
        'node that the backup was made of.',
    )
    .argument('<file>', 'what "conclave backup" wrote')
    .addOption(dirOption())
    .action((file: string, { dir }) => restore(cli(), dir, resolve(file)));
  example(command, 'conclave restore --dir ./alice-again alice.backup --passphrase-file ./secret');
}

async function restore(cli: Cli, dir: string, file: string): Promise<void> {
  const { host, out, signal, passphrase } = cli;
  const { progress } = out;
  const { manifest, channels } = await restoreTo({ host, dir, file, passphrase, signal, progress });
  const { user, name, made } = manifest;
  const totals = channels.map(({ channel, entries, final, head }) => ({
    ...{ channel, entries, final, head },
  }));
  const of = `${channels.length} ${channels.length === 1 ? 'channel' : 'channels'}`;
  await out.result(
    { user, name, dir, made, memory: 'lost', channels: totals },
    [
      `${out.paint('bold', printable(name))}  ${user}`,
      `restored from a backup of ${formatTime(made)}: ${of}, verified`,
      out.paint('yellow', `It has lost its memory since then: ${CONSEQUENCE}`),
      `Next: conclave up --dir ${dir}`,
    ].join('\n'),
  );
}

const CONSEQUENCE =
  'it does not vote or acknowledge until enough other members have told it what it forgot.\n' +
  'Never run it beside the node that the backup was made of: stop that one for good.';
