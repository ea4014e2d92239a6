/** Private messages in a store: what is found by which key, what damage is seen, and what mending leaves. */

import { beforeEach, describe, expect, it } from 'vitest';
import { type Digest, hex, type Ulid, type UserId, ZERO_DIGEST } from '../../src/core/ids.js';
import { ordinal } from '../../src/core/layout.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import {
  checkPrivate,
  deliveredOps,
  type Logged,
  lastNumber,
  lastOf,
  loggedOps,
  mendPrivate,
  nextTo,
  placesOf,
  readPage,
  readReceipts,
  sentOps,
  undelivered,
} from '../../src/node/private-log.js';

const [ann, bob] = ['a1', 'b2'].map((d) => d.repeat(32) as UserId) as [UserId, UserId];
const boot = '01HF0000000000000000000001' as Ulid;
const receipt = { time: 1_700_000_000_000, sig: new Uint8Array(64).fill(5) };
const digestOf = (n: number): Digest => hex(new Uint8Array(32).fill(n)) as Digest;

const message = (n: number, peer: UserId, out: boolean, count: number): Logged => ({
  ...{ n, out, rewound: false, peer, id: boot, boot, count },
  ...{ prev: count === 1 ? ZERO_DIGEST : digestOf(n - 1), digest: digestOf(n) },
  ...{ body: new Uint8Array(n), sig: new Uint8Array(out ? 0 : 64) },
});

/** 1 and 2 to ann, the first delivered; 3 from ann; 4 to bob; 5 from ann, rewound. */
const all: readonly Logged[] = [
  message(1, ann, true, 1),
  message(2, ann, true, 2),
  message(3, ann, false, 1),
  message(4, bob, true, 1),
  { ...message(5, ann, false, 2), rewound: true },
];

let store: Store;
beforeEach(async () => {
  store = memoryStore();
  for (const each of all)
    await store.write(each.out ? sentOps(each) : loggedOps(each), { sync: true });
  await store.write(deliveredOps(1, receipt), { sync: true });
});

const key = (n: number): string => `node/dm/log/${ordinal(n)}`;

describe('a log', () => {
  it('gives back what was written, in order, and finds it by user and digest', async () => {
    expect(await readPage(store, 1)).toStrictEqual(all);
    expect(await lastNumber(store)).toBe(5);
    expect(await undelivered(store)).toStrictEqual([2, 4]);
    expect(await readReceipts(store, [1, 2])).toStrictEqual([receipt, undefined]);
    expect(await lastOf(store, true, [ann, bob])).toStrictEqual([all[1], all[3]]);
    expect(await lastOf(store, false, [ann, bob])).toStrictEqual([all[4], undefined]);
    const there = { peer: ann, digest: digestOf(3) };
    const place = { n: 3, boot, count: 1 };
    expect(await placesOf(store, false, [there])).toStrictEqual([place]);
    expect(await placesOf(store, true, [there])).toStrictEqual([undefined]);
    expect(await placesOf(store, false, [{ ...there, peer: bob }])).toStrictEqual([undefined]);
    expect(await nextTo(store, ann, 0)).toStrictEqual(all[0]);
    expect(await nextTo(store, bob, 0)).toStrictEqual(all[3]);
    expect(await nextTo(store, ann, 2)).toBeUndefined();
    await checkPrivate(store);
  });

  it('that is long is searched page by page', async () => {
    for (let n = 6; n <= 200; n++)
      await store.write(loggedOps(message(n, bob, false, n)), { sync: true });
    await store.write(loggedOps(message(201, ann, true, 3)), { sync: true });
    expect((await nextTo(store, ann, 2))?.n).toBe(201);
    expect(await nextTo(store, ann, 201)).toBeUndefined();
  });
});

it('mending leaves no receipt for another message', async () => {
  await store.write(deliveredOps(4, { ...receipt, time: 4 }), { sync: true });
  await store.write([{ key: key(1) }, { key: key(4) }, { key: key(5) }], { sync: true });
  expect(await mendPrivate(store)).toBe(2);
  expect(await readReceipts(store, [1, 2, 3, 4, 5])).toStrictEqual(Array(5).fill(undefined));
});

const DAMAGE: readonly (readonly [string, string, Uint8Array | undefined])[] = [
  ['a message that is gone', key(2), undefined],
  ['a message cut short', key(3), new Uint8Array(100)],
  ['a message with a byte more', key(2), new Uint8Array(300)],
  ['a place that is gone', `node/dm/at/in/${ann}/${digestOf(3)}`, undefined],
  ['a receipt cut short', `node/dm/receipt/${ordinal(1)}`, new Uint8Array(9)],
  ['a message that waits and was received', `node/dm/out/${ordinal(3)}`, new Uint8Array(0)],
];

describe('damage', () => {
  it.each(DAMAGE)('%s is seen', async (_, at, value) => {
    await store.write([value ? { key: at, value } : { key: at }], { sync: true });
    await expect(checkPrivate(store)).rejects.toMatchObject({ name: 'ConclaveError' });
  });

  it.each(DAMAGE)('%s is mended', async (_, at, value) => {
    await store.write([value ? { key: at, value } : { key: at }], { sync: true });
    const left = await mendPrivate(store);
    await checkPrivate(store);
    const page = await readPage(store, 1);
    expect(page.map(({ n }) => n)).toStrictEqual(Array.from({ length: left }, (_, i) => i + 1));
    const kept = all.filter(({ digest }) => page.some((each) => each.digest === digest));
    expect(kept.length).toBe(left);
    expect(left).toBe(at.startsWith('node/dm/log/') ? 4 : 5);
    // In the same order, with what waits and what was acknowledged.
    expect(page.map(({ digest }) => digest)).toStrictEqual(kept.map(({ digest }) => digest));
    const waiting = page.filter((_, i) => [2, 4].includes(kept[i]!.n)).map(({ n }) => n);
    expect(await undelivered(store)).toStrictEqual(waiting);
    const [first] = await readReceipts(store, [1]);
    expect(first).toStrictEqual(at.includes('receipt') ? undefined : receipt);
    expect((await lastOf(store, true, [bob]))[0]?.digest).toBe(digestOf(4));
  });
});
