/** `export`: writes a channel to a file, or to stdout. */

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { atomicFile } from '../atomic-file.js';
import { type Cli, withSession } from '../cli.js';
import { usageError } from '../errors.js';
import { exportFormats, FORMATS, type Format } from '../export-formats.js';
import type { Json } from '../output.js';
import { printable } from '../printable.js';
import { CHANNEL, dirOption, example } from './shared.js';

interface ExportOptions {
  readonly dir: string;
  readonly format: Format;
  readonly out?: string;
}

export function addExport(program: Command, cli: () => Cli): void {
  const command = program
    .command('export')
    .summary('write a channel to a file')
    .description(
      'Writes what the store holds of a channel: jsonl has every entry as "log --json" prints it; irc ' +
        'and html have the messages. Times are UTC. A file appears only when it is complete.',
    )
    .argument('<channel>', CHANNEL)
    .addOption(dirOption())
    .addOption(
      new Option('--format <format>', 'required: of the file')
        .choices(FORMATS)
        .makeOptionMandatory(),
    )
    .option('--out <file>', 'the file to write (default: stdout)')
    .action((channel: string, options: ExportOptions) => runExport(cli(), channel, options));
  example(command, 'conclave export --dir ./alice team --format html --out team.html');
}

async function runExport(cli: Cli, channel: string, options: ExportOptions): Promise<void> {
  const { out } = cli;
  const { dir, format, out: path } = options;
  if (path === undefined) {
    if (out.json && format !== 'jsonl') {
      throw usageError(`--json with --format ${format} needs --out FILE`);
    }
    await exportTo(cli, channel, options, out.raw);
    return;
  }
  const target = resolve(path);
  const file = await atomicFile(target);
  try {
    const entries = await exportTo(cli, channel, { dir, format }, file.write);
    await file.commit();
    await out.result({ file: target, format, entries }, `${printable(target)}: ${entries} entries`);
  } finally {
    await file.close();
  }
}

/** Returns how many entries the file shows. */
async function exportTo(
  cli: Cli,
  channel: string,
  { dir, format }: Pick<ExportOptions, 'dir' | 'format'>,
  write: (text: string) => Promise<void>,
): Promise<number> {
  const { out, signal } = cli;
  const { start, entry, end } = exportFormats[format]();
  const { progress } = out;
  let entries = 0;
  const emit = async (result: Json): Promise<void> => {
    if (result.event === 'export') {
      await write(start({ channel: String(result.channel), name: String(result.name) }));
    }
    const text = 'kind' in result ? entry(result) : '';
    if (text === '') return;
    entries++;
    await write(text);
    progress({ what: 'entries written', done: entries });
  };
  await withSession(cli, { dir, links: false }, (session) =>
    session.call('export', { channel }, { emit, progress, signal }),
  );
  await write(end());
  return entries;
}
