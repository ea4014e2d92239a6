/** Private messages: delivered once, in order, over absences and crashes, and never shown as more than they are. */

import { afterEach, expect, test } from 'vitest';
import type { Ulid } from '../../src/core/ids.js';
import { linkIdentity } from '../../src/core/link.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Dm, Node, PrivateMessage } from '../../src/node/index.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
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
  const channel = await node.create({ name: 'own', relays: [relay], minOnline: 1 });
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
  await a.create({ name: 'own', relays: [NOWHERE], minOnline: 1 });
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

test('strangers with rubbish do no harm', async () => {
  const relay = await cluster.relay();
  const node = await cluster.node('n');
  await link(node, relay.url);
  const stranger = await TestClient.connect(relay.port, linkIdentity(nativeCrypto, seed()));
  const id = (n: number) => String(n).padStart(26, '0') as Ulid;
  const post = (n: number, msg: Uint8Array): void =>
    stranger.send({
      name: 'PV_MSG',
      payload: { from: stranger.user, to: node.user, msg_id: id(n), msg },
    });
  post(1, Uint8Array.of(0xff, 0xfe, 0x80));
  post(2, new Uint8Array(65_536).fill(0xff));
  post(3, Buffer.from('\u001b[31mred'));
  for (const n of [3, 1, 3]) post(n, Buffer.from('another text under a known id'));
  for (let n = 0; n < 6; n++) await stranger.next('MSG_ACK');
  stranger.send({
    name: 'ACK_MSG',
    payload: { from: stranger.user, to: node.user, msg_id: id(9) },
  });
  await stranger.fence();
  stranger.destroy();
  const [first, second, third, ...more] = await messagesOf(node);
  expect([first, third, more]).toEqual([
    'received \ufffd\ufffd\ufffd',
    'received \u001b[31mred',
    [],
  ]);
  expect(second === `received ${'\ufffd'.repeat(21_845)}`).toBe(true);
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
