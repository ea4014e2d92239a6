/** Seeded damage for the fuzz tests: bytes that are nearly right, and msgpack that is well formed but odd. */

import { concat, generator } from './wire-helpers.js';

export interface Dice {
  /** From 0 up to `below`. */
  int(below: number): number;
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Uint8Array;
  /** True once in `n`. */
  oneIn(n: number): boolean;
}

export function dice(seed: number): Dice {
  const next = generator(seed);
  const int = (below: number) => Math.floor((next() / 2 ** 32) * below);
  return {
    int,
    pick: (items) => items[int(items.length)]!,
    bytes: (length) => Uint8Array.from({ length }, () => int(256)),
    oneIn: (n) => int(n) === 0,
  };
}

/** Bytes at the borders of msgpack types, of hex, decimal and names, and of integers. */
const TELLING = [
  0x00, 0x01, 0x0a, 0x0d, 0x20, 0x2b, 0x2d, 0x2f, 0x30, 0x31, 0x39, 0x3a, 0x40, 0x41, 0x5a, 0x5b,
  0x5f, 0x60, 0x61, 0x66, 0x67, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6,
  0xc7, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xd6, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0,
  0xff,
];

type Change = (d: Dice, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

const CHANGES: readonly Change[] = [
  // One bit.
  (d, bytes) => {
    const copy = bytes.slice();
    copy[d.int(copy.length)]! ^= 1 << d.int(8);
    return copy;
  },
  // One byte.
  (d, bytes) => {
    const copy = bytes.slice();
    copy[d.int(copy.length)] = d.oneIn(2) ? d.pick(TELLING) : d.int(256);
    return copy;
  },
  // Something inserted.
  (d, bytes) => {
    const at = d.int(bytes.length + 1);
    const extra = d.oneIn(2) ? d.bytes(1 + d.int(8)) : Uint8Array.of(d.pick(TELLING));
    return concat(bytes.subarray(0, at), extra, bytes.subarray(at));
  },
  // Something left out.
  (d, bytes) => {
    const at = d.int(bytes.length);
    return concat(bytes.subarray(0, at), bytes.subarray(at + 1 + d.int(8)));
  },
  // A piece twice.
  (d, bytes) => {
    const at = d.int(bytes.length);
    const end = Math.min(bytes.length, at + 1 + d.int(64));
    return concat(bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end));
  },
  // Cut off.
  (d, bytes) => bytes.slice(0, d.int(bytes.length)),
  // The start of this and the end of another.
  (d, bytes, other) =>
    concat(bytes.subarray(0, d.int(bytes.length)), other.subarray(d.int(other.length))),
];

/** `bytes` with one to four changes; `other` is something to splice with. */
export function mutate(d: Dice, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let changed = bytes;
  for (let i = 1 + d.int(4); i > 0; i--) {
    changed = changed.length === 0 ? d.bytes(1 + d.int(32)) : d.pick(CHANGES)(d, changed, other);
  }
  return changed;
}

/** Any value that a payload may hold, with a liking for the sizes of ids and signatures. */
export function anyValue(d: Dice, depth = 0): unknown {
  switch (d.int(depth < 4 ? 10 : 8)) {
    case 0:
      return null;
    case 1:
      return d.oneIn(2);
    case 2:
      return d.pick([
        0,
        1,
        -1,
        255,
        65_536,
        2 ** 31,
        2 ** 32,
        2 ** 53 - 1,
        2 ** 53,
        2n ** 64n - 1n,
      ]);
    case 3:
      return d.pick([0.5, Number.NaN, Number.POSITIVE_INFINITY, -0]);
    case 4:
      return d.pick(['', 'online', 'roster', '\u0000', 'é'.repeat(40), 'x'.repeat(600), '\ufeff']);
    case 5:
    case 6:
    case 7:
      return d.bytes(d.pick([0, 1, 8, 16, 31, 32, 33, 63, 64, 65, 300]));
    case 8:
      return Array.from({ length: d.int(5) }, () => anyValue(d, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: d.int(5) }, () => [
          d.pick(['id', 'sig', 'a', '__proto__', 'length']),
          anyValue(d, depth + 1),
        ]),
      );
  }
}

/** `value` with one field, somewhere inside, replaced, dropped or added. */
export function mutateValue(d: Dice, value: unknown): unknown {
  const isList = Array.isArray(value);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || d.oneIn(8)) {
    return anyValue(d);
  }
  const copy = (isList ? [...value] : { ...value }) as { [key: string]: unknown };
  const keys = Object.keys(copy);
  if (keys.length === 0 || d.oneIn(8)) copy[isList ? `${keys.length}` : 'new'] = anyValue(d);
  else {
    const key = d.pick(keys);
    if (d.oneIn(6) && !isList) delete copy[key];
    else copy[key] = mutateValue(d, copy[key]);
  }
  return copy;
}
