/**
 * A run takes one step after the other and would keep a process to itself. With a `signal` or
 * `onProgress` it lets others run now and then, in real time alone: nothing of the run
 * depends on it.
 */

import { setImmediate } from 'node:timers/promises';
import { ConclaveError } from '../core/errors.js';
import type { Millis } from '../core/ids.js';

export interface PauseOptions {
  /** Ends the run: it rejects with `aborted`. */
  readonly signal?: AbortSignal;
  /** Called now and then with the virtual time. */
  readonly onProgress?: (at: Millis) => void;
}

/** A few ms of work. */
const EVENTS_BETWEEN = 256;

/** To be called after each event: there may be something to wait for. */
export type Pause = (now: Millis) => Promise<void> | undefined;

export function pauses({ signal, onProgress }: PauseOptions): Pause | undefined {
  if (!signal && !onProgress) return undefined;
  let events = 0;
  return (now) => {
    if (++events % EVENTS_BETWEEN !== 0) return undefined;
    onProgress?.(now);
    return pause(signal);
  };
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  if (signal?.aborted) {
    throw new ConclaveError('aborted', 'the run was given up', { cause: signal.reason });
  }
}
