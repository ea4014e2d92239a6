/**
 * Damage that knows the structure of what it damages: integers at their
 * borders, lengths, counts and flags that lie, items gone, doubled or moved,
 * parts of another value in the place of this one's; and then some that knows
 * nothing (test/unit/mutate.ts), behind it.
 */

import { mutate } from '../unit/mutate.js';
import type { Dice } from './dice.js';
import { generate, intBytes, parse, type Shape, type Tree, write } from './grammar.js';

const copyOf = (tree: Tree): Tree => ({ ...tree, parts: tree.parts.map(copyOf) });

function nodesOf(tree: Tree, into: Tree[] = []): Tree[] {
  into.push(tree);
  for (const part of tree.parts) nodesOf(part, into);
  return into;
}

const U64_EDGES = [0n, 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
/** As much as a small limit plus one takes; larger ones are left to the count that lies. */
const ITEMS_MADE_MAX = 300;

function changeInt(d: Dice, tree: Tree, bytes: number, max: number): void {
  const edges = [0n, 1n, BigInt(max), BigInt(max) + 1n, ...U64_EDGES, BigInt(d.int(2 ** 32))];
  tree.bytes = intBytes(d.pick(edges) & (2n ** BigInt(8 * bytes) - 1n), bytes);
}

function changeContent(d: Dice, tree: Tree, max: number): void {
  const over = max < 2_000 ? max + d.int(2) : d.int(2_000);
  switch (d.int(6)) {
    case 0:
      tree.lie = d.pick([
        0,
        tree.bytes.length + 1,
        Math.max(0, tree.bytes.length - 1),
        max,
        max + 1,
      ]);
      break;
    case 1:
      tree.lie = d.pick([2 ** 16, 2 ** 31, 2 ** 32 - 1, 0xff00_0000]);
      break;
    case 2:
      tree.bytes = new Uint8Array(over).fill(d.pick([0x61, 0, 0xff, 0xc3]));
      break;
    case 3:
      tree.bytes = d.pick(BAD_UTF8);
      break;
    case 4:
      tree.bytes = d.bytes(d.int(40));
      break;
    default:
      tree.bytes = mutate(d, tree.bytes, tree.bytes);
  }
}

/** Overlong, a surrogate, beyond the last, cut short; and a byte order mark, which is good. */
const BAD_UTF8 = [
  [0xc0, 0x80],
  [0xe0, 0x80, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
  [0xef, 0xbb, 0xbf],
].map((b) => Uint8Array.from(b));

function changeItems(d: Dice, tree: Tree, shape: Shape & { is: 'list' }): void {
  const { parts } = tree;
  switch (d.int(7)) {
    case 0:
      tree.lie = d.pick([0, parts.length + 1, Math.max(0, parts.length - 1)]);
      break;
    case 1:
      tree.lie = d.pick([shape.max, Math.min(65_535, shape.max + 1), 65_535]);
      break;
    case 2:
      parts.splice(d.int(parts.length + 1), 1);
      break;
    case 3:
      if (parts.length > 0) parts.splice(d.int(parts.length), 0, copyOf(d.pick(parts)));
      break;
    case 4:
      parts.reverse();
      break;
    case 5:
      parts.push(generate(d, shape.of));
      break;
    default: {
      const item = parts[0] ?? generate(d, shape.of);
      const most = Math.min(shape.max + d.int(2), ITEMS_MADE_MAX);
      while (parts.length < most) parts.push(item);
    }
  }
}

function change(d: Dice, tree: Tree, other: readonly Tree[]): void {
  const { shape } = tree;
  if (d.oneIn(6)) {
    const donors = other.filter((node) => node.shape === shape);
    const donor = donors.length > 0 ? d.pick(donors) : d.pick(other);
    tree.bytes = donor.bytes;
    tree.parts = donor.parts.map(copyOf);
    return;
  }
  switch (shape.is) {
    case 'int':
      return changeInt(d, tree, shape.bytes, shape.max);
    case 'raw':
      tree.bytes = d.pick([
        () => d.bytes(shape.bytes),
        () => new Uint8Array(shape.bytes).fill(d.pick([0, 1, 255])),
        () => mutate(d, tree.bytes, tree.bytes),
      ])();
      return;
    case 'bytes':
    case 'text': {
      const [of] = tree.parts;
      if (!of) return changeContent(d, tree, shape.max);
      if (d.oneIn(2)) tree.lie = d.pick([0, shape.max, shape.max + 1, 2 ** 32 - 1]);
      else change(d, of, other);
      return;
    }
    case 'list':
      return changeItems(d, tree, shape);
    case 'maybe':
      if (d.oneIn(2)) tree.lie = d.pick([0, 1, 2, 255]);
      else tree.parts = tree.parts.length > 0 ? [] : [generate(d, shape.of)];
      return;
    case 'row':
      if (d.oneIn(2)) tree.parts.splice(d.int(tree.parts.length + 1), 1);
      else tree.parts.reverse();
      return;
    case 'either':
    case 'such':
      if (tree.parts[0]) change(d, tree.parts[0], other);
  }
}

/** A valid value of this shape: one that was seen, or a new one. */
export function someTree(d: Dice, shape: Shape, seen: readonly Uint8Array[]): Tree {
  const tree = seen.length > 0 && d.oneIn(3) ? parse(shape, d.pick(seen)) : undefined;
  return tree ?? generate(d, shape);
}

/** The bytes of a value of this shape, valid or damaged. */
export function someBytes(d: Dice, shape: Shape, seen: readonly Uint8Array[]): Uint8Array {
  const tree = someTree(d, shape, seen);
  if (!d.oneIn(8)) {
    const nodes = nodesOf(tree);
    const other = d.oneIn(3) ? nodesOf(generate(d, shape)) : nodes;
    for (let i = d.int(3); i >= 0; i--) change(d, d.pick(nodes), other);
  }
  const bytes = write(tree);
  if (!d.oneIn(6)) return bytes;
  return mutate(d, bytes, seen.length > 0 ? d.pick(seen) : bytes);
}
