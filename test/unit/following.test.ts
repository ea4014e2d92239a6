/** What a follower refuses of whoever leads (docs/PROTOCOL.md, section "Following"), and a leader of who follows. */

import { describe, expect, it } from 'vitest';
import { type Header, stretchOf } from '../../src/core/chain.js';
import { tickElection } from '../../src/core/election.js';
import { encodeEpochBody } from '../../src/core/epoch-record.js';
import { acknowledge, follow, hearAck, onElected } from '../../src/core/follower.js';
import { recordsIn } from '../../src/core/inspect.js';
import { ackOwn, advance, countAck, propose, takeLead } from '../../src/core/leader.js';
import { leadershipOf } from '../../src/core/leadership.js';
import { TERM_JUMP_MAX } from '../../src/core/limits.js';
import { type ChannelRecord, ZERO_BOOT } from '../../src/core/record.js';
import { contextOf } from '../../src/core/replica.js';
import type { Ack, Beat } from '../../src/core/statements.js';
import {
  epochOf,
  hash,
  inviteBody,
  membershipBy,
  person,
  proofUnder,
  recordBy,
} from './fixtures/channel.js';
import { CoreState, messages, users } from './fixtures/core-state.js';

const [SELF, LEADER, OTHER] = [1, 2, 3].map(person) as [
  ReturnType<typeof person>,
  ReturnType<typeof person>,
  ReturnType<typeof person>,
];
const ALL = users(1, 2, 3);

/** Follows `LEADER` in term 5, whose log begins with its `epoch` record. */
class Follower extends CoreState {
  readonly #headers: Header[] = [];

  constructor() {
    super(3);
    const { epoch, ballots } = this.election('roster', 5, LEADER, ALL);
    this.st.leadership = leadershipOf(this.ctx, this.st, epoch, ballots, true);
  }

  get lead() {
    return this.st.leadership!;
  }

  /** The `epoch` record of a term that `LEADER` says it leads. */
  opening(term: number): { record: ChannelRecord; header: Header } {
    const proof = this.election('roster', term, LEADER, ALL);
    const made = { kind: 'epoch', n: 0, boot: ZERO_BOOT, prev: '0'.repeat(64) as never };
    const record = recordBy(LEADER, { ...made, body: encodeEpochBody(proof) });
    return { record, header: this.header(record, { epoch: proof.id, term }) };
  }

  header({ digest }: ChannelRecord, change: Partial<Header> = {}): Header {
    const { id, epoch } = this.lead;
    return { epoch: id, term: epoch.term, roster: this.st.roster.number, digest, ...change };
  }

  /** Whether a proposal that goes on with this record makes the log longer. */
  takes(record: ChannelRecord, header = this.header(record)): boolean {
    const { seq } = this.st.log.tip;
    const at = { cameAt: this.now, offeredAt: this.now, kept: false };
    this.st.pool.add({ record, proof: proofUnder(this.st.roster), ...at }, true);
    const headers = [...this.#headers, header];
    follow(this.ctx, this.st, this.lead, stretchOf(hash, this.st.log.final, headers));
    const isLonger = this.st.log.tip.seq > seq;
    if (isLonger) this.#headers.push(header);
    return isLonger;
  }
}

describe('a follower', () => {
  it('takes nothing of a new term that does not begin with its `epoch` record', () => {
    const state = new Follower();
    const [first] = messages(OTHER, 1, state.rootOf(3)) as [ChannelRecord];
    expect(state.takes(first)).toBe(false);
    const { record } = state.opening(5);
    expect([state.takes(record), state.takes(first)]).toEqual([true, true]);
  });

  it.each([9_000_000_000_000, Number.MAX_SAFE_INTEGER, 6])(
    'takes nothing of term %d from a leader of term 5',
    (term) => {
      const state = new Follower();
      expect(state.takes(state.opening(5).record)).toBe(true);
      const [first] = messages(OTHER, 1, state.rootOf(3)) as [ChannelRecord];
      expect(state.takes(first, state.header(first, { term }))).toBe(false);
      const { record, header } = state.opening(term);
      expect(state.takes(record, header)).toBe(false);
      expect(state.st.log.lastTerm).toBe(5);
    },
  );

  it('takes nothing of another leadership of the same term, nor of a term before the last', () => {
    const state = new Follower();
    expect(state.takes(state.opening(5).record)).toBe(true);
    const [first] = messages(OTHER, 1, state.rootOf(3)) as [ChannelRecord];
    expect(state.takes(first, state.header(first, { epoch: epochOf('another') }))).toBe(false);
    expect(state.takes(first, state.header(first, { term: 4 }))).toBe(false);
    expect(state.takes(first)).toBe(true);
  });

  it('cuts nothing of a later term for its leader', () => {
    const state = new Follower();
    expect(state.takes(state.opening(5).record)).toBe(true);
    // What another member showed of a later leader's log is here by now.
    const { record, header } = state.opening(8);
    const { epoch, ballots } = state.election('roster', 8, LEADER, ALL);
    const before = state.lead;
    state.st.leadership = leadershipOf(state.ctx, state.st, epoch, ballots, true);
    expect(state.takes(record, header)).toBe(true);
    state.st.leadership = before;
    const { hash: at } = state.st.log.tip;
    const [late] = messages(OTHER, 1, state.rootOf(3)) as [ChannelRecord];
    const pooled = {
      record: late,
      proof: proofUnder(state.st.roster),
      cameAt: 0,
      offeredAt: 0,
      kept: false,
    };
    state.st.pool.add(pooled, true);
    const headers = [state.header(state.opening(5).record), state.header(late)];
    follow(state.ctx, state.st, before, stretchOf(hash, state.st.log.final, headers));
    expect(state.st.log.tip.hash).toBe(at);
    acknowledge(state.ctx, state.st);
  });

  it('comes nearer to the term of an online leader by steps, and can stand after each', () => {
    const state = new CoreState(7);
    const far = Number.MAX_SAFE_INTEGER;
    const proof = state.election('online', far, LEADER, users(2, 3, 4));
    const beat = { epoch: proof.id, term: far, beat: 1, echo: ZERO_BOOT } as Beat;
    const two = { ...proof, ballots: proof.ballots.slice(0, 2) };
    for (const step of [1, 2, 3]) {
      onElected(state.ctx, state.st, LEADER.user, two, beat);
      expect(state.st.leadership).toBeNull();
      expect(state.st.hard.online.term).toBe(step * TERM_JUMP_MAX);
    }
    state.online = new Set(users(5, 6));
    state.now += 100_000;
    tickElection(state.ctx, state.st);
    expect(state.st.election?.kind).toBe('online');
    const near = state.election('online', 4 * TERM_JUMP_MAX, LEADER, users(2, 3, 4));
    onElected(state.ctx, state.st, LEADER.user, near, { ...beat, epoch: near.id, term: 4_096 });
    expect(state.st.leadership?.id).toBe(near.id);
  });

  it("looks up the places of a leader's page, which none certifies, before it takes it", () => {
    const records = messages(OTHER, 2, new Follower().rootOf(3));
    const page = (cert: unknown) => ({ type: 'page', page: { records, cert } }) as never;
    expect(recordsIn(page(null))).toEqual(records);
    expect(recordsIn(page({}))).toEqual([]);
  });
});

describe('an acknowledgement', () => {
  /** One by `OTHER` under the leadership that is followed or held, with something changed. */
  const acked = (state: CoreState, change: Partial<Ack>): Ack => {
    const { id, epoch } = state.st.leadership!;
    const { seq, hash: at } = state.st.log.tip;
    const place = { kind: epoch.kind, epoch: id, term: epoch.term, seq, hash: at };
    return { tag: 'ack', ...contextOf(state.st), ...place, ...change };
  };
  const changes: [string, Partial<Ack>, boolean][] = [
    ['as it is', {}, true],
    ['of another kind', { kind: 'online' }, false],
    ['of another term', { term: 4 }, false],
    ['of another roster', { roster: 1 }, false],
    ['of another roster hash', { rosterHash: '0'.repeat(64) as never }, false],
    ['of another leadership', { epoch: epochOf('another') }, false],
  ];

  it.each(changes)('%s counts for a leader: %o, %s', (_, change, counts) => {
    const state = new CoreState(3);
    const { epoch, ballots } = state.election('roster', 5, SELF, ALL);
    takeLead(state.ctx, state.st, epoch, ballots);
    propose(state.ctx, state.st);
    ackOwn(state.ctx, state.st);
    const own = state.ready.self.find((input) => input.type === 'own-ack')!;
    state.carryOut();
    if (own.type !== 'own-ack') throw new Error('no acknowledgement of its own');
    countAck(state.ctx, state.st, SELF.user, own.ack, own.signed.sig);
    countAck(state.ctx, state.st, OTHER.user, acked(state, change), new Uint8Array(64));
    advance(state.ctx, state.st);
    expect(state.st.log.final.seq).toBe(counts ? 1 : 0);
  });

  it.each(changes)('%s counts for a change of membership: %o, %s', (_, change, counts) => {
    const state = new Follower();
    expect(state.takes(state.opening(5).record)).toBe(true);
    const { roster } = state.st;
    const record = membershipBy(roster, SELF, inviteBody(roster, person(99)));
    expect(state.takes(record)).toBe(true);
    for (const { user } of [LEADER, OTHER]) {
      hearAck(state.ctx, state.st, user, acked(state, change), new Uint8Array(64));
    }
    expect(state.st.roster.number).toBe(roster.number + (counts ? 1 : 0));
  });
});
