/**
 * Scenarios with a plan of faults of their own, on the simulator: what a
 * partition, a crash and a dead relay do, and that everyone ends equal. The
 * run checks the invariants at every step and, at the end, that what was
 * stored anywhere is final everywhere.
 */

import { describe, expect, it } from 'vitest';
import { simulate } from '../../src/testing/index.js';
import type { Observer } from '../../src/testing/observer.js';

type Faults = NonNullable<Parameters<typeof simulate>[0]['faults']>;

const BOTH = ['up', 'down'] as const;

async function run(seed: number, nodes: number, faults: Faults, observe: Observer = () => {}) {
  const result = await simulate({
    seed,
    nodes,
    relays: 2,
    minOnline: 3,
    early: false,
    loadMs: 12_000,
    faults,
    observe,
  });
  expect(result.violation).toBeUndefined();
  expect(result.messages).toBeGreaterThan(0);
}

describe('five members over two relays end equal', () => {
  it('when two of them are cut off for a while', async () => {
    await run(11, 5, [
      { kind: 'isolate', node: 3, directions: BOTH, at: 1_000, until: 8_000 },
      { kind: 'isolate', node: 4, directions: BOTH, at: 1_000, until: 8_000 },
    ]);
  });

  it('when the leader loses power in the middle of a write, and another leads', async () => {
    /** Who led last, and then who leads while that node is down. */
    let last: number | undefined;
    let crashed: number | undefined;
    const next = new Set<number>();
    await run(
      12,
      5,
      [{ kind: 'crash', node: 'leader', inWrite: true, at: 2_000, until: 9_000 }],
      (e) => {
        if (e.type === 'crashed') crashed = e.node;
        if (e.type !== 'state' || !e.view.leads) return;
        if (crashed === undefined) last = e.node;
        else next.add(e.node);
      },
    );
    expect(crashed).toBe(last);
    next.delete(crashed!);
    expect(next.size).toBeGreaterThan(0);
  });

  it('when one relay forgets everything and the leader only sends', async () => {
    await run(13, 5, [
      { kind: 'relay-restart', relay: 0, at: 1_500, until: 4_000 },
      { kind: 'isolate', node: 'leader', directions: ['down'], at: 5_000, until: 9_000 },
    ]);
  });

  it('when members see each other only in part', async () => {
    await run(14, 5, [
      {
        kind: 'block',
        pairs: [
          [0, 1],
          [1, 0],
          [2, 3],
          [3, 2],
        ],
        at: 1_000,
        until: 9_000,
      },
    ]);
  });
});
