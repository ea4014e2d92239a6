/** Draws a plan of faults: when, whom, how hard. */

import type { Millis } from '../core/ids.js';
import type { Fault, FaultKind, Lasting, Victim } from './faults.js';
import { FAULT_KINDS } from './faults.js';
import { drawHalves, drawPartition, drawSides, drawSplit } from './partitions.js';
import { below, between, chance, type Draw, drawsOf, pick, sample } from './prng.js';
import type { Censored, Lies } from './sim-liar.js';
import { DIRECTIONS, type Direction } from './sim-network.js';
import { drawWeather } from './weather.js';

export interface PlanOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly relays: number;
  readonly kinds: readonly FaultKind[];
  readonly from: Millis;
  readonly until: Millis;
}

/** What one fault is drawn from. */
interface Drawing {
  readonly o: PlanOptions;
  readonly draw: Draw;
  /** Between a moment and ten seconds, mostly short. */
  readonly time: Lasting;
  readonly node: Victim;
  readonly relay: number;
  readonly directions: readonly Direction[];
}

/** Few kinds rather than all of them: each can so become hard. */
export function drawKinds(draw: Draw): FaultKind[] {
  const count = pick(draw, [0, 1, 1, 2, 2, 2, 3, 3, 4, 6]);
  return sample<FaultKind>(draw, FAULT_KINDS, count);
}

/** How much time a plan of these kinds needs for something to happen. */
export const loadMsFor = (kinds: readonly FaultKind[], draw: Draw): Millis =>
  Math.floor(
    kinds.some((kind) => LONG_KINDS.has(kind))
      ? between(draw, 10_000, 25_000)
      : between(draw, 3_000, 12_000),
  );

const LONG_KINDS: ReadonlySet<FaultKind> = new Set(['halves', 'relay-split']);
/** Long enough for an election on both sides, and for some traffic under it. */
const LONG_MS = { min: 5_000, max: 20_000 };

/** Each fault has a stream of its own. */
export function planFaults(o: PlanOptions): Fault[] {
  if (o.kinds.length === 0) return [];
  const draw = drawsOf(o.seed, 'plan');
  const perMinute = between(draw, 6, 60);
  const count = Math.ceil((perMinute * (o.until - o.from)) / 60_000);
  const faults: Fault[] = [];
  for (let i = 0; i < count; i++) {
    const own = drawsOf(o.seed, `fault ${i}`);
    const at = Math.floor(between(own, o.from, o.until));
    const drawing: Drawing = {
      o,
      draw: own,
      time: { at, until: Math.min(at + Math.floor(50 * 200 ** own()), o.until) },
      node: chance(own, 0.3) ? 'leader' : below(own, o.nodes),
      relay: below(own, o.relays),
      directions: chance(own, 0.6) ? DIRECTIONS : [pick(own, DIRECTIONS)],
    };
    faults.push(...DRAWN_BY[pick(own, o.kinds)](drawing));
  }
  return faults.sort((a, b) => a.at - b.at);
}

const DRAWN_BY: { readonly [K in FaultKind]: (d: Drawing) => Fault[] } = {
  crash: ({ draw, time, node }) => [{ ...time, kind: 'crash', node, inWrite: chance(draw, 0.5) }],
  pause: ({ time, node }) => [{ ...time, kind: 'pause', node }],
  slow: ({ draw, time, node }) => [{ ...time, kind: 'slow', node, ms: upTo(draw, 1_000) }],
  clock: ({ draw, time, node }) => {
    const sign = chance(draw, 0.5) ? 1 : -1;
    return [{ ...time, kind: 'clock', node, ms: sign * upTo(draw, 86_400_000) }];
  },
  disk: ({ draw, time, node }) => {
    if (chance(draw, 0.6)) return [{ ...time, kind: 'slow-disk', node, ms: upTo(draw, 1_000) }];
    return [{ ...time, kind: pick(draw, ['disk-full', 'disk-sync'] as const), node }];
  },
  damage: ({ draw, time, node }) => [{ ...time, kind: 'damage', node, place: draw() }],
  link: drawLink,
  'half-open': ({ draw, time, node, relay }) => {
    if (chance(draw, 0.4)) return [{ ...time, kind: 'dead', node, relay }];
    const gone = pick(draw, ['node', 'relay'] as const);
    return [{ ...time, kind: 'half-open', node, relay, gone }];
  },
  partition: ({ o, draw, time }) => [
    { ...time, kind: 'block', pairs: drawPartition(draw, o.nodes) },
  ],
  halves: ({ o, draw, time }) => [
    { ...long(o, draw, time), kind: 'block', pairs: drawHalves(draw, o.nodes) },
  ],
  'relay-split': drawRelaySplit,
  relay: ({ draw, time, relay }) => [
    { ...time, kind: chance(draw, 0.6) ? 'relay-restart' : 'relay-forgets', relay },
  ],
  'lying-relay': ({ o, draw, time, relay }) => {
    const until = Math.min(o.until, time.at + Math.floor(between(draw, 500, 15_000)));
    const lasts = { ...time, until };
    const lies = drawLies(draw, o.nodes);
    return [{ ...lasts, kind: 'lying-relay', relay, lies, restarts: chance(draw, 0.5) }];
  },
  weather: ({ draw, time, node }) => {
    const weather = drawWeather(draw);
    return [{ ...time, kind: 'weather', weather, ...(chance(draw, 0.6) ? { node } : {}) }];
  },
  flap: drawFlapping,
  shift: ({ o, draw, time }) =>
    inTurn(draw, o, time.at, (turn) => ({
      ...turn,
      kind: 'block',
      pairs: drawSplit(draw, o.nodes),
    })),
  rolling: ({ o, draw, time }) =>
    inTurn(draw, o, time.at, (turn) => {
      const node: Victim = chance(draw, 0.5) ? 'leader' : below(draw, o.nodes);
      return { ...turn, kind: 'crash', node, inWrite: chance(draw, 0.5) };
    }),
  'old-disk': ({ o, draw, time }) =>
    drawForgetful(draw, o, time, Math.floor(between(draw, o.from, time.at))),
  'lost-disk': ({ o, draw, time }) => drawForgetful(draw, o, time, null),
};

/** Mostly small: as likely below as above the square root of `max`. */
const upTo = (draw: Draw, max: number): number => Math.ceil(max ** draw());

/**
 * One node, or several at once; in all of a plan never more than the others can
 * make good, a minority.
 */
function drawForgetful(
  draw: Draw,
  o: PlanOptions,
  time: Lasting,
  copiedAt: Millis | null,
): Fault[] {
  const all = Array.from({ length: o.nodes }, (_, i) => i);
  const forgetful = sample(drawsOf(o.seed, 'forgetful'), all, Math.floor((o.nodes - 1) / 2));
  if (forgetful.length === 0) return [];
  const count = chance(draw, 0.6) ? 1 : 1 + below(draw, forgetful.length);
  return [{ ...time, kind: 'old-disk', nodes: sample(draw, forgetful, count).sort(), copiedAt }];
}

function long(o: PlanOptions, draw: Draw, { at }: Lasting): Lasting {
  const lasts = between(draw, LONG_MS.min, LONG_MS.max);
  // A partition that began at the end would be a short one.
  const from = Math.max(o.from, Math.min(at, o.until - lasts));
  return { at: Math.floor(from), until: Math.min(o.until, Math.floor(from + lasts)) };
}

function drawLink({ draw, time, node, relay, directions }: Drawing): Fault[] {
  const kind = pick(draw, ['isolate', 'isolate', 'reset', 'cut', 'cut', 'clog', 'narrow'] as const);
  switch (kind) {
    case 'isolate':
      return [{ ...time, kind, node, directions }];
    case 'reset':
      return [{ ...time, kind, node, relay }];
    case 'cut':
      return [{ ...time, kind, node, relay, directions, reset: chance(draw, 0.5) }];
    case 'clog':
      return [{ ...time, kind, node, relay, directions }];
    case 'narrow':
      return [{ ...time, kind, node, relay, bytesPerMs: 0.2 * 500 ** draw() }];
  }
}

/** Real networks part like this: some reach the first relay alone, others the second. */
function drawRelaySplit({ o, draw, time }: Drawing): Fault[] {
  const lasts = chance(draw, 0.7) ? long(o, draw, time) : time;
  if (o.relays === 1) return [{ ...lasts, kind: 'block', pairs: drawHalves(draw, o.nodes) }];
  const size = chance(draw, 0.6) ? Math.floor(o.nodes / 2) : below(draw, o.nodes + 1);
  const sides = drawSides(draw, o.nodes, size);
  // Who is on no side bridges both.
  if (chance(draw, 0.25)) sides[1].pop();
  return [{ ...lasts, kind: 'relay-split', sides, reset: chance(draw, 0.5) }];
}

function drawFlapping({ o, draw, time, node }: Drawing): Fault[] {
  const faults: Fault[] = [];
  const halves = chance(draw, 0.3) ? drawHalves(draw, o.nodes) : null;
  let { at } = time;
  while (at < time.until && faults.length < 20) {
    const turn = { at, until: Math.min(time.until, at + Math.floor(between(draw, 50, 1_500))) };
    if (halves) faults.push({ ...turn, kind: 'block', pairs: halves });
    else faults.push({ ...turn, kind: 'isolate', node, directions: DIRECTIONS });
    at = turn.until + Math.floor(between(draw, 50, 1_500));
  }
  return faults;
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

const CENSORED_NAMES = [
  'BEACON',
  'CH_MSG',
  'CH_PROPOSE',
  'CH_MSG_ACK',
  'CH_MSG_COMMIT',
  'CH_VOTE',
  'CH_ELECTED',
  'CH_APPEND',
  'CH_PULL',
];

function drawLies(draw: Draw, nodes: number): Lies {
  const some = (most: number): number => (chance(draw, 0.4) ? draw() * most : 0);
  const censor = (): Censored => ({
    ...(chance(draw, 0.6) ? { from: below(draw, nodes) } : {}),
    ...(chance(draw, 0.4) ? { to: below(draw, nodes) } : {}),
    ...(chance(draw, 0.6) ? { name: pick(draw, CENSORED_NAMES) } : {}),
  });
  return {
    drop: some(0.6),
    late: some(0.8),
    lateMs: upTo(draw, 5_000),
    replay: some(1),
    forge: some(1),
    rumour: some(0.5),
    censored: Array.from({ length: chance(draw, 0.4) ? 1 + below(draw, 3) : 0 }, censor),
  };
}
