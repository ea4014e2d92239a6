/**
 * The core under the simulator (docs/ARCHITECTURE.md, "Simulator"): many
 * seeds, the same every time and some fresh ones; that a run is a function of
 * its seed; and that a node which breaks a promise is caught.
 *
 * What failed is printed with the command that replays it.
 */

import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Sabotage, SimulateOptions, SimulateResult } from '../../src/testing/index.js';
import { simulate } from '../../src/testing/index.js';
import type { Change } from '../../src/testing/workload.js';

const RUN_MS = 480_000;
const run = promisify(execFile);

/** Seeds that once broke something, and what it was. */
const REGRESSIONS: readonly (readonly [number, string])[] = [
  [
    321,
    'the second member got its vote before it knew that it is a member, and only a leader told',
  ],
  [
    397,
    'pages ended at a certificate of a roster that the asker had left: two leaders certified one change',
  ],
  [944, 'a membership record that came before its receiver led was never placed'],
  [
    8_100_006,
    'kept certificates lay further apart with each member that caught up from another, until pages were too long',
  ],
  [
    416_209,
    'pages behind a long tail, without the certificates within it, made more final at once than a page holds',
  ],
  [400_518, 'a branch kept a record of a leader that waited in the pool, and stood for ever'],
  [300_569, 'an own message was shown before the one that its author had queued before it'],
  [
    740_175,
    'not the core: who is no member yet was asked to remember for the only voter, who could not',
  ],
  [
    502_764,
    'what came while a channel was opened was looked up nowhere: a message that was final waited to be placed',
  ],
  [
    700_546,
    'a question for the best log named its round when it was sent: a change of membership had ended that round in the same step',
  ],
  [
    902_713,
    'a page of a branch that did not connect left its records in the pool, counted by no share',
  ],
  [1_400_579, 'a certificate was made of acknowledgements further apart than its links may be'],
  [
    5_153_357_055_420,
    'a member that came back from nothing, restarted under an early roster, reached nobody who was in that',
  ],
  [
    4_100_740,
    'a candidate in the middle of a star asked the same member for a better log each time, which could not prove its own',
  ],
  [
    3_506_878,
    'a node restarted and got a branch with a record that its log places: it showed it as one whose predecessor is missing',
  ],
  [
    3_124_534,
    'not the core: a message that became final as its author crashed was asked for again, once the others were gone',
  ],
  [
    1_613_012,
    'what only the tails of an online leader’s followers held was offered by nobody, and its author was gone',
  ],
  [
    1_520_176,
    'a candidate got final pages of a later term, then its last ballot, and led behind entries of that term',
  ],
  [
    1_155_405,
    'a member that missed the certificates of 1,421 places had no page of them that fits a frame',
  ],
  [
    1_009_250,
    'a voter that lost its disk twice came back to the same term, and voted in the one above it twice',
  ],
  [5280, 'a member that had promised a higher term never followed the live leader below it again'],
  [4200277, 'who lost its memory can be told by no former member: no fault of the channel'],
  [4202565, 'what a crash cuts off was held by nobody, as the simulator counts'],
  [5203112, 'two members suspected a leader that served no pages in turns, and never together'],
];

/** What changes of membership brought to light. */
const CHANGING: readonly (readonly [SimulateOptions & { seed: number }, string])[] = [
  [
    changes(14_414, 9, [
      [3_000, 'admin', 2, 0],
      [5_842, 'remove', 8, 0],
      [8_182, 'remove', 2, 2],
      [18_520, 'return', 2, 0],
      [4_357, 'remove', 7, 0],
      [11_151, 'return', 7, 0],
    ]),
    'who was taken back, and whose disk was put back, stopped where its log says that it was removed',
  ],
  [
    changes(13_081, 8, [[24_270, 'leave', 2, 2]]),
    'a leader called a branch done of which it withheld a part; others held a warrant for that',
  ],
  [
    changes(14_439, 5, [
      [18_214, 'leave', 4, 4],
      [20_835, 'remove', 1, 0],
      [24_613, 'return', 1, 0],
    ]),
    'a node called a message committed that it had called withheld',
  ],
  [
    changes(7_761, 9, [
      [3_103, 'remove', 7, 1],
      [17_995, 'remove', 3, 0],
      [22_566, 'leave', 8, 8],
      [15_077, 'remove', 5, 0],
      [18_085, 'return', 5, 0],
    ]),
    'others forgot how the store of one who left had grown, and it came back with an older one',
  ],
  [
    changes(25_314, 9, [
      [3_000, 'admin', 5, 0],
      [19_973, 'remove', 5, 0],
      [20_136, 'return', 5, 0],
      [20_445, 'remove', 4, 0],
      [19_496, 'leave', 1, 1],
      [11_998, 'remove', 7, 0],
      [19_479, 'return', 7, 0],
    ]),
    'two kept certificates of a branch lay further apart than a page may be long',
  ],
];

function changes(
  seed: number,
  nodes: number,
  those: readonly (readonly [number, Change['what'], number, number])[],
): SimulateOptions & { seed: number } {
  const all = those.map(([at, what, node, by]): Change => ({ at, what, node, by }));
  return { seed, nodes, workload: { changes: all } };
}

/** The built command runs them, in a process for each core. */
const FIXED = 300;
const FRESH = 1_000;
const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

function report(r: SimulateResult): string {
  const { violation: v } = r;
  if (!v) return '';
  return `seed ${r.seed}: ${v.invariant} at ${v.at.toFixed(0)} ms: ${v.message}\n  replay: npx tsx test/sim/replay.ts ${r.seed} --log`;
}

/** Runs them one after the other and returns what broke, as one text. */
async function broken(seeds: readonly number[]): Promise<string> {
  const reports: string[] = [];
  for (const seed of seeds) reports.push(report(await simulate({ seed })));
  return reports.filter((text) => text !== '').join('\n');
}

const seedsFrom = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

describe('invariants and liveness hold', () => {
  it.each(REGRESSIONS)('for seed %i: %s', { timeout: RUN_MS }, async (seed) => {
    expect(await broken([seed])).toBe('');
  });

  it.each(CHANGING.map(([options, what]) => ({ ...options, what, options })))(
    'for seed $seed with changes of membership: $what',
    { timeout: RUN_MS },
    async ({ options }) => {
      expect(report(await simulate(options))).toBe('');
    },
  );

  const fresh = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);

  it.each([
    [`for the seeds 1 to ${FIXED}`, 1, FIXED],
    [`for ${FRESH} fresh seeds from ${fresh}`, fresh, FRESH],
  ])('%s', { timeout: RUN_MS }, async (_, first, count) => {
    const seeds = `${first}..${first + count - 1}`;
    const jobs = `${availableParallelism()}`;
    const args = ['sim', '--seeds', seeds, '--jobs', jobs, '--keep-going', '--no-shrink', '--json'];
    const { stdout } = await run(process.execPath, [command, ...args]).catch((error) => error);
    const results = stdout
      .trim()
      .split('\n')
      .map((line: string) => JSON.parse(line));
    const failures = results.slice(0, -1).map(({ seed, violation: v }: SimulateResult) => {
      return `seed ${seed}: ${v?.invariant}: ${v?.message}`;
    });
    expect(failures).toEqual([]);
    expect(results.at(-1)).toMatchObject({ seeds: count, failed: 0 });
  });
});

describe('a run', () => {
  // Links of this seed repeat a quarter of all frames; 234 questions, and 7,801 when second copies of pages led to more.
  it('asks no more for pages that come twice', { timeout: RUN_MS }, async () => {
    let pulls = 0;
    const result = await simulate({
      seed: 102,
      observe: (e) => {
        if (e.type === 'says' && e.command.name === 'CH_PULL') pulls += 1;
      },
    });
    expect(report(result)).toBe('');
    expect(pulls).toBeLessThan(1_000);
  });

  it('is a function of its seed', { timeout: RUN_MS }, async () => {
    for (const seed of [3, 4, 5, 6, 7]) {
      const first = await simulate({ seed });
      const second = await simulate({ seed });
      expect(second).toEqual(first);
    }
    expect((await simulate({ seed: 3 })).traceHash).not.toBe(
      (await simulate({ seed: 4 })).traceHash,
    );
  });

  it('makes messages final without faults', { timeout: RUN_MS }, async () => {
    const r = await simulate({ seed: 1, nodes: 3, faults: [], early: false, minOnline: 3 });
    expect(report(r)).toBe('');
    expect(r.messages).toBeGreaterThan(5);
  });

  it('places no message below minOnline', { timeout: RUN_MS }, async () => {
    const r = await simulate({ seed: 1, nodes: 2, faults: [], early: false, minOnline: 3 });
    expect(report(r)).toBe('');
    expect(r.messages).toBe(0);
  });
});

/** By what each sabotage must be caught; within the seeds. */
const SABOTAGES: readonly (readonly [Sabotage, RegExp, number])[] = [
  ['skip-sync', /^7 durable first/, 3],
  ['early-done', /^7 durable first/, 3],
  ['late-first', /^7 durable first/, 3],
  ['lose-promises', /^7 durable first/, 3],
  ['lose-outbox', /^7 durable first/, 3],
  ['torn-batch', /./, 60],
];

describe('a broken promise is caught', () => {
  it.each(SABOTAGES)('%s', { timeout: RUN_MS }, async (sabotage, by, seeds) => {
    const caught: string[] = [];
    for (const seed of seedsFrom(1, seeds)) {
      const r = await simulate({ seed, nodes: 3, faults: ['crash'], sabotage });
      if (r.violation) caught.push(r.violation.invariant);
      if (caught.some((invariant) => by.test(invariant))) break;
    }
    expect(caught.filter((invariant) => by.test(invariant))).not.toEqual([]);
  });
});
