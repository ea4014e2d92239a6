/** Two people and an archive: a healthy channel with two of them, and an archive that gives back what it never read. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { hex } from '../../src/core/ids.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Channel, ChannelStatus } from '../../src/node/index.js';
import {
  Cluster,
  isHealthy,
  NOWHERE,
  patience,
  seed,
  statusWhen,
  textsOf,
} from './node-cluster.js';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster.stop());

const says = (channel: Channel, text: string) => channel.send(text).until('final', patience());
const invited = (by: Channel, archive = false) => by.members.invite({ archive, ...patience() });

test('two people wait for a third member, and an archive is one that makes two enough', async () => {
  const relay = await cluster.relay();
  const [a, b] = [await cluster.node('ann'), await cluster.node('bob')];
  const ann = await a.create({ name: 'team', relays: [relay.url], minOnline: 2 });
  const bob = await b.join(await invited(ann), patience());
  const { waiting } = await statusWhen(ann, (s) => s.online.length === 2 && s.waiting !== null);
  expect(waiting).toMatchObject({ need: 3, have: 2, reason: expect.stringMatching('archive') });

  const dir = await cluster.dir();
  const own = { seed: seed(), archive: true };
  const first = await cluster.levelNode('keeper', dir, own);
  const kept = await first.join(await invited(ann, true), patience());
  expect(ann.members.list().map(({ name, archive }) => [name, archive])).toEqual([
    ['ann', undefined],
    ['bob', undefined],
    ['keeper', true],
  ]);
  expect([kept.currentStatus().archive, ann.currentStatus().archive]).toEqual([true, undefined]);
  await says(ann, 'all three');

  // One person away: the other goes on with the archive, which is started anew in between.
  await b.close({ drainMs: 0 });
  await says(ann, 'bob is away');
  await first.close({ drainMs: 0 });
  const again = await cluster.levelNode('keeper', dir, own);
  expect(again.channels().map(({ id, name }) => [id, name])).toEqual([[ann.id, '']]);
  await says(ann, 'the archive was away too');
  await statusWhen(ann, isHealthy);
  const late = await invited(ann);
  const newcomer = await (await cluster.node('cat')).join(late, patience());
  expect(await textsOf(newcomer)).toEqual(['all three', 'bob is away', 'the archive was away too']);
  expect(bob.id).toBe(ann.id);
});

/** A seed whose user is the first of all, in the order in which members stand in for a leader. */
function firstSeed(others: readonly string[]): Uint8Array {
  for (;;) {
    const own = seed();
    const user = hex(nativeCrypto.ed25519PublicKey(own));
    if (others.every((other) => user < other)) return own;
  }
}

test('who joins while an archive leads can read the history once it is a member', async () => {
  const relay = await cluster.relay();
  const [dir, own] = [await cluster.dir(), seed()];
  const first = await cluster.levelNode('ann', dir, { seed: own });
  const founded = await first.create({ name: 'team', relays: [relay.url], minOnline: 2 });
  const kept: Channel[] = [];
  for (const name of ['keeper', 'vault']) {
    const keeper = await cluster.node(name, { archive: true });
    kept.push(await keeper.join(await invited(founded, true), patience()));
  }
  await says(founded, 'before');
  await first.close({ drainMs: 0 });
  // One of them leads now, and goes on to when the reader is back.
  const isLed = ({ leader, state }: ChannelStatus): boolean =>
    leader !== null && leader !== first.user && state === 'healthy';
  await statusWhen(kept[0]!, isLed);
  const ann = (await cluster.levelNode('ann', dir, { seed: own })).channels()[0]!;
  await statusWhen(ann, isLed);

  const newcomer = await cluster.node('cat', { seed: firstSeed([first.user]) });
  const cat = await newcomer.join(await invited(ann), patience());
  expect(await textsOf(cat)).toEqual(['before']);
});

test('who joins while only an archive is up is a member, and reads once a reader is back', async () => {
  const relay = await cluster.relay();
  const [dir, own] = [await cluster.dir(), seed()];
  const first = await cluster.levelNode('ann', dir, { seed: own });
  const founded = await first.create({ name: 'team', relays: [relay.url], minOnline: 2 });
  const keeper = await cluster.node('keeper', { archive: true });
  const kept = await keeper.join(await invited(founded, true), patience());
  await says(founded, 'before');
  const invite = await invited(founded);
  await statusWhen(kept, ({ final }) => final === founded.currentStatus().final);
  await first.close({ drainMs: 0 });
  const joining = (await cluster.node('bob')).join(invite, patience());
  const ann = await cluster.levelNode('ann', dir, { seed: own });
  expect(ann.channels()).toHaveLength(1);
  const shown: string[] = [];
  for await (const event of (await joining).read({ live: true, ...patience() })) {
    const isMessage = 'entry' in event && event.entry.kind === 'message';
    if (isMessage) shown.push(`${event.type} ${event.entry.text}`);
    if (shown.some((line) => line.endsWith('before'))) break;
  }
  expect(shown.at(-1)).toMatch(/^(entry|opened) before$/);
});

test('what one wrote while the other was away, the archive hands on alone', async () => {
  const relay = await cluster.relay();
  const [dirB, own] = [await cluster.dir(), seed()];
  const a = await cluster.node('ann');
  const ann = await a.create({ name: 'team', relays: [relay.url], minOnline: 2 });
  const b = await cluster.levelNode('bob', dirB, { seed: own });
  await b.join(await invited(ann), patience());
  const keeper = await cluster.node('keeper', { archive: true });
  await keeper.join(await invited(ann, true), patience());
  await says(ann, 'one');
  await b.close({ drainMs: 0 });
  await says(ann, 'two');
  await a.close({ drainMs: 0 });
  const back = (await cluster.levelNode('bob', dirB, { seed: own })).channels()[0]!;
  await says(back, 'three');
  expect(await textsOf(back)).toEqual(['one', 'two', 'three']);
});

test('an archive founds nothing, manages nothing, and joins by its own invitations alone', async () => {
  const relay = await cluster.relay();
  const ann = await (await cluster.node('ann')).create({ name: 'x', relays: [relay.url] });
  const keeper = await cluster.node('keeper', { archive: true });
  const reader = await cluster.node('bob');
  const own = { name: 'x', relays: [NOWHERE] };
  await expect(keeper.create(own)).rejects.toMatchObject({ code: 'not_allowed' });
  const [forReader, forArchive] = [await invited(ann), await invited(ann, true)];
  await expect(keeper.join(forReader)).rejects.toMatchObject({ code: 'invite_for_reader' });
  await expect(reader.join(forArchive)).rejects.toMatchObject({ code: 'invite_for_archive' });
  await keeper.join(forArchive, patience());
  const asAdmin = ann.members.setRole(keeper.user, 'admin', patience());
  await expect(asAdmin).rejects.toMatchObject({
    code: 'not_allowed',
    message: expect.stringMatching('manages nothing'),
  });
});

test('an archive whose key is lost gets another, as an archive and nothing else', async () => {
  const relay = await cluster.relay();
  const ann = await (await cluster.node('ann')).create({
    ...{ name: 'x', relays: [relay.url], minOnline: 2 },
  });
  const bob = await (await cluster.node('bob')).join(await invited(ann), patience());
  const first = await cluster.node('keeper', { archive: true });
  await first.join(await invited(ann, true), patience());
  await says(ann, 'kept');
  await first.close({ drainMs: 0 });

  const asked = { channel: ann.id, user: first.user };
  const reader = await cluster.node('reader');
  const asReader = reader.requestReplacement(asked);
  await expect(ann.members.replace(first.user, asReader, patience())).rejects.toMatchObject({
    code: 'not_allowed',
    message: expect.stringMatching('that of an archive'),
  });
  const second = await cluster.node('keeper anew', { archive: true });
  const invite = await ann.members.replace(
    first.user,
    second.requestReplacement(asked),
    patience(),
  );
  await expect(reader.join(invite)).rejects.toMatchObject({ code: 'invite_for_another' });
  const kept = await second.join(invite, patience());
  await says(bob, 'kept again');
  await statusWhen(kept, ({ final }) => final === ann.currentStatus().final);
  expect(ann.members.list().map(({ name, archive }) => [name, archive])).toEqual([
    ['ann', undefined],
    ['bob', undefined],
    ['keeper anew', true],
  ]);
});

test('a node that reads a channel is not opened as an archive', async () => {
  const [dir, own] = [await cluster.dir(), seed()];
  const node = await cluster.levelNode('ann', dir, { seed: own });
  await node.create({ name: 'x', relays: [NOWHERE] });
  await node.close({ drainMs: 0 });
  const opened = cluster.levelNode('ann', dir, { seed: own, archive: true });
  await expect(opened).rejects.toMatchObject({ code: 'not_archive' });
});
