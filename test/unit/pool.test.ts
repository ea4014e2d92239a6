/** Records without a place: what is kept of them and what is not (docs/PROTOCOL.md, section "Offers"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/ids.js';
import {
  POOL_BYTES_PER_AUTHOR_MAX,
  POOL_RECORDS_PER_AUTHOR_MAX,
  RECORD_BODY_BYTES_MAX,
} from '../../src/core/limits.js';
import { Pool, type Pooled } from '../../src/core/pool.js';
import type { ChannelRecord } from '../../src/core/record.js';
import { digestOf, type Person, person, recordBy } from './fixtures/channel.js';

const ALICE = person(1);
const BOB = person(2);

const pooled = (record: ChannelRecord): Pooled => ({
  record,
  proof: new Uint8Array(0),
  cameAt: 0,
  offeredAt: 0,
  kept: false,
});
const recordOf = (author: Person, n: number, body = 0, prev: Digest = digestOf('prev')) =>
  recordBy(author, { n, prev, body: new Uint8Array(body) });
const digests = (records: readonly ChannelRecord[]) => records.map((r) => r.digest);

describe('Pool', () => {
  it('holds what was added and not removed, and knows what follows what', () => {
    // Few records, so that they meet: each follows one of two others.
    const all = [ALICE, BOB].flatMap((author) =>
      [1, 2, 3, 4].map((n) => recordOf(author, n, n, digestOf(`prev ${n % 2}`))),
    );
    const change = fc.record({ add: fc.boolean(), record: fc.constantFrom(...all) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const pool = new Pool();
        const model = new Map<Digest, Pooled>();
        for (const { add, record } of changes) {
          if (add) {
            const one = pooled(record);
            expect(pool.add(one, false)).toBe(true);
            if (!model.has(record.digest)) model.set(record.digest, one);
          } else {
            expect(pool.remove(record.digest)).toBe(model.get(record.digest));
            model.delete(record.digest);
          }
          expect(pool.size).toBe(model.size);
          expect([...pool.values()]).toStrictEqual([...model.values()]);
          for (const r of all) expect(pool.get(r.digest)).toBe(model.get(r.digest));
          for (const { user } of [ALICE, BOB]) {
            const of = [...model.values()].filter((p) => p.record.author === user);
            const bytes = of.reduce((sum, p) => sum + p.record.bytes.length, 0);
            expect(pool.heldOf(user)).toStrictEqual({ count: of.length, bytes });
          }
          for (const prev of [digestOf('prev 0'), digestOf('prev 1'), digestOf('else')]) {
            const children = [...model.values()].filter((p) => p.record.prev === prev);
            expect(digests(pool.childrenOf(prev)).sort()).toStrictEqual(
              digests(children.map((p) => p.record)).sort(),
            );
          }
        }
      }),
    );
  });

  it('knows both branches of a fork, in the order they came', () => {
    const pool = new Pool();
    const [one, two] = [recordOf(ALICE, 1, 1), recordOf(ALICE, 1, 2)];
    pool.add(pooled(one), false);
    pool.add(pooled(two), false);
    expect(digests(pool.childrenOf(digestOf('prev')))).toStrictEqual(digests([one, two]));
    pool.remove(one.digest);
    expect(digests(pool.childrenOf(digestOf('prev')))).toStrictEqual(digests([two]));
  });
});

describe('the share of an author', () => {
  const fillCount = (pool: Pool, exempt = false) => {
    for (let n = 1; n <= POOL_RECORDS_PER_AUTHOR_MAX; n++) {
      expect(pool.add(pooled(recordOf(ALICE, n)), exempt)).toBe(true);
    }
  };
  const more = recordOf(ALICE, POOL_RECORDS_PER_AUTHOR_MAX + 1);

  it('is POOL_RECORDS_PER_AUTHOR_MAX records, and of no other author', () => {
    const pool = new Pool();
    fillCount(pool);
    expect(pool.add(pooled(more), false)).toBe(false);
    expect([pool.size, pool.get(more.digest)]).toStrictEqual([
      POOL_RECORDS_PER_AUTHOR_MAX,
      undefined,
    ]);
    expect(pool.childrenOf(more.prev)).toHaveLength(POOL_RECORDS_PER_AUTHOR_MAX);
    expect(pool.add(pooled(recordOf(BOB, 1)), false)).toBe(true);
  });

  it('is POOL_BYTES_PER_AUTHOR_MAX bytes', () => {
    const pool = new Pool();
    const size = recordOf(ALICE, 1, RECORD_BODY_BYTES_MAX).bytes.length;
    const fit = Math.floor(POOL_BYTES_PER_AUTHOR_MAX / size);
    for (let n = 1; n <= fit; n++) {
      expect(pool.add(pooled(recordOf(ALICE, n, RECORD_BODY_BYTES_MAX)), false)).toBe(true);
    }
    expect(pool.add(pooled(recordOf(ALICE, fit + 1, RECORD_BODY_BYTES_MAX)), false)).toBe(false);
    const left = POOL_BYTES_PER_AUTHOR_MAX - fit * size;
    const overhead = recordOf(ALICE, 1).bytes.length;
    expect(pool.add(pooled(recordOf(ALICE, fit + 1, left - overhead + 1)), false)).toBe(false);
    expect(pool.add(pooled(recordOf(ALICE, fit + 1, left - overhead)), false)).toBe(true);
    // What is removed no longer counts.
    const another = pooled(recordOf(ALICE, fit + 2, RECORD_BODY_BYTES_MAX));
    expect(pool.add(another, false)).toBe(false);
    pool.remove(recordOf(ALICE, 1, RECORD_BODY_BYTES_MAX).digest);
    expect(pool.add(another, false)).toBe(true);
  });

  it('takes a record that is there once more, and counts it once', () => {
    const pool = new Pool();
    fillCount(pool);
    const again = recordOf(ALICE, 1);
    expect(pool.add(pooled(again), false)).toBe(true);
    pool.remove(again.digest);
    expect(pool.add(pooled(more), false)).toBe(true);
    expect(pool.add(pooled(again), false)).toBe(false);
  });

  it('is free again for what is removed, and not for what never was there', () => {
    const pool = new Pool();
    fillCount(pool);
    expect(pool.remove(more.digest)).toBeUndefined();
    expect(pool.add(pooled(more), false)).toBe(false);
    for (let n = 1; n <= POOL_RECORDS_PER_AUTHOR_MAX; n++) pool.remove(recordOf(ALICE, n).digest);
    expect(pool.size).toBe(0);
    fillCount(pool);
  });

  it('gives up what is needed last, and nothing that is needed before', () => {
    const pool = new Pool();
    fillCount(pool);
    pool.add(pooled(recordOf(BOB, 1)), false);
    pool.keep(pool.get(recordOf(ALICE, 1).digest)!);
    pool.add(pooled(more), false);
    const needed = new Map([5, 6, 7].map((n) => [recordOf(ALICE, n).digest, n]));
    const rankOf = (digest: Digest) => needed.get(digest) ?? Number.POSITIVE_INFINITY;
    const { size } = pool;
    expect(pool.dropLast(ALICE.user, rankOf, 5)).toBe(true);
    expect([pool.size, pool.get(more.digest)]).toStrictEqual([size - 1, undefined]);
    let dropped = 1;
    while (pool.dropLast(ALICE.user, rankOf, 5)) dropped += 1;
    expect(dropped).toBe(POOL_RECORDS_PER_AUTHOR_MAX - 1);
    // What is kept, what is needed no later, and another author's.
    const left = [recordOf(ALICE, 1), recordOf(ALICE, 5), recordOf(BOB, 1)];
    expect([...pool.values()].map((p) => p.record.digest)).toStrictEqual(digests(left));
  });

  it('is no limit for what is exempt', () => {
    const pool = new Pool();
    fillCount(pool);
    expect(pool.add(pooled(more), true)).toBe(true);
    expect(pool.get(more.digest)?.record).toBe(more);
    pool.remove(more.digest);
    expect(pool.add(pooled(more), false)).toBe(false);
  });

  it('is not used up by what something places', () => {
    const pool = new Pool();
    const placed = recordOf(ALICE, 0);
    const one = pooled(placed);
    pool.add(one, false);
    pool.keep(one);
    pool.keep(one);
    fillCount(pool);
    expect(pool.add(pooled(more), false)).toBe(false);
    pool.remove(placed.digest);
    expect(pool.add(pooled(more), false)).toBe(false);
  });
});
