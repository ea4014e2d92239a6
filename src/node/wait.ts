/** Waiting: conditions that are looked at again whenever something changed, with an AbortSignal. */

import { ConclaveError } from '../core/errors.js';

export const aborted = (signal?: AbortSignal): ConclaveError =>
  new ConclaveError('aborted', 'the wait was given up', { retryable: true, cause: signal?.reason });

/** Wakes all who wait whenever `notify` is called; `fail` ends all waits. */
export class Changes {
  readonly #waiters = new Set<{ wake: () => void; reject: (error: unknown) => void }>();
  #failure: unknown;

  notify(): void {
    const woken = [...this.#waiters];
    this.#waiters.clear();
    for (const { wake } of woken) wake();
  }

  fail(error: unknown): void {
    this.#failure = error;
    const woken = [...this.#waiters];
    this.#waiters.clear();
    for (const { reject } of woken) reject(error);
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves at the next `notify`. Rejects with `aborted`, or with what `fail` was given. */
  next(signal?: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (signal?.aborted) return Promise.reject(aborted(signal));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(aborted(signal));
      };
      const done = (): void => signal?.removeEventListener('abort', onAbort);
      const waiter = {
        wake: () => {
          done();
          resolve();
        },
        reject: (error: unknown) => {
          done();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
