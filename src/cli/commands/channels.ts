/** `create`, `invite`, `join` and `relays`: channels, and who and what they consist of. */

import { type Command, Option } from 'commander';
import { MIN_ONLINE_ARCHIVE } from '../../core/limits.js';
import { type Cli, callNode } from '../cli.js';
import { usageError } from '../errors.js';
import { inviteLine, relayLine, userText, warningLines } from '../human.js';
import type { Json } from '../output.js';
import { printable } from '../printable.js';
import { parseExpiry } from '../when.js';
import {
  CHANNEL,
  countOption,
  dirOption,
  example,
  relayOption,
  shellWord,
  timeoutOption,
} from './shared.js';

export function addCreate(program: Command, cli: () => Cli): void {
  const command = program
    .command('create')
    .summary('make a channel')
    .description(
      'Makes a channel with you as its founder. Messages are placed in it once --min-online members ' +
        'are online; until then they queue. Relays are those of its members, one at least.',
    )
    .argument('<name>', 'the name of the channel, which only members see')
    .addOption(dirOption())
    .addOption(relayOption('required: a relay of the channel, as "conclave relay" prints it', true))
    .addOption(
      countOption(
        '--min-online <n>',
        'members that must be online for messages to be placed (default: 3); 2 counts while an archive ' +
          'is a member, else 3',
        1,
      ),
    )
    .addOption(
      new Option(
        '--few <policy>',
        '"always": a --min-online of 1 or 2 counts without an archive too (default: "archive")',
      ).choices(['archive', 'always']),
    )
    .addOption(
      new Option(
        '--quorum <policy>',
        '"roster": a message is committed only when it is final (default: "online")',
      ).choices(['online', 'roster']),
    )
    .addOption(
      new Option(
        '--history <policy>',
        '"joined": who joins reads only what is written from then on (default: "all")',
      ).choices(['all', 'joined']),
    )
    .action(async (name: string, { dir, relay = [], minOnline, few, quorum, history }) => {
      if (relay.length === 0) {
        throw usageError(
          'a channel needs a relay: give --relay URL, as "conclave relay" prints it',
        );
      }
      const needsArchive = minOnline === MIN_ONLINE_ARCHIVE && few !== 'always';
      const invite = `conclave invite --dir ${dir} ${shellWord(name)}`;
      await callNode(cli(), {
        dir,
        name: 'create',
        links: true,
        args: { name, relays: relay, minOnline, few, quorum, history },
        human: (result, paint) => {
          const made = `${paint('bold', printable(name))}  ${result.channel}`;
          const next = [
            `Next: ${invite}   invites a member`,
            ...(needsArchive ? [`      ${invite} --archive   invites an archive`] : []),
          ];
          return [made, ...warningLines(result, paint), ...next].join('\n');
        },
      });
    });
  example(command, 'conclave create --dir ./alice --relay conclave://KEY@127.0.0.1:7420 team');
}

export function addInvite(program: Command, cli: () => Cli): void {
  const command = program
    .command('invite')
    .summary('make, or revoke, an invitation')
    .description(
      'Makes an invitation: one string, to be handed over in private, since who has it can join. ' +
        'Returns when it is final. --list shows those that are open, --revoke ends one.',
    )
    .argument('<channel>', CHANNEL)
    .addOption(dirOption())
    .addOption(countOption('--uses <n>', 'how many may join with it (default: 1)', 1))
    .option('--expires <when>', 'until when it is good: 30m, 12h, 7d, or a date as 2030-01-31')
    .option(
      '--for <user>',
      'the one user that may join with it, needed to bring back who was removed: the whole id, or of ' +
        'who was a member the name or the beginning of the id',
    )
    .option(
      '--archive',
      "for an archive, which stores and never reads, and nobody else; does not say the channel's name",
    )
    .option(
      '--revoke <invite>',
      'revoke this invitation instead: the string, or the id that --list shows or its beginning',
    )
    .option('--list', 'show the invitations that are open instead')
    .addOption(timeoutOption())
    .action(
      async (
        channel: string,
        { dir, uses, expires, for: user, archive, revoke, list, timeout },
      ) => {
        const { host, out } = cli();
        const until = expires === undefined ? undefined : parseExpiry(expires, host.now());
        const instead = revoke !== undefined ? '--revoke' : list === true ? '--list' : undefined;
        if (instead !== undefined && (uses ?? until ?? user ?? archive) !== undefined) {
          throw usageError(`${instead} goes without --uses, --expires, --for and --archive`);
        }
        if (revoke !== undefined && list) throw usageError('--revoke goes without --list');
        if (user !== undefined && (uses ?? 1) !== 1) {
          throw usageError('an invitation --for one user has one use');
        }
        if (list === true) {
          const args = { channel };
          await callNode(cli(), { dir, name: 'invites', links: false, args, human: inviteLine });
          return;
        }
        await callNode(cli(), {
          dir,
          name: 'invite',
          links: true,
          args: { channel, uses, expires: until, for: user, archive, revoke, timeout },
          human: ({ invite }) => (revoke === undefined ? printable(String(invite)) : 'revoked'),
          // Beside the string, which may be captured.
          seen: ({ for: whom }) => {
            if (whom && !out.json) out.note(`It is for ${userText(whom as Json)} alone:`);
          },
        });
      },
    );
  example(
    command,
    'conclave invite --dir ./alice team --uses 5 --expires 7d\nconclave invite --dir ./alice team --archive',
  );
}

export function addJoin(program: Command, cli: () => Cli): void {
  const command = program
    .command('join')
    .summary('become a member of a channel')
    .description(
      'Joins the channel of an invitation. Returns when the membership is final, for which a member ' +
        'must be up. Can be stopped and started again.',
    )
    .argument('<invite>', 'what "conclave invite" printed')
    .addOption(dirOption())
    .addOption(relayOption('from now on reach the relay with the key in <url> at its address'))
    .option('--archive', 'as an archive: for good, this node reads nothing of the channel')
    .addOption(timeoutOption())
    .action(async (invite: string, { dir, relay, archive, timeout }) => {
      await callNode(cli(), {
        dir,
        name: 'join',
        links: true,
        args: { invite, relays: relay, archive, timeout },
        human: ({ channel }) =>
          `joined ${channel}\nNext, unless it is up: conclave up --dir ${dir}${archive ? ' --archive' : ''}`,
      });
    });
  example(
    command,
    'conclave join --dir ./bob conclave-invite.AAAA…\nconclave join --dir ./archive --archive conclave-invite.AAAA…',
  );
}

export function addRelays(program: Command, cli: () => Cli): void {
  const command = program
    .command('relays')
    .summary('show or change the relays of a channel')
    .description(
      'Lists the channel\'s relays; "add" and "remove" change them for all members, and return when ' +
        'that is final. --relay changes only the address under which this node reaches a relay.',
    )
    .argument('<channel>', CHANNEL)
    .argument('[action]', '"add" or "remove"')
    .argument('[url]', 'the relay to add or remove')
    .addOption(dirOption())
    .addOption(relayOption('from now on reach the relay with the key in <url> at its address'))
    .addOption(timeoutOption())
    .action(async (channel: string, action, url, { dir, relay, timeout }) => {
      if (action !== undefined && action !== 'add' && action !== 'remove') {
        throw usageError(`"${action}" is not known here: say "add URL", "remove URL" or nothing`);
      }
      if (action !== undefined && url === undefined) throw usageError(`say which: ${action} URL`);
      await callNode(cli(), {
        dir,
        name: 'relays',
        links: action !== undefined,
        args: { channel, action, url, overrides: relay, timeout },
        human: relayLine,
      });
    });
  example(
    command,
    'conclave relays --dir ./alice team\nconclave relays --dir ./alice team add conclave://KEY@relay.example:7420',
  );
}
