/**
 * Lists of byte strings that are much alike, on the wire as one byte string
 * (docs/PROTOCOL.md, section "Commands"): of each item how many of its first
 * and last bytes are those of the item before it, and what is between.
 *
 *     alike = count u16 · items of (first u16 · last u16 · between bytes)
 *
 * Records of one author begin alike, and proofs of one batch share most of
 * their path and the signature. `first` and `last` are bounded, so that a
 * frame cannot ask for many times the memory that it has itself.
 */

import { Reader, Writer } from './bytes.js';
import { ConclaveError } from './errors.js';
import { type Codec, refuse } from './schema.js';

export interface AlikeLimits {
  readonly items: number;
  readonly itemBytes: number;
  /** How many first and last bytes an item may share. */
  readonly first: number;
  readonly last: number;
}

function bad(): never {
  throw new ConclaveError('bad_encoding', 'an item that shares more than it may, or is too long');
}

const NOTHING: Uint8Array = new Uint8Array(0);
const ITEM_HEAD_BYTES = 8;

export const alike = (limits: AlikeLimits): Codec<Uint8Array[]> => ({
  decode: (value, at) => {
    if (!(value instanceof Uint8Array)) return refuse(at, 'a byte string of alike items');
    try {
      return decodeAlike(value, limits);
    } catch {
      return refuse(at, `at most ${limits.items} alike items of at most ${limits.itemBytes} bytes`);
    }
  },
  encode: (items) => encodeAlike(items, limits),
});

function sharedFirst(a: Uint8Array, b: Uint8Array, max: number): number {
  const most = Math.min(a.length, b.length, max);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared += 1;
  return shared;
}

function sharedLast(a: Uint8Array, b: Uint8Array, max: number): number {
  const most = Math.min(a.length, b.length, max);
  let shared = 0;
  while (shared < most && a[a.length - 1 - shared] === b[b.length - 1 - shared]) shared += 1;
  return shared;
}

function encodeAlike(items: readonly Uint8Array[], limits: AlikeLimits): Uint8Array {
  const size = items.reduce((sum, { length }) => sum + ITEM_HEAD_BYTES + length, 2);
  const w = new Writer(size).u16(items.length);
  let before = NOTHING;
  for (const item of items) {
    const first = sharedFirst(before, item, limits.first);
    const rest = Math.min(before.length, item.length) - first;
    const last = sharedLast(before, item, Math.min(rest, limits.last));
    w.u16(first)
      .u16(last)
      .bytes(item.subarray(first, item.length - last));
    before = item;
  }
  return w.done();
}

/** The items are views of one buffer, which is theirs alone. Throws `bad_encoding`. */
function decodeAlike(bytes: Uint8Array, limits: AlikeLimits): Uint8Array[] {
  const out = new Uint8Array(decodedBytes(bytes, limits));
  const r = new Reader(bytes);
  let before = 0;
  let start = 0;
  return r.list(limits.items, () => {
    const first = r.u16();
    const last = r.u16();
    const between = r.bytes(limits.itemBytes);
    const lastAt = start + first + between.length;
    out.copyWithin(start, before, before + first);
    out.set(between, start + first);
    out.copyWithin(lastAt, start - last, start);
    before = start;
    start = lastAt + last;
    return out.subarray(before, start);
  });
}

/** How many bytes the items have together; each is checked. */
function decodedBytes(bytes: Uint8Array, limits: AlikeLimits): number {
  const r = new Reader(bytes);
  let sum = 0;
  let before = 0;
  r.list(limits.items, () => {
    const first = r.u16();
    const last = r.u16();
    if (first > limits.first || last > limits.last || first + last > before) bad();
    before = first + last + r.bytes(limits.itemBytes).length;
    if (before > limits.itemBytes) bad();
    sum += before;
  });
  r.end();
  return sum;
}
