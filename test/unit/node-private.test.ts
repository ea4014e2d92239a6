/** Private messages: delivered once, in order, over absences, crashes, old copies and lying relays, and read by two. */

import { afterEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import { type Digest, type Ulid, unhex, ZERO_DIGEST } from '../../src/core/ids.js';
import { linkIdentity } from '../../src/core/link.js';
import {
  encodePrivate,
  type PrivateStatement,
  padPrivate,
  receiptStatement,
  sealInfo,
} from '../../src/core/private-statements.js';
import { readSealingKey, showSealingKey } from '../../src/core/sealing-key.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Dm, Node, PrivateMessage } from '../../src/node/index.js';
import { seal } from '../../src/node/sealing.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { honest, LyingRelay, type Private } from './lying-relay.js';
import { Cluster, NOWHERE, patience, seed, statusWhen, together } from './node-cluster.js';
import { TestClient } from './relay-client.js';

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

const error = (code: string) => expect.objectContaining({ name: 'ConclaveError', code });

/** Nodes on one relay: a channel each is what links them to it. */
async function onRelay(...names: string[]): Promise<Node[]> {
  const relay = await cluster.relay();
  const nodes = await Promise.all(names.map((name) => cluster.node(name)));
  for (const node of nodes) await link(node, relay.url);
  return nodes;
}

async function link(node: Node, relay: string): Promise<void> {
  const channel = await node.create({ name: 'own', relays: [relay], minOnline: 1, few: 'always' });
  await statusWhen(channel, ({ relays }) => relays[0]!.connected);
}

async function messagesOf(from: Dm | Node): Promise<string[]> {
  const all: string[] = [];
  const messages = 'inbox' in from ? from.inbox() : from.read();
  for await (const { state, text } of messages) all.push(`${state} ${text}`);
  return all;
}

/** The first that fits, of those there are and those that come. */
async function messageWhen(
  dm: Dm,
  fits: (message: PrivateMessage) => boolean,
): Promise<PrivateMessage> {
  for await (const message of dm.read({ live: true, ...patience() })) {
    if (fits(message)) return message;
  }
  throw new Error('given up');
}

test('there and back, and each with everybody', async () => {
  const [a, b, c] = (await onRelay('a', 'b', 'c')) as [Node, Node, Node];
  const hello = a.dm(b.user).send('hello');
  expect(await hello.until('sent', patience())).toMatchObject({ id: hello.id, text: 'hello' });
  expect(await hello.until('delivered', patience())).toEqual({
    id: hello.id,
    from: a.user,
    to: b.user,
    time: expect.any(Number),
    state: 'delivered',
    text: 'hello',
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    receipt: { time: expect.any(Number), sig: expect.stringMatching(/^[0-9a-f]{128}$/) },
  });
  const got = await messageWhen(b.dm(a.user), ({ text }) => text === 'hello');
  expect(got).toMatchObject({ id: hello.id, from: a.user, to: b.user, state: 'received' });
  await b.dm(a.user).send('yes?').until('delivered', patience());
  await c.dm(a.user).send('😀 '.repeat(1_000)).until('delivered', patience());
  await c.dm(a.user).send('').until('delivered', patience());
  expect(await messagesOf(a.dm(b.user))).toEqual(['delivered hello', 'received yes?']);
  expect(await messagesOf(a)).toEqual([
    'delivered hello',
    'received yes?',
    `received ${'😀 '.repeat(1_000)}`,
    'received ',
  ]);
  expect(await messagesOf(b.dm(c.user))).toEqual([]);
});

test('what is refused', async () => {
  const [a] = (await onRelay('a')) as [Node];
  const other = 'ab'.repeat(32);
  expect(() => a.dm('nobody')).toThrow();
  expect(() => a.dm(a.user).send('me')).toThrow(error('bad_user'));
  expect(() => a.dm(other).send('x'.repeat(65_537))).toThrow(error('record_too_large'));
  expect(() => a.dm(other).send('\ud800')).toThrow(error('bad_text'));
  for (let i = 0; i < 4_096; i++) a.dm(other).send(String(i));
  expect(() => a.dm(other).send('one more')).toThrow(error('outbox_full'));
});

test('who is away gets it when it comes, and "sent" is only said when it is true', async () => {
  const relay = await cluster.relay();
  const a = await cluster.node('a');
  const c = await cluster.node('c');
  for (const node of [a, c]) await link(node, relay.url);
  const own = seed();
  const user = linkIdentity(nativeCrypto, own).user;

  const texts = Array.from({ length: 20 }, (_, i) => `for later ${i}`);
  const sendings = texts.map((text) => a.dm(user).send(text));
  // What goes to `c` afterwards is delivered once the relay has answered for all before.
  await a.dm(c.user).send('fence').until('delivered', patience());
  expect(await messagesOf(a.dm(user))).toEqual(texts.map((text) => `queued ${text}`));

  const b = await cluster.node('b', { seed: own });
  await link(b, relay.url);
  await Promise.all(sendings.map((sending) => sending.until('delivered', patience())));
  expect(await messagesOf(b)).toEqual(texts.map((text) => `received ${text}`));
  expect(await messagesOf(a.dm(user))).toEqual(texts.map((text) => `delivered ${text}`));
});

test('without any relay a message waits, queued', async () => {
  const a = await cluster.node('a');
  await a.create({ name: 'own', relays: [NOWHERE], minOnline: 1, few: 'always' });
  const to = 'ab'.repeat(32);
  const control = new AbortController();
  const sent = a.dm(to).send('hm').until('sent', { signal: control.signal });
  const outcome = expect(sent).rejects.toThrow(error('aborted'));
  expect(await messageWhen(a.dm(to), () => true)).toMatchObject({ state: 'queued' });
  control.abort();
  await outcome;
});

const CRASH_SEED = Number(process.env.DM_SEED ?? Date.now() % 1_000_000);

test(`once and in order, over crashes of both (DM_SEED=${CRASH_SEED})`, async () => {
  const random = seededRandom(CRASH_SEED);
  const relay = await cluster.relay();
  const seeds = [seed(), seed()];
  const stores = [faultStore(), faultStore()];
  const open = (i: number) => cluster.node(`n${i}`, { seed: seeds[i]!, store: stores[i]! });
  const nodes = [await open(0), await open(1)];
  for (const node of nodes) await link(node, relay.url);
  const crash = async (i: number): Promise<void> => {
    stores[i] = stores[i]!.crash(random);
    await nodes[i]!.close({ drainMs: 0 });
    nodes[i] = await open(i);
  };
  const users = nodes.map(({ user }) => user);
  const COUNT = 60;
  const acknowledged: string[] = [];
  for (let k = 0; k < COUNT; k += 3) {
    const dm = nodes[0]!.dm(users[1]!);
    const some = [0, 1, 2].map((j) => ({ text: String(k + j), sending: dm.send(String(k + j)) }));
    // The last one of three may be under way when something crashes.
    const kept = random() < 0.5 ? 3 : 2;
    for (const { text, sending } of some.slice(0, kept)) {
      await sending.until('delivered', patience());
      acknowledged.push(text);
    }
    for (const { sending } of some) sending.until('delivered').catch(() => {});
    if (random() < 0.4) await crash(random() < 0.5 ? 0 : 1);
  }
  await nodes[0]!.dm(users[1]!).send('last').until('delivered', patience());
  const received: string[] = [];
  for await (const { text, state } of nodes[1]!.inbox()) {
    expect(state).toBe('received');
    received.push(text);
  }
  expect(received.at(-1)).toBe('last');
  const numbers = received.slice(0, -1).map(Number);
  expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
  for (const text of acknowledged) expect(received).toContain(text);
});

/** A user without a node, that says what a test wants. */
async function stranger(port: number) {
  const own = seed();
  const identity = linkIdentity(nativeCrypto, own);
  const client = await TestClient.connect(port, identity);
  const { user } = identity;
  const show = showSealingKey(nativeCrypto, { user, seed: own });
  /** What it signs and seals to somebody. */
  const sealed = async (to: Node, key: Uint8Array, m: Omit<PrivateStatement, 'from' | 'to'>) => {
    const statement = { from: user, to: to.user, ...m };
    const bytes = encodePrivate(statement);
    const plain = padPrivate(bytes, nativeCrypto.ed25519Sign(own, bytes));
    return seal(key, sealInfo(statement), plain);
  };
  const keyOf = async (to: Node): Promise<Uint8Array> => {
    client.send({ name: 'CNN_USR', payload: { from: user, to: to.user } });
    return readSealingKey(nativeCrypto, to.user, (await client.next('USR_HSK')).data!);
  };
  const post = (to: Node, msg_id: Ulid, msg: Uint8Array): void =>
    client.send({ name: 'PV_MSG', payload: { from: user, to: to.user, msg_id, msg } });
  return { client, user, show, sealed, keyOf, post };
}

const ulidOf = (n: number) => String(n).padStart(26, '0') as Ulid;

test('strangers with rubbish do no harm', async () => {
  const relay = await cluster.relay();
  const node = await cluster.node('n');
  await link(node, relay.url);
  const s = await stranger(relay.port);
  const key = await s.keyOf(node);
  const place = { boot: ulidOf(7), n: 1, prev: ZERO_DIGEST };
  const rubbish = [0, 1, 47, 48, 559, 561].map((bytes) => new Uint8Array(bytes).fill(0xff));
  for (const [i, msg] of rubbish.entries()) s.post(node, ulidOf(i), msg);
  // Sizes that are right, and nothing else.
  s.post(node, ulidOf(10), new Uint8Array(560).fill(1));
  s.post(node, ulidOf(11), await seal(key, utf8('for another purpose'), new Uint8Array(512)));
  const info = sealInfo({ from: s.user, to: node.user, id: ulidOf(12) });
  s.post(node, ulidOf(12), await seal(key, info, new Uint8Array(512)));
  const good = { ...place, id: ulidOf(13), body: utf8('hm') };
  s.post(node, ulidOf(14), await s.sealed(node, key, good));
  // A count that no chain has, and a place behind what never came.
  s.post(node, ulidOf(15), await s.sealed(node, key, { ...good, n: 2, id: ulidOf(15) }));
  const lost = 'ab'.repeat(32) as Digest;
  s.post(node, ulidOf(16), await s.sealed(node, key, { ...good, prev: lost, id: ulidOf(16) }));
  const gap = await s.client.next('MSG_ACK');
  expect(gap).toMatchObject({ msg_id: ulidOf(16), have: ZERO_DIGEST });
  // What another program sends need not be a text.
  s.post(node, good.id, await s.sealed(node, key, { ...good, body: Uint8Array.of(0xff, 0x1b) }));
  expect((await s.client.next('MSG_ACK')).have).toBeUndefined();
  s.client.send({
    name: 'ACK_MSG',
    payload: { from: s.user, to: node.user, msg_id: ulidOf(9), sig: new Uint8Array(64) },
  });
  await s.client.fence();
  s.client.destroy();
  expect(await messagesOf(node)).toEqual(['received \ufffd\u001b']);
});

test('what is not signed by whom it says is nobody\u2019s', async () => {
  const relay = await cluster.relay();
  const node = await cluster.node('n');
  await link(node, relay.url);
  const [s, forger] = [await stranger(relay.port), await stranger(relay.port)];
  const key = await forger.keyOf(node);
  const good = { boot: ulidOf(7), n: 1, prev: ZERO_DIGEST, id: ulidOf(1), body: utf8('I owe you') };
  const info = sealInfo({ from: s.user, to: node.user, id: good.id });
  const bytes = encodePrivate({ from: s.user, to: node.user, ...good });
  // The forger poses as the other one all the way, but for the signature.
  const forged = await seal(key, info, padPrivate(bytes, new Uint8Array(64).fill(1)));
  s.post(node, good.id, forged);
  // And what was signed to somebody else is not for this node.
  const elsewhere = encodePrivate({ from: s.user, to: forger.user, ...good });
  s.post(node, good.id, await seal(key, info, padPrivate(elsewhere, new Uint8Array(64))));
  s.post(node, ulidOf(2), await s.sealed(node, key, { ...good, id: ulidOf(2) }));
  expect((await s.client.next('MSG_ACK')).msg_id).toBe(ulidOf(2));
  expect((await s.client.all('MSG_ACK')).length).toBe(0);
  expect(await messagesOf(node)).toEqual(['received I owe you']);
});

test('a flood that nobody can open delays nobody for good', async () => {
  const relay = await cluster.relay();
  const [a, b] = [await cluster.node('a'), await cluster.node('b')];
  for (const node of [a, b]) await link(node, relay.url);
  const s = await stranger(relay.port);
  await s.keyOf(b);
  let isOver = false;
  const flood = (async () => {
    for (let n = 0; !isOver; n++) {
      for (let i = 0; i < 20; i++) s.post(b, ulidOf(n * 20 + i), new Uint8Array(66_096));
      await s.client.fence().catch(() => {});
      if (s.client.isClosed) return;
    }
  })();
  for (let i = 0; i < 20; i++) await a.dm(b.user).send(`${i}`).until('delivered', patience());
  isOver = true;
  await flood;
  expect((await messagesOf(b)).length).toBe(20);
});

describe('over a relay that lies', () => {
  async function onLiar(...names: string[]): Promise<[LyingRelay, Node[]]> {
    const relay = await LyingRelay.start();
    const nodes = await Promise.all(names.map((name) => cluster.node(name)));
    cluster.onStop(() => relay.stop());
    for (const node of nodes) await link(node, relay.url);
    return [relay, nodes];
  }

  test('neither text nor key is on the wire, and sizes are one of a few', async () => {
    const [relay, nodes] = await onLiar('a', 'b');
    const [a, b] = nodes as [Node, Node];
    const text = 'the text that must not be seen';
    await a.dm(b.user).send(text).until('delivered', patience());
    await a.dm(b.user).send('x').until('delivered', patience());
    await a.dm(b.user).send('y'.repeat(65_536)).until('delivered', patience());
    const wire = Buffer.concat(relay.bytes);
    expect(wire.includes(text)).toBe(false);
    expect(wire.includes('yyyyyyyy')).toBe(false);
    const sizes = relay.came.flatMap((c) => (c.name === 'PV_MSG' ? [c.payload.msg.length] : []));
    expect([...new Set(sizes)]).toEqual([560, 66_096]);
  });

  test('a key, a receipt or a text that it invents gets it nowhere', async () => {
    const [relay, nodes] = await onLiar('a', 'b');
    const [a, b] = nodes as [Node, Node];
    const thief = seed();
    const own = showSealingKey(nativeCrypto, { user: b.user, seed: thief });
    let shown = 0;
    relay.lie = (command) => {
      if (command.name !== 'CNN_USR' || !command.payload.data) return [command];
      shown += 1;
      if (shown > 1) return [command];
      // Its own key first; the right one only once that was tried.
      relay.forward({ ...command, payload: { ...command.payload, data: own } });
      relay.tellOthers(b.user);
      return [];
    };
    const first = a.dm(b.user).send('for b alone');
    await first.until('delivered', patience());
    expect(shown).toBeGreaterThan(1);

    // It answers itself, with what it has of b's: nothing is delivered that b has not.
    const receipt = relay.came.find((c) => c.name === 'ACK_MSG')!;
    let forged = 0;
    relay.lie = (command) => {
      if (command.name !== 'PV_MSG') return [command];
      const payload = { ...receipt.payload, msg_id: command.payload.msg_id };
      forged += 1;
      return [
        { name: 'ACK_MSG', payload },
        { name: 'ACK_MSG', payload: { ...payload, have: ZERO_DIGEST } },
      ] as Private[];
    };
    const second = a.dm(b.user).send('never comes');
    await a.dm(b.user).send('behind it').until('stored', patience());
    await second.until('sent', patience());
    relay.tellOthers(b.user);
    while (forged < 2) await nextCame(relay);
    expect(await messagesOf(a.dm(b.user))).toEqual([
      'delivered for b alone',
      'sent never comes',
      'queued behind it',
    ]);
    expect(second.waits()).toBe('the receiver has not acknowledged it');
    relay.lie = honest;
    relay.tellOthers(b.user);
    await second.until('delivered', patience());
    await messageWhen(b.dm(a.user), ({ text }) => text === 'behind it');
    expect(await messagesOf(b)).toEqual([
      'received for b alone',
      'received never comes',
      'received behind it',
    ]);
  });

  test('what it alters, swaps, repeats or shows to others is not shown', async () => {
    const [relay, nodes] = await onLiar('a', 'b', 'c');
    const [a, b, c] = nodes as [Node, Node, Node];
    const seen: Exclude<Private, { name: 'CNN_USR' }>[] = [];
    relay.lie = (command) => {
      const lies: Private[] = [];
      if (command.name === 'PV_MSG') {
        const { payload } = command;
        const msg = payload.msg.map((byte, i) => (i === 100 ? byte ^ 1 : byte));
        lies.push(
          { ...command, payload: { ...payload, msg } },
          { ...command, payload: { ...payload, to: c.user } },
          { ...command, payload: { ...payload, from: c.user } },
        );
        for (const { payload: other } of seen) {
          lies.push({ ...command, payload: { ...payload, msg_id: other.msg_id } });
        }
        // What was said before, messages and receipts, is said again.
        lies.push(...seen);
      }
      if (command.name !== 'CNN_USR') seen.push(command);
      // More in front would take the place of what is true, as if it were dropped.
      return [...lies.slice(0, 4), command, ...lies.slice(4)];
    };
    const texts = ['one', 'two', 'three', 'four'];
    for (const text of texts) await a.dm(b.user).send(text).until('delivered', patience());
    expect(await messagesOf(b)).toEqual(texts.map((text) => `received ${text}`));
    expect(await messagesOf(c)).toEqual([]);
  });
});

/** Resolves once the relay has got something more. */
async function nextCame(relay: LyingRelay): Promise<void> {
  const { length } = relay.came;
  while (relay.came.length === length) await new Promise(setImmediate);
}

test('a copy that was restored on either side loses nothing of the other, and shows nothing twice', async () => {
  const relay = await cluster.relay();
  const seeds = [seed(), seed()];
  const stores = [faultStore(), faultStore()];
  const open = (i: number) => cluster.node(`n${i}`, { seed: seeds[i]!, store: stores[i]! });
  let [a, b] = [await open(0), await open(1)];
  for (const node of [a, b]) await link(node, relay.url);
  const to = b.user;
  const say = async (...texts: string[]): Promise<void> => {
    for (const text of texts) await a.dm(to).send(text).until('delivered', patience());
  };
  const received = async (): Promise<string[]> => {
    const all: string[] = [];
    for await (const { text, rewound } of b.inbox()) all.push(rewound ? `${text}!` : text);
    return all;
  };
  await say('one', 'two');
  const copies = stores.map((store) => store.image());
  await say('three', 'four');
  // The receiver goes back: with the next message comes what it lost.
  await b.close({ drainMs: 0 });
  stores[1] = faultStore(copies[1]);
  b = await open(1);
  expect(await received()).toEqual(['one', 'two']);
  await say('five');
  expect(await received()).toEqual(['one', 'two', 'three', 'four', 'five']);
  // The sender goes back: what it says now is no replay of what it said before.
  await a.close({ drainMs: 0 });
  stores[0] = faultStore(copies[0]);
  a = await open(0);
  await say('three again', 'four again');
  const all = ['one', 'two', 'three', 'four', 'five', 'three again!', 'four again'];
  expect(await received()).toEqual(all);
});

test('over restarts of both and of the relay; a receipt that is kept proves it', async () => {
  const key = seed();
  const proxy = await cluster.proxy(await cluster.relay({ key }));
  const seeds = [seed(), seed()];
  const dirs = [await cluster.dir(), await cluster.dir()];
  const open = (i: number) => cluster.levelNode(`n${i}`, dirs[i]!, { seed: seeds[i]! });
  let [a, b] = [await open(0), await open(1)];
  for (const node of [a, b]) await link(node, proxy.url);
  const to = b.user;
  await a.dm(to).send('one').until('delivered', patience());
  await b.close({ drainMs: 0 });
  // The receiver is away, its key is known: what is written is kept over a restart of its author.
  const [two, three] = ['two', 'three'].map((text) => a.dm(to).send(text));
  while (!/last seen 2/.test(two!.waits() ?? '')) await new Promise(setImmediate);
  await three!.until('stored', patience());
  expect(three!.waits()).toMatch(
    /^the receiver is on no relay that this node reaches, last seen 2/,
  );
  await a.close({ drainMs: 0 });
  a = await open(0);
  const four = a.dm(to).send('four');
  await four.until('stored', patience());
  expect(await messagesOf(a.dm(to))).toEqual([
    'delivered one',
    'queued two',
    'queued three',
    'queued four',
  ]);
  // The relay dies, and another process takes its place.
  proxy.cut();
  proxy.mend(await cluster.relay({ key }));
  b = await open(1);
  await four.until('delivered', patience());
  await a.close({ drainMs: 0 });
  await b.close({ drainMs: 0 });
  [a, b] = [await open(0), await open(1)];
  const texts = ['one', 'two', 'three', 'four'];
  expect(await messagesOf(a.dm(to))).toEqual(texts.map((text) => `delivered ${text}`));
  expect(await messagesOf(b)).toEqual(texts.map((text) => `received ${text}`));
  for await (const { digest, id, receipt } of a.dm(to).read()) {
    const statement = receiptStatement({ from: a.user, to, id }, digest);
    expect(nativeCrypto.ed25519Verify(unhex(to), statement, unhex(receipt!.sig))).toBe(true);
  }
});

test('members of one channel write to each other over two relays, once', async () => {
  const relays = [await cluster.relay(), await cluster.relay()];
  const nodes = [await cluster.node('a'), await cluster.node('b')] as const;
  const channels = await together(
    nodes,
    relays.map(({ url }) => url),
  );
  for (const channel of channels) {
    await statusWhen(channel, ({ relays: all }) => all.every(({ connected }) => connected));
  }
  const dm = nodes[0].dm(nodes[1].user);
  for (let i = 0; i < 10; i++) await dm.send(String(i)).until('delivered', patience());
  await relays[0]!.close();
  for (let i = 10; i < 20; i++) await dm.send(String(i)).until('delivered', patience());
  const expected = Array.from({ length: 20 }, (_, i) => `received ${i}`);
  expect(await messagesOf(nodes[1])).toEqual(expected);
});
