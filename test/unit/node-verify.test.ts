/**
 * Verification of a channel against every kind of change behind the store's
 * own checksums: each value changed by a byte, each key lost. What it can't
 * see is named here, with the reason. What is provisional has a file of its
 * own, node-verify-set.test.ts.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Outgoing } from '../../src/core/commands.js';
import { linkIdentity } from '../../src/core/link.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Channel, Node, VerifyReport } from '../../src/node/index.js';
import { verifyChannel } from '../../src/node/verify.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
import {
  allEqual,
  Cluster,
  NOWHERE,
  patience,
  seed,
  statusWhen,
  together,
} from './node-cluster.js';
import { TestClient } from './relay-client.js';

const cluster = new Cluster();
afterAll(() => cluster.stop());

let node: Node;
let channel: Channel;
let pairs: ReadonlyMap<string, Uint8Array>;

/** A channel of three with changed rosters, certificates, and messages that wait. */
beforeAll(async () => {
  const store = faultStore();
  const relay = await cluster.relay();
  const others = [await cluster.node('b'), await cluster.node('c')];
  node = await cluster.node('a', { store });
  const channels = await together([node, ...others], [relay.url]);
  channel = channels[0]!;
  for (let i = 0; i < 30; i++) {
    const all = channels.map((each, k) => each.send(`${k} says ${i}`));
    await Promise.all(all.map((sending) => sending.until('final', patience())));
  }
  await channel.members.invite(patience());
  await channel.send('after a change').until('final', patience());
  await allEqual(channels);
  await others[1]!.close();
  await statusWhen(channel, ({ state }) => state === 'waiting');
  for (let i = 0; i < 4; i++) await channel.send(`waits ${i}`).stored;
  await node.close({ drainMs: 0 });
  pairs = store.image().pairs;
});

const verify = (store: Store): Promise<VerifyReport> =>
  verifyChannel(nativeCrypto, store, channel.id, { self: node.user });

/** The part of a key that says what it holds. */
const kindOf = (key: string): string => key.slice(`c/${channel.id}/`.length).split('/')[0]!;

const channelKeys = (): string[] => [...pairs.keys()].filter((key) => key.startsWith('c/'));

test('a whole store verifies, with its totals and its progress', async () => {
  const progress: number[] = [];
  const report = await verifyChannel(nativeCrypto, memoryStore(pairs), channel.id, {
    self: node.user,
    onProgress: (entries) => progress.push(entries),
  });
  const { final, head } = channel.currentStatus();
  expect(report).toEqual({
    channel: channel.id,
    name: 'team',
    ok: true,
    entries: 91,
    final: 91,
    head,
    problems: [],
  });
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(progress.at(-1)).toBe(final);
  const kinds = new Set(channelKeys().map(kindOf));
  expect([...kinds].sort()).toEqual(
    [
      'ack',
      'at',
      'cert',
      'epoch',
      'final',
      'genesis',
      'hard',
      'log',
      'out',
      'proposal',
      'step',
      'tip',
    ].sort(),
  );
});

test('one byte of any value, and it says where', { timeout: 300_000 }, async () => {
  const random = seededRandom(7);
  const unseen: string[] = [];
  for (const key of channelKeys()) {
    const value = pairs.get(key)!;
    const at = Math.floor(random() * value.length);
    const damaged = Uint8Array.from(value);
    damaged[at]! ^= 1 + Math.floor(random() * 255);
    const store = memoryStore(new Map(pairs).set(key, damaged));
    const { ok, problems } = await verify(store);
    if (ok) unseen.push(`${kindOf(key)} at byte ${at}`);
    else expect(problems[0]!.where.startsWith(`c/${channel.id}/`)).toBe(true);
  }
  // A promise is nobody's signature: another term or candidate is as good.
  expect(unseen.filter((where) => !where.startsWith('hard '))).toEqual([]);
});

test('any key that is lost', { timeout: 300_000 }, async () => {
  const unseen: string[] = [];
  const keys = channelKeys();
  for (const key of keys) {
    const left = new Map(pairs);
    left.delete(key);
    if ((await verify(memoryStore(left))).ok) unseen.push(key);
  }
  // Nothing follows the last message that waits; acknowledgements and a proposal stand alone.
  const lastOut = keys.filter((key) => kindOf(key) === 'out').at(-1);
  expect(unseen.filter((key) => !['ack', 'proposal'].includes(kindOf(key)))).toEqual([lastOut]);
});

describe('what others may have done', () => {
  const altered = (change: (map: Map<string, Uint8Array>, at: string) => void): Store => {
    const map = new Map(pairs);
    change(map, `c/${channel.id}/`);
    return memoryStore(map);
  };
  const keysOf = (map: Map<string, Uint8Array>, kind: string): string[] =>
    [...map.keys()].filter((key) => kindOf(key) === kind && key.startsWith('c/')).sort();

  test.each<[string, (map: Map<string, Uint8Array>, at: string) => void]>([
    [
      'the newest entries and their final point set back',
      (map) => {
        for (const key of keysOf(map, 'log').slice(-10)) map.delete(key);
      },
    ],
    [
      'two entries exchanged',
      (map) => {
        const [a, b] = keysOf(map, 'log').slice(20, 22);
        const first = map.get(a!)!;
        map.set(a!, map.get(b!)!);
        map.set(b!, first);
      },
    ],
    [
      'an entry again behind the others',
      (map) => {
        const keys = keysOf(map, 'log');
        const next = `${keys.at(-1)!.slice(0, -2)}ff`;
        map.set(next, map.get(keys[30]!)!);
      },
    ],
    [
      'a certificate under another seq',
      (map) => {
        const [first] = keysOf(map, 'cert');
        map.set(`${first!.slice(0, -1)}f`, map.get(first!)!);
      },
    ],
    [
      'a record too many in the index',
      (map, at) => {
        map.set(`${at}at/${'ab'.repeat(32)}`, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9));
      },
    ],
    [
      'another channel under this id',
      (map, at) => {
        map.set(`${at}genesis`, Uint8Array.from([...map.get(`${at}genesis`)!, 0]));
      },
    ],
    [
      'a proof that members voted twice',
      (map, at) => {
        map.set(`${at}conflict`, Uint8Array.of(1));
      },
    ],
  ])('%s', async (_, change) => {
    const report = await verify(altered(change));
    expect(report.ok).toBe(false);
    expect(report.problems.length).toBeGreaterThan(0);
  });

  test('a store whose reads fail is reported, not thrown', async () => {
    for (const kind of ['log', 'final', 'step', 'cert', 'at', 'tip', 'genesis', 'hard', 'out']) {
      const store = faultStore({ pairs, corrupt: new Set() });
      const [key] = channelKeys().filter((each) => kindOf(each) === kind);
      store.corrupt(key!);
      const { ok, problems } = await verify(store);
      expect(ok, kind).toBe(false);
      expect(problems.some(({ what }) => what.includes('checksum'))).toBe(true);
    }
  });
});

test('a channel in use verifies while it grows', async () => {
  const relay = await cluster.relay();
  const nodes = [await cluster.node('a'), await cluster.node('b')] as const;
  const [first, second] = await together(nodes, [relay.url]);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 600; sent += 50) {
      const some = Array.from({ length: 50 }, (_, i) => (i % 2 ? first! : second!).send('x'));
      await Promise.all(some.map((each) => each.until('final', patience())));
      if (sent % 200 === 0) await first!.members.invite(patience());
    }
  })();
  let count = 0;
  while (sent < 600) {
    const [report] = await nodes[count % 2]!.verify();
    expect(report!.problems).toEqual([]);
    count += 1;
  }
  await sending;
  expect(count).toBeGreaterThan(1);
});

test('so does one in an online epoch', async () => {
  const relay = await cluster.relay();
  const nodes = [
    await cluster.node('a'),
    await cluster.node('b'),
    await cluster.node('c'),
  ] as const;
  const [alone] = await together(nodes, [relay.url], { minOnline: 1 });
  await Promise.all([nodes[1].close(), nodes[2].close()]);
  await statusWhen(alone!, ({ epoch }) => epoch?.kind === 'online');
  let sent = 0;
  const sending = (async () => {
    for (; sent < 400; sent += 20) {
      const some = Array.from({ length: 20 }, () => alone!.send('x'));
      await Promise.all(some.map((each) => each.until('committed', patience())));
    }
  })();
  let count = 0;
  while (sent < 400) {
    const [report] = await nodes[0].verify();
    expect(report!.problems).toEqual([]);
    count += 1;
  }
  await sending;
  expect(count).toBeGreaterThan(1);
  expect(alone!.currentStatus().committed).toBe(400);
});

describe('hooks', () => {
  test('log and metrics are told what the node does', async () => {
    const counts: { [name: string]: number } = {};
    const metrics = {
      count(name: string, by: number) {
        counts[name] = (counts[name] ?? 0) + by;
      },
    };
    const lines: string[] = [];
    const write = (level: string) => (fields: object, message: string) => {
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
    const log = { debug: write('debug'), info: write('info'), warn: write('warn') };
    const relay = await cluster.relay();
    const hooked = await cluster.node('n', { log, metrics });
    const [made] = await together([hooked], [relay.url]);
    await made!.send('x').until('final', patience());
    await statusWhen(made!, ({ relays }) => relays[0]!.connected);
    expect(counts.steps).toBeGreaterThan(3);
    expect(counts.sync_writes).toBeGreaterThan(2);
    expect(lines).toContainEqual(expect.stringContaining('info connected to relay'));
    const stranger = await TestClient.connect(relay.port, linkIdentity(nativeCrypto, seed()));
    const rubbish = { from: stranger.user, to: hooked.user, msg_id: '0'.repeat(26) };
    stranger.send({ name: 'PV_MSG', payload: rubbish } as unknown as Outgoing);
    stranger.send({ name: 'PV_MSG', payload: { ...rubbish, msg: new Uint8Array(1) } } as Outgoing);
    // An answer to this says that what came before was handled.
    stranger.send({ name: 'CNN_USR', payload: { from: stranger.user, to: hooked.user } });
    await stranger.next('USR_HSK');
    stranger.destroy();
    expect(counts.refused).toBe(1);
    expect(lines).toContainEqual(expect.stringMatching(/debug.*"msg".*bad_payload/));
    await relay.close();
    await statusWhen(made!, ({ relays }) => !relays[0]!.connected);
    expect(lines).toContainEqual(expect.stringMatching(/info no link to the relay.*shutting down/));
  });

  test('verify of a node tells its progress, for one channel or for all', async () => {
    const solo = await cluster.node('n');
    const made = [
      await solo.create({ name: 'one', relays: [NOWHERE], minOnline: 1, few: 'always' }),
      await solo.create({ name: 'two', relays: [NOWHERE], minOnline: 1, few: 'always' }),
    ];
    for (const each of made) await each.send('x').until('final', patience());
    const seen: number[] = [];
    expect(await solo.verify(made[0]!.id, (n) => seen.push(n))).toHaveLength(1);
    expect(seen).toEqual([3]);
    expect((await solo.verify()).map(({ channel: id }) => id).sort()).toEqual(
      made.map(({ id }) => id).sort(),
    );
    await expect(solo.verify('ab'.repeat(32))).rejects.toMatchObject({ code: 'no_channel' });
  });
});
