/** Which `keys` records count, and where they are noted to stand (docs/PROTOCOL.md, section "Encryption"). */

import { describe, expect, test } from 'vitest';
import { Writer } from '../../src/core/bytes.js';
import { channelKeys, encodeEntry } from '../../src/core/layout.js';
import { KEY_ENTRIES_MAX, KEYS_PER_AUTHOR_MAX } from '../../src/core/limits.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { ChannelRecord } from '../../src/core/record.js';
import type { Store } from '../../src/core/store.js';
import { KeyLog } from '../../src/node/key-log.js';
import { CHANNEL, epochOf, hash, type Person, person, recordBy } from './fixtures/channel.js';

const [many, few] = [person(1), person(2)];
const keysBy = (author: Person, n: number): ChannelRecord => recordBy(author, { kind: 'keys', n });

/** A store whose log has these records, and nothing at the other places; it notes the ranges that are read. */
function storeOf(log: ReadonlyMap<number, ChannelRecord>) {
  const keys = channelKeys(CHANNEL);
  const entries = [...log].map(([seq, record]) => {
    const header = { epoch: epochOf('one'), term: 1, roster: 0, digest: record.digest };
    const at = { seq, header, hash: record.digest, record, proof: new Uint8Array(0) };
    return [keys.log(seq), encodeEntry(at)] as const;
  });
  const whole = memoryStore(entries);
  const scans: string[] = [];
  const store: Pick<Store, 'get' | 'range' | 'write'> = {
    get: (key) => whole.get(key),
    write: (ops, options) => whole.write(ops, options),
    range: (options) => {
      scans.push(options.gte);
      return whole.range(options);
    },
  };
  /** Looked through from these places on, since it was asked last. */
  const scanned = (): string[] => scans.splice(0);
  return { store, scanned };
}

const { log: at } = channelKeys(CHANNEL);
const noteOf = (stretch: number): string => `node/keyed/${CHANNEL}/${stretch}`;

async function loaded(log: KeyLog, final: number): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of log.load(final, true)) seqs.push(seq);
  return seqs;
}

/** The log of one who writes one record after the other, and of another after each hundred. */
function flood(count: number): Map<number, ChannelRecord> {
  const log = new Map<number, ChannelRecord>();
  for (let i = 1; i <= count; i++) log.set(i, keysBy(i % 100 === 0 ? few : many, i));
  return log;
}

describe('of one author in one stretch of the log', () => {
  const log = flood(2 * KEYS_PER_AUTHOR_MAX);
  const behind = KEY_ENTRIES_MAX + 1;
  log.set(behind, keysBy(many, behind));

  test('the first so many records count, whether they come one by one or were there', async () => {
    const { store } = storeOf(log);
    const live = new KeyLog(CHANNEL, store, hash);
    const counted: number[] = [];
    for (const [seq, record] of log) if (await live.note(record, seq)) counted.push(seq);
    const by = (author: Person) =>
      counted.filter((seq) => log.get(seq)!.author === author.user && seq < behind);
    expect(by(many)).toHaveLength(KEYS_PER_AUTHOR_MAX);
    expect(by(few)).toHaveLength(Math.floor((2 * KEYS_PER_AUTHOR_MAX) / 100));
    // Another stretch, another count.
    expect(counted.at(-1)).toBe(behind);
    const again = new KeyLog(CHANNEL, store, hash);
    expect((await loaded(again, behind)).reverse()).toEqual(counted);
    const anew = new KeyLog(CHANNEL, storeOf(log).store, hash);
    expect((await loaded(anew, behind)).reverse()).toEqual(counted);
  });

  test('so many more may be made', async () => {
    const keyLog = new KeyLog(CHANNEL, storeOf(log).store, hash);
    await loaded(keyLog, 100);
    expect(keyLog.left(many.user, 100)).toBe(KEYS_PER_AUTHOR_MAX - 99);
    expect(keyLog.left(few.user, 100)).toBe(KEYS_PER_AUTHOR_MAX - 1);
    for (let seq = 101; seq <= 2 * KEYS_PER_AUTHOR_MAX; seq++) {
      await keyLog.note(log.get(seq)!, seq);
    }
    expect(keyLog.left(many.user, 2 * KEYS_PER_AUTHOR_MAX)).toBe(0);
    expect(keyLog.left(many.user, KEY_ENTRIES_MAX - 1)).toBe(0);
    expect(keyLog.left(many.user, KEY_ENTRIES_MAX)).toBe(KEYS_PER_AUTHOR_MAX);
  });
});

describe('opening', () => {
  // In more stretches than one, and more of them than one author may have.
  const log = new Map<number, ChannelRecord>();
  const final = 4 * KEY_ENTRIES_MAX;
  for (let author = 1; author <= 10; author++) {
    for (let i = 1; i <= KEYS_PER_AUTHOR_MAX; i++) {
      const seq = author * 6_000 + i;
      log.set(seq, keysBy(person(author), seq));
    }
  }
  for (const seq of [2 * KEY_ENTRIES_MAX, 3 * KEY_ENTRIES_MAX + 5]) log.set(seq, keysBy(few, seq));
  const all = [...log.keys()].sort((a, b) => b - a);

  test('reads what was noted and nothing else, however many there are', async () => {
    const { store, scanned } = storeOf(log);
    expect(log.size).toBeGreaterThan(5_000);
    expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
    expect(scanned()).toHaveLength(4);
    expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
    expect(scanned()).toEqual([]);
  });

  test('looks through that stretch again whose note is not there or not right', async () => {
    const { store, scanned } = storeOf(log);
    await loaded(new KeyLog(CHANNEL, store, hash), final);
    scanned();
    const other = await store.get(noteOf(2));
    for (const [stretch, value] of [
      [0, undefined],
      [1, new Uint8Array([1, 2, 3])],
      [3, other],
    ] as const) {
      await store.write([{ key: noteOf(stretch), ...(value && { value }) }], { sync: false });
      expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
      expect(scanned()).toEqual([at(stretch * KEY_ENTRIES_MAX + 1)]);
      expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
      expect(scanned()).toEqual([]);
    }
  });

  test('looks through what came since alone', async () => {
    const { store, scanned } = storeOf(log);
    await loaded(new KeyLog(CHANNEL, store, hash), 2 * KEY_ENTRIES_MAX + 10);
    scanned();
    expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
    expect(scanned().sort()).toEqual([at(2 * KEY_ENTRIES_MAX + 11), at(3 * KEY_ENTRIES_MAX + 1)]);
  });

  test('believes no note of a part that was cut off, once the log has grown again', async () => {
    const { store } = storeOf(log);
    const before = [2, 3].map((n) => ({ n, seen: n * KEY_ENTRIES_MAX + 100 }));
    for (const { n, seen } of before) {
      const value = new Writer(16)
        .u64(seen)
        .list([], () => {})
        .done();
      await store.write([{ key: noteOf(n), value }], { sync: false });
    }
    await loaded(new KeyLog(CHANNEL, store, hash), 2 * KEY_ENTRIES_MAX);
    expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
  });

  test('finds all that was noted while it was open, over the ends of stretches', async () => {
    const { store, scanned } = storeOf(log);
    const live = new KeyLog(CHANNEL, store, hash);
    expect(await loaded(live, 0)).toEqual([]);
    for (const seq of all.toReversed()) expect(await live.note(log.get(seq)!, seq)).toBe(true);
    await live.noteSeen(final);
    scanned();
    expect(await loaded(new KeyLog(CHANNEL, store, hash), final)).toEqual(all);
    expect(scanned()).toEqual([]);
  });
});
