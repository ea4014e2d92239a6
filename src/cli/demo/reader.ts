/**
 * Follows one node's log while the demo runs, as `conclave tail --follow` does:
 * what became final there, whose, and when. All readers together also check
 * that a place in the log never holds two things, on whichever node.
 */

import { ConclaveError } from '../../core/errors.js';
import type { Json } from '../output.js';
import { callNode } from './control.js';
import { demoFailed, pause } from './wait.js';

const RETRY_MS = 50;

/** What stands at each seq, whoever said so. */
export class Places {
  readonly #ids = new Map<number, string>();

  add(seq: number, id: string, node: string): void {
    const known = this.#ids.get(seq);
    if (known === undefined) this.#ids.set(seq, id);
    else if (known !== id) throw demoFailed(`${node} has another entry at seq ${seq} than others`);
  }
}

export class Reader {
  readonly #node: string;
  readonly #places: Places;
  /** When each of a user's messages became final here, in ms of `performance.now()`. */
  readonly #arrivals = new Map<string, number[]>();
  #seq = 0;
  messages = 0;
  lastArrival = 0;

  constructor(node: string, places: Places) {
    this.#node = node;
    this.#places = places;
  }

  /** How many of a user's messages are final here. */
  messagesOf(user: string): number {
    return this.#arrivals.get(user)?.length ?? 0;
  }

  /** When the user's `n`-th message became final here. */
  arrivalOf(user: string, n: number): number | undefined {
    return n === 0 ? 0 : this.#arrivals.get(user)?.[n - 1];
  }

  /** Until aborted; goes on from where it was when the node was away. */
  async follow(dir: string, channel: string, signal: AbortSignal): Promise<void> {
    const seen = (entry: Json): void => this.#see(entry);
    for (;;) {
      try {
        const args = { channel, from: this.#seq + 1, follow: true };
        await callNode(dir, 'tail', { args, signal, seen });
      } catch (error) {
        if (signal.aborted) return;
        if (!isAway(error)) throw error;
      }
      await pause(RETRY_MS, signal);
    }
  }

  #see({ seq, id, state, kind, from }: Json): void {
    if (state !== 'final') return;
    if (seq !== this.#seq + 1) {
      throw demoFailed(`${this.#node} showed seq ${seq} after ${this.#seq}`);
    }
    this.#seq += 1;
    this.#places.add(this.#seq, String(id), this.#node);
    if (kind !== 'message') return;
    this.lastArrival = performance.now();
    this.messages += 1;
    const arrivals = this.#arrivals.get(String(from)) ?? [];
    this.#arrivals.set(String(from), arrivals);
    arrivals.push(this.lastArrival);
  }
}

/** The node is not up, or went away during the call. */
export const isAway = (error: unknown): boolean =>
  error instanceof ConclaveError && ['not_up', 'node_gone', 'closed', 'control_failed'].includes(error.code);
