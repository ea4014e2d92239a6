/** Plans written down and run again, and failing runs cut down. */

import { describe, expect, it } from 'vitest';
import { problemOf } from '../../src/testing/check-options.js';
import { isLasting } from '../../src/testing/faults.js';
import {
  FAULT_KINDS,
  RARE_KINDS,
  simulate as simulateApplication,
} from '../../src/testing/index.js';
import { formatPlanFile, type Plan, parsePlanFile, planOf } from '../../src/testing/plan.js';
import { planFaults } from '../../src/testing/plan-faults.js';
import { drawsOf } from '../../src/testing/prng.js';
import { shrink, withoutNode } from '../../src/testing/shrink.js';
import { type SimulateOptions, simulate } from '../../src/testing/simulate.js';
import { CALM, drawWeather } from '../../src/testing/weather.js';
import { planWorkload } from '../../src/testing/workload.js';

const RUN_MS = 240_000;

const lasting = { at: 0, until: 1_000_000 };

/** Less time to settle than a node needs that was cut off till the end; and faults that do not matter. */
const HASTY: SimulateOptions = {
  ...{ seed: 81, nodes: 4, relays: 2, minOnline: 3, early: false, loadMs: 3_000, settleMs: 100 },
  conditions: { workMs: 3, skewMs: 1_000, weather: CALM },
  faults: [
    { kind: 'relay-restart', relay: 1, at: 100, until: 200 },
    { kind: 'pause', node: 0, at: 1_000, until: 2_000 },
    { kind: 'isolate', node: 3, directions: ['up', 'down'], ...lasting },
    { kind: 'slow-disk', node: 1, ms: 20, ...lasting },
    { kind: 'crash', node: 'leader', inWrite: true, at: 2_500, until: 3_000 },
  ],
  workload: {
    posts: [1, 2, 3].map((node) => ({ at: 1_000, node, count: 3, bytes: 10 })),
    invites: [1_500],
  },
};

async function failing(options: SimulateOptions) {
  const result = await simulate(options);
  expect(result.ok).toBe(false);
  return { plan: planOf(options, result), result, violation: result.violation! };
}

const search = { runsMax: 400, signal: new AbortController().signal };

describe('a plan', () => {
  it.each([3, 5, 8, 11, 92])('of seed %i gives the same run from a file', async (seed) => {
    const result = await simulate({ seed });
    const text = formatPlanFile({ conclave: '1.2.3', plan: planOf({ seed }, result) });
    const { plan } = parsePlanFile(text);
    expect(await simulate(plan)).toEqual(result);
  });

  it('keeps what it says of a failure', async () => {
    const { plan, violation } = await failing(HASTY);
    const file = { conclave: '1.2.3', commit: 'abc+', violation, plan };
    expect(parsePlanFile(formatPlanFile(file))).toEqual(file);
  });

  it.each([
    ['{', 'no JSON'],
    ['null', 'no "plan"'],
    ['{"plan":{"seed":-1}}', '"seed"'],
    ['{"plan":{"seed":1.5}}', '"seed"'],
    ['{"plan":{"seed":1,"nodes":0}}', '"nodes"'],
    ['{"plan":{"seed":1,"faults":"crash"}}', '"faults"'],
    ['{"plan":{"seed":1,"faults":[{"kind":"crash"}]}}', 'fault 0'],
    ['{"plan":{"seed":1,"faults":[{"kind":"pause","node":0,"until":4}]}}', 'fault 0 lacks "at"'],
    [
      '{"plan":{"seed":1,"faults":[{"kind":"pause","node":0,"at":5000,"until":4000}]}}',
      'fault 0 ends at 4000 ms, before it begins at 5000 ms',
    ],
    [
      '{"plan":{"seed":8,"nodes":7,"fults":[]}}',
      'it has "fults", which means nothing; it may have seed, ',
    ],
    ['{"pan":{},"plan":{"seed":8}}', 'it has "pan", which means nothing'],
    ['{"plan":{"seed":8,"log":"run.txt"}}', '"log" must be a function'],
    [
      '{"plan":{"seed":1,"faults":[{"kind":"pause","node":0,"at":1,"until":2,"sidez":3}]}}',
      'fault 0 has "sidez", which means nothing; it may have kind, at, until, node, drawnFrom',
    ],
    ['{"plan":{"seed":1,"faults":[{"kind":"pause","at":1,"until":2}]}}', 'fault 0 lacks "node"'],
    [
      '{"plan":{"seed":1,"faults":["crash",{"kind":"pause","node":0,"at":1,"until":2}]}}',
      'fault 1',
    ],
    [
      '{"plan":{"seed":1,"workload":{"posts":[{"at":1,"node":0,"count":1,"bytes":0,"txt":"a"}]}}}',
      'post 0 has "txt"',
    ],
    ['{"plan":{"seed":1,"workload":{"post":[]}}}', '"workload" has "post"'],
    [
      '{"plan":{"seed":1,"nodes":2,"faults":[{"kind":"crash","at":1,"until":2,"node":2}]}}',
      'node 2',
    ],
    ['{"plan":{"seed":1,"workload":{"posts":{}}}}', '"posts"'],
    [
      '{"plan":{"seed":1,"nodes":1,"faults":[{"kind":"gone","at":1,"until":2,"node":0}]}}',
      'all nodes are gone',
    ],
  ])('%s is refused', (text, why) => {
    expect(() => parsePlanFile(text)).toThrow(why);
  });

  it('that was drawn is never refused', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const kinds = seed % 2 === 0 ? FAULT_KINDS : [...FAULT_KINDS, ...RARE_KINDS];
      const size = { seed, nodes: 5, relays: 2 };
      const faults = planFaults({ ...size, kinds, from: 3_000, until: 25_000 });
      const workload = planWorkload({ ...size, from: 3_000, until: 25_000 });
      const weather = drawWeather(drawsOf(seed, 'weather'));
      // A run draws no changes of membership beside faults that last.
      const changes = faults.some(isLasting) ? [] : workload.changes;
      expect(
        problemOf({ ...size, faults, workload: { ...workload, changes }, weather }),
      ).toBeUndefined();
    }
  });

  it('may leave things to its seed', async () => {
    const { plan } = parsePlanFile('{"plan":{"seed":7,"nodes":3}}');
    expect(await simulate(plan)).toEqual(await simulate({ seed: 7, nodes: 3 }));
  });
});

describe('events of a plan', () => {
  const crash = {
    kind: 'crash',
    node: 'leader',
    inWrite: false,
    at: 30_000,
    until: 31_000,
  } as const;
  const post = { at: 32_000, node: 1, count: 1, bytes: 0 };
  const of = (options: Partial<SimulateOptions>): SimulateOptions => ({
    ...{ seed: 83, nodes: 3, early: false, faults: [crash] },
    workload: { posts: [post], invites: [] },
    ...options,
  });

  it('happen, however late: the load lasts as long', async () => {
    const lines: string[] = [];
    const result = await simulate(of({ log: (line) => lines.push(line) }));
    expect(result).toMatchObject({ ok: true, messages: 1, outOfTime: [] });
    expect(lines.filter((line) => /fault .*crash/.test(line))).toHaveLength(1);
    const { loadAt, plan } = result;
    expect(loadAt + plan.loadMs).toBeGreaterThan(post.at);
    const again = await simulate({ seed: 83, ...plan });
    expect(again).toEqual(result);
  });

  it('that lie outside of what loadMs says are told', async () => {
    const { outOfTime, loadAt } = await simulate(of({ loadMs: 1_000 }));
    expect(loadAt).toBeLessThan(20_000);
    expect(outOfTime).toEqual([
      expect.stringMatching(/^fault 0 \(crash\) begins at 30000 ms, and the load ends at \d+ ms/),
      expect.stringMatching(/^post 0 begins at 32000 ms/),
    ]);
    const soon = { ...crash, at: 1, until: 2 };
    const early = await simulate(of({ faults: [soon], workload: { posts: [], invites: [] } }));
    expect(early.outOfTime).toEqual([expect.stringMatching(/^fault 0 .* the load begins at/)]);
  });
});

describe('what a run can not be asked for', () => {
  const LEAVE = { at: 1, what: 'leave', node: 1, by: 1 } as const;
  const REPLACE = { at: 1, what: 'replace', node: 1, by: 0 } as const;
  const STAYS = { stays: true, at: 1, until: 2 } as const;
  const options: [Partial<SimulateOptions>, string][] = [
    [{ seed: -1 }, '"seed"'],
    [{ nodes: 0 }, '"nodes" must be a whole number from 1 to 40'],
    [{ nodes: 200 }, '"nodes" must be a whole number from 1 to 40'],
    [{ relays: 9 }, '"relays" must be a whole number from 1 to 8'],
    [{ minOnline: 0 }, '"minOnline"'],
    [{ minOnline: 1, archives: 1 }, '"minOnline"'],
    [{ nodes: 3, archives: 3 }, '"archives"'],
    [{ loadMs: Number.NaN }, '"loadMs"'],
    [{ faults: ['luck' as 'crash'] }, 'fault 0 is no kind of fault: luck'],
    [{ faults: [{ kind: 'crush', at: 1, until: 2 } as never] }, 'no "kind" that is known'],
    [{ relays: 1, faults: [{ kind: 'relay-restart', relay: 1, at: 1, until: 2 }] }, 'relay 1'],
    [{ nodes: 2, faults: [{ kind: 'block', pairs: [[0, 2]], at: 1, until: 2 }] }, 'node 2'],
    [{ workload: { posts: [{ at: 1, node: 0, count: 0, bytes: 0 }] } }, 'post 0: "count" must be'],
    [{ colour: 1 } as object, 'it has "colour", which means nothing'],
    [
      { weather: { dely: 3 } as never },
      '"weather" has "dely", which means nothing; it may have delay',
    ],
    [{ conditions: { diskMs: -1 } }, '"conditions": "diskMs" must be ms, not -1'],
    [{ quorum: 'all' as 'online' }, '"quorum" must be "online" or "roster", not all'],
    [{ checks: {} } as object, 'it has "checks"'],
    [{ workload: { everyMs: 0 } }, '"workload": "everyMs" must be ms above 0, not 0'],
    [
      { faults: ['crash', 'topology'], workload: { changes: [LEAVE] } },
      `"workload": "changes" can't be with a fault that lasts (topology): leave out one of them`,
    ],
    [
      {
        nodes: 3,
        faults: [{ ...STAYS, kind: 'block', pairs: [] }],
        workload: { changes: [LEAVE] },
      },
      `can't be with a fault that lasts (block that stays)`,
    ],
    [
      {
        faults: [{ kind: 'misbehaves', node: 0, misdeeds: [], at: 1, until: 2 }],
        workload: { changes: [LEAVE] },
      },
      `can't be with a fault that lasts (misbehaves)`,
    ],
    [
      { workload: { changes: [{ ...REPLACE, as: 5 }] } },
      '"as" means nothing where the run does not say',
    ],
    [{ nodes: 5, workload: { changes: [{ ...REPLACE, as: 4 }] } }, 'change 0: "as" must be'],
    [{ nodes: 5, workload: { changes: [REPLACE] } }, 'change 0 lacks "as"'],
    [{ nodes: 5, workload: { changes: [{ ...LEAVE, as: 5 }] } }, 'change 0 has "as", which means'],
    [
      {
        nodes: 5,
        faults: [{ kind: 'gone', node: 6, at: 1, until: 2 }],
        workload: { changes: [{ ...REPLACE, as: 5 }] },
      },
      'fault 0 is of node 6, and there is none',
    ],
  ];
  const isRefused = (refused: Promise<unknown>, why: string) =>
    expect(refused).rejects.toMatchObject({
      code: 'bad_options',
      message: expect.stringContaining(why),
    });
  it.each(options)('%j', (wrong, why) => isRefused(simulate({ seed: 1, ...wrong }), why));

  const act = () => {};
  it.each<[object, string]>([
    [{ colour: 1 }, 'it has "colour"'],
    [{ nodes: 0 }, '"nodes" must be'],
    [{ app: 1 }, '"app" must be a function'],
    [
      { checks: { eventualy: act } },
      '"checks" has "eventualy", which means nothing; it may have always',
    ],
    [{ workload: {} }, '"workload" lacks "act"'],
    [{ workload: { act, everyMs: 0 } }, '"everyMs" must be ms above 0'],
    [{ weather: { dely: 3 } }, '"weather" has "dely"'],
    [{ sabotage: 'skip-sync' }, 'it has "sabotage"'],
  ])('with an application: %j', (wrong, why) =>
    isRefused(simulateApplication({ seed: 1, app: () => ({}), ...wrong }), why),
  );
});

describe('a run with a signal', () => {
  it('is the same run', async () => {
    const { signal } = new AbortController();
    let at = 0;
    const onProgress = (now: number): void => {
      at = now;
    };
    expect(await simulate({ seed: 8, signal, onProgress })).toEqual(await simulate({ seed: 8 }));
    expect(at).toBeGreaterThan(0);
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    const onProgress = (): void => stop.abort();
    const run = simulate({ seed: 8, signal: stop.signal, onProgress });
    await expect(run).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('without a node', () => {
  const plan = {
    seed: 1,
    nodes: 4,
    archives: 1,
    workload: {
      posts: [0, 1, 2, 3].map((node) => ({ at: node, node, count: 1, bytes: 0 })),
      invites: [],
      changes: [
        { at: 1, what: 'leave', node: 1, by: 1 },
        { at: 2, what: 'remove', node: 3, by: 1 },
        { at: 3, what: 'replace', node: 3, by: 0, as: 4 },
      ],
    },
    faults: [
      { kind: 'pause', node: 1, at: 1, until: 2 },
      { kind: 'pause', node: 3, at: 2, until: 3 },
      { kind: 'pause', node: 'leader', at: 2, until: 3 },
      {
        kind: 'block',
        pairs: [
          [0, 1],
          [1, 3],
          [2, 3],
        ],
        at: 3,
        until: 4,
      },
      { kind: 'block', pairs: [[1, 0]], at: 4, until: 5 },
    ],
  } as unknown as Plan;

  it('the others keep their parts under their new index', () => {
    const { nodes, archives, faults, workload } = withoutNode(plan, 1);
    expect([nodes, archives]).toEqual([3, 1]);
    expect(withoutNode(plan, 3).archives).toBe(0);
    expect(workload.posts.map(({ at, node }) => [at, node])).toEqual([
      [0, 0],
      [2, 1],
      [3, 2],
    ]);
    expect(faults).toEqual([
      { kind: 'pause', node: 2, at: 2, until: 3 },
      { kind: 'pause', node: 'leader', at: 2, until: 3 },
      { kind: 'block', pairs: [[1, 2]], at: 3, until: 4 },
    ]);
    expect(workload.changes).toEqual([{ at: 3, what: 'replace', node: 2, by: 0, as: 3 }]);
  });
});

describe('shrinking', () => {
  it('leaves what the failure needs', { timeout: RUN_MS }, async () => {
    const { plan, result, violation } = await failing(HASTY);
    const shrunk = await shrink({ ...search, plan, result });
    expect(shrunk.result.violation!.invariant).toBe(violation.invariant);
    expect(shrunk.plan.faults).toMatchObject([{ kind: 'isolate' }]);
    expect(shrunk.plan).toMatchObject({ workload: { posts: [], invites: [] }, relays: 1 });
    expect(shrunk.plan.nodes).toBeLessThan(plan.nodes);
    expect(await simulate(shrunk.plan)).toEqual(shrunk.result);
    expect(await shrink({ ...search, plan, result })).toEqual(shrunk);
  });

  it('finds that no fault is needed', { timeout: RUN_MS }, async () => {
    const options = { seed: 11, sabotage: 'lose-promises' } as const;
    const { plan, result } = await failing(options);
    expect(plan.faults.length).toBeGreaterThan(0);
    const shrunk = await shrink({ ...search, plan, result });
    expect(shrunk.plan).toMatchObject({ faults: [], relays: 1, workload: { posts: [] } });
    expect(shrunk.plan.nodes).toBeLessThan(plan.nodes);
    expect(shrunk.plan.conditions.weather).toMatchObject({ loss: 0, duplicate: 0, reorder: 0 });
  });

  it('stops after as many runs as it may make', async () => {
    const { plan, result } = await failing(HASTY);
    const { runs } = await shrink({ ...search, plan, result, runsMax: 3 });
    expect(runs).toBe(3);
  });

  it('stops when it is told to, with the best so far', async () => {
    const { plan, result } = await failing(HASTY);
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    const shrunk = await shrink({ ...search, plan, result, signal: stop.signal, onProgress });
    expect(shrunk.runs).toBe(1);
    expect(shrunk.plan).toEqual(plan);
  });
});
