/**
 * Members that misbehave, and networks that stay asymmetric (docs/simulation.md):
 * what must hold then does, what is excused is excused by a deed alone, and
 * runs are functions of their seeds as all others are.
 */

import { describe, expect, it } from 'vitest';
import { Committed } from '../../src/testing/committed.js';
import { describeFault } from '../../src/testing/describe-fault.js';
import type { Fault, FaultKind } from '../../src/testing/faults.js';
import { RARE_KINDS } from '../../src/testing/faults.js';
import type { Misdeed } from '../../src/testing/misdeeds.js';
import { Offences } from '../../src/testing/offences.js';
import { simulate } from '../../src/testing/simulate.js';
import { allCanCommit, connectedTo, reachOf } from '../../src/testing/topology.js';

const run = (seed: number, kind: FaultKind) => simulate({ seed, faults: [kind] });

describe('runs with rare kinds', () => {
  it.each(RARE_KINDS)('hold what they must: %s', async (kind) => {
    for (let seed = 1; seed <= 12; seed++) {
      const { violation } = await run(seed, kind);
      expect(violation, `seed ${seed}`).toBeUndefined();
    }
  });

  it.each(RARE_KINDS)('are functions of their seed: %s', async (kind) => {
    const [one, again] = [await run(3, kind), await run(3, kind)];
    expect(again.traceHash).toBe(one.traceHash);
  });
});

/** Seeds that broke once, and what it was. */
const FOUND: readonly (readonly [FaultKind, number, string])[] = [
  ['two-faced-member', 2003, 'an entry appended and cut in one step lost its proof'],
  ['two-faced-member', 125, 'a leader whose log was cut went on counting'],
  ['two-faced-member', 17, 'a follower gave up for its leader what it had acknowledged to it'],
  ['two-faced-member', 8, 'an acknowledgement was given again of entries that were gone'],
  ['lying-member', 2085, 'who saw no majority woke at a time that had passed, again and again'],
  ['silent-member', 58, 'a leader that left messages out led for ever'],
  ['silent-member', 115, 'members that suspected a leader at different times never agreed'],
  ['silent-member', 211, 'what a branch held once was no reason to suspect who left it out'],
  ['topology', 22, 'the middle of a star waited for candidates that could not win'],
  ['topology', 3, 'who reached too few, or no leader, offered nothing'],
];

it.each(FOUND)('found by %s, seed %i: %s', async (kind, seed) => {
  expect((await run(seed, kind)).violation).toBeUndefined();
});

describe('a member that misbehaves', () => {
  const misbehaves = (node: number, ...misdeeds: Misdeed[]): Fault => ({
    kind: 'misbehaves',
    at: 5_000,
    until: 15_000,
    node,
    misdeeds,
    stays: true,
  });
  /** Runs a channel whose first leader misbehaves; returns who led, one after the other. */
  const leadersAfter = async (misdeed: Misdeed): Promise<number[]> => {
    const leaders: number[] = [];
    const { violation } = await simulate({
      seed: 1,
      nodes: 5,
      minOnline: 3,
      crypto: 'fast',
      loadMs: 15_000,
      conditions: { encoded: false, workMs: 0, diskMs: 0, skewMs: 0 },
      faults: [misbehaves(0, misdeed)],
      log: (line) => {
        const [, node] = / node (\d) steps: .* leads$/.exec(line) ?? [];
        if (node !== undefined && leaders.at(-1) !== Number(node)) leaders.push(Number(node));
      },
    });
    expect(violation).toBeUndefined();
    return leaders;
  };

  it('is replaced as a leader when it says nothing', async () => {
    expect(await leadersAfter({ do: 'withhold', names: 'all' })).toEqual([0, expect.any(Number)]);
  });

  it('is replaced as a leader when it places nothing of others, or of one', async () => {
    for (const author of ['all', 3] as const) {
      expect(await leadersAfter({ do: 'censor', author })).toEqual([0, expect.any(Number)]);
    }
  });

  it('is replaced as a leader when it never says what is final', async () => {
    const leaders = await leadersAfter({ do: 'withhold', names: ['CH_COMMIT', 'CH_APPEND'] });
    expect(leaders).toEqual([0, expect.any(Number)]);
  });

  it('is described by what it does', () => {
    expect(describeFault(misbehaves(2, { do: 'two-votes' }, { do: 'censor', author: 1 }))).toBe(
      'node 2 misbehaves: it votes for everyone, it places nothing of node 1',
    );
  });
});

describe('what is excused', () => {
  const [a, b, c] = ['a', 'b', 'c'] as never[] as [never, never, never];

  it('is nothing before a deed was done, whoever may do it', () => {
    const offences = new Offences();
    offences.mayDo(a, ['two-votes', 'two-acks', 'two-places']);
    expect(offences.mayFork(1_000)).toBe(false);
    expect(offences.hasTwoChains(b)).toBe(false);
    expect(offences.excuseTwoLeaders('roster', 7, [a, b], [a, c])).toBe(false);
  });

  it('is a fork in the term of the deed or later, not before it', () => {
    const offences = new Offences();
    offences.spokeFalsely(7);
    expect([6, 7, 8].map((term) => offences.mayFork(term))).toEqual([false, true, true]);
  });

  it('are two leaders of one term, if all who voted for both did so twice', () => {
    const offences = new Offences();
    offences.votedTwice(a, 'roster', 7);
    expect(offences.excuseTwoLeaders('roster', 7, [a, b], [a, c])).toBe(true);
    expect(offences.excuseTwoLeaders('roster', 8, [a, b], [a, c])).toBe(false);
    expect(offences.excuseTwoLeaders('roster', 7, [a, b], [a, b])).toBe(false);
    expect(offences.excuseTwoLeaders('roster', 7, [a], [c])).toBe(false);
  });

  it('is nothing roster leaders do, by a vote in an online epoch', () => {
    const offences = new Offences();
    offences.votedTwice(a, 'online', 7);
    expect(offences.mayFork(7)).toBe(false);
  });
});

it('what was committed must become final if a member held it that follows the protocol', () => {
  const [alone, both, final, lost] = ['alone', 'both', 'final', 'lost'] as never[];
  const held = new Set<string>(['both', 'final', 'lost']);
  const offences = new Offences();
  const committed = new Committed(
    (digest) => held.has(digest),
    () => offences.areNone,
  );
  // Nobody misbehaves yet: whoever acknowledged it holds it.
  committed.add(lost!);
  offences.mayDo('a' as never, ['censor']);
  for (const digest of [alone!, both!, final!]) committed.add(digest);
  expect([...committed.promised]).toEqual(['lost', 'both', 'final']);
  held.delete('lost');
  committed.forget();
  expect([...committed.promised]).toEqual(['both', 'final']);
  expect([alone!, lost!].map((digest) => committed.has(digest))).toEqual([true, true]);
});

describe('a network that stays asymmetric', () => {
  const lasting = { at: 0, until: 1, stays: true } as const;
  const nodes = [0, 1, 2, 3].map((index) => ({ index }));
  const star = reachOf(
    [
      {
        ...lasting,
        kind: 'block',
        pairs: [
          [1, 2],
          [1, 3],
          [2, 3],
        ],
      },
    ],
    1,
  );
  const chain = reachOf(
    [
      {
        ...lasting,
        kind: 'block',
        pairs: [
          [0, 2],
          [0, 3],
          [1, 3],
        ],
      },
    ],
    1,
  );

  it('is one in which nodes reach each other over a relay that both reach', () => {
    const reach = reachOf(
      [{ ...lasting, kind: 'relay-split', sides: [[0], [2]], reset: false }],
      2,
    );
    expect([reach(0, 1), reach(1, 2), reach(0, 2)]).toEqual([true, true, false]);
    expect(connectedTo(0, [0, 1, 2], reach)).toEqual([0, 1, 2]);
  });

  it('is none by a fault that ends', () => {
    const over: Fault = { at: 0, until: 1, kind: 'block', pairs: [[0, 1]] };
    expect(reachOf([over], 1)(0, 1)).toBe(true);
  });

  it('promises what its middle can do: all of it, or nothing where too few are online for it', () => {
    expect(allCanCommit(nodes, nodes, 3, star)).toBe(true);
    expect(allCanCommit(nodes, nodes, 5, star)).toBe(false);
  });

  it('promises no message that is more than two links away from a leader', () => {
    // Whoever of the two in the middle leads, the far end reaches a member that reaches it.
    expect(allCanCommit(nodes, nodes, 3, chain)).toBe(true);
    const far = reachOf(
      [
        {
          ...lasting,
          kind: 'block',
          pairs: [
            [0, 2],
            [0, 3],
            [0, 4],
            [1, 3],
            [1, 4],
            [2, 4],
          ],
        },
      ],
      1,
    );
    expect(allCanCommit([...nodes, { index: 4 }], [...nodes, { index: 4 }], 3, far)).toBe(false);
  });
});
