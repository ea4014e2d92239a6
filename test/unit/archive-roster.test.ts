/** How many members must be online under a roster, with and without an archive (docs/PROTOCOL.md, section "Roster"). */

import { describe, expect, it } from 'vitest';
import { electorsOf } from '../../src/core/certificate.js';
import type { Genesis } from '../../src/core/genesis.js';
import { genesisRoster, isArchiveIn, minOnline, type Roster } from '../../src/core/roster.js';
import {
  apply,
  CHANNEL,
  FOUNDER,
  genesis,
  hash,
  inviteBody,
  joinBody,
  type Person,
  person,
} from './fixtures/channel.js';
import { NEW, replaceBody } from './fixtures/replacements.js';

const SECOND = person(2);
const ARCHIVE = person(3);

const foundedWith = (policy: Partial<Genesis>): Roster =>
  genesisRoster(hash, CHANNEL, { ...genesis, ...policy });

/** Invited, given a vote where one waits, and in. */
function admitted(roster: Roster, joiner: Person, isArchive: boolean): Roster {
  const key = person(200 + roster.number);
  const open = apply(roster, FOUNDER, inviteBody(roster, key, { isArchive }));
  const waiting = [...open.members.values()].find(({ votes }) => !votes);
  const all = waiting
    ? apply(open, FOUNDER, { kind: 'vote', base: open.number, user: waiting.user })
    : open;
  return apply(all, FOUNDER, joinBody(all, joiner, key, isArchive ? { sealing: null } : {}));
}

describe('the members that must be online', () => {
  it.each<[Genesis['few'], number, number, number]>([
    ['archive', 2, 3, 2],
    ['archive', 3, 3, 3],
    ['archive', 5, 5, 5],
    ['always', 1, 1, 1],
    ['always', 2, 2, 2],
    ['always', 3, 3, 3],
  ])('few %s, minOnline %i: %i without an archive, %i with one', (few, said, without, withOne) => {
    const founded = foundedWith({ few, minOnline: said });
    const people = admitted(founded, SECOND, false);
    const kept = admitted(people, ARCHIVE, true);
    expect([founded, people, kept].map(minOnline)).toStrictEqual([without, without, withOne]);
    expect(electorsOf(kept).minOnline).toBe(withOne);
    for (const kind of ['leave', 'remove'] as const) {
      const left =
        kind === 'leave'
          ? apply(kept, ARCHIVE, { kind, base: kept.number })
          : apply(kept, FOUNDER, { kind, base: kept.number, user: ARCHIVE.user });
      expect(minOnline(left), kind).toBe(without);
    }
  });
});

it('an archive stays one under a new key', () => {
  const people = admitted(foundedWith({ minOnline: 2 }), SECOND, false);
  const kept = admitted(people, ARCHIVE, true);
  const moved = apply(kept, FOUNDER, replaceBody(kept, ARCHIVE, null, { sealing: null }));
  expect(isArchiveIn(moved, NEW.user)).toBe(true);
  expect(minOnline(moved)).toBe(2);
  expect(moved.readersSince).toBe(kept.readersSince);
});

it('an archive has the role of a member, a vote, and may admit others', () => {
  const people = admitted(foundedWith({ minOnline: 2 }), SECOND, false);
  const kept = admitted(people, ARCHIVE, true);
  expect(kept.members.get(ARCHIVE.user)).toMatchObject({
    role: 'member',
    sealing: null,
    votes: true,
  });
  expect([FOUNDER, SECOND, ARCHIVE].map(({ user }) => isArchiveIn(kept, user))).toStrictEqual([
    false,
    false,
    true,
  ]);
  const key = person(300);
  const open = apply(kept, FOUNDER, inviteBody(kept, key));
  const four = apply(open, ARCHIVE, joinBody(open, person(4), key));
  expect(four.members.size).toBe(4);
  expect(minOnline(four)).toBe(2);
});

it('who was an archive may come back as one who reads, and is none then', () => {
  const kept = admitted(admitted(foundedWith({ minOnline: 2 }), SECOND, false), ARCHIVE, true);
  const left = apply(kept, ARCHIVE, { kind: 'leave', base: kept.number });
  const back = admitted(left, ARCHIVE, false);
  expect(isArchiveIn(back, ARCHIVE.user)).toBe(false);
  expect(minOnline(back)).toBe(3);
});
