/**
 * Waiting for something that changes: look, and if it is not there yet wait for
 * the next change and look again. `version` makes that safe over awaits between
 * looking and waiting: a change in between is not missed.
 */

import { ConclaveError } from '../core/errors.js';

export const aborted = (signal?: AbortSignal): ConclaveError =>
  new ConclaveError('aborted', 'the wait was given up', {
    retryable: true,
    cause: signal?.reason,
  });

export const closed = (): ConclaveError =>
  new ConclaveError('closed', 'the node was closed: open it again to go on');

interface Waiter {
  wake(): void;
  reject(error: unknown): void;
}

/** Wakes all who wait whenever `notify` is called; `fail` ends all waits, for good. */
export class Changes {
  #waiters = new Set<Waiter>();
  #version = 0;
  #failure: unknown;

  /** Grows with each `notify`. */
  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version += 1;
    for (const waiter of this.#take()) waiter.wake();
  }

  fail(error: unknown): void {
    this.#failure ??= error;
    for (const waiter of this.#take()) waiter.reject(this.#failure);
  }

  #take(): Set<Waiter> {
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
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (seen !== this.#version) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      const waiter: Waiter = {
        wake() {
          settled();
          resolve();
        },
        reject(error) {
          settled();
          reject(error);
        },
      };
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        waiter.reject(aborted(signal));
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
