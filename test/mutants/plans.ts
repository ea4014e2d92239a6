/**
 * Plans of faults for mutants whose path is rare: what a seed draws from the
 * simulator's own kinds seldom leads there.
 */

import type { Fault } from '../../src/testing/faults.js';
import {
  below,
  between,
  chance,
  type Draw,
  drawsOf,
  pick,
  sample,
} from '../../src/testing/prng.js';
import type { RunOptions } from './mutant.js';

/** When all have joined, in ms, or nearly. */
const JOINED_MS = 4_000;
const LOAD_MS = 16_000;

const BOTH = ['up', 'down'] as const;

/** No way between members of different groups. */
function pairsBetween(groups: readonly (readonly number[])[]): [number, number][] {
  const pairs: [number, number][] = [];
  for (const [i, some] of groups.entries()) {
    for (const others of groups.filter((_, k) => k !== i)) {
      for (const a of some) for (const b of others) pairs.push([a, b]);
    }
  }
  return pairs;
}

function groupsOf(draw: Draw, nodes: number, sizes: readonly number[]): number[][] {
  const shuffled = sample(
    draw,
    Array.from({ length: nodes }, (_, i) => i),
    nodes,
  );
  return sizes.map((size) => shuffled.splice(0, size));
}

/** Busy members, most of the time, and changes of membership among the messages. */
const workload = (seed: number) => {
  const draw = drawsOf(seed, 'mutant workload');
  return { everyMs: between(draw, 30, 200), burst: pick(draw, [1, 5, 20]) };
};

/**
 * Splits one right after the other, of which most leave a majority together: a
 * leader that goes on alone, or with a few, finds its entries replaced.
 */
export function shifting(seed: number): RunOptions {
  const draw = drawsOf(seed, 'shifting');
  const nodes = pick(draw, [3, 5, 5]);
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const until = at + between(draw, 1_000, 4_500);
    const few = 1 + below(draw, Math.floor(nodes / 2));
    const pairs = pairsBetween(groupsOf(draw, nodes, [few, nodes - few]));
    faults.push({ kind: 'block', pairs, at, until });
    at = until + (chance(draw, 0.3) ? between(draw, 200, 2_000) : 0);
  }
  return { nodes, relays: 1, early: false, loadMs: LOAD_MS, faults, workload: workload(seed) };
}

/** Like `shifting`, while messages get lost: members hold different parts of what is proposed. */
export function shiftingInRain(seed: number): RunOptions {
  const { faults, ...rest } = shifting(seed);
  const draw = drawsOf(seed, 'rain');
  const loss = between(draw, 0.05, 0.35);
  const delay = { kind: 'uniform', min: 1, max: between(draw, 5, 200) } as const;
  const weather = { delay, loss, duplicate: 0.1, reorder: draw() };
  const rain: Fault = { kind: 'weather', weather, at: JOINED_MS, until: LOAD_MS };
  return { ...rest, faults: [rain, ...(faults as Fault[])] };
}

/** Groups of six or seven members of which none is more than half, or one is: online epochs on several sides. */
export function apart(seed: number): RunOptions {
  const draw = drawsOf(seed, 'apart');
  const nodes = pick(draw, [6, 7]);
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const until = at + between(draw, 4_000, 8_000);
    const pairs = pairsBetween(groupsOf(draw, nodes, [3, nodes - 3]));
    faults.push({ kind: 'block', pairs, at, until });
    at = until + between(draw, 100, 3_000);
  }
  const load = workload(seed);
  return { nodes, relays: 1, minOnline: 3, early: false, loadMs: LOAD_MS, faults, workload: load };
}

/** Whoever leads loses power, again and again. */
export function beheading(seed: number): RunOptions {
  const draw = drawsOf(seed, 'beheading');
  const nodes = pick(draw, [3, 4, 5]);
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; at += between(draw, 1_500, 4_000)) {
    const until = at + between(draw, 100, 3_000);
    faults.push({ kind: 'crash', node: 'leader', inWrite: chance(draw, 0.5), at, until });
    if (chance(draw, 0.3)) {
      const node = below(draw, nodes);
      faults.push({ kind: 'isolate', node, directions: BOTH, at, until });
    }
  }
  return { nodes, early: false, loadMs: LOAD_MS, faults, workload: workload(seed) };
}
