/** Plans of faults in which members come back with older copies of their disks. */

import type { Fault } from '../../src/testing/faults.js';
import { below, between, drawsOf } from '../../src/testing/prng.js';
import { CALM } from '../../src/testing/weather.js';
import type { Post } from '../../src/testing/workload.js';
import type { RunOptions } from './mutant.js';
import { groupsOf, HONEST, JOINED_MS, LOAD_MS, pairsBetween, SMALL } from './plans.js';

/**
 * Of a majority that made entries final all but one come back with an older copy
 * of their disks. They meet that one, and learn from it that they forgot
 * something, not what; then they are alone with those who missed it all.
 */
export const forgetting =
  (old: 1 | 2) =>
  (seed: number): RunOptions => {
    const draw = drawsOf(seed, 'forgetting');
    const nodes = 2 * old + 1;
    const faults: Fault[] = [];
    for (let at = JOINED_MS; at < LOAD_MS; ) {
      const groups = groupsOf(draw, nodes, [old, old, 1]);
      const [forgetful, behind, knowing] = groups as [number[], number[], number[]];
      const copiedAt = at + between(draw, 300, 3_000);
      const back = copiedAt + between(draw, 2_500, 3_500);
      const alone = back + 1_000;
      const until = alone + between(draw, 4_000, 6_000);
      const pairs = pairsBetween([behind, [...forgetful, ...knowing]]);
      faults.push({ kind: 'block', pairs, at, until: alone });
      faults.push({ kind: 'old-disk', nodes: forgetful, copiedAt, at: back, until: back + 20 });
      const censored = forgetful.flatMap((to) => [
        { to, name: 'CH_APPEND' },
        { to, name: 'CH_REPORT' },
      ]);
      const lies = { ...HONEST, censored };
      faults.push({ kind: 'lying-relay', relay: 0, lies, restarts: false, at: back, until: alone });
      const others = pairsBetween([knowing, [...forgetful, ...behind]]);
      faults.push({ kind: 'block', pairs: others, at: alone, until });
      at = until + between(draw, 3_000, 4_000);
    }
    const conditions = { workMs: 0, weather: CALM };
    const load = { everyMs: between(draw, 30, 100), burst: 1, invites: [] };
    return { ...SMALL, nodes, conditions, quorum: 'roster', faults, workload: load };
  };

/**
 * Of three that made entries final one comes back with an older copy of its
 * disk. It meets all others, who report to it, but nobody's log comes through;
 * then it is alone with the two that missed those entries.
 */
export function recalling(seed: number): RunOptions {
  const draw = drawsOf(seed, 'recalling');
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const groups = groupsOf(draw, 5, [1, 2, 2]) as [number[], number[], number[]];
    const [forgetful, behind, knowing] = groups;
    const copiedAt = at + between(draw, 300, 1_000);
    const back = copiedAt + between(draw, 2_500, 3_500);
    const alone = back + between(draw, 2_500, 4_000);
    const until = alone + between(draw, 4_000, 6_000);
    const early = pairsBetween([behind, [...forgetful, ...knowing]]);
    faults.push({ kind: 'block', pairs: early, at, until: back });
    faults.push({ kind: 'old-disk', nodes: forgetful, copiedAt, at: back, until: back + 20 });
    const censored = [...forgetful, ...behind].map((to) => ({ to, name: 'CH_APPEND' }));
    const lies = { ...HONEST, censored };
    faults.push({
      kind: 'lying-relay',
      relay: 0,
      lies,
      restarts: false,
      at: back - 1,
      until: alone,
    });
    const late = pairsBetween([knowing, [...forgetful, ...behind]]);
    faults.push({ kind: 'block', pairs: late, at: alone - 1, until });
    at = until + between(draw, 3_000, 4_000);
  }
  const conditions = { workMs: 0, weather: CALM };
  const load = { everyMs: between(draw, 30, 100), burst: 1, invites: [] };
  return { ...SMALL, nodes: 5, conditions, quorum: 'roster', faults, workload: load };
}

/**
 * Of five, one comes back with an older copy of its disk while another is cut
 * off, and before anybody is elected two of those that told it are gone for good:
 * what the three that are left have promised lies far apart.
 */
export function losing(seed: number): RunOptions {
  const draw = drawsOf(seed, 'losing');
  const groups = groupsOf(draw, 5, [1, 1, 2, 1]);
  const [forgetful, behind, lost] = groups as [number[], number[], number[]];
  const copiedAt = JOINED_MS + between(draw, 0, 500);
  const back = copiedAt + between(draw, 1_500, 3_000);
  const until = back + between(draw, 3_000, 5_000);
  const others = groups.filter((group) => group !== behind).flat();
  const pairs = pairsBetween([behind, others]);
  const lies = { ...HONEST, censored: [{ name: 'CH_PREVOTE' }] };
  const faults: Fault[] = [
    { kind: 'block', pairs, at: back - 200, until },
    { kind: 'lying-relay', relay: 0, lies, restarts: false, at: back - 200, until },
    { kind: 'old-disk', nodes: forgetful, copiedAt, at: back, until: back + 20 },
    ...lost.map((node): Fault => ({ kind: 'gone', node, at: until - 20, until })),
  ];
  const conditions = { workMs: 0, weather: CALM };
  const load = { everyMs: between(draw, 30, 100), burst: 1, invites: [] };
  return { ...SMALL, nodes: 5, conditions, faults, loadMs: until, workload: load };
}

/**
 * The founder leads; what it places last one member acknowledges, and forgets
 * it. The others, who miss it, report to that one in a moment without their
 * leader; then one of them is with the leader, and the others elect another.
 */
export function recallingAmid(seed: number): RunOptions {
  const draw = drawsOf(seed, 'recalling amid');
  const [forgetful, torn, ...rest] = groupsOf(draw, 4, [1, 1, 1, 1])
    .flat()
    .map((n) => n + 1);
  const copiedAt = JOINED_MS + between(draw, 0, 500);
  const apart = copiedAt + between(draw, 1_300, 2_000);
  const back = apart + between(draw, 80, 200);
  const tornAt = back + between(draw, 300, 700);
  const until = tornAt + 5_000;
  const others = [torn!, ...rest];
  const block = { kind: 'block' } as const;
  const faults: Fault[] = [
    { ...block, pairs: pairsBetween([[0, forgetful!], others]), at: apart, until: back },
    { kind: 'old-disk', nodes: [forgetful!], copiedAt, at: back - 20, until: back },
    { ...block, pairs: pairsBetween([[0], [forgetful!, ...others]]), at: back - 1, until: tornAt },
    {
      ...block,
      pairs: pairsBetween([
        [0, torn!],
        [forgetful!, ...rest],
      ]),
      at: tornAt - 1,
      until,
    },
  ];
  const posts = Array.from(
    { length: 30 },
    (_, i): Post => ({ at: copiedAt + i * 80, node: 0, count: 1, bytes: 10 }),
  );
  const conditions = { workMs: 0, diskMs: 1, weather: CALM };
  const load = { posts, invites: [] };
  const loadMs = until + 500;
  return { ...SMALL, nodes: 5, conditions, quorum: 'roster', faults, loadMs, workload: load };
}

/**
 * One member after the other comes back with an older copy of its disk, while
 * the others remember more of it. Those who are deaf to beacons aren't told.
 */
export const puttingBack =
  ({ isTold = true, isLed = true } = {}) =>
  (seed: number): RunOptions => {
    const draw = drawsOf(seed, 'putting back');
    const nodes = 5;
    const faults: Fault[] = [];
    const posts: Post[] = [];
    for (let at = JOINED_MS; at < LOAD_MS; ) {
      const node = below(draw, nodes);
      // Time for a beacon that says more than the copy knows.
      const off = at + between(draw, 1_300, 2_000);
      const back = off + between(draw, 50, 500);
      const until = back + 3_500;
      faults.push({
        kind: 'old-disk',
        nodes: [node],
        copiedAt: at,
        at: off,
        until: back,
      });
      const lies = { ...HONEST, censored: [{ to: node, name: 'BEACON' }] };
      if (!isTold)
        faults.push({ kind: 'lying-relay', relay: 0, lies, restarts: false, at: off, until });
      if (!isLed) {
        faults.push({ kind: 'crash', node: 'leader', inWrite: false, at: back - 10, until });
      }
      for (let time = at; time < until; time += between(draw, 50, 400)) {
        const author = (node + 1 + below(draw, nodes - 1)) % nodes;
        posts.push({ at: time, node: author, count: 1, bytes: 10 });
      }
      at = until + between(draw, 1_500, 2_500);
    }
    const conditions = { workMs: 0, weather: CALM };
    const load = { posts, invites: [] };
    return { ...SMALL, nodes, conditions, quorum: 'roster', faults, workload: load };
  };
