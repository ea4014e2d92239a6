/**
 * Every coverage mark that is not pending is reached (src/testing/marks.ts):
 * else the runs of this suite prove nothing about that situation.
 *
 * Most are reached by common seeds. For rare ones there are plans that make
 * them likely; each is tried with one seed after the other until the marks that
 * it is for were reached. When a change moves seeds so that one is missed,
 * `npx tsx test/sim/marks-of.ts` tells where it is reached now.
 */

import { describe, expect, it } from 'vitest';
import type { Fault, Victim } from '../../src/testing/faults.js';
import { activeMarks, MARKS, type Mark, type MarkName } from '../../src/testing/marks.js';
import { type SimulateOptions, simulate } from '../../src/testing/simulate.js';
import { CALM } from '../../src/testing/weather.js';

const RUN_MS = 480_000;
const COMMON_SEEDS = 60;

/** These sides can't reach each other. */
function split(at: number, until: number, ...sides: number[][]): Fault {
  const others = (i: number): number[] => sides.filter((_, j) => j !== i).flat();
  const pairs = sides.flatMap((side, i) =>
    side.flatMap((a) => others(i).map((b): [number, number] => [a, b])),
  );
  return { kind: 'block', pairs, at, until };
}
const isolate = (node: Victim, at: number, until: number): Fault => ({
  ...{ kind: 'isolate', node, directions: ['up', 'down'], at, until },
});
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

const plain = {
  ...{ relays: 1, minOnline: 3, early: false, quorum: 'online', workload: { everyMs: 300 } },
  conditions: { weather: CALM, workMs: 0, diskMs: 1 },
} as const satisfies Partial<SimulateOptions>;

interface Ground {
  readonly what: string;
  readonly marks: readonly MarkName[];
  readonly seeds: number;
  readonly options: Partial<SimulateOptions>;
}

const GROUNDS: readonly Ground[] = [
  {
    what: 'three sides of nine',
    marks: ['set-of-three', 'three-branches-merged', 'both-sides-commit', 'highest-followed'],
    seeds: 20,
    options: {
      ...{ ...plain, nodes: 9, loadMs: 14_000 },
      faults: [split(6_000, 13_000, [0, 1, 2], [3, 4, 5], [6, 7, 8])],
    },
  },
  {
    what: 'a member that comes back to its side',
    marks: ['electorate-grew', 'confirmed-by-third'],
    seeds: 30,
    options: {
      ...{ ...plain, nodes: 9, loadMs: 14_000 },
      faults: [split(6_000, 20_000, [0, 1, 2, 3], [4, 5, 6, 7, 8]), isolate(3, 5_900, 13_000)],
    },
  },
  {
    what: 'a commit of three of the four that elected, of seven, and then those three cut off',
    marks: ['certified-tail-displaced'],
    seeds: 60,
    options: {
      ...{ ...plain, nodes: 7, loadMs: 16_000, workload: { everyMs: 100 } },
      faults: [
        ...[4, 5, 6].map((node) => isolate(node, 3_000, 12_000)),
        { kind: 'crash', node: 'leader', inWrite: false, at: 7_500, until: 7_700 },
        { kind: 'slow-disk', node: 3, ms: 5_000, at: 11_900, until: 13_000 },
        split(12_000, 16_000, [0, 1, 2], [3, 4, 5, 6]),
      ],
    },
  },
  {
    what: 'leaders cut off while they merge',
    marks: ['merge-displaced'],
    seeds: 90,
    options: {
      ...{ ...plain, nodes: 6, loadMs: 14_000, workload: { everyMs: 400 } },
      conditions: { ...plain.conditions, weather: { ...CALM, delay: { kind: 'fixed', ms: 40 } } },
      faults: [
        split(7_000, 12_000, [0, 1, 2], [3, 4, 5]),
        ...times(8, (i) => isolate('leader', 12_600 + 400 * i, 15_000 + 400 * i)),
      ],
    },
  },
  {
    what: 'one partition after the other, whose members come back with old or empty disks',
    marks: ['orphan', 'memory-lost'],
    seeds: 250,
    options: { faults: ['lost-disk', 'old-disk', 'shift'] },
  },
  {
    what: 'a leader that censors a member',
    marks: ['censor-replaced'],
    seeds: 20,
    options: {
      ...{ ...plain, nodes: 5, loadMs: 20_000 },
      faults: times(2, (node) => ({
        ...{ kind: 'misbehaves', node, misdeeds: [{ do: 'censor', author: 3 }] },
        ...{ at: 6_000, until: 24_000 },
      })),
    },
  },
  {
    what: 'two people and an archive, of whom one is away, and then the archive leaves',
    marks: ['placed-by-few', 'archive-departed'],
    seeds: 10,
    options: {
      ...{ ...plain, nodes: 3, archives: 1, minOnline: 2, loadMs: 12_000 },
      workload: { everyMs: 300, changes: [{ at: 11_000, what: 'leave', node: 2, by: 2 }] },
      faults: [isolate(1, 5_000, 9_000)],
    },
  },
  {
    what: 'three people and an archive in halves',
    marks: ['online-epoch-of-two'],
    seeds: 10,
    options: {
      ...{ ...plain, nodes: 4, archives: 1, minOnline: 2, loadMs: 14_000 },
      faults: [split(6_000, 13_000, [0, 1], [2, 3])],
    },
  },
  {
    what: 'a founder that invites while others join',
    marks: ['wish-made-anew', 'joined-under-fire'],
    seeds: 60,
    options: {
      ...{ ...plain, nodes: 7, early: true, loadMs: 6_000 },
      workload: { everyMs: 1_000, invites: times(60, (i) => 100 * i) },
      faults: times(10, (i) => isolate('leader', 300 + 500 * i, 1_600 + 500 * i)),
    },
  },
  {
    what: 'a member whose key is replaced while it writes on the other side',
    marks: ['key-replaced', 'old-key-writes', 'withheld'],
    seeds: 20,
    options: {
      ...{ ...plain, minOnline: 1, nodes: 5, loadMs: 14_000 },
      workload: {
        everyMs: 200,
        changes: [{ at: 8_000, what: 'replace', node: 4, by: 0, as: 5 }],
      },
      faults: [split(6_000, 12_000, [0, 1, 2, 5], [3], [4])],
    },
  },
];

const reached = new Set<string>();
const isMissing = (name: string): boolean => !reached.has(name);

async function run(options: SimulateOptions): Promise<void> {
  const { seed, violation, marks } = await simulate(options);
  expect(violation, `seed ${seed}`).toBeUndefined();
  for (const mark of marks) reached.add(mark);
}

describe('coverage marks', () => {
  it('of common seeds', { timeout: RUN_MS }, async () => {
    for (let seed = 1; seed <= COMMON_SEEDS; seed++) await run({ seed });
    expect(reached.size).toBeGreaterThan(0);
  });

  it.each(GROUNDS)('of $what', { timeout: RUN_MS }, async ({ marks, seeds, options }) => {
    for (let seed = 1; seed <= seeds && marks.some(isMissing); seed++) {
      await run({ ...options, seed });
    }
    expect(marks.filter(isMissing)).toEqual([]);
  });

  it('are all reached', () => {
    const missing = activeMarks().filter(({ name }) => isMissing(name));
    expect(missing.map(({ name, means }) => `${name}: ${means}`)).toEqual([]);
  });

  it('are not reached where nothing happens', async () => {
    const { marks } = await simulate({ ...plain, seed: 1, nodes: 3, faults: [], loadMs: 5_000 });
    expect(
      marks.filter((name) => !['page-by-non-leader', 'page-of-older-roster'].includes(name)),
    ).toEqual([]);
  });

  it('have a name and a sentence each, once; pending ones are not reached', () => {
    const names = MARKS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, means } of MARKS) {
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(means).toMatch(/^[a-z].*[^.]$/);
    }
    const pending = MARKS.filter((mark: Mark) => mark.pending !== undefined);
    expect(pending.filter(({ name }) => reached.has(name))).toEqual([]);
  });
});
