/**
 * How a branch lies in the store (src/core/runs.ts): whatever is placed, cut,
 * forgotten at the front and put before it, in one step or several, a restart
 * finds the places and the records that were held.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Writer } from '../../src/core/bytes.js';
import type { ChannelState } from '../../src/core/channel-state.js';
import { decodeRun, RUN_PLACES_MAX } from '../../src/core/layout.js';
import { pruneSet, rememberEpoch, uniteBranch } from '../../src/core/provisional.js';
import { cutRuns } from '../../src/core/runs.js';
import { person } from './fixtures/channel.js';
import { CoreState, messages, PlacedChain, users } from './fixtures/core-state.js';

const COUNT = 12;

/** A node that holds what an online epoch placed, in part. */
function holder(count: number) {
  const state = new CoreState(7, 7);
  const records = messages(person(1), count, state.rootOf(1));
  const proof = state.election('online', 4, person(1), users(1, 2, 3));
  const chain = new PlacedChain(proof, records);
  rememberEpoch(state.ctx, state.st, proof);
  const branch = () => state.st.branches.get(proof.id);

  const place = (from: number, to: number): void => {
    for (const record of records.slice(from, to)) {
      if (state.st.facts.has(record.digest)) continue;
      const offer = { record, proof: state.proofOf(record), cameAt: 0, offeredAt: 0, kept: false };
      state.st.pool.add(offer, true);
    }
    uniteBranch(state.ctx, state.st, proof.id, chain.stretch(from, to));
  };
  /** The records up to `seq` become final. */
  const finalise = (seq: number): void => {
    for (const { digest } of records.slice(0, seq)) {
      const pooled = state.st.pool.remove(digest);
      if (pooled?.apart) state.ctx.ready.del(state.st.keys.pool(digest));
      if (state.st.facts.has(digest)) continue;
      state.st.facts.add(digest);
      state.ctx.ready.put(state.st.keys.placed(digest), new Writer(8).u64(1).done());
    }
    pruneSet(state.ctx, state.st, []);
  };
  const cut = (seq: number): void => {
    const there = branch();
    if (!there || seq < there.base.seq || seq >= there.tip.seq) return;
    cutRuns(state.ctx, state.st, there, seq);
    there.cut(seq);
  };
  return { state, records, branch, place, finalise, cut };
}

const setOf = (st: ChannelState) => ({
  branches: [...st.branches.values()].map((b) => ({ base: b.base, digests: b.digests() })),
  held: [...st.pool.values()].map(({ record }) => record.digest).sort(),
});

const seq = fc.nat(COUNT);
const deeds = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('place' as const), from: seq, count: fc.nat(5) }),
    fc.record({ do: fc.constant('before' as const), back: fc.nat(4) }),
    fc.record({ do: fc.constant('cut' as const), seq }),
    fc.record({ do: fc.constant('finalise' as const), seq }),
    fc.record({ do: fc.constant('step' as const) }),
  ),
  { maxLength: 12 },
);

test('a restart finds what was held', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(deeds, async (all) => {
      const { state, branch, place, finalise, cut } = holder(COUNT);
      for (const deed of [...all, { do: 'step' as const }]) {
        const { base, tip } = branch() ?? { base: { seq: 2 }, tip: { seq: 2 } };
        if (deed.do === 'place') {
          const from = branch() ? tip.seq : deed.from;
          place(from, Math.min(COUNT, from + deed.count));
        } else if (deed.do === 'before') place(Math.max(0, base.seq - deed.back), base.seq);
        else if (deed.do === 'cut') cut(deed.seq);
        else if (deed.do === 'finalise') finalise(deed.seq);
        else {
          state.carryOut();
          expect(setOf(await state.reopened())).toEqual(setOf(state.st));
        }
      }
    }),
    { numRuns: 400 },
  );
});

test('what one step places is one value, up to a bound', () => {
  const { state, branch, place } = holder(RUN_PLACES_MAX + 3);
  place(0, RUN_PLACES_MAX + 2);
  state.carryOut();
  place(RUN_PLACES_MAX + 2, RUN_PLACES_MAX + 3);
  state.carryOut();
  const runs = [...state.store].filter(([key]) => key.startsWith(state.st.keys.places)).sort();
  expect(runs.map(([, run]) => decodeRun(run).length)).toEqual([RUN_PLACES_MAX, 2, 1]);
  expect(branch()!.runs).toEqual([1, RUN_PLACES_MAX + 1, RUN_PLACES_MAX + 3]);
});
