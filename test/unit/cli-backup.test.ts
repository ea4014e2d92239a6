/**
 * `backup` and `restore` with real stores: while the node is up and offline,
 * what is refused, and a member of three that comes back from a backup.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/host.js';
import { decodeIdentity } from '../../src/cli/identity-file.js';
import { decodeHardState } from '../../src/core/layout.js';
import type { Store } from '../../src/core/store.js';
import { type Channel, levelStore, type Node } from '../../src/node/index.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import { realCli, startReal } from './fixtures/real-cli.js';
import {
  allEqual,
  Cluster,
  entriesOf,
  isHealthy,
  NOWHERE,
  patience,
  seed,
  statusWhen,
  together,
} from './node-cluster.js';

const cluster = new Cluster();
afterEach(() => cluster.stop());

const errorOf = ({ json }: { json: Record<string, unknown>[] }) => json.at(-1)?.error;

/** The directory of a new identity, and what an embedded node needs of it. */
async function identity(name: string): Promise<{ dir: string; store: string; own: Uint8Array }> {
  const dir = join(temporaryDir(), name);
  expect((await realCli(['init', '--dir', dir, '--name', name])).code).toBe(0);
  const file = decodeIdentity(readFileSync(join(dir, 'identity.json'), 'utf8'))!;
  if (file.sealed) throw new Error('no passphrase was given');
  return { dir, store: join(dir, 'store'), own: file.seed };
}

/** A channel of one with a few messages that are final. */
async function aChannelOfOne(name: string): Promise<{ dir: string; channel: string }> {
  const { dir, store, own } = await identity(name);
  const node = await cluster.levelNode(name, store, { seed: own });
  const [channel] = await together([node], [NOWHERE]);
  const sent = ['one', 'two', 'three'].map((text) => channel!.send(text));
  await Promise.all(sent.map((sending) => sending.until('final', patience())));
  await node.close();
  return { dir, channel: channel!.id };
}

describe('a backup', () => {
  test('offline and while the node is up is the same, and restores', async () => {
    const { dir, channel } = await aChannelOfOne('ann');
    const where = temporaryDir();
    const file = (name: string): string => join(where, name);
    const env = { CONCLAVE_PASSPHRASE: 'secret' };
    const offline = await realCli(['backup', '--dir', dir, file('offline')]);
    expect(offline.json).toMatchObject([{ file: file('offline'), encrypted: false }]);
    const again = await realCli(['backup', '--dir', dir, file('offline')]);
    expect([again.code, errorOf(again)]).toMatchObject([1, { code: 'exists' }]);
    expect((await realCli(['backup', '--dir', dir, '--force', file('offline')])).code).toBe(0);

    const up = startReal(['up', '--dir', dir]);
    await up.stdout.shows('"event":"up"');
    const live = await realCli(['backup', '--dir', dir, file('live')], env);
    expect(live.json).toMatchObject([{ encrypted: true }]);
    up.stop(new Interruption('SIGINT'));
    await up.done;
    expect(readdirSync(where).sort()).toEqual(['live', 'offline']);

    // The node that was up elected itself anew.
    const messagesIn = async (of: string) =>
      (await realCli(['log', '--dir', of, channel])).json.filter(({ kind }) => kind === 'message');
    const messages = await messagesIn(dir);
    expect(messages).toHaveLength(3);
    for (const name of ['offline', 'live']) {
      const to = join(where, `restored-${name}`);
      if (name === 'live') {
        mkdirSync(to);
        const locked = await realCli(['restore', '--dir', to, file(name)]);
        expect(errorOf(locked)).toMatchObject({ code: 'passphrase_needed' });
      }
      const restored = await realCli(['restore', '--dir', to, file(name)], env);
      expect(restored.json).toMatchObject([
        { name: 'ann', memory: 'lost', channels: [{ channel, entries: 3, final: 3 }] },
      ]);
      expect(await messagesIn(to)).toEqual(messages);
      expect((await realCli(['verify', '--dir', to])).code).toBe(0);
      const [status] = (await realCli(['status', '--dir', to, channel])).json;
      expect(status).toMatchObject({
        state: 'offline',
        waiting: { reason: expect.stringMatching(/^this node lost memory/) },
      });
      const [before] = (await realCli(['status', '--dir', dir, channel])).json;
      expect(before).toMatchObject({ state: 'offline', waiting: null });
      expect(readFileSync(join(to, 'identity.json'))).toEqual(
        readFileSync(join(dir, 'identity.json')),
      );
    }
  });

  test('is not restored over anything, nor from anything else', async () => {
    const { dir } = await aChannelOfOne('ann');
    const where = temporaryDir();
    const file = join(where, 'backup');
    await realCli(['backup', '--dir', dir, file]);
    const used = await realCli(['restore', '--dir', dir, file]);
    expect([used.code, errorOf(used)]).toMatchObject([1, { code: 'exists' }]);
    const to = join(where, 'to');
    const bytes = readFileSync(file);
    const tries: [string, Uint8Array][] = [
      ['not_a_backup', Buffer.from('something else')],
      ['backup_damaged', bytes.subarray(0, bytes.length - 30)],
      ['backup_newer', Buffer.from('conclave-backup 2\n')],
    ];
    for (const [code, content] of tries) {
      writeFileSync(file, content);
      expect(errorOf(await realCli(['restore', '--dir', to, file]))).toMatchObject({ code });
      // Neither the directory nor its draft.
      expect(readdirSync(where)).toEqual(['backup']);
    }
    expect(errorOf(await realCli(['restore', '--dir', to, `${file}x`]))).toMatchObject({
      code: 'io',
    });
    expect(existsSync(to)).toBe(false);
  });
});

/** Whether promises hold a vote of `user` for itself. Whom a node follows it promises not to vote against. */
function votesForItself(user: string, hard: Uint8Array): boolean {
  const { roster, online } = decodeHardState(hard);
  return [roster, online].some(({ votedFor }) => votedFor?.candidate === user);
}

/** A store that tells of what is acknowledged, and whether `user` stands, while its node has lost memory. */
function watched(
  user: string,
  store: Store,
): { store: Store; tooEarly: string[]; regained: () => boolean } {
  const tooEarly: string[] = [];
  const lost = new Set<string>();
  let regained = false;
  return {
    tooEarly,
    regained: () => regained,
    store: {
      get: (key) => store.get(key),
      getMany: (keys) => store.getMany(keys),
      range: (options) => store.range(options),
      close: () => store.close(),
      async write(ops, options) {
        if (lost.size === 0 && !regained) {
          for await (const [key] of store.range({ gte: 'c/', lt: 'c0' })) {
            if (key.endsWith('/forgotten')) lost.add(key);
          }
        }
        for (const { key, value } of ops) {
          if (value === undefined && lost.delete(key)) regained = true;
        }
        if (lost.size > 0) {
          for (const { key, value } of ops) {
            if (!value) continue;
            const stands = key.endsWith('/hard') && votesForItself(user, value);
            if (stands || /\/ack\/\w+$/.test(key)) tooEarly.push(key);
          }
        }
        await store.write(ops, options);
      },
    },
  };
}

test('a member of three from a backup asks before it votes, and sends nothing twice', async () => {
  const relay = await cluster.relay();
  const ann = await identity('ann');
  const catDir = await cluster.dir();
  const catSeed = seed();
  const open = (): Promise<Node> => cluster.levelNode('ann', ann.store, { seed: ann.own });
  let node = await open();
  const bob = await cluster.node('bob');
  let cat = await cluster.levelNode('cat', catDir, { seed: catSeed });
  const [first, bobs] = (await together([node, bob, cat], [relay.url])) as [Channel, Channel];
  const { id } = first;
  await first.send('before').until('final', patience());

  // With cat away nothing is placed: these stay in the outbox, and in the backup.
  await cat.close();
  await statusWhen(first, ({ state }) => state === 'waiting');
  await Promise.all(['waits 1', 'waits 2'].map((text) => first.send(text).stored));
  await node.close({ drainMs: 0 });
  const file = join(temporaryDir(), 'backup');
  expect((await realCli(['backup', '--dir', ann.dir, file])).code).toBe(0);

  // Life goes on: the messages become final, more follow, and ann stops for good.
  cat = await cluster.levelNode('cat', catDir, { seed: catSeed });
  node = await open();
  const own = node.channel(id);
  await statusWhen(own, ({ queued, sent }) => queued + sent === 0);
  await own.send('after the backup').until('final', patience());
  await bobs.send('an answer').until('final', patience());
  await allEqual([own, bobs, cat.channel(id)]);
  const known = (await entriesOf(own)).map(({ digest }) => digest);
  await node.close();
  await cat.close();

  const to = join(temporaryDir(), 'again');
  const restored = await realCli(['restore', '--dir', to, file]);
  expect(restored.json).toMatchObject([{ memory: 'lost', channels: [{ channel: id }] }]);
  const inside = watched(node.user, await levelStore(join(to, 'store'), { create: false })());
  const back = await cluster.node('ann', { store: inside.store, seed: ann.own });
  const again = back.channel(id);
  // One of two others is not enough.
  await statusWhen(again, ({ online }) => online.length === 2);
  const { waiting } = again.currentStatus();
  expect(waiting).toMatchObject({ need: 2, reason: expect.stringMatching(/lost memory/) });
  expect(inside.regained()).toBe(false);

  cat = await cluster.levelNode('cat', catDir, { seed: catSeed });
  await statusWhen(again, isHealthy);
  expect(inside.regained()).toBe(true);
  expect(inside.tooEarly).toEqual([]);
  await again.send('from the copy').until('final', patience());
  const channels = [again, bobs, cat.channel(id)];
  await allEqual(channels);
  for (const channel of channels) {
    const entries = await entriesOf(channel);
    const texts = entries.filter(({ kind }) => kind === 'message').map(({ text }) => text);
    expect(texts.toSorted()).toEqual(
      [
        ...['after the backup', 'an answer', 'before'],
        ...['from the copy', 'waits 1', 'waits 2'],
      ].toSorted(),
    );
    expect(entries.slice(0, known.length).map(({ digest }) => digest)).toEqual(known);
  }
  expect((await back.verify()).every(({ ok }) => ok)).toBe(true);
});
