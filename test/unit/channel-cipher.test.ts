/** Channel keys, encrypted bodies and `keys` records (docs/PROTOCOL.md, section "Encryption"). */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChannelId, hex, type UserId } from '../../src/core/ids.js';
import { KEYS_CARRIED_MAX, MEMBERS_PER_CHANNEL_MAX } from '../../src/core/limits.js';
import { commitMessageKey, openDisclosed } from '../../src/core/message-key.js';
import {
  type ChannelRecord,
  decodeRecord,
  encodeRecord,
  headerOf,
  sealRecord,
} from '../../src/core/record.js';
import {
  type ChannelKey,
  channelKey,
  keyIdOf,
  messageKeyOf,
  openBody,
  openName,
  sealedBody,
  sealName,
} from '../../src/node/channel-cipher.js';
import {
  decodeKeys,
  encodeKeys,
  keysIn,
  makeKeys,
  olderIn,
  openKeys,
  receiversOf,
} from '../../src/node/keys-record.js';
import { sealingKeyOf } from '../../src/node/sealing.js';
import {
  CHANNEL,
  digestOf,
  FOUNDER,
  hash,
  type Person,
  person,
  recordBy,
} from './fixtures/channel.js';
import { codeOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';
import { nativeCrypto, PORTS, portableCrypto } from './fixtures/ports.js';
import { keyOf, keysBy, people, random } from './fixtures/readers.js';

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/bodies.json', import.meta.url), 'utf8'),
);
const bin = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const KEY = keyOf(1);
const PLAIN = new TextEncoder().encode('what only members read');

const sealed = (key: ChannelKey, plain = PLAIN, by: Person = FOUNDER): ChannelRecord => {
  const { digest: _, bytes: __, body: ___, keyEpoch: ____, ...header } = recordBy(by);
  return sealRecord(hash, header, sealedBody(key, plain, random));
};

describe('bodies.json', () => {
  const key = channelKey(nativeCrypto, vectors.channel, bin(vectors.key.secret));

  test.each(PORTS)('derives the key, with the $name port', (port) => {
    const made = channelKey(port, vectors.channel, bin(vectors.key.secret));
    expect(hex(made.commitment)).toBe(vectors.key.commitment);
    expect(made.id).toBe(vectors.key.key_id);
    expect(hex(made.body)).toBe(vectors.key.body_key);
    expect(hex(made.name)).toBe(vectors.key.name_key);
    expect(hex(made.older)).toBe(vectors.key.older_key);
  });

  test.each(vectors.bodies as Record<string, string>[])('a body: $what', (vector) => {
    const record = decodeRecord(hash, bin(vector.record!));
    expect(hex(headerOf(record))).toBe(vector.header);
    expect(hex(openBody(key, record)!)).toBe(vector.plain);
    const body = sealedBody(key, bin(vector.plain!), () => bin(vector.nonce!));
    expect(hex(body.seal(bin(vector.header!)))).toBe(vector.body);
    expect(body.length).toBe(vector.body!.length / 2);
    const messageKey = messageKeyOf(key, record)!;
    expect(hex(messageKey)).toBe(vector.message_key);
    for (const { sha256 } of PORTS) {
      expect(hex(openDisclosed(sha256, record, messageKey)!)).toBe(vector.plain);
    }
  });

  test.each(vectors.names as Record<string, string>[])('the name "$name"', (vector) => {
    expect(openName(key, bin(vector.sealed!))).toBe(vector.name);
  });

  test.each(vectors.receivers as Record<string, string>[])('a receiver: $user', async (r) => {
    const sealing = await sealingKeyOf(nativeCrypto, bin(r.secret!));
    expect(hex(sealing.publicKey)).toBe(r.key);
    const record = decodeRecord(hash, bin(vectors.keys.record));
    const keys = keysIn(record)!;
    const opener = { user: r.user as UserId, sealing, crypto: nativeCrypto };
    const opened = (await openKeys(opener, record, keys))!;
    expect(hex(opened.secret)).toBe(vectors.key.secret);
    const older = olderIn(nativeCrypto, record, keys, opened);
    expect(older.map(({ secret }) => hex(secret))).toEqual(vectors.keys.carries);
  });

  test('a keys record is encoded as it came', () => {
    const body = bin(vectors.keys.body);
    expect(hex(encodeKeys(decodeKeys(body)))).toBe(vectors.keys.body);
    refusesOtherLengths(body, decodeKeys);
    staysCanonical(fc.constant(body), decodeKeys, encodeKeys);
  });
});

describe('an encrypted body', () => {
  test('is opened by its key, and by no other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (plain) => {
        const record = sealed(KEY, plain);
        expect(record.keyEpoch).toBe(1);
        expect(openBody(KEY, record)).toEqual(plain);
        expect(openBody(keyOf(2), record)).toBeUndefined();
      }),
    );
  });

  test('has another nonce each time', () => {
    const bodies = Array.from({ length: 100 }, () => hex(sealed(KEY).body.subarray(16, 40)));
    expect(new Set(bodies).size).toBe(100);
  });

  test('does not open under another header: not another author, place, time or kind', () => {
    const record = sealed(KEY);
    const changes = [
      { author: person(2).user },
      { n: 2 },
      { prev: digestOf('another') },
      { time: record.time + 1 },
      { kind: 'edit' },
      { channel: digestOf('another channel') as string as ChannelId },
      { keyEpoch: 2 },
    ];
    for (const change of changes) {
      const moved = encodeRecord(hash, { ...record, ...change });
      expect(openBody(KEY, moved), JSON.stringify(change)).toBeUndefined();
    }
    expect(openBody(KEY, encodeRecord(hash, { ...record }))).toEqual(PLAIN);
  });

  test('opens by the key of its message alone, to whoever is shown that, and no other does', () => {
    const record = sealed(KEY);
    const shown = messageKeyOf(KEY, record)!;
    expect(openDisclosed(hash, record, shown)).toEqual(PLAIN);
    expect(openDisclosed(hash, sealed(KEY), shown)).toBeUndefined();
    for (const key of [KEY.body, KEY.secret, shown.map((byte) => byte ^ 1)]) {
      expect(openDisclosed(hash, record, key)).toBeUndefined();
    }
    const without = encodeRecord(hash, { ...record, keyEpoch: 0 });
    const moved = encodeRecord(hash, { ...record, n: record.n + 1 });
    const cut = encodeRecord(hash, { ...record, body: record.body.slice(0, 87) });
    for (const other of [without, moved, cut]) {
      expect(openDisclosed(hash, other, shown)).toBeUndefined();
    }
    expect(messageKeyOf(keyOf(2), record)).toBeUndefined();
  });

  test('that opens under a key that it does not commit to is shut: to all it says one thing', () => {
    const record = sealed(KEY);
    const other = messageKeyOf(KEY, sealed(KEY))!;
    const body = record.body.slice();
    body.set(commitMessageKey(hash, other), 40);
    const lying = encodeRecord(hash, { ...record, body });
    for (const key of [messageKeyOf(KEY, record)!, other]) {
      expect(openDisclosed(hash, lying, key)).toBeUndefined();
    }
    expect(openBody(KEY, lying)).toBeUndefined();
  });

  test('of one record does not open in another', () => {
    const [one, two] = [sealed(KEY), sealed(KEY, PLAIN, person(2))];
    expect(openBody(KEY, encodeRecord(hash, { ...one, body: two.body }))).toBeUndefined();
  });

  test('does not open with any bit of it changed', () => {
    const record = sealed(KEY);
    for (let i = 0; i < record.body.length; i++) {
      const body = record.body.slice();
      body[i]! ^= 1 << (i % 8);
      expect(openBody(KEY, encodeRecord(hash, { ...record, body })), `byte ${i}`).toBeUndefined();
    }
  });

  test('too short for any key is under none', () => {
    for (let length = 0; length < 56; length++) {
      const record = encodeRecord(hash, { ...sealed(KEY), body: new Uint8Array(length) });
      expect(openBody(KEY, record)).toBeUndefined();
      expect(keyIdOf(record.body)).toBeUndefined();
    }
  });

  test('names the key it is under, and that key alone: the name follows from the key', () => {
    const other = keyOf(2);
    const record = sealed(other);
    const renamed = record.body.slice();
    renamed.set(KEY.idBytes);
    expect(keyIdOf(renamed)).toBe(KEY.id);
    expect(openBody(KEY, encodeRecord(hash, { ...record, body: renamed }))).toBeUndefined();
    expect(openBody(other, encodeRecord(hash, { ...record, body: renamed }))).toBeUndefined();
  });

  test('of a channel is under another key than in another, even with the same secret', () => {
    const elsewhere = keyOf(1, digestOf('another channel') as string as ChannelId);
    expect(elsewhere.id).not.toBe(KEY.id);
    expect(openBody(elsewhere, sealed(KEY))).toBeUndefined();
  });
});

test('a name opens under its key, in its channel, as what it was', () => {
  const bytes = sealName(KEY, 'team été', random);
  expect(openName(KEY, bytes)).toBe('team été');
  expect(openName(keyOf(2), bytes)).toBeUndefined();
  const record = encodeRecord(hash, { ...recordBy(FOUNDER), body: bytes, keyEpoch: 1 });
  expect(openBody(KEY, record)).toBeUndefined();
});

describe('a keys record', () => {
  test('gives its key to each reader of its roster, its maker too, and to nobody else', async () => {
    const { all, roster } = await people(4);
    const { record, keys } = await keysBy(all[0]!.person, roster, KEY);
    expect(keys.sealed.map(({ user }) => user)).toEqual(receiversOf(roster));
    for (const { opener } of all) {
      expect(hex((await openKeys(opener, record, keys))!.secret)).toBe(hex(KEY.secret));
    }
    const stranger = (await people(5)).all[4]!.opener;
    expect(await openKeys(stranger, record, keys)).toBeUndefined();
    const posing = { ...stranger, user: all[1]!.opener.user };
    expect(await openKeys(posing, record, keys)).toBeUndefined();
  });

  test('leaves out who stores and never reads', async () => {
    const { all, roster } = await people(3);
    const archive = all[1]!.person.user;
    const members = new Map(roster.members);
    members.set(archive, { ...members.get(archive)!, sealing: null });
    const { record, keys } = await keysBy(all[0]!.person, { ...roster, members }, KEY);
    expect(keys.sealed).toHaveLength(2);
    expect(await openKeys(all[1]!.opener, record, keys)).toBeUndefined();
  });

  test('is nothing for who copied it from another, into another channel or roster', async () => {
    const { all, roster } = await people(3);
    const [alice, bob, carol] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
    const { record, keys } = await keysBy(alice.person, roster, KEY);
    const copied = recordBy(bob.person, { kind: 'keys', body: record.body });
    expect(await openKeys(carol.opener, copied, keys)).toBeUndefined();
    const elsewhere = digestOf('another channel') as string as ChannelId;
    const moved = encodeRecord(hash, { ...record, channel: elsewhere });
    expect(await openKeys(carol.opener, moved, keys)).toBeUndefined();
    const later = { ...keys, roster: 9 };
    expect(await openKeys(carol.opener, record, later)).toBeUndefined();
  });

  test('whose maker gives one member another key than it commits to gives it none', async () => {
    const { all, roster } = await people(2);
    const honest = await keysBy(all[0]!.person, roster, KEY);
    const other = await keysBy(all[0]!.person, roster, keyOf(2));
    const [mine, theirs] = [honest.keys.sealed, other.keys.sealed];
    const mixed = { ...honest.keys, sealed: [mine[0]!, theirs[1]!] };
    const opened = await Promise.all(
      receiversOf(roster).map((user) => {
        const { opener } = all.find((one) => one.opener.user === user)!;
        return openKeys(opener, honest.record, mixed);
      }),
    );
    expect(opened.map((key) => key?.id)).toEqual([KEY.id, undefined]);
    // The same under its commitment as info: a secret that is another key's.
    const lying = await makeKeys(
      { ...keyOf(2), commitment: KEY.commitment },
      roster,
      all[0]!.person.user,
      [],
      random,
    );
    const record = recordBy(all[0]!.person, { kind: 'keys', body: lying });
    expect(await openKeys(all[1]!.opener, record, keysIn(record)!)).toBeUndefined();
  });

  test('is made in spite of a member whose sealing key is none', async () => {
    const { all, roster } = await people(3);
    const members = new Map(roster.members);
    const broken = all[1]!.person.user;
    members.set(broken, { ...members.get(broken)!, sealing: `01${'00'.repeat(31)}` as never });
    const { record, keys } = await keysBy(all[0]!.person, { ...roster, members }, KEY);
    expect(keys.sealed).toHaveLength(3);
    expect(await openKeys(all[1]!.opener, record, keys)).toBeUndefined();
    expect(await openKeys(all[2]!.opener, record, keys)).toBeDefined();
  });

  test('carries older keys for who has its key', async () => {
    const { all, roster } = await people(2);
    const older = [keyOf(2), keyOf(3)];
    const { record, keys } = await keysBy(all[0]!.person, roster, KEY, older);
    expect(olderIn(nativeCrypto, record, keys, KEY).map(({ id }) => id)).toEqual(
      older.map(({ id }) => id),
    );
    expect(olderIn(nativeCrypto, record, keys, keyOf(4))).toEqual([]);
    const copied = recordBy(all[1]!.person, { kind: 'keys', body: record.body });
    expect(olderIn(nativeCrypto, copied, keys, KEY)).toEqual([]);
  });

  test('of the largest channel, with all that it may carry, fits a record', async () => {
    const { roster } = await people(1);
    const member = [...roster.members.values()][0]!;
    const members = new Map(
      Array.from({ length: MEMBERS_PER_CHANNEL_MAX }, (_, i) => {
        const { user } = person(i + 1);
        return [user, { ...member, user }] as const;
      }),
    );
    const older = Array.from({ length: KEYS_CARRIED_MAX }, (_, i) => keyOf(i & 255));
    const { record } = await keysBy(FOUNDER, { ...roster, members }, KEY, older);
    expect(record.body.length).toBeGreaterThan(30_000);
    expect(keysIn(record)!.sealed).toHaveLength(MEMBERS_PER_CHANNEL_MAX);
  });

  test('that is malformed is none', () => {
    expect(keysIn(recordBy(FOUNDER, { kind: 'keys', body: new Uint8Array(3) }))).toBeUndefined();
    expect(codeOf(() => decodeKeys(new Uint8Array(3)))).toBe('bad_encoding');
    expect(keysIn(recordBy(FOUNDER))).toBeUndefined();
  });
});

test('both ports make the same keys', () => {
  const made = channelKey(portableCrypto, CHANNEL, KEY.secret);
  expect(made).toEqual({ ...KEY, hash: made.hash });
});
