/** What an online leader does when its provisional set is full, and what status says (docs/PROTOCOL.md, sections "Provisional set", "Status"). */

import { describe, expect, it } from 'vitest';
import { type BranchPage, onBranchPage, onSet } from '../../src/core/exchange.js';
import type { EpochId } from '../../src/core/ids.js';
import { notePlaceable, placeOffers, takeLead } from '../../src/core/leader.js';
import {
  BRANCHES_LISTED_MAX,
  BRANCHES_PER_LEADER_MAX,
  SET_BYTES_MAX,
  SET_BYTES_PER_AUTHOR_MAX,
  SET_RECORDS_MAX,
  SET_RECORDS_PER_AUTHOR_MAX,
  TIMING,
} from '../../src/core/limits.js';
import { channelView } from '../../src/core/view.js';
import { person } from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

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

describe("one author's share", () => {
  /** Of person 2 so much is held as `held` says, of others nothing. */
  function holding(held: { count?: number; bytes?: number }): CoreState {
    const state = new CoreState(7);
    state.online = new Set(users(2, 3));
    const { pool } = state.st;
    const heldOf = pool.heldOf.bind(pool);
    pool.heldOf = (author) =>
      author === person(2).user ? { count: 1, bytes: 1, ...held } : heldOf(author);
    return state;
  }

  const FULL = [
    ['records', { count: SET_RECORDS_PER_AUTHOR_MAX + 1 }],
    ['bytes', { bytes: SET_BYTES_PER_AUTHOR_MAX + 1 }],
  ] as const;

  it.each([
    ...FULL.map(([what, held]) => [what, held, [3]] as const),
    ['not yet', { count: SET_RECORDS_PER_AUTHOR_MAX, bytes: SET_BYTES_PER_AUTHOR_MAX }, [2, 3]],
  ] as const)(
    'used up by its %s: an online leader places what others write',
    (_, held, authors) => {
      const state = holding(held);
      const { epoch, ballots } = state.election('online', 5, person(1), users(1, 2, 3));
      takeLead(state.ctx, state.st, epoch, ballots);
      for (const n of [2, 3]) {
        const record = messages(person(n), 1, state.rootOf(n))[0]!;
        const at = { cameAt: state.now, offeredAt: state.now, kept: false };
        state.st.pool.add({ record, proof: state.proofOf(record), ...at }, false);
        notePlaceable(state.st, record.digest);
      }
      placeOffers(state.ctx, state.st);
      const placed = state.st
        .leadership!.branch!.digests()
        .map((digest) => state.st.pool.get(digest)!.record.author);
      expect(placed).toEqual(users(...authors));
    },
  );

  it.each(FULL)('used up by its %s: pages with more of it are taken later', (_, held) => {
    const state = holding(held);
    const [mine, others] = [pageBy(state, 2, 5), pageBy(state, 3, 6)];
    const { branches, pool } = state.st;
    /** Whether it asks for a branch that it is told of. */
    const asks = (epoch: EpochId): boolean => {
      const set = [{ epoch, seq: 1 }];
      const from = person(3).user;
      const p = { id: state.st.id, from, to: state.self.user, anchor: [], want: [], set };
      onSet(state.ctx, state.st, from, p as never, set);
      return state.carryOut().some((c) => c.name === 'CH_PULL' && c.payload.take);
    };
    for (const page of [mine, others]) onBranchPage(state.ctx, state.st, person(3).user, page);
    expect([branches.has(mine.epoch), branches.has(others.epoch)]).toEqual([false, true]);
    expect(asks(mine.epoch)).toBe(true);
    onBranchPage(state.ctx, state.st, person(3).user, mine);
    expect(asks(mine.epoch)).toBe(false);
    state.now += 4 * TIMING.pull_ms;
    expect(asks(mine.epoch)).toBe(true);
    pool.heldOf = () => ({ count: 0, bytes: 0 });
    onBranchPage(state.ctx, state.st, person(3).user, mine);
    expect(branches.has(mine.epoch)).toBe(true);
  });
});

/** A page with one message of person `author`, certified in an online epoch of that term, which person `leader` led. */
function pageBy(state: CoreState, author: number, term: number, leader = 3): BranchPage {
  const records = messages(person(author), 1, state.rootOf(author));
  const elected = state.election('online', term, person(leader), users(2, 3, 4));
  const chain = new PlacedChain(elected, records);
  const proofs = records.map((record) => state.proofOf(record));
  const whole = { epoch: elected.id, proof: elected, records, proofs, cert: chain.certificate(0) };
  return { ...whole, ...chain.stretch(0, 1), tip: 1, base: 0, more: 0, isForAll: false };
}

describe('online epochs of one leader', () => {
  it('are taken up to so many, those of others all the same', () => {
    const state = new CoreState(7);
    const take = (page: BranchPage) => onBranchPage(state.ctx, state.st, person(3).user, page);
    for (let i = 0; i < BRANCHES_PER_LEADER_MAX + 5; i++) take(pageBy(state, 3, 10 + i));
    expect(state.st.branches.size).toBe(BRANCHES_PER_LEADER_MAX);
    take(pageBy(state, 3, 10, 4));
    expect(state.st.branches.size).toBe(BRANCHES_PER_LEADER_MAX + 1);
  });
});

describe('more branches than are named at once', () => {
  const MORE = BRANCHES_LISTED_MAX + 10;
  const ASKER = person(2).user;

  function withMany(): CoreState {
    const state = new CoreState(7);
    state.online = new Set(users(2, 3));
    for (let i = 0; i < MORE; i++) {
      onBranchPage(state.ctx, state.st, person(3).user, pageBy(state, 3, 10 + i));
    }
    state.carryOut();
    return state;
  }

  /** What it names to who said that it holds `set`. */
  function named(state: CoreState, set: { epoch: EpochId; seq: number }[]): EpochId[] {
    state.now += TIMING.pull_ms;
    const p = { id: state.st.id, from: ASKER, to: state.self.user, anchor: [], want: [], set };
    onSet(state.ctx, state.st, ASKER, p as never, set);
    const sent = state.carryOut();
    return sent
      .flatMap((c) => (c.name === 'CH_PULL' ? (c.payload.set ?? []) : []))
      .map((b) => b.epoch);
  }

  it('are named in turn', () => {
    const state = withMany();
    const [first, second] = [named(state, []), named(state, [])];
    expect([first.length, second.length]).toEqual([BRANCHES_LISTED_MAX, BRANCHES_LISTED_MAX]);
    expect(new Set([...first, ...second]).size).toBe(MORE);
  });

  it('are not told to who names as many as it may', () => {
    const state = withMany();
    const all = [...state.st.branches.keys()].map((epoch) => ({ epoch, seq: 1 }));
    expect(named(state, all.slice(0, BRANCHES_LISTED_MAX))).toEqual([]);
    expect(named(state, all.slice(0, 9))).toHaveLength(BRANCHES_LISTED_MAX);
  });
});
