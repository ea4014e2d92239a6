/**
 * The program's log on stderr: pino's JSON lines, or on a terminal lines for people. What runs until it is stopped
 * logs warnings; a command that is done soon says itself what is wrong, and logs
 * only its own defects; `--verbose` shows everything. A stderr that nobody reads
 * costs lines, never memory.
 */

import { type Logger, pino } from 'pino';
import type { Terminal } from './host.js';
import { printable } from './printable.js';
import { formatSeconds } from './when.js';

const PENDING_BYTES_MAX = 1_048_576;

export function createLogger(stderr: Terminal, level: 'debug' | 'warn' | 'error'): Logger {
  const isRead = stderr.isTTY === true;
  const write = (line: string): void => {
    if (!stderr.writable || stderr.writableLength >= PENDING_BYTES_MAX) return;
    stderr.write(isRead ? forPeople(line) : line);
  };
  const serializers = { err: pino.stdSerializers.err, error: pino.stdSerializers.err };
  return pino({ level, base: null, serializers }, { write });
}

/** `10:11:12 warning: no link to the relay: … (relay conclave://…)`. */
function forPeople(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const what = Number(level) >= ERROR ? 'error: ' : Number(level) >= WARN ? 'warning: ' : '';
  const told = Object.entries(fields).map(([name, value]) => `${name} ${textOf(value)}`);
  const about = told.length > 0 ? ` (${told.join(', ')})` : '';
  const at = formatSeconds(Number(time)).slice(-SECONDS_CHARS);
  return `${at} ${what}${printable(String(msg))}${printable(about)}\n`;
}

const { warn: WARN, error: ERROR } = pino.levels.values as { warn: number; error: number };
const SECONDS_CHARS = '10:11:12'.length;

const textOf = (value: unknown): string => {
  const { message } = (value ?? {}) as { readonly message?: unknown };
  if (typeof message === 'string') return message;
  return typeof value === 'string' ? value : JSON.stringify(value);
};
