/** Questions of a member that is behind (docs/PROTOCOL.md, section "Catching up"). */

import { expect, it } from 'vitest';
import { TIMING } from '../../src/core/limits.js';
import { pullFrom } from '../../src/core/pulls.js';
import { CoreState, users } from './fixtures/core-state.js';

const [LEADER, OTHER] = users(2, 3);

/** Whom each of `count` questions meant for the leader goes to, none of them answered. */
function asked(state: CoreState, count: number): unknown[] {
  return Array.from({ length: count }, () => {
    pullFrom(state.ctx, state.st, LEADER!);
    pullFrom(state.ctx, state.st, LEADER!);
    state.now += TIMING.pull_ms;
    return state.carryOut().map(({ name, payload }) => [name, (payload as { to: unknown }).to]);
  });
}

it('one that nobody answers goes to another member that is online, in turn with the first', () => {
  const state = new CoreState(4);
  state.online = new Set(users(2, 3));
  const [first, second] = [[['CH_PULL', LEADER]], [['CH_PULL', OTHER]]];
  expect(asked(state, 4)).toStrictEqual([first, second, first, second]);
});

it('it goes to the same again where no other is online, and after an answer', () => {
  const state = new CoreState(4);
  state.online = new Set([LEADER!]);
  expect(asked(state, 2)).toStrictEqual([[['CH_PULL', LEADER]], [['CH_PULL', LEADER]]]);
  state.online.add(OTHER!);
  state.st.pull = null;
  expect(asked(state, 1)).toStrictEqual([[['CH_PULL', LEADER]]]);
});
