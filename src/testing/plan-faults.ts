/** Draws a plan of faults: when, whom, how hard. */

import type { Millis } from '../core/ids.js';
import type { Fault, FaultKind, Lasting, Victim } from './faults.js';
import { FAULT_KINDS, GONE_KINDS, MEMBER_KINDS, RARE_KINDS, TOPOLOGY_KINDS } from './faults.js';
import {
  drawCensorship,
  drawLyingMember,
  drawSilence,
  drawTwoFaces,
  type Misdeed,
} from './misdeeds.js';
import { drawHalves, drawPartition, drawSides, drawSplit } from './partitions.js';
import { below, between, chance, type Draw, drawsOf, pick, sample } from './prng.js';
import type { Censored, Lies } from './sim-liar.js';
import { DIRECTIONS, type Direction } from './sim-network.js';
import { drawTopology } from './topology.js';
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

/** The share of seeds with a member that misbehaves, and with a network that stays asymmetric. */
const MEMBERS_SHARE = 0.05;
const TOPOLOGY_SHARE = 0.03;

/** What few seeds have beside their other kinds, from a stream of its own. */
export function drawRareKinds(draw: Draw): FaultKind[] {
  const share = draw();
  const kind = pick(draw, MEMBER_KINDS);
  if (share < MEMBERS_SHARE) return [kind];
  return share < MEMBERS_SHARE + TOPOLOGY_SHARE ? [...TOPOLOGY_KINDS] : [];
}

/** The share of seeds with members that are gone for good, of those that draw no other rare kind. */
const GONE_SHARE = 0.1;

/** From a stream of its own, so that the runs of all other seeds stay as they were. */
export const drawGoneKinds = (draw: Draw): FaultKind[] =>
  chance(draw, GONE_SHARE) ? [...GONE_KINDS] : [];

/** Whether some of these kinds are of channels that all have joined. */
export const needMembers = (kinds: readonly FaultKind[]): boolean =>
  kinds.some((kind) => RARE.has(kind));

const RARE: ReadonlySet<FaultKind> = new Set(RARE_KINDS);

/** How much time a plan of these kinds needs for something to happen. */
export const loadMsFor = (kinds: readonly FaultKind[], draw: Draw): Millis =>
  Math.floor(
    kinds.some((kind) => LONG_KINDS.has(kind))
      ? between(draw, 10_000, 25_000)
      : between(draw, 3_000, 12_000),
  );

const LONG_KINDS: ReadonlySet<FaultKind> = new Set([
  ...(['halves', 'relay-split'] as const),
  ...RARE_KINDS,
]);
/** Long enough for an election on both sides, and for some traffic under it. */
const LONG_MS = { min: 5_000, max: 20_000 };

/** Each fault has a stream of its own. */
export function planFaults(o: PlanOptions): Fault[] {
  if (o.kinds.length === 0) return [];
  const draw = drawsOf(o.seed, 'plan');
  const perMinute = between(draw, 6, 60);
  const count = Math.ceil((perMinute * (o.until - o.from)) / 60_000);
  // Members misbehave and networks are asymmetric once, whatever else happens.
  const faults = o.kinds.flatMap((kind) => (RARE.has(kind) ? drawOnce(o, kind) : []));
  const kinds = o.kinds.filter((kind) => !RARE.has(kind));
  for (let i = 0; i < count && kinds.length > 0; i++) {
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
    faults.push(...drawnFrom(pick(own, kinds), drawing));
  }
  return faults.sort((a, b) => a.at - b.at);
}

function drawOnce(o: PlanOptions, kind: FaultKind): Fault[] {
  const draw = drawsOf(o.seed, kind);
  const at = Math.floor(between(draw, o.from, o.from + (o.until - o.from) / 2));
  const drawing: Drawing = {
    o,
    draw,
    time: { at, until: o.until },
    node: below(draw, o.nodes),
    relay: below(draw, o.relays),
    directions: DIRECTIONS,
  };
  return drawnFrom(kind, drawing);
}

const drawnFrom = (kind: FaultKind, drawing: Drawing): Fault[] =>
  DRAWN_BY[kind](drawing).map((fault) =>
    fault.kind === kind ? fault : { ...fault, drawnFrom: kind },
  );

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
  'silent-member': (d) =>
    drawOffenders(d, Math.floor((d.o.nodes - 1) / 2), (draw, node) =>
      chance(draw, 0.5) ? drawCensorship(draw, d.o.nodes, node) : drawSilence(draw),
    ),
  'lying-member': (d) =>
    alsoFalseChanges(d, drawOffenders(d, Math.floor((d.o.nodes - 1) / 2), drawLyingMember)),
  'two-faced-member': (d) => drawOffenders(d, 1, drawTwoFaces),
  topology: ({ o, draw, time }) => drawTopology(draw, o.nodes, o.relays, time),
  gone: drawGone,
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

/** So many at most that the others are more than half; mostly one. Whoever leads then makes room for it. */
function drawOffenders(
  { o, draw, time }: Drawing,
  most: number,
  misdeedsOf: (draw: Draw, node: number) => Misdeed[],
): Fault[] {
  if (o.nodes < 3) return [];
  const all = Array.from({ length: o.nodes }, (_, i) => i);
  const count = chance(draw, 0.7) ? 1 : 1 + below(draw, most);
  const faults = sample(draw, all, count).map((node): Fault => {
    const until = chance(draw, 0.5) ? time.until : Math.floor(between(draw, time.at, time.until));
    const misdeeds = misdeedsOf(draw, node);
    const stays = chance(draw, 0.6) ? { stays: true as const } : {};
    return { at: time.at, until, kind: 'misbehaves', node, misdeeds, ...stays };
  });
  if (chance(draw, 0.5)) {
    const at = Math.floor(between(draw, time.at, time.until));
    const until = Math.min(time.until, at + 4_000);
    faults.push({ at, until, kind: 'pause', node: 'leader' });
  }
  if (most === 1 && chance(draw, 0.5)) faults.push(...drawBridge(o, draw, time, faults[0]!));
  return faults;
}

/** Two sides that both reach this one: then it can tell each another story. */
function drawBridge(o: PlanOptions, draw: Draw, time: Lasting, fault: Fault): Fault[] {
  if (fault.kind !== 'misbehaves') return [];
  const pairs = drawHalves(draw, o.nodes).filter((pair) => !pair.includes(fault.node));
  return [{ ...long(o, draw, time), kind: 'block', pairs }];
}

/** From a stream of its own, so that the other seeds stay as they were. */
function alsoFalseChanges({ o }: Drawing, faults: readonly Fault[]): Fault[] {
  const draw = drawsOf(o.seed, 'false changes');
  return faults.map((fault) => {
    if (fault.kind !== 'misbehaves' || !chance(draw, 0.3)) return fault;
    const asks = { do: 'false-changes', often: 0.02 * 20 ** draw() } as const;
    return { ...fault, misdeeds: [...fault.misdeeds, asks] };
  });
}

const FORGETFUL: ReadonlySet<FaultKind> = new Set(['old-disk', 'lost-disk']);

/**
 * Mostly a minority, one after the other or all at once, early or in the very
 * end; now and then so many that the others are at most half.
 */
function drawGone({ o, draw, time }: Drawing): Fault[] {
  if (o.nodes < 3) return [];
  const all = Array.from({ length: o.nodes }, (_, i) => i);
  const spare = Math.floor((o.nodes - 1) / 2);
  const areMost = chance(draw, 0.2);
  const fewest = areMost ? spare + 1 : chance(draw, 0.6) ? spare : 1;
  const count = fewest + below(draw, (areMost ? o.nodes : spare + 1) - fewest);
  // Who lost its disk needs more than half to tell it, and is told before they go.
  const isEarly = chance(draw, 0.5) && !o.kinds.some((kind) => FORGETFUL.has(kind));
  const from = isEarly ? time.at : o.until - 1_000 * draw();
  const last = chance(draw, 0.4) ? from : o.until;
  return sample(draw, all, count).map((node) => {
    const at = Math.floor(between(draw, Math.max(o.from, from), Math.max(o.from, last)));
    return { kind: 'gone', node, at, until: o.until };
  });
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
