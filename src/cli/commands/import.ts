/** `import`: posts the messages of chat logs. */

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Cli, withSession } from '../cli.js';
import { type IrcFile, openIrcFile } from '../irc-file.js';
import { printable } from '../printable.js';
import type { Session } from '../session.js';
import { formatTime } from '../when.js';
import { CHANNEL, dirOption, example } from './shared.js';

export function addImport(program: Command, cli: () => Cli): void {
  const command = program
    .command('import')
    .summary('post the lines of a chat log')
    .description(
      'Posts the messages of IRC logs ("[HH:MM] <nick> text", gzip or not), each with its nick and its ' +
        'time; an action becomes "/me text", a line too long for one message several. The day is the ' +
        "one in the file's name (2010-01-31…), else that of its last change; times are UTC. Can be " +
        'stopped and started again: what a file with the same content brought once, it never brings ' +
        'again. Returns when the messages are in the store; they go out while the node is up.',
    )
    .argument('<channel>', CHANNEL)
    .argument('[files...]', 'more such logs, as a shell lists them: --irc 2010-*.log.gz')
    .addOption(dirOption())
    .addOption(
      new Option('--irc <file>', 'required: an IRC log; may be given several times')
        .argParser((file: string, files: readonly string[] = []) => [...files, file])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--until <state>', 'what to wait for')
        .choices(['stored', 'committed'])
        .default('stored'),
    )
    .action(async (channel: string, more: readonly string[], { dir, irc, until }) => {
      const paths = [...irc, ...more].map((path: string) => resolve(path));
      await withSession(cli(), { dir, links: true }, async (session) => {
        for (const path of paths) await importFile(cli(), session, path, { channel, until });
      });
    });
  example(command, 'conclave import --dir ./alice team --irc 2010-01-31.log.gz');
}

async function importFile(
  { out, signal }: Cli,
  session: Session,
  path: string,
  args: { readonly channel: string; readonly until: string },
): Promise<void> {
  const file = await openIrcFile(path, signal);
  const { counts, hash, dayInName, day_ms } = file;
  if (!dayInName) {
    const day = formatTime(day_ms).slice(0, 10);
    out.note(`${path}: no date in the name, so the day of its last change is taken: ${day}`);
  }
  await session.call(
    'import',
    { ...args, source: `sha256:${hash}`, total: counts.messages },
    {
      input: file.messages(signal),
      progress: out.progress,
      signal,
      emit: ({ imported, skipped, queued }) => {
        const { system, other } = counts;
        const result = { file: path, imported, skipped, system, other, queued };
        return out.result(result, importLine(file, result));
      },
    },
  );
}

function importLine({ path }: IrcFile, result: Readonly<Record<string, unknown>>): string {
  const { imported, skipped, system, other, queued } = result;
  const counts = `${imported} imported, ${skipped} known already, ${system} system lines, ${other} other lines`;
  const next = Number(queued) > 0 ? `; ${queued} wait to go out: keep "conclave up" running` : '';
  return `${printable(path)}: ${counts}${next}`;
}
