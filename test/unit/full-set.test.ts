/** What an online leader does when its provisional set is full, and what status says (docs/PROTOCOL.md, sections "Provisional set", "Status"). */

import { expect, it } from 'vitest';
import { notePlaceable, placeOffers, takeLead } from '../../src/core/leader.js';
import { SET_BYTES_MAX, SET_RECORDS_MAX } from '../../src/core/limits.js';
import { channelView } from '../../src/core/view.js';
import { person } from './fixtures/channel.js';
import { CoreState, messages, users } from './fixtures/core-state.js';

it.each([
  ['one record less than its bound', { size: SET_RECORDS_MAX - 1 }, 1],
  ['as many records as it may', { size: SET_RECORDS_MAX }, 0],
  ['as many bytes as it may', { bytes: SET_BYTES_MAX }, 0],
])('an online leader with %s', (_, held: object, places) => {
  const state = new CoreState(7);
  state.online = new Set(users(2, 3));
  const { epoch, ballots } = state.election('online', 5, person(1), users(1, 2, 3));
  takeLead(state.ctx, state.st, epoch, ballots);
  const [record] = messages(person(2), 1, state.rootOf(2)) as [ReturnType<typeof messages>[0]];
  const at = { cameAt: state.now, offeredAt: state.now, kept: false };
  state.st.pool.add({ record, proof: state.proofOf(record), ...at }, false);
  notePlaceable(state.st, record.digest);
  for (const [name, value] of Object.entries(held)) {
    Object.defineProperty(state.st.pool, name, { value });
  }
  placeOffers(state.ctx, state.st);
  expect(state.st.leadership!.branch!.size).toBe(places);
  const { state: health, waiting } = channelView(state.ctx, state.st);
  expect(health).toBe(places > 0 ? 'healthy' : 'waiting');
  const missing = users(4, 5, 6, 7).toSorted();
  const full = { need: 4, have: 3, missing, reason: expect.stringContaining('fills its bound') };
  expect(waiting).toEqual(places > 0 ? null : full);
});
