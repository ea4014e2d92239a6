/** `recovery-key`, `recover` and `replace`: for when a user's key is lost or stolen. */

import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ConclaveError } from '../../core/errors.js';
import { type Cli, callNode } from '../cli.js';
import { asConclaveError } from '../errors.js';
import { userText } from '../human.js';
import { printable } from '../printable.js';
import { readRecoveryKey, theRecoveryKey } from '../recovery-file.js';
import { CHANNEL, dirOption, example, shellWord, timeoutOption } from './shared.js';

export function addRecoveryKey(program: Command, cli: () => Cli): void {
  const command = program
    .command('recovery-key')
    .summary('register a key that can replace yours')
    .description(
      'Registers the recovery key in a file for you in a channel, and makes that file if it is not ' +
        'there. Should your identity be lost or stolen, "conclave recover" with it puts a new one in its ' +
        'place, whoever you are in the channel. Do it before: a thief can register one too, and the ' +
        'first stays until its own signature changes it. Keep the file away from this device.',
    )
    .argument('<channel>', CHANNEL)
    .argument('<file>', "the recovery key's file")
    .option('--old <file>', 'the file of the recovery key that you have, to change it')
    .addOption(dirOption())
    .addOption(timeoutOption())
    .action(async (channel: string, file: string, { dir, old, timeout }) => {
      const path = resolve(file);
      const previous = old === undefined ? undefined : (await readRecoveryKey(resolve(old))).secret;
      const { key, isNew } = await theRecoveryKey(path);
      const made = isNew ? `\nIt is in ${path}: keep that away from this device` : '';
      await orForgotten(isNew ? path : undefined, () =>
        callNode(cli(), {
          dir,
          name: 'recovery-key',
          links: true,
          args: { channel, key, previous, timeout },
          human: (result) =>
            `${printable(channel)} knows your recovery key${made}. To use it:\n` +
            `  conclave recover --dir NEW ${result.channel} ${result.user} --recovery-key ${shellWord(path)}`,
        }),
      );
    });
  example(command, 'conclave recovery-key --dir ./bob team /media/usb/bob.recovery');
}

/** What says that no key was registered, and that none will be. */
const REFUSALS = new Set([
  ...['not_allowed', 'not_member', 'removed', 'no_channel', 'ambiguous', 'store_locked'],
  ...['store_missing', 'no_identity', 'bad_identity', 'passphrase_needed', 'passphrase_wrong'],
]);

/** A new file with a key that was refused is taken away; one that may yet be registered stays. */
async function orForgotten(made: string | undefined, register: () => Promise<void>): Promise<void> {
  try {
    await register();
  } catch (thrown) {
    if (made === undefined) throw thrown;
    const error = asConclaveError(thrown);
    if (REFUSALS.has(error.code)) {
      await rm(made, { force: true });
      throw error;
    }
    const { code, message, retryable } = error;
    const kept = `The key in ${made} may be registered yet: keep it, and run the same command again`;
    throw new ConclaveError(code, `${message}. ${kept}`, { retryable, cause: thrown });
  }
}

export function addRecover(program: Command, cli: () => Cli): void {
  const command = program
    .command('recover')
    .summary('ask for the place of your lost or stolen key')
    .description(
      'From a new identity, as "conclave init" makes it: prints a request that this one takes the place ' +
        'of an old one in a channel. Hand it to a member, for "conclave replace": with your recovery key ' +
        'to any, without to one who may remove you. It is no secret. You get an invitation back.',
    )
    .argument(
      '<channel>',
      'the whole id of the channel, as "conclave recovery-key" printed it and "conclave status" shows it to members',
    )
    .argument(
      '<user>',
      'the whole id of the key that was lost or stolen, as "conclave recovery-key" printed it and "conclave members" shows it',
    )
    .addOption(dirOption())
    .option('--recovery-key <file>', "the file of that key's recovery key; it stays the new one's")
    .option('--archive', 'for the place of an archive')
    .action(async (channel: string, user: string, { dir, recoveryKey, archive }) => {
      const recovery =
        recoveryKey === undefined
          ? undefined
          : (await readRecoveryKey(resolve(recoveryKey))).secret;
      await callNode(cli(), {
        dir,
        name: 'recover',
        links: false,
        args: { channel, user, recovery, archive },
        human: ({ request }) => printable(String(request)),
      });
    });
  example(
    command,
    'conclave recover --dir ./new CHANNEL USER --recovery-key /media/usb/bob.recovery',
  );
}

export function addReplace(program: Command, cli: () => Cli): void {
  const command = program
    .command('replace')
    .summary("put a new key in the place of a member's")
    .description(
      'Takes what "conclave recover" printed for a member whose key was lost or stolen. The new key gets ' +
        "the member's role and vote, and what the old one signs from then on is refused, for good. Ask the " +
        'person, and not by this channel, whether the request is theirs. Without a recovery key the ' +
        'founder may do it for anyone else, an admin for whoever is none. Prints an invitation for ' +
        '"conclave join" on the new node.',
    )
    .argument('<channel>', CHANNEL)
    .argument('<user>', 'the member: its id or the beginning of it, or its name, if only one fits')
    .argument('<request>', 'what "conclave recover" printed')
    .addOption(dirOption())
    .addOption(timeoutOption())
    .action(async (channel: string, user: string, request: string, { dir, timeout }) => {
      await callNode(cli(), {
        dir,
        name: 'replace',
        links: true,
        args: { channel, user, request, timeout },
        human: (result) =>
          `${userText(result)} has a new key. It joins with\n${printable(String(result.invite))}`,
      });
    });
  example(command, 'conclave replace --dir ./alice team bob conclave-replace.AAAA…');
}
