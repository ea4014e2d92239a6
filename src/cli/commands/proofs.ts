/** `prove` and `check-proof`: showing to others what is final. */

import { access, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ConclaveError } from '../../core/errors.js';
import { channelId } from '../../core/ids.js';
import { fileExists, writeWhole } from '../atomic-file.js';
import { type Cli, withSession } from '../cli.js';
import { usageError } from '../errors.js';
import type { Args } from '../io.js';
import type { Json } from '../output.js';
import { printable } from '../printable.js';
import { proofLines } from '../proof-text.js';
import { CHANNEL, dirOption, example, parser } from './shared.js';

export function addProve(program: Command, cli: () => Cli): void {
  const command = program
    .command('prove')
    .summary('write a proof that a message is final, or that a member misbehaved')
    .description(
      'Writes a proof, as text, that a message is final, with which anybody can check that: it has ' +
        'the message, every change of membership since the channel began, and the signatures of more ' +
        'than half of its voters. Whoever has it can read all that, the text of this one message ' +
        'included, unless --without-text is given; no other message can be read with it. With ' +
        '--misbehaviour it writes one that a member signed two things that contradict each other, as ' +
        '"conclave status" says.',
    )
    .argument('<channel>', CHANNEL)
    .argument(
      '[message]',
      'the id of the message, as "conclave send" and "conclave log --long" show it, or its digest',
    )
    .addOption(dirOption())
    .option(
      '--misbehaviour <user>',
      'prove what this user did, not a message: a name, or an id or its beginning',
    )
    .option('--without-text', 'leave the text of the message encrypted: the proof does not show it')
    .option('--out <file>', 'the file to write (default: stdout)')
    .option('--force', 'replace a file of that name')
    .action((channel: string, id: string | undefined, options: ProveCommandOptions) => {
      const { misbehaviour, withoutText } = options;
      if ((id === undefined) === (misbehaviour === undefined)) {
        throw usageError('name a message, or a user with --misbehaviour');
      }
      if (misbehaviour !== undefined && withoutText) {
        throw usageError('--without-text goes with a message, not with --misbehaviour');
      }
      return runProve(cli(), { channel, id, misbehaviour, withoutText }, options);
    });
  example(
    command,
    'conclave prove --dir ./alice team 01HZX3M5Q9V8T2K4B6N7P0R1SC --out hello.proof\nconclave check-proof hello.proof',
  );
}

interface ProveCommandOptions {
  readonly dir: string;
  readonly misbehaviour?: string;
  readonly withoutText?: true;
  readonly out?: string;
  readonly force?: true;
}

async function runProve(cli: Cli, what: Args, options: ProveCommandOptions): Promise<void> {
  const { out, signal } = cli;
  const { dir, out: path, force = false } = options;
  const file = path === undefined ? undefined : resolve(path);
  if (file !== undefined && !force && (await isThere(file))) throw fileExists(file);
  const emit = async (result: Json): Promise<void> => {
    const proof = String(result.proof);
    const told = toldOf(result, options.withoutText === true);
    if (file === undefined) {
      if (out.json) return out.result(result, undefined);
      if (told !== undefined) out.note(told);
      return out.raw(proof);
    }
    await writeWhole(file, proof, { replace: force });
    const { proof: _, ...rest } = result;
    const lines = [`${printable(file)}: check it with "conclave check-proof FILE"`, told];
    await out.result({ ...rest, file }, lines.filter((line) => line !== undefined).join('\n'));
  };
  await withSession(cli, { dir, links: false }, (session) =>
    session.call('prove', what, { emit, progress: out.progress, signal }),
  );
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Who hands a proof over must know what it gives away. */
function toldOf({ id, showsText }: Json, isAsked: boolean): string | undefined {
  if (id === undefined) return undefined;
  if (showsText === true) {
    return 'It shows the text of this message to whoever has it; --without-text leaves it encrypted';
  }
  return isAsked
    ? 'It does not show the text'
    : 'It does not show the text: there is none, or this node has no key for it';
}

export function addCheckProof(program: Command, cli: () => Cli): void {
  const command = program
    .command('check-proof')
    .summary('check a proof that somebody made')
    .description(
      'Checks a proof that "conclave prove" wrote, and shows what it proves, the text of the message ' +
        'where the proof opens it. Needs no node, no store and no network. It proves something of the channel that it names: anybody can found another, ' +
        'so compare the id with the one that you know, or give it with --channel.',
    )
    .argument('<file>', 'the proof, or "-" for stdin')
    .option(
      '--channel <id>',
      'fail unless the proof is of this channel',
      parser((text) => channelId(text)),
    )
    .action((file: string, { channel }) => checkFile(cli(), file, channel));
  example(command, 'conclave check-proof hello.proof');
}

async function checkFile(
  { host, out }: Cli,
  path: string,
  channel: string | undefined,
): Promise<void> {
  const { checkProof, PROOF_FILE_BYTES_MAX } = await import('../../node/proof-file.js');
  const file =
    path === '-' ? undefined : await open(path).catch((cause: Error) => cannotRead(path, cause));
  try {
    const text = await readUpTo(
      file?.createReadStream() ?? host.stdin,
      PROOF_FILE_BYTES_MAX + 1,
      path,
    );
    const checked = checkProof(text);
    if (channel !== undefined && checked.channel !== channel) {
      throw new ConclaveError(
        'other_channel',
        `the proof holds, but it is of the channel ${checked.channel}, not ${channel}`,
      );
    }
    const result = { ok: true, ...checked };
    await out.result(result, proofLines(result, out.paint));
  } finally {
    await file?.close();
  }
}

function cannotRead(path: string, cause: Error): never {
  throw new ConclaveError('cannot_read', `${path} can't be read: ${cause.message}`, { cause });
}

/** No more than `bytesMax` of a file: what is longer is no proof. */
async function readUpTo(
  from: AsyncIterable<Uint8Array>,
  bytesMax: number,
  path: string,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of from) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= bytesMax) break;
    }
  } catch (error) {
    cannotRead(path, error as Error);
  }
  return Buffer.concat(chunks).toString('latin1');
}
