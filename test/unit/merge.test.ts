/** Merging (docs/PROTOCOL.md, section "Merging"): what a roster leader brings into the log, in which order, under which records. */

import { describe, expect, it } from 'vitest';
import { chainStart } from '../../src/core/chain.js';
import { type BranchPage, onBranchPage } from '../../src/core/exchange.js';
import type { Digest } from '../../src/core/ids.js';
import { notePlaceable, placeOffers, takeLead } from '../../src/core/leader.js';
import {
  MERGE_RECORDS_MAX,
  NEW_BESIDE_PART_MAX,
  WINDOW_ENTRIES_MAX,
} from '../../src/core/limits.js';
import { mergePlan, tickMerge } from '../../src/core/merge.js';
import { decodeMergeBody } from '../../src/core/merge-record.js';
import type { ChannelRecord } from '../../src/core/record.js';
import { provisional } from '../../src/core/view.js';
import { CHANNEL, hash, inviteBody, membershipBy, person, recordBy } from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

const SENDER = person(2).user;

/** Lets the state hold the records of a chain: a page up to the record at `certified`, the rest as it placed it. */
function hold(
  state: CoreState,
  chain: PlacedChain,
  records: readonly ChannelRecord[],
  certified = records.length - 1,
): void {
  const cut = records.slice(0, certified + 1);
  page(state, chain, cut, {});
  if (cut.length < records.length) state.place(chain, records);
  state.carryOut();
}

/** A page of `records`, all of the chain's unless it is changed, certified at its end. */
function page(
  state: CoreState,
  chain: PlacedChain,
  records: readonly ChannelRecord[],
  change: Partial<BranchPage>,
): void {
  onBranchPage(state.ctx, state.st, SENDER, {
    epoch: chain.proof.id,
    proof: chain.proof,
    ...chain.stretch(0, records.length),
    records,
    proofs: records.map((record) => state.proofOf(record)),
    cert: chain.certificate(records.length - 1),
    tip: chain.points[records.length]!.seq,
    more: 0,
    base: 0,
    isForAll: false,
    ...change,
  });
}

/** Person 1 leads all seven in a roster epoch. */
function lead(state: CoreState, term = 9): void {
  const all = users(1, 2, 3, 4, 5, 6, 7);
  state.online = new Set(all);
  const { epoch, ballots } = state.election('roster', term, person(1), all);
  takeLead(state.ctx, state.st, epoch, ballots);
  state.carryOut();
}

const kinds = (state: CoreState) => state.st.log.tail.map((e) => e.record.kind);
const digests = (state: CoreState) => state.st.log.tail.map((e) => e.record.digest);
const bodies = (state: CoreState) =>
  state.st.log.tail
    .filter((e) => e.record.kind === 'merge')
    .map((e) => decodeMergeBody(e.record.body));

/** Nobody left or was removed. */
const warrant = new Uint8Array();

/** Two sides of a partition: each an online epoch with messages of two authors. */
function twoSides() {
  const state = new CoreState(7);
  const by = (n: number, count: number) => messages(person(n), count, state.rootOf(n));
  const [b, c, e, f] = [by(2, 3), by(3, 3), by(5, 2), by(6, 4)];
  const left = [b[0]!, c[0]!, b[1]!, c[1]!, c[2]!, b[2]!];
  const right = [e[0]!, f[0]!, f[1]!, e[1]!, f[2]!, f[3]!];
  const one = new PlacedChain(state.election('online', 4, person(2), users(1, 2, 3)), left);
  const two = new PlacedChain(state.election('online', 5, person(5), users(4, 5, 6)), right);
  return { state, left, right, one, two };
}

describe('a roster leader', () => {
  it('brings in what branches hold, in the order that readers see, under a record of its own', () => {
    const { state, left, right, one, two } = twoSides();
    hold(state, two, right);
    hold(state, one, left, 3);
    const shown = provisional(state.st).map((e) => e.record.digest);
    expect(mergePlan(state.st)).toEqual(shown);
    lead(state);
    tickMerge(state.ctx, state.st);
    expect(kinds(state).slice(0, 2)).toEqual(['epoch', 'merge']);
    expect(digests(state).slice(2)).toEqual(shown);
    expect(bodies(state)).toEqual([
      {
        entries: 12,
        branches: [
          {
            epoch: one.proof.id,
            kind: 'online',
            term: 4,
            leader: person(2).user,
            entries: 6,
            warrant,
          },
          {
            epoch: two.proof.id,
            kind: 'online',
            term: 5,
            leader: person(5).user,
            entries: 6,
            warrant,
          },
        ],
      },
    ]);
    tickMerge(state.ctx, state.st);
    expect(state.st.log.tail).toHaveLength(14);
  });

  it('takes it in parts, and not too many at once', () => {
    const state = new CoreState(7);
    const records = messages(person(2), 700, state.rootOf(2));
    const chain = new PlacedChain(state.election('online', 4, person(2), users(1, 2, 3)), records);
    hold(state, chain, records);
    lead(state);
    tickMerge(state.ctx, state.st);
    expect(bodies(state).map((body) => body.entries)).toEqual([MERGE_RECORDS_MAX]);
    // The tail is full: the next part waits until this one is final.
    tickMerge(state.ctx, state.st);
    expect(bodies(state)).toHaveLength(1);
    expect(digests(state).slice(2)).toEqual(records.slice(0, 256).map((r) => r.digest));
  });

  it('places new messages beside each part, so many even where parts fill the window', () => {
    const state = new CoreState(7);
    const old = messages(person(2), 1_500, state.rootOf(2));
    const chain = new PlacedChain(state.election('online', 4, person(2), users(1, 2, 3)), old);
    hold(state, chain, old);
    lead(state);
    tickMerge(state.ctx, state.st);
    const fresh = messages(person(3), 500, state.rootOf(3));
    for (const record of fresh) {
      const at = { cameAt: state.now, offeredAt: state.now, kept: false };
      state.st.pool.add({ record, proof: state.proofOf(record), ...at }, false);
    }
    notePlaceable(state.st, fresh[0]!.digest);
    const isNew = new Set(fresh.map((record) => record.digest));
    const placed = (): number => digests(state).filter((digest) => isNew.has(digest)).length;
    expect(state.st.log.tail.length).toBeGreaterThan(WINDOW_ENTRIES_MAX / 2);
    placeOffers(state.ctx, state.st);
    expect(placed()).toBe(NEW_BESIDE_PART_MAX);
    placeOffers(state.ctx, state.st);
    expect(placed()).toBe(NEW_BESIDE_PART_MAX);
    // The next part, once there is room for it, brings room for as many again.
    Object.defineProperty(state.st.log, 'tail', { value: [], configurable: true });
    tickMerge(state.ctx, state.st);
    expect(state.st.leading!.newSincePart).toBe(0);
  });

  it('waits while a page of a branch is on its way', () => {
    const { state, left, one } = twoSides();
    hold(state, one, left);
    lead(state);
    state.st.exchange.asked.set(one.proof.id, {
      to: SENDER,
      seq: 0,
      at: state.now,
      told: SENDER,
      isVain: false,
    });
    tickMerge(state.ctx, state.st);
    expect(kinds(state)).toEqual(['epoch']);
    state.now += 10_000;
    tickMerge(state.ctx, state.st);
    expect(kinds(state)).toHaveLength(8);
  });

  it('leaves what nobody showed the predecessor of, and all behind it', () => {
    const { state, left, one } = twoSides();
    // The first message of person 3 is missing here.
    const orphaned = recordBy(person(3), { n: 9, prev: 'ab'.repeat(32) as Digest });
    const behind = recordBy(person(3), { n: 10, prev: orphaned.digest });
    const records = [left[0]!, orphaned, left[2]!, behind];
    const chain = new PlacedChain(one.proof, records);
    hold(state, chain, records);
    lead(state);
    tickMerge(state.ctx, state.st);
    expect(digests(state).slice(2)).toEqual([left[0]!.digest, left[2]!.digest]);
    expect(bodies(state)[0]!.entries).toBe(2);
    // It stays in sight.
    const shown = provisional(state.st).map((e) => e.record.digest);
    expect(shown).toContain(orphaned.digest);
    expect(shown).toContain(behind.digest);
    tickMerge(state.ctx, state.st);
    expect(bodies(state)).toHaveLength(1);
  });

  it('leaves records of other kinds, though their predecessors are in the log', () => {
    const { state, left, one } = twoSides();
    const change = inviteBody(state.st.roster, person(20_000));
    const invite = membershipBy(state.st.roster, person(2), change, { prev: left[0]!.digest });
    const records = [left[0]!, invite];
    hold(state, new PlacedChain(one.proof, records), records, 0);
    lead(state);
    tickMerge(state.ctx, state.st);
    expect(kinds(state)).toEqual(['epoch', 'merge', 'message']);
  });

  it('leaves what was removed as an author', () => {
    const { state, left, one } = twoSides();
    hold(state, one, left);
    lead(state);
    const members = new Map(state.st.roster.members);
    members.delete(person(3).user);
    state.st.roster = { ...state.st.roster, members };
    tickMerge(state.ctx, state.st);
    const authors = state.st.log.tail.slice(2).map((e) => e.record.author);
    expect(new Set(authors)).toEqual(new Set(users(2)));
  });

  it('names a former tail of several leaders by the one that is proven here', () => {
    const state = new CoreState(7);
    const all = users(1, 2, 3, 4, 5, 6, 7);
    const records = messages(person(2), 4, state.rootOf(2));
    const older = state.election('roster', 3, person(3), all);
    const newer = state.election('roster', 4, person(4), all);
    const start = { seq: 0, hash: chainStart(hash, CHANNEL) };
    const first = new PlacedChain(older, records.slice(0, 2), start);
    const second = new PlacedChain(newer, records.slice(2), first.points.at(-1));
    // A page comes with the election of its branch alone.
    page(state, second, records.slice(2), {
      anchor: start,
      headers: [...first.headers, ...second.headers],
      records,
      proofs: records.map((record) => state.proofOf(record)),
    });
    state.carryOut();
    expect([...state.st.branches.keys()]).toEqual([newer.id]);
    expect([...state.st.epochs.keys()]).toEqual([newer.id]);
    lead(state);
    tickMerge(state.ctx, state.st);
    expect(digests(state).slice(2)).toEqual(records.map((r) => r.digest));
    expect(bodies(state)).toEqual([
      {
        entries: 4,
        branches: [
          { epoch: newer.id, kind: 'roster', term: 4, leader: person(4).user, entries: 4, warrant },
        ],
      },
    ]);
  });
});

describe('nobody else', () => {
  it('merges: no follower, no online leader, none with a change of membership in flight', () => {
    const { state, left, one } = twoSides();
    hold(state, one, left);
    tickMerge(state.ctx, state.st);
    expect(state.st.log.tail).toEqual([]);
    const { epoch, ballots } = state.election('online', 8, person(1), users(1, 2, 3));
    takeLead(state.ctx, state.st, epoch, ballots);
    tickMerge(state.ctx, state.st);
    expect(state.st.log.tail).toEqual([]);
  });
});
