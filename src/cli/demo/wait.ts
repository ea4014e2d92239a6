/**
 * The demo waits for what it observes, never for time to pass: every wait says
 * what for, and fails when that takes too long.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { ConclaveError } from '../../core/errors.js';
import { aborted } from '../errors.js';

const POLL_MS = 50;

export const demoFailed = (message: string, cause?: unknown): ConclaveError =>
  new ConclaveError('demo_failed', message, { cause });

export interface Wait {
  /** Completes "waited … s for …". */
  readonly what: string;
  readonly limit_s: number;
  readonly signal: AbortSignal;
}

/** The first result of `probe` that is not undefined or false. Throws `demo_failed`. */
export async function until<T>(
  { what, limit_s, signal }: Wait,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + limit_s * 1_000;
  for (;;) {
    if (signal.aborted) throw aborted(signal);
    const late = performance.now() >= deadline;
    const result = await probe();
    if (result !== undefined && result !== false) return result;
    if (late) throw demoFailed(`waited ${limit_s} s for ${what}, in vain`);
    await pause(POLL_MS, signal);
  }
}

/** Throws what `aborted` says when `signal` is. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    throw aborted(signal);
  });
}
