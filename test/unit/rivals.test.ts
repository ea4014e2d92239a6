/**
 * Where a partition heals, both sides' leaders stand at once
 * (docs/PROTOCOL.md, section "Elections"): which of two candidates gives up,
 * and who gives its own candidacy up for an online leader.
 */

import { describe, expect, it } from 'vitest';
import { electorateDigest } from '../../src/core/chain.js';
import type { Election } from '../../src/core/channel-state.js';
import { onBallot, startPrevote, yieldToRival } from '../../src/core/election.js';
import { mayWinRoster, onElected } from '../../src/core/follower.js';
import type { UserId } from '../../src/core/ids.js';
import { TIMING } from '../../src/core/limits.js';
import { appendEntry, contextOf } from '../../src/core/replica.js';
import type { Ballot, Beat, EpochKind, Prevote } from '../../src/core/statements.js';
import { CHANNEL, digestOf, hash, person, ulidOf } from './fixtures/channel.js';
import { CoreState, messages, users } from './fixtures/core-state.js';

const STRANGER = person(99);
const [FIRST, , LAST] = users(1, 2, 3).toSorted();
const numberOf = (user: UserId): number => [1, 2, 3].find((n) => person(n).user === user)!;

/** A candidate for a roster epoch of term 8 whose log ends at seq 20 of term 4; voters promised term 7. */
function candidate(self: UserId, change: Partial<Election> = {}): CoreState {
  const state = new CoreState(7, numberOf(self));
  const promise = { term: 7, seen: 7, votedFor: null };
  state.st.hard = { roster: promise, online: promise };
  startPrevote(state.ctx, state.st, 'roster');
  state.carryOut();
  Object.assign(state.st.election!, { term: 8, last: { term: 4, seq: 20 } }, change);
  return state;
}

/** The same at its ballots, with those of all but the last that it needs. */
function waitsForOne(self: UserId): { state: CoreState; last: () => void } {
  const state = candidate(self, { stage: 'ballots', last: { term: 0, seq: 0 } });
  const election = state.st.election!;
  election.electorate = users(1, 2, 3, 4, 5, 6, 7).toSorted();
  for (const user of users(1, 2, 3)) election.ballots.set(user, new Uint8Array(64));
  const ballot: Ballot = {
    tag: 'ballot',
    ...contextOf(state.st),
    ...{ kind: 'roster', candidate: self, term: election.term },
    electorate: electorateDigest(hash, election.electorate),
  };
  const [user] = users(4);
  return { state, last: () => onBallot(state.ctx, state.st, user!, ballot, new Uint8Array(64)) };
}

describe('a candidate whose last ballot comes late', () => {
  it.each([
    ['leads', 7, true],
    ['leads nothing, once its log has an entry of its term', 8, false],
    ['or of a later one', 9, false],
  ])('%s', (_, term, leads) => {
    const { state, last } = waitsForOne(FIRST!);
    const { id, epoch } = state.election('roster', term, person(5), users(1, 2, 3, 4, 5));
    const [record] = messages(person(2), 1, state.rootOf(2));
    const at = { epoch: id, term, roster: epoch.roster };
    appendEntry(state.ctx, state.st, record!, () => state.proofOf(record!), at);
    last();
    expect([state.st.leading !== null, state.st.election]).toEqual([leads, null]);
  });
});

const rivalOf = (state: CoreState, change: Partial<Prevote>): Prevote => ({
  tag: 'prevote',
  channel: CHANNEL,
  roster: state.st.roster.number,
  rosterHash: state.st.roster.hash,
  kind: 'roster',
  candidate: FIRST!,
  round: ulidOf(7),
  term: 8,
  lastTerm: 4,
  lastSeq: 20,
  ...change,
});

describe('a candidate at its pre-vote', () => {
  type Case = [what: string, change: Partial<Prevote>, yields: boolean];
  it.each<Case>([
    ['a smaller id in the same term', {}, true],
    ['a higher term', { term: 9 }, true],
    ['a lower term', { term: 7 }, false],
    ['a longer log', { lastSeq: 21 }, true],
    ['a shorter log', { lastSeq: 19 }, false],
    ['a shorter log of a newer term', { lastTerm: 5, lastSeq: 1 }, true],
    ['a longer log of an older term', { lastTerm: 3, lastSeq: 99 }, false],
    ['a higher term and a log behind', { term: 9, lastSeq: 19 }, false],
    ['another roster', { rosterHash: digestOf('another roster') }, false],
    ['an online epoch', { kind: 'online', term: 9 }, false],
    ['no vote', { candidate: STRANGER.user, term: 9 }, false],
  ])('meets a rival with %s', (_, change, yields) => {
    const state = candidate(LAST!);
    yieldToRival(state.ctx, state.st, rivalOf(state, change));
    expect(state.st.election === null).toBe(yields);
    if (yields) {
      expect(state.st.electionAt).toBeGreaterThanOrEqual(state.now + TIMING.election_min_ms);
    }
  });

  it('meets a rival whose term is no longer to be had', () => {
    const state = candidate(LAST!, { term: 6 });
    yieldToRival(state.ctx, state.st, rivalOf(state, { term: 7 }));
    expect(state.st.election).not.toBeNull();
  });

  it('gives up on one side only, whoever hears of whom', () => {
    const [one, other] = [candidate(FIRST!), candidate(LAST!)];
    yieldToRival(one.ctx, one.st, rivalOf(one, { candidate: LAST! }));
    yieldToRival(other.ctx, other.st, rivalOf(other, { candidate: FIRST! }));
    expect([one.st.election === null, other.st.election === null]).toEqual([false, true]);
  });

  it.each<[string, Partial<Election>]>([
    ['has asked for ballots', { stage: 'ballots' }],
    ['stands for an online epoch', { kind: 'online' }],
  ])('that %s yields to none', (_, change) => {
    const state = candidate(LAST!, change);
    yieldToRival(state.ctx, state.st, rivalOf(state, { term: 9, lastSeq: 21 }));
    expect(state.st.election).not.toBeNull();
  });
});

describe('an online leader', () => {
  type Case = [kind: EpochKind | null, stage: Election['stage'], online: number, mayWin: boolean];
  it.each<Case>([
    [null, 'prevote', 6, false],
    ['online', 'prevote', 6, false],
    ['online', 'ballots', 6, false],
    ['roster', 'prevote', 2, false],
    ['roster', 'prevote', 3, true],
    ['roster', 'prevote', 6, true],
    ['roster', 'ballots', 0, true],
  ])(
    'meets a candidate for %s at its %s that reaches %i others: it goes on: %s',
    (kind, stage, online, mayWin) => {
      const state = kind ? candidate(FIRST!, { kind, stage }) : new CoreState(7, numberOf(FIRST!));
      const others = users(1, 2, 3, 4, 5, 6, 7).filter((user) => user !== FIRST);
      state.online = new Set(others.slice(0, online));
      expect(mayWinRoster(state.ctx, state.st)).toBe(mayWin);
      const leader = [1, 2, 3].map(person).find(({ user }) => user === LAST)!;
      const proof = state.election('online', 9, leader, users(1, 2, 3));
      const beat = { epoch: proof.id, term: 9, beat: 1, echo: ulidOf(1) } as Beat;
      onElected(state.ctx, state.st, LAST!, proof, beat);
      expect(state.st.leadership?.id).toBe(mayWin ? undefined : proof.id);
    },
  );
});
