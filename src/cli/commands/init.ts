/** `conclave init`: makes the identity that the other commands act as. */

import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { createIdentity } from '../identity.js';
import { printable } from '../printable.js';
import { dirOption, example } from './shared.js';

export function addInit(program: Command, cli: () => Cli): void {
  const command = program
    .command('init')
    .summary('make an identity in a new directory')
    .description(
      'Makes an identity: a key pair that is you, on this device, and the name that others see. ' +
        'It is kept in identity.json in the directory. Keep that file secret, and a copy of it safe.',
    )
    .addOption(dirOption())
    .option('--name <nick>', 'the name that others see (default: the first digits of the user id)')
    .action(async ({ dir, name }: { dir: string; name?: string }) => {
      const { host, out } = cli();
      const identity = await createIdentity(dir, name, host.createStore);
      const { user } = identity;
      const next =
        `Next: conclave create --dir ${dir} --relay URL NAME   makes a channel\n` +
        `      conclave join --dir ${dir} INVITE               enters one`;
      await out.result(
        { user },
        `${out.paint('bold', printable(identity.name))}  ${user}\n${next}`,
      );
    });
  example(command, 'conclave init --dir ./alice --name alice');
}
