/**
 * The demo waits for what it observes, never for time to pass: every wait says
 * what for, and fails when that takes too long.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { ConclaveError } from '../../core/errors.js';
import { aborted } from '../errors.js';

const POLL_MS = 50;

export const demoFailed = (message: string): ConclaveError =>
  new ConclaveError('demo_failed', message);

export interface Wait {
  /** Completes "waited … s for …". */
  readonly what: string;
  readonly limit_s: number;
  readonly signal: AbortSignal;
}

/** Undefined or false: not yet. */
export type Probe<T> = (
  signal: AbortSignal,
) => T | undefined | false | Promise<T | undefined | false>;

/** The first result of `probe`, whose signal is aborted when time is up. Throws `demo_failed`. */
export async function until<T>({ what, limit_s, signal }: Wait, probe: Probe<T>): Promise<T> {
  const late = AbortSignal.timeout(limit_s * 1_000);
  const either = AbortSignal.any([signal, late]);
  try {
    for (;;) {
      const result = await probe(either);
      if (result !== undefined && result !== false) return result;
      await pause(POLL_MS, either);
    }
  } catch (error) {
    if (signal.aborted) throw aborted(signal);
    if (late.aborted) throw demoFailed(`waited ${limit_s} s for ${what}, in vain`);
    throw error;
  }
}

/** Throws what `aborted` says when `signal` is. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    throw aborted(signal);
  });
}
