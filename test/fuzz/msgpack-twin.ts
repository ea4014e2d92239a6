/**
 * Payloads (docs/PROTOCOL.md, section "Payloads") a second time: a slow reader
 * after the msgpack specification, and a writer that chooses among the widths
 * that msgpack allows and lies now and then.
 */

import { Buffer, isUtf8 } from 'node:buffer';
import type { Dice } from './dice.js';
import { intBytes } from './grammar.js';

const DEPTH = 8;
const ITEMS = 131_072;
const KEYS = 32;
const KEY_BYTES = 32;

const REFUSED = new Error('refused');
const refuse = (): never => {
  throw REFUSED;
};

interface At {
  readonly bytes: Buffer;
  at: number;
  items: number;
}

function take(from: At, length: number): Buffer {
  if (from.at + length > from.bytes.length) refuse();
  from.at += length;
  return from.bytes.subarray(from.at - length, from.at);
}

/** The map that these bytes are; undefined where they must be refused. */
export function readPayload(bytes: Uint8Array): object | undefined {
  const from = { bytes: Buffer.from(bytes), at: 0, items: 0 };
  try {
    const value = readValue(from, 1);
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isMap || value instanceof Uint8Array || from.at !== bytes.length) return undefined;
    return value;
  } catch (error) {
    if (error === REFUSED) return undefined;
    throw error;
  }
}

function readValue(from: At, depth: number): unknown {
  from.items += 1;
  if (from.items > ITEMS) refuse();
  const head = take(from, 1)[0]!;
  if (head <= 0x7f) return head;
  if (head >= 0xe0) return head - 256;
  if (head <= 0x8f) return readMap(from, head - 0x80, depth);
  if (head <= 0x9f) return readList(from, head - 0x90, depth);
  if (head <= 0xbf) return readText(from, head - 0xa0);
  const size = (bytes: number): number => Number(`0x${take(from, bytes).toString('hex')}`);
  switch (head) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return new Uint8Array(take(from, size(1)));
    case 0xc5:
      return new Uint8Array(take(from, size(2)));
    case 0xc6:
      return new Uint8Array(take(from, size(4)));
    case 0xca:
      return take(from, 4).readFloatBE();
    case 0xcb:
      return take(from, 8).readDoubleBE();
    case 0xcc:
      return size(1);
    case 0xcd:
      return size(2);
    case 0xce:
      return size(4);
    case 0xcf:
      return take(from, 8).readBigUInt64BE();
    case 0xd0:
      return take(from, 1).readInt8();
    case 0xd1:
      return take(from, 2).readInt16BE();
    case 0xd2:
      return take(from, 4).readInt32BE();
    case 0xd3:
      return take(from, 8).readBigInt64BE();
    case 0xd9:
      return readText(from, size(1));
    case 0xda:
      return readText(from, size(2));
    case 0xdb:
      return readText(from, size(4));
    case 0xdc:
      return readList(from, size(2), depth);
    case 0xdd:
      return readList(from, size(4), depth);
    case 0xde:
      return readMap(from, size(2), depth);
    case 0xdf:
      return readMap(from, size(4), depth);
    default:
      return refuse();
  }
}

function readText(from: At, length: number): string {
  const bytes = take(from, length);
  if (!isUtf8(bytes)) refuse();
  return bytes.toString('utf8');
}

function readList(from: At, count: number, depth: number): unknown[] {
  if (depth > DEPTH) refuse();
  const items: unknown[] = [];
  for (let i = 0; i < count; i++) items.push(readValue(from, depth + 1));
  return items;
}

function readMap(from: At, count: number, depth: number): object {
  if (depth > DEPTH || count > KEYS) refuse();
  const map: { [key: string]: unknown } = {};
  for (let i = 0; i < count; i++) {
    from.items += 1;
    const head = take(from, 1)[0]!;
    if ((head < 0xa0 || head > 0xbf) && head !== 0xd9) refuse();
    const length = head === 0xd9 ? take(from, 1)[0]! : head - 0xa0;
    if (length > KEY_BYTES) refuse();
    const key = readText(from, length);
    if (key === '__proto__' || Object.hasOwn(map, key)) refuse();
    map[key] = readValue(from, depth + 1);
  }
  return map;
}

const ALLOWED_HEADS_ELSEWHERE = [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8];

/** How often a writer lies: once in so many values. */
export interface Lies {
  readonly oneIn: number;
}

/** A value as msgpack, in one of the widths that fit. */
export function writeValue(d: Dice, value: unknown, lies: Lies): Uint8Array {
  const out: Uint8Array[] = [];
  put(d, value, lies, out);
  return new Uint8Array(Buffer.concat(out));
}

const WIDTHS = [1, 2, 4] as const;

function head(
  d: Dice,
  size: number,
  heads: readonly number[],
  short?: number,
  most = 0,
): Uint8Array {
  if (short !== undefined && size <= most && !d.oneIn(6)) return Uint8Array.of(short + size);
  const fitting = heads.map((code, i) => ({ code, width: WIDTHS[i + 3 - heads.length]! }));
  const { code, width } = d.pick(fitting.filter((f) => size < 256 ** f.width));
  return Buffer.concat([Uint8Array.of(code), intBytes(BigInt(size), width)]);
}

function put(d: Dice, value: unknown, lies: Lies, out: Uint8Array[]): void {
  if (lies.oneIn > 0 && d.oneIn(lies.oneIn)) return lie(d, value, lies, out);
  if (value === null || value === undefined) out.push(Uint8Array.of(0xc0));
  else if (typeof value === 'boolean') out.push(Uint8Array.of(value ? 0xc3 : 0xc2));
  else if (typeof value === 'number' && !Number.isInteger(value)) out.push(float(value));
  else if (typeof value === 'number' || typeof value === 'bigint') out.push(integer(d, value));
  else if (typeof value === 'string') {
    const bytes = Buffer.from(value.toWellFormed());
    out.push(head(d, bytes.length, [0xd9, 0xda, 0xdb], 0xa0, 31), bytes);
  } else if (value instanceof Uint8Array) {
    out.push(head(d, value.length, [0xc4, 0xc5, 0xc6]), value);
  } else if (Array.isArray(value)) {
    out.push(head(d, value.length, [0xdc, 0xdd], 0x90, 15));
    for (const item of value) put(d, item, lies, out);
  } else {
    const entries = Object.entries(value as object);
    out.push(head(d, entries.length, [0xde, 0xdf], 0x80, 15));
    for (const [key, item] of entries) {
      const bytes = Buffer.from(key.toWellFormed());
      const short = bytes.length < 32 && !d.oneIn(10);
      out.push(
        short ? Uint8Array.of(0xa0 + bytes.length) : head(d, bytes.length, [0xd9, 0xda, 0xdb]),
      );
      out.push(bytes);
      put(d, item, lies, out);
    }
  }
}

function float(value: number): Uint8Array {
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xcb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function integer(d: Dice, value: number | bigint): Uint8Array {
  const n = BigInt.asIntN(65, BigInt(value));
  if (d.oneIn(12)) return float(Number(n));
  if (n >= 0n) {
    if (n < 128n && !d.oneIn(6)) return Uint8Array.of(Number(n));
    const widths = [1, 2, 4, 8].filter((w) => n < 256n ** BigInt(w));
    const width = d.oneIn(3) ? d.pick(widths) : widths[0]!;
    return Buffer.concat([Uint8Array.of(0xcc + Math.log2(width)), intBytes(n, width)]);
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xd3;
  bytes.writeBigInt64BE(BigInt.asIntN(64, n), 1);
  return bytes;
}

const NESTED_MAX = 12;

/** Something else in the place of `value`. */
function lie(d: Dice, value: unknown, lies: Lies, out: Uint8Array[]): void {
  const rest = { oneIn: lies.oneIn * 2 };
  switch (d.int(9)) {
    case 0:
      out.push(Uint8Array.of(d.pick(ALLOWED_HEADS_ELSEWHERE)), d.bytes(d.int(18)));
      return;
    case 1: {
      const depth = d.int(NESTED_MAX);
      for (let i = 0; i < depth; i++) out.push(Uint8Array.of(d.pick([0x91, 0x91, 0xdc])));
      return put(d, value, rest, out);
    }
    case 2:
      out.push(
        Buffer.concat([Uint8Array.of(d.pick([0xdd, 0xdf, 0xdb, 0xc6])), intBytes(0xffff_ffffn, 4)]),
      );
      return;
    case 3: {
      const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
      const [twice = ['a', 1]] = entries;
      const names = d.pick([
        [twice, twice],
        [...entries, ['__proto__', { x: 1 }]],
        [...entries, twice],
      ]);
      out.push(head(d, names.length, [0xde, 0xdf], 0x80, 15));
      for (const [key, item] of names as [string, unknown][]) {
        put(d, key, { oneIn: 0 }, out);
        put(d, item, rest, out);
      }
      return;
    }
    case 4: {
      const count = d.pick([32, 33]);
      out.push(head(d, count, [0xde, 0xdf]));
      for (let i = 0; i < count; i++)
        out.push(Buffer.from([0xa2, 0x61 + (i >> 4), 0x61 + (i & 15), i]));
      return;
    }
    case 5:
      out.push(Buffer.concat([Uint8Array.of(0xa3), d.pick(BAD_TEXTS)]));
      return;
    case 6: {
      const count = d.int(40);
      out.push(head(d, count, [0xdc, 0xdd], 0x90, 15));
      for (let i = 0; i < count; i++) put(d, value, { oneIn: 0 }, out);
      return;
    }
    case 7:
      out.push(Buffer.concat([Uint8Array.of(0xca), d.bytes(4)]));
      return;
    default: {
      const long = 'k'.repeat(d.pick([31, 32, 33]));
      out.push(Uint8Array.of(0x81), Uint8Array.of(0xd9, long.length), Buffer.from(long));
      return put(d, value, rest, out);
    }
  }
}

const BAD_TEXTS = [
  [0xed, 0xa0, 0x80],
  [0xc0, 0x80, 0x61],
  [0xe2, 0x82, 0x61],
  [0xef, 0xbb, 0xbf],
].map((b) => Uint8Array.from(b));
