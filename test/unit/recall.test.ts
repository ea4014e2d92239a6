/** What a voter promises for one that lost memory (docs/PROTOCOL.md, section "Lost memory"). */

import { describe, expect, it } from 'vitest';
import type { UserId } from '../../src/core/ids.js';
import {
  FORGOTTEN_TERMS_MAX,
  RECALL_PAUSE_MS,
  RECALL_PAUSE_MS_MAX,
  TERM_JUMP_MAX,
} from '../../src/core/limits.js';
import { onRecall } from '../../src/core/memory.js';
import { contextOf } from '../../src/core/replica.js';
import { channelView } from '../../src/core/view.js';
import { ulidOf } from './fixtures/channel.js';
import { CoreState, users } from './fixtures/core-state.js';

const [ASKER, ANOTHER] = users(2, 3) as [UserId, UserId];

class Voter extends CoreState {
  /** Whether it reports to a member that lost memory and knows of its term, and whether it promises more for that. */
  recalls(from: UserId): [reports: boolean, promises: boolean] {
    const { term, seen } = this.st.hard.roster;
    return this.recallsWith(from, Math.max(1, term, seen));
  }

  /** The same for one that names this term. */
  recallsWith(from: UserId, named: number): [reports: boolean, promises: boolean] {
    const { term } = this.st.hard.roster;
    const known = { term: named, onlineTerm: 0 };
    onRecall(this.ctx, this.st, from, {
      tag: 'recall',
      ...contextOf(this.st),
      round: ulidOf(1),
      ...known,
    });
    const isReported = this.carryOut().some(({ name }) => name === 'CH_REPORT');
    return [isReported, this.st.hard.roster.term > term];
  }
}

describe('a voter', () => {
  it('promises for the same member again only after a pause that doubles, and for others at once', () => {
    const voter = new Voter(4);
    const times: number[] = [];
    for (const from = voter.now; voter.now < from + 100_000; voter.now += 500) {
      if (voter.recalls(ASKER)[0]) times.push(voter.now - from);
    }
    const pauses = times.slice(1).map((at, i) => at - times[i]!);
    expect(pauses.slice(0, 5)).toEqual([2_000, 4_000, 8_000, 16_000, 16_000]);
    expect(voter.recalls(ANOTHER)).toEqual([true, true]);
    voter.now += 2 * RECALL_PAUSE_MS_MAX;
    expect(voter.recalls(ASKER)).toEqual([true, true]);
    voter.now += RECALL_PAUSE_MS;
    expect(voter.recalls(ASKER)).toEqual([true, true]);
  });

  it('reports at once where it need not promise more', () => {
    const voter = new Voter(4);
    expect(voter.recalls(ASKER)).toEqual([true, true]);
    expect(voter.recallsWith(ASKER, 1)).toEqual([true, false]);
  });

  it('promises nothing for one that only looks', () => {
    expect(new Voter(4).recallsWith(ASKER, 0)).toEqual([true, false]);
  });

  it('comes nearer by steps to what is far above all that it knows', () => {
    const voter = new Voter(4);
    const named = 3 * TERM_JUMP_MAX;
    const promises: number[] = [];
    for (let step = 0; step < 4; step++) {
      voter.recallsWith(ASKER, named);
      promises.push(voter.st.hard.roster.term);
      voter.now += RECALL_PAUSE_MS_MAX;
    }
    const far = TERM_JUMP_MAX + FORGOTTEN_TERMS_MAX;
    const enough = named + FORGOTTEN_TERMS_MAX;
    expect(promises).toEqual([far, 2 * far, enough, enough]);
  });
});

describe('status of one that lost memory names the others that it waits for, never itself', () => {
  it.each([
    [2, 'another voting member has reported its log, 0 have'],
    [4, '3 other voting members have reported their logs, 0 have'],
  ])('of %i', (members, whose) => {
    const state = new CoreState(members);
    const { roster } = state.st;
    const voting = [...roster.members].map(([user, m]) => [user, { ...m, votes: true }] as const);
    state.st.roster = { ...roster, members: new Map(voting) };
    state.st.memory = { reports: new Map() } as unknown as typeof state.st.memory;
    const { waiting } = channelView(state.ctx, state.st);
    const others = [...state.st.roster.members.keys()].filter((user) => user !== state.ctx.self);
    expect(waiting!.missing.toSorted()).toEqual(others.toSorted());
    expect(waiting!.reason).toBe(`this node lost memory: it votes again once ${whose}`);
  });
});
