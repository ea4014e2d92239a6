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
import { passphraseFrom } from './passphrase.js';
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
  const passphrase = passphraseFrom(undefined, host.env);
  cli = { host, out, signal, log, passphrase, exitCode: EXIT.done };

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
  const command = (name: string | undefined): Command | undefined =>
    program.commands.find((one) => one.name() === name);
  const [first, asked] = argv;
  if (first === 'help' && asked !== undefined && !asked.startsWith('-') && !command(asked)) {
    throw usageError(`unknown command '${asked}'\n${SEE_HELP}`);
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    // What is written is wrong before what is not written is missing.
    const unknown = MISSING.has(error.code) ? unknownOption(command(first), argv) : undefined;
    if (unknown === undefined) throw usageError(complaint(error, text.complained, argv));
    throw usageError(`unknown option '${unknown}'${DASH_HINT}\nSee "conclave ${first} --help".`);
  }
}

const SEE_HELP = 'See "conclave --help".';
const DASH_HINT = '\nA text that begins with "-" goes after "--".';
const MISSING = new Set(['commander.missingMandatoryOptionValue', 'commander.missingArgument']);

function unknownOption(command: Command | undefined, argv: readonly string[]): string | undefined {
  if (!command) return undefined;
  const options = new Map(
    command.options.flatMap((one) => [
      [one.long, one],
      [one.short, one],
    ]),
  );
  for (let i = 1; i < argv.length && argv[i] !== '--'; i++) {
    const [name] = argv[i]!.split('=') as [string];
    if (!/^-./.test(name)) continue;
    const option = options.get(name);
    if (!option) return name;
    if (option.required && name === argv[i]) i++;
  }
  return undefined;
}

function complaint(error: CommanderError, complained: string, argv: readonly string[]): string {
  const text = (complained || error.message).trim().replace(/^error: /, '');
  const hint = error.code === 'commander.unknownOption' ? DASH_HINT : '';
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
