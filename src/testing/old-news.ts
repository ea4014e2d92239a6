/**
 * Tells what is said for the first time from signs of life, and from what is
 * said again and again, so that people see the former (transcript.ts,
 * diagram.ts).
 */

import type { Outgoing } from '../core/commands.js';
import { describeCommand, isPulse, receiverOf } from './describe.js';
import type { Names } from './names.js';

export class OldNews {
  readonly #names: Names;
  /** What each node said last of what it says again and again. */
  readonly #last = new Map<string, string>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** Takes note of what a node says; true when it is nothing new. */
  isOld(node: number, command: Outgoing): boolean {
    if (isPulse(command) || command.name === 'CH_ROSTER') return true;
    const isRepeated =
      (command.name === 'ACK_CH_MSG' && !command.payload.re) ||
      (command.name === 'CH_PULL' && command.payload.set !== undefined);
    if (!isRepeated) return false;
    const place = `${node} ${command.name} ${receiverOf(command) ?? 'all'}`;
    const text = describeCommand(this.#names, command);
    if (this.#last.get(place) === text) return true;
    this.#last.set(place, text);
    return false;
  }
}
