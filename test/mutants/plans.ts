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
import type { Lies } from '../../src/testing/sim-liar.js';
import { CALM } from '../../src/testing/weather.js';
import type { Post } from '../../src/testing/workload.js';
import type { RunOptions } from './mutant.js';

/** When all have joined, in ms, or nearly. */
export const JOINED_MS = 4_000;
export const LOAD_MS = 16_000;

/** Leaders place even what they hear alone. */
export const SMALL = { relays: 1, minOnline: 2, early: false, loadMs: LOAD_MS };

const BOTH = ['up', 'down'] as const;

/** No way between members of different groups. */
export function pairsBetween(groups: readonly (readonly number[])[]): [number, number][] {
  const pairs: [number, number][] = [];
  for (const [i, some] of groups.entries()) {
    for (const others of groups.filter((_, k) => k !== i)) {
      for (const a of some) for (const b of others) pairs.push([a, b]);
    }
  }
  return pairs;
}

export function groupsOf(draw: Draw, nodes: number, sizes: readonly number[]): number[][] {
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

/** For runs of many members, which cost more. */
export const lightLoad = (seed: number) => {
  const draw = drawsOf(seed, 'light load');
  return { everyMs: between(draw, 60, 300), burst: pick(draw, [1, 5]) };
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
  return { ...SMALL, nodes, faults, workload: workload(seed) };
}

/** Members get different parts of what is sent, late and out of order. */
function inRain(seed: number, { faults, ...rest }: RunOptions): RunOptions {
  const draw = drawsOf(seed, 'rain');
  const loss = between(draw, 0.05, 0.35);
  const delay = { kind: 'uniform', min: 1, max: between(draw, 5, 200) } as const;
  const weather = { delay, loss, duplicate: 0.1, reorder: draw() };
  const rain: Fault = { kind: 'weather', weather, at: JOINED_MS, until: LOAD_MS };
  return { ...rest, faults: [rain, ...(faults as Fault[])] };
}

/** Like `shifting`, while messages get lost. */
export const shiftingInRain = (seed: number): RunOptions => inRain(seed, shifting(seed));

/**
 * One member is cut off while it alone has much to say, and comes back with a
 * long log that nobody else has: sometimes just when the leader of the others
 * goes, so that who is elected next is a question of whose log is ahead.
 */
export function hoarding(seed: number): RunOptions {
  const draw = drawsOf(seed, 'hoarding');
  const faults: Fault[] = [];
  const posts: Post[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    // The founder leads when all have joined, mostly.
    const node = at === JOINED_MS ? 0 : below(draw, 3);
    const until = at + between(draw, 2_500, 4_000);
    faults.push({ kind: 'isolate', node, directions: BOTH, at, until });
    const count = 10 + below(draw, 30);
    posts.push({ at: at + between(draw, 0, 500), node, count, bytes: 10 });
    for (let i = 0; i < 6; i++) {
      const time = between(draw, until - 300, until + 1_000);
      posts.push({ at: time, node: (node + 1 + below(draw, 2)) % 3, count: 1, bytes: 10 });
    }
    const isReplaced = chance(draw, 0.6);
    at = until + between(draw, 2_500, 4_000);
    if (!isReplaced) continue;
    const from = until - between(draw, 50, 500);
    faults.push({ kind: 'isolate', node: 'leader', directions: BOTH, at: from, until: at });
  }
  return { ...SMALL, nodes: 3, faults, workload: { posts, invites: [] } };
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
  const load = lightLoad(seed);
  return { nodes, relays: 1, minOnline: 3, early: false, loadMs: LOAD_MS, faults, workload: load };
}

/**
 * Whoever leads is cut off, or goes on talking and hears nothing more, so that
 * another is elected, and the next, with hardly a pause: leaders inherit what
 * their predecessor placed and nobody counted.
 */
export function deposing(seed: number): RunOptions {
  const draw = drawsOf(seed, 'deposing');
  const nodes = pick(draw, [3, 3, 5]);
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const until = at + between(draw, 1_500, 4_000);
    const directions = pick(draw, [BOTH, ['down'], ['up']] as const);
    faults.push({ kind: 'isolate', node: 'leader', directions, at, until });
    at = until + (chance(draw, 0.6) ? 0 : between(draw, 100, 2_000));
  }
  return { ...SMALL, nodes, faults, workload: workload(seed) };
}

/**
 * Whoever leads goes on talking and hears nothing more, then loses power: what
 * it placed is in all logs and nobody knows that. Messages get lost while the
 * next one leads.
 */
export function deafening(seed: number): RunOptions {
  const draw = drawsOf(seed, 'deafening');
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const down = at + between(draw, 500, 2_000);
    const until = down + between(draw, 2_500, 4_000);
    faults.push({ kind: 'isolate', node: 'leader', directions: ['down'], at, until: down + 1 });
    faults.push({ kind: 'crash', node: 'leader', inWrite: false, at: down, until });
    at = until + between(draw, 0, 500);
  }
  const weather = { ...CALM, loss: between(draw, 0.05, 0.2) };
  faults.push({ kind: 'weather', weather, at: JOINED_MS, until: LOAD_MS });
  return { ...SMALL, nodes: 3, faults, workload: { everyMs: between(draw, 50, 300), burst: 1 } };
}

/**
 * Of five, three elect a leader, which then goes on with one of them alone:
 * what the two acknowledge is committed, and replaced by the others.
 */
export function narrowing(seed: number): RunOptions {
  const draw = drawsOf(seed, 'narrowing');
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const [two, some, one] = groupsOf(draw, 5, [2, 2, 1]) as [number[], number[], number[]];
    const narrow = at + between(draw, 3_000, 5_000);
    const until = narrow + between(draw, 2_500, 4_500);
    faults.push({
      kind: 'block',
      pairs: pairsBetween([two, [...some, ...one]]),
      at,
      until: narrow,
    });
    faults.push({ kind: 'crash', node: 'leader', inWrite: false, at: at + 50, until: at + 150 });
    const pairs = pairsBetween([some, [...two, ...one]]);
    faults.push({ kind: 'block', pairs, at: narrow, until });
    at = until + between(draw, 1_500, 3_000);
  }
  return { ...SMALL, nodes: 5, faults, workload: { everyMs: between(draw, 20, 100), burst: 1 } };
}

/** Members that crash while several stand for one term, and messages take long. */
export function contesting(seed: number): RunOptions {
  const draw = drawsOf(seed, 'contesting');
  const nodes = 5;
  const faults: Fault[] = [];
  const delay = { kind: 'uniform', min: 10, max: between(draw, 100, 300) } as const;
  const weather = { delay, loss: 0, duplicate: 0, reorder: 1 };
  faults.push({ kind: 'weather', weather, at: JOINED_MS, until: LOAD_MS });
  for (let at = JOINED_MS; at < LOAD_MS; at += between(draw, 1_000, 2_000)) {
    faults.push({ kind: 'isolate', node: 'leader', directions: BOTH, at, until: at + 3_000 });
  }
  for (let at = JOINED_MS; at < LOAD_MS; at += between(draw, 50, 300)) {
    const node = below(draw, nodes);
    faults.push({ kind: 'crash', node, inWrite: false, at, until: at + between(draw, 1, 20) });
  }
  const conditions = { workMs: 0, diskMs: 0 };
  const workload = { everyMs: 1_000, burst: 1 };
  return { ...SMALL, nodes, faults, workload, conditions };
}

/**
 * The founder leads and is left with one other member; both go on talking while
 * it asks for a change of membership. All that falls out of the log, and the
 * founder alone holds it, unheard, until it is the only candidate and leads.
 */
export function inviting(seed: number): RunOptions {
  const draw = drawsOf(seed, 'inviting');
  const other = 1 + below(draw, 4);
  const most = [1, 2, 3, 4].filter((n) => n !== other);
  const at = JOINED_MS + between(draw, 0, 500);
  const healed = at + 3_500;
  const gone = healed + between(draw, 2_500, 3_000);
  const until = gone + 4_500;
  const unheard = { ...HONEST, censored: [{ from: 0, name: 'CH_MSG' }] };
  const candidates = [1, 2, 3, 4].map((from) => ({ from, name: 'CH_PREVOTE' }));
  const alone = { ...HONEST, censored: candidates };
  const liar = { kind: 'lying-relay', relay: 0, restarts: false } as const;
  const faults: Fault[] = [
    { kind: 'block', pairs: pairsBetween([[0, other], most]), at, until: healed },
    { kind: 'crash', node: other, inWrite: false, at: healed - 50, until },
    { ...liar, lies: unheard, at: healed - 50, until: gone },
    { ...liar, lies: alone, at: gone + 1, until },
    { kind: 'crash', node: 'leader', inWrite: false, at: gone, until: until - 500 },
  ];
  const posts = Array.from(
    { length: 40 },
    (_, i): Post => ({ at: at + i * 50, node: i % 2 ? 0 : other, count: 1, bytes: 10 }),
  );
  const load = { posts, invites: [Math.floor(at + between(draw, 500, 1_500))] };
  const conditions = { workMs: 0, weather: CALM };
  return {
    ...SMALL,
    nodes: 5,
    quorum: 'roster',
    conditions,
    faults,
    loadMs: until,
    workload: load,
  };
}

/** Members restart again and again with much unsaid, while messages get lost. */
export function restartingInRain(seed: number): RunOptions {
  const draw = drawsOf(seed, 'restarting');
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; at += between(draw, 200, 1_000)) {
    const until = at + between(draw, 10, 200);
    faults.push({ kind: 'crash', node: below(draw, 3), inWrite: false, at, until });
  }
  return inRain(seed, { ...SMALL, nodes: 3, faults, workload: { everyMs: 30, burst: 5 } });
}

/**
 * The leader is gone. One member alone may stand, and nobody hears that it was
 * granted to, so that it promises one term after the other; then the others
 * elect a leader below its promise, and do not hear it at all.
 */
export function muffled(seed: number): RunOptions {
  const draw = drawsOf(seed, 'muffled');
  const nodes = 5;
  const one = below(draw, nodes);
  const others = [0, 1, 2, 3, 4].filter((node) => node !== one);
  const elected = JOINED_MS + between(draw, 5_000, 7_000);
  const until = elected + between(draw, 3_000, 4_000);
  const liar = { kind: 'lying-relay', relay: 0, restarts: false } as const;
  const rivals = others.map((from) => ({ from, name: 'CH_PREVOTE' }));
  // A relay forwards a CH_LEAD as a CH_VOTE.
  const unheard = { ...HONEST, censored: [...rivals, { from: one, name: 'CH_VOTE' }] };
  const silent = ['CH_PREVOTE', 'CH_GRANT'].map((name) => ({ from: one, name }));
  const faults: Fault[] = [
    { kind: 'crash', node: 'leader', inWrite: false, at: JOINED_MS, until },
    { ...liar, lies: unheard, at: JOINED_MS, until: elected },
    { ...liar, lies: { ...HONEST, censored: silent }, at: elected + 1, until },
  ];
  const conditions = { workMs: 0, diskMs: 0, weather: CALM };
  const load = { everyMs: 500, burst: 1, invites: [] };
  const loadMs = until + 100;
  return { ...SMALL, nodes, early: true, loadMs, faults, workload: load, conditions };
}

/**
 * The founder leads and is left with one other member, to which it says
 * something that falls out of the log; then its disk is gone for good, and the
 * other one alone holds what it said.
 */
export function bequeathing(seed: number): RunOptions {
  const draw = drawsOf(seed, 'bequeathing');
  const heir = 1 + below(draw, 4);
  const others = [1, 2, 3, 4].filter((n) => n !== heir);
  const at = JOINED_MS + between(draw, 0, 500);
  const gone = at + between(draw, 500, 1_500);
  const until = gone + 3_000;
  const post = { at: at + between(draw, 50, 300), node: 0, count: 1 + below(draw, 5), bytes: 10 };
  const faults: Fault[] = [
    { kind: 'block', pairs: pairsBetween([[0, heir], others]), at, until },
    { kind: 'old-disk', nodes: [0], copiedAt: null, at: gone, until: until + 1_000 },
  ];
  const conditions = { workMs: 0, weather: CALM };
  const load = { posts: [post], invites: [] };
  const loadMs = LOAD_MS - 4_000;
  return { ...SMALL, nodes: 5, quorum: 'roster', conditions, faults, loadMs, workload: load };
}

/** An author says two things at one number, now and then. */
export function equivocating(seed: number): RunOptions {
  const draw = drawsOf(seed, 'equivocating');
  const node = below(draw, 4);
  const misdeeds = [{ do: 'two-records', often: between(draw, 0.2, 0.8) }] as const;
  const faults: Fault[] = [{ kind: 'misbehaves', node, misdeeds, at: JOINED_MS, until: LOAD_MS }];
  const load = { everyMs: between(draw, 30, 200), burst: 1 };
  return inRain(seed, { ...SMALL, nodes: 4, faults, workload: load });
}

/** Like `deposing`, while messages get lost. */
export const deposingInRain = (seed: number): RunOptions => inRain(seed, deposing(seed));

/**
 * Groups as in `apart`, and one member of the larger group reaches everyone: it
 * carries what one side made final to the other, which goes on by itself.
 */
export function bridged(seed: number): RunOptions {
  const draw = drawsOf(seed, 'bridged');
  const nodes = 7;
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const until = at + between(draw, 6_000, 9_000);
    const [few, most] = groupsOf(draw, nodes, [3, 3]) as [number[], number[]];
    faults.push({ kind: 'block', pairs: pairsBetween([few, most]), at, until });
    const bridge = [0, 1, 2, 3, 4, 5, 6].filter((n) => !few.includes(n) && !most.includes(n));
    const pairs = pairsBetween([few, bridge]);
    faults.push({ kind: 'block', pairs, at, until: at + between(draw, 2_500, 4_000) });
    at = until + between(draw, 100, 2_000);
  }
  const load = lightLoad(seed);
  return { nodes, relays: 1, minOnline: 3, early: false, loadMs: LOAD_MS, faults, workload: load };
}

/**
 * One member is away; the leader of the others goes deaf, so that what it
 * places is in all their logs and not final, and is gone. Then all of them
 * reach that one alone: nobody else can win, and it has the worst log.
 */
export function hub(seed: number): RunOptions {
  const draw = drawsOf(seed, 'hub');
  const [one, ...others] = groupsOf(draw, 5, [1, 1, 1, 1, 1]).flat() as [number, ...number[]];
  const until = LOAD_MS - 6_000;
  const faults: Fault[] = [
    { kind: 'isolate', node: one, directions: BOTH, at: until - 3_500, until },
    {
      kind: 'isolate',
      node: 'leader',
      directions: ['down'],
      at: until - between(draw, 300, 900),
      until,
    },
    // It restarts and leads no more: the one that was away can't have the log from its leader.
    { kind: 'crash', node: 'leader', inWrite: false, at: until - 20, until },
  ];
  const pairs = pairsBetween(others.map((n) => [n]));
  faults.push({ kind: 'block', pairs, at: until - 1, until, stays: true });
  // A deaf leader places what it says itself.
  const posts = others.flatMap((node) =>
    Array.from(
      { length: 40 },
      (_, i): Post => ({ at: until - 2_000 + i * 50, node, count: 1, bytes: 10 }),
    ),
  );
  const load = { posts, invites: [] };
  return {
    ...SMALL,
    nodes: 5,
    quorum: 'roster',
    // So that the faults end when the plan says so.
    early: true,
    loadMs: until,
    // All can have joined by then.
    conditions: { workMs: 0, diskMs: 1, weather: CALM },
    faults,
    workload: load,
  };
}

/** Like `apart`, and members lose power meanwhile. */
export function apartAndCrashing(seed: number): RunOptions {
  const { faults, ...rest } = apart(seed);
  const draw = drawsOf(seed, 'crashing');
  const crashes: Fault[] = [];
  for (let at = JOINED_MS + 2_000; at < LOAD_MS; at += between(draw, 500, 2_000)) {
    const node = below(draw, rest.nodes!);
    const until = at + between(draw, 50, 500);
    crashes.push({ kind: 'crash', node, inWrite: chance(draw, 0.3), at, until });
  }
  return { ...rest, faults: [...(faults as Fault[]), ...crashes] };
}

/**
 * Members say their first word, are cut off before they hear what became of it,
 * and say it again when all others have restarted.
 */
export function firstWords(seed: number): RunOptions {
  const draw = drawsOf(seed, 'first words');
  const faults: Fault[] = [];
  const posts: Post[] = [];
  let from = JOINED_MS;
  for (const node of sample(draw, [1, 2], 2)) {
    posts.push({ at: from, node, count: 1, bytes: 10 });
    const at = from + between(draw, 3, 60);
    const until = at + between(draw, 2_000, 3_000);
    faults.push({ kind: 'isolate', node, directions: BOTH, at, until });
    for (const other of [0, 1, 2].filter((n) => n !== node)) {
      const down = at + between(draw, 600, 900);
      faults.push({ kind: 'crash', node: other, inWrite: false, at: down, until: down + 300 });
    }
    from = until + 4_000;
  }
  const conditions = { workMs: 0, diskMs: pick(draw, [0, 5, 30]), weather: CALM };
  const workload = { posts, invites: [] };
  return { ...SMALL, nodes: 3, loadMs: 14_000, faults, workload, conditions };
}

/** A relay that puts other names on what members say in some commands, and is slow about the rest. */
export const forging =
  (...only: string[]) =>
  (seed: number): RunOptions =>
    lying(seed, { forge: 1, only });

/** A relay that says again what members said in some commands. */
export const replaying =
  (...only: string[]) =>
  (seed: number): RunOptions =>
    lying(seed, { replay: 1, only });

function lying(seed: number, what: Partial<Lies>): RunOptions {
  const draw = drawsOf(seed, 'lying');
  const lies = { ...HONEST, late: between(draw, 0, 0.7), lateMs: 600, ...what };
  const faults: Fault[] = [
    { kind: 'lying-relay', relay: 0, lies, restarts: false, at: JOINED_MS, until: LOAD_MS },
  ];
  for (let at = JOINED_MS + 500; at < LOAD_MS; ) {
    const until = at + between(draw, 500, 1_500);
    faults.push({ kind: 'crash', node: 'leader', inWrite: false, at, until });
    at = until + between(draw, 300, 2_000);
  }
  const nodes = pick(draw, [3, 4, 5]);
  return { ...SMALL, nodes, faults, workload: { everyMs: between(draw, 50, 2_000), burst: 1 } };
}

export const HONEST: Lies = {
  drop: 0,
  late: 0,
  lateMs: 0,
  replay: 0,
  forge: 0,
  rumour: 0,
  censored: [],
};
