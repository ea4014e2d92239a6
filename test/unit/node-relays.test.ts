/** Several relays, their death, restart, exchange and addresses, as the nodes of a channel live through them. */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Channel } from '../../src/node/index.js';
import type { Relay } from '../../src/relay/index.js';
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

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

const nodes = async (count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => cluster.node(`n${i}`)));

const areConnected = (channel: Channel, ...connected: boolean[]) =>
  statusWhen(
    channel,
    ({ relays }) => String(relays.map((relay) => relay.connected)) === String(connected),
  );

const epochsOf = async (channel: Channel): Promise<number> =>
  (await entriesOf(channel)).filter(({ kind }) => kind === 'epoch').length;

/** Sends from every channel, some messages at a time, and calls `onFinal` after each. */
async function load(
  channels: readonly Channel[],
  each: number,
  onFinal: (count: number) => void,
): Promise<string[]> {
  let count = 0;
  const texts: string[] = [];
  await Promise.all(
    channels.map(async (channel, i) => {
      for (let k = 0; k < each; k += 5) {
        const some = Array.from({ length: 5 }, (_, j) => `${i}:${k + j}`);
        texts.push(...some);
        const sendings = some.map((text) => channel.send(text));
        await Promise.all(sendings.map((sending) => sending.until('final', patience())));
        count += 5;
        onFinal(count);
      }
    }),
  );
  return texts;
}

test('one of two relays dies under load: the other carries on, under the same leader', async () => {
  const proxies = [
    await cluster.proxy(await cluster.relay()),
    await cluster.proxy(await cluster.relay()),
  ];
  const urls = proxies.map(({ url }) => url);
  const channels = await together(await nodes(3), urls);
  for (const channel of channels) await areConnected(channel, true, true);
  // The last join's epoch is over with this.
  await channels[0]!.send('ready').until('final', patience());
  for (const [round, proxy] of proxies.entries()) {
    const before = channels[0]!.currentStatus();
    const epochs = await epochsOf(channels[0]!);
    const known = (await textsOf(channels[0]!)).length;
    const sent = await load(channels, 150, (count) => {
      if (count === 100) proxy.cut();
    });
    await allEqual(channels);
    const after = channels[0]!.currentStatus();
    expect([after.leader, after.epoch]).toEqual([before.leader, before.epoch]);
    expect(await epochsOf(channels[0]!)).toBe(epochs);
    for (const channel of channels) {
      const texts = (await textsOf(channel)).slice(known);
      expect(texts.toSorted()).toEqual(sent.toSorted());
      await areConnected(channel, round !== 0, round !== 1);
    }
    proxy.mend();
    for (const channel of channels) await areConnected(channel, true, true);
  }
});

test('a relay that restarts has forgotten everything, and its members tell it again', async () => {
  const key = seed();
  const relay = await cluster.relay({ key });
  const proxy = await cluster.proxy(relay);
  const all = await nodes(3);
  const channels = await together(all, [proxy.url]);
  await channels[1]!.send('before').until('final', patience());
  const waiting = channels[1]!.status(patience())[Symbol.asyncIterator]();
  await relay.close();
  const sending = channels[1]!.send('meanwhile');
  await sending.stored;
  proxy.mend(await cluster.relay({ key }));
  await sending.until('final', patience());
  await waiting.return?.();
  expect(await allEqual(channels)).toBeTruthy();
  expect(await textsOf(channels[2]!)).toEqual(['before', 'meanwhile']);
  // It also lets newcomers in again.
  const invite = await channels[0]!.members.invite(patience());
  const late = await (await cluster.node('late')).join(invite, patience());
  expect(await textsOf(late)).toEqual(['before', 'meanwhile']);
});

test('relays are added and removed by a record', async () => {
  const [first, second] = [await cluster.relay(), await cluster.relay()];
  const channels = await together(await nodes(3), [first.url]);
  const [a, b, c] = channels as [Channel, Channel, Channel];
  await expect(b.relays.add(second.url, patience())).rejects.toMatchObject({ code: 'not_allowed' });
  await expect(a.relays.add('conclave://127.0.0.1:1')).rejects.toMatchObject({
    code: 'bad_relay_url',
  });
  await a.relays.add(second.url, patience());
  await a.relays.add(second.url, patience());
  for (const channel of channels) await areConnected(channel, true, true);
  await a.relays.remove(first.url, patience());
  for (const channel of channels) {
    await areConnected(channel, true);
    expect(channel.relays.list().map(({ url }) => url)).toEqual([second.url]);
  }
  await first.close();
  await c.send('over the second').until('final', patience());
  await expect(a.relays.remove(second.url)).rejects.toMatchObject({ code: 'not_allowed' });
  const kinds = (await entriesOf(b)).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === 'relays')).toHaveLength(2);
});

test('a node may reach a relay at an address of its own, for once or for good', async () => {
  const relay = await cluster.relay();
  const [tunnel, other] = [await cluster.proxy(relay), await cluster.proxy(relay)];
  const own = seed();
  const dir = await cluster.dir();
  const founder = await cluster.node('founder');
  const node = await cluster.levelNode('far', dir, { seed: own, relays: [tunnel.url] });
  const [channel, far] = await together([founder, node], [relay.url], { minOnline: 2 });
  await tunnel.when((now) => now === 1);
  expect(far!.relays.list()).toEqual([{ url: relay.url, connected: true }]);
  await far!.relays.override(other.url);
  await other.when((now) => now === 1);
  await tunnel.when((now) => now === 0);
  await areConnected(far!, true);
  await far!.send('hello').until('final', patience());
  await expect(far!.relays.override('conclave://127.0.0.1:1')).rejects.toMatchObject({
    code: 'bad_relay_url',
  });
  await node.close();
  const again = await cluster.levelNode('far', dir, { seed: own });
  await areConnected(again.channel(channel!.id), true);
  await other.when((now, ever) => now === 1 && ever === 2);
  await tunnel.when((now, ever) => now === 0 && ever === 1);
});

test('a relay whose key changed is not trusted, and everyone is told why', async () => {
  const relay = await cluster.relay();
  const steady = await cluster.relay();
  const proxy = await cluster.proxy(relay);
  const warned: object[] = [];
  const log = { debug() {}, info() {}, warn: (fields: object) => warned.push(fields) };
  const all = [
    await cluster.node('a', { log }),
    await cluster.node('b'),
    await cluster.node('c'),
  ] as const;
  const channels = await together(all, [proxy.url, steady.url]);
  for (const channel of channels) await areConnected(channel, true, true);
  const impostor: Relay = await cluster.relay();
  proxy.cut();
  proxy.mend(impostor);
  const isRefused = (channel: Channel) =>
    statusWhen(channel, ({ relays }) => relays[0]!.problem?.code === 'relay_key_changed');
  for (const channel of channels) {
    const { relays } = await isRefused(channel);
    expect(relays[0]).toMatchObject({ url: proxy.url, connected: false });
    expect(relays[0]!.problem!.message).toContain("the relay's key is");
    expect(relays[1]).toEqual({ url: steady.url, connected: true });
  }
  // It tries again and again, and says it once.
  await proxy.when((_, ever) => ever > 12);
  const about = (code: string) => warned.filter((w) => (w as { code?: string }).code === code);
  expect(about('relay_key_changed')).toEqual([{ relay: proxy.url, code: 'relay_key_changed' }]);
  await channels[0]!.send('over the steady one').until('final', patience());
  proxy.mend(relay);
  for (const channel of channels) await areConnected(channel, true, true);
});

test('what is not there, is no relay, or wants nothing of this node, is said', async () => {
  const garbage = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  garbage.listen(0, '127.0.0.1');
  await once(garbage, 'listening');
  const { port } = garbage.address() as AddressInfo;
  const friend = await cluster.node('friend');
  const choosy = await cluster.relay({ allow: [friend.user] });
  const node = await cluster.node('n');
  const key = 'cd'.repeat(32);
  const relays = [
    `conclave://${'ab'.repeat(32)}@127.0.0.1:1`,
    `conclave://${key}@127.0.0.1:${port}`,
    choosy.url,
  ];
  const channel = await node.create({ name: 'x', relays, minOnline: 1, few: 'always' });
  const { relays: shown } = await statusWhen(channel, ({ relays: all }) =>
    all.every(({ problem }) => problem !== undefined),
  );
  expect(shown[0]!.problem).toMatchObject({ code: 'unreachable' });
  expect(shown[0]!.problem!.message).toContain('ECONNREFUSED');
  expect(shown[1]!.problem!.code).toBe('bad_frame');
  await statusWhen(channel, ({ relays: all }) => all[2]!.problem?.code === 'not_allowed');
  await channel.send('to myself').until('final', patience());
  garbage.close();
});
