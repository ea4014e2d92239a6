/** Which keys a node has, writes under, carries and makes (docs/PROTOCOL.md, section "Encryption"). */

import { describe, expect, test } from 'vitest';
import type { ChannelState } from '../../src/core/channel-state.js';
import {
  KEY_ENTRIES_MAX,
  KEYS_CARRIED_MAX,
  KEYS_EARLY_PER_AUTHOR_MAX,
} from '../../src/core/limits.js';
import type { ChannelRecord } from '../../src/core/record.js';
import type { Roster } from '../../src/core/roster.js';
import { type ChannelKey, channelKey } from '../../src/node/channel-cipher.js';
import { encodeKeys, receiversOf } from '../../src/node/keys-record.js';
import { CHANNEL, genesis, recordBy } from './fixtures/channel.js';
import { nativeCrypto } from './fixtures/ports.js';
import {
  keyOf,
  keysBy,
  LoggedRing,
  people,
  type ReaderPerson,
  rosterOf,
} from './fixtures/readers.js';

type Channel = { roster: Roster } & Pick<ChannelState, 'electors' | 'log' | 'genesis'>;

/** A channel under a roster, with so many final entries. */
const channelOf = (
  roster: Roster,
  { final = 100, history = 'all' as 'all' | 'joined' } = {},
): Channel => ({
  roster,
  electors: Array.from({ length: roster.number + 1 }, (_, number) => ({
    channel: roster.channel,
    number,
    hash: roster.hash,
    voters: [],
    minOnline: 3,
  })),
  log: { final: { seq: final, hash: roster.hash } } as ChannelState['log'],
  genesis: { ...genesis, history },
});

const { all } = await people(4);
const [alice, bob, carol, dave] = all as [ReaderPerson, ReaderPerson, ReaderPerson, ReaderPerson];
const two = rosterOf([alice, bob], 1);
const three = rosterOf([alice, bob, carol], 2);
const [one, other, third] = [keyOf(1), keyOf(2), keyOf(3)];

/** One of very many keys. */
const nthKey = (n: number): ChannelKey =>
  channelKey(
    nativeCrypto,
    CHANNEL,
    new Uint8Array(32)
      .fill(n)
      .fill(n >> 8, 16)
      .fill(7, 31),
  );

const [now2, now3] = [channelOf(two), channelOf(three)];

describe('the key to write under', () => {
  test('is the newest final one for the present readers', async () => {
    const ring = new LoggedRing(bob.opener);
    expect(ring.usable(now2)).toBeUndefined();
    const first = await keysBy(alice.person, two, one);
    const second = await keysBy(bob.person, two, other);
    await ring.learn(second.record, 9, now2);
    await ring.learn(first.record, 5, now2);
    expect(ring.usable(now2)?.id).toBe(other.id);
  });

  test('is never one that others than the present readers have, nor one of another roster hash', async () => {
    const made = await keysBy(alice.person, two, one);
    const [again, kept] = [rosterOf([alice, bob], 3), rosterOf([alice, bob], 3, 1)];
    const elsewhere = { ...two, hash: 'ab'.repeat(32) as typeof two.hash };
    for (const [roster, isUsable] of [
      [three, false],
      // The same members, after one of them was away.
      [again, false],
      // A vote or an invitation changes nothing.
      [kept, true],
      [elsewhere, false],
    ] as const) {
      const st = channelOf(roster);
      const late = new LoggedRing(bob.opener);
      await late.learn(made.record, 5, st);
      expect(late.usable(st)?.id).toBe(isUsable ? one.id : undefined);
      if (roster === elsewhere) continue;
      const live = new LoggedRing(bob.opener);
      await live.learn(made.record, 5, now2);
      expect(live.usable(st)?.id).toBe(isUsable ? one.id : undefined);
    }
  });

  test('is not one whose maker left a reader out, or let another in', async () => {
    const ring = new LoggedRing(bob.opener);
    const tooMany = { ...rosterOf([alice, bob, carol, dave], 2), hash: three.hash };
    await ring.learn((await keysBy(alice.person, tooMany, one)).record, 5, now3);
    const tooFew = { ...rosterOf([alice, bob], 2), hash: three.hash };
    await ring.learn((await keysBy(alice.person, tooFew, other)).record, 6, now3);
    expect(ring.usable(now3)).toBeUndefined();
  });

  test('is not one that is not final, but for an own one on its way', async () => {
    const ring = new LoggedRing(bob.opener);
    const made = await keysBy(alice.person, two, one);
    expect(ring.isNews(made.record)).toBe(true);
    await ring.learn(made.record, null, now2);
    expect(ring.isNews(made.record)).toBe(false);
    expect(ring.get(one.id)).toBeDefined();
    expect(ring.usable(now2)).toBeUndefined();
    const own = await keysBy(bob.person, two, other);
    ring.addOwn(other, two.readersSince, []);
    expect(ring.usable(now2)?.id).toBe(other.id);
    await ring.learn(made.record, 5, now2);
    expect(ring.usable(now2)?.id).toBe(other.id);
    expect(ring.settled(now2)?.id).toBe(one.id);
    await ring.learn(own.record, 6, now2);
    expect(ring.hasOwn(now2)).toBe(false);
    expect(ring.usable(now2)?.id).toBe(other.id);
  });

  test('is not one of readers who changed while it was opened', async () => {
    for (const seq of [5, null]) {
      const ring = new LoggedRing(bob.opener);
      const st = { ...now3 };
      const { record } = await keysBy(bob.person, three, one);
      const learning = ring.learn(record, seq, st);
      st.roster = rosterOf([alice, bob], 3);
      await learning;
      expect(ring.has(one.id)).toBe(true);
      expect(ring.usable(st)).toBeUndefined();
    }
  });

  test('is an own one again after a restart, while it is on its way', async () => {
    const ring = new LoggedRing(bob.opener);
    await ring.learn((await keysBy(bob.person, two, other)).record, null, now2);
    expect(ring.usable(now2)?.id).toBe(other.id);
    expect(ring.usable(now3)).toBeUndefined();
  });

  test('is a new one once the log grew long over the last', async () => {
    const ring = new LoggedRing(bob.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 5, now2);
    const final = 5 + KEY_ENTRIES_MAX;
    expect(ring.usable(channelOf(two, { final: final - 1 }))?.id).toBe(one.id);
    expect(ring.usable(channelOf(two, { final }))).toBeUndefined();
  });
});

/** A record by `maker` that names a key for the readers of a roster, and gives it to nobody. */
function naming(maker: ReaderPerson, roster: Roster, { commitment }: ChannelKey): ChannelRecord {
  const sealed = receiversOf(roster).map((user) => ({ user, bytes: new Uint8Array(80) }));
  const about = { commitment, roster: roster.number, rosterHash: roster.hash };
  const body = encodeKeys({ ...about, sealed, older: new Uint8Array(0) });
  return recordBy(maker.person, { kind: 'keys', body });
}

describe('a key that is named again, in whatever order its records are learned', () => {
  // Carol had it, and is out.
  const before = rosterOf([alice, bob, carol], 1);
  const after = rosterOf([alice, bob, dave], 3);
  const [then, now] = [channelOf(before), channelOf(after)];

  async function ringsOver(again: ChannelRecord): Promise<LoggedRing[]> {
    const original = await keysBy(alice.person, before, one);
    const [live, restarted] = [new LoggedRing(bob.opener), new LoggedRing(bob.opener)];
    await live.learn(original.record, 5, then);
    await live.learn(again, 15, now);
    await restarted.learn(again, 15, now);
    await restarted.learn(original.record, 5, now);
    return [live, restarted];
  }

  test('by one who has it not, is for the readers of before', async () => {
    for (const ring of await ringsOver(naming(dave, after, one))) {
      expect(ring.get(one.id)).toBeDefined();
      expect(ring.usable(now)).toBeUndefined();
    }
  });

  test('first by one who has it not, is its own maker’s and readers’ all the same', async () => {
    const original = await keysBy(alice.person, after, one);
    const forged = naming(dave, before, one);
    const maker = new LoggedRing(alice.opener);
    maker.addOwn(one, after.readersSince, []);
    const reader = new LoggedRing(bob.opener);
    await reader.learn(original.record, null, now);
    for (const ring of [maker, reader, new LoggedRing(alice.opener), new LoggedRing(bob.opener)]) {
      await ring.learn(forged, 10, now);
      await ring.learn(original.record, 11, now);
      expect(ring.usable(now)?.id).toBe(one.id);
    }
  });

  test('by one who has it, is for the readers of before', async () => {
    const again = await keysBy(dave.person, after, one);
    for (const ring of await ringsOver(again.record)) {
      expect(ring.usable(now)).toBeUndefined();
      await ring.learn((await keysBy(alice.person, after, other)).record, 16, now);
      expect(ring.usable(now)?.id).toBe(other.id);
    }
  });

  test('is for its readers where one names it before its maker does', async () => {
    const original = await keysBy(alice.person, after, one);
    for (const order of [
      [4, 5],
      [5, 4],
    ]) {
      const ring = new LoggedRing(bob.opener);
      const records = new Map([
        [4, naming(dave, before, one)],
        [5, original.record],
      ]);
      for (const seq of order) await ring.learn(records.get(seq)!, seq, now);
      expect(ring.usable(now)?.id).toBe(one.id);
    }
  });

  test('is no own one on its way once it is final, whoever named it first', async () => {
    const ring = new LoggedRing(bob.opener);
    ring.addOwn(one, after.readersSince, []);
    expect(ring.usable(now)?.id).toBe(one.id);
    // Of those who were given it before it was final one gives it to others, and comes first.
    await ring.learn((await keysBy(alice.person, before, one)).record, 7, now);
    expect(ring.usable(now)?.id).toBe(one.id);
    await ring.learn((await keysBy(bob.person, after, one)).record, 8, now);
    expect(ring.isOnItsWay(one.id)).toBe(false);
    expect(ring.usable(now)).toBeUndefined();
  });

  test('leaves another key in use in the same order as everywhere', async () => {
    const records = [
      [5, (await keysBy(alice.person, before, one)).record],
      [11, (await keysBy(alice.person, after, other)).record],
      [12, (await keysBy(dave.person, after, third)).record],
      [13, (await keysBy(dave.person, after, one)).record],
      [14, naming(dave, after, other)],
      [15, (await keysBy(dave.person, after, other)).record],
    ] as const;
    for (const [i] of records.entries()) {
      for (const order of [
        [...records.slice(i), ...records.slice(0, i)],
        [...records.slice(i), ...records.slice(0, i)].reverse(),
      ]) {
        const ring = new LoggedRing(bob.opener);
        for (const [seq, record] of order) await ring.learn(record, seq, now);
        expect(ring.settled(now)?.id).toBe(third.id);
      }
    }
  });
});

describe('a newcomer', () => {
  test('has all older keys from one record, in whatever order it learns them', async () => {
    const records = [
      await keysBy(alice.person, two, one),
      await keysBy(bob.person, two, other, [one]),
      await keysBy(alice.person, three, third, [other]),
    ];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [0, 2, 1],
    ]) {
      const ring = new LoggedRing(carol.opener);
      for (const i of order) await ring.learn(records[i]!.record, i + 1, now3);
      expect([one, other, third].map(({ id }) => ring.get(id)?.id)).toEqual([
        ...[one.id, other.id, third.id],
      ]);
    }
  });

  test('waits for the key that its elders had, not for one of another newcomer', async () => {
    const four = rosterOf([alice, bob, carol, dave], 3);
    const [now, joined] = [channelOf(four), channelOf(four, { history: 'joined' })];
    const ring = new LoggedRing(carol.opener);
    expect(ring.givers(now)).toBeNull();
    await ring.learn((await keysBy(alice.person, two, one)).record, 1, now);
    const elders = [alice, bob].map(({ person }) => person.user).sort();
    expect(ring.givers(now)).toEqual(elders);
    expect(ring.givers(joined)).toHaveLength(4);
    await ring.learn((await keysBy(dave.person, four, other)).record, 2, now);
    expect(ring.givers(now)).toEqual(elders);
    expect(ring.givers(joined)).toBeNull();
    await ring.learn((await keysBy(bob.person, four, third, [one])).record, 3, now);
    expect(ring.givers(now)).toBeNull();
  });

  test('loses none to one who names the same key in a record of its own', async () => {
    const honest = await keysBy(alice.person, three, third, [other]);
    const copy = recordBy(bob.person, { kind: 'keys', body: honest.record.body });
    for (const order of [
      [copy, honest.record],
      [honest.record, copy],
    ]) {
      const ring = new LoggedRing(carol.opener);
      for (const [i, record] of order.entries()) await ring.learn(record, i + 1, now3);
      expect(ring.get(other.id)?.id).toBe(other.id);
    }
  });
});

describe('of what one author hands out', () => {
  test('so many records that are not final are looked at, and others’ all the same', async () => {
    const ring = new LoggedRing(bob.opener);
    const some = Array.from({ length: KEYS_EARLY_PER_AUTHOR_MAX + 1 }, (_, n) =>
      recordBy(alice.person, { kind: 'keys', n: n + 1 }),
    );
    for (const record of some.slice(0, -1)) {
      expect(ring.isNews(record)).toBe(true);
      await ring.learn(record, null, now2);
    }
    expect(ring.isNews(some.at(-1)!)).toBe(false);
    expect(ring.isNews(recordBy(dave.person, { kind: 'keys' }))).toBe(true);
    await ring.learn(some[0]!, 1, now2);
    expect(ring.isNews(some.at(-1)!)).toBe(true);
  });

  test('the last keys are kept that no record names, and all that one does', async () => {
    const ring = new LoggedRing(bob.opener);
    const half = (from: number) => Array.from({ length: 300 }, (_, i) => nthKey(from + i));
    await ring.learn((await keysBy(dave.person, two, third, [nthKey(1_000)])).record, 1, now2);
    await ring.learn((await keysBy(alice.person, two, nthKey(0))).record, 2, now2);
    await ring.learn((await keysBy(alice.person, two, one, half(0))).record, 3, now2);
    await ring.learn((await keysBy(alice.person, two, other, half(300))).record, 4, now2);
    const kept = [...half(0), ...half(300)].filter(({ id }) => ring.has(id));
    expect(kept).toHaveLength(KEYS_CARRIED_MAX + 1);
    for (const { id } of [one, other, third, nthKey(0), nthKey(1_000)]) {
      expect(ring.has(id)).toBe(true);
    }
    for (const { id } of half(300)) expect(ring.has(id)).toBe(true);
  });
});

describe('a new key carries', () => {
  test('what its newest does not reach, and nothing twice', async () => {
    const ring = new LoggedRing(alice.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 1, now2);
    await ring.learn((await keysBy(bob.person, two, other, [one])).record, 2, now2);
    await ring.learn((await keysBy(bob.person, two, third)).record, 3, now2);
    expect(ring.toCarry(now3).map(({ id }) => id)).toEqual([third.id, other.id]);
  });

  test('also what is carried by one that stands before it, or by itself', async () => {
    const ring = new LoggedRing(alice.opener);
    await ring.learn((await keysBy(bob.person, two, one, [one, other])).record, 1, now2);
    await ring.learn((await keysBy(bob.person, two, other, [one])).record, 2, now2);
    expect(ring.toCarry(now3).map(({ id }) => id)).toEqual([other.id]);
    const alone = new LoggedRing(alice.opener);
    await alone.learn((await keysBy(bob.person, two, one, [one, other])).record, 1, now2);
    expect(alone.toCarry(now3).map(({ id }) => id)).toEqual([one.id]);
  });

  test('what an own one on its way carries no second time', async () => {
    const ring = new LoggedRing(alice.opener);
    await ring.learn((await keysBy(bob.person, two, one)).record, 1, now2);
    ring.addOwn(other, three.readersSince, [one.id]);
    expect(ring.toCarry(now3).map(({ id }) => id)).toEqual([other.id]);
  });

  test('those of all makers, however many one of them made', async () => {
    const ring = new LoggedRing(alice.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 1, now2);
    for (let i = 0; i < KEYS_CARRIED_MAX + 8; i++) {
      const { record } = await keysBy(bob.person, two, nthKey(i));
      await ring.learn(record, i + 2, now2);
    }
    const carried = ring.toCarry(now3).map(({ id }) => id);
    expect(carried).toHaveLength(KEYS_CARRIED_MAX);
    expect(carried).toContain(one.id);
    expect(carried[0]).toBe(nthKey(KEYS_CARRIED_MAX + 7).id);
  });

  test('nothing where the policy gives newcomers nothing', async () => {
    const ring = new LoggedRing(alice.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 1, now2);
    expect(ring.toCarry(channelOf(three, { history: 'joined' }))).toEqual([]);
  });
});

describe('a key is to be made', () => {
  const users = (...some: ReaderPerson[]) => some.map(({ person }) => person.user).sort();

  test('by any reader where the present ones have none', async () => {
    const ring = new LoggedRing(alice.opener);
    expect(ring.makers(now2)).toEqual([users(alice, bob), []]);
    await ring.learn((await keysBy(alice.person, two, one)).record, 1, now2);
    expect(ring.makers(now2)).toBeNull();
  });

  test('by those who can hand on what was before, rather than by who comes new', async () => {
    const ring = new LoggedRing(alice.opener);
    const late = new LoggedRing(carol.opener);
    const { record } = await keysBy(alice.person, two, one);
    for (const each of [ring, late]) {
      await each.learn(record, 1, now3);
      expect(each.makers(now3)).toEqual([users(alice, bob), users(carol)]);
      const joined = channelOf(three, { history: 'joined' });
      expect(each.makers(joined)).toEqual([users(alice, bob, carol), []]);
    }
    // None of them is there any more.
    const strangers = channelOf(rosterOf([carol, dave], 3));
    expect(late.makers(strangers)).toEqual([[], users(carol, dave)]);
  });

  test('where a reader may lack one, unless the policy wants that', async () => {
    const ring = new LoggedRing(alice.opener);
    await ring.learn((await keysBy(bob.person, three, third)).record, 1, now3);
    await ring.learn((await keysBy(alice.person, two, one)).record, 2, now3);
    expect(ring.makers(now3)).toEqual([users(alice, bob, carol)]);
    expect(ring.makers(channelOf(three, { history: 'joined' }))).toBeNull();
    await ring.learn((await keysBy(alice.person, three, other, [third, one])).record, 3, now3);
    expect(ring.makers(now3)).toBeNull();
  });

  test('by whom the maker of the newest left out', async () => {
    const ring = new LoggedRing(carol.opener);
    await ring.learn((await keysBy(alice.person, three, one)).record, 1, now3);
    await ring.learn(naming(alice, three, other), 2, now3);
    expect(ring.get(other.id)).toBeUndefined();
    expect(ring.makers(now3)).toEqual([users(alice, bob, carol)]);
    expect(ring.usable(now3)?.id).toBe(one.id);
  });

  test('by nobody who is no reader', async () => {
    expect(new LoggedRing(dave.opener).makers(now2)).toBeNull();
  });
});
