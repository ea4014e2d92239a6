/** Options that several commands share, and how their values are read. */

import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { HostAddress } from '../host.js';
import { printable } from '../printable.js';
import { parseSeconds } from '../when.js';

/** How every command's `<channel>` is named. */
export const CHANNEL = 'the channel: its name, or its id or the beginning of it, if only one fits';

/** A name as it is typed into a shell. */
export const shellWord = (text: string): string =>
  /^[\w.@%+=:,/-]+$/.test(text) ? printable(text) : `'${printable(text).replaceAll("'", "'\\''")}'`;

/** A parser of values for commander, which shows its errors as wrong usage. */
export function parser<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

export const dirOption = (): Option =>
  new Option(
    '--dir <dir>',
    "required: the node's directory, with its identity, its store and its control socket",
  )
    .makeOptionMandatory()
    .argParser((dir: string) => resolve(dir));

export function relayOption(description: string, isRequired = false): Option {
  const option = new Option('--relay <url>', `${description}; may be given several times`);
  if (!isRequired) option.default([], 'none');
  return option.argParser((url: string, urls: readonly string[] = []) => [...urls, url]);
}

export const timeoutOption = (): Option =>
  new Option(
    '--timeout <seconds>',
    'give up after so long (exit code 1, error code "timeout"; default: never)',
  ).argParser(parser(parseSeconds));

export const countOption = (flags: string, description: string, min: number, max?: number) =>
  new Option(flags, description).argParser(parser((text) => parseCount(text, min, max)));

function parseCount(text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= min && count <= max) return count;
  const to = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`;
  throw new Error(`give a whole number from ${min}${to}`);
}

export const addressOption = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(parser(parseAddress));

/** `host:port`, `[v6]:port`. */
function parseAddress(text: string): HostAddress {
  const [, v6, host = v6, digits = ''] =
    /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    throw new Error('give HOST:PORT, as 127.0.0.1:7420 or [::1]:7420');
  }
  return { host, port };
}

/** The last lines of a command's help. */
export const example = (command: Command, lines: string): Command =>
  command.addHelpText('after', `\nExample:\n${lines.replace(/^/gm, '  ')}`);
