/** `send`, `tail`, `log`, `dm` and `inbox`: messages, to a channel and in private. */

import { type Command, Option } from 'commander';
import { type Cli, callNode } from '../cli.js';
import { CALL_LINE_BYTES_MAX } from '../control-wire.js';
import { usageError } from '../errors.js';
import { entryLine, followedEntries, longEntryLine, privateLine, sentLine } from '../human.js';
import { readLines } from '../lines.js';
import { CHANNEL, countOption, dirOption, example, timeoutOption } from './shared.js';

const IN_CHANNEL = ['<channel>', CHANNEL] as const;
const LONG = [
  '--long',
  'with the place and the id of each entry, and those by which members agree who leads',
] as const;
/** A line of input, so that it also fits a line on the control socket, all escapes included. */
const INPUT_LINE_BYTES_MAX = Math.floor(CALL_LINE_BYTES_MAX / 8);

function checkText(text: string): void {
  if (text.trim() === '') throw usageError('the message is empty: say something');
}

async function* messagesFrom(cli: Cli): AsyncGenerator<string> {
  for await (const line of readLines(cli.host.stdin, INPUT_LINE_BYTES_MAX, cli.signal)) {
    if (line.trim() !== '') yield line;
  }
}

export function addSend(program: Command, cli: () => Cli): void {
  const command = program
    .command('send')
    .summary('post a message')
    .description(
      'Posts a message and returns when it has reached the state asked for. The text "-" reads ' +
        'messages from stdin, one a line, and posts them as they come. What is not sent when it ends ' +
        'stays queued. A text that begins with "-" goes after "--".',
    )
    .argument(...IN_CHANNEL)
    .argument('<text>', 'the message, or "-"')
    .addOption(dirOption())
    .addOption(
      new Option(
        '--until <state>',
        'committed: on most of those online; final: on most of the members',
      )
        .choices(['committed', 'final'])
        .default('committed'),
    )
    .addOption(timeoutOption())
    .action(async (channel: string, text: string, { dir, until, timeout }) => {
      const many = text === '-';
      checkText(text);
      await callNode(cli(), {
        dir,
        name: 'send',
        links: true,
        args: { channel, until, timeout, text: many ? undefined : text },
        human: sentLine,
        ...(many && { input: messagesFrom(cli()) }),
      });
    });
  example(
    command,
    'conclave send --dir ./alice team "hello, all"\nfortune | conclave send --dir ./alice team - --until final --timeout 30',
  );
}

export function addTail(program: Command, cli: () => Cli): void {
  const command = program
    .command('tail')
    .summary('show messages as they come')
    .description(
      'Shows the entries of a channel; with --follow, new ones as they come. Times are UTC.',
    )
    .argument(...IN_CHANNEL)
    .addOption(dirOption())
    .addOption(
      countOption('--from <seq>', 'begin at this place in the log (default: its beginning)', 0),
    )
    .option('--follow', 'go on until stopped')
    .option(...LONG)
    .action(async (channel: string, { dir, from, follow = false, long = false }) => {
      await callNode(cli(), {
        dir,
        name: 'tail',
        links: follow,
        args: { channel, from, follow },
        human: followedEntries(long ? longEntryLine : entryLine),
        endless: follow,
      });
    });
  example(command, 'conclave tail --dir ./alice team --follow');
}

export function addLog(program: Command, cli: () => Cli): void {
  const command = program
    .command('log')
    .summary('show the messages in the store')
    .description('Shows what the store holds of a channel, without asking anybody. Times are UTC.')
    .argument(...IN_CHANNEL)
    .addOption(dirOption())
    .addOption(
      countOption('--from <seq>', 'begin at this place in the log (default: its beginning)', 0),
    )
    .addOption(
      countOption(
        '--limit <n>',
        'only the last so many of the entries that are shown; with --from, the first so many from there on',
        1,
      ),
    )
    .option(...LONG)
    .action(async (channel: string, { dir, from, limit, long = false }) => {
      await callNode(cli(), {
        dir,
        name: 'log',
        links: false,
        args: { channel, from, limit, brief: !long && !cli().out.json },
        human: long ? longEntryLine : entryLine,
      });
    });
  example(
    command,
    'conclave log --dir ./alice team --limit 20\nconclave log --dir ./alice team --from 100 --limit 20 --long',
  );
}

export function addDm(program: Command, cli: () => Cli): void {
  const command = program
    .command('dm')
    .summary('send a private message')
    .description(
      'Sends a message that one user alone can read. It returns when a relay took it; with --until ' +
        'delivered, when the user has signed that it is in its store. A message to somebody who is away ' +
        'stays queued, and goes out while "conclave up" runs.',
    )
    .argument(
      '<user>',
      'the id of the user; of a member of a channel, its name or the beginning of its id',
    )
    .argument('<text>', 'the message')
    .addOption(dirOption())
    .addOption(
      new Option(
        '--until <state>',
        'stored: in the own store; sent: a relay took it; delivered: the user has it',
      )
        .choices(['stored', 'sent', 'delivered'])
        .default('sent'),
    )
    .addOption(timeoutOption())
    .action(async (user: string, text: string, { dir, until, timeout }) => {
      checkText(text);
      await callNode(cli(), {
        dir,
        name: 'dm',
        links: true,
        args: { user, text, until, timeout },
        human: privateLine,
      });
    });
  example(command, 'conclave dm --dir ./alice 3f…9a "psst" --until delivered --timeout 10');
}

export function addInbox(program: Command, cli: () => Cli): void {
  const command = program
    .command('inbox')
    .summary('show private messages')
    .description('Shows private messages, of everybody or with one user. Times are UTC.')
    .argument('[user]', 'the id of a user, or a name, as for "conclave dm"')
    .addOption(dirOption())
    .option('--follow', 'go on until stopped')
    .action(async (user: string | undefined, { dir, follow = false }) => {
      await callNode(cli(), {
        dir,
        name: 'inbox',
        links: follow,
        args: { user, follow },
        human: privateLine,
        endless: follow,
      });
    });
  example(command, 'conclave inbox --dir ./alice --follow');
}
