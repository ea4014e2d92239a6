/** Whose turn it is to make a key that is missing for all (docs/PROTOCOL.md, section "Encryption"). */

import { expect, test } from 'vitest';
import type { UserId } from '../../src/core/ids.js';
import { KEY_PATIENCE_MS, KEY_TURN_MS } from '../../src/core/limits.js';
import { patienceOf } from '../../src/node/key-turn.js';

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as string[] as [UserId, UserId, UserId, UserId];
const view = {
  state: 'healthy',
  epoch: { term: 1, kind: 'roster' },
  leader: null,
  online: [a, b, c, d],
} as unknown as Parameters<typeof patienceOf>[2];
const turns = (groups: UserId[][], seen: object = {}): (number | null)[] =>
  [a, b, c, d].map((user) => {
    const patience = patienceOf(user, groups, { ...view, ...seen });
    return patience === null ? null : (patience - KEY_PATIENCE_MS) / KEY_TURN_MS;
  });

test('no two have the same one: the leader is first, then those who are online', () => {
  expect(turns([[a, b, c, d]])).toEqual([0, 1, 2, 3]);
  expect(turns([[a, b, c, d]], { leader: c })).toEqual([1, 2, 0, 3]);
  expect(turns([[a, b, c, d]], { leader: c, online: [b, d] })).toEqual([null, 1, 0, 2]);
});

test('those of the first group come before all others, a leader among these too', () => {
  expect(turns([[c, d], [a]], { leader: a })).toEqual([2, null, 0, 1]);
  expect(
    turns(
      [
        [c, d],
        [a, b],
      ],
      { leader: b, online: [a, b, d] },
    ),
  ).toEqual([2, 1, null, 0]);
  expect(turns([[c], [a, b]], { online: [a, b] })).toEqual([0, 1, null, null]);
});

test('nobody has one while nothing becomes final, or none is missing', () => {
  const none = [null, null, null, null];
  expect(turns([[a, b, c, d]], { state: 'electing' })).toEqual(none);
  expect(turns([[a, b, c, d]], { epoch: { term: 1, kind: 'online' } })).toEqual(none);
  expect(turns([[a, b, c, d]], { epoch: null })).toEqual(none);
  expect(patienceOf(a, null, view)).toBeNull();
});
