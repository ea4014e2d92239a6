/**
 * Scenarios with messages of many kilobytes, which no transcript could show:
 * tails and pages are bounded by their bytes, not by how much a partition left
 * to merge. The script is run for its expectations and for the invariants.
 */

import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/testing/scenario.js';

const COUNT = 30;
const BYTES = 40_000;

/** Three of seven commit 1.2 MB among themselves while the four others lead a roster epoch. */
const TWO_SIDES = [
  'nodes 7',
  '',
  'hide all',
  'split 0 1 2 | 3 4 5 6',
  'run 8s',
  'expect under roster 3 4 5 6',
  'expect under online 0 1 2',
  ...Array.from({ length: COUNT }, (_, i) => `post ${i % 3} m${i} ${'x'.repeat(BYTES)}`),
  'run 20s',
  ...Array.from({ length: COUNT }, (_, i) => `expect committed 0 m${i} ${'x'.repeat(BYTES)}`),
];

async function ends(script: readonly string[]): Promise<void> {
  const { problems, stage } = await runScenario([...TWO_SIDES, ...script].join('\n'));
  expect(problems.map((problem) => problem.slice(0, 500))).toEqual([]);
  expect(stage.cluster.unsettled(stage.cluster.nodes)).toBeUndefined();
}

describe('large messages of one side', () => {
  it('are final in the end though the first to merge them hears no acknowledgement, and dies', async () => {
    await ends([
      'drop ACK_CH_MSG to 3',
      'heal',
      'run 1500ms',
      'crash 3',
      'drop nothing',
      'run 20s',
      'start 3',
      'post 4 hello',
      'run until equal',
      'expect final 4 hello',
    ]);
  });
});
