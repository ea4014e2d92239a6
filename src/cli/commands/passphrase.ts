/** `passphrase`: sets, changes or removes the passphrase of an identity. */

import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { usageError } from '../errors.js';
import { readIdentity, writeIdentity } from '../identity.js';
import { encodeIdentity } from '../identity-file.js';
import { NEW_PASSPHRASE_ENV, passphraseFrom } from '../passphrase.js';
import { dirOption, example } from './shared.js';

interface PassphraseOptions {
  readonly dir: string;
  readonly newPassphraseFile?: string;
  readonly remove?: boolean;
}

export function addPassphrase(program: Command, cli: () => Cli): void {
  const command = program
    .command('passphrase')
    .summary('set, change or remove the passphrase of the identity')
    .description(
      'Encrypts the identity under a new passphrase, or, with --remove, under none. The present one, ' +
        'if there is one, is given as to every command. A node that is up is not disturbed. Copies ' +
        'and backups made before keep the old passphrase, and who has one and knows that is still you.',
    )
    .addOption(dirOption())
    .option(
      '--new-passphrase-file <file>',
      `the new passphrase: one line (default: that in ${NEW_PASSPHRASE_ENV})`,
    )
    .option('--remove', 'leave the identity unencrypted')
    .action((options: PassphraseOptions) => change(cli(), options));
  example(command, 'conclave passphrase --dir ./alice --new-passphrase-file ./secret');
}

async function change({ host, out, passphrase }: Cli, options: PassphraseOptions): Promise<void> {
  const { dir, newPassphraseFile: file, remove = false } = options;
  if (remove && file !== undefined) throw usageError('--remove goes without a new passphrase');
  const next = remove ? undefined : await passphraseFrom(file, host.env, NEW_PASSPHRASE_ENV)();
  if (!remove && next === undefined) {
    throw usageError(
      `give the new passphrase with --new-passphrase-file FILE or in ${NEW_PASSPHRASE_ENV}, or say --remove`,
    );
  }
  const identity = await readIdentity(dir, passphrase);
  await writeIdentity(dir, await encodeIdentity(identity, next), true);
  const { user } = identity;
  const how = remove ? 'no longer encrypted' : 'encrypted under the new passphrase';
  await out.result({ user, encrypted: !remove }, `the identity in ${dir} is ${how}`);
}
