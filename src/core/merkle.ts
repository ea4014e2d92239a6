/**
 * Merkle tree over the digests of a batch of records, so that one signature
 * covers many records and each stays provable alone
 * (docs/PROTOCOL.md, section "Batches"; tree shape and domain separation of
 * RFC 6962, section 2.1, with SHA-256).
 */

import { bytesEqual, Writer } from './bytes.js';
import type { Hash } from './crypto.js';

const LEAF = 0;
const NODE = 1;

function leafHash(hash: Hash, digest: Uint8Array): Uint8Array {
  return new Writer(33).u8(LEAF).raw(digest).hashed(hash);
}

function nodeHash(hash: Hash, left: Uint8Array, right: Uint8Array): Uint8Array {
  return new Writer(65).u8(NODE).raw(left).raw(right).hashed(hash);
}

/** Largest power of two smaller than `count` (count ≥ 2). */
function splitPoint(count: number): number {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

/** Root and, for each leaf, its path: sibling hashes from the leaf upwards. */
export function merkleTree(
  hash: Hash,
  digests: readonly Uint8Array[],
): { root: Uint8Array; paths: Uint8Array[][] } {
  const paths: Uint8Array[][] = digests.map(() => []);
  const build = (from: number, to: number): Uint8Array => {
    if (to - from === 1) return leafHash(hash, digests[from]!);
    const middle = from + splitPoint(to - from);
    const left = build(from, middle);
    const right = build(middle, to);
    for (let i = from; i < middle; i++) paths[i]!.push(right);
    for (let i = middle; i < to; i++) paths[i]!.push(left);
    return nodeHash(hash, left, right);
  };
  return { root: build(0, digests.length), paths };
}

interface Step {
  readonly goesLeft: boolean;
  readonly range: number;
  readonly sibling: number;
}

const rangeKey = (from: number, to: number): number => from * 0x1_0000 + to;

/** The turns from the root of `count` leaves down to the one at `index`, with the leaves under each child. */
function stepsTo(index: number, count: number): Step[] {
  const steps: Step[] = [];
  let from = 0;
  let to = count;
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    const goesLeft = index < middle;
    const left = rangeKey(from, middle);
    const right = rangeKey(middle, to);
    steps.push({ goesLeft, range: goesLeft ? left : right, sibling: goesLeft ? right : left });
    if (goesLeft) to = middle;
    else from = middle;
  }
  return steps;
}

/** The root that `digest` at `index` of `count` and its path lead to; undefined if the path's length is wrong. */
export function merkleRoot(
  hash: Hash,
  digest: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  const steps = stepsTo(index, count);
  if (steps.length !== path.length) return undefined;
  let node = leafHash(hash, digest);
  for (const sibling of path) node = parentOf(hash, steps.pop()!, node, sibling);
  return node;
}

const parentOf = (hash: Hash, step: Step, node: Uint8Array, sibling: Uint8Array): Uint8Array =>
  step.goesLeft ? nodeHash(hash, node, sibling) : nodeHash(hash, sibling, node);

/**
 * What is known of one tree since some of its paths were followed. Further
 * paths are followed only up to a node that is known, so a batch costs some two
 * hashes a leaf, not the length of a path.
 */
export class KnownTree {
  readonly #hash: Hash;
  readonly #count: number;
  readonly #nodes = new Map<number, Uint8Array>();

  constructor(hash: Hash, count: number) {
    this.#hash = hash;
    this.#count = count;
  }

  get root(): Uint8Array | undefined {
    return this.#nodes.get(rangeKey(0, this.#count));
  }

  /** Whether `digest` at `index` and its whole path are of this tree; the first to come makes it. */
  holds(digest: Uint8Array, index: number, path: readonly Uint8Array[]): boolean {
    const steps = stepsTo(index, this.#count);
    if (steps.length !== path.length) return false;
    const found: [number, Uint8Array][] = [];
    let node = leafHash(this.#hash, digest);
    for (let depth = steps.length; ; depth--) {
      const step = steps[depth - 1];
      const range = step?.range ?? rangeKey(0, this.#count);
      const known = this.#nodes.get(range);
      if (known && !(bytesEqual(known, node) && this.#agrees(steps, path, depth))) return false;
      if (known) break;
      found.push([range, node]);
      if (!step) break;
      const sibling = path[steps.length - depth]!;
      found.push([step.sibling, sibling]);
      node = parentOf(this.#hash, step, node, sibling);
    }
    for (const [range, bytes] of found) this.#nodes.set(range, bytes);
    return true;
  }

  /** Whether the siblings from `depth` up are those that are known. */
  #agrees(steps: readonly Step[], path: readonly Uint8Array[], depth: number): boolean {
    for (let d = depth; d > 0; d--) {
      const known = this.#nodes.get(steps[d - 1]!.sibling);
      if (!known || !bytesEqual(known, path[steps.length - d]!)) return false;
    }
    return true;
  }
}
