/** A message on its way, as its sender follows it (docs/PROTOCOL.md, section "States"). */

import { ConclaveError } from '../core/errors.js';
import type { Ulid } from '../core/ids.js';
import type { Progress, RecordState, Sending, WaitOptions } from './api.js';
import { Changes } from './wait.js';

/** What a later state promises, an earlier one does too; but `withheld` promises nothing, and only final follows it. */
export const RANK: { readonly [S in RecordState]: number } = {
  queued: 0,
  sent: 1,
  committed: 2,
  withheld: 3,
  final: 4,
};

export class Handle implements Sending {
  readonly id: Ulid;
  readonly stored: Promise<void>;
  readonly #changes = new Changes();
  #state: RecordState = 'queued';
  #seq: number | null = null;

  constructor(id: Ulid, stored: Promise<void>) {
    this.id = id;
    this.stored = stored;
    stored.catch((error) => this.#changes.fail(error));
  }

  get state(): RecordState {
    return this.#state;
  }
  get seq(): number | null {
    return this.#seq;
  }

  /** Only what a leader has, and loses, goes back to the queue. */
  progress(state: RecordState, seq: number | null): void {
    if (RANK[state] < RANK[this.#state] && this.#state !== 'sent') return;
    this.#state = state;
    this.#seq = seq;
    this.#changes.notify();
  }

  fail(error: unknown): void {
    this.#changes.fail(error);
  }

  async until(state: 'sent' | 'committed' | 'final', o: WaitOptions = {}): Promise<Progress> {
    while (RANK[this.#state] < RANK[state] && this.#state !== 'withheld') {
      await this.#changes.next(this.#changes.version, o.signal);
    }
    if (this.#state === 'withheld') {
      throw new ConclaveError('removed', 'its author was removed before the message was final');
    }
    return { id: this.id, state: this.#state, seq: this.#seq };
  }
}
