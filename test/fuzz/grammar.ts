/**
 * The canonical encoding (docs/PROTOCOL.md, section "Canonical encoding") as
 * data: a shape says what the bytes of a value are. From a shape come values
 * that are valid, values that are nearly so (mutations.ts), and a second, slow
 * reader, which knows nothing of src/core and says what a decoder must accept.
 */

import { Buffer, isUtf8 } from 'node:buffer';
import type { Dice } from './dice.js';

export type Shape =
  | {
      readonly is: 'int';
      readonly bytes: 1 | 2 | 4 | 8;
      readonly min: number;
      readonly max: number;
    }
  | { readonly is: 'raw'; readonly bytes: number }
  | { readonly is: 'bytes'; readonly max: number; readonly of?: Shape }
  | { readonly is: 'text'; readonly max: number; readonly from: (d: Dice) => string }
  | { readonly is: 'list'; readonly max: number; readonly of: Shape }
  | { readonly is: 'row'; readonly parts: readonly Shape[] }
  /** A flag, and behind it the value where it is 1. */
  | { readonly is: 'maybe'; readonly of: Shape }
  /** One of several, none of which the bytes of another fit. */
  | { readonly is: 'either'; readonly of: readonly Shape[] }
  /** What is true of a value beyond its form. */
  | { readonly is: 'such'; readonly of: Shape; readonly that: (tree: Tree) => boolean };

/** A value. Lengths, counts and flags are its own, so that they can lie. */
export interface Tree {
  readonly shape: Shape;
  /** `raw`, the content of `bytes` and `text` without structure, and integers. */
  bytes: Uint8Array;
  /** The parts of a `row`, the items of a `list`, the one part of the others. */
  parts: Tree[];
  /** Length, count or flag to write instead of the true one. */
  lie?: number;
}

const NOTHING = new Uint8Array(0);
const SAFE = 2n ** 53n - 1n;

export const int = (bytes: 1 | 2 | 4 | 8, max?: number, min = 0): Shape => ({
  is: 'int',
  bytes,
  min,
  max: max ?? (bytes === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * bytes) - 1),
});
export const u8 = (max?: number, min = 0): Shape => int(1, max, min);
export const u16 = (max?: number, min = 0): Shape => int(2, max, min);
export const u32 = int(4);
export const u64 = int(8);
export const raw = (bytes: number): Shape => ({ is: 'raw', bytes });
export const bytes = (max: number, of?: Shape): Shape =>
  of ? { is: 'bytes', max, of } : { is: 'bytes', max };
const someText = (d: Dice): string =>
  d.pick(['', 'a', 'zoë', '\ufeffbom', '\0', 'x'.repeat(d.int(70)), '😀', 'conclave/join']);
export const text = (max: number, from: (d: Dice) => string = someText): Shape => ({
  is: 'text',
  max,
  from,
});
export const list = (max: number, of: Shape): Shape => ({ is: 'list', max, of });
export const row = (...parts: readonly Shape[]): Shape => ({ is: 'row', parts });
export const maybe = (of: Shape): Shape => ({ is: 'maybe', of });
export const either = (...of: readonly Shape[]): Shape => ({ is: 'either', of });
export const such = (of: Shape, that: (tree: Tree) => boolean): Shape => ({ is: 'such', of, that });
/** A text that must be this one. */
export const tag = (name: string): Shape =>
  such(
    text(32, () => name),
    (tree) => textOf(tree.parts[0]!) === name,
  );

export const textOf = (tree: Tree): string => Buffer.from(tree.bytes).toString('utf8');
export const intOf = (tree: Tree): number => Number(bigOf(tree.bytes));
const bigOf = (b: Uint8Array): bigint => BigInt(`0x${Buffer.from(b).toString('hex')}`);

export function intBytes(value: bigint, length: number): Uint8Array {
  const digits = value.toString(16).padStart(2 * length, '0');
  return new Uint8Array(Buffer.from(digits.slice(-2 * length), 'hex'));
}

/** The bytes of a tree, lies and all. */
export function write(tree: Tree): Uint8Array {
  const parts: Uint8Array[] = [];
  writeTo(parts, tree);
  return new Uint8Array(Buffer.concat(parts));
}

function writeTo(out: Uint8Array[], tree: Tree): void {
  const { shape, parts, lie } = tree;
  switch (shape.is) {
    case 'int':
    case 'raw':
      out.push(tree.bytes);
      return;
    case 'bytes':
    case 'text': {
      const [of] = parts;
      const content = of ? write(of) : tree.bytes;
      out.push(intBytes(BigInt(lie ?? content.length), 4), content);
      return;
    }
    case 'list':
      out.push(intBytes(BigInt(lie ?? parts.length), 2));
      break;
    case 'maybe':
      out.push(Uint8Array.of(lie ?? parts.length));
      break;
    case 'row':
    case 'either':
    case 'such':
  }
  for (const part of parts) writeTo(out, part);
}

/** Thrown by the slow reader, whose callers ask only whether. */
const REFUSED = new Error('refused');

interface At {
  readonly bytes: Uint8Array;
  at: number;
}

function take(from: At, length: number): Uint8Array {
  if (from.at + length > from.bytes.length) throw REFUSED;
  const found = from.bytes.slice(from.at, from.at + length);
  from.at += length;
  return found;
}

/** The value that these bytes are, if they are one of this shape, whole. */
export function parse(shape: Shape, input: Uint8Array): Tree | undefined {
  try {
    const from = { bytes: input, at: 0 };
    const tree = read(shape, from);
    return from.at === input.length ? tree : undefined;
  } catch (error) {
    if (error === REFUSED) return undefined;
    throw error;
  }
}

function read(shape: Shape, from: At): Tree {
  const tree = (b: Uint8Array, parts: Tree[] = []): Tree => ({ shape, bytes: b, parts });
  switch (shape.is) {
    case 'int': {
      const b = take(from, shape.bytes);
      const value = bigOf(b);
      if (value > SAFE || value > BigInt(shape.max) || value < BigInt(shape.min)) throw REFUSED;
      return tree(b);
    }
    case 'raw':
      return tree(take(from, shape.bytes));
    case 'bytes':
    case 'text': {
      const length = Number(bigOf(take(from, 4)));
      if (length > shape.max) throw REFUSED;
      const content = take(from, length);
      if (shape.is === 'text') {
        if (!isUtf8(content)) throw REFUSED;
        return tree(content);
      }
      if (!shape.of) return tree(content);
      const inner = parse(shape.of, content);
      if (!inner) throw REFUSED;
      return tree(NOTHING, [inner]);
    }
    case 'list': {
      const count = Number(bigOf(take(from, 2)));
      if (count > shape.max) throw REFUSED;
      const items: Tree[] = [];
      for (let i = 0; i < count; i++) items.push(read(shape.of, from));
      return tree(NOTHING, items);
    }
    case 'row':
      return tree(
        NOTHING,
        shape.parts.map((part) => read(part, from)),
      );
    case 'maybe': {
      const [flag] = take(from, 1);
      if (flag! > 1) throw REFUSED;
      return tree(NOTHING, flag ? [read(shape.of, from)] : []);
    }
    case 'either':
      return tree(NOTHING, [readEither(shape.of, from)]);
    case 'such': {
      const inner = tree(NOTHING, [read(shape.of, from)]);
      if (!shape.that(inner)) throw REFUSED;
      return inner;
    }
  }
}

function readEither(of: readonly Shape[], from: At): Tree {
  const start = from.at;
  for (const shape of of) {
    from.at = start;
    try {
      return read(shape, from);
    } catch (error) {
      if (error !== REFUSED) throw error;
    }
  }
  throw REFUSED;
}

const ITEMS_USUAL = 4;

/** A value of this shape; what `such` asks for beyond the form is left to its generator. */
export function generate(d: Dice, shape: Shape): Tree {
  const tree = (b: Uint8Array, parts: Tree[] = []): Tree => ({ shape, bytes: b, parts });
  switch (shape.is) {
    case 'int':
      return tree(intBytes(someInt(d, shape.min, shape.max), shape.bytes));
    case 'raw':
      return tree(someRaw(d, shape.bytes));
    case 'bytes':
      if (shape.of) return tree(NOTHING, [generate(d, shape.of)]);
      return tree(d.bytes(Math.min(shape.max, d.int(d.oneIn(8) ? 300 : 40))));
    case 'text':
      return tree(new Uint8Array(Buffer.from(shape.from(d)).subarray(0, shape.max)));
    case 'list': {
      const count = Math.min(shape.max, d.int(d.oneIn(16) ? 20 : ITEMS_USUAL));
      return tree(
        NOTHING,
        Array.from({ length: count }, () => generate(d, shape.of)),
      );
    }
    case 'row':
      return tree(
        NOTHING,
        shape.parts.map((part) => generate(d, part)),
      );
    case 'maybe':
      return tree(NOTHING, d.oneIn(2) ? [generate(d, shape.of)] : []);
    case 'either':
      return tree(NOTHING, [generate(d, d.pick(shape.of))]);
    case 'such':
      return tree(NOTHING, [generate(d, shape.of)]);
  }
}

const someInt = (d: Dice, min: number, max: number): bigint =>
  d.pick([
    () => BigInt(min),
    () => BigInt(max),
    () => BigInt(min + d.int(Math.min(max - min, 10) + 1)),
    () => BigInt(min + d.int(max - min + 1)),
    () => BigInt(Math.min(max, d.pick([1, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32]))),
  ])();

/** Few values for the many ids, so that some are equal. */
const someRaw = (d: Dice, length: number): Uint8Array =>
  d.oneIn(4) ? new Uint8Array(length).fill(d.int(4)) : d.bytes(length);
