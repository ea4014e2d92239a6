/**
 * `run` is the whole command line but for the process: arguments in, exit code
 * out. It throws nothing.
 */

import { type Command, CommanderError } from 'commander';
import { ConclaveError } from '../core/errors.js';
import { type Arranged, commandFirst } from './arguments.js';
import type { Cli } from './cli.js';
import { asConclaveError, EXIT, exitCode, interruptionOf, isAbort, usageError } from './errors.js';
import type { Host, Interruption } from './host.js';
import { createLogger } from './log.js';
import { createOutput, type Output } from './output.js';
import { buildProgram, takesValue } from './program.js';
import { version } from './version.js';

export async function run(argv: readonly string[], host: Host): Promise<number> {
  const text = { written: '', complained: '' };
  let cli: Cli | undefined;
  const program = buildProgram({
    version,
    write: (part) => {
      text.written += part;
    },
    complain: (part) => {
      text.complained += part;
    },
    cli: () => cli!,
  });
  const arranged = commandFirst(argv, (option) => takesValue(program, option));
  const unread = new AbortController();
  const out = createOutput(host, arranged.json, () => unread.abort());
  const signal = AbortSignal.any([host.signal, unread.signal]);
  const log = createLogger(host.stderr, logLevel(arranged));
  cli = { host, out, signal, log, exitCode: EXIT.done };

  let code: number;
  try {
    await parse(program, arranged.argv, text);
    code = cli.exitCode;
    if (text.written !== '') await showText(out, text.written);
  } catch (error) {
    // Nobody reads what is said now.
    code = unread.signal.aborted
      ? EXIT.done
      : await fail(error, cli, SERVICES.has(arranged.command ?? ''));
  }
  await out.flush();
  return code;
}

/** Run until they are stopped, so that a signal is their proper end. */
const SERVICES = new Set(['relay', 'up']);

function logLevel({ verbose, command = '' }: Arranged): 'debug' | 'warn' | 'error' {
  if (verbose) return 'debug';
  return SERVICES.has(command) ? 'warn' : 'error';
}

async function parse(
  program: Command,
  argv: readonly string[],
  text: { readonly complained: string },
): Promise<void> {
  if (argv.every((arg) => arg === '--json' || arg === '--verbose')) {
    throw usageError('say what to do: "conclave --help" lists the commands');
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(complaint(error, text.complained, argv));
  }
}

function complaint(error: CommanderError, complained: string, argv: readonly string[]): string {
  const text = (complained || error.message).trim().replace(/^error: /, '');
  const hint =
    error.code === 'commander.unknownOption'
      ? '\nA text that begins with "-" goes after "--".'
      : '';
  const known = error.code !== 'commander.unknownCommand' && !argv[0]!.startsWith('-');
  return `${text}${hint}\nSee "conclave ${known ? `${argv[0]} ` : ''}--help".`;
}

async function showText(out: Output, text: string): Promise<void> {
  if (out.json) await out.result({ text }, undefined);
  else await out.raw(text);
}

async function fail(thrown: unknown, { out, log, host }: Cli, service: boolean): Promise<number> {
  const error = asConclaveError(thrown);
  const interruption = isAbort(error) ? interruptionOf(host.signal) : undefined;
  if (interruption && service) return EXIT.done;
  if (error.code === 'internal') log.error({ err: thrown }, 'unexpected failure');
  else log.debug({ err: thrown }, 'the command failed');
  await out.error(interruption ? stopped(interruption) : error).catch(() => {});
  return exitCode(error, interruption);
}

const stopped = ({ message }: Interruption): ConclaveError =>
  new ConclaveError('interrupted', `${message} before it was done`);
