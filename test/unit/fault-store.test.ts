/** What the fault-injecting store does to its callers: crashes, failed writes, old copies, damage. */

import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/core/store.js';
import { faultStore } from '../../src/testing/fault-store.js';

const SYNCED = { sync: true };
const UNSYNCED = { sync: false };

const error = (code: string) => expect.objectContaining({ name: 'ConclaveError', code });

const put = (store: Store, key: string, options = UNSYNCED): Promise<void> =>
  store.write([{ key, value: Uint8Array.of(1) }], options);

async function keysOf(store: Store): Promise<string> {
  const keys: string[] = [];
  for await (const [key] of store.range({ gte: '', lt: '~' })) keys.push(key);
  return keys.join('');
}

describe('a crash', () => {
  test('loses every batch that was not synced', async () => {
    const store = faultStore();
    await put(store, 'a', SYNCED);
    await put(store, 'b');
    expect(await keysOf(store)).toBe('ab');
    expect(store.unsynced).toBe(1);
    expect(await keysOf(store.crash())).toBe('a');
  });

  test('keeps with a synced batch all before it', async () => {
    const store = faultStore();
    await put(store, 'a');
    await put(store, 'b', SYNCED);
    await put(store, 'c');
    expect(await keysOf(store.crash())).toBe('ab');
  });

  test.each([
    [0, 'a'],
    [0.4, 'ab'],
    [0.6, 'abc'],
    [0.99, 'abcd'],
  ])('with randomness %d keeps the unsynced batches up to a place', async (random, kept) => {
    const store = faultStore();
    await put(store, 'a', SYNCED);
    for (const key of 'bcd') await put(store, key);
    expect(await keysOf(store.crash(() => random))).toBe(kept);
  });

  test('undoes unsynced deletes and replacements', async () => {
    const store = faultStore();
    await put(store, 'a', SYNCED);
    await store.write([{ key: 'a' }, { key: 'b', value: Uint8Array.of(2) }], UNSYNCED);
    expect(await keysOf(store)).toBe('b');
    expect(await keysOf(store.crash())).toBe('a');
  });

  test('during a synced write rejects it, and it may be lost or kept', async () => {
    for (const [random, kept] of [
      [0, ''],
      [0.9, 'a'],
    ] as const) {
      const store = faultStore();
      const write = put(store, 'a', SYNCED);
      const after = store.crash(() => random);
      await expect(write).rejects.toEqual(error('store_closed'));
      expect(await keysOf(after)).toBe(kept);
    }
  });

  test('ends the store that crashed', async () => {
    const store = faultStore();
    const after = store.crash();
    await expect(put(store, 'a', SYNCED)).rejects.toEqual(error('store_closed'));
    await expect(store.get('a')).rejects.toEqual(error('store_closed'));
    await put(after, 'b', SYNCED);
    expect(await keysOf(after)).toBe('b');
  });
});

describe('a write that fails', () => {
  test('on a full disk writes nothing, and the store refuses everything until reopened', async () => {
    const store = faultStore();
    await put(store, 'a', SYNCED);
    store.failWrite('disk-full', 1);
    await put(store, 'b', SYNCED);
    await expect(put(store, 'c', SYNCED)).rejects.toEqual(error('store_failed'));
    await expect(put(store, 'd', SYNCED)).rejects.toEqual(error('store_failed'));
    await expect(store.get('a')).rejects.toEqual(error('store_failed'));
    await expect(keysOf(store)).rejects.toEqual(error('store_failed'));
    expect(await keysOf(store.crash(() => 0.99))).toBe('ab');
  });

  test('in the sync may be there afterwards or not', async () => {
    for (const [random, kept] of [
      [0, ''],
      [0.9, 'a'],
    ] as const) {
      const store = faultStore();
      store.failWrite('sync');
      await expect(put(store, 'a', SYNCED)).rejects.toEqual(error('store_failed'));
      expect(await keysOf(store.crash(() => random))).toBe(kept);
    }
  });
});

test('an old copy is what was durable when it was made', async () => {
  const store = faultStore();
  await put(store, 'a', SYNCED);
  await put(store, 'b');
  const old = store.image();
  await put(store, 'c', SYNCED);
  expect(await keysOf(faultStore(old))).toBe('a');
  expect(await keysOf(store)).toBe('abc');
});

test('a damaged value rejects every read of it, over crashes, until it is written again', async () => {
  let store = faultStore();
  for (const key of 'abc') await put(store, key, SYNCED);
  store.corrupt('b');
  const corrupt = error('store_corrupt');
  for (let crashes = 0; crashes < 2; crashes++) {
    await expect(store.get('b')).rejects.toEqual(corrupt);
    await expect(store.getMany(['a', 'b'])).rejects.toEqual(corrupt);
    await expect(keysOf(store)).rejects.toEqual(corrupt);
    expect(await store.get('a')).toBeDefined();
    store = store.crash();
  }
  await put(store, 'b');
  expect(await keysOf(store)).toBe('abc');
  store = store.crash();
  await expect(store.get('b')).rejects.toEqual(corrupt);
  await put(store, 'b', SYNCED);
  expect(await keysOf(store.crash())).toBe('abc');
});
