/** A key is lost or stolen: real nodes over a relay (docs/PROTOCOL.md, section "Replaced keys"). */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import { decodeChecked, encodeChecked } from '../../src/node/checked-text.js';
import {
  type Channel,
  makeRecoveryKey,
  type Node,
  openNode,
  recoveryKeyOf,
} from '../../src/node/index.js';
import {
  allEqual,
  Cluster,
  entriesOf,
  patience,
  seed,
  statusWhen,
  textsOf,
  together,
} from './node-cluster.js';

const hash = nativeCrypto.sha256;
const WORD = 'conclave-replace';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster.stop());

const error = (code: string, message = /./) =>
  expect.objectContaining({ name: 'ConclaveError', code, message: expect.stringMatching(message) });

async function team(...names: string[]): Promise<{ nodes: Node[]; channels: Channel[] }> {
  const relay = await cluster.relay();
  const nodes: Node[] = [];
  for (const name of names) nodes.push(await cluster.node(name));
  return { nodes, channels: await together(nodes, [relay.url], { minOnline: 1 }) };
}

const rolesOf = (channel: Channel): string[] =>
  channel.members.list().map(({ name, role }) => `${name} ${role}`);

describe('a key is replaced', () => {
  test('by an admin: the new one is what the old one was, reads all, and the old one is out', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann, bob, cat] = channels as [Channel, Channel, Channel];
    const old = nodes[1]!.user;
    await bob.send('from the first bob').until('final', patience());
    const device = await cluster.node('bob anew');
    const request = device.requestReplacement({ channel: ann.id, user: old });
    await expect(cat.members.replace(old, request, patience())).rejects.toThrow(
      error('not_allowed', /only the founder, an admin or the member's recovery key/),
    );
    const invite = await ann.members.replace(old, request, patience());
    // The relay takes nothing from the old key, and nobody else does.
    const late = bob.send('from a thief');
    await expect(late.until('final', patience())).rejects.toThrow(error('removed'));
    const back = await device.join(invite, patience());
    await back.send('from the new one').until('final', patience());
    const roster = ['ann founder', 'cat member', 'bob anew member'];
    for (const channel of [ann, cat, back]) {
      await statusWhen(channel, () => String(rolesOf(channel)) === String(roster));
    }
    expect(await allEqual([ann, cat, back])).toBeTruthy();
    expect(await textsOf(back)).toEqual(['from the first bob', 'from the new one']);
    const entries = await entriesOf(cat);
    const first = entries.find((e) => e.text === 'from the first bob');
    expect(first).toMatchObject({ from: old, name: 'bob', fromReplacedBy: device.user });
    expect(entries.find((e) => e.text === 'from the new one')).not.toHaveProperty('fromReplacedBy');
    expect(entries.find((e) => e.kind === 'replace')).toMatchObject({
      name: 'ann',
      member: { user: old, name: 'bob' },
      replacement: { user: device.user, name: 'bob anew' },
    });
    const listed = cat.members.list().find(({ user }) => user === device.user);
    expect(listed?.replaces).toEqual([old]);
    // Once more gives a way in, and changes nothing.
    const { final } = ann.currentStatus();
    expect(await ann.members.replace(old, request, patience())).toMatch(/^conclave-invite\./);
    expect(ann.currentStatus().final).toBe(final);
    // A removal of the old key is one of the new.
    await ann.members.remove(old, patience());
    expect(rolesOf(ann)).toEqual(['ann founder', 'cat member']);
  });

  test("by its recovery key, whoever hands it in: the founder's too", async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann, bob] = channels as [Channel, Channel];
    const { secret, key } = makeRecoveryKey();
    expect(recoveryKeyOf(secret)).toBe(key);
    await ann.members.setRecoveryKey(key, patience());
    await statusWhen(bob, () => bob.members.list()[0]!.recoverable === true);
    // A thief of the founder's key can't put its own in the place of that.
    const own = makeRecoveryKey();
    await expect(ann.members.setRecoveryKey(own.key, patience())).rejects.toThrow(
      error('not_allowed', /signature of the one before/),
    );
    const thief = await cluster.node('thief');
    const theirs = { channel: ann.id, user: ann.members.list()[0]!.user };
    const unsigned = thief.requestReplacement(theirs);
    const signed = thief.requestReplacement({ ...theirs, recovery: own.secret });
    for (const request of [unsigned, signed]) {
      await expect(ann.members.replace(nodes[0]!.user, request, patience())).rejects.toThrow(
        error('not_allowed', /recovery key/),
      );
    }
    const device = await cluster.node('ann anew');
    const request = device.requestReplacement({ ...theirs, recovery: secret });
    const invite = await bob.members.replace(nodes[0]!.user, request, patience());
    const back = await device.join(invite, patience());
    expect(rolesOf(back)).toEqual(['bob member', 'cat member', 'ann anew founder']);
    await back.members.setRole(nodes[1]!.user, 'admin', patience());
    // The recovery key stays, and another one follows with its signature.
    await back.members.setRecoveryKey(own.key, { previous: secret, ...patience() });
    expect(rolesOf(back)).toEqual(['bob admin', 'cat member', 'ann anew founder']);
  });

  test('of two, the one who votes: it gives the other a vote first, who hands over the log, and all go on', async () => {
    const { nodes, channels } = await team('ann', 'bob');
    const [ann, bob] = channels as [Channel, Channel];
    const { secret, key } = makeRecoveryKey();
    await ann.send('before').until('final', patience());
    await ann.members.setRecoveryKey(key, patience());
    await statusWhen(bob, () => bob.members.list()[0]!.recoverable === true);
    const device = await cluster.node('ann anew');
    const asked = { channel: ann.id, user: nodes[0]!.user, recovery: secret };
    const request = device.requestReplacement(asked);
    await expect(bob.members.replace(nodes[0]!.user, request, patience())).rejects.toThrow(
      error('not_allowed', /another gets a vote first/),
    );
    const invite = await ann.members.replace(nodes[0]!.user, request, patience());
    const back = await device.join(invite, patience());
    await back.send('after').until('final', patience());
    await allEqual([bob, back]);
    expect(await textsOf(bob)).toEqual(['before', 'after']);
    expect(rolesOf(back)).toEqual(['bob member', 'ann anew founder']);
    // Once there is a third, the new key votes again.
    const third = await cluster.node('cat');
    const cat = await third.join(await back.members.invite(patience()), patience());
    await nodes[1]!.close();
    await cat.send('without bob').until('final', patience());
  });

  test('of one alone is refused: nobody who holds the log would be left', async () => {
    const { nodes, channels } = await team('ann');
    const [ann] = channels as [Channel];
    const { secret, key } = makeRecoveryKey();
    await ann.members.setRecoveryKey(key, patience());
    const device = await cluster.node('ann anew');
    const asked = { channel: ann.id, user: nodes[0]!.user, recovery: secret };
    const request = device.requestReplacement(asked);
    await expect(ann.members.replace(nodes[0]!.user, request, patience())).rejects.toThrow(
      error('not_allowed', /nobody who holds the log/),
    );
  });

  test('with a request for another channel, another user, or no whole one: refused before it is sent', async () => {
    const { nodes, channels } = await team('ann', 'bob', 'cat');
    const [ann] = channels as [Channel];
    const device = await cluster.node('anew');
    const user = nodes[1]!.user;
    const other = await nodes[0]!.create({ name: 'other', relays: [(await cluster.relay()).url] });
    const replace = (request: string, whom = user) =>
      ann.members.replace(whom, request, patience());
    const elsewhere = device.requestReplacement({ channel: other.id, user });
    await expect(replace(elsewhere)).rejects.toThrow(
      error('bad_replace_request', /for another channel/),
    );
    const right = device.requestReplacement({ channel: ann.id, user });
    await expect(replace(right, nodes[2]!.user)).rejects.toThrow(
      error('bad_replace_request', new RegExp(`place of ${user}, not of`)),
    );
    for (const part of [right.slice(0, -3), right.slice(3), 'conclave-invite.AAAA', '']) {
      await expect(replace(part)).rejects.toThrow(error('bad_replace_request', /whole request/));
    }
    const bytes = decodeChecked(hash, WORD, right, (r) => [r.bytes(1_024), r.raw(64), r.raw(64)]);
    const [asked, userSig, none] = bytes.map((b) => b.slice()) as [Uint8Array, ...Uint8Array[]];
    userSig![9]! ^= 1;
    const forged = encodeChecked(hash, WORD, (w) => w.bytes(asked).raw(userSig!).raw(none!));
    await expect(replace(forged)).rejects.toThrow(error('bad_replace_request', /whole request/));
    expect(() => nodes[1]!.requestReplacement({ channel: ann.id, user })).toThrow(
      error('same_user'),
    );
    expect(() =>
      device.requestReplacement({ channel: ann.id, user, recovery: 'conclave-recovery.AA' }),
    ).toThrow(error('bad_recovery_key', /whole recovery key/));
  });
});

test('what a thief wrote in a partition is withheld once the key is replaced on the other side', async () => {
  const relay = await cluster.relay();
  const proxy = await cluster.proxy(relay);
  const nodes = [await cluster.node('ann'), await cluster.node('bob')];
  const stolen = seed();
  const store: Store = memoryStore();
  const options = { store, identity: { seed: stolen, name: 'cat' }, relays: [proxy.url] };
  const cat = await openNode(options);
  cluster.onStop(() => cat.close({ drainMs: 0 }));
  nodes.push(cat);
  const channels = await together(nodes, [relay.url], { minOnline: 1 });
  const [ann, bob, thief] = channels as [Channel, Channel, Channel];
  await thief.send('from cat').until('final', patience());
  proxy.cut();
  const late = thief.send('from the thief');
  await late.until('committed', patience()).catch(() => undefined);
  const device = await cluster.node('cat anew');
  const request = device.requestReplacement({ channel: ann.id, user: cat.user });
  const invite = await ann.members.replace(cat.user, request, patience());
  const back = await device.join(invite, patience());
  await back.send('from cat anew').until('final', patience());
  proxy.mend();
  await expect(late.until('final', patience())).rejects.toThrow(error('removed'));
  await allEqual([ann, bob, back]);
  for (const channel of [ann, bob, back]) {
    expect(await textsOf(channel)).toEqual(['from cat', 'from cat anew']);
  }
  const status = await statusWhen(thief, ({ departure }) => departure !== undefined);
  expect(status.state).toBe('removed');
  expect(status.departure).toEqual({
    ...{ how: 'replaced', by: { user: ann.members.list()[0]!.user, name: 'ann' } },
    ...{ time: expect.any(Number), replacedBy: device.user },
  });
});
