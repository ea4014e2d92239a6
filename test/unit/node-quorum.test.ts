/** V0's rule: with fewer than `minOnline` members online messages queue, and status says whom it waits for. */

import { afterEach, expect, test } from 'vitest';
import {
  allEqual,
  Cluster,
  entriesOf,
  isHealthy,
  patience,
  statusWhen,
  textsOf,
  together,
} from './node-cluster.js';

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

/** Three members; the third, and the second too if wanted, behind proxies of their own. */
async function three() {
  const relay = await cluster.relay();
  const proxies = [await cluster.proxy(relay), await cluster.proxy(relay)];
  const nodes = [
    await cluster.node('a'),
    await cluster.node('b', { relays: [proxies[0]!.url] }),
    await cluster.node('c', { relays: [proxies[1]!.url] }),
  ];
  const channels = await together(nodes, [relay.url]);
  await channels[0]!.send('before').until('final', patience());
  return { nodes, channels, proxies, users: nodes.map(({ user }) => user) };
}

test('two of three: messages queue, changes of membership go on, and all goes on with the third', async () => {
  const { channels, proxies, users } = await three();
  const [a, b, c] = channels;
  proxies[1]!.cut();

  const waiting = await statusWhen(a!, ({ state }) => state === 'waiting');
  expect(waiting.waiting).toEqual({
    need: 3,
    have: 2,
    missing: [users[2]],
    reason: 'messages need 3 members online, have 2',
  });
  expect(waiting.online).toEqual(users.slice(0, 2).sort());
  // Whoever of the two leads places what is sent until it knows too.
  await statusWhen(b!, ({ state }) => state === 'waiting');
  const alone = await statusWhen(c!, ({ waiting }) => waiting?.have === 1);
  expect(alone.waiting!.missing).toEqual(users.slice(0, 2).sort());
  expect(alone.relays[0]).toMatchObject({ connected: false, problem: { code: 'unreachable' } });

  const queued = [a, b, c].flatMap((channel, i) =>
    [0, 1, 2].map((k) => channel!.send(`queued ${i}:${k}`)),
  );
  await Promise.all(queued.map(({ stored }) => stored));
  // An invitation takes elections and rounds of acknowledgements; a message that slipped through would show.
  await statusWhen(a!, ({ leader }) => leader !== null);
  await a!.members.invite(patience());
  expect(queued.map(({ state }) => state)).toEqual(queued.map(() => 'queued'));
  for (const channel of channels) expect(channel.currentStatus()).toMatchObject({ queued: 3 });
  const shown = (await entriesOf(a!)).filter(({ seq }) => seq === null);
  expect(shown.map(({ text, state }) => `${text} ${state}`)).toEqual(
    [0, 1, 2].map((k) => `queued 0:${k} queued`),
  );

  proxies[1]!.mend();
  await Promise.all(queued.map((sending) => sending.until('final', patience())));
  await statusWhen(a!, isHealthy);
  await allEqual(channels);
  const texts = await textsOf(a!);
  expect(texts).toHaveLength(10);
  for (const [i] of channels.entries()) {
    const own = texts.filter((text) => text.startsWith(`queued ${i}`));
    expect(own).toEqual([0, 1, 2].map((k) => `queued ${i}:${k}`));
  }
});

test('one of three: no leader either, and it says so', async () => {
  const { nodes, channels, proxies, users } = await three();
  for (const proxy of proxies) proxy.cut();
  const status = await statusWhen(channels[0]!, ({ waiting }) => waiting?.have === 1);
  expect(status).toMatchObject({
    state: 'waiting',
    waiting: { need: 3, have: 1, missing: users.slice(1).sort() },
  });
  await statusWhen(channels[0]!, ({ leader }) => leader === null);
  const sending = channels[0]!.send('alone');
  await sending.stored;
  for (const proxy of proxies) proxy.mend();
  await sending.until('final', patience());
  await allEqual(channels);
  for (const node of nodes) expect(await node.verify()).toMatchObject([{ ok: true, final: 2 }]);
});

/** Three members in a channel that one of them alone may keep in use; the others leave. */
async function oneLeft(quorum: 'online' | 'roster') {
  const relay = await cluster.relay();
  const nodes = [await cluster.node('a'), await cluster.node('b'), await cluster.node('c')];
  const [a] = await together(nodes, [relay.url], { minOnline: 1, quorum });
  await nodes[1]!.close();
  await nodes[2]!.close();
  return { channel: a!, user: nodes[0]!.user };
}

test("a majority is needed besides: minOnline 1 of three, quorum 'roster'", async () => {
  const { channel } = await oneLeft('roster');
  const { waiting } = await statusWhen(channel, ({ state }) => state === 'waiting');
  expect(waiting).toMatchObject({
    need: 2,
    have: 1,
    reason: 'a leader needs 2 of 3 voting members online, have 1',
  });
});

test('one of three alone is an online epoch: committed, and never final', async () => {
  const { channel, user } = await oneLeft('online');
  const { epoch, leader } = await statusWhen(channel, (s) => s.epoch?.kind === 'online');
  expect(leader).toBe(user);
  const { final } = channel.currentStatus();
  await channel.send('alone').until('committed', patience());
  expect(channel.currentStatus()).toMatchObject({ state: 'healthy', epoch, committed: 1, final });
  const [last] = (await entriesOf(channel)).slice(-1);
  expect(last).toMatchObject({ text: 'alone', state: 'committed', seq: null });
});
