/** Lost memory (docs/PROTOCOL.md, section "Lost memory"): above what a voter votes again, and a node that votes alone, which has nobody to ask. */

import { describe, expect, it } from 'vitest';
import { FORGOTTEN_TERMS_MAX, VOTES_ALONE_MS } from '../../src/core/limits.js';
import { forget, onReport, tickMemory } from '../../src/core/memory.js';
import type { Report } from '../../src/core/statements.js';
import { founded } from './fixtures/channel.js';
import { CoreState, users } from './fixtures/core-state.js';

/** Shown that its store was put back, maybe by a member of another channel. */
function shown(voters: number): CoreState {
  const state = new CoreState(voters);
  forget(state.ctx, state.st, 'batches of this store');
  tickMemory(state.ctx, state.st);
  state.carryOut();
  return state;
}

function later(state: CoreState, ms: number): boolean {
  state.now += ms;
  tickMemory(state.ctx, state.st);
  state.carryOut();
  return state.st.memory === null;
}

it('a voter votes again above all that it may have voted in, and what others promised because they were asked it may have promised too', () => {
  const state = shown(3);
  const { number: roster, hash: rosterHash } = state.st.roster;
  const promised = 5 + FORGOTTEN_TERMS_MAX;
  state.st.memory!.known = { roster: 5, online: 5 };
  for (const user of users(2, 3)) {
    const terms = { term: 5, promised, onlineTerm: 5, onlinePromised: promised };
    const log = { lastTerm: 0, lastSeq: 0, lastHash: state.st.log.tip.hash };
    const { round } = state.st.memory!;
    onReport(state.ctx, state.st, user, { roster, rosterHash, round, ...terms, ...log } as Report);
  }
  expect(state.st.memory).toBeNull();
  const above = { term: promised + FORGOTTEN_TERMS_MAX, seen: promised, votedFor: null };
  expect(state.st.hard).toEqual({ roster: above, online: above });
});

describe('a node that is shown that its store was put back', () => {
  it('votes again after a while where it votes alone, above all that it may have forgotten', async () => {
    const state = shown(1);
    const { seen } = state.st.hard.roster;
    expect(later(state, VOTES_ALONE_MS - 1)).toBe(false);
    expect(later(state, 1)).toBe(true);
    expect(state.st.hard.roster.term).toBe(seen + 2 * FORGOTTEN_TERMS_MAX);
    expect((await state.reopened()).memory).toBeNull();
  });

  it('waits on while more of the log comes', () => {
    const state = shown(1);
    later(state, VOTES_ALONE_MS - 1);
    const { log } = state.st;
    Object.defineProperty(log, 'final', { value: { ...log.final, seq: 7 } });
    expect(later(state, 1)).toBe(false);
    expect(later(state, VOTES_ALONE_MS - 1)).toBe(false);
    expect(later(state, 1)).toBe(true);
  });

  it('does not where others vote, nor where a roster comes under which they do', () => {
    const state = shown(3);
    expect(later(state, 2 * VOTES_ALONE_MS)).toBe(false);
    const grown = shown(1);
    expect(grown.st.roster).toEqual(founded());
    grown.st.roster = state.st.roster;
    expect(later(grown, 2 * VOTES_ALONE_MS)).toBe(false);
  });
});
