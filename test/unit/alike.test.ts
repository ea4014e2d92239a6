/**
 * Lists of alike byte strings (docs/PROTOCOL.md, section "Commands"): what goes
 * in comes out, what is shared is not sent again, and no encoding makes a
 * receiver take more memory than the limits allow.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alike } from '../../src/core/alike.js';
import { COMMANDS, type CommandName } from '../../src/core/commands.js';
import {
  RECORD_BODY_BYTES_MAX,
  RECORDS_PER_BATCH_MAX,
  TAIL_ENTRIES_MAX,
} from '../../src/core/limits.js';
import { EXAMPLES } from './command-examples.js';
import { codeOf } from './wire-helpers.js';

const NOTHING = 'nothing thrown';
const LIMITS = { items: 4, itemBytes: 12, first: 3, last: 5 };
const codec = alike(LIMITS);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const decode = (...values: number[]): Uint8Array[] => codec.decode(bytes(...values), 'list');
const item = (first: number, last: number, ...between: number[]): number[] =>
  [first, last, 0, between.length].flatMap((n) => [n >> 8, n & 255]).concat(between);

describe('a list of alike byte strings', () => {
  it('comes out as it went in', () => {
    const few = fc.array(fc.uint8Array({ max: 2, maxLength: LIMITS.itemBytes }), {
      maxLength: LIMITS.items,
    });
    fc.assert(
      fc.property(few, (items) => {
        expect(codec.decode(codec.encode(items), 'list')).toStrictEqual(items);
      }),
    );
  });

  it('says of each item only what is not as in the one before, within limits', () => {
    expect(
      codec.encode([bytes(1, 2, 3, 9, 7), bytes(1, 2, 4, 7), bytes(1, 2, 4, 7)]),
    ).toStrictEqual(bytes(0, 3, ...item(0, 0, 1, 2, 3, 9, 7), ...item(2, 1, 4), ...item(3, 1)));
    const long = [new Uint8Array(12), new Uint8Array(12)];
    expect(codec.encode(long)).toStrictEqual(
      bytes(0, 2, ...item(0, 0, ...new Array(12).fill(0)), ...item(3, 5, 0, 0, 0, 0)),
    );
  });

  it('is refused where an item shares more than it may, or than there is', () => {
    const first = item(0, 0, 1, 2, 3, 4, 5, 6);
    expect(decode(0, 2, ...first, ...item(3, 3))).toHaveLength(2);
    for (const second of [item(4, 0), item(0, 6), item(3, 4), item(2, 5, 9)]) {
      expect(codeOf(() => decode(0, 2, ...first, ...second))).toBe('bad_payload');
    }
    expect(codeOf(() => decode(0, 1, ...item(1, 0)))).toBe('bad_payload');
  });

  it('is refused where an item is too long, items are too many, or bytes are left or missing', () => {
    const long = item(0, 0, ...new Array(12).fill(1));
    expect(decode(0, 2, ...long, ...item(3, 5, 1, 1, 1, 1))).toHaveLength(2);
    expect(codeOf(() => decode(0, 2, ...long, ...item(3, 5, 1, 1, 1, 1, 1)))).toBe('bad_payload');
    expect(codeOf(() => decode(0, 1, ...item(0, 0, ...new Array(13).fill(1))))).toBe('bad_payload');
    const empty = item(0, 0);
    expect(decode(0, 4, ...empty, ...empty, ...empty, ...empty)).toHaveLength(4);
    expect(codeOf(() => decode(0, 5, ...[1, 2, 3, 4, 5].flatMap(() => empty)))).toBe('bad_payload');
    expect(codeOf(() => decode(0, 1, ...empty, 0))).toBe('bad_payload');
    expect(codeOf(() => decode(0, 2, ...empty))).toBe('bad_payload');
    expect(codeOf(() => codec.decode([], 'list'))).toBe('bad_payload');
  });

  it('has memory of its own', () => {
    const sent = codec.encode([bytes(1, 2), bytes(1, 3)]) as Uint8Array;
    const items = codec.decode(sent, 'list');
    sent.fill(0);
    expect(items).toStrictEqual([bytes(1, 2), bytes(1, 3)]);
  });
});

describe('records and proofs', () => {
  const accepts = (name: CommandName, payload: object): boolean => {
    const { payload: of } = COMMANDS[name];
    return codeOf(() => of.decode((of.encode as (p: object) => unknown)(payload), '')) === NOTHING;
  };
  const lists = (name: CommandName, records: Uint8Array[], proofs: Uint8Array[]): object => {
    if (name !== 'CH_MSG') return { ...EXAMPLES[name], records, proofs };
    return { ...EXAMPLES[name], each: { records, proofs } };
  };

  it.each([
    ['CH_MSG', RECORDS_PER_BATCH_MAX],
    ['CH_APPEND', TAIL_ENTRIES_MAX],
    ['CH_MERGE', TAIL_ENTRIES_MAX],
  ] as const)('of %s are at most so many, and of so many bytes', (name, most) => {
    const times = (n: number, size: number) =>
      Array.from({ length: n }, () => new Uint8Array(size));
    const record = RECORD_BODY_BYTES_MAX + 512;
    expect(accepts(name, lists(name, times(most, 9), times(most, 9)))).toBe(true);
    expect(accepts(name, lists(name, times(most + 1, 9), []))).toBe(false);
    expect(accepts(name, lists(name, [], times(most + 1, 9)))).toBe(false);
    expect(accepts(name, lists(name, times(2, record), times(2, 1_024)))).toBe(true);
    expect(accepts(name, lists(name, times(2, record + 1), []))).toBe(false);
    expect(accepts(name, lists(name, [], times(2, 1_025)))).toBe(false);
  });
});
