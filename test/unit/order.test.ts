/** The order of what is not final (docs/PROTOCOL.md, section "Display order"), against a slow twin. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest, EpochId, UserId } from '../../src/core/ids.js';
import {
  comparePlaces,
  inOrder,
  type Ordered,
  type Place,
  type Unordered,
} from '../../src/core/order.js';

const digest = (n: number): Digest => `d${String(n).padStart(3, '0')}` as Digest;
const author = (n: number): UserId => `u${n}` as UserId;
const epoch = (n: number): EpochId => `e${n}` as EpochId;
const FINAL = 'final' as Digest;

/** Records with a `prev` among earlier ones, forks included, so that there is no circle. */
const items: fc.Arbitrary<Unordered[]> = fc
  .array(
    fc.record({
      author: fc.nat(2),
      prev: fc.option(fc.nat(30), { nil: null, freq: 5 }),
      place: fc.option(
        fc.record({ term: fc.nat(2), epoch: fc.nat(2), seq: fc.integer({ min: 1, max: 5 }) }),
        { nil: null, freq: 3 },
      ),
      orphan: fc.boolean(),
    }),
    { maxLength: 14 },
  )
  .chain((drawn) =>
    // Digests in another order than the records were made in.
    fc
      .shuffledSubarray(
        drawn.map((_, i) => i),
        { minLength: drawn.length },
      )
      .map((names) =>
        drawn.map(({ author: a, prev, place, orphan }, i): Unordered => {
          const before = prev === null || i === 0 ? null : names[prev % i]!;
          return {
            digest: digest(names[i]!),
            author: author(a),
            prev: before === null ? FINAL : digest(before),
            place: place && { ...place, epoch: epoch(place.epoch), digest: digest(names[i]!) },
            isOrphan: before === null && orphan,
          };
        }),
      ),
  );

const shown = (ordered: readonly Ordered<Unordered>[]) =>
  ordered.map(({ item, committed }) => `${item.digest}${committed ? '!' : ''}`);

/** As the section says it: repeatedly the smallest whose `prev` isn't waiting. */
function slowly(all: readonly Unordered[]): string[] {
  const find = (d: Digest) => all.find((item) => item.digest === d);
  const isCommitted = (item: Unordered): boolean => {
    const before = find(item.prev);
    return item.place !== null && !item.isOrphan && (before === undefined || isCommitted(before));
  };
  const less = (a: Unordered, b: Unordered): number => {
    if (isCommitted(a) !== isCommitted(b)) return isCommitted(a) ? -1 : 1;
    if (isCommitted(a)) return comparePlaces(a.place!, b.place!);
    const key = ({ author, prev, digest }: Unordered) => `${author} ${prev} ${digest}`;
    return key(a) < key(b) ? -1 : 1;
  };
  const waiting = [...all];
  const out: string[] = [];
  while (waiting.length > 0) {
    const ready = waiting.filter((item) => !waiting.some((other) => other.digest === item.prev));
    const next = ready.sort(less)[0]!;
    waiting.splice(waiting.indexOf(next), 1);
    out.push(`${next.digest}${isCommitted(next) ? '!' : ''}`);
  }
  return out;
}

describe('inOrder', () => {
  it('gives every record once', () => {
    fc.assert(
      fc.property(items, (all) => {
        const given = inOrder(all).map(({ item }) => item);
        expect(given).toHaveLength(all.length);
        expect(new Set(given)).toEqual(new Set(all));
      }),
    );
  });

  it('puts no record before its predecessor, and shows none as more than it', () => {
    fc.assert(
      fc.property(items, (all) => {
        const at = new Map(
          inOrder(all).map((ordered, i) => [ordered.item.digest, { ...ordered, i }]),
        );
        for (const { item, committed, i } of at.values()) {
          const before = at.get(item.prev);
          if (!before) continue;
          expect(before.i).toBeLessThan(i);
          if (committed) expect(before.committed).toBe(true);
        }
      }),
    );
  });

  it('puts all that is committed before what is only sent', () => {
    fc.assert(
      fc.property(items, (all) => {
        const states = inOrder(all).map(({ committed }) => committed);
        expect(states).toEqual([...states].sort((a, b) => Number(b) - Number(a)));
      }),
    );
  });

  it('gives the same whatever came first', () => {
    const both = items.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(both, ([all, shuffled]) => {
        expect(shown(inOrder(shuffled))).toEqual(shown(inOrder(all)));
      }),
    );
  });

  it('agrees with the slow twin', () => {
    fc.assert(
      fc.property(items, (all) => {
        expect(shown(inOrder(all))).toEqual(slowly(all));
      }),
      { numRuns: 1_000 },
    );
  });

  const place = (n: number, term = 1, seq = n): Place => ({
    term,
    epoch: epoch(1),
    seq,
    digest: digest(n),
  });
  const item = (n: number, change: Partial<Unordered> = {}): Unordered => ({
    digest: digest(n),
    author: author(1),
    prev: FINAL,
    place: null,
    isOrphan: false,
    ...change,
  });

  it('holds a chain of ten thousand without recursion', () => {
    const all = Array.from({ length: 10_000 }, (_, i) =>
      item(i, { prev: i === 0 ? FINAL : digest(i - 1), place: place(i) }),
    );
    expect(inOrder([...all].reverse()).map((o) => o.item)).toEqual(all);
  });

  it.each<[string, Unordered[], string[]]>([
    [
      'by term first',
      [item(1, { place: place(1, 2, 1) }), item(2, { place: place(2, 1, 9) })],
      ['d002!', 'd001!'],
    ],
    [
      'by epoch within a term',
      [
        item(1, { place: { ...place(1), epoch: epoch(2) } }),
        item(2, { place: { ...place(2, 1, 9), epoch: epoch(1) } }),
      ],
      ['d002!', 'd001!'],
    ],
    [
      'by seq within an epoch',
      [item(1, { place: place(1, 1, 2) }), item(2, { place: place(2, 1, 1) })],
      ['d002!', 'd001!'],
    ],
    [
      'what is held back by its predecessor as soon as that is out',
      [
        item(1, { prev: digest(2), place: place(1, 1, 1) }),
        item(2, { place: place(2, 1, 2) }),
        item(3, { place: place(3, 1, 3) }),
      ],
      ['d002!', 'd001!', 'd003!'],
    ],
    [
      'a committed record behind one that is only sent as sent',
      [item(1), item(2, { prev: digest(1), place: place(2) }), item(3, { place: place(3) })],
      ['d003!', 'd001', 'd002'],
    ],
    [
      'an orphan as sent, and all behind it',
      [item(1, { place: place(1), isOrphan: true }), item(2, { prev: digest(1), place: place(2) })],
      ['d001', 'd002'],
    ],
    [
      'what is sent by author, then predecessor, then digest',
      [item(3, { author: author(2) }), item(2), item(1, { author: author(1) })],
      ['d001', 'd002', 'd003'],
    ],
    [
      'both arms of a fork',
      [
        item(1, { place: place(1) }),
        item(2, { prev: digest(1), place: place(2, 1, 5) }),
        item(3, { prev: digest(1), place: place(3, 1, 4) }),
      ],
      ['d001!', 'd003!', 'd002!'],
    ],
  ])('orders %s', (_, all, expected) => {
    expect(shown(inOrder(all))).toEqual(expected);
  });
});
