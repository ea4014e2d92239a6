/**
 * How a command ends: any failure as a `ConclaveError`, and its exit code
 * (0 done, 1 failed, 2 wrong usage, 128 + n interrupted by signal n). Usage is
 * wrong where no node could ever carry out what was typed: an option or argument
 * too many, missing, or not of its form. What fails for what a node holds, or
 * for what is in a file, has failed.
 */

import { constants } from 'node:os';
import { ConclaveError } from '../core/errors.js';
import { Interruption } from './host.js';

export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

export const usageError = (message: string): ConclaveError => new ConclaveError('usage', message);

export function interruptionOf(signal: AbortSignal): Interruption | undefined {
  return signal.aborted && signal.reason instanceof Interruption ? signal.reason : undefined;
}

/** What is thrown of an argument that is not of its form, besides `usage`. */
const MALFORMED = new Set([
  ...['usage', 'bad_id', 'bad_user', 'bad_name', 'bad_text', 'bad_time', 'bad_role', 'bad_limit'],
  ...['bad_invite', 'bad_invite_options', 'bad_replace_request'],
  ...['bad_policy', 'bad_relays', 'bad_relay_url'],
]);

const ABORTS = new Set(['interrupted', 'aborted', 'closed']);

/** Whether something ended because it was given up, and not because it failed. */
export const isAbort = ({ code }: ConclaveError): boolean => ABORTS.has(code);

export function asConclaveError(error: unknown): ConclaveError {
  if (error instanceof ConclaveError) return error;
  const { code, name, message = String(error) } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') return new ConclaveError('aborted', message, { cause: error });
  if (typeof code === 'string' && code in constants.errno) {
    return new ConclaveError('io', `${message}`, { cause: error });
  }
  return new ConclaveError(
    'internal',
    `unexpected failure: ${message}. Please report it, with what --verbose shows`,
    { cause: error },
  );
}

export function exitCode(error: ConclaveError, interruption: Interruption | undefined): number {
  if (interruption) return 128 + (constants.signals[interruption.signal] ?? 0);
  return MALFORMED.has(error.code) ? EXIT.usage : EXIT.failed;
}

/** Codes that tell a script apart from bugs; anything thrown by an abort is one of these. */
export const aborted = (signal: AbortSignal): ConclaveError => {
  const interruption = interruptionOf(signal);
  if (interruption) return new ConclaveError('interrupted', `${interruption.message}`);
  if (signal.reason instanceof ConclaveError) return signal.reason;
  return new ConclaveError('aborted', 'given up');
};
