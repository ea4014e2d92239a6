/** Who can't reach whom: partitions drawn in the shapes that real ones have. */

import { below, chance, type Draw, pick, sample } from './prng.js';

/** Directed pairs of nodes. */
export type Pairs = readonly (readonly [number, number])[];

const everyone = (nodes: number): number[] => Array.from({ length: nodes }, (_, i) => i);

/** All pairs of which `isApart` holds. */
function pairsWhere(nodes: number, isApart: (a: number, b: number) => boolean): [number, number][] {
  const all = everyone(nodes);
  return all.flatMap((a) =>
    all.filter((b) => a !== b && isApart(a, b)).map((b): [number, number] => [a, b]),
  );
}

/** Two sides of random members, the first with `size` of them. */
export function drawSides(draw: Draw, nodes: number, size: number): [number[], number[]] {
  const shuffled = sample(draw, everyone(nodes), nodes);
  return [shuffled.slice(0, size).sort(), shuffled.slice(size).sort()];
}

export function apart(nodes: number, side: readonly number[]): Pairs {
  const here = new Set(side);
  return pairsWhere(nodes, (a, b) => here.has(a) !== here.has(b));
}

/** As even as can be: 3 | 3, 3 | 4. */
export const drawHalves = (draw: Draw, nodes: number): Pairs =>
  apart(nodes, drawSides(draw, nodes, Math.floor(nodes / 2))[0]);

/** Two sides, one of which is a majority where there can be one. */
export const drawSplit = (draw: Draw, nodes: number): Pairs =>
  apart(nodes, drawSides(draw, nodes, Math.max(1, Math.ceil(nodes / 2) - 1))[0]);

/** Any shape; sometimes only one way. */
export function drawPartition(draw: Draw, nodes: number): Pairs {
  const shuffled = sample(draw, everyone(nodes), nodes);
  const place = new Map(shuffled.map((node, i) => [node, i]));
  const at = (node: number): number => place.get(node)!;
  const half = 1 + below(draw, Math.max(1, nodes - 1));
  const shape = pick(draw, ['halves', 'three', 'bridge', 'ring', 'random'] as const);
  const isApart = (a: number, b: number): boolean => {
    switch (shape) {
      case 'halves':
        return at(a) < half !== at(b) < half;
      case 'three':
        return at(a) % 3 !== at(b) % 3;
      case 'bridge':
        return at(a) !== 0 && at(b) !== 0 && at(a) < half !== at(b) < half;
      case 'ring':
        return ![1, nodes - 1].includes((at(a) - at(b) + nodes) % nodes);
      case 'random':
        return chance(draw, 0.5);
    }
  };
  const oneWay = chance(draw, 0.3);
  return pairsWhere(nodes, (a, b) => isApart(a, b) && (!oneWay || at(a) < at(b)));
}
