/**
 * Merkle tree over the digests of a batch of records, so that one signature
 * covers many records and each stays provable alone
 * (docs/PROTOCOL.md, section "Batches"; tree shape and domain separation of
 * RFC 6962, section 2.1, with SHA-256).
 */

import { Writer } from './bytes.js';
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

/** The root that `digest` at `index` of `count` and its path lead to; undefined if the path's length is wrong. */
export function merkleRoot(
  hash: Hash,
  digest: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  // Directions from the root down, then applied from the leaf up.
  const leftTurns: boolean[] = [];
  let from = 0;
  let to = count;
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    const goesLeft = index < middle;
    leftTurns.push(goesLeft);
    if (goesLeft) to = middle;
    else from = middle;
  }
  if (leftTurns.length !== path.length) return undefined;
  let node = leafHash(hash, digest);
  for (const sibling of path) {
    node = leftTurns.pop() ? nodeHash(hash, node, sibling) : nodeHash(hash, sibling, node);
  }
  return node;
}
