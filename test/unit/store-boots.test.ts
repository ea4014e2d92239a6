/** How a store grew, and who can tell that it was put back (docs/PROTOCOL.md, section "Lost memory"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BOOTS_KEPT } from '../../src/core/limits.js';
import {
  type BootBatches,
  bootsOf,
  encodeBatches,
  encodeBoots,
  lacks,
  mergeBoots,
} from '../../src/core/store-boots.js';
import { ulidOf } from './fixtures/channel.js';

const of = (boot: number, batches: number): BootBatches => ({ boot: ulidOf(boot), batches });
const heard = (boot: number, batches: number, before: BootBatches[] = []) => ({
  ...of(boot, batches),
  before,
});

describe('a store lacks what somebody heard of', () => {
  const before = [of(5, 10), of(3, 7)];

  it.each([
    ['no more batches of a boot that it has', heard(5, 10), false],
    ['more batches of a boot that it has', heard(5, 11), true],
    ['a boot that it has not', heard(4, 1), true],
    ['a boot in which nothing became durable', heard(4, 0), false],
    ['more batches of a boot before that', heard(6, 0, [of(5, 12)]), true],
    ['nothing else', heard(5, 9, [of(3, 7)]), false],
  ])('when it was %s', (_, growth, is) => {
    expect(lacks(before, growth)).toBe(is);
  });

  it('but not a boot older than all that a full list names', () => {
    const full = Array.from({ length: BOOTS_KEPT }, (_, i) => of(20 - i, 1));
    expect(lacks(full, heard(2, 9))).toBe(false);
    expect(lacks(full.slice(1), heard(2, 9))).toBe(true);
  });
});

const boots = fc.array(
  fc.record({ boot: fc.integer({ min: 1, max: 30 }), batches: fc.integer({ min: 0, max: 9 }) }),
  { maxLength: 12 },
);

it('two lists as one: each boot once, newest first, with the most batches; and nothing of either is lacking', () => {
  fc.assert(
    fc.property(boots, boots, (x, y) => {
      const [a, b] = [x, y].map((list) => list.map(({ boot, batches }) => of(boot, batches)));
      const all = mergeBoots(a!, b!);
      expect(all.length).toBeLessThanOrEqual(BOOTS_KEPT);
      const ids = all.map(({ boot }) => boot);
      expect(ids).toStrictEqual([...new Set(ids)].sort().reverse());
      for (const one of [...a!, ...b!]) expect(lacks(all, { ...one, before: [] })).toBe(false);
    }),
  );
});

describe('what a store keeps', () => {
  it('is the boots before, and the last one with them once the node starts again', () => {
    const stored = { before: [of(3, 7)], wasPutBack: true };
    const next = bootsOf(encodeBoots(stored), encodeBatches(of(5, 2)));
    expect(next).toStrictEqual({ before: [of(5, 2), of(3, 7)], wasPutBack: true });
    expect(bootsOf(encodeBoots(next), undefined)).toStrictEqual(next);
    expect(bootsOf(undefined, undefined)).toStrictEqual({ before: [], wasPutBack: false });
  });

  it.each([
    ['a flag that is neither 0 nor 1', Uint8Array.of(0, 0, 2)],
    ['a list that is too long', Uint8Array.of(0, BOOTS_KEPT + 1)],
  ])('is refused with %s', (_, bytes) => {
    expect(() => bootsOf(bytes, undefined)).toThrow(
      expect.objectContaining({ code: 'bad_encoding' }),
    );
  });
});
