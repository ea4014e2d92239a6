/** The canonical encoding and ids (docs/PROTOCOL.md, section "Canonical encoding"). */

import fc from 'fast-check';
import { decodeTime } from 'ulid';
import { describe, expect, it } from 'vitest';
import { bytesEqual, decodeWhole, fromUtf8, Reader, utf8, Writer } from '../../src/core/bytes.js';
import {
  channelId,
  hex32,
  type UserId,
  ulidFromBytes,
  ulidToBytes,
  unhex,
  userId,
} from '../../src/core/ids.js';
import * as any from './fixtures/arbitraries.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { refusesOtherLengths } from './fixtures/hostile.js';

/** One value of some type, written and read. */
interface Part {
  readonly value: unknown;
  readonly write: (w: Writer) => unknown;
  readonly read: (r: Reader) => unknown;
}

const part = <T>(
  values: fc.Arbitrary<T>,
  write: (w: Writer, value: T) => unknown,
  read: (r: Reader) => T,
): fc.Arbitrary<Part> =>
  values.map((value) => ({ value, write: (w: Writer) => write(w, value), read }));

const anyPart: fc.Arbitrary<Part> = fc.oneof(
  part(
    fc.nat(0xff),
    (w, v) => w.u8(v),
    (r) => r.u8(),
  ),
  part(
    fc.nat(0xffff),
    (w, v) => w.u16(v),
    (r) => r.u16(),
  ),
  part(
    fc.nat(0xffff_ffff),
    (w, v) => w.u32(v),
    (r) => r.u32(),
  ),
  part(
    any.u64,
    (w, v) => w.u64(v),
    (r) => r.u64(),
  ),
  part(
    any.bytesOf(7),
    (w, v) => w.raw(v),
    (r) => r.raw(7),
  ),
  part(
    any.user,
    (w, v) => w.id(v),
    (r) => r.id(),
  ),
  part(
    any.ulid,
    (w, v) => w.ulid(v),
    (r) => r.ulid(),
  ),
  part(
    fc.uint8Array({ maxLength: 400 }) as fc.Arbitrary<Uint8Array>,
    (w, v) => w.bytes(v),
    (r) => r.bytes(400),
  ),
  part(
    any.text(100),
    (w, v) => w.text(v),
    (r) => r.text(100),
  ),
  part(
    fc.array(fc.nat(0xffff), { maxLength: 20 }),
    (w, v) => w.list(v, (item) => w.u16(item)),
    (r) => r.list(20, () => r.u16()),
  ),
);

const written = (parts: readonly Part[], capacity?: number): Uint8Array => {
  const w = new Writer(capacity);
  for (const p of parts) p.write(w);
  return w.done();
};
const readAll = (parts: readonly Part[], bytes: Uint8Array): unknown[] =>
  decodeWhole(bytes, (r) => parts.map((p) => p.read(r)));

describe('Writer and Reader', () => {
  it('read back what was written, at any capacity and wherever the bytes lie', () => {
    fc.assert(
      fc.property(fc.array(anyPart), fc.nat(64), fc.nat(9), (parts, capacity, offset) => {
        const bytes = written(parts, capacity);
        const within = new Uint8Array(bytes.length + 20).fill(0xff);
        within.set(bytes, offset);
        const view = within.subarray(offset, offset + bytes.length);
        expect(readAll(parts, view)).toStrictEqual(parts.map((p) => p.value));
      }),
    );
  });

  it('refuse every other length of an encoding', () => {
    fc.assert(
      fc.property(fc.array(anyPart, { minLength: 1, maxLength: 4 }), (parts) => {
        refusesOtherLengths(written(parts), (bytes) => readAll(parts, bytes));
      }),
      { numRuns: 30 },
    );
  });

  it('write big-endian integers, lengths of four bytes and counts of two', () => {
    const w = new Writer().u8(1).u16(2).u32(3);
    w.u64(2 ** 32 + 4).text('é');
    w.list([5], (n) => w.u8(n));
    expect([...w.done()]).toStrictEqual([
      ...[1],
      ...[0, 2],
      ...[0, 0, 0, 3],
      ...[0, 0, 0, 1, 0, 0, 0, 4],
      ...[0, 0, 0, 2, 0xc3, 0xa9],
      ...[0, 1, 5],
    ]);
  });

  const NO_UNSIGNED = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY];
  it.each([
    ['u8', 2 ** 8],
    ['u16', 2 ** 16],
    ['u32', 2 ** 32],
    ['u64', 2 ** 53],
  ] as const)('%s writes no number outside its range', (type, above) => {
    for (const value of [...NO_UNSIGNED, above]) {
      expect(
        codeOf(() => new Writer()[type](value)),
        `${value}`,
      ).toBe('bad_encoding');
    }
    expect(new Reader(new Writer()[type](above - 1).done())[type]()).toBe(above - 1);
  });

  it('read no integer above 2^53-1', () => {
    expect(new Reader(unhex('001fffffffffffff')).u64()).toBe(Number.MAX_SAFE_INTEGER);
    expect(codeOf(() => new Reader(unhex('0020000000000000')).u64())).toBe('bad_encoding');
    expect(codeOf(() => new Reader(unhex('ffffffffffffffff')).u64())).toBe('bad_encoding');
  });

  it('write no list of more items than a count can say', () => {
    const items = new Array(65_536).fill(0);
    expect(codeOf(() => new Writer().list(items, () => {}))).toBe('bad_encoding');
  });

  it('name the limit that a byte string, a text or a list is over', () => {
    const five = new Writer().bytes(new Uint8Array(5)).done();
    expect(new Reader(five).bytes(5)).toHaveLength(5);
    expect(errorOf(() => new Reader(five).bytes(4))?.message).toMatch(/5 bytes .* limit of 4/);
    expect(errorOf(() => new Reader(five).text(4))?.message).toMatch(/5 bytes .* limit of 4/);
    const three = new Writer().list([1, 2, 3], () => {}).done();
    expect(new Reader(three).list(3, () => 0)).toHaveLength(3);
    expect(errorOf(() => new Reader(three).list(2, () => 0))?.message).toMatch(/3 .* limit of 2/);
  });

  it('hold nothing for a length that the bytes do not have', () => {
    const claims = new Writer().u32(0xffff_ffff).done();
    expect(codeOf(() => new Reader(claims).bytes(0xffff_ffff))).toBe('bad_encoding');
    const many = new Writer().u16(0xffff).done();
    expect(codeOf(() => new Reader(many).list(0xffff, () => new Reader(many).u64()))).toBe(
      'bad_encoding',
    );
  });
});

describe('texts', () => {
  it('have one encoding each: a byte order mark stays', () => {
    const marked = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61);
    expect(fromUtf8(marked)).toBe('\ufeffa');
    expect(utf8(fromUtf8(marked))).toStrictEqual(marked);
  });

  it.each([
    ['a lone continuation byte', 'ff'],
    ['an overlong slash', 'c0af'],
    ['half a surrogate pair', 'eda080'],
    ['a sequence cut off', 'e282'],
    ['a code point above U+10FFFF', 'f4908080'],
  ])('refuse %s', (_, hex) => {
    expect(codeOf(() => fromUtf8(unhex(hex)))).toBe('bad_encoding');
  });
});

describe('bytesEqual', () => {
  it('compares as Buffer does', () => {
    const few = fc.uint8Array({ maxLength: 3, max: 2 });
    fc.assert(
      fc.property(few, few, (a, b) => {
        expect(bytesEqual(a, b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('ids', () => {
  it('are the hex of their bytes, as Buffer has it', () => {
    fc.assert(
      fc.property(any.bytesOf(32), (bytes) => {
        const id = hex32<UserId>(bytes);
        expect(id).toBe(Buffer.from(bytes).toString('hex'));
        expect(unhex(id)).toStrictEqual(bytes);
        expect(new Writer(0).id(id).done()).toStrictEqual(bytes);
      }),
    );
  });

  it('are 64 lowercase hex digits', () => {
    const good = 'a1'.repeat(32);
    expect([userId(good), channelId(good)]).toStrictEqual([good, good]);
  });

  it.each(['', 'a1'.repeat(31), `${'a1'.repeat(32)}a1`, 'A1'.repeat(32), 'g1'.repeat(32)])(
    'are not "%s"',
    (text) => {
      expect(codeOf(() => userId(text))).toBe('bad_id');
      expect(codeOf(() => channelId(text))).toBe('bad_id');
    },
  );

  it('are not 64 digits with a line feed behind them', () => {
    expect(codeOf(() => userId(`${'a1'.repeat(32)}\n`))).toBe('bad_id');
  });

  it('are refused in a message of bounded length', () => {
    expect(errorOf(() => userId('x'.repeat(1_000_000)))!.message.length).toBeLessThan(200);
    expect(errorOf(() => ulidToBytes('Z'.repeat(1_000_000)))!.message.length).toBeLessThan(200);
  });
});

describe('ULIDs', () => {
  it('are one text for each 16 bytes, in the same order', () => {
    fc.assert(
      fc.property(any.bytesOf(16), any.bytesOf(16), (a, b) => {
        const [x, y] = [ulidFromBytes(a), ulidFromBytes(b)];
        expect(ulidToBytes(x)).toStrictEqual(a);
        expect(Math.sign(Buffer.compare(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0);
      }),
    );
  });

  it('carry their time as the ulid package reads it', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 47 - 1), (time) => {
        const bytes = new Writer().u64(time).done();
        const withTime = new Uint8Array(16);
        withTime.set(bytes.subarray(2));
        expect(decodeTime(ulidFromBytes(withTime))).toBe(time);
      }),
    );
  });

  const good = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  it.each([
    ['too short', good.slice(1)],
    ['too long', `${good}0`],
    ['over 128 bits', `8${good.slice(1)}`],
    ['lowercase', good.toLowerCase()],
    ['with an I', `I${good.slice(1)}`],
    ['with an L', `${good.slice(0, 25)}L`],
    ['with an O', `${good.slice(0, 25)}O`],
    ['with a U', `${good.slice(0, 25)}U`],
    ['with a line feed behind it', `${good}\n`],
    ['empty', ''],
  ])('are not %s', (_, text) => {
    expect(codeOf(() => ulidToBytes(text))).toBe('bad_id');
  });

  it('are the example of the specification', () => {
    expect(ulidFromBytes(ulidToBytes(good))).toBe(good);
  });
});

describe('writers share memory without mixing their bytes', () => {
  const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

  it('when one is at work inside another, one is given up, and one outgrows its capacity', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(700), fc.nat(700), fc.boolean()), { maxLength: 40 }),
        (sizes) => {
          const results = sizes.map(([outer, inner, abandon], i) => {
            const w = new Writer(64).raw(filled(outer, i));
            if (abandon) new Writer(64).raw(filled(inner, 0xff));
            const nested = new Writer(64).raw(filled(inner, 100 + i)).done();
            const first = new Writer(16).raw(filled(outer % 16, i)).hashed((b) => b.slice());
            return { whole: w.bytes(nested).done(), nested, first, outer, inner };
          });
          results.forEach(({ whole, nested, first, outer, inner }, i) => {
            expect(nested).toEqual(filled(inner, 100 + i));
            expect(first).toEqual(filled(outer % 16, i));
            expect(whole.subarray(0, outer)).toEqual(filled(outer, i));
            expect(whole.subarray(outer + 4)).toEqual(nested);
          });
        },
      ),
    );
  });
});

describe('hex32', () => {
  it('is the hex of its bytes, whatever was asked for before', () => {
    const some = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.array(some, { minLength: 1, maxLength: 8 }), fc.nat(31), (ids, at) => {
        const others = ids.map((id) => id.map((byte, i) => (i === at ? byte ^ 1 : byte)));
        for (const id of [...ids, ...others, ...ids]) {
          expect(hex32<UserId>(id)).toBe(Buffer.from(id).toString('hex'));
        }
      }),
    );
  });
});
