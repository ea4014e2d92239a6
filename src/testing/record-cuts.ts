/** Which parts of a simulated network are cut off from each other, from the blocks between nodes. */

import type { HistoryEvent } from './history.js';

type Pair = readonly [from: number, to: number];

/** Groups of nodes such that no frame passes from one to another. */
export function sidesLeft(
  nodes: number,
  isBlocked: (from: number, to: number) => boolean,
): number[][] {
  const sides: number[][] = [];
  const placed = new Set<number>();
  for (let first = 0; first < nodes; first++) {
    if (placed.has(first)) continue;
    const side = [first];
    placed.add(first);
    for (const a of side) {
      for (let b = 0; b < nodes; b++) {
        if (placed.has(b) || (isBlocked(a, b) && isBlocked(b, a))) continue;
        placed.add(b);
        side.push(b);
      }
    }
    sides.push(side.sort((a, b) => a - b));
  }
  return sides;
}

/** Follows the blocks of a run and says when that cuts the network, or heals it. */
export class CutRecorder {
  readonly #nodes: number;
  /** How many faults block each directed pair now. */
  readonly #blocks = new Map<string, number>();
  #sides = '';

  constructor(nodes: number) {
    this.#nodes = nodes;
  }

  /** Pairs are blocked, or no longer; returns what that is in a history. */
  change(at: number, pairs: readonly Pair[], by: 1 | -1): HistoryEvent | undefined {
    for (const [a, b] of pairs) {
      const key = `${a}/${b}`;
      this.#blocks.set(key, (this.#blocks.get(key) ?? 0) + by);
    }
    const sides = sidesLeft(this.#nodes, (a, b) => (this.#blocks.get(`${a}/${b}`) ?? 0) > 0);
    return this.#now(at, sides);
  }

  /** All blocks are over. */
  over(at: number): HistoryEvent | undefined {
    this.#blocks.clear();
    return this.#now(at, []);
  }

  #now(at: number, sides: readonly number[][]): HistoryEvent | undefined {
    const text = sides.length > 1 ? JSON.stringify(sides) : '';
    if (text === this.#sides) return undefined;
    this.#sides = text;
    if (text === '') return { type: 'heal', at };
    return { type: 'cut', at, sides: sides.map((nodes) => ({ nodes })) };
  }
}
