/**
 * Networks that stay asymmetric: who reaches whom once all faults are over but
 * those that stay, and what can be asked of a channel in such a network
 * (docs/simulation.md, "Networks that stay asymmetric").
 */

import { isMore } from './counting.js';
import type { Fault, Lasting } from './faults.js';
import { below, chance, type Draw, pick, sample } from './prng.js';

/** Whether two nodes hear each other. */
export type Reach = (a: number, b: number) => boolean;

/** What the faults that stay leave of a network of so many relays. */
export function reachOf(faults: readonly Fault[], relays: number): Reach {
  const blocked = new Set<string>();
  const relaysOf = new Map<number, Set<number>>();
  for (const fault of faults) {
    if (fault.kind === 'block' && fault.stays) {
      for (const [a, b] of fault.pairs) blocked.add(`${a}/${b}`).add(`${b}/${a}`);
    } else if (fault.kind === 'relay-split' && fault.stays) {
      fault.sides.forEach((side, relay) => {
        for (const node of side) relaysOf.set(node, new Set([relay]));
      });
    }
  }
  const all = Array.from({ length: relays }, (_, i) => i);
  const over = (node: number): readonly number[] => [...(relaysOf.get(node) ?? all)];
  return (a, b) =>
    a === b || (!blocked.has(`${a}/${b}`) && over(a).some((relay) => over(b).includes(relay)));
}

/** Whether a node's messages get to a leader: it reaches it, or a member that does. */
export const isServed = (
  node: number,
  leader: number,
  of: readonly number[],
  reach: Reach,
): boolean => of.some((via) => reach(node, via) && reach(via, leader));

type Indexed = readonly { readonly index: number }[];

/**
 * Whether whoever of `nodes` may lead, as it reaches more than half of the
 * voters, can place messages, and everyone's get there: then all that was stored
 * must become final.
 */
export function allCanCommit(
  voters: Indexed,
  nodes: Indexed,
  minOnline: number,
  reach: Reach,
): boolean {
  const indices = nodes.map(({ index }) => index);
  const there = voters.map(({ index }) => index).filter((index) => indices.includes(index));
  const heardBy = (a: number, of: readonly number[]) => of.filter((b) => reach(a, b)).length;
  const leaders = indices.filter((a) => isMore(heardBy(a, there), voters.length));
  const areServed = leaders.every((leader) =>
    indices.every((node) => isServed(node, leader, indices, reach)),
  );
  return leaders.length > 0 && areServed && leaders.every((a) => heardBy(a, indices) >= minOnline);
}

/** The nodes among `of` that records can get to from `first`, from member to member. */
export function connectedTo(first: number, of: readonly number[], reach: Reach): number[] {
  const found = [first];
  for (const a of found) {
    for (const b of of) if (!found.includes(b) && reach(a, b)) found.push(b);
  }
  return found;
}

const SHAPES = ['star', 'star', 'chain', 'ring', 'relays', 'relays'] as const;

/** A network of some shape that stays, with its nodes in any order. */
export function drawTopology(draw: Draw, nodes: number, relays: number, time: Lasting): Fault[] {
  if (nodes < 3) return [];
  const order = sample(
    draw,
    Array.from({ length: nodes }, (_, i) => i),
    nodes,
  );
  const place = new Map(order.map((node, i) => [node, i]));
  const shape = pick(draw, SHAPES);
  if (shape === 'relays' && relays > 1) {
    // At least one node bridges both.
    const bridges = 1 + below(draw, nodes - 2);
    const [first, second]: [number[], number[]] = [[], []];
    for (const [i, node] of order.slice(bridges).entries()) {
      const isFirst = i === 0 || (i > 1 && chance(draw, 0.5));
      (isFirst ? first : second).push(node);
    }
    const sides = [first.sort(), second.sort()];
    return [{ ...time, kind: 'relay-split', sides, reset: chance(draw, 0.5), stays: true }];
  }
  const areNear = (a: number, b: number): boolean => {
    if (shape === 'ring') return [1, nodes - 1].includes(Math.abs(a - b));
    return shape === 'chain' ? Math.abs(a - b) === 1 : a === 0 || b === 0;
  };
  const pairs = order.flatMap((a) =>
    order
      .filter((b) => a !== b && !areNear(place.get(a)!, place.get(b)!))
      .map((b): [number, number] => [a, b]),
  );
  return [{ ...time, kind: 'block', pairs, stays: true }];
}
