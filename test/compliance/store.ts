/**
 * The compliance suite of the store port: every store runs it, so that the core
 * may rely on the port (src/core/store.ts) and on nothing else. It holds what
 * all stores promise; what survives a crash, a second opener or damage is
 * tested beside the stores that have to do with such things.
 */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RangeOptions, Store, StoreOp } from '../../src/core/store.js';

export interface StoreSetup {
  /** Opens the store; called again after `close`, it opens the same one. */
  open(): Promise<Store>;
  /** False for a store whose content ends with `close`. */
  readonly persistent: boolean;
  dispose?(): Promise<void>;
}

const UNSYNCED = { sync: false };
const SYNCED = { sync: true };
const ALL: RangeOptions = { gte: '', lt: '\u{10ffff}' };

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const put = (key: string, ...values: number[]): StoreOp => ({ key, value: bytes(...values) });
const del = (key: string): StoreOp => ({ key });

async function pairsOf(store: Store, options: RangeOptions = ALL) {
  const pairs: [string, number[]][] = [];
  for await (const [key, value] of store.range(options)) pairs.push([key, [...value]]);
  return pairs;
}

const keysOf = async (store: Store, options?: RangeOptions): Promise<string[]> =>
  (await pairsOf(store, options)).map(([key]) => key);

const rejectsWith = (code: string) => expect.objectContaining({ name: 'ConclaveError', code });

export function storeCompliance(name: string, setUp: () => Promise<StoreSetup>): void {
  describe(`store compliance: ${name}`, () => {
    let setup: StoreSetup;
    let store: Store;

    beforeEach(async () => {
      setup = await setUp();
      store = await setup.open();
    });
    afterEach(async () => {
      await store.close();
      await setup.dispose?.();
    });

    describe('reads and writes', () => {
      test('a new store is empty', async () => {
        expect(await store.get('a')).toBeUndefined();
        expect(await pairsOf(store)).toEqual([]);
      });

      test('a value read is the value written, the empty one included', async () => {
        await store.write([put('a', 1, 2, 3), put('empty')], SYNCED);
        expect(await store.get('a')).toEqual(bytes(1, 2, 3));
        expect(await store.get('empty')).toEqual(bytes());
      });

      test('values of many sizes come back whole, from a get and from a range', async () => {
        const sizes = [0, 1, 7, 8, 9, 255, 4_096, 65_536, 1_048_576];
        const values = sizes.map((size) =>
          new Uint8Array(size).map((_, i) => (i * 31 + size) % 251),
        );
        const ops = sizes.map((size, i) => ({ key: `size/${size}`, value: values[i]! }));
        await store.write(ops, SYNCED);
        for (const [i, size] of sizes.entries()) {
          expect(Buffer.compare((await store.get(`size/${size}`))!, values[i]!)).toBe(0);
        }
        const read = new Map<string, Uint8Array>();
        for await (const [key, value] of store.range(ALL)) read.set(key, value);
        for (const { key, value } of ops) expect(Buffer.compare(read.get(key)!, value)).toBe(0);
      });

      test('what is handed out is a plain Uint8Array', async () => {
        await store.write([put('a', 1)], SYNCED);
        expect(Object.getPrototypeOf(await store.get('a'))).toBe(Uint8Array.prototype);
        for await (const [, value] of store.range(ALL)) {
          expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
        }
      });

      test('a later write replaces a value, a delete removes it, and a second delete is nothing', async () => {
        await store.write([put('a', 1)], SYNCED);
        await store.write([put('a', 2)], SYNCED);
        expect(await store.get('a')).toEqual(bytes(2));
        await store.write([del('a')], SYNCED);
        await store.write([del('a')], SYNCED);
        expect(await store.get('a')).toBeUndefined();
        expect(await pairsOf(store)).toEqual([]);
      });

      test('the operations of a batch apply in their order', async () => {
        await store.write([put('a', 1), del('a'), put('a', 2), put('b', 1), del('b')], SYNCED);
        expect(await pairsOf(store)).toEqual([['a', [2]]]);
      });

      test('an empty batch is allowed', async () => {
        await store.write([], UNSYNCED);
        await store.write([], SYNCED);
        expect(await pairsOf(store)).toEqual([]);
      });

      test('writes apply in the order of their calls, awaited or not', async () => {
        // Pairs of writes to one key: the second of each must win.
        const writes = Array.from({ length: 600 }, (_, i) =>
          store.write([put(`pair/${i >> 1}`, i & 1)], { sync: i % 50 === 0 }),
        );
        await Promise.all(writes);
        const winners = (await pairsOf(store)).map(([, value]) => value);
        expect(winners).toEqual(Array.from({ length: 300 }, () => [1]));
      });

      test('getMany answers each key in its place, missing and repeated ones too', async () => {
        await store.write([put('a', 1), put('c', 3)], SYNCED);
        const values = await store.getMany(['c', 'b', 'a', 'c']);
        expect(values).toEqual([bytes(3), undefined, bytes(1), bytes(3)]);
        expect(await store.getMany([])).toEqual([]);
      });
    });

    describe('values are copied', () => {
      test('changing a buffer after the call to write changes nothing', async () => {
        const value = bytes(1, 2, 3);
        const written = store.write([{ key: 'a', value }], SYNCED);
        value.fill(9);
        await written;
        expect(await store.get('a')).toEqual(bytes(1, 2, 3));
      });

      test('changing a value that was read changes nothing', async () => {
        await store.write([put('a', 1, 2, 3)], SYNCED);
        (await store.get('a'))!.fill(9);
        (await store.getMany(['a']))[0]!.fill(9);
        for await (const [, value] of store.range(ALL)) value.fill(9);
        expect(await store.get('a')).toEqual(bytes(1, 2, 3));
      });
    });

    describe('range', () => {
      const KEYS = ['a', 'a/1', 'a/2', 'a0', 'b', 'b/1'];
      beforeEach(() =>
        store.write(
          KEYS.map((key, i) => put(key, i)),
          SYNCED,
        ),
      );

      test('includes its lower bound and excludes its upper one', async () => {
        expect(await keysOf(store, { gte: 'a/', lt: 'a0' })).toEqual(['a/1', 'a/2']);
        expect(await keysOf(store, { gte: 'a/1', lt: 'b' })).toEqual(['a/1', 'a/2', 'a0']);
        expect(await keysOf(store, { gte: 'b', lt: 'b' })).toEqual([]);
        expect(await keysOf(store, { gte: 'c', lt: 'a' })).toEqual([]);
        expect(await keysOf(store, { gte: '', lt: '' })).toEqual([]);
      });

      test('runs backwards', async () => {
        expect(await keysOf(store, { ...ALL, reverse: true })).toEqual([...KEYS].reverse());
        expect(await keysOf(store, { gte: 'a/1', lt: 'b', reverse: true })).toEqual([
          'a0',
          'a/2',
          'a/1',
        ]);
      });

      test('stops at its limit, from either end', async () => {
        expect(await keysOf(store, { ...ALL, limit: 2 })).toEqual(['a', 'a/1']);
        expect(await keysOf(store, { ...ALL, limit: 2, reverse: true })).toEqual(['b/1', 'b']);
        expect(await keysOf(store, { ...ALL, limit: 0 })).toEqual([]);
        expect(await keysOf(store, { ...ALL, limit: 99 })).toEqual(KEYS);
        expect(await keysOf(store, { gte: 'a/1', lt: 'b', limit: 1, reverse: true })).toEqual([
          'a0',
        ]);
      });

      test('sees the store as it was at its first pair', async () => {
        const seen: [string, number[]][] = [];
        for await (const [key, value] of store.range(ALL)) {
          if (seen.length === 0) await store.write([put('a/1', 99), del('b'), put('z', 1)], SYNCED);
          seen.push([key, [...value]]);
        }
        expect(seen).toEqual(KEYS.map((key, i) => [key, [i]]));
        expect(await keysOf(store)).toEqual(['a', 'a/1', 'a/2', 'a0', 'b/1', 'z']);
      });

      test('may be left early, many times, and the store still closes', async () => {
        for (let i = 0; i < 20; i++) {
          for await (const [key] of store.range(ALL)) {
            expect(key).toBe('a');
            break;
          }
        }
        await store.close();
      });

      test('several run side by side', async () => {
        const [up, down] = await Promise.all([
          keysOf(store),
          keysOf(store, { ...ALL, reverse: true }),
        ]);
        expect(up).toEqual([...down].reverse());
      });
    });

    describe('keys', () => {
      test('are ordered by the bytes of their UTF-8 form', async () => {
        // U+1F600 is a surrogate pair in UTF-16 (0xd83d …), which sorts below U+FFFD there.
        const keys = [
          '\u0001',
          ' ',
          'A',
          'a',
          'a\u0000',
          'a\u0000b',
          'ab',
          'é',
          '\ud7ff',
          '\ue000',
          '\ufffd',
          '\u{1f600}',
        ];
        await store.write(
          [...keys].reverse().map((key) => put(key, 1)),
          SYNCED,
        );
        expect(await keysOf(store)).toEqual(keys);
        expect(await keysOf(store, { gte: '\ue000', lt: '\u{1f600}' })).toEqual([
          '\ue000',
          '\ufffd',
        ]);
      });

      test.each([
        ['empty', ''],
        ['starting with NUL', '\u0000x'],
        ['with a lone surrogate', 'a\ud800'],
        ['of 513 characters', 'k'.repeat(513)],
      ])('a key %s is refused everywhere and writes nothing', async (_, key) => {
        await expect(store.get(key)).rejects.toEqual(rejectsWith('store_bad_key'));
        await expect(store.getMany(['a', key])).rejects.toEqual(rejectsWith('store_bad_key'));
        const write = store.write([put('a', 1), put(key, 1)], SYNCED);
        await expect(write).rejects.toEqual(rejectsWith('store_bad_key'));
        expect(await pairsOf(store)).toEqual([]);
        await store.write([put('a', 1)], SYNCED);
      });

      test('a key of 512 characters of four bytes is allowed', async () => {
        const key = '\u{1f600}'.repeat(256);
        await store.write([put(key, 7)], SYNCED);
        expect(await store.get(key)).toEqual(bytes(7));
        expect(await keysOf(store)).toEqual([key]);
      });

      test('a value that is no Uint8Array and a senseless limit are refused', async () => {
        const text = 'text' as unknown as Uint8Array;
        const write = store.write([{ key: 'a', value: text }], SYNCED);
        await expect(write).rejects.toEqual(rejectsWith('store_bad_value'));
        for (const limit of [-1, 1.5, Number.NaN]) {
          const range = pairsOf(store, { ...ALL, limit });
          await expect(range).rejects.toEqual(rejectsWith('store_bad_limit'));
        }
        await expect(pairsOf(store, { gte: 'a', lt: '\udc00' })).rejects.toEqual(
          rejectsWith('store_bad_key'),
        );
      });
    });

    describe('close', () => {
      test('may be called twice, and waits for writes under way', async () => {
        const writes = [1, 2, 3].map((n) => store.write([put(`n/${n}`, n)], { sync: n === 2 }));
        await Promise.all([store.close(), store.close()]);
        await Promise.all(writes);
        await store.close();
        if (!setup.persistent) return;
        store = await setup.open();
        expect(await keysOf(store)).toEqual(['n/1', 'n/2', 'n/3']);
      });

      test('everything afterwards rejects with store_closed', async () => {
        await store.write([put('a', 1)], SYNCED);
        await store.close();
        const closed = rejectsWith('store_closed');
        await expect(store.get('a')).rejects.toEqual(closed);
        await expect(store.getMany(['a'])).rejects.toEqual(closed);
        await expect(store.write([put('a', 2)], SYNCED)).rejects.toEqual(closed);
        await expect(pairsOf(store)).rejects.toEqual(closed);
      });

      test('a range that is under way rejects with store_closed', async () => {
        await store.write([put('a', 1), put('b', 2), put('c', 3)], SYNCED);
        const range = store.range(ALL)[Symbol.asyncIterator]();
        expect((await range.next()).value?.[0]).toBe('a');
        await store.close();
        await expect(range.next()).rejects.toEqual(rejectsWith('store_closed'));
      });

      test('keeps what was written, synced or not', async () => {
        if (!setup.persistent) return;
        await store.write([put('a', 1), put('gone', 1)], SYNCED);
        await store.write([put('b', 2), del('gone')], UNSYNCED);
        await store.close();
        store = await setup.open();
        expect(await pairsOf(store)).toEqual([
          ['a', [1]],
          ['b', [2]],
        ]);
      });
    });

    test('against a model: random batches, reads, ranges and reopenings', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const model = new Map<string, number[]>();
          await store.write((await keysOf(store)).map(del), UNSYNCED);
          for (const one of steps) {
            if (one.kind === 'write') {
              await store.write(one.ops, { sync: one.sync });
              for (const { key, value } of one.ops) {
                if (value) model.set(key, [...value]);
                else model.delete(key);
              }
            } else if (one.kind === 'reopen') {
              if (!setup.persistent) continue;
              await store.close();
              store = await setup.open();
            } else {
              expect(await pairsOf(store, one.options)).toEqual(modelRange(model, one.options));
            }
          }
          expect(await pairsOf(store)).toEqual(modelRange(model, ALL));
          const keys = KEY_POOL.filter((key) => key !== '');
          const values = await store.getMany(keys);
          expect(values.map((value) => value && [...value])).toEqual(
            keys.map((key) => model.get(key)),
          );
        }),
        { numRuns: 40 },
      );
    });
  });
}

const KEY_POOL = ['', 'a', 'a/1', 'a/2', 'b', 'b\u0000', 'é', '\uffee', '\u{1f600}', '\u{1f601}x'];
const key = fc.constantFrom(...KEY_POOL.filter((one) => one !== ''));
const bound = fc.constantFrom(...KEY_POOL, '\u{10ffff}');
const op = fc.oneof(
  fc.record({ key, value: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ key }),
) as fc.Arbitrary<StoreOp>;

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      ops: fc.array(op),
      sync: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('range' as const),
      options: fc.record(
        { gte: bound, lt: bound, reverse: fc.boolean(), limit: fc.nat(5) },
        { requiredKeys: ['gte', 'lt'] },
      ) as fc.Arbitrary<RangeOptions>,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
);

/** The slow twin of `range`: sorts and compares real UTF-8 bytes. */
function modelRange(model: Map<string, number[]>, { gte, lt, reverse, limit }: RangeOptions) {
  const utf8 = (text: string): Buffer => Buffer.from(text);
  const pairs = [...model]
    .filter(([k]) => utf8(k).compare(utf8(gte)) >= 0 && utf8(k).compare(utf8(lt)) < 0)
    .sort(([a], [b]) => utf8(a).compare(utf8(b)));
  if (reverse) pairs.reverse();
  return pairs.slice(0, limit);
}
