/** Members that are gone for good, and what is asked of those that are left (docs/simulation.md). */

import { describe, expect, it } from 'vitest';
import type { Fault } from '../../src/testing/faults.js';
import type { History } from '../../src/testing/history.js';
import { type SimulateOptions, simulate } from '../../src/testing/simulate.js';
import { CALM } from '../../src/testing/weather.js';

const gone = (...nodes: number[]): Fault[] =>
  nodes.map((node, i) => ({ kind: 'gone', node, at: 6_000 + 500 * i, until: 12_000 }));
const post = (at: number, node: number, text: string) => ({ at, node, count: 1, bytes: 0, text });

/** A calm channel of so many nodes that loses some; the last one posts before and long after it. */
async function losing(nodes: number, minOnline: number, lost: number[], more = {}) {
  let history: History | undefined;
  const last = nodes - 1;
  const options = {
    ...{ seed: 1, nodes, relays: 1, minOnline, quorum: 'online', early: false, loadMs: 12_000 },
    conditions: { encoded: false, workMs: 0, diskMs: 1, skewMs: 0, weather: CALM },
    faults: gone(...lost),
    workload: { posts: [post(5_000, last, 'before'), post(12_000, last, 'after')], invites: [] },
    onHistory: (h) => {
      history = h;
    },
    ...more,
  } as SimulateOptions;
  const result = await simulate(options);
  const { ends, events, settled } = history ?? { ends: [], events: [], settled: undefined };
  const ids = events.flatMap((e) => (e.type === 'send' ? e.id : []));
  const states = (i: number) =>
    ends.map(({ log }) => log.find(({ id }) => id === ids[i])?.state ?? 'nowhere');
  return { result, events, settled, left: ends.map(({ node }) => node), states };
}

describe('members that are gone', () => {
  it('leave a channel that works, if they are a minority', async () => {
    const { result, settled, left, states } = await losing(5, 3, [0, 3]);
    expect(result.violation).toBeUndefined();
    expect(settled).toBe(true);
    expect(left).toEqual([1, 2, 4]);
    expect(states(0)).toEqual(['final', 'final', 'final']);
    expect(states(1)).toEqual(['final', 'final', 'final']);
  });

  it('do not come back, whatever starts nodes', async () => {
    const crash: Fault = { kind: 'crash', node: 3, inWrite: false, at: 5_500, until: 9_000 };
    const full: Fault = { kind: 'disk-full', node: 0, at: 5_000, until: 8_000 };
    const old: Fault = { kind: 'old-disk', nodes: [0], copiedAt: 5_000, at: 9_000, until: 9_500 };
    const faults = [crash, full, ...gone(0, 3), old];
    const { result, events, left } = await losing(5, 3, [], { faults });
    expect(result.violation).toBeUndefined();
    expect(left).toEqual([1, 2, 4]);
    for (const node of [0, 3]) {
      const own = events.filter((e) => 'node' in e && e.node === node);
      expect(own.findIndex((e) => e.type === 'gone')).toBe(own.length - 1);
    }
  });

  it('leave a log without a tail, and nothing is placed, below minOnline', async () => {
    const { result, settled, states } = await losing(5, 4, [0, 3]);
    expect(result.violation).toBeUndefined();
    expect(settled).toBe(false);
    expect(states(0)).toEqual(['final', 'final', 'final']);
    expect(states(1).at(-1)).toMatch(/queued|sent/);
  });

  it('leave an online epoch, if at most half is left', async () => {
    const { result, states } = await losing(7, 3, [0, 1, 2, 3]);
    expect(result.violation).toBeUndefined();
    expect(states(0)).toEqual(['final', 'final', 'final']);
    expect(states(1)).toEqual(['committed', 'committed', 'committed']);
  });

  it('leave nothing that could commit, if at most half is left and the policy knows rosters only', async () => {
    const { result, states } = await losing(7, 3, [0, 1, 2, 3], { quorum: 'roster' });
    expect(result.violation).toBeUndefined();
    expect(states(1).at(-1)).toMatch(/queued|sent/);
  });

  it('go once all have joined', async () => {
    const faults = gone(0, 1).map((fault) => ({ ...fault, at: 0 }));
    const { result, left } = await losing(5, 3, [], { faults, early: true });
    expect(result.violation).toBeUndefined();
    expect(left).toEqual([2, 3, 4]);
  });

  it.each([
    ['more than half', 5, [0, 3]],
    ['at most half', 7, [0, 1, 2, 3]],
  ])('leave what does not settle without a leader: %s', async (_, nodes, lost) => {
    const faults = gone(...lost).map((fault) => ({ ...fault, at: 11_990 }));
    const { result } = await losing(nodes, 3, [], { faults, settleMs: 1 });
    expect(result.violation?.message).toContain('leader');
  });
});
