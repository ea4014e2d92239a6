/** `status` and `explain`: how things are, and how they came about. */

import type { Command } from 'commander';
import { type Cli, callNode } from '../cli.js';
import { explainLines } from '../explain-text.js';
import { nodeStatus } from '../human.js';
import { CHANNEL, dirOption, example } from './shared.js';

export function addStatus(program: Command, cli: () => Cli): void {
  const command = program
    .command('status')
    .summary('show how the node and its channels are')
    .description(
      'Shows one channel, or the node and all its channels: who is online, who leads, what is final, ' +
        'what waits, and for what.',
    )
    .argument('[channel]', CHANNEL)
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

export function addExplain(program: Command, cli: () => Cli): void {
  const command = program
    .command('explain')
    .summary('show what happened to a message')
    .description(
      'Shows what happened to one message, step by step, as the store of this node says: who made ' +
        'it, which leaders placed it and who acknowledged that, what merge brought it into the log, ' +
        'and who made it final, or what it waits for. Times are UTC.',
    )
    .argument('<channel>', CHANNEL)
    .argument('<id>', 'the id of the message, as "conclave send" and "conclave log --long" show it')
    .addOption(dirOption())
    .action(async (channel: string, id: string, { dir }) => {
      await callNode(cli(), {
        dir,
        name: 'explain',
        links: false,
        args: { channel, id },
        human: explainLines,
      });
    });
  example(command, 'conclave explain --dir ./alice team 01HZX3M5Q9V8T2K4B6N7P0R1SC');
}
