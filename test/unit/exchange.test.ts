/**
 * The exchange of branches (docs/PROTOCOL.md, section "Exchange"): who is
 * asked, how many pages answer, and to whom they go, so that a page crosses
 * the relay once however many lack it.
 */

import { beforeEach, describe, expect, it } from 'vitest';
import type { Outgoing } from '../../src/core/commands.js';
import type { ServeBranch } from '../../src/core/effects.js';
import {
  type BranchPage,
  isFetching,
  onBranchPage,
  onSet,
  onTake,
  tickExchange,
} from '../../src/core/exchange.js';
import type { UserId } from '../../src/core/ids.js';
import { leadershipOf } from '../../src/core/leadership.js';
import {
  ASKED_KEEP_MS,
  BRANCHES_LISTED_MAX,
  PAGE_ENTRIES_MAX,
  PAGES_PER_ANSWER_MAX,
  TIMING,
  WITHHELD_AGAIN_MS,
} from '../../src/core/limits.js';
import type { ChannelRecord } from '../../src/core/record.js';
import { serveBranch } from '../../src/core/serve-branch.js';
import { CHANNEL, epochOf, person } from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

const userOf = (n: number): UserId => person(n).user;
const LEADER = userOf(2);
const SENDER = userOf(3);
const ASKER = userOf(4);
const OTHER = userOf(5);
const RECORDS = 7 * PAGE_ENTRIES_MAX;
const PAGE = PAGE_ENTRIES_MAX;

let state: CoreState;
let chain: PlacedChain;
let records: ChannelRecord[];

beforeEach(() => {
  state = new CoreState(7);
  state.online = new Set(users(2, 3, 4, 5, 6, 7));
  const author = person(3);
  records = messages(author, RECORDS, state.st.roster.members.get(author.user)!.root);
  chain = new PlacedChain(state.election('online', 5, person(3), users(3, 4, 5)), records);
});

/** A page behind `from`, certified at its end; signatures are the driver's business. */
function pageFrom(from: number, change: Partial<BranchPage> = {}, count = PAGE): BranchPage {
  const part = records.slice(from, from + count);
  const proofs = part.map(() => new Uint8Array(8));
  const cert = chain.certificate(from + count - 1);
  const whole = { epoch: chain.proof.id, proof: chain.proof, records: part, proofs, cert };
  return {
    ...whole,
    ...chain.stretch(from, from + count),
    tip: RECORDS,
    more: 0,
    base: 0,
    isForAll: false,
    ...change,
  };
}

const comes = (from: UserId, page: BranchPage): Outgoing[] => {
  onBranchPage(state.ctx, state.st, from, page);
  return state.carryOut();
};

/** Who is asked for what follows which seq. */
const asked = (sent: readonly Outgoing[]): [UserId, number][] =>
  sent.flatMap((c) =>
    c.name === 'CH_PULL' && c.payload.take
      ? [[c.payload.to, c.payload.take.seq] as [UserId, number]]
      : [],
  );

function isTold(from: UserId, seq = RECORDS): [UserId, number][] {
  const set = [{ epoch: chain.proof.id, seq }];
  const p = { id: state.st.id, from, to: state.self.user, anchor: [], want: [], set };
  onSet(state.ctx, state.st, from, p as never, set);
  return asked(state.carryOut());
}

function follows(leader: UserId, kind: 'roster' | 'online'): void {
  const all = users(1, 2, 3, 4, 5, 6, 7);
  const who = [1, 2, 3, 4, 5, 6, 7].map(person).find(({ user }) => user === leader)!;
  const { epoch, ballots } = state.election(kind, 6, who, kind === 'roster' ? all : users(1, 2, 6));
  state.st.leadership = leadershipOf(state.ctx, state.st, epoch, ballots, true);
  state.carryOut();
}

describe('who lacks a branch', () => {
  it('asks who told it, and nobody else until the answer is late, or who was asked is gone', () => {
    expect(isTold(SENDER)).toEqual([[SENDER, 0]]);
    expect(isTold(OTHER)).toEqual([]);
    state.now += 4 * TIMING.pull_ms;
    expect(isTold(OTHER)).toEqual([[OTHER, 0]]);
    state.online.delete(OTHER);
    expect(isTold(SENDER)).toEqual([[SENDER, 0]]);
  });

  it('asks the roster leader first, whoever told it, then whoever told it', () => {
    follows(LEADER, 'roster');
    expect(isTold(SENDER)).toEqual([[LEADER, 0]]);
    state.now += 4 * TIMING.pull_ms;
    state.st.leadership!.lastHeardAt = state.now;
    expect(isTold(SENDER)).toEqual([[SENDER, 0]]);
  });

  it('asks nobody while a roster leader is about to be elected, but not for long', () => {
    follows(LEADER, 'online');
    state.st.majoritySince = state.now;
    expect(isTold(SENDER)).toEqual([]);
    state.now += TIMING.election_max_ms;
    expect(isTold(SENDER)).toEqual([[SENDER, 0]]);
  });

  it("asks the branch's leader on after the first page, then whoever answered", () => {
    isTold(OTHER);
    expect(asked(comes(OTHER, pageFrom(0)))).toEqual([[SENDER, PAGE]]);
    expect(asked(comes(ASKER, pageFrom(PAGE)))).toEqual([[ASKER, 2 * PAGE]]);
  });

  it('begins a branch at its front: it asks for that where a page from the middle comes first', () => {
    const { branches } = state.st;
    expect(asked(comes(SENDER, pageFrom(2 * PAGE)))).toEqual([[SENDER, 0]]);
    expect([branches.size, state.st.pool.size]).toEqual([0, 0]);
    // Again, while the answer is under way.
    expect(asked(comes(SENDER, pageFrom(3 * PAGE)))).toEqual([]);
    expect(asked(comes(SENDER, pageFrom(0)))).toEqual([[SENDER, PAGE]]);
    expect(branches.get(chain.proof.id)).toMatchObject({ base: { seq: 0 }, certified: PAGE });
  });

  it('keeps nothing of a page that does not connect, since one before it was lost', () => {
    comes(SENDER, pageFrom(0));
    comes(SENDER, pageFrom(2 * PAGE, { isForAll: true }));
    expect([state.st.pool.size, state.st.orphans.size]).toEqual([PAGE, 0]);
    comes(SENDER, pageFrom(PAGE));
    comes(SENDER, pageFrom(2 * PAGE));
    expect(state.st.branches.get(chain.proof.id)).toMatchObject({ certified: 3 * PAGE });
  });

  it('begins a branch where the one who sends it does, since what is before is final', () => {
    comes(SENDER, pageFrom(2 * PAGE, { base: 2 * PAGE }));
    expect(state.st.branches.get(chain.proof.id)).toMatchObject({ base: { seq: 2 * PAGE } });
  });

  it('is told where the branch of its sender begins, unless that is its start', () => {
    comes(SENDER, pageFrom(0));
    const branch = state.st.branches.get(chain.proof.id)!;
    const served = (): unknown => {
      const reader = {
        getMany: (keys: readonly string[], done: (found: (Uint8Array | undefined)[]) => void) =>
          done(keys.map((key) => state.store.get(key))),
        range: () => {},
      };
      const bases: unknown[] = [];
      const asks = { type: 'branch' as const, channel: CHANNEL, to: ASKER, toAll: false };
      serveBranch(state.st, OTHER, { ...asks, epoch: branch.id, seq: 0, pages: 1 }, reader, (c) =>
        bases.push((c.payload as { base?: number }).base),
      );
      return bases;
    };
    expect(served()).toEqual([undefined]);
    branch.trim(10);
    expect(served()).toEqual([10]);
  });

  it('begins a branch where its own part ended that is final', () => {
    state.st.exchange.done.set(chain.proof.id, {
      tip: 2 * PAGE,
      certified: 2 * PAGE,
      againAt: null,
    });
    comes(SENDER, pageFrom(2 * PAGE));
    expect(state.st.branches.get(chain.proof.id)).toMatchObject({ base: { seq: 2 * PAGE } });
  });

  it('asks for one that was withheld in part from its start, later, if it is still named', () => {
    const againAt = state.now + WITHHELD_AGAIN_MS;
    state.st.exchange.done.set(chain.proof.id, { tip: RECORDS, certified: 0, againAt });
    expect(isTold(SENDER)).toEqual([]);
    state.now = againAt;
    expect(isTold(SENDER)).toEqual([[SENDER, 0]]);
  });

  it('asks on once the whole answer came, and not for what came twice', () => {
    isTold(SENDER);
    comes(SENDER, pageFrom(0));
    expect(asked(comes(SENDER, pageFrom(PAGE, { more: 1 })))).toEqual([]);
    expect(asked(comes(SENDER, pageFrom(PAGE, { more: 1 })))).toEqual([]);
    expect(asked(comes(SENDER, pageFrom(2 * PAGE)))).toEqual([[SENDER, 3 * PAGE]]);
    expect(asked(comes(SENDER, pageFrom(2 * PAGE)))).toEqual([]);
  });

  it('takes pages that another asked for, and asks itself only once they stop', () => {
    expect(asked(comes(SENDER, pageFrom(0, { isForAll: true })))).toEqual([]);
    expect(isTold(OTHER)).toEqual([]);
    state.now += 4 * TIMING.pull_ms;
    expect(isTold(OTHER)).toEqual([[OTHER, PAGE]]);
  });

  it('asks for no more than the branch has', () => {
    isTold(SENDER, PAGE);
    expect(asked(comes(SENDER, pageFrom(0, { tip: PAGE })))).toEqual([]);
  });
});

describe('who has a branch', () => {
  beforeEach(() => {
    for (let from = 0; from < RECORDS; from += PAGE)
      comes(SENDER, pageFrom(from, { tip: from + PAGE }));
    expect(state.st.branches.get(chain.proof.id)!.certified).toBe(RECORDS);
  });

  /** What a question is answered with: to whom, behind which seq, how many pages. */
  function answer(from: UserId, seq: number) {
    onTake(state.ctx, state.st, from, { epoch: chain.proof.id, seq });
    const served = state.ready.serves as ServeBranch[];
    state.carryOut();
    return served.map((s) => [s.toAll ? 'all' : s.to, s.seq, s.pages]);
  }

  it('answers the first question with one page, further ones with several, up to the end', () => {
    expect(answer(ASKER, 0)).toEqual([[ASKER, 0, 1]]);
    expect(answer(ASKER, PAGE)).toEqual([[ASKER, PAGE, PAGES_PER_ANSWER_MAX]]);
    expect(answer(ASKER, 5 * PAGE)).toEqual([[ASKER, 5 * PAGE, 2]]);
    expect(answer(ASKER, RECORDS)).toEqual([]);
  });

  it('answers to all once a second member asks, and then no one again for a while', () => {
    expect(answer(ASKER, 0)).toEqual([[ASKER, 0, 1]]);
    expect(answer(OTHER, 0)).toEqual([['all', 0, 1]]);
    expect(answer(ASKER, PAGE)).toEqual([['all', PAGE, PAGES_PER_ANSWER_MAX]]);
    expect(answer(OTHER, PAGE)).toEqual([]);
    expect(answer(OTHER, 2 * PAGE)).toEqual([]);
    state.now += 2 * TIMING.pull_ms;
    expect(answer(OTHER, 2 * PAGE)).toEqual([[OTHER, 2 * PAGE, PAGES_PER_ANSWER_MAX]]);
  });

  it('answers the same member not twice at once', () => {
    expect(answer(ASKER, 0)).toHaveLength(1);
    expect(answer(ASKER, 0)).toEqual([]);
    state.now += 2 * TIMING.pull_ms;
    expect(answer(ASKER, 0)).toHaveLength(1);
  });

  it('answers the roster leader to all', () => {
    follows(LEADER, 'roster');
    expect(answer(LEADER, 0)).toEqual([['all', 0, 1]]);
    expect(answer(OTHER, 0)).toEqual([]);
  });

  it('does not send what another sent to all just now', () => {
    comes(SENDER, pageFrom(PAGE, { isForAll: true }));
    expect(answer(ASKER, PAGE)).toEqual([]);
    state.now += 2 * TIMING.pull_ms;
    expect(answer(ASKER, PAGE)).toHaveLength(1);
  });
});

describe('what members tell of branches that nobody has', () => {
  const invented = (from: UserId, name: string, count: number): void => {
    const set = Array.from({ length: count }, (_, i) => ({
      epoch: epochOf(`${name} ${i}`),
      seq: 1,
    }));
    const p = { id: state.st.id, from, to: state.self.user, anchor: [], want: [], set };
    onSet(state.ctx, state.st, from, p as never, set);
    state.carryOut();
  };
  const ticks = (ms: number): void => {
    state.now += ms;
    tickExchange(state.ctx, state.st);
    state.carryOut();
  };

  it('is remembered as far as one may name at once, of each, and not for long', () => {
    for (let i = 0; i < 4; i++) {
      invented(SENDER, `${i}`, BRANCHES_LISTED_MAX);
      ticks(1_000);
    }
    expect(state.st.exchange.asked.size).toBe(BRANCHES_LISTED_MAX);
    invented(OTHER, 'other', 3);
    expect(state.st.exchange.asked.size).toBe(BRANCHES_LISTED_MAX + 3);
    expect(isTold(ASKER)).toEqual([[ASKER, 0]]);
    ticks(ASKED_KEEP_MS);
    expect(state.st.exchange.asked.size).toBe(0);
  });

  it('holds a merge up for two questions in vain, and again once a page came', () => {
    const waits: boolean[] = [];
    for (let i = 0; i < 5; i++) {
      invented(SENDER, `${i}`, 1);
      waits.push(isFetching(state.ctx, state.st));
      ticks(4 * TIMING.pull_ms);
    }
    expect(waits).toEqual([true, true, false, false, false]);
    isTold(OTHER);
    expect(isFetching(state.ctx, state.st)).toBe(false);
    comes(OTHER, pageFrom(0));
    expect(isFetching(state.ctx, state.st)).toBe(true);
  });
});
