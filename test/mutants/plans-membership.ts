/** Plans of runs in which members leave, are removed or taken back, and keys replaced. */

import type { Fault } from '../../src/testing/faults.js';
import { below, between, chance, drawsOf, pick } from '../../src/testing/prng.js';
import type { Censored } from '../../src/testing/sim-liar.js';
import { CALM } from '../../src/testing/weather.js';
import type { Change } from '../../src/testing/workload.js';
import type { RunOptions } from './mutant.js';
import { apart, HONEST, JOINED_MS, LOAD_MS, pairsBetween, SMALL } from './plans.js';

const BOTH = ['up', 'down'] as const;

/**
 * Three are cut off from the others for a while, again and again, and commit
 * among themselves; meanwhile members of either side are removed, and leave.
 */
export function changing(seed: number): RunOptions {
  const { workload, ...rest } = apart(seed);
  const draw = drawsOf(seed, 'changing');
  const changes: Change[] = [];
  for (let node = 2; node < 5; node++) {
    const at = Math.floor(between(draw, JOINED_MS + 2_000, LOAD_MS));
    const leaves = chance(draw, 0.3);
    changes.push({ at, what: leaves ? 'leave' : 'remove', node, by: leaves ? node : 0 });
  }
  return { ...rest, workload: { ...workload, changes } };
}

/** The same, and who is gone is taken back at once. */
export function returning(seed: number): RunOptions {
  const { workload, ...rest } = changing(seed);
  const changes = workload?.changes ?? [];
  const back = changes.map(
    ({ at, node }): Change => ({ at: at + 1_000, what: 'return', node, by: 0 }),
  );
  return { ...rest, workload: { ...workload, changes: [...changes, ...back] } };
}

/**
 * Three are cut off from the others for a while, again and again, and write on
 * both sides; meanwhile members get new keys, by the founder or by their recovery
 * keys, on nodes of either side, and others try it with a key of their own.
 */
export function replacing(seed: number): RunOptions {
  const { nodes: members, workload, ...rest } = apart(seed);
  const draw = drawsOf(seed, 'replacing');
  const changes: Change[] = [];
  for (const [i, node] of [2, 3].entries()) {
    const what = { what: 'replace', node, as: members! + i } as const;
    const at = Math.floor(between(draw, JOINED_MS + 2_000, LOAD_MS));
    const asks = pick(draw, [1, 4, 5]);
    if (chance(draw, 0.5)) {
      changes.push({ at: JOINED_MS + 500, what: 'recovery', node, by: node });
      changes.push({ at, ...what, by: asks, word: 'recovery' });
    } else changes.push({ at, ...what, by: 0 });
    if (chance(draw, 0.3)) changes.push({ at: at - 1_000, ...what, by: asks, word: 'forged' });
    if (chance(draw, 0.3)) changes.push({ at: at - 800, ...what, by: asks });
    if (chance(draw, 0.3)) {
      changes.push({ at: JOINED_MS + 1_500, what: 'recovery', node, by: node, word: 'forged' });
    }
  }
  const faults = (rest.faults as Fault[]).map((fault): Fault => {
    if (fault.kind !== 'block') return fault;
    // The node of a new key is on the side of somebody.
    const beside = [0, 1].map((i) => [members! + i, below(draw, members!)] as const);
    const pairs = fault.pairs.flatMap(([a, b]): [number, number][] => {
      const at = (node: number) => [
        node,
        ...beside.filter(([, of]) => of === node).map(([n]) => n),
      ];
      return at(a).flatMap((x) => at(b).map((y): [number, number] => [x, y]));
    });
    return { ...fault, pairs };
  });
  return { ...rest, nodes: members!, faults, workload: { ...workload, changes } };
}

/**
 * A thief is cut off from all but one member, who offers to the others what the
 * old key wrote, over a slow network: some of it comes when they know the new key.
 */
export function offeringOld(seed: number): RunOptions {
  const draw = drawsOf(seed, 'offering old');
  const [thief, device] = [4, 5];
  const at = JOINED_MS + 4_000;
  // Others offer what its author did not get placed by then.
  const replaced = Math.floor(at + between(draw, 2_500, 3_500));
  const pairs = pairsBetween([[thief], [0, 1, 2, device]]);
  const posts = Array.from({ length: 60 }, (_, i) => ({
    at: Math.floor(at + 50 * i),
    ...{ node: thief, count: 1, bytes: 8 },
  }));
  const delay = { kind: 'uniform', min: 50, max: between(draw, 100, 400) } as const;
  return {
    ...{ nodes: 5, relays: 1, minOnline: 3, early: false, loadMs: LOAD_MS },
    conditions: { weather: { ...CALM, delay }, workMs: 0, diskMs: 1 },
    faults: [{ kind: 'block', pairs, at, until: at + 7_000 }],
    workload: {
      ...{ posts, invites: [] },
      changes: [{ at: replaced, what: 'replace', node: thief, by: 0, as: device }],
    },
  };
}

/**
 * A key of three is replaced, and one member alone learns that this is final.
 * Then it is left with the new key, and the others, who do not know, together:
 * they elect another leader under the old roster.
 */
export function replacingApart(seed: number): RunOptions {
  const draw = drawsOf(seed, 'replacing apart');
  const [old, knowing] = chance(draw, 0.5) ? [1, 2] : [2, 1];
  const device = 3;
  const at = JOINED_MS + between(draw, 1_000, 2_000);
  const split = at + between(draw, 100, 600);
  const heard = split + between(draw, 2_000, 5_000);
  const until = heard + between(draw, 3_000, 6_000);
  const unsure = [0, old].map((to) => ({ to, name: 'CH_MSG_ACK' }));
  const unknown = [{ name: 'CH_MSG_COMMIT' }, { from: knowing, name: 'CH_APPEND' }];
  const lying = (relay: number, censored: Censored[], end: number): Fault => ({
    ...{ kind: 'lying-relay', relay, lies: { ...HONEST, censored }, restarts: false },
    ...{ at: at - 50, until: end },
  });
  const cut = (node: number, relay: number, from: number): Fault => ({
    ...{ kind: 'cut', node, relay, directions: BOTH, reset: true, at: from, until },
  });
  // A relay that knows the new roster serves the old key no more: each side has one of its own.
  const faults: Fault[] = [
    ...[knowing, device].map((node) => cut(node, 0, JOINED_MS + 200)),
    lying(0, unsure, heard),
    lying(1, [...unsure, ...unknown], split),
    ...[0, old].map((node) => cut(node, 1, split)),
  ];
  const changes: Change[] = [{ at, what: 'replace', node: old, as: device, by: 0 }];
  const conditions = { workMs: 0, weather: CALM };
  const load = { everyMs: between(draw, 100, 300), burst: 1, invites: [], changes };
  return { ...SMALL, relays: 2, nodes: 3, conditions, faults, loadMs: until, workload: load };
}

/**
 * Two of five ask again and again for changes of membership that nobody signed,
 * or that they may not ask for, while an invitation is open.
 */
export function askingFalsely(seed: number): RunOptions {
  const draw = drawsOf(seed, 'asking falsely');
  const first = 1 + below(draw, 4);
  const offenders = [first, 1 + (first % 4)];
  const misdeeds = [{ do: 'false-changes', often: 0.1 }] as const;
  const at = { at: JOINED_MS, until: LOAD_MS };
  const faults = offenders.map((node): Fault => ({ ...at, kind: 'misbehaves', node, misdeeds }));
  const load = { everyMs: between(draw, 100, 300), burst: 1, invites: [JOINED_MS + 1_000] };
  return { ...SMALL, nodes: 5, faults, workload: load };
}
