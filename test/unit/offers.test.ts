/** Others' records (docs/PROTOCOL.md, section "Offers"): whom members offer them to, and which are looked up first. */

import { expect, it } from 'vitest';
import { lookupsFor } from '../../src/core/catchup.js';
import type { UserId } from '../../src/core/ids.js';
import { leadershipOf } from '../../src/core/leadership.js';
import { SUSPECT_MS, TIMING } from '../../src/core/limits.js';
import { offerOthers } from '../../src/core/offers.js';
import { inviteBody, membershipBy, person } from './fixtures/channel.js';
import { CoreState, messages, users } from './fixtures/core-state.js';

/** Person 1 follows person 2 and holds a message of person 3; whom it offers that to: null for all. */
function offeredTo(suspects: { holds: boolean; until: number }): (UserId | null)[] {
  const state = new CoreState(5);
  const { epoch, ballots } = state.election('roster', 3, person(2), users(1, 2, 3, 4, 5));
  const lead = leadershipOf(state.ctx, state.st, epoch, ballots, true);
  Object.assign(lead.suspicion, suspects);
  state.st.leadership = lead;
  const [record] = messages(person(3), 1, state.rootOf(3));
  const at = { cameAt: state.now, offeredAt: state.now, kept: false };
  state.st.pool.add({ record: record!, proof: state.proofOf(record!), ...at }, false);
  state.now += 2 * TIMING.offer_ms;
  offerOthers(state.ctx, state.st);
  return state
    .carryOut()
    .map(({ payload }) => ('to' in payload ? ((payload.to as UserId) ?? null) : null));
}

it('go to the leader, and to all while this node stands against it: more than half must know what it leaves out', () => {
  const [leader] = users(2);
  const later = 1_000_000 + SUSPECT_MS;
  expect(offeredTo({ holds: false, until: 0 })).toEqual([leader]);
  expect(offeredTo({ holds: true, until: later })).toEqual([null]);
  // Not all the while: others had their chance to see it.
  expect(offeredTo({ holds: true, until: 0 })).toEqual([leader]);
});

it('are looked up behind a change of membership that was offered again: both may be final', () => {
  const state = new CoreState(5);
  const { roster, pool } = state.st;
  const change = membershipBy(roster, person(2), inviteBody(roster, person(77)));
  const [first, second] = messages(person(3), 2, change.digest);
  const at = { cameAt: state.now, offeredAt: state.now, kept: false };
  pool.add({ record: change, proof: new Uint8Array(1), ...at }, false);
  expect(lookupsFor(state.st, [first!])).toEqual([first!.digest, change.digest]);
  pool.add({ record: first!, proof: new Uint8Array(1), ...at }, false);
  expect(lookupsFor(state.st, [second!])).toEqual([]);
});
