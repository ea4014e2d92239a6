/**
 * What goes wrong in a run, and when: plain data, drawn from the seed. Every
 * seed draws its own few kinds of faults and their intensity, and each fault
 * has a stream of draws of its own, so that one can be left out and all others
 * stay (docs/ARCHITECTURE.md, "Simulator").
 */

import type { Millis } from '../core/ids.js';
import { below, between, chance, type Draw, drawsOf, pick, sample } from './prng.js';
import type { Delay, Direction, Weather } from './sim-network.js';

/** A node by its index, or whoever leads when the fault begins. */
export type Victim = number | 'leader';

type Lasting = { readonly at: Millis; readonly until: Millis };

export type Fault = Lasting &
  /** Power is lost: now, or in the middle of the next write. */
  (
    | { readonly kind: 'crash'; readonly node: Victim; readonly inWrite: boolean }
    | { readonly kind: 'pause'; readonly node: Victim }
    | { readonly kind: 'disk-full'; readonly node: Victim }
    | { readonly kind: 'slow-disk'; readonly node: Victim; readonly ms: Millis }
    /** A link loses what goes this way; a reset is noticed by both ends. */
    | {
        readonly kind: 'cut';
        readonly node: Victim;
        readonly relay: number;
        readonly directions: readonly Direction[];
        readonly reset: boolean;
      }
    /** A node loses all its links. */
    | { readonly kind: 'isolate'; readonly node: Victim; readonly directions: readonly Direction[] }
    /** No relay forwards from the first to the second of each pair. */
    | { readonly kind: 'block'; readonly pairs: readonly (readonly [number, number])[] }
    | { readonly kind: 'reset'; readonly node: Victim; readonly relay: number }
    | { readonly kind: 'relay-restart'; readonly relay: number }
    | { readonly kind: 'weather'; readonly weather: Weather }
  );

export type FaultKind =
  | 'crash'
  | 'pause'
  | 'disk'
  | 'link'
  | 'partition'
  | 'relay'
  | 'weather'
  | 'flap'
  /** One partition right after the other, so that another majority goes on each time. */
  | 'shift'
  /** One node right after the other is down. */
  | 'rolling';

export const FAULT_KINDS: readonly FaultKind[] = [
  'crash',
  'pause',
  'disk',
  'link',
  'partition',
  'relay',
  'weather',
  'flap',
  'shift',
  'rolling',
];

const BOTH: readonly Direction[] = ['up', 'down'];

export interface PlanOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly relays: number;
  readonly kinds: readonly FaultKind[];
  readonly from: Millis;
  readonly until: Millis;
}

/** Draws a plan of faults. */
export function planFaults(o: PlanOptions): Fault[] {
  if (o.kinds.length === 0) return [];
  const draw = drawsOf(o.seed, 'plan');
  const perMinute = between(draw, 6, 60);
  const count = Math.ceil((perMinute * (o.until - o.from)) / 60_000);
  const faults: Fault[] = [];
  for (let i = 0; i < count; i++) {
    const own = drawsOf(o.seed, `fault ${i}`);
    faults.push(...drawFault(own, o, pick(own, o.kinds)));
  }
  return faults.sort((a, b) => a.at - b.at);
}

function drawFault(draw: Draw, o: PlanOptions, kind: FaultKind): Fault[] {
  const at = Math.floor(between(draw, o.from, o.until));
  const lasts = Math.floor(50 * 200 ** draw());
  const time = { at, until: Math.min(at + lasts, o.until) };
  const node: Victim = chance(draw, 0.3) ? 'leader' : below(draw, o.nodes);
  const relay = below(draw, o.relays);
  const directions = chance(draw, 0.6) ? BOTH : [pick(draw, BOTH)];
  switch (kind) {
    case 'crash':
      return [{ ...time, kind, node, inWrite: chance(draw, 0.5) }];
    case 'pause':
      return [{ ...time, kind, node }];
    case 'disk':
      return chance(draw, 0.3)
        ? [{ ...time, kind: 'disk-full', node }]
        : [{ ...time, kind: 'slow-disk', node, ms: Math.floor(2 * 500 ** draw()) }];
    case 'link':
      if (chance(draw, 0.3)) return [{ ...time, kind: 'isolate', node, directions }];
      if (chance(draw, 0.3)) return [{ ...time, kind: 'reset', node, relay }];
      return [{ ...time, kind: 'cut', node, relay, directions, reset: chance(draw, 0.5) }];
    case 'partition':
      return [{ ...time, kind: 'block', pairs: drawPartition(draw, o.nodes) }];
    case 'relay':
      return [{ ...time, kind: 'relay-restart', relay }];
    case 'weather':
      return [{ ...time, kind, weather: drawWeather(draw) }];
    case 'flap':
      return flapping(draw, time, node);
    case 'shift':
      return inTurn(draw, o, at, (turn) => {
        const pairs = drawSplit(draw, o.nodes);
        return { ...turn, kind: 'block', pairs };
      });
    case 'rolling':
      return inTurn(draw, o, at, (turn) => {
        const victim: Victim = chance(draw, 0.5) ? 'leader' : below(draw, o.nodes);
        return { ...turn, kind: 'crash', node: victim, inWrite: chance(draw, 0.5) };
      });
  }
}

/** A few faults without a pause between them, each long enough for an election, or nearly so. */
function inTurn(draw: Draw, o: PlanOptions, from: Millis, make: (turn: Lasting) => Fault): Fault[] {
  const faults: Fault[] = [];
  const turns = 2 + below(draw, 4);
  let at = from;
  for (let i = 0; i < turns && at < o.until; i++) {
    const until = Math.min(o.until, at + Math.floor(between(draw, 800, 6_000)));
    faults.push(make({ at, until }));
    at = until;
  }
  return faults;
}

/** Two sides, one of which is a majority where there can be one. */
function drawSplit(draw: Draw, nodes: number): [number, number][] {
  const all = Array.from({ length: nodes }, (_, i) => i);
  const minority = new Set(sample(draw, all, Math.max(1, Math.ceil(nodes / 2) - 1)));
  return all.flatMap((a) =>
    all.filter((b) => minority.has(a) !== minority.has(b)).map((b): [number, number] => [a, b]),
  );
}

function flapping(draw: Draw, time: Lasting, node: Victim): Fault[] {
  const faults: Fault[] = [];
  let at = time.at;
  while (at < time.until && faults.length < 20) {
    const until = Math.min(time.until, at + Math.floor(between(draw, 50, 1_500)));
    faults.push({ at, until, kind: 'isolate', node, directions: BOTH });
    at = until + Math.floor(between(draw, 50, 1_500));
  }
  return faults;
}

export function drawDelay(draw: Draw): Delay {
  const kind = pick(draw, ['fixed', 'uniform', 'long-tail'] as const);
  if (kind === 'fixed') return { kind, ms: Math.ceil(200 ** draw()) };
  if (kind === 'uniform') return { kind, min: 1, max: Math.ceil(2 + 400 ** draw()) };
  return { kind, median: Math.ceil(100 ** draw()), max: 2_000 };
}

export function drawWeather(draw: Draw): Weather {
  return {
    delay: drawDelay(draw),
    loss: chance(draw, 0.6) ? draw() ** 2 * 0.4 : 0,
    duplicate: chance(draw, 0.4) ? draw() * 0.3 : 0,
    reorder: chance(draw, 0.5) ? draw() : 0,
  };
}

/** Directed pairs that can't reach each other. */
function drawPartition(draw: Draw, nodes: number): [number, number][] {
  const all = Array.from({ length: nodes }, (_, i) => i);
  const shuffled = sample(draw, all, nodes);
  const place = new Map(shuffled.map((node, i) => [node, i]));
  const at = (node: number): number => place.get(node)!;
  const half = 1 + below(draw, Math.max(1, nodes - 1));
  const shape = pick(draw, ['halves', 'bridge', 'ring', 'random'] as const);
  const reach = (a: number, b: number): boolean => {
    switch (shape) {
      case 'halves':
        return at(a) < half === at(b) < half;
      case 'bridge':
        return at(a) === 0 || at(b) === 0 || at(a) < half === at(b) < half;
      case 'ring':
        return [1, nodes - 1].includes((at(a) - at(b) + nodes) % nodes);
      case 'random':
        return chance(draw, 0.5);
    }
  };
  const oneWay = chance(draw, 0.3);
  const pairs: [number, number][] = [];
  for (const a of all) {
    for (const b of all) {
      if (a !== b && !reach(a, b) && (!oneWay || at(a) < at(b))) pairs.push([a, b]);
    }
  }
  return pairs;
}
