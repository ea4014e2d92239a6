/** Who answers a member that asks to join, since it lost all it had (docs/PROTOCOL.md, section "Joining and growth"). */

import { beforeEach, expect, it } from 'vitest';
import { leadershipOf } from '../../src/core/leadership.js';
import { JOIN_PATIENCE_MS, JOIN_REPEAT_MS } from '../../src/core/limits.js';
import { onJoin } from '../../src/core/membership.js';
import { joinBody, type Person, person } from './fixtures/channel.js';
import { CoreState, users } from './fixtures/core-state.js';

const [LEADER, MEMBER, STRANGER] = [2, 3, 9].map(person) as [Person, Person, Person];
let state: CoreState;

beforeEach(() => {
  state = new CoreState(4);
});

function hearsLeader(): void {
  const { epoch, ballots } = state.election('roster', 5, LEADER, users(1, 2, 3, 4));
  state.st.leadership ??= leadershipOf(state.ctx, state.st, epoch, ballots, true);
  state.st.leadership.lastHeardAt = state.now;
}

/** Whether node 1, who leads nobody, answers the request of `who` with a page. */
function answers(who: Person): boolean {
  const { request, userSig, inviteSig } = joinBody(state.st.roster, who, person(7));
  const payload = { id: state.st.id, from: who.user, request, sig: userSig, invite_sig: inviteSig };
  const { ready } = state;
  onJoin(state.ctx, state.st, who.user, payload as never);
  const isServed = ready.serves.some(({ type }) => type === 'page');
  ready.serves.length = 0;
  return isServed;
}

/** The same while `who` asks every so often, and a leader is heard. */
function answersWithin(ms: number, who: Person, every = JOIN_REPEAT_MS): boolean {
  for (const end = state.now + ms; state.now < end; state.now += every) {
    hearsLeader();
    if (answers(who)) return true;
  }
  return false;
}

it('anybody at once, where no leader is heard', () => {
  expect([answers(MEMBER), answers(STRANGER)]).toStrictEqual([true, false]);
});

it('its leader alone, where one is heard; anybody once it has asked for long', () => {
  expect(answersWithin(JOIN_PATIENCE_MS, MEMBER)).toBe(false);
  expect(answersWithin(JOIN_REPEAT_MS, MEMBER)).toBe(true);
});

it('not one who asked long ago, nor a stranger', () => {
  expect(answersWithin(4 * JOIN_PATIENCE_MS, MEMBER, JOIN_PATIENCE_MS)).toBe(false);
  expect(answersWithin(4 * JOIN_PATIENCE_MS, STRANGER)).toBe(false);
});
