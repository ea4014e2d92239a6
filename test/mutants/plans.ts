/**
 * Plans of faults for mutants whose path is rare: what a seed draws from the
 * simulator's own kinds seldom leads there.
 */

import type { Fault } from '../../src/testing/faults.js';
import { below, between, chance, drawsOf, pick } from '../../src/testing/prng.js';
import type { RunOptions } from './mutant.js';

/** When all have joined, in ms, or nearly. */
const JOINED_MS = 4_000;

/**
 * Whoever leads is cut off for so long that another is elected, again and
 * again: what it placed alone falls out of its log when it comes back.
 */
export function deposing(seed: number): RunOptions {
  const draw = drawsOf(seed, 'deposing');
  const nodes = pick(draw, [3, 4, 5]);
  const loadMs = 16_000;
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < loadMs; at += between(draw, 500, 2_500)) {
    const until = at + between(draw, 1_500, 4_000);
    const directions = chance(draw, 0.6) ? (['up', 'down'] as const) : (['down'] as const);
    const node = chance(draw, 0.8) ? 'leader' : below(draw, nodes);
    faults.push({ kind: 'isolate', node, directions, at, until });
    at = until;
  }
  return { nodes, early: true, loadMs, faults };
}
