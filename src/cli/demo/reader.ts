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
  /** When each message became final here, in ms of `performance.now()`; and those of each user. */
  readonly #arrivals: number[] = [];
  readonly #arrivalsOf = new Map<string, number[]>();
  /** Messages of each user that are at least committed here, by their ids. */
  readonly #committedOf = new Map<string, Set<string>>();
  #seq = 0;

  constructor(node: string, places: Places) {
    this.#node = node;
    this.#places = places;
  }

  /** How many of a user's messages are final here. */
  messagesOf(user: string): number {
    return this.#arrivalsOf.get(user)?.length ?? 0;
  }

  /** How many of a user's messages are committed here, or final. */
  committedOf(user: string): number {
    return this.#committedOf.get(user)?.size ?? 0;
  }

  /** When the first `n` of a user's messages were final here; undefined before that. */
  timeOf(user: string, n: number): number | undefined {
    return n === 0 ? 0 : this.#arrivalsOf.get(user)?.[n - 1];
  }

  /** How many messages are final here. */
  get messages(): number {
    return this.#arrivals.length;
  }

  /** The longest time, in ms, in which no message became final here, since then and until the last. */
  longestGap(since: number): number {
    const later = this.#arrivals.filter((at) => at > since);
    return Math.max(0, ...later.map((at, i) => at - (later[i - 1] ?? since)));
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
    if (kind === 'message' && (state === 'committed' || state === 'final')) {
      const known = this.#committedOf.get(String(from)) ?? new Set();
      this.#committedOf.set(String(from), known.add(String(id)));
    }
    if (state !== 'final') return;
    if (seq !== this.#seq + 1) {
      throw demoFailed(`${this.#node} showed seq ${seq} after ${this.#seq}`);
    }
    this.#seq += 1;
    this.#places.add(this.#seq, String(id), this.#node);
    if (kind !== 'message') return;
    const now = performance.now();
    this.#arrivals.push(now);
    const own = this.#arrivalsOf.get(String(from)) ?? [];
    this.#arrivalsOf.set(String(from), own);
    own.push(now);
  }
}

/** The node is not up, or went away during the call. */
export const isAway = (error: unknown): boolean =>
  error instanceof ConclaveError &&
  ['not_up', 'node_gone', 'closed', 'control_failed'].includes(error.code);
