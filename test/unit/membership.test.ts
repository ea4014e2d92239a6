/** Rules around a change of membership (docs/PROTOCOL.md, sections "Joining and growth" and "Final"). */

import { beforeEach, expect, it } from 'vitest';
import { epochId } from '../../src/core/chain.js';
import { isValidFinal } from '../../src/core/follower.js';
import { leadershipOf } from '../../src/core/leadership.js';
import { JOIN_PATIENCE_MS, JOIN_REPEAT_MS } from '../../src/core/limits.js';
import { onJoin } from '../../src/core/membership.js';
import { hash, joinBody, type Person, person, recordBy } from './fixtures/channel.js';
import { CoreState, PlacedChain, users } from './fixtures/core-state.js';

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

it('takes final certificates of the roster in force and of the one just before, and of no other', () => {
  const certified = (before: number, count = Number.POSITIVE_INFINITY) => {
    const roster = state.st.roster.number - before;
    const { hash: rosterHash, voters } = state.st.electors[roster]!;
    const { epoch } = state.election('roster', 5, LEADER, voters.slice(0, count));
    const changed = { ...epoch, roster, rosterHash };
    const proof = { id: epochId(hash, changed), epoch: changed, ballots: [] };
    const cert = new PlacedChain(proof, [recordBy(MEMBER)]).certificate(0);
    return isValidFinal(state.st, { ...cert, kind: 'final' });
  };
  expect([0, 1, 2].map((before) => certified(before))).toEqual([true, true, false]);
  expect([0, 1].map((before) => certified(before, 1))).toEqual([false, false]);
});
