/**
 * The provisional set (docs/PROTOCOL.md, section "Provisional set"): it grows
 * by union, in whatever order what comes; what fell out of the log is kept with
 * its certificate; a restart finds the same set; what is final leaves it.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Certificate, encodeCertificate, encodeHeaders } from '../../src/core/certificate.js';
import { chainStart, type Point } from '../../src/core/chain.js';
import type { ChannelState } from '../../src/core/channel-state.js';
import { type ElectionProof, encodeElectionProof } from '../../src/core/epoch-record.js';
import { type BranchPage, onBranchPage } from '../../src/core/exchange.js';
import type { Digest } from '../../src/core/ids.js';
import { inspect } from '../../src/core/inspect.js';
import { decodeRun, encodeOffer } from '../../src/core/layout.js';
import { leadershipOf } from '../../src/core/leadership.js';
import { PAGE_ENTRIES_MAX, TAIL_ENTRIES_MAX } from '../../src/core/limits.js';
import {
  certifiedPlace,
  committedInLog,
  isOrphan,
  isProven,
  pruneSet,
  rememberEpoch,
  takeCommitted,
  uniteBranch,
} from '../../src/core/provisional.js';
import type { ChannelRecord } from '../../src/core/record.js';
import { appendEntry, certificateFrom, finalise, truncateTail } from '../../src/core/replica.js';
import { committedCount, provisional } from '../../src/core/view.js';
import { CHANNEL, certificateOf, hash, person, recordBy } from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

const SENDER = person(2).user;

/** A page of a chain from behind `from` up to `to`, certified there. */
function pageOf(
  state: CoreState,
  chain: PlacedChain,
  records: readonly ChannelRecord[],
  from: number,
  to: number,
  cert: Certificate = chain.certificate(to - 1),
): BranchPage {
  const part = records.slice(from, to);
  return {
    epoch: chain.proof.id,
    proof: chain.proof,
    ...chain.stretch(from, to),
    records: part,
    proofs: part.map((record) => state.proofOf(record)),
    cert,
    tip: chain.points.at(-1)!.seq,
    more: 0,
    base: chain.points[from]!.seq,
    isForAll: false,
  };
}

/** The page as a driver's inspection finds it, which knows what this node holds. */
function throughInspection(state: CoreState, page: BranchPage): BranchPage {
  const payload = {
    timestamp: 0,
    nonce: new Uint8Array(8),
    id: CHANNEL,
    from: SENDER,
    epoch: page.epoch,
    proof: encodeElectionProof(page.proof),
    anchor: page.anchor,
    headers: encodeHeaders(page.headers),
    records: page.records.map((record) => record!.bytes),
    proofs: [...page.proofs],
    cert: encodeCertificate(page.cert),
    tip: page.tip,
    base: page.base,
  };
  const context = { hash, self: state.self.user, channel: () => state.st };
  const { what } = inspect(context, { name: 'CH_MERGE', payload })!;
  return what.type === 'branch-page' ? what.page : expect.fail('it is no page of a branch');
}

const take = (state: CoreState, page: BranchPage): void => {
  onBranchPage(state.ctx, state.st, SENDER, page);
  state.carryOut();
};

/** Lets the state place what a leader proposes: nothing of it is certified yet. */
function place(state: CoreState, { chain, records }: Source, from: number, to: number): void {
  rememberEpoch(state.ctx, state.st, chain.proof);
  for (const record of records.slice(from, to)) {
    const proof = state.proofOf(record);
    state.st.pool.add({ record, proof, cameAt: 0, offeredAt: 0, kept: false }, true);
  }
  uniteBranch(state.ctx, state.st, chain.proof.id, chain.stretch(from, to));
  state.carryOut();
}

/** What the set holds, whatever way it came. */
const setOf = (st: ChannelState) => ({
  branches: [...st.branches.values()]
    .map(({ id, base, tip, certified }) => ({ id, base, tip, certified }))
    .sort((a, b) => (a.id < b.id ? -1 : 1)),
  places: [...st.branches.values()].flatMap((b) => b.digests()).sort(),
  records: [...st.pool.values()].map((p) => p.record.digest).sort(),
  epochs: [...st.epochs.keys()].sort(),
  orphans: [...st.pool.values()].filter(({ record }) => isOrphan(st, record)).length,
  shown: shown(st),
  committed: committedInLog(st),
});

function shown(st: ChannelState): string[] {
  const entries = provisional(st);
  // What status counts is what readers see.
  expect(committedCount(st)).toBe(entries.filter(({ state }) => state === 'committed').length);
  return entries.map(({ record, state }) => `${record.digest} ${state}`);
}

/** Two online epochs that both placed some of the same records. */
function twoEpochs() {
  const state = new CoreState(7);
  const a = messages(person(1), 6, state.rootOf(1));
  const b = messages(person(2), 6, state.rootOf(2));
  const one = new PlacedChain(state.election('online', 4, person(1), users(1, 2, 3)), [
    ...a.slice(0, 4),
    ...b.slice(0, 2),
    ...a.slice(4),
  ]);
  const two = new PlacedChain(state.election('online', 5, person(4), users(4, 5, 6)), [
    ...b,
    ...a.slice(0, 2),
  ]);
  return {
    one: { chain: one, records: [...a.slice(0, 4), ...b.slice(0, 2), ...a.slice(4)] },
    two: { chain: two, records: [...b, ...a.slice(0, 2)] },
  };
}

type Source = ReturnType<typeof twoEpochs>['one'];

/** Everything of both epochs, in pages that somebody cut as they liked. */
const pages = fc
  .record({
    cuts: fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 4 }),
    lap: fc.nat(2),
  })
  .chain((cut) => fc.tuple(fc.constant(cut), fc.constant(cut)))
  .map(([first, second]) => ({ first, second }));

type Cut = { cuts: number[]; lap: number };

function cutUp(state: CoreState, { chain, records }: Source, { cuts, lap }: Cut) {
  const ends = [...new Set([...cuts, records.length])].sort((x, y) => x - y);
  return ends.map((to, i) =>
    pageOf(state, chain, records, Math.max(0, (ends[i - 1] ?? 0) - lap), to),
  );
}

describe('union', () => {
  it('gives one set whatever came first, twice, or in other parts', {
    timeout: 60_000,
  }, async () => {
    const order = fc.infiniteStream(fc.nat());
    await fc.assert(
      fc.asyncProperty(pages, order, order, async (cut, left, right) => {
        const { one, two } = twoEpochs();
        const reach = (stream: fc.Stream<number>) => {
          const state = new CoreState(7, 7);
          const all = [...cutUp(state, one, cut.first), ...cutUp(state, two, cut.second)];
          const shuffled = all
            .map((page) => ({ page, at: stream.next().value as number }))
            .sort((x, y) => x.at - y.at);
          // Who lacks something asks again: pages come until nothing new does.
          for (let round = 0; round <= all.length; round++) {
            for (const { page } of shuffled) take(state, page);
          }
          return state;
        };
        const [x, y] = [reach(left), reach(right)];
        expect(setOf(y.st)).toEqual(setOf(x.st));
        expect(setOf(x.st).places).toHaveLength(16);
        expect(x.st.branches.get(one.chain.proof.id)!.certified).toBe(8);
        // Again, nothing changes, and the store says the same.
        const before = setOf(x.st);
        for (const page of cutUp(x, one, cut.first)) take(x, page);
        expect(setOf(x.st)).toEqual(before);
        expect(setOf(await x.reopened())).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });

  it('of disjoint parts is that of what connects', () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    take(state, pageOf(state, one.chain, one.records, 0, 2));
    take(state, pageOf(state, one.chain, one.records, 5, 8));
    const branch = state.st.branches.get(one.chain.proof.id)!;
    expect([branch.base.seq, branch.tip.seq]).toEqual([0, 2]);
    take(state, pageOf(state, one.chain, one.records, 1, 6));
    expect([branch.base.seq, branch.tip.seq]).toEqual([0, 6]);
  });

  it('with what comes before it begins earlier', async () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    take(state, pageOf(state, one.chain, one.records, 3, 8));
    take(state, pageOf(state, one.chain, one.records, 1, 4));
    const branch = state.st.branches.get(one.chain.proof.id)!;
    expect([branch.base.seq, branch.tip.seq]).toEqual([1, 8]);
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
  });

  it('takes no other chain under the same epoch', () => {
    const { one, two } = twoEpochs();
    const state = new CoreState(7, 7);
    take(state, pageOf(state, one.chain, one.records, 0, 8));
    const before = setOf(state.st);
    const other = new PlacedChain(one.chain.proof, two.records);
    take(state, pageOf(state, other, two.records, 0, 8));
    expect(setOf(state.st).branches).toEqual(before.branches);
    expect(setOf(state.st).places).toEqual(before.places);
  });

  it('puts what is certified in the place of what differs and is not', async () => {
    const { one, two } = twoEpochs();
    const state = new CoreState(7, 7);
    take(state, pageOf(state, one.chain, one.records, 0, 2));
    const { proof, headers } = one.chain;
    const fork = [...one.records.slice(0, 3), ...two.records.slice(3, 6)];
    state.place(new PlacedChain(proof, fork), fork);
    const branch = state.st.branches.get(proof.id)!;
    expect([branch.certified, branch.tip.seq]).toEqual([2, 6]);
    take(state, pageOf(state, one.chain, one.records, 2, 5));
    expect([branch.certified, branch.tip]).toEqual([5, one.chain.points[5]]);
    expect(branch.digests()).toEqual(headers.slice(0, 5).map((h) => h.digest));
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
  });

  it('leaves what stands behind what is certified, where it agrees', () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    state.place(one.chain, one.records);
    take(state, pageOf(state, one.chain, one.records, 0, 5));
    const branch = state.st.branches.get(one.chain.proof.id)!;
    expect([branch.certified, branch.tip.seq]).toEqual([5, 8]);
  });
});

describe('a certified page', () => {
  /** One epoch's leader proposed one chain and certified another: what differs begins behind `same` places. */
  function twoChains(same: number) {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    const records = [...one.records.slice(0, same), ...messages(person(5), 4, state.rootOf(5))];
    const other = { chain: new PlacedChain(one.chain.proof, records), records };
    return { state, one, other };
  }
  const branchOf = ({ st }: CoreState, { chain }: Source) => st.branches.get(chain.proof.id)!;

  it('takes the place of what was only proposed', async () => {
    const { state, one, other } = twoChains(2);
    place(state, one, 0, 6);
    take(state, pageOf(state, other.chain, other.records, 0, 5));
    const branch = branchOf(state, one);
    expect(branch.digests()).toEqual(other.records.slice(0, 5).map((r) => r.digest));
    expect(branch.certified).toBe(5);
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
  });

  it('leaves what is placed behind it and agrees', () => {
    const { state, one } = twoChains(2);
    place(state, one, 0, 6);
    take(state, pageOf(state, one.chain, one.records, 0, 4));
    expect(branchOf(state, one).tip.seq).toBe(6);
    expect(branchOf(state, one).certified).toBe(4);
  });

  it('takes nothing from what is certified, whoever certified another chain too', () => {
    const { state, one, other } = twoChains(2);
    take(state, pageOf(state, one.chain, one.records, 0, 4));
    place(state, one, 4, 6);
    take(state, pageOf(state, other.chain, other.records, 0, 5));
    const kept = branchOf(state, one).digests();
    expect(kept.slice(0, 4)).toEqual(one.records.slice(0, 4).map((r) => r.digest));
    expect(branchOf(state, one).certified).toBe(4);
  });

  it('takes nothing from the chain that this node follows now', () => {
    const { state, one, other } = twoChains(2);
    place(state, one, 0, 6);
    const { epoch, ballots } = one.chain.proof;
    state.st.leadership = leadershipOf(state.ctx, state.st, epoch, ballots, true);
    take(state, pageOf(state, other.chain, other.records, 0, 5));
    expect(branchOf(state, one).digests()).toEqual(one.records.slice(0, 6).map((r) => r.digest));
  });
});

describe('a page of a branch', () => {
  const refusal = (change: (page: BranchPage, state: CoreState) => BranchPage): CoreState => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    take(state, change(pageOf(state, one.chain, one.records, 0, 8), state));
    return state;
  };

  it('is taken with a proven election', () => {
    expect(refusal((page) => page).st.branches.size).toBe(1);
  });

  it.each<[string, (page: BranchPage, state: CoreState) => BranchPage]>([
    [
      'too few ballots',
      (page) => ({ ...page, proof: { ...page.proof, ballots: page.proof.ballots.slice(2) } }),
    ],
    [
      'an electorate of a majority',
      (page, state) => ({
        ...page,
        proof: state.election('online', 4, person(1), users(1, 2, 3, 4)),
      }),
    ],
    [
      'another roster of this number',
      (page) => ({
        ...page,
        proof: {
          ...page.proof,
          epoch: { ...page.proof.epoch, rosterHash: 'ab'.repeat(32) as Digest },
        },
      }),
    ],
    [
      'the election of another epoch',
      (page, state) => ({ ...page, proof: state.election('online', 9, person(1), users(1, 2, 3)) }),
    ],
    ['places of another epoch', (page) => otherEpoch(page)],
    ['a record left out', (page) => ({ ...page, records: [null, ...page.records.slice(1)] })],
  ])('is refused with %s', (_, change) => {
    const state = refusal(change);
    expect([state.st.branches.size, state.st.pool.size, state.st.epochs.size]).toEqual([0, 0, 0]);
  });

  const otherEpoch = (page: BranchPage): BranchPage => ({
    ...page,
    headers: page.headers.map((header) => ({ ...header, epoch: 'ab'.repeat(32) as never })),
  });

  it('is refused by who is no member', () => {
    const { one } = twoEpochs();
    const stranger = new CoreState(7, 9);
    take(stranger, pageOf(stranger, one.chain, one.records, 0, 8));
    expect(stranger.st.branches.size).toBe(0);
  });

  it('of a newer roster is a reason to pull it', () => {
    const { one } = twoEpochs();
    const state = new CoreState(6, 6);
    const page = pageOf(new CoreState(7), one.chain, one.records, 0, 8);
    onBranchPage(state.ctx, state.st, SENDER, page);
    expect(state.carryOut().map(({ name }) => name)).toEqual(['CH_PULL']);
    expect(state.st.branches.size).toBe(0);
  });
});

describe('a record', () => {
  it('whose predecessor nobody showed is an orphan, over a restart, until somebody does', async () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    const { chain, records } = one;
    take(state, pageOf(state, chain, records, 2, 4));
    const third = records[2]!;
    expect(isOrphan(state.st, third)).toBe(true);
    const states = () => shown(state.st).map((line) => line.split(' ')[1]);
    // Whatever its certificate says, it is shown as no more than what is before it.
    expect(states()).toEqual(['sent', 'sent']);
    state.st = await state.reopened();
    expect(isOrphan(state.st, third)).toBe(true);
    take(state, pageOf(state, chain, records, 0, 3));
    expect(isOrphan(state.st, third)).toBe(false);
    expect(states()).toEqual(['committed', 'committed', 'committed', 'committed']);
  });

  it('whose predecessor was only offered, and nothing places, is shown as sent, over a restart', async () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    const { chain, records } = one;
    // Where the chain's leader knows both to be final, its chain does without them.
    const [first, second] = records;
    for (const record of [first!, second!]) {
      const offer = { record, proof: state.proofOf(record), cameAt: 0, offeredAt: 0, kept: true };
      state.st.pool.add(offer, false);
      state.ctx.ready.put(state.st.keys.pool(record.digest), encodeOffer(offer));
    }
    take(state, pageOf(state, chain, records, 2, 4));
    const states = () => shown(state.st).map((line) => line.split(' ')[1]);
    expect(states()).toEqual(['sent', 'sent']);
    state.st = await state.reopened();
    expect(state.st.pool.get(second!.digest)).toBeDefined();
    expect(states()).toEqual(['sent', 'sent']);
    take(state, pageOf(state, chain, records, 0, 2));
    expect(states()).toEqual(['committed', 'committed', 'committed', 'committed']);
  });

  /** This node wrote the first four messages of one chain, of which the other places the first two; it has them queued. */
  function ownQueued() {
    const { one, two } = twoEpochs();
    const state = new CoreState(7, 1);
    for (const [i, record] of one.records.slice(0, 4).entries()) {
      const pooled = { record, proof: state.proofOf(record), cameAt: 0, offeredAt: 0, kept: false };
      state.st.outbox.set(record.digest, { pooled, count: i + 1, state: 'queued' });
      state.st.pool.add(pooled, true);
      state.ctx.ready.put(state.st.keys.out(i + 1), encodeOffer(pooled));
    }
    state.carryOut();
    return { state, ...one, two };
  }

  it('of which this node only has the predecessor queued stands behind that, and is sent', () => {
    const { state, chain, records } = ownQueued();
    take(state, throughInspection(state, pageOf(state, chain, records, 2, 4)));
    expect(shown(state.st)).toEqual(records.slice(0, 4).map(({ digest }) => `${digest} sent`));
  });

  it('of this node is called committed once what it wrote before is, over a restart', async () => {
    const { state, chain, records, two } = ownQueued();
    const told = () => {
      const { events } = state.ctx.ready;
      state.carryOut();
      return events.flatMap((e) => (e.type === 'progress' ? [`${e.digest} ${e.state}`] : []));
    };
    const digests = records.slice(0, 4).map(({ digest }) => digest);
    const comes = (page: BranchPage) =>
      onBranchPage(state.ctx, state.st, SENDER, throughInspection(state, page));
    const states = (st: ChannelState) => [...st.outbox.values()].map((own) => own.state);
    comes(pageOf(state, chain, records, 2, 4));
    expect(told()).toEqual(digests.slice(2).map((digest) => `${digest} sent`));
    expect(states(await state.reopened())).toEqual(['queued', 'queued', 'sent', 'sent']);
    comes(pageOf(state, two.chain, two.records, 0, 8));
    expect(told()).toEqual([
      ...digests.slice(0, 2).map((digest) => `${digest} sent`),
      ...digests.map((digest) => `${digest} committed`),
    ]);
    expect(states(await state.reopened())).toEqual(Array(4).fill('committed'));
  });

  it('is ordered by its smallest certified place', () => {
    const { one, two } = twoEpochs();
    const state = new CoreState(7, 7);
    const both = two.records.find((r) => one.records.includes(r))!;
    const placeIn = ({ chain, records }: Source) => ({
      term: chain.proof.epoch.term,
      epoch: chain.proof.id,
      seq: records.indexOf(both) + 1,
      digest: both.digest,
    });
    expect(certifiedPlace(state.st, both.digest)).toBeNull();
    take(state, pageOf(state, two.chain, two.records, 0, 8));
    expect(certifiedPlace(state.st, both.digest)).toEqual(placeIn(two));
    take(state, pageOf(state, one.chain, one.records, 0, 8));
    expect(certifiedPlace(state.st, both.digest)).toEqual(placeIn(one));
  });
});

describe('a certificate of commitment', () => {
  const given = () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    state.place(one.chain, one.records.slice(0, 6));
    return { state, chain: one.chain };
  };

  it('counts once, and the furthest', async () => {
    const { state, chain } = given();
    const certified = () => state.st.branches.get(chain.proof.id)!.certified;
    expect(takeCommitted(state.ctx, state.st, chain.certificate(3))).toBe(true);
    expect(takeCommitted(state.ctx, state.st, chain.certificate(3))).toBe(false);
    expect(takeCommitted(state.ctx, state.st, chain.certificate(1))).toBe(false);
    expect(certified()).toBe(4);
    expect(takeCommitted(state.ctx, state.st, chain.certificate(5))).toBe(true);
    expect(certified()).toBe(6);
    state.carryOut();
    const keys = [...state.store.keys()].filter((key) => key.includes('/commit/'));
    expect(keys).toEqual([state.st.keys.commit(chain.proof.id, 6)]);
    expect((await state.reopened()).branches.get(chain.proof.id)!.certified).toBe(6);
  });

  it.each<[string, (cert: Certificate) => Certificate]>([
    ['with too few', (cert) => ({ ...cert, acks: cert.acks.slice(1) })],
    [
      'with somebody who is not of the electorate',
      (cert) => ({ ...cert, acks: [...cert.acks, { ...cert.acks[0]!, user: person(5).user }] }),
    ],
    ['of the other kind', (cert) => ({ ...cert, epochKind: 'roster' })],
    ['that is a final one', (cert) => ({ ...cert, kind: 'final' })],
    ['of another entry', (cert) => ({ ...cert, prevHash: 'ab'.repeat(32) as Digest })],
    ['of an unknown epoch', (cert) => ({ ...cert, epoch: 'ab'.repeat(32) as never })],
  ])('%s says nothing', (_, change) => {
    const { state, chain } = given();
    expect(takeCommitted(state.ctx, state.st, change(chain.certificate(3)))).toBe(false);
    expect(state.st.branches.get(chain.proof.id)!.certified).toBe(0);
  });

  it("says nothing where the policy is quorum 'roster'", () => {
    const { state, chain } = given();
    Object.assign(state.st.genesis, { quorum: 'roster' });
    expect(takeCommitted(state.ctx, state.st, chain.certificate(3))).toBe(false);
    expect(provisional(state.st).map((e) => e.state)).toEqual(Array(6).fill('sent'));
  });

  it('is kept at checkpoints besides the newest, so that pages may end there', () => {
    const state = new CoreState(7, 7);
    const records = messages(person(1), 600, state.rootOf(1));
    const proof = state.election('online', 4, person(1), users(1, 2, 3));
    const chain = new PlacedChain(proof, records);
    state.place(chain, records);
    for (let i = 9; i < 600; i += 10) takeCommitted(state.ctx, state.st, chain.certificate(i));
    const certificates = state.st.branches.get(proof.id)!.certificates.map(({ seq }) => seq);
    expect(certificates).toEqual([130, 260, 390, 520, 600]);
    state.carryOut();
    const stored = [...state.store.keys()].filter((key) => key.includes('/commit/'));
    expect(stored.sort()).toEqual(certificates.map((seq) => state.st.keys.commit(proof.id, seq)));
  });

  it('is not made of acknowledgements further apart than its links may be', () => {
    const state = new CoreState(7, 7);
    const records = messages(person(1), TAIL_ENTRIES_MAX + 2, state.rootOf(1));
    const chain = new PlacedChain(state.election('online', 4, person(1), users(1, 2, 3)), records);
    state.place(chain, records);
    const branch = state.st.branches.get(chain.proof.id)!;
    const [one, two, three] = users(1, 2, 3);
    const from = (first: number) => {
      const acks = new Map([one!, two!].map((user, i) => [user, i === 0 ? first : tip] as const));
      const signed = new Map(
        [...acks].map(([user, seq]) => [user, { seq, sig: new Uint8Array(64) }]),
      );
      return certificateFrom(branch, 'committed', chain.proof, signed, [one!, two!, three!], 0);
    };
    const tip = TAIL_ENTRIES_MAX + 2;
    expect([from(1), from(2)?.links.length]).toEqual([undefined, TAIL_ENTRIES_MAX]);
  });

  it('is not taken further than a page beyond the last: no page could end between', () => {
    const state = new CoreState(7, 7);
    const records = messages(person(1), 2 * PAGE_ENTRIES_MAX, state.rootOf(1));
    const chain = new PlacedChain(state.election('online', 4, person(1), users(1, 2, 3)), records);
    state.place(chain, records);
    const branch = state.st.branches.get(chain.proof.id)!;
    const takes = (upTo: number): boolean =>
      takeCommitted(state.ctx, state.st, chain.certificate(upTo - 1));
    expect(takes(PAGE_ENTRIES_MAX + 1)).toBe(false);
    expect([takes(10), takes(PAGE_ENTRIES_MAX + 11), branch.certified]).toEqual([true, false, 10]);
    expect([takes(PAGE_ENTRIES_MAX + 10), takes(2 * PAGE_ENTRIES_MAX)]).toEqual([true, true]);
    expect(branch.certified).toBe(2 * PAGE_ENTRIES_MAX);
  });
});

/** A tail that one roster leader placed, committed up to `certified` of its six records. */
function tailOf(state: CoreState, certified: number) {
  const proof = state.election('roster', 3, person(2), users(1, 2, 3, 4, 5, 6, 7));
  const records = messages(person(2), 6, state.rootOf(2));
  const start: Point = { seq: 0, hash: chainStart(hash, CHANNEL) };
  const chain = new PlacedChain(proof, records, start);
  rememberEpoch(state.ctx, state.st, proof);
  for (const [i, record] of records.entries()) {
    const { epoch, term, roster } = chain.headers[i]!;
    appendEntry(state.ctx, state.st, record, () => state.proofOf(record), { epoch, term, roster });
  }
  if (certified > 0) takeCommitted(state.ctx, state.st, chain.certificate(certified - 1));
  state.carryOut();
  return { proof, records, chain };
}

describe('a tail that falls out of the log', () => {
  it.each([
    ['behind what is certified', 2, 4],
    ['in the middle of what is certified', 4, 2],
    ['as a whole', 6, 0],
    ['with nothing certified', 0, 3],
    ['with all certified', 6, 6],
  ])('%s is kept, with its certificate', async (_, certified, cut) => {
    const state = new CoreState(7, 1);
    const { proof, records } = tailOf(state, certified);
    const before = provisional(state.st).map((e) => [e.record.digest, e.state]);
    truncateTail(state.ctx, state.st, cut);
    state.carryOut();
    expect(provisional(state.st).map((e) => [e.record.digest, e.state])).toEqual(before);
    const branch = state.st.branches.get(proof.id);
    if (cut < 6) {
      // With a certificate all that it certifies is kept, else what fell out.
      const from = certified > cut ? 0 : cut;
      expect(branch!.digests()).toEqual(records.slice(from).map((r) => r.digest));
      expect(branch!.certified).toBe(certified > cut ? certified : 0);
    } else expect(branch).toBeUndefined();
    expect(committedInLog(state.st)).toBe(certified <= cut ? certified : 0);
    const reopened = await state.reopened();
    expect(setOf(reopened)).toEqual(setOf(state.st));
    expect(provisional(reopened).map((e) => [e.record.digest, e.state])).toEqual(before);
  });

  it.each([
    ['all that its leader placed', 6],
    ['a part of what its leader placed', 4],
  ])('behind a certificate over %s is a branch of its last leader', async (_, certified) => {
    const state = new CoreState(7, 1);
    const { proof, records, chain } = tailOf(state, certified);
    const next = state.election('roster', 5, person(3), users(1, 2, 3, 4, 5, 6, 7));
    rememberEpoch(state.ctx, state.st, next);
    const more = messages(person(3), 2, state.rootOf(3));
    const at = { epoch: next.id, term: 5, roster: state.st.roster.number };
    for (const record of more) {
      appendEntry(state.ctx, state.st, record, () => state.proofOf(record), at);
    }
    const all = [...records, ...more].map((r) => r.digest);
    truncateTail(state.ctx, state.st, 2);
    state.carryOut();
    expect([...state.st.branches.keys()].sort()).toEqual([proof.id, next.id].sort());
    const [older, newer] = [proof, next].map(({ id }) => state.st.branches.get(id)!);
    expect(older!.digests()).toEqual(all.slice(0, certified));
    expect(older!.certified).toBe(certified);
    expect(newer!.base).toEqual(chain.points[certified]);
    expect(newer!.digests()).toEqual(all.slice(certified));
    expect(newer!.certified).toBe(0);
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
  });

  it('takes, certified, the place of what its leader placed otherwise', async () => {
    const state = new CoreState(7, 1);
    const { proof, records, chain } = tailOf(state, 4);
    const fork = messages(person(4), 5, state.rootOf(4));
    state.place(new PlacedChain(proof, fork, chain.points[0]), fork);
    truncateTail(state.ctx, state.st, 0);
    state.carryOut();
    const branch = state.st.branches.get(proof.id)!;
    expect(branch.certified).toBe(4);
    expect(branch.digests().slice(0, 4)).toEqual(records.slice(0, 4).map((r) => r.digest));
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
  });

  it('twice, under two leaders, keeps what each certified', async () => {
    const state = new CoreState(7, 1);
    const { proof, records, chain } = tailOf(state, 4);
    truncateTail(state.ctx, state.st, 0);
    const again = state.election('roster', 5, person(3), users(1, 2, 3, 4, 5, 6, 7));
    rememberEpoch(state.ctx, state.st, again);
    const { number } = state.st.roster;
    for (const record of records.slice(0, 2)) {
      const at = { epoch: again.id, term: 5, roster: number };
      appendEntry(state.ctx, state.st, record, () => state.proofOf(record), at);
    }
    truncateTail(state.ctx, state.st, 0);
    state.carryOut();
    expect([...state.st.branches.keys()].sort()).toEqual([proof.id, again.id].sort());
    for (const [i, record] of records.entries()) {
      const place = certifiedPlace(state.st, record.digest);
      expect(place?.seq).toBe(i < 4 ? i + 1 : undefined);
      if (place) expect(place.term).toBe(chain.proof.epoch.term);
    }
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
  });
});

describe('what became final', () => {
  /** Makes the tail final up to `seq`, by all of the roster. */
  function settle(state: CoreState, proof: ElectionProof, chain: PlacedChain, seq: number): void {
    const cert = certificateOf(state.st.roster, {
      seq,
      prevHash: chain.points[seq - 1]!.hash,
      headers: [chain.headers[seq - 1]!],
      acks: [1, 2, 3, 4].map((n) => ({ by: person(n), ahead: 0 })),
    });
    expect(cert.epoch).toBe(proof.id);
    finalise(state.ctx, state.st, cert);
    state.carryOut();
  }

  it('leaves the set: first the front of a branch, then the branch and its election', async () => {
    const state = new CoreState(7, 1);
    const { proof, records, chain } = tailOf(state, 6);
    truncateTail(state.ctx, state.st, 0);
    // The next leader merges them, in the same order.
    const next = state.election('roster', 6, person(3), users(1, 2, 3, 4, 5, 6, 7));
    const placed = new PlacedChain(next, records, chain.points[0]);
    rememberEpoch(state.ctx, state.st, next);
    state.st.leadership = null;
    for (const [i, record] of records.entries()) {
      const { epoch, term, roster } = placed.headers[i]!;
      const at = { epoch, term, roster };
      appendEntry(state.ctx, state.st, record, () => state.proofOf(record), at);
    }
    settle(state, next, placed, 4);
    const branch = state.st.branches.get(proof.id)!;
    expect([branch.base.seq, branch.tip.seq, branch.certified]).toEqual([4, 6, 6]);
    expect(setOf(await state.reopened())).toEqual(setOf(state.st));
    settle(state, next, placed, 6);
    expect([state.st.branches.size, state.st.epochs.size]).toEqual([0, 0]);
    expect(state.st.exchange.done.get(proof.id)?.tip).toBe(6);
    const left = [...state.store.keys()].map((key) => key.split('/')[2]!);
    for (const kind of ['branch', 'place', 'commit', 'epoch', 'pool', 'committed']) {
      expect(left).not.toContain(kind);
    }
  });

  it("stays known for what came in the same step and follows an author's message that was the last until then", () => {
    const state = new CoreState(7, 1);
    const { proof, records, chain } = tailOf(state, 6);
    settle(state, proof, chain, 2);
    const [, before] = records;
    expect(state.st.log.finalTipOf(before!.author)).toBe(before!.digest);
    // It was final long before.
    state.st.facts.clear();
    settle(state, proof, chain, 4);
    const [fork] = messages(person(2), 1, before!.digest, 9);
    expect(before!.author).toBe(fork!.author);
    const placed = new PlacedChain(state.election('online', 9, person(2), users(2, 3, 4)), [fork!]);
    take(state, pageOf(state, placed, [fork!], 0, 1));
    expect(isOrphan(state.st, fork!)).toBe(false);
  });

  it('leaves no branch for what vanishes with its place, though it was offered again', async () => {
    const state = new CoreState(7, 1);
    const all = users(1, 2, 3, 4, 5, 6, 7);
    const proof = state.election('roster', 3, person(2), all);
    const [message] = messages(person(2), 1, state.rootOf(2));
    const ofLeader = (n: number) => recordBy(person(2), { n, kind: 'epoch' });
    const records = [ofLeader(1), message!, ofLeader(2)];
    state.place(new PlacedChain(proof, records), records);
    state.carryOut();
    const run = decodeRun(state.store.get(state.st.keys.place(proof.id, 1))!);
    expect(run.map(({ record }) => record.length > 0)).toEqual([false, true, false]);
    const next = state.election('roster', 6, person(3), all);
    const start: Point = { seq: 0, hash: chainStart(hash, CHANNEL) };
    const placed = new PlacedChain(next, [message!], start);
    rememberEpoch(state.ctx, state.st, next);
    const { epoch, term, roster } = placed.headers[0]!;
    appendEntry(state.ctx, state.st, message!, () => state.proofOf(message!), {
      epoch,
      term,
      roster,
    });
    settle(state, next, placed, 1);
    expect(state.st.branches.size).toBe(0);
    expect((await state.reopened()).branches.size).toBe(0);
  });

  it('is no reason to forget what is placed behind it and not final', () => {
    const { one } = twoEpochs();
    const state = new CoreState(7, 7);
    take(state, pageOf(state, one.chain, one.records, 0, 8));
    const { size } = state.st.branches.get(one.chain.proof.id)!;
    pruneSet(state.ctx, state.st, []);
    expect(state.st.branches.get(one.chain.proof.id)!.size).toBe(size);
  });
});

it('an election is proven by ballots of a known roster alone', () => {
  const state = new CoreState(7);
  const proof = state.election('online', 4, person(1), users(1, 2, 3));
  expect(isProven(state.st, proof)).toBe(true);
  const of = (change: object) =>
    isProven(state.st, { ...proof, epoch: { ...proof.epoch, ...change } });
  expect(of({ roster: 99 })).toBe(false);
  expect(of({ roster: 2 })).toBe(false);
  expect(of({ rosterHash: state.st.electors[2]?.hash })).toBe(false);
});
