/** End to end: who can read what, over real relays and stores (docs/PROTOCOL.md, section "Encryption"). */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { Writer } from '../../src/core/bytes.js';
import { after, channelKeys, decodeEntry } from '../../src/core/layout.js';
import { memoryStore } from '../../src/core/memory-store.js';
import { encodeRecord } from '../../src/core/record.js';
import type { Store } from '../../src/core/store.js';
import type { NodeChannel } from '../../src/node/channel.js';
import {
  type Channel,
  type ChannelEntry,
  levelStore,
  type Node,
  type ReadEvent,
} from '../../src/node/index.js';
import { builtCli } from './fixtures/built-cli.js';
import { hash } from './fixtures/channel.js';
import { Collected, temporaryDir } from './fixtures/cli-harness.js';
import { filesIn, inMemory } from './fixtures/leaks.js';
import {
  allEqual,
  Cluster,
  entriesOf,
  isHealthy,
  patience,
  seed,
  statusWhen,
  textsOf,
  together,
} from './node-cluster.js';

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

const inner = (channel: Channel): NodeChannel => channel as NodeChannel;
const messagesOf = async (channel: Channel): Promise<ChannelEntry[]> =>
  (await entriesOf(channel)).filter(({ kind }) => kind === 'message');
const says = async (channel: Channel, text: string): Promise<void> => {
  await channel.send(text).until('final', patience());
};

/** Resolves once the channel shows `count` messages, none of them sealed. */
async function readable(channel: Channel, count: number): Promise<string[]> {
  const { signal } = patience();
  for (;;) {
    const { version } = inner(channel).changes;
    const all = await messagesOf(channel);
    if (all.length >= count && all.every(({ text }) => text !== undefined)) {
      return all.map(({ text }) => text!);
    }
    await inner(channel).changes.next(version, signal);
  }
}

async function keysIn(channel: Channel): Promise<number> {
  return (await entriesOf(channel)).filter(({ kind }) => kind === 'keys').length;
}

/** The raw records of a channel's log. */
async function recordsIn(store: Store, channel: Channel) {
  const keys = channelKeys(channel.id);
  const records = [];
  for await (const [, value] of store.range({ gte: keys.logs, lt: after(keys.logs) })) {
    records.push(decodeEntry(hash, value).record);
  }
  return records;
}

describe('a newcomer', () => {
  async function three(history: 'all' | 'joined') {
    const relay = await cluster.relay();
    const nodes = await Promise.all(['a', 'b', 'c'].map((name) => cluster.node(name)));
    const channels = await together(nodes, [relay.url], { history });
    for (const [i, channel] of channels.entries()) await says(channel, `before ${i}`);
    await channels[1]!.rotateKey(patience());
    await says(channels[2]!, 'before 3');
    return channels;
  }

  test('reads all that was written before it, under any key, by the default policy', async () => {
    const channels = await three('all');
    const before = await textsOf(channels[0]!);
    expect(before).toHaveLength(4);
    const invite = await channels[0]!.members.invite(patience());
    const late = await (await cluster.node('late')).join(invite, patience());
    expect(await textsOf(late)).toEqual(before);
    await says(late, 'hello');
    expect(await readable(channels[1]!, 5)).toEqual([...before, 'hello']);
  });

  test('reads only what comes after it, by the policy that says so', async () => {
    const channels = await three('joined');
    const invite = await channels[0]!.members.invite(patience());
    const late = await (await cluster.node('late')).join(invite, patience());
    await says(channels[1]!, 'after');
    await allEqual([channels[1]!, late]);
    const seen = await messagesOf(late);
    expect(seen.map(({ text, sealed }) => text ?? sealed)).toEqual([
      ...[true, true, true, true],
      'after',
    ]);
    expect(seen.every((entry) => !('text' in entry) || entry.text === 'after')).toBe(true);
  });

  test('sees what it was shown sealed once its key comes, where it stood', async () => {
    const relay = await cluster.relay();
    const nodes = await Promise.all(['a', 'b'].map((name) => cluster.node(name)));
    const channels = await together(nodes, [relay.url], { minOnline: 2 });
    await says(channels[0]!, 'one');
    await says(channels[1]!, 'two');
    // What a third member's store would show had it no key yet: the same log, and no receiver.
    const stranger = await cluster.node('late');
    const invite = await channels[0]!.members.invite(patience());
    const events: ReadEvent[] = [];
    const over = new AbortController();
    const late = inner(await stranger.join(invite, patience()));
    let withheld = true;
    const { bodies } = late;
    const open = bodies.open.bind(bodies);
    const has = bodies.has.bind(bodies);
    bodies.has = (id) => !withheld && has(id);
    bodies.open = (record) => {
      const opened = open(record);
      if (!withheld || opened.is !== 'open') return opened;
      return { is: 'sealed', key: Buffer.from(record.body.subarray(0, 16)).toString('hex') };
    };
    const reading = (async () => {
      for await (const event of late.read({ live: true, signal: over.signal })) {
        if (event.type !== 'merged' && 'entry' in event && event.entry.kind === 'message') {
          events.push(event);
          late.changes.notify();
        }
      }
    })();
    const { signal } = patience();
    while (events.length < 2) await late.changes.next(late.changes.version, signal);
    expect(events.map((e) => 'entry' in e && [e.type, e.entry.sealed, e.entry.text])).toEqual([
      ['entry', true, undefined],
      ['entry', true, undefined],
    ]);
    withheld = false;
    late.changes.notify();
    while (events.length < 4) await late.changes.next(late.changes.version, signal);
    over.abort();
    await reading;
    const [first, second, ...opened] = events as Extract<ReadEvent, { type: 'entry' }>[];
    expect(opened.map((e) => [e.type, e.entry.seq, e.entry.text, e.entry.sealed])).toEqual([
      ['opened', first!.entry.seq, 'one', undefined],
      ['opened', second!.entry.seq, 'two', undefined],
    ]);
    for (const { cursor } of opened)
      expect(Number(cursor)).toBeGreaterThanOrEqual(Number(second!.cursor));
  });
});

describe('a removed member', () => {
  test('can not read what comes after, even when it is handed the ciphertexts', async () => {
    const relay = await cluster.relay();
    const store = memoryStore();
    const [a, b, c] = [
      await cluster.node('a', { store }),
      await cluster.node('b'),
      await cluster.node('c'),
    ];
    const [alice, bob, carol] = (await together([a, b, c], [relay.url], { minOnline: 1 })) as [
      Channel,
      Channel,
      Channel,
    ];
    await says(carol, 'before');
    await readable(carol, 1);
    const keysBefore = await keysIn(alice);
    await alice.members.remove(c.user, patience());
    // It has changed: `remove` waits for that.
    expect(await keysIn(alice)).toBeGreaterThan(keysBefore);
    await says(alice, 'after, of alice');
    await says(bob, 'after, of bob');
    const records = (await recordsIn(store, alice)).filter(({ kind }) => kind === 'message');
    const [opened, ...sealed] = records.map((record) => inner(carol).bodies.open(record).is);
    expect(opened).toBe('open');
    expect(sealed).toEqual(['sealed', 'sealed']);
    // Nor does any keys record behind the removal give it a key.
    await inner(carol).bodies.learnOf(await recordsIn(store, alice));
    expect(records.map((record) => inner(carol).bodies.open(record).is)).toEqual([
      ...['open', 'sealed', 'sealed'],
    ]);
    expect(await readable(bob, 3)).toEqual(['before', 'after, of alice', 'after, of bob']);
  });
});

describe('two sides of a partition', () => {
  test('each make a key, write under it, and read all once they meet', async () => {
    const relays = [await cluster.relay(), await cluster.relay()] as const;
    const sides = await Promise.all(
      [0, 1].map(
        async () => [await cluster.proxy(relays[0]), await cluster.proxy(relays[1])] as const,
      ),
    );
    const nodes = await Promise.all(
      [0, 0, 1, 1, 1].map((side, i) =>
        cluster.node(`n${i}`, { relays: sides[side]!.map(({ url }) => url) }),
      ),
    );
    const urls = relays.map(({ url }) => url);
    const channels = await together(nodes, urls, { minOnline: 2 });
    await says(channels[0]!, 'before');
    await allEqual(channels);
    const keys = await keysIn(channels[0]!);
    sides[0]![1].cut();
    sides[1]![0].cut();
    await statusWhen(channels[0]!, ({ epoch }) => epoch?.kind === 'online');
    await statusWhen(channels[2]!, (s) => isHealthy(s) && s.epoch?.kind === 'roster');
    // Final only once the network is whole; its maker writes under it at once.
    const rotating = channels[0]!.rotateKey(patience());
    await channels[3]!.rotateKey(patience());
    await statusWhen(channels[0]!, () => inner(channels[0]!).state.outbox.size > 0);
    await channels[0]!.send('few').until('committed', patience());
    await says(channels[3]!, 'many');
    await statusWhen(channels[1]!, ({ committed }) => committed === 1);
    // Its neighbour learns the key from what is not final.
    expect(await readable(channels[1]!, 2)).toEqual(['before', 'few']);
    expect(await readable(channels[4]!, 2)).toEqual(['before', 'many']);
    sides[0]![1].mend();
    sides[1]![0].mend();
    await rotating;
    const all = await readable(channels[0]!, 3);
    expect(all.toSorted()).toEqual(['before', 'few', 'many']);
    for (const channel of channels) expect(await readable(channel, 3)).toEqual(all);
    expect(await keysIn(channels[0]!)).toBe(keys + 2);
    // One who joins now reads what both sides wrote.
    const invite = await channels[0]!.members.invite(patience());
    const late = await (await cluster.node('late')).join(invite, patience());
    expect(await readable(late, 3)).toEqual(all);
  });
});

describe('messages', () => {
  async function alone(): Promise<{ node: Node; channel: NodeChannel; store: Store }> {
    const store = memoryStore();
    const relay = await cluster.relay();
    const node = await cluster.node('a', { store });
    const [channel] = await together([node], [relay.url]);
    return { node, channel: inner(channel!), store };
  }

  test('keep their order while a key is made, and while members change', async () => {
    const relay = await cluster.relay();
    const nodes = await Promise.all(['a', 'b', 'c'].map((name) => cluster.node(name)));
    const channels = await together(nodes, [relay.url], { minOnline: 1 });
    const [alice] = channels;
    const expected: string[] = [];
    const pending: Promise<unknown>[] = [];
    const write = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const text = String(expected.length);
        expected.push(text);
        pending.push(alice!.send(text).until('final', patience()));
      }
    };
    write(20);
    const removing = alice!.members.remove(nodes[2]!.user, patience());
    let isRemoved = false;
    void removing.then(() => {
      isRemoved = true;
    });
    while (!isRemoved) {
      write(1);
      await Promise.race([pending.at(-1), removing]);
    }
    await removing;
    write(20);
    await Promise.all(pending);
    expect(await textsOf(alice!)).toEqual(expected);
  });

  test('that are not encrypted are shown without their text, and marked', async () => {
    const { node, channel } = await alone();
    await says(channel, 'sealed');
    const token = 1_000_000;
    const body = new TextEncoder().encode('\u0081\u00a1t\u00a5plain');
    // As a member that does not keep the rule does it.
    const pump = (node as unknown as { input(input: object): void }).input.bind(node);
    pump({
      type: 'submit',
      channel: channel.id,
      token,
      submissions: [{ kind: 'message', id: '01HF0000000000000000000000', time: 1, body }],
    });
    await statusWhen(channel, () => channel.state.outbox.size === 0);
    await statusWhen(channel, ({ final }) => final >= 4);
    const [good, bad] = await messagesOf(channel);
    expect(good).toMatchObject({ text: 'sealed' });
    expect(bad).toMatchObject({ plain: true, from: node.user });
    expect(bad).not.toHaveProperty('text');
  });

  test('survive a restart, by the identity alone: no key is stored', async () => {
    const relay = await cluster.relay();
    const own = seed();
    const dir = await cluster.dir();
    const node = await cluster.levelNode('a', dir, { seed: own });
    const [channel] = await together([node], [relay.url]);
    await says(channel!, 'one');
    await channel!.rotateKey(patience());
    await says(channel!, 'two');
    await node.close();
    const again = await cluster.levelNode('a', dir, { seed: own, offline: true });
    expect(await textsOf(again.channel(channel!.id))).toEqual(['one', 'two']);
    const [{ id }] = (await messagesOf(again.channel(channel!.id))) as [ChannelEntry];
    expect(await again.channel(channel!.id).explain(id)).toMatchObject([{ text: 'one' }]);
  });

  test('are read whatever the note says of where keys stand', async () => {
    const relay = await cluster.relay();
    const own = seed();
    const dir = await cluster.dir();
    const node = await cluster.levelNode('a', dir, { seed: own });
    const [channel] = await together([node], [relay.url]);
    await says(channel!, 'one');
    await channel!.rotateKey(patience());
    await says(channel!, 'two');
    await node.close();
    const noted = (seen: number, ...seqs: number[]): Uint8Array => {
      const w = new Writer(64).u64(seen);
      return w.list(seqs, (seq) => w.u64(seq)).done();
    };
    const notes = [undefined, noted(99), noted(3, 1), noted(1, 70), new Uint8Array(3), noted(0)];
    for (const value of notes) {
      const store = await levelStore(dir)();
      const key = `node/keyed/${channel!.id}/0`;
      await store.write([value ? { key, value } : { key }], { sync: true });
      await store.close();
      const again = await cluster.levelNode('a', dir, { seed: own });
      expect(await textsOf(again.channel(channel!.id))).toEqual(['one', 'two']);
      await again.close();
    }
  });

  test('in the outbox are encrypted too', async () => {
    const store = memoryStore();
    const node = await cluster.node('a', { store });
    const relay = await cluster.relay();
    const channel = await node.create({ name: 'x', relays: [relay.url], minOnline: 3 });
    await channel.send(MARK).stored;
    expect(await textsOf(channel)).toEqual([MARK]);
    for await (const [key, value] of store.range({ gte: '', lt: '\u{10ffff}' })) {
      expect(Buffer.from(value).includes(MARK), key).toBe(false);
    }
  });

  test('whose records were swapped, or whose header was changed, do not open', async () => {
    const { channel, store } = await alone();
    await says(channel, 'one');
    await says(channel, 'two');
    const [one, two] = (await recordsIn(store, channel)).filter(({ kind }) => kind === 'message');
    const swapped = encodeRecord(hash, { ...one!, body: two!.body });
    expect(channel.bodies.open(swapped)).toEqual({ is: 'sealed', key: null });
    expect(channel.bodies.open(encodeRecord(hash, { ...one!, time: 7 })).is).toBe('sealed');
    expect(channel.bodies.open(one!).is).toBe('open');
  });
});

test('a key that is asked for is final when that returns, and an archive makes none', async () => {
  const relay = await cluster.relay();
  const [a, b] = [await cluster.node('a'), await cluster.node('b', { archive: true })];
  const [alice] = await together([a], [relay.url], { minOnline: 2, few: 'archive' });
  const archive = await b.join(await alice!.members.invite({ archive: true, ...patience() }));
  await says(alice!, 'one');
  const before = await keysIn(alice!);
  await alice!.rotateKey(patience());
  expect(await keysIn(alice!)).toBe(before + 1);
  await expect(archive.rotateKey(patience())).rejects.toMatchObject({ code: 'no_key' });
  await expect(archive.send('x').stored).rejects.toMatchObject({ code: 'no_key' });
});

const MARK = 'MARK-of-a-text-b7d1e0';
const NAME = 'MARK-of-a-name-94c2f3';
const MARKS = [MARK, NAME];

/** A way to a relay that keeps every byte. */
async function tapped(url: string): Promise<{ url: string; bytes: Buffer[] }> {
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  const port = Number(/:(\d+)$/.exec(url)![1]);
  const server = createServer((inside) => {
    const outside = createConnection({ host: '127.0.0.1', port });
    for (const [from, to] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      from.on('data', (chunk) => bytes.push(chunk));
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: url.replace(/:\d+$/, `:${(server.address() as AddressInfo).port}`), bytes };
}

test('neither text nor name is on the wire, in the relay, or with a member that holds no key', async () => {
  const dir = temporaryDir();
  const argv = ['relay', '--listen', '127.0.0.1:0', '--json', '--dir', join(dir, 'relay')];
  const child = spawn(process.execPath, [builtCli(), ...argv], {
    env: { ...process.env, CONCLAVE_LOG: 'debug' },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [out, err] = [new Collected(), new Collected()];
  child.stdout.pipe(out);
  child.stderr.pipe(err);
  await out.shows('\n');
  const { url, bytes } = await tapped(out.json[0]!.url as string);

  const archiveDir = join(dir, 'archive');
  const [a, b] = [await cluster.node('alice-in-clear'), await cluster.node('b')];
  const archive = await cluster.levelNode('archive', archiveDir, { archive: true });
  const alice = await a.create({ name: NAME, relays: [url], minOnline: 2 });
  const bob = await b.join(await alice.members.invite(patience()), patience());
  const unnamed = await alice.members.invite({ archive: true, ...patience() });
  const kept = await archive.join(unnamed, patience());
  await says(alice, `${MARK} of alice`);
  await says(bob, `${MARK} of bob`);
  await alice.rotateKey(patience());
  await says(alice, `${MARK} under another key`);
  await allEqual([alice, bob, kept]);
  expect(await textsOf(bob)).toHaveLength(3);
  expect((await messagesOf(kept)).map(({ sealed, text }) => [sealed, text])).toEqual(
    Array.from({ length: 3 }, () => [true, undefined]),
  );
  expect(kept.name).toBe('');
  expect(await archive.verify()).toMatchObject([{ ok: true, final: 3 }]);

  const wire = Buffer.concat(bytes);
  // The tap sees what is there to be seen: names of members, and the channel's name as it is allowed.
  expect(wire.includes('alice-in-clear')).toBe(true);
  const sealedName = Buffer.from(inner(alice).state.sealedName);
  expect(sealedName.length).toBeGreaterThan(NAME.length);
  expect(wire.includes(sealedName)).toBe(true);
  expect(sealedName.equals(Buffer.from(inner(bob).state.sealedName))).toBe(false);
  for (const mark of MARKS) {
    expect(wire.includes(mark), `${mark} on the wire`).toBe(false);
    expect(out.text.includes(mark) || err.text.includes(mark), `${mark} in a log`).toBe(false);
    for (const [path, content] of filesIn(join(dir, 'relay'))) {
      expect(content.includes(mark), `${mark} in ${path}`).toBe(false);
    }
  }
  if (process.platform === 'linux') {
    // What is there to be seen is: names of members.
    const found = inMemory(child.pid!, ['alice-in-clear', ...MARKS]);
    expect([...found]).toEqual(['alice-in-clear']);
  }

  await archive.close();
  // Values may be compressed in the files.
  const store = await levelStore(archiveDir)();
  for await (const [key, value] of store.range({ gte: '', lt: '\u{10ffff}' })) {
    for (const mark of MARKS) expect(Buffer.from(value).includes(mark), key).toBe(false);
  }
  await store.close();
  for (const [path, content] of filesIn(archiveDir)) {
    for (const mark of MARKS) expect(content.includes(mark), `${mark} in ${path}`).toBe(false);
  }
});
