/** `conclave init`: makes the identity that the other commands act as, and its store. */

import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { usageError } from '../errors.js';
import { createIdentity, hasIdentity, readOwner } from '../identity.js';
import type { Owner } from '../identity-file.js';
import { printable } from '../printable.js';
import { dirOption, example } from './shared.js';

export function addInit(program: Command, cli: () => Cli): void {
  const command = program
    .command('init')
    .summary('make an identity in a new directory')
    .description(
      'Makes an identity: a key pair that is you, on this device, and the name that others see. ' +
        'It is kept in identity.json in the directory, encrypted when a passphrase is given. Keep that ' +
        'file secret, and a copy of it safe. ' +
        'In a directory that has an identity and no store, it keeps the identity and makes an empty ' +
        'store: for when the store was lost, or its damage can\'t be mended. "conclave join" with an ' +
        'invitation then brings a channel back.',
    )
    .addOption(dirOption())
    .option('--name <nick>', 'the name that others see (default: the first digits of the user id)')
    .action(async ({ dir, name }: { dir: string; name?: string }) => {
      const { host, out } = cli();
      const isLost = (await hasIdentity(dir)) && !(await host.hasStore(dir));
      const identity = isLost
        ? await renewStore(cli(), dir, name)
        : await createIdentity(dir, {
            name,
            passphrase: await cli().passphrase(),
            prepare: host.createStore,
          });
      const { user } = identity;
      const { encrypted } = await readOwner(dir);
      const kept = isLost ? '\nThe identity was kept; its store is new and empty.' : '';
      const next =
        `Next: conclave create --dir ${dir} --relay URL NAME   makes a channel\n` +
        `      conclave join --dir ${dir} INVITE               enters one`;
      await out.result(
        encrypted ? { user, encrypted } : { user },
        `${out.paint('bold', printable(identity.name))}  ${user}${kept}\n${next}`,
      );
    });
  example(command, 'conclave init --dir ./alice --name alice');
}

async function renewStore({ host }: Cli, dir: string, name?: string): Promise<Owner> {
  const identity = await readOwner(dir);
  if (name !== undefined && name !== identity.name) {
    throw usageError(
      `the identity in ${dir} is called "${printable(identity.name)}", and its name can't be changed: leave --name out`,
    );
  }
  await host.createStore(dir);
  return identity;
}
