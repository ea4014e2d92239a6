/** What the demo accepts from a node that is cut off. */

import { expect, it } from 'vitest';
import { type CutOff, isolation } from '../../src/cli/demo/isolation.js';
import type { Json } from '../../src/cli/output.js';

const said = (state: string, from = 'ana', kind = 'message'): Json => ({ from, kind, state });

/** Given three lines before the cut, two of them final, and three since, of which one is committed. */
const GOOD: CutOff = {
  user: 'ana',
  log: [
    said('final', 'ben'),
    said('final', 'ana', 'join'),
    said('final'),
    said('final'),
    said('committed'),
    said('committed', 'ben'),
    said('committed'),
    said('sent'),
    said('queued'),
  ],
  handed: 3,
  posted: 6,
  finalThen: 3,
  finalNow: 3,
  knownElsewhere: 3,
};

it('accepts a node that commits, and keeps the rest', () => {
  expect(isolation(GOOD)).toBeUndefined();
});

it('accepts a node that keeps all in its queue', () => {
  const log = [...GOOD.log.slice(0, 4), ...Array.from({ length: 4 }, () => said('queued'))];
  expect(isolation({ ...GOOD, log })).toBeUndefined();
});

it('accepts a node that learns from its own side what was final', () => {
  expect(isolation({ ...GOOD, finalThen: 5, finalNow: 4 })).toBeUndefined();
});

it.each<[string, Partial<CutOff>]>([
  ['that made more final', { log: [...GOOD.log, said('final'), said('final')] }],
  ['whose final log grew', { finalNow: 4 }],
  ['whose later messages are known elsewhere', { knownElsewhere: 4 }],
  ['that lost a message that was committed', { log: GOOD.log.toSpliced(6, 1) }],
  ['that lost a message of its queue', { log: GOOD.log.slice(0, -1) }],
])('refuses a node %s', (_, change) => {
  expect(isolation({ ...GOOD, ...change })).toBeDefined();
});
