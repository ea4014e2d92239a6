/** Which keys a node has, writes under, carries and makes (docs/PROTOCOL.md, section "Encryption"). */

import { describe, expect, test } from 'vitest';
import type { ChannelState } from '../../src/core/channel-state.js';
import { KEY_ENTRIES_MAX } from '../../src/core/limits.js';
import type { Roster } from '../../src/core/roster.js';
import { Keyring } from '../../src/node/keyring.js';
import { genesis, recordBy } from './fixtures/channel.js';
import { keyOf, keysBy, people, type ReaderPerson, rosterOf } from './fixtures/readers.js';

type Channel = Pick<ChannelState, 'roster' | 'electors' | 'log' | 'genesis'>;

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

describe('the key to write under', () => {
  test('is the newest final one for the present readers', async () => {
    const ring = new Keyring(bob.opener);
    expect(ring.usable(channelOf(two))).toBeUndefined();
    const first = await keysBy(alice.person, two, one);
    const second = await keysBy(bob.person, two, other);
    await ring.learn(second.record, 9);
    await ring.learn(first.record, 5);
    expect(ring.usable(channelOf(two))?.id).toBe(other.id);
  });

  test('is never one that others than the present readers have, nor one of another roster hash', async () => {
    const ring = new Keyring(bob.opener);
    const made = await keysBy(alice.person, two, one);
    await ring.learn(made.record, 5);
    expect(ring.usable(channelOf(three))).toBeUndefined();
    // The same members, after one of them was away.
    expect(ring.usable(channelOf(rosterOf([alice, bob], 3)))).toBeUndefined();
    // A vote or an invitation changes nothing.
    expect(ring.usable(channelOf(rosterOf([alice, bob], 3, 1)))?.id).toBe(one.id);
    const elsewhere = channelOf({ ...two, hash: 'ab'.repeat(32) as typeof two.hash });
    expect(ring.usable(elsewhere)).toBeUndefined();
  });

  test('is not one whose maker left a reader out, or let another in', async () => {
    const ring = new Keyring(bob.opener);
    const tooMany = { ...rosterOf([alice, bob, carol, dave], 2), hash: three.hash };
    await ring.learn((await keysBy(alice.person, tooMany, one)).record, 5);
    const tooFew = { ...rosterOf([alice, bob], 2), hash: three.hash };
    await ring.learn((await keysBy(alice.person, tooFew, other)).record, 6);
    expect(ring.usable(channelOf(three))).toBeUndefined();
  });

  test('is not one that is not final, but for an own one on its way', async () => {
    const ring = new Keyring(bob.opener);
    const made = await keysBy(alice.person, two, one);
    expect(ring.isNews(made.record)).toBe(true);
    await ring.learn(made.record, null);
    expect(ring.isNews(made.record)).toBe(false);
    expect(ring.get(one.id)).toBeDefined();
    expect(ring.usable(channelOf(two))).toBeUndefined();
    const own = await keysBy(bob.person, two, other);
    ring.addOwn(other, own.keys, []);
    expect(ring.usable(channelOf(two))?.id).toBe(other.id);
    await ring.learn(made.record, 5);
    expect(ring.usable(channelOf(two))?.id).toBe(other.id);
    await ring.learn(own.record, 6);
    expect(ring.hasOwn(channelOf(two))).toBe(false);
    expect(ring.usable(channelOf(two))?.id).toBe(other.id);
  });

  test('is a new one once the log grew long over the last', async () => {
    const ring = new Keyring(bob.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 5);
    const final = 5 + KEY_ENTRIES_MAX;
    expect(ring.usable(channelOf(two, { final: final - 1 }))?.id).toBe(one.id);
    expect(ring.usable(channelOf(two, { final }))).toBeUndefined();
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
    ]) {
      const ring = new Keyring(carol.opener);
      for (const i of order) await ring.learn(records[i]!.record, i + 1);
      expect([one, other, third].map(({ id }) => ring.get(id)?.id)).toEqual([
        ...[one.id, other.id, third.id],
      ]);
    }
  });

  test('waits for the key that its elders had, not for one of another newcomer', async () => {
    const four = rosterOf([alice, bob, carol, dave], 3);
    const [now, joined] = [channelOf(four), channelOf({ ...four }, { history: 'joined' })];
    const ring = new Keyring(carol.opener);
    expect(ring.givers(now)).toBeNull();
    await ring.learn((await keysBy(alice.person, two, one)).record, 1);
    const elders = [alice, bob].map(({ person }) => person.user).sort();
    expect(ring.givers(now)).toEqual(elders);
    expect(ring.givers(joined)).toHaveLength(4);
    await ring.learn((await keysBy(dave.person, four, other)).record, 2);
    expect(ring.givers(now)).toEqual(elders);
    expect(ring.givers(joined)).toBeNull();
    await ring.learn((await keysBy(bob.person, four, third, [one])).record, 3);
    expect(ring.givers(now)).toBeNull();
  });

  test('loses none to one who names the same key in a record of its own', async () => {
    const honest = await keysBy(alice.person, three, third, [other]);
    const copy = recordBy(bob.person, { kind: 'keys', body: honest.record.body });
    for (const order of [
      [copy, honest.record],
      [honest.record, copy],
    ]) {
      const ring = new Keyring(carol.opener);
      for (const [i, record] of order.entries()) await ring.learn(record, i + 1);
      expect(ring.get(other.id)?.id).toBe(other.id);
    }
  });
});

describe('a new key carries', () => {
  test('what its newest does not reach, and nothing twice', async () => {
    const ring = new Keyring(alice.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 1);
    await ring.learn((await keysBy(bob.person, two, other, [one])).record, 2);
    await ring.learn((await keysBy(bob.person, two, third)).record, 3);
    expect(ring.toCarry(channelOf(three)).map(({ id }) => id)).toEqual([third.id, other.id]);
  });

  test('nothing where the policy gives newcomers nothing', async () => {
    const ring = new Keyring(alice.opener);
    await ring.learn((await keysBy(alice.person, two, one)).record, 1);
    expect(ring.toCarry(channelOf(three, { history: 'joined' }))).toEqual([]);
  });
});

describe('a key is to be made', () => {
  const users = (...some: ReaderPerson[]) => some.map(({ person }) => person.user).sort();

  test('by any reader where the present ones have none', async () => {
    const ring = new Keyring(alice.opener);
    expect(ring.makers(channelOf(two))).toEqual(users(alice, bob));
    await ring.learn((await keysBy(alice.person, two, one)).record, 1);
    expect(ring.makers(channelOf(two))).toBeNull();
  });

  test('by those who can hand on what was before, not by who comes new', async () => {
    const ring = new Keyring(alice.opener);
    const late = new Keyring(carol.opener);
    const { record } = await keysBy(alice.person, two, one);
    for (const each of [ring, late]) {
      await each.learn(record, 1);
      expect(each.makers(channelOf(three))).toEqual(users(alice, bob));
      const joined = channelOf({ ...three }, { history: 'joined' });
      expect(each.makers(joined)).toEqual(users(alice, bob, carol));
    }
    // None of them is there any more.
    const strangers = channelOf(rosterOf([carol, dave], 3));
    expect(late.makers(strangers)).toEqual(users(carol, dave));
  });

  test('by who has one that a reader lacks, unless the policy wants that', async () => {
    const ring = new Keyring(alice.opener);
    await ring.learn((await keysBy(bob.person, three, third)).record, 1);
    await ring.learn((await keysBy(alice.person, two, one)).record, 2);
    expect(ring.makers(channelOf(three))).toEqual(users(alice, bob));
    expect(ring.makers(channelOf({ ...three }, { history: 'joined' }))).toBeNull();
    await ring.learn((await keysBy(alice.person, three, other, [third, one])).record, 3);
    expect(ring.makers(channelOf(three))).toBeNull();
  });

  test('by whom the maker of the newest left out', async () => {
    const ring = new Keyring(carol.opener);
    const { keys, record } = await keysBy(alice.person, three, one);
    await ring.learn(record, 1);
    const cheated = await keysBy(alice.person, three, other);
    const mine = keys.sealed.findIndex(({ user }) => user === carol.person.user);
    const sealed = cheated.keys.sealed.with(mine, keys.sealed[mine]!);
    const { encodeKeys } = await import('../../src/node/keys-record.js');
    const body = encodeKeys({ ...cheated.keys, sealed });
    await ring.learn(recordBy(alice.person, { kind: 'keys', body }), 2);
    expect(ring.get(other.id)).toBeUndefined();
    expect(ring.makers(channelOf(three))).toEqual(users(carol));
    expect(ring.usable(channelOf(three))?.id).toBe(one.id);
  });

  test('by nobody who is no reader', async () => {
    expect(new Keyring(dave.opener).makers(channelOf(two))).toBeNull();
  });
});
