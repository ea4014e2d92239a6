/** A node's life over real sockets and stores: create, invite, join, send, read, close, open again. */

import { afterEach, describe, expect, test } from 'vitest';
import type { UserId } from '../../src/core/ids.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import {
  type Channel,
  type Connect,
  levelStore,
  type ReadEvent,
  verifyDirectory,
} from '../../src/node/index.js';
import { openNode } from '../../src/node/node.js';
import type { NodeOptions } from '../../src/node/options.js';
import { connectRelay } from '../../src/node/transport.js';
import { faultStore } from '../../src/testing/fault-store.js';
import {
  allEqual,
  Cluster,
  entriesOf,
  isHealthy,
  NOWHERE,
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

const error = (code: string) => expect.objectContaining({ name: 'ConclaveError', code });

async function take(channel: Channel, count: number, from?: string): Promise<ReadEvent[]> {
  const events: ReadEvent[] = [];
  const options = from === undefined ? {} : { from };
  for await (const event of channel.read({ ...options, limit: count })) events.push(event);
  return events;
}

test('from create to a reopened directory', async () => {
  const relay = await cluster.relay();
  const dirs = [await cluster.dir(), await cluster.dir(), await cluster.dir()];
  const seeds = [seed(), seed(), seed()];
  const open = () =>
    Promise.all(dirs.map((dir, i) => cluster.levelNode(`n${i}`, dir, { seed: seeds[i]! })));
  const nodes = await open();
  const channels = await together(nodes, [relay.url]);
  const [a, b, c] = channels as [Channel, Channel, Channel];
  expect(a.members.list().map(({ name, role }) => `${name} ${role}`)).toEqual([
    'n0 founder',
    'n1 member',
    'n2 member',
  ]);

  const first = a.send('hello');
  await first.stored;
  for (const state of ['sent', 'committed', 'final'] as const) {
    const reached = await first.until(state, patience());
    expect(reached.id).toBe(first.id);
  }
  expect(first.state).toBe('final');
  expect(first.seq).toBeGreaterThan(0);
  const all = channels.flatMap((channel, i) =>
    Array.from({ length: 40 }, (_, k) => channel.send(`${i}:${k}`, { name: `nick${i}`, time: k })),
  );
  await Promise.all(all.map((sending) => sending.until('final', patience())));
  const head = await allEqual(channels);

  const entries = await entriesOf(b);
  expect(entries.map((e) => e.seq)).toEqual(entries.map((_, i) => i + 1));
  expect(entries.every((e) => e.state === 'final')).toBe(true);
  const ofC = entries.filter((e) => e.from === nodes[2]!.user && e.kind === 'message');
  expect(ofC.map((e) => [e.text, e.name, e.time])).toEqual(
    Array.from({ length: 40 }, (_, k) => [`2:${k}`, 'nick2', k]),
  );

  // Reading in pieces, each from the cursor of the one before, is reading at once.
  const pieces: (number | null)[] = [];
  let cursor: string | undefined;
  for (;;) {
    const piece = await take(c, 7, cursor);
    if (piece.length === 0) break;
    cursor = piece.at(-1)!.cursor;
    pieces.push(...piece.map((e) => (e.type === 'entry' ? e.entry.seq : null)));
  }
  expect(pieces).toEqual(entries.map((e) => e.seq));
  expect((await take(c, 1, String(a.currentStatus().final))).length).toBe(0);

  await Promise.all(nodes.map((node) => node.close()));
  const again = await open();
  const reopened = again.map((node) => node.channel(a.id));
  expect(reopened.map((channel) => channel.name)).toEqual(['team', 'team', 'team']);
  expect(await allEqual(reopened)).toBe(head);
  expect(await entriesOf(reopened[1]!)).toEqual(entries);
  await statusWhen(reopened[0]!, isHealthy);
  await reopened[2]!.send('and on').until('final', patience());
  expect((await textsOf(reopened[2]!)).at(-1)).toBe('and on');
  for (const node of again) {
    expect(await node.verify()).toMatchObject([{ ok: true, problems: [], final: 122 }]);
  }
});

test('a founder alone needs nobody when minOnline is 1', async () => {
  const node = await cluster.node('solo');
  const [channel] = await together([node], [NOWHERE]);
  const sending = channel!.send('to myself');
  expect(await sending.until('final', patience())).toMatchObject({ state: 'final' });
  const entry = (await entriesOf(channel!)).at(-1);
  expect(entry).toMatchObject({ text: 'to myself', name: 'solo', from: node.user, seq: 3 });
});

test('what a message may be', async () => {
  const node = await cluster.node('n');
  const [channel] = await together([node], [NOWHERE]);
  const texts = ['', ' \n\u0000\u001b[31m ', '😀é漢', 'x'.repeat(65_400), 'y'.repeat(65_442)];
  for (const text of texts) await channel!.send(text).until('final', patience());
  expect(await textsOf(channel!)).toEqual(texts);
  const bad: [string, () => unknown][] = [
    ['record_too_large', () => channel!.send('z'.repeat(65_537))],
    ['record_too_large', () => channel!.send('z'.repeat(65_443))],
    ['record_too_large', () => channel!.send('é'.repeat(33_000))],
    ['bad_text', () => channel!.send('\ud800')],
    ['bad_text', () => channel!.send(7 as unknown as string)],
    ['bad_name', () => channel!.send('x', { name: 'n'.repeat(65) })],
    ['bad_time', () => channel!.send('x', { time: 1.5 })],
    ['bad_time', () => channel!.send('x', { time: -1 })],
    ['bad_cursor', () => channel!.read({ from: 'x' })],
    ['bad_cursor', () => channel!.read({ from: -1 })],
    ['bad_cursor', () => channel!.read({ from: Number.NaN })],
    ['bad_limit', () => channel!.read({ limit: 0.5 })],
  ];
  for (const [code, call] of bad) expect(call, code).toThrow(error(code));
  expect(await textsOf(channel!)).toEqual(texts);
});

test('what a channel and a node may be', async () => {
  const node = await cluster.node('n');
  const create = (options: object) =>
    node.create({ name: 'x', relays: [NOWHERE], ...options } as Parameters<typeof node.create>[0]);
  for (const [code, options] of [
    ['bad_name', { name: 'n'.repeat(129) }],
    ['bad_name', { name: 7 }],
    ['bad_relays', { relays: [] }],
    ['bad_relays', { relays: [NOWHERE, NOWHERE.replace(':1', ':2')] }],
    ['bad_relay_url', { relays: ['conclave://127.0.0.1:1'] }],
    ['bad_relay_url', { relays: ['http://example.org'] }],
    ['bad_policy', { minOnline: 0, few: 'always' }],
    ['bad_policy', { minOnline: 1 }],
    ['bad_policy', { few: 'never' }],
    ['bad_policy', { minOnline: 1.5 }],
    ['bad_policy', { minOnline: 129 }],
    ['bad_policy', { quorum: 'none' }],
  ] as const) {
    await expect(create(options), `${code} ${JSON.stringify(options)}`).rejects.toThrow(
      error(code),
    );
  }
  expect(node.channels()).toEqual([]);
  expect(() => node.channel('00'.repeat(32))).toThrow(error('no_channel'));
  await expect(cluster.node('n'.repeat(65))).rejects.toThrow(error('bad_name'));
  await expect(cluster.node('n', { seed: new Uint8Array(31) })).rejects.toThrow(
    error('bad_identity'),
  );
  await expect(cluster.node('n', { relays: ['nonsense'] })).rejects.toThrow(error('bad_relay_url'));
});

test('a node without what it needs says what that is', async () => {
  for (const [options, what] of [
    [undefined, '"store"'],
    [{ identity: { seed: new Uint8Array(32), name: 'ann' } }, '"store"'],
    [{ store: './data' }, '"store"'],
    [{ store: () => Promise.reject(new Error('not opened')) }, '"identity"'],
  ] as const) {
    await expect(openNode(options as unknown as NodeOptions)).rejects.toMatchObject({
      code: 'bad_options',
      message: expect.stringContaining(what),
    });
  }
});

test('a store opens for nobody but the user whose node wrote it', async () => {
  const dir = await cluster.dir();
  const own = seed();
  const node = await cluster.levelNode('ann', dir, { seed: own });
  await together([node], [NOWHERE]);
  await node.close();
  for (const offline of [false, true]) {
    await expect(cluster.levelNode('eve', dir, { seed: seed(), offline })).rejects.toMatchObject({
      code: 'wrong_identity',
      message: expect.stringContaining(node.user),
    });
  }
  expect(await verifyDirectory(dir, { user: node.user })).toMatchObject({ ok: true });
  const { problems } = await verifyDirectory(dir, { user: 'ab'.repeat(32) as UserId });
  expect(problems).toEqual([{ where: 'node/user', what: expect.stringContaining(node.user) }]);
  const again = await cluster.levelNode('ann', dir, { seed: own });
  expect(again.channels().map(({ name }) => name)).toEqual(['team']);
});

describe('invitations', () => {
  async function founder(wall: () => number = Date.now) {
    const relay = await cluster.relay();
    const clock = () => ({ now: performance.now(), wall: wall() });
    const node = await cluster.node('founder', { clock });
    const [channel] = await together([node], [relay.url], { minOnline: 1 });
    return { relay, node, channel: channel! };
  }

  test('that are none', async () => {
    const { channel } = await founder();
    const invite = await channel.members.invite(patience());
    const node = await cluster.node('guest');
    const flipped = invite.slice(0, 60) + (invite[60] === 'A' ? 'B' : 'A') + invite.slice(61);
    for (const bad of ['', 'hello', invite.slice(0, -1), `${invite}A`, invite.slice(5), flipped]) {
      await expect(node.join(bad)).rejects.toThrow(error('bad_invite'));
    }
    await expect(channel.members.revoke(flipped)).rejects.toThrow(error('bad_invite'));
    expect(await node.join(` ${invite}\n`, patience())).toMatchObject({ id: channel.id });
  });

  test('that are used up', async () => {
    const { channel } = await founder();
    const invite = await channel.members.invite({ uses: 2, ...patience() });
    for (const name of ['one', 'two']) await (await cluster.node(name)).join(invite, patience());
    const late = await cluster.node('three');
    await expect(late.join(invite, patience())).rejects.toThrow(error('invite_refused'));
    expect(late.channels()).toEqual([]);
    await expect(channel.members.revoke(invite, patience())).rejects.toThrow(
      error('invite_not_open'),
    );
    // Another invitation works for the same node.
    const fresh = await channel.members.invite(patience());
    expect((await late.join(fresh, patience())).members.list()).toHaveLength(4);
  });

  test('that are revoked', async () => {
    const { channel } = await founder();
    const invite = await channel.members.invite(patience());
    await channel.members.revoke(invite, patience());
    const node = await cluster.node('guest');
    await expect(node.join(invite, patience())).rejects.toThrow(error('invite_refused'));
  });

  test('that have expired', async () => {
    let wall = Date.now();
    const { channel } = await founder(() => wall);
    const invite = await channel.members.invite({ expires: wall + 60_000, ...patience() });
    wall += 60_001;
    const node = await cluster.node('guest');
    await expect(node.join(invite, patience())).rejects.toThrow(error('invite_refused'));
    wall -= 60_001;
    await node.join(invite, patience());
  });

  test('that cannot be made', async () => {
    const { channel } = await founder();
    for (const options of [{ uses: 0 }, { uses: 1_001 }, { uses: 1.5 }, { expires: 5 }]) {
      await expect(channel.members.invite(options)).rejects.toThrow(error('bad_invite_options'));
    }
    const invite = await channel.members.invite(patience());
    const member = await (await cluster.node('guest')).join(invite, patience());
    await expect(member.members.invite(patience())).rejects.toThrow(error('not_allowed'));
  });

  test('joining twice gives the same channel, and one membership', async () => {
    const { channel } = await founder();
    const invite = await channel.members.invite({ uses: 5, ...patience() });
    const node = await cluster.node('guest');
    const first = node.join(invite, patience());
    await expect(node.join(invite, patience())).rejects.toThrow(error('join_running'));
    const joined = await first;
    expect(await node.join(invite, patience())).toBe(joined);
    expect(joined.members.list()).toHaveLength(2);
  });

  test('lead to a channel that changed its relay', async () => {
    const { relay, channel, node } = await founder();
    const next = await cluster.relay();
    await channel.relays.add(next.url, patience());
    await channel.relays.remove(relay.url, patience());
    await relay.close();
    const invite = await channel.members.invite(patience());
    const guest = await (await cluster.node('guest')).join(invite, patience());
    expect(guest.relays.list()).toEqual([{ url: next.url, connected: true }]);
    await statusWhen(guest, ({ online }) => online.includes(node.user));
  });

  test('are taken up again after the joiner lost its process half way', async () => {
    const relay = await cluster.relay();
    const founder = await cluster.node('founder');
    const [channel] = await together([founder], [relay.url], { minOnline: 1 });
    const invite = await channel!.members.invite(patience());
    let requests = 0;
    // Deaf from its second request on, which is the one that the founder admits.
    const connect: Connect = (address, events) => {
      const data = (chunk: Uint8Array) => requests < 2 && events.data(chunk);
      const transport = connectRelay(address, { ...events, data });
      return {
        get pending() {
          return transport.pending;
        },
        write(bytes) {
          if (Buffer.from(bytes).toString('latin1').startsWith('CH_JOIN')) requests += 1;
          transport.write(bytes);
        },
        close: () => transport.close(),
      };
    };
    const own = seed();
    const store = faultStore();
    const node = await cluster.node('guest', { seed: own, store, connect });
    const joining = expect(node.join(invite)).rejects.toThrow(error('closed'));
    await statusWhen(channel!, ({ members }) => members === 2);
    const after = store.crash();
    await node.close({ drainMs: 0 });
    await joining;
    const again = await cluster.node('guest', { seed: own, store: after });
    expect(again.channels()).toEqual([]);
    const joined = await again.join(invite, patience());
    expect(joined.members.list()).toHaveLength(2);
    expect(channel!.members.list()).toHaveLength(2);
  });
});

describe('giving up', () => {
  test('every wait takes a signal', async () => {
    const node = await cluster.node('n');
    const channel = await node.create({ name: 'x', relays: [NOWHERE], minOnline: 3 });
    const invite = await channel.members.invite(patience());
    const guest = await cluster.node('guest');
    const sending = channel.send('waits');
    const dm = guest.dm(node.user).send('waits');
    const waits = (signal: AbortSignal): Promise<unknown>[] => [
      sending.until('final', { signal }),
      sending.until('sent', { signal }),
      guest.join(invite, { signal }),
      dm.until('delivered', { signal }),
      dm.until('sent', { signal }),
      (async () => {
        for await (const _ of channel.status({ signal }));
      })(),
    ];
    const control = new AbortController();
    const all = waits(control.signal);
    const settled = Promise.allSettled(all);
    control.abort();
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } });
    }
    for (const wait of waits(AbortSignal.abort())) {
      await expect(wait).rejects.toThrow(error('aborted'));
    }
    const signal = AbortSignal.abort();
    await expect(channel.members.invite({ signal })).rejects.toThrow(error('aborted'));
    await expect(node.create({ name: 'y', relays: [NOWHERE], signal })).rejects.toThrow(
      error('aborted'),
    );
    expect(node.channels()).toHaveLength(1);
  });

  test('readers end quietly', async () => {
    const node = await cluster.node('n');
    const [channel] = await together([node], [NOWHERE]);
    await channel!.send('one').until('final', patience());
    const control = new AbortController();
    const { signal } = control;
    const texts: string[] = [];
    for await (const event of channel!.read({ live: true, signal })) {
      if (event.type !== 'entry' || event.entry.state !== 'final' || !event.entry.text) continue;
      texts.push(event.entry.text);
      control.abort();
    }
    expect(texts).toEqual(['one']);
    for await (const _ of node.inbox({ live: true, signal })) throw new Error('there is nothing');
  });

  test('a change that nobody waits for any longer holds up no other', async () => {
    const relay = await cluster.relay();
    const proxy = await cluster.proxy(relay);
    const far = { relays: [proxy.url] };
    const nodes = [
      await cluster.node('a'),
      await cluster.node('b', far),
      await cluster.node('c', far),
    ];
    const [channel] = await together(nodes, [relay.url]);
    proxy.cut();
    await statusWhen(channel!, ({ state }) => state === 'waiting');
    const control = new AbortController();
    const given = channel!.members.invite({ signal: control.signal });
    const wanted = channel!.members.invite(patience());
    control.abort();
    await expect(given).rejects.toThrow(error('aborted'));
    proxy.mend();
    await wanted;
    const kinds = (await entriesOf(channel!)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'invite')).toHaveLength(2);
  });

  test('closing ends all waits, and everything after it says so', async () => {
    const node = await cluster.node('n');
    const channel = await node.create({ name: 'x', relays: [NOWHERE], minOnline: 3 });
    const sending = channel.send('waits');
    await sending.stored;
    const dm = node.dm('cd'.repeat(32)).send('waits');
    const waits = [
      sending.until('final'),
      dm.until('delivered'),
      (async () => {
        for await (const _ of channel.status());
      })(),
      (async () => {
        for await (const _ of channel.read({ live: true }));
      })(),
      (async () => {
        for await (const _ of node.inbox({ live: true }));
      })(),
      (await cluster.node('guest')).join(await channel.members.invite(patience()), patience()),
    ];
    const outcomes = Promise.allSettled(waits.slice(0, -1));
    waits.at(-1)!.catch(() => {});
    await node.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'closed' } });
    }
    await node.close();
    await expect(channel.send('late').stored).rejects.toThrow(error('closed'));
    await expect(channel.send('late').until('sent')).rejects.toThrow(error('closed'));
    await expect(channel.members.invite()).rejects.toThrow(error('closed'));
    await expect(node.create({ name: 'y', relays: [NOWHERE] })).rejects.toThrow(error('closed'));
    expect(() => node.dm('cd'.repeat(32)).send('late')).toThrow(error('closed'));
  });

  test('a joiner that closes ends its join', async () => {
    const founder = await cluster.node('f');
    const channel = await founder.create({
      name: 'x',
      relays: [NOWHERE],
      minOnline: 1,
      few: 'always',
    });
    const invite = await channel.members.invite(patience());
    const guest = await cluster.node('guest');
    const joining = guest.join(invite);
    const outcome = expect(joining).rejects.toThrow(error('closed'));
    await guest.close();
    await outcome;
  });
});

describe('a node opened offline', () => {
  test('reads, refuses to change, and writes nothing', async () => {
    const relay = await cluster.relay();
    const store = faultStore();
    const own = seed();
    const node = await cluster.node('n', { seed: own, store });
    const [channel] = await together([node], [relay.url]);
    await channel!.send('kept').until('final', patience());
    await node.close();
    const { pairs } = store.image();
    const copy: Store = {
      ...memoryStore(pairs),
      write: () => Promise.reject(new Error('written to')),
    };
    const offline = await cluster.node('n', { seed: own, store: copy, offline: true });
    const same = offline.channel(channel!.id);
    expect(await textsOf(same)).toEqual(['kept']);
    expect(same.currentStatus()).toMatchObject({
      state: 'offline',
      online: [],
      leader: null,
      epoch: null,
      waiting: null,
    });
    await expect(same.send('no').stored).rejects.toThrow(error('offline'));
    await expect(same.members.invite()).rejects.toThrow(error('offline'));
    expect(() => offline.dm('cd'.repeat(32)).send('no')).toThrow(error('offline'));
    await expect(offline.create({ name: 'x', relays: [relay.url] })).rejects.toThrow(
      error('offline'),
    );
    expect(await offline.verify()).toMatchObject([{ ok: true, final: 1 }]);
    await offline.close();
  });
});

describe('a store that fails', () => {
  test('stops the node, ends all waits, and closing still works', async () => {
    const relay = await cluster.relay();
    const store = faultStore();
    const warned: string[] = [];
    const log = {
      debug() {},
      info() {},
      warn: (_: object, message: string) => warned.push(message),
    };
    const node = await cluster.node('n', { store, log });
    const [channel] = await together([node], [relay.url]);
    await channel!.send('before').until('final', patience());
    store.failWrite('disk-full');
    const sending = channel!.send('lost');
    await expect(sending.stored).rejects.toThrow(error('store_failed'));
    await expect(sending.until('final')).rejects.toThrow(error('store_failed'));
    await expect(channel!.send('after').stored).rejects.toThrow(error('store_failed'));
    await expect(channel!.members.invite()).rejects.toThrow(error('store_failed'));
    expect(warned.join()).toContain('the node stopped');
    await node.close();
  });
});

describe('a damaged store', () => {
  test.each(['hard', 'genesis', 'log/00000000000001'])('without %s is not opened', async (lost) => {
    const dir = await cluster.dir();
    const own = seed();
    const node = await cluster.levelNode('n', dir, { seed: own });
    const channel = await node.create({ name: 'x', relays: [NOWHERE], minOnline: 3 });
    await statusWhen(channel, ({ final }) => final === 1);
    await node.close();
    const store = await levelStore(dir)();
    await store.write([{ key: `c/${channel.id}/${lost}` }], { sync: true });
    await store.close();
    if (lost.startsWith('log')) {
      // Only who reads that far can see it.
      const open = await cluster.levelNode('n', dir, { seed: own, offline: true });
      await expect(textsOf(open.channel(channel.id))).rejects.toThrow(error('store_damaged'));
      await open.close();
    } else {
      await expect(cluster.levelNode('n', dir, { seed: own })).rejects.toThrow(
        error('store_damaged'),
      );
    }
    // It is free for who looks at it.
    const { ok, channels } = await verifyDirectory(dir, { user: node.user });
    expect(ok).toBe(false);
    expect(channels[0]!.problems[0]!.where).toContain(channel.id);
  });
});

describe('a full outbox', () => {
  test('refuses with a retryable error, also within one turn, and imports wait', async () => {
    const node = await cluster.node('n');
    const channel = await node.create({ name: 'x', relays: [NOWHERE], minOnline: 3 });
    const sendings = Array.from({ length: 16_500 }, (_, i) => channel.send(String(i)));
    const outcomes = await Promise.allSettled(sendings.map(({ stored }) => stored));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    // Its key takes a place too.
    expect(refused).toHaveLength(16_500 - 16_383);
    expect(refused[0]).toMatchObject({ reason: { code: 'outbox_full', retryable: true } });
    expect(channel.currentStatus().queued).toBe(16_383);
    const control = new AbortController();
    async function* one() {
      yield { index: 0, text: 'late', name: 'n', time: 1 };
    }
    const importing = channel.importFrom('s', one(), { signal: control.signal });
    const outcome = expect(importing).rejects.toThrow(error('aborted'));
    await expect(channel.importFrom('s', one())).rejects.toThrow(error('import_running'));
    control.abort();
    await outcome;
    expect(channel.currentStatus().queued).toBe(16_383);
  });
});

describe('importing', () => {
  async function* lines(count: number, onLine: (i: number) => unknown = () => {}) {
    for (let i = 0; i < count; i++) {
      await onLine(i);
      yield { index: i, text: `line ${i % 50}`, name: `nick${i % 7}`, time: i * 1_000 };
    }
  }
  const expected = (count: number) => Array.from({ length: count }, (_, i) => `line ${i % 50}`);

  test('posts each message once over crashes at any moment', async () => {
    let store = faultStore();
    const own = seed();
    let node = await cluster.node('n', { store, seed: own });
    const [created] = await together([node], [NOWHERE]);
    const { id } = created!;
    const COUNT = 2_000;
    for (const crashAt of [100, 700, 701, 1_500]) {
      const channel = node.channel(id);
      const importing = channel.importFrom(
        'log.txt',
        lines(COUNT, (i) => {
          if (i === crashAt) throw new Error('crash');
        }),
      );
      await expect(importing).rejects.toThrow('crash');
      store = store.crash();
      await node.close({ drainMs: 0 });
      node = await cluster.node('n', { store, seed: own });
    }
    const channel = node.channel(id);
    const progress: number[] = [];
    const done = await channel.importFrom('log.txt', lines(COUNT), {
      onProgress: (n) => progress.push(n),
    });
    expect(done.imported + done.skipped).toBe(COUNT);
    expect(done.skipped).toBeGreaterThanOrEqual(1_280);
    expect(progress.at(-1)).toBe(COUNT);
    await statusWhen(channel, (s) => s.queued + s.sent === 0);
    expect(await textsOf(channel)).toEqual(expected(COUNT));
    expect(await channel.importFrom('log.txt', lines(COUNT))).toEqual({
      imported: 0,
      skipped: COUNT,
    });
    expect(await channel.importFrom('other.txt', lines(3))).toEqual({ imported: 3, skipped: 0 });
    const [entry] = (await entriesOf(channel)).filter((e) => e.text === 'line 8');
    expect(entry).toMatchObject({ name: 'nick1', time: 8_000 });
    expect(await node.verify()).toMatchObject([{ ok: true }]);
  });

  test('refuses what it cannot keep, and keeps what came before', async () => {
    const node = await cluster.node('n', { store: memoryStore() });
    const [channel] = await together([node], [NOWHERE]);
    const bad = async function* (second: object) {
      yield { index: 0, text: 'a', name: 'n', time: 1 };
      yield { index: 1, text: 'b', name: 'n', time: 1, ...second };
    };
    for (const [code, second] of [
      ['bad_index', { index: 0 }],
      ['bad_index', { index: 1.5 }],
      ['bad_text', { text: '\udc00' }],
      ['bad_name', { name: 'n'.repeat(65) }],
      ['record_too_large', { text: 'x'.repeat(70_000) }],
    ] as const) {
      await expect(channel!.importFrom(code + JSON.stringify(second), bad(second))).rejects.toThrow(
        error(code),
      );
    }
  });
});
