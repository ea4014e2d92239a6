/** Branches: contiguous from base to tip, whatever is added or forgotten at either end (docs/PROTOCOL.md, "Provisional set"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Branch } from '../../src/core/branch.js';
import {
  branchStart,
  chainNext,
  type Header,
  type Point,
  stretchOf,
} from '../../src/core/chain.js';
import { digestOf, epochOf, hash } from './fixtures/channel.js';

const ID = epochOf('branch');
const headerOf = (n: number): Header => ({
  epoch: ID,
  term: 3,
  roster: 2,
  digest: digestOf(`record ${n}`),
});
const LENGTH = 24;
/** The whole chain: the point at each seq. */
const POINTS: Point[] = [{ seq: 0, hash: branchStart(hash, ID) }];
for (let seq = 1; seq <= LENGTH; seq++) {
  POINTS.push({ seq, hash: chainNext(hash, POINTS[seq - 1]!.hash, seq, headerOf(seq)) });
}
const headers = (from: number, to: number): Header[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => headerOf(from + i));

function branchFrom(base: number, tip: number): Branch {
  const branch = new Branch(hash, ID, POINTS[base]!);
  for (const header of headers(base + 1, tip)) branch.extend(header);
  return branch;
}

/** A branch is the part of the whole chain behind `base` up to `tip`. */
function expectPart(branch: Branch, base: number, tip: number): void {
  expect([branch.base, branch.tip, branch.size]).toEqual([POINTS[base], POINTS[tip], tip - base]);
  expect(branch.digests()).toEqual(headers(base + 1, tip).map((h) => h.digest));
  for (let seq = 0; seq <= LENGTH + 1; seq++) {
    const isIn = seq > base && seq <= tip;
    expect(branch.headerAt(seq)).toEqual(isIn ? headerOf(seq) : undefined);
    expect(branch.hashAt(seq)).toBe(isIn || seq === base ? POINTS[seq]!.hash : undefined);
    expect(branch.seqOf(headerOf(seq).digest)).toBe(isIn ? seq : undefined);
  }
}

describe('Branch', () => {
  it('is what it was built of, at any base', () => {
    for (const [base, tip] of [
      [0, 0],
      [0, 5],
      [7, 7],
      [7, LENGTH],
    ] as const) {
      expectPart(branchFrom(base, tip), base, tip);
    }
  });

  it('stays a part of one chain over all that is done to it', () => {
    const act = fc.record({
      what: fc.constantFrom('extend', 'prepend', 'trim', 'restore'),
      by: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.nat(LENGTH), fc.array(act, { maxLength: 30 }), (start, acts) => {
        const branch = branchFrom(start, start);
        let [base, tip] = [start, start];
        for (const { what, by } of acts) {
          if (what === 'extend' || what === 'restore') {
            for (const header of headers(tip + 1, Math.min(LENGTH, tip + by))) {
              tip += 1;
              const point =
                what === 'extend'
                  ? branch.extend(header)
                  : branch.restore(header, POINTS[tip]!.hash);
              expect(point).toEqual(POINTS[tip]);
            }
          } else if (what === 'prepend') {
            const to = Math.max(0, base - by);
            branch.prepend(stretchOf(hash, POINTS[to]!, headers(to + 1, base)));
            base = to;
          } else {
            base = Math.min(tip, base + by);
            branch.trim(base);
          }
          expectPart(branch, base, tip);
        }
      }),
    );
  });

  it('takes nothing in front that does not lead to its base', () => {
    const refused = (base: Point, before: readonly Header[]) => {
      const branch = branchFrom(6, 8);
      expect(() => branch.prepend(stretchOf(hash, base, before))).toThrow(/leads to the base/);
    };
    refused(POINTS[3]!, headers(4, 5));
    refused(POINTS[3]!, headers(4, 7));
    refused(POINTS[3]!, [...headers(4, 5), headerOf(20)]);
    refused({ seq: 3, hash: POINTS[4]!.hash }, headers(4, 6));
  });

  it('forgets no place that it does not hold', () => {
    expect(() => branchFrom(6, 8).trim(5)).toThrow(/only places held/);
    expect(() => branchFrom(6, 8).trim(9)).toThrow(/only places held/);
  });

  it('is certified as far as its last certificate says', () => {
    const branch = branchFrom(0, 8);
    expect(branch.certified).toBe(0);
    for (const seq of [3, 7]) branch.certificates.push({ seq, bytes: new Uint8Array(0) });
    expect(branch.certified).toBe(7);
  });

  it('that places the same records elsewhere has other hashes', () => {
    const other = new Branch(hash, epochOf('other'), {
      seq: 0,
      hash: branchStart(hash, epochOf('other')),
    });
    for (const header of headers(1, 3)) other.extend(header);
    expect(other.tip.hash).not.toBe(branchFrom(0, 3).tip.hash);
  });
});
