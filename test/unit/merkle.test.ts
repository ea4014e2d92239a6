/** The tree over a batch against a slow recursive twin (docs/PROTOCOL.md, section "Batches"). */

import { createHash } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RECORDS_PER_BATCH_MAX } from '../../src/core/limits.js';
import { KnownTree, merkleRoot, merkleTree } from '../../src/core/merkle.js';
import { bytesOf, plain } from './fixtures/arbitraries.js';
import { portableCrypto } from './fixtures/ports.js';

const hash = portableCrypto.sha256;
const sha256 = (...parts: Uint8Array[]): Uint8Array => {
  const h = createHash('sha256');
  for (const p of parts) h.update(p);
  return new Uint8Array(h.digest());
};

/** MTH of RFC 6962, section 2.1, word for word. */
function twinRoot(d: readonly Uint8Array[]): Uint8Array {
  if (d.length === 1) return sha256(Uint8Array.of(0), d[0]!);
  let k = 1;
  while (2 * k < d.length) k *= 2;
  return sha256(Uint8Array.of(1), twinRoot(d.slice(0, k)), twinRoot(d.slice(k)));
}

const leaf = (n: number): Uint8Array => sha256(Uint8Array.of(n >> 8, n));
const leaves = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => leaf(i));

/** Sizes at which the tree's shape changes, and some between. */
const SIZES = [...Array.from({ length: 34 }, (_, i) => i + 1), 63, 64, 65, 127, 128, 129, 255, 256];

describe('merkleTree', () => {
  it.each(SIZES)('of %i digests has the root of the twin, to which every path leads', (count) => {
    const digests = leaves(count);
    const { root, paths } = merkleTree(hash, digests);
    expect(bytesToHex(root)).toBe(bytesToHex(twinRoot(digests)));
    for (const [index, path] of paths.entries()) {
      expect(merkleRoot(hash, digests[index]!, index, count, path)).toStrictEqual(root);
      expect(path.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count)));
    }
  });

  it('changes its root with every digest and every order', () => {
    const distinct = fc.uniqueArray(bytesOf(32), {
      minLength: 2,
      maxLength: 20,
      selector: bytesToHex,
    });
    fc.assert(
      fc.property(distinct, fc.nat(), fc.nat(), (digests, a, b) => {
        const root = bytesToHex(merkleTree(hash, digests).root);
        const i = a % digests.length;
        const changed = digests.with(i, sha256(digests[i]!));
        expect(bytesToHex(merkleTree(hash, changed).root)).not.toBe(root);
        const j = b % digests.length;
        const swapped = digests.with(i, digests[j]!).with(j, digests[i]!);
        expect(bytesToHex(merkleTree(hash, swapped).root) === root).toBe(i === j);
        expect(bytesToHex(merkleTree(hash, digests.slice(1)).root)).not.toBe(root);
      }),
    );
  });

  it('never takes an inner node for a leaf', () => {
    const [a, b, c, d] = leaves(4) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    const inner = [merkleTree(hash, [a, b]).root, merkleTree(hash, [c, d]).root];
    expect(merkleTree(hash, inner).root).not.toStrictEqual(merkleTree(hash, [a, b, c, d]).root);
  });
});

describe('merkleRoot', () => {
  const place = fc
    .integer({ min: 1, max: RECORDS_PER_BATCH_MAX })
    .chain((count) => plain({ count: fc.constant(count), index: fc.nat(count - 1) }));

  it('leads elsewhere from another digest, place or path', () => {
    fc.assert(
      fc.property(place, fc.nat(), fc.nat(), ({ count, index }, a, b) => {
        const digests = leaves(count);
        const { root, paths } = merkleTree(hash, digests);
        const path = paths[index]!;
        const reached = (digest: Uint8Array, at: number, by: readonly Uint8Array[]) =>
          merkleRoot(hash, digest, at, count, by);
        expect(reached(leaf(count), index, path)).not.toStrictEqual(root);
        const other = a % count;
        if (other !== index) expect(reached(digests[index]!, other, path)).not.toStrictEqual(root);
        if (path.length === 0) return;
        const bad = path[b % path.length]!.slice();
        bad[a % 32]! ^= 1 << (b % 8);
        expect(reached(digests[index]!, index, path.with(b % path.length, bad))).not.toStrictEqual(
          root,
        );
      }),
    );
  });

  it('refuses a path that is too short or too long for its place', () => {
    fc.assert(
      fc.property(place, ({ count, index }) => {
        const digests = leaves(count);
        const path = merkleTree(hash, digests).paths[index]!;
        const reached = (by: readonly Uint8Array[]) =>
          merkleRoot(hash, digests[index]!, index, count, by);
        expect(reached([...path, leaf(0)])).toBeUndefined();
        if (path.length > 0) expect(reached(path.slice(1))).toBeUndefined();
      }),
    );
  });
});

describe('KnownTree', () => {
  it('holds what leads to its root, in any order, and nothing else', () => {
    const claim = fc.record({ at: fc.nat(), claimed: fc.nat(), spoilt: fc.option(fc.nat()) });
    const claims = fc.array(claim, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), claims, (count, first, all) => {
        const digests = leaves(count);
        const { root, paths } = merkleTree(hash, digests);
        const tree = new KnownTree(hash, count);
        const start = first % count;
        expect(tree.holds(digests[start]!, start, paths[start]!)).toBe(true);
        for (const { at, claimed, spoilt } of all) {
          const i = at % count;
          // Most claims are right, some are of another place, or spoilt somewhere on their path.
          const index = claimed % 4 === 0 ? claimed % count : i;
          let path = paths[i]!;
          if (spoilt !== null && path.length > 0) {
            const j = spoilt % path.length;
            path = path.with(j, sha256(path[j]!));
          }
          const leadsTo = merkleRoot(hash, digests[i]!, index, count, path);
          const isRight = leadsTo !== undefined && bytesToHex(leadsTo) === bytesToHex(root);
          expect(tree.holds(digests[i]!, index, path)).toBe(isRight);
          expect(tree.root).toStrictEqual(root);
        }
      }),
    );
  });

  it('hashes each node of a batch once', () => {
    let hashed = 0;
    const counting = (data: Uint8Array): Uint8Array => {
      hashed += 1;
      return hash(data);
    };
    const digests = leaves(256);
    const { paths } = merkleTree(hash, digests);
    const tree = new KnownTree(counting, 256);
    for (const [i, path] of paths.entries()) expect(tree.holds(digests[i]!, i, path)).toBe(true);
    expect(hashed).toBeLessThanOrEqual(2 * 256);
  });
});
