/**
 * Invariant 17 (docs/PROTOCOL.md, section "Invariants") for what applications
 * are told of their own messages: committed stays, and final is the last word.
 * Who left or was removed is told withheld, and then no more, but that others
 * held a warrant, so that it is final all the same.
 */

import type { CoreEvent } from '../core/effects.js';
import type { Digest } from '../core/ids.js';
import type { Break } from './chains.js';

const STATES = ['queued', 'sent', 'committed', 'final'] as const;
const COMMITTED = STATES.indexOf('committed');
const FINAL = STATES.indexOf('final');
const WITHHELD = -1;
export type Progress = Extract<CoreEvent, { type: 'progress' }>;

export class Told {
  readonly #broke: Break;
  /** Best that a node said of each of its messages in this boot. */
  readonly #best = new Map<number, Map<Digest, number>>();

  constructor(broke: Break) {
    this.#broke = broke;
  }

  /** A node booted: it says all anew. */
  started(index: number): void {
    this.#best.set(index, new Map());
  }

  /** `isPlaced`: whether a branch on the node's disk places the message. */
  progress(index: number, { digest, state }: Progress, isPlaced: () => boolean): void {
    const best = this.#best.get(index)!;
    const before = best.get(digest) ?? 0;
    const now = state === 'withheld' ? WITHHELD : STATES.indexOf(state);
    const what = `node ${index} calls ${digest.slice(0, 8)} ${state}`;
    const mayFall = state === 'withheld' && before < FINAL;
    const isOver = before === WITHHELD && now !== FINAL;
    if ((now < before && before >= COMMITTED && !mayFall) || isOver) {
      this.#broke('17 pages', `${what} that it called ${STATES[before] ?? 'withheld'}`);
    }
    if (state === 'queued' && isPlaced()) this.#broke('17 pages', `${what}, which is placed`);
    best.set(digest, state === 'withheld' ? WITHHELD : Math.max(before, now));
  }
}
