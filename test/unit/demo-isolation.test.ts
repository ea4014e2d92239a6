/** What the demo accepts from a node that is cut off. */

import { expect, it } from 'vitest';
import { type CutOff, isolation } from '../../src/cli/demo/isolation.js';
import type { Json } from '../../src/cli/output.js';

const said = (state: string, from = 'ana', kind = 'message'): Json => ({ from, kind, state });

/** Given three lines before the cut and two since; one of the three was committed. */
const GOOD: CutOff = {
  user: 'ana',
  log: [
    said('final', 'ben'),
    said('final', 'ana', 'join'),
    said('final'),
    said('committed'),
    said('sent'),
    said('queued'),
    said('queued'),
  ],
  handed: 3,
  posted: 5,
  finalThen: 2,
  finalNow: 2,
  knownElsewhere: 3,
};

it('accepts a node that keeps in its queue what it was given since', () => {
  expect(isolation(GOOD)).toEqual({ queued: 2, problem: undefined });
});

it.each<[string, Partial<CutOff>]>([
  ['that committed one more', { log: [...GOOD.log, said('committed'), said('committed')] }],
  ['that made one more final', { log: [...GOOD.log, said('final'), said('final')] }],
  ['whose final log grew', { finalNow: 3 }],
  ['whose final log shrank', { finalNow: 1 }],
  ['whose later messages are known elsewhere', { knownElsewhere: 4 }],
  ['that lost a message of its queue', { log: GOOD.log.slice(0, -1) }],
  ['that queues nothing', { log: GOOD.log.slice(0, -2), posted: 3 }],
])('refuses a node %s', (_, change) => {
  expect(isolation({ ...GOOD, ...change }).problem).toBeDefined();
});
