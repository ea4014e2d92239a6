/**
 * Payloads as msgpack (docs/PROTOCOL.md, section "Payloads"): what is refused
 * before msgpackr sees it, and that everything else survives the trip.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  PAYLOAD_DEPTH_MAX,
  PAYLOAD_ITEMS_MAX,
  PAYLOAD_KEY_BYTES_MAX,
  PAYLOAD_MAP_KEYS_MAX,
} from '../../src/core/limits.js';
import { pack, unpack } from '../../src/core/msgpack.js';
import { codeOf } from './wire-helpers.js';

const hex = (digits: string) => new Uint8Array(Buffer.from(digits.replaceAll(' ', ''), 'hex'));
const refused = (payload: Uint8Array) => codeOf(() => unpack(payload));
/** A map with the one key "a" and this value. */
const inMap = (value: string) => hex(`81 a161 ${value}`);

const key = fc.stringMatching(/^[a-z_]{0,32}$/).filter((text) => text !== '__proto__');

describe('pack and unpack', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: PAYLOAD_DEPTH_MAX - 2 },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      // msgpackr writes -0 as 0; no schema takes either float.
      fc.double({ noNaN: true }).map((n) => n + 0),
      fc.string({ unit: 'grapheme', maxLength: 100 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('any'), { maxLength: 20 }),
      tie('map'),
    ),
    map: fc.dictionary(key, tie('any'), {
      maxKeys: 20,
      noNullPrototype: true,
    }),
  })).map;

  it('give back what went in', () => {
    fc.assert(
      fc.property(value, (map) => {
        expect(unpack(pack(map as object))).toStrictEqual(map);
      }),
    );
  });

  it.each([3, 60, 63, 64, 65, 66, 67, 252, 255, 256, 65_534, 65_535, 65_536])(
    'keep the byte order mark that begins a text of %i bytes',
    (bytes) => {
      const text = `\ufeff${'x'.repeat(bytes - 3)}`;
      const map = { a: text, b: [text, { c: `\ufeff${text}` }], d: new Uint8Array(9) };
      expect(unpack(pack(map))).toStrictEqual(map);
    },
  );

  it('give byte strings as plain views of the payload', () => {
    const payload = Buffer.from(pack({ a: new Uint8Array(100) }));
    const bytes = unpack(payload).a as Uint8Array;
    expect(bytes.constructor).toBe(Uint8Array);
    expect(bytes.buffer).toBe(payload.buffer);
  });

  it('give a plain Uint8Array for what is packed', () => {
    expect(pack({ a: 1 }).constructor).toBe(Uint8Array);
  });

  it('leave no trace on the bytes', () => {
    const payload = pack({ a: 1 });
    unpack(payload);
    expect(Object.keys(payload)).toStrictEqual(Object.keys(new Uint8Array(payload.length)));
  });

  it('keep what they gave when they are called again', () => {
    const first = pack({ a: 'first' });
    for (let i = 0; i < 1_000; i++) pack({ a: 'x'.repeat(i) });
    expect(unpack(first)).toStrictEqual({ a: 'first' });
  });
});

describe('what is refused', () => {
  const bad: [string, Uint8Array][] = [
    ['nothing', hex('')],
    ['nil', hex('c0')],
    ['a list', hex('90')],
    ['a text', hex('a161')],
    ['bytes after the end', hex('80 80')],
    ['a map without its value', hex('81 a161')],
    ['a map without its key', hex('81')],
    ['the head that no type has', inMap('c1')],
    ['a timestamp', inMap('d6ff 00000000')],
    ['a record definition (msgpackr)', hex('d4 72 40 91 a161 01')],
    ['a record definition inside a map', inMap('d4 72 40 91 a161 01')],
    ['a reference that makes a cycle (msgpackr)', inMap('d6 69 00000001 91 d6 70 00000001')],
    ['a regular expression (msgpackr)', inMap('d4 78 00 92 a161 a0')],
    ['an error (msgpackr)', inMap('d4 65 00 93 a5 4572726f72 a161 c0')],
    ['a set (msgpackr)', inMap('d4 73 00 91 01')],
    ['bundled strings (msgpackr)', inMap('d6 62 00000006 01 a0 a0')],
    ['undefined (msgpackr)', inMap('d4 00 00')],
    ['ext 8', inMap('c7 00 05')],
    ['ext 16', inMap('c8 0000 05')],
    ['ext 32', inMap('c9 00000000 05')],
    ['fixext 2', inMap('d5 05 0000')],
    ['fixext 8', inMap('d7 05 0000000000000000')],
    ['fixext 16', inMap('d8 05 00000000000000000000000000000000')],
    ['a key that is a number', hex('81 01 01')],
    ['a key that is nil', hex('81 c0 01')],
    ['a key that is bytes', hex('81 c401 61 01')],
    ['a key that is a list', hex('81 91 a161 01')],
    ['a key twice', hex('82 a161 01 a161 02')],
    ['a key twice, in two encodings', hex('82 a161 01 d901 61 02')],
    ['a key twice, deeper', inMap('82 a162 01 a162 01')],
    ['the key "__proto__"', hex('81 a95f5f70726f746f5f5f 01')],
    ['a text that is not UTF-8', inMap('a1ff')],
    ['a text with an overlong encoding', inMap('a2c080')],
    ['a text with a surrogate', inMap('a3eda080')],
    ['a text that ends in the middle of a character', inMap('a2e282')],
    ['a key that is not UTF-8', hex('81 a1ff 01')],
    ['a byte string that is longer than the rest', inMap('c6 ffffffff 00')],
    ['a text that is longer than the rest', inMap('db ffffffff 61')],
    ['a list that is longer than the rest', inMap('dd ffffffff 01')],
    ['a map that is longer than the rest', inMap('df 00000005')],
    ['a map of 2^32-1', hex('df ffffffff')],
    ['an integer that is cut off', inMap('cf 00000000')],
  ];

  it.each(bad)('%s', (_, payload) => {
    expect(refused(payload)).toBe('bad_payload');
  });

  it('a key that is too long, and a map of too many keys', () => {
    const keyOf = (bytes: number) => pack({ ['k'.repeat(bytes)]: 1 });
    const mapOf = (keys: number) =>
      pack(Object.fromEntries(Array.from({ length: keys }, (_, i) => [`k${i}`, i])));
    expect(refused(keyOf(PAYLOAD_KEY_BYTES_MAX))).toBe('nothing thrown');
    expect(refused(keyOf(PAYLOAD_KEY_BYTES_MAX + 1))).toBe('bad_payload');
    expect(refused(mapOf(PAYLOAD_MAP_KEYS_MAX))).toBe('nothing thrown');
    expect(refused(mapOf(PAYLOAD_MAP_KEYS_MAX + 1))).toBe('bad_payload');
  });

  it('too many levels, however many there are', () => {
    const nested = (levels: number, open: string, end: string) =>
      inMap(open.repeat(levels - 1) + end);
    expect(refused(nested(PAYLOAD_DEPTH_MAX, '91', '01'))).toBe('nothing thrown');
    expect(refused(nested(PAYLOAD_DEPTH_MAX + 1, '91', '01'))).toBe('bad_payload');
    expect(refused(nested(PAYLOAD_DEPTH_MAX + 1, '81a161', '01'))).toBe('bad_payload');
    expect(refused(nested(300_000, '91', '01'))).toBe('bad_payload');
    expect(refused(nested(300_000, '81a161', '01'))).toBe('bad_payload');
  });

  it('too many items, so that a frame of a megabyte stays a few in memory', () => {
    const listOf = (items: number) => {
      const head = Buffer.from(inMap('dd00000000'));
      head.writeUInt32BE(items, head.length - 4);
      return new Uint8Array(Buffer.concat([head, Buffer.alloc(items, 0x80)]));
    };
    // The map, its key and the list count as well.
    expect(refused(listOf(PAYLOAD_ITEMS_MAX - 3))).toBe('nothing thrown');
    expect(refused(listOf(PAYLOAD_ITEMS_MAX - 2))).toBe('bad_payload');
  });

  it('is refused without harm to the next payload', () => {
    for (const [, payload] of bad) {
      refused(payload);
      expect(unpack(hex('81 a161 01'))).toStrictEqual({ a: 1 });
    }
  });
});

describe('the key "__proto__"', () => {
  const name = '5f5f70726f746f5f5f';

  it.each([
    ['at the top', hex(`81 a9${name} 81 a161 01`)],
    ['in a map in a list', inMap(`91 81 a9${name} 81 a161 01`)],
    ['with a longer head', hex(`81 d909${name} 81 a161 01`)],
  ])('%s is refused and changes no prototype', (_, payload) => {
    expect(refused(payload)).toBe('bad_payload');
    expect('a' in {}).toBe(false);
  });

  it('differs from those that are only near it', () => {
    expect(unpack(hex('81 aa5f5f70726f746f5f5f5f 01'))).toStrictEqual({ __proto___: 1 });
    expect(unpack(inMap(`a9${name}`))).toStrictEqual({ a: '__proto__' });
  });
});
