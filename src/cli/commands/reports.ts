/** `status` and `members`: how things are. */

import type { Command } from 'commander';
import { type Cli, callNode } from '../cli.js';
import { memberLine, nodeStatus } from '../human.js';
import { dirOption, example } from './shared.js';

export function addStatus(program: Command, cli: () => Cli): void {
  const command = program
    .command('status')
    .summary('show how the node and its channels are')
    .description(
      'Shows one channel, or the node and all its channels: who is online, who leads, what is final, ' +
        'what waits, and for what.',
    )
    .argument('[channel]', 'the id of the channel, or its name')
    .addOption(dirOption())
    .action(async (channel: string | undefined, { dir }) => {
      await callNode(cli(), {
        dir,
        name: 'status',
        links: false,
        args: { channel },
        human: nodeStatus,
      });
    });
  example(command, 'conclave status --dir ./alice team');
}

export function addMembers(program: Command, cli: () => Cli): void {
  const command = program
    .command('members')
    .summary('show who is in a channel')
    .description(
      'Shows the members of a channel. Who is online is known only while the node is up.',
    )
    .argument('<channel>', 'the id of the channel, or its name')
    .addOption(dirOption())
    .action(async (channel: string, { dir }) => {
      await callNode(cli(), {
        dir,
        name: 'members',
        links: false,
        args: { channel },
        human: memberLine,
      });
    });
  example(command, 'conclave members --dir ./alice team');
}
