/** `members`, `leave`, `remove`, `role` and `rotate`: who is in a channel, as what, and under which key. */

import { type Command, InvalidArgumentError } from 'commander';
import { type Cli, callNode } from '../cli.js';
import { memberLine, openInviteLines, userText, warningLines } from '../human.js';
import { printable } from '../printable.js';
import { CHANNEL, dirOption, example, shellWord, timeoutOption } from './shared.js';

const USER = 'the member: its name, or its id or the beginning of it, if only one fits';

export function addMembers(program: Command, cli: () => Cli): void {
  const command = program
    .command('members')
    .summary('show who is in a channel')
    .description(
      'Shows the members of a channel, their roles and their ids. Who is online is known only while the ' +
        'node is up.',
    )
    .argument('<channel>', CHANNEL)
    .addOption(dirOption())
    .option('--former', 'also those who left, were removed or were replaced by another key')
    .action(async (channel: string, { dir, former = false }) => {
      await callNode(cli(), {
        dir,
        name: 'members',
        links: false,
        args: { channel, former },
        human: memberLine,
      });
    });
  example(command, 'conclave members --dir ./alice team --former');
}

export function addLeave(program: Command, cli: () => Cli): void {
  const command = program
    .command('leave')
    .summary('end your own membership')
    .description(
      'Leaves a channel. Returns when that is final and the others know. What this node holds of the ' +
        'channel stays readable; any new invitation leads back. A founder first makes another member an ' +
        'admin, with "conclave role".',
    )
    .argument('<channel>', CHANNEL)
    .addOption(dirOption())
    .addOption(timeoutOption())
    .action(async (channel: string, { dir, timeout }) => {
      await callNode(cli(), {
        dir,
        name: 'leave',
        links: true,
        args: { channel, timeout },
        human: (result, paint) =>
          [`left ${printable(channel)}`, ...warningLines(result, paint)].join('\n'),
      });
    });
  example(command, 'conclave leave --dir ./bob team');
}

export function addRemove(program: Command, cli: () => Cli): void {
  const command = program
    .command('remove')
    .summary('remove a member')
    .description(
      'Removes a member: the founder anyone else, an admin whoever is none. Returns when that is final, ' +
        'and there is a key that the member does not have. ' +
        'The member keeps what it has and gets nothing later; only "conclave invite --for" brings it back. ' +
        'Says which invitations are still open, since who has one can come in under another identity.',
    )
    .argument('<channel>', CHANNEL)
    .argument('<user>', USER)
    .addOption(dirOption())
    .addOption(timeoutOption())
    .action(async (channel: string, user: string, { dir, timeout }) => {
      await callNode(cli(), {
        dir,
        name: 'remove',
        links: true,
        args: { channel, user, timeout },
        human: (result, paint) =>
          [
            `removed ${userText(result)}`,
            ...warningLines(result, paint),
            ...openInviteLines(result, `conclave invite --dir ${dir} ${shellWord(channel)}`, paint),
          ].join('\n'),
      });
    });
  example(command, 'conclave remove --dir ./alice team bob');
}

export function addRole(program: Command, cli: () => Cli): void {
  const command = program
    .command('role')
    .summary('make a member an admin, or a plain member again')
    .description(
      'Gives a member a role. An admin invites, removes plain members and changes the relays. The ' +
        'founder gives and takes roles, or any admin once the founder has left; an admin may lay down ' +
        'its own, and its open invitations end. Returns when that is final.',
    )
    .argument('<channel>', CHANNEL)
    .argument('<user>', USER)
    .argument('<role>', '"admin" or "member"', parseRole)
    .addOption(dirOption())
    .addOption(timeoutOption())
    .action(async (channel: string, user: string, role: string, { dir, timeout }) => {
      await callNode(cli(), {
        dir,
        name: 'role',
        links: true,
        args: { channel, user, role, timeout },
        human: (result) =>
          `${userText(result)} is ${role === 'admin' ? 'an admin' : 'a plain member'}`,
      });
    });
  example(command, 'conclave role --dir ./alice team bob admin');
}

export function addRotate(program: Command, cli: () => Cli): void {
  const command = program
    .command('rotate')
    .summary('replace the key that messages are encrypted under')
    .description(
      'Makes a new key for all members, and returns when that is final: what is written from then on, ' +
        'who has only the old key can not read. Each change of the members does the same by itself.',
    )
    .argument('<channel>', CHANNEL)
    .addOption(dirOption())
    .addOption(timeoutOption())
    .action(async (channel: string, { dir, timeout }) => {
      await callNode(cli(), {
        dir,
        name: 'rotate',
        links: true,
        args: { channel, timeout },
        human: () => `${printable(channel)} has a new key`,
      });
    });
  example(command, 'conclave rotate --dir ./alice team');
}

function parseRole(text: string): string {
  if (text === 'admin' || text === 'member') return text;
  throw new InvalidArgumentError('say "admin" or "member"');
}
