/** A tail that has no more room (docs/PROTOCOL.md, sections "Log" and "Merging"): what a leader opens its epoch with is taken all the same. */

import { describe, expect, it } from 'vitest';
import { inspectPage, onPage } from '../../src/core/catchup.js';
import { stretchOf } from '../../src/core/chain.js';
import type { Payload } from '../../src/core/commands.js';
import { type ElectionProof, encodeEpochBody } from '../../src/core/epoch-record.js';
import { acknowledge, follow } from '../../src/core/follower.js';
import { placeOffers, queueMembership, takeLead } from '../../src/core/leader.js';
import { leadershipOf } from '../../src/core/leadership.js';
import {
  RECORD_BODY_BYTES_MAX,
  TAIL_BYTES_MAX,
  TAIL_ENTRIES_MAX,
  TAIL_EPOCHS_MAX,
  WINDOW_BYTES_MAX,
} from '../../src/core/limits.js';
import { tickMerge } from '../../src/core/merge.js';
import { answerPull } from '../../src/core/pull-answers.js';
import { type ChannelRecord, ZERO_BOOT } from '../../src/core/record.js';
import { appendEntry } from '../../src/core/replica.js';
import { decodeAs } from '../../src/core/statements.js';
import {
  CHANNEL,
  hash,
  inviteBody,
  membershipBy,
  type Person,
  person,
  proofUnder,
  recordBy,
  ulidOf,
} from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

const LEADER = person(2);

/** Messages of one author with bodies of so many bytes. */
function chained(state: CoreState, count: number, bytes: number): ChannelRecord[] {
  const made: ChannelRecord[] = [];
  const body = new Uint8Array(bytes);
  for (let n = 1; n <= count; n++) {
    const prev = made.at(-1)?.digest ?? state.rootOf(3);
    made.push(recordBy(person(3), { n, prev, body }));
  }
  return made;
}

function elected(state: CoreState, term: number, leader: Person = LEADER): ElectionProof {
  return state.election('roster', term, leader, users(1, 2, 3));
}

/** Person 1 follows a leader, whose log it has up to here. */
function followerOf(state: CoreState, proof: ElectionProof): void {
  state.st.leadership = leadershipOf(state.ctx, state.st, proof.epoch, proof.ballots, true);
}

function append(state: CoreState, { id, epoch }: ElectionProof, records: ChannelRecord[]): void {
  const at = { epoch: id, term: epoch.term, roster: state.st.roster.number };
  const proof = proofUnder(state.st.roster);
  for (const record of records) appendEntry(state.ctx, state.st, record, () => proof, at);
  state.carryOut();
}

/** What the leader proposes behind the follower's log, its records with it. */
function propose(state: CoreState, { id, epoch }: ElectionProof, records: ChannelRecord[]): void {
  const { st } = state;
  const offer = {
    proof: proofUnder(st.roster),
    cameAt: state.now,
    offeredAt: state.now,
    kept: false,
  };
  for (const record of records) st.pool.add({ record, ...offer }, true);
  const { term, roster } = epoch;
  const headers = records.map(({ digest }) => ({ epoch: id, term, roster, digest }));
  follow(state.ctx, st, st.leadership!, stretchOf(hash, st.log.tip, headers));
}

const epochRecord = (proof: ElectionProof, leader = LEADER, id = 1): ChannelRecord =>
  recordBy(leader, {
    kind: 'epoch',
    n: 0,
    prev: '00'.repeat(32) as ChannelRecord['prev'],
    boot: ZERO_BOOT,
    id: ulidOf(id),
    body: encodeEpochBody(proof),
  });

const kinds = (state: CoreState): string[] => state.st.log.tail.map((e) => e.record.kind);

/** A follower of term 6 whose tail of term 5 has no more room. */
function fullBy(what: 'bytes' | 'entries') {
  const state = new CoreState(3);
  const [count, bytes] =
    what === 'bytes'
      ? [TAIL_BYTES_MAX / 65_536 + 1, 65_536]
      : [TAIL_ENTRIES_MAX - TAIL_EPOCHS_MAX, 8];
  append(state, elected(state, 5), chained(state, count, bytes));
  const next = elected(state, 6);
  followerOf(state, next);
  return { state, next, count };
}

describe('a follower whose tail is full', () => {
  it.each(['bytes', 'entries'] as const)(
    'by its %s takes what opens an epoch, and acknowledges it',
    (what) => {
      const { state, next, count } = fullBy(what);
      expect(state.st.log.isFull).toBe(true);
      propose(state, next, [epochRecord(next), ...messages(person(1), 1, state.rootOf(1))]);
      expect(state.st.log.tail).toHaveLength(count + 1);
      expect(kinds(state).at(-1)).toBe('epoch');
      acknowledge(state.ctx, state.st);
      expect(state.st.leadership?.acked?.seq).toBe(count + 1);
    },
  );

  it('takes it once', () => {
    const { state, next, count } = fullBy('bytes');
    propose(state, next, [epochRecord(next), epochRecord(next, LEADER, 2)]);
    expect(state.st.log.tail).toHaveLength(count + 1);
  });

  it('takes those of leaders before up to what a page carries, and that of the running one beyond', () => {
    const { state } = fullBy('entries');
    for (let term = 7; term < 7 + TAIL_EPOCHS_MAX + 2; term++) {
      const next = elected(state, term);
      followerOf(state, next);
      propose(state, next, [epochRecord(next)]);
    }
    expect(state.st.log.tail).toHaveLength(TAIL_ENTRIES_MAX + 2);
    const one = elected(state, 100);
    const running = elected(state, 101);
    followerOf(state, running);
    propose(state, one, [epochRecord(one)]);
    expect(state.st.log.tail).toHaveLength(TAIL_ENTRIES_MAX + 2);
    propose(state, running, [epochRecord(running)]);
    expect(state.st.log.tail).toHaveLength(TAIL_ENTRIES_MAX + 3);
  });
});

/** Person 1 leads; a branch holds messages as large as they may be. */
function merger(count: number) {
  const state = new CoreState(7);
  state.online = new Set(users(2, 3, 4, 5, 6, 7));
  const records = chained(state, count, RECORD_BODY_BYTES_MAX);
  const side = new PlacedChain(state.election('online', 4, person(3), users(2, 3, 4)), records);
  const { epoch, ballots } = state.election('roster', 9, person(1), users(1, 2, 3, 4, 5, 6, 7));
  takeLead(state.ctx, state.st, epoch, ballots);
  state.place(side, records);
  state.carryOut();
  return state;
}

describe('a roster leader', () => {
  it('places no further part of a merge while the window is full of bytes', () => {
    const state = merger(30);
    for (let tick = 0; tick < 5; tick++) tickMerge(state.ctx, state.st);
    const { log } = state.st;
    expect(log.tailBytes).toBeGreaterThanOrEqual(WINDOW_BYTES_MAX);
    expect(log.tailBytes).toBeLessThan(TAIL_BYTES_MAX + RECORD_BODY_BYTES_MAX);
    expect(kinds(state).filter((kind) => kind === 'merge')).toHaveLength(2);
  });

  it('places no change of membership where its followers would have no room for it', () => {
    const { state, next } = fullBy('bytes');
    takeLead(state.ctx, state.st, { ...next.epoch, leader: person(1).user }, next.ballots);
    const record = membershipBy(
      state.st.roster,
      person(1),
      inviteBody(state.st.roster, person(77)),
    );
    const offer = {
      proof: proofUnder(state.st.roster),
      cameAt: state.now,
      offeredAt: state.now,
      kept: false,
    };
    queueMembership(state.st.leading!, { record, ...offer });
    placeOffers(state.ctx, state.st);
    expect(kinds(state).at(-1)).toBe('epoch');
    expect(state.st.leading!.membershipQueue).toHaveLength(1);
  });
});

describe("a leader's tail", () => {
  /** Person 1 leads, with a tail of so many messages; what it answers to one that has none of it. */
  function answered(count: number, bytes: number) {
    const state = new CoreState(3);
    const before = elected(state, 5);
    append(state, before, [epochRecord(before), ...chained(state, count, bytes)]);
    const { epoch, ballots } = elected(state, 6, person(1));
    takeLead(state.ctx, state.st, epoch, ballots);
    state.st.cert = new Uint8Array(9);
    state.carryOut();
    const [self, asker] = [person(1).user, person(3).user];
    const asked = { id: CHANNEL, from: asker, to: self, anchor: [state.st.log.final], want: [] };
    const sealed = { timestamp: 0, nonce: new Uint8Array(8) };
    answerPull(state.ctx, state.st, asker, { ...asked, ...sealed });
    const pages = state
      .carryOut()
      .flatMap(({ name, payload }) =>
        name === 'CH_APPEND' ? [{ ...payload, ...sealed } as Payload<'CH_APPEND'>] : [],
      );
    return { leader: state, pages };
  }

  it.each([
    ['entries', 900, 8, [512, 390]],
    ['bytes', 12, 60_000, [10, 4]],
  ] as const)('goes in pages, as far as %s fit', (_, count, bytes, sizes) => {
    expect(answered(count, bytes).pages.map((page) => page.records.length)).toEqual(sizes);
  });

  it('is followed page by page, each proposed for itself', () => {
    const { leader, pages } = answered(900, 8);
    const follower = new CoreState(3, 3);
    followerOf(follower, leader.st.leadership!);
    for (const page of pages) {
      const proposed = decodeAs('propose', page.propose!.s);
      onPage(follower.ctx, follower.st, person(1).user, inspectPage(hash, page, proposed));
    }
    expect(follower.st.log.tip.hash).toBe(leader.st.log.tip.hash);
  });
});
