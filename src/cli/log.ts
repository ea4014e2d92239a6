/**
 * The program's log: pino's JSON lines on stderr. What runs until it is stopped
 * logs warnings; a command that is done soon says itself what is wrong, and logs
 * only its own defects; `--verbose` shows everything. A stderr that nobody reads
 * costs lines, never memory.
 */

import { type Logger, pino } from 'pino';
import type { Terminal } from './host.js';

const PENDING_BYTES_MAX = 1_048_576;

export function createLogger(stderr: Terminal, level: 'debug' | 'warn' | 'error'): Logger {
  const write = (line: string): void => {
    if (stderr.writable && stderr.writableLength < PENDING_BYTES_MAX) stderr.write(line);
  };
  const serializers = { err: pino.stdSerializers.err, error: pino.stdSerializers.err };
  return pino({ level, base: null, serializers }, { write });
}
