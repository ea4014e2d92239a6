/** Lost memory (docs/PROTOCOL.md, section "Lost memory"): above what a voter votes again, and a node that votes alone, which has nobody to ask. */

import { describe, expect, it } from 'vitest';
import { FORGOTTEN_TERMS_MAX, TERM_JUMP_MAX, VOTES_ALONE_MS } from '../../src/core/limits.js';
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

type Told = Partial<Pick<Report, 'promised' | 'onlinePromised' | 'lastTerm'>>;

/** A voter of three that knows of term 5, once both others have reported. */
function recovered(told: Told, change: (state: CoreState) => void = () => {}): CoreState {
  const state = shown(3);
  change(state);
  const { number: roster, hash: rosterHash } = state.st.roster;
  const promised = 5 + FORGOTTEN_TERMS_MAX;
  state.st.memory!.known = { roster: 5, online: 5 };
  for (const user of users(2, 3)) {
    const terms = { term: 5, promised, onlineTerm: 5, onlinePromised: promised };
    const log = { lastTerm: 0, lastSeq: 0, lastHash: state.st.log.tip.hash };
    const { round } = state.st.memory!;
    const report = { roster, rosterHash, round, ...terms, ...log, ...told };
    onReport(state.ctx, state.st, user, report as Report);
  }
  expect(state.st.memory).toBeNull();
  return state;
}

describe('a voter that recovered votes above what a reporter may have granted', () => {
  const promised = 5 + FORGOTTEN_TERMS_MAX;

  it.each<[string, Told, roster: number, online: number]>([
    ['that promised what it was asked', {}, promised, promised],
    ['that promised more', { promised: 4_000 }, 4_000, 4_000],
    ['that promised more of online epochs', { onlinePromised: 4_000 }, promised, 4_000],
    ['whose log is of a later term', { lastTerm: 4_000 }, 4_000, 4_000],
  ])('%s', (_, told, roster, online) => {
    const above = (term: number) => ({ term: term + TERM_JUMP_MAX, seen: term, votedFor: null });
    // A log that is behind is brought first; here it only says which terms there are.
    const state = recovered(told, ({ st }) => {
      if (told.lastTerm) Object.defineProperty(st.log, 'lastTerm', { value: told.lastTerm });
    });
    expect(state.st.hard).toEqual({ roster: above(roster), online: above(online) });
  });

  it('and not below what it promised itself', () => {
    const term = 9_000;
    const state = recovered({}, ({ st }) => {
      st.hard = { ...st.hard, roster: { term, seen: 5, votedFor: null } };
    });
    expect(state.st.hard.roster.term).toBeGreaterThan(term);
  });
});

it('a voter asks for promises above what more than half have promised: it may have voted there after it lost memory before', () => {
  const state = shown(5);
  const { number: roster, hash: rosterHash } = state.st.roster;
  const reportOf = (term: number, promised: number): Report => {
    const terms = { term, promised, onlineTerm: 0, onlinePromised: 7 };
    const log = { lastTerm: 0, lastSeq: 0, lastHash: state.st.log.tip.hash };
    const { round } = state.st.memory!;
    return { roster, rosterHash, round, ...terms, ...log } as Report;
  };
  const looks = [reportOf(1_545, 2_057), reportOf(1_545, 9), reportOf(3, 3)];
  for (const [i, report] of looks.entries()) {
    expect(state.st.memory!.known).toBeNull();
    onReport(state.ctx, state.st, users(i + 2)[0]!, report);
  }
  expect(state.st.memory).toMatchObject({ known: { roster: 2_057, online: 7 }, round: '' });
  // A look is no promise.
  expect(state.st.memory!.reports.size).toBe(0);
  tickMemory(state.ctx, state.st);
  for (const user of users(2, 3, 4)) {
    expect(state.st.memory).not.toBeNull();
    onReport(state.ctx, state.st, user, {
      ...reportOf(3, 2_057 + FORGOTTEN_TERMS_MAX),
      onlinePromised: 7 + FORGOTTEN_TERMS_MAX,
    });
  }
  expect(state.st.hard.roster.term).toBe(2_057 + FORGOTTEN_TERMS_MAX + TERM_JUMP_MAX);
});

describe('a node that is shown that its store was put back', () => {
  it('votes again after a while where it votes alone, above all that it may have forgotten', async () => {
    const state = shown(1);
    const { seen } = state.st.hard.roster;
    expect(later(state, VOTES_ALONE_MS - 1)).toBe(false);
    expect(later(state, 1)).toBe(true);
    expect(state.st.hard.roster.term).toBe(seen + FORGOTTEN_TERMS_MAX + TERM_JUMP_MAX);
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
