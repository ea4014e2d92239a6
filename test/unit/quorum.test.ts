/** Quorum arithmetic against slow, obvious twins (docs/PROTOCOL.md, section "Quorums"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MEMBERS_PER_CHANNEL_MAX } from '../../src/core/limits.js';
import { isMajority, majorityOf, majorityPosition } from '../../src/core/quorum.js';

/** More of them than not: counted one by one. */
function twinIsMajority(count: number, of: number): boolean {
  let balance = 0;
  for (let i = 0; i < of; i++) balance += i < count ? 1 : -1;
  return balance > 0;
}

/** Tries every position that somebody reached, from the highest. */
function twinPosition(positions: readonly number[]): number {
  const candidates = [...new Set(positions)].sort((a, b) => b - a);
  const reached = candidates.find((p) =>
    twinIsMajority(positions.filter((q) => q >= p).length, positions.length),
  );
  return reached ?? 0;
}

const SIZES = Array.from({ length: MEMBERS_PER_CHANNEL_MAX }, (_, i) => i + 1);

describe('isMajority', () => {
  it('agrees with its twin for every count of every roster', () => {
    for (const of of [0, ...SIZES]) {
      for (let count = 0; count <= of; count++) {
        expect(isMajority(count, of), `${count} of ${of}`).toBe(twinIsMajority(count, of));
      }
    }
  });

  it('has a common member in any two majorities, and in no two halves', () => {
    for (const of of SIZES) {
      const smallest = majorityOf(of);
      expect(2 * smallest).toBeGreaterThan(of);
      expect(isMajority(of - smallest, of)).toBe(false);
    }
  });

  it.each([
    [0, 0, false],
    [0, 1, false],
    [1, 1, true],
    [1, 2, false],
    [2, 2, true],
    [2, 3, true],
    [2, 4, false],
    [3, 4, true],
    [3, 5, true],
    [64, 128, false],
    [65, 128, true],
  ])('%i of %i: %s', (count, of, expected) => {
    expect(isMajority(count, of)).toBe(expected);
  });
});

describe('majorityOf', () => {
  it('is the smallest count that is a majority', () => {
    for (const of of SIZES) {
      expect(isMajority(majorityOf(of), of)).toBe(true);
      expect(isMajority(majorityOf(of) - 1, of)).toBe(false);
    }
  });
});

describe('majorityPosition', () => {
  const positions = fc.oneof(
    fc.array(fc.nat(8), { maxLength: 9 }),
    fc.array(fc.maxSafeNat(), { maxLength: MEMBERS_PER_CHANNEL_MAX }),
  );

  it('agrees with its twin', () => {
    fc.assert(
      fc.property(positions, (p) => {
        expect(majorityPosition(p)).toBe(twinPosition(p));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the same in any order, leaves its input alone, and only grows', () => {
    fc.assert(
      fc.property(positions, fc.nat(), fc.nat(10), (p, at, more) => {
        const before = [...p];
        const reached = majorityPosition(p);
        expect(p).toStrictEqual(before);
        expect(majorityPosition(p.toReversed())).toBe(reached);
        const further = p.map((x, i) => (i === at % p.length ? x + more : x));
        expect(majorityPosition(further)).toBeGreaterThanOrEqual(reached);
      }),
    );
  });

  it.each([
    [[], 0],
    [[7], 7],
    [[7, 3], 3],
    [[7, 3, 0], 3],
    [[9, 9, 0, 0], 0],
    [[9, 9, 5, 0], 5],
    [[10, 9, 8, 2, 1], 8],
    [[100, 20, 3], 20],
  ])('of %j is %i', (p, expected) => {
    expect(majorityPosition(p)).toBe(expected);
  });
});
