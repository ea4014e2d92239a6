/** Which parts of a simulated network are cut off from each other, from the blocks between nodes. */

import type { Fault } from './faults.js';
import type { HistoryEvent } from './history.js';

type Pair = readonly [from: number, to: number];

/** Between which nodes a fault lets nothing through. */
function blockedBy(fault: Fault): readonly Pair[] {
  if (fault.kind === 'block') return fault.pairs;
  if (fault.kind !== 'relay-split') return [];
  const { sides } = fault;
  return sides.flatMap((side) =>
    side.flatMap((a) =>
      sides.flatMap((other) => (other === side ? [] : other.map((b): Pair => [a, b]))),
    ),
  );
}

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

/**
 * Follows the faults of a run and says when they cut the network, and when it
 * is whole again. A relay that lies may carry anything anywhere: while one
 * does, nothing counts as cut.
 */
export class CutRecorder {
  readonly #nodes: number;
  /** How many faults block each directed pair now. */
  readonly #blocks = new Map<string, number>();
  #liars = 0;
  #sides = '';

  constructor(nodes: number) {
    this.#nodes = nodes;
  }

  /** A fault begins, or ends; returns what that is in a history. */
  change(at: number, fault: Fault, by: 1 | -1): HistoryEvent | undefined {
    if (fault.kind === 'lying-relay') this.#liars += by;
    for (const [a, b] of blockedBy(fault)) {
      const key = `${a}/${b}`;
      this.#blocks.set(key, (this.#blocks.get(key) ?? 0) + by);
    }
    const isBlocked = (a: number, b: number): boolean => (this.#blocks.get(`${a}/${b}`) ?? 0) > 0;
    return this.#now(at, this.#liars > 0 ? [] : sidesLeft(this.#nodes, isBlocked));
  }

  /** All faults are over. */
  over(at: number): HistoryEvent | undefined {
    this.#blocks.clear();
    this.#liars = 0;
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
