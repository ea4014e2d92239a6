/**
 * Waiting for something that changes: look, and if it is not there yet wait for
 * the next change and look again. `version` makes that safe over awaits between
 * looking and waiting: a change in between is not missed.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { ConclaveError } from '../core/errors.js';

export const aborted = (signal?: AbortSignal): ConclaveError =>
  new ConclaveError('aborted', 'the wait was given up', {
    retryable: true,
    cause: signal?.reason,
  });

export const closed = (): ConclaveError =>
  new ConclaveError('closed', 'the node was closed: open it again to go on');

/** What settles a wait. */
export interface Settle {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * A wait that is given up, and rejects with `aborted`, when `signal` is
 * aborted. `begin` is handed what settles it, and returns what to do when it is
 * given up before.
 */
export function abortable(
  signal: AbortSignal | undefined,
  begin: (settle: Settle) => () => void,
): Promise<void> {
  if (signal?.aborted) return Promise.reject(aborted(signal));
  return new Promise((resolve, reject) => {
    let giveUp = (): void => {};
    const onAbort = (): void => {
      giveUp();
      reject(aborted(signal));
    };
    const settled = (): void => signal?.removeEventListener('abort', onAbort);
    signal?.addEventListener('abort', onAbort, { once: true });
    giveUp = begin({
      resolve() {
        settled();
        resolve();
      },
      reject(error) {
        settled();
        reject(error);
      },
    });
  });
}

/** Wakes all who wait whenever `notify` is called; `fail` ends all waits, for good. */
export class Changes {
  #waiters = new Set<Settle>();
  #version = 0;
  #failure: unknown;

  /** Grows with each `notify`. */
  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version += 1;
    for (const waiter of this.#take()) waiter.resolve();
  }

  fail(error: unknown): void {
    this.#failure ??= error;
    for (const waiter of this.#take()) waiter.reject(this.#failure);
  }

  #take(): Set<Settle> {
    const waiters = this.#waiters;
    this.#waiters = new Set();
    return waiters;
  }

  /**
   * Resolves once there was a change after version `seen`, at once if there was
   * one. Rejects with `aborted`, or with what `fail` was given.
   */
  next(seen: number, signal?: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (seen !== this.#version && !signal?.aborted) return Promise.resolve();
    return abortable(signal, (waiter) => {
      this.#waiters.add(waiter);
      return () => this.#waiters.delete(waiter);
    });
  }
}

/** Shares of the time that work which is done again and again may take. */
const REST_PER_WORK = 4;
/** Work that is over sooner needs no rest. */
const WORK_MS_MIN = 2;

/**
 * Keeps work that follows changes from taking all the time: after work that
 * took long, it rests a multiple of that.
 */
export class Pace {
  readonly #now: () => number;
  #until = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Does the work, and notes how long it took. */
  run<T>(work: () => T): T {
    const began = this.#now();
    const result = work();
    const took = this.#now() - began;
    this.#until = took < WORK_MS_MIN ? 0 : began + took * (1 + REST_PER_WORK);
    return result;
  }

  /** How long it is yet, in ms, until the work may be done again. */
  get left(): number {
    return Math.max(0, this.#until - this.#now());
  }

  /** Resolves when the work may be done again, or at once when `signal` is aborted. */
  async rest(signal?: AbortSignal): Promise<void> {
    const { left } = this;
    if (left > 0) await sleep(left, undefined, signal && { signal }).catch(() => {});
  }
}
