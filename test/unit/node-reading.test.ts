/** Reading: at the reader's pace, in bounded memory, never going back. */

import { afterEach, describe, expect, test } from 'vitest';
import { decodeFinal } from '../../src/core/layout.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import type { Channel, ChannelEntry, RecordState } from '../../src/node/index.js';
import {
  allEqual,
  Cluster,
  entriesOf,
  NOWHERE,
  patience,
  statusWhen,
  together,
} from './node-cluster.js';

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

const RANK: { readonly [S in RecordState]: number } = {
  queued: 0,
  sent: 1,
  committed: 2,
  final: 3,
  withheld: 4,
};

/** Counts the pairs that were read in ranges. */
function counting(store: Store): Store & { read: number } {
  return {
    ...store,
    read: 0,
    async *range(options) {
      for await (const pair of store.range(options)) {
        this.read += 1;
        yield pair;
      }
    },
  };
}

async function* lines(count: number) {
  for (let index = 0; index < count; index++) {
    yield { index, text: `line ${index}`, name: 'n', time: index };
  }
}

test('a slow reader holds one page, however much there is and comes', async () => {
  const store = counting(memoryStore());
  const node = await cluster.node('n', { store });
  const [channel] = await together([node], [NOWHERE]);
  await channel!.importFrom('a', lines(1_000));
  await statusWhen(channel!, (s) => s.queued + s.sent === 0);
  store.read = 0;
  const reading = channel!.read({ live: true, ...patience() })[Symbol.asyncIterator]();
  const next = async (): Promise<ChannelEntry> => {
    const { value } = await reading.next();
    return value.entry;
  };
  expect((await next()).seq).toBe(1);
  expect(store.read).toBeLessThanOrEqual(128);
  await channel!.importFrom('b', lines(2_000));
  await statusWhen(channel!, (s) => s.queued + s.sent === 0);
  expect(store.read).toBeLessThanOrEqual(128);
  const texts: (string | undefined)[] = [];
  while (texts.length < 3_000) {
    const entry = await next();
    if (entry.kind === 'message' && entry.state === 'final') texts.push(entry.text);
  }
  const expected = (count: number) => Array.from({ length: count }, (_, i) => `line ${i}`);
  expect(texts).toEqual([...expected(1_000), ...expected(2_000)]);
  await reading.return!();
});

test('large entries come in small pages', async () => {
  const store = counting(memoryStore());
  const node = await cluster.node('n', { store });
  const [channel] = await together([node], [NOWHERE]);
  const body = 'x'.repeat(60_000);
  for (let i = 0; i < 30; i++) await channel!.send(body).until('final', patience());
  store.read = 0;
  for await (const _ of channel!.read({ limit: 2 }));
  expect(store.read).toBeLessThanOrEqual(8);
});

describe('a live reader', () => {
  /** Reads until `count` messages are final; what it saw, in order. */
  async function watch(channel: Channel, count: number): Promise<ChannelEntry[]> {
    const seen: ChannelEntry[] = [];
    let final = 0;
    for await (const event of channel.read({ live: true, ...patience() })) {
      if (event.type !== 'entry') continue;
      seen.push(event.entry);
      if (event.entry.state === 'final' && event.entry.kind === 'message') final += 1;
      if (final === count) return seen;
    }
    throw new Error(`the reading ended with ${final} of ${count}`);
  }

  function checkPages(seen: readonly ChannelEntry[], log: readonly ChannelEntry[]): void {
    const states = new Map<string, RecordState>();
    for (const { digest, state, seq, kind } of seen) {
      const before = states.get(digest);
      if (before)
        expect(RANK[state], `${digest}: ${before}, then ${state}`).toBeGreaterThan(RANK[before]);
      states.set(digest, state);
      expect(seq !== null, `${kind} ${state}`).toBe(state === 'final');
      if (kind !== 'message') expect(state).toBe('final');
    }
    const final = seen.filter(({ state }) => state === 'final');
    expect(final).toEqual(log.slice(0, final.length));
  }

  test('sees states grow, never shrink, while leaders come and go', async () => {
    const relay = await cluster.relay();
    const proxies = [
      await cluster.proxy(relay),
      await cluster.proxy(relay),
      await cluster.proxy(relay),
    ];
    const nodes = await Promise.all(
      proxies.map((proxy, i) => cluster.node(`n${i}`, { relays: [proxy.url] })),
    );
    const channels = await together(nodes, [relay.url], { minOnline: 2 });
    const EACH = 60;
    const readings = channels.map((channel) => watch(channel, 3 * EACH));
    /** The leader loses its cable, and gets it back when another leads. */
    async function dethrone(): Promise<void> {
      const { leader } = await statusWhen(channels[0]!, (s) => s.leader !== null);
      const at = nodes.findIndex(({ user }) => user === leader);
      proxies[at]!.cut();
      await statusWhen(channels[(at + 1) % 3]!, (s) => s.leader !== null && s.leader !== leader);
      proxies[at]!.mend();
    }
    let sent = 0;
    let changes = Promise.resolve();
    const senders = channels.map(async (channel) => {
      for (let k = 0; k < EACH; k += 10) {
        const some = Array.from({ length: 10 }, (_, j) => channel.send(`${k + j}`));
        await Promise.all(some.map((sending) => sending.until('committed', patience())));
        sent += 10;
        if (sent === 60 || sent === 120) changes = changes.then(dethrone);
      }
    });
    await Promise.all(senders);
    await changes;
    await allEqual(channels);
    const log = await entriesOf(channels[0]!);
    expect(log.filter(({ kind }) => kind === 'message')).toHaveLength(3 * EACH);
    for (const reading of readings) checkPages(await reading, log);
  });

  test('leaves out what is not final when asked to', async () => {
    const node = await cluster.node('n');
    const channel = await node.create({
      name: 'x',
      relays: [NOWHERE],
      minOnline: 2,
      few: 'always',
    });
    const sending = channel.send('not final');
    await sending.stored;
    const shown = async (provisional: boolean) => {
      const kinds: string[] = [];
      for await (const event of channel.read({ provisional })) {
        if (event.type === 'entry') kinds.push(`${event.entry.kind} ${event.entry.state}`);
      }
      return kinds;
    };
    await statusWhen(channel, ({ final }) => final === 1);
    expect(await shown(true)).toEqual(['epoch final', 'message queued']);
    expect(await shown(false)).toEqual(['epoch final']);
  });
});

/** A store on a slow disk, which knows up to where its log is final. */
function slow(store: Store): Store & { final: number } {
  return {
    ...store,
    final: 0,
    async write(ops, options) {
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      await store.write(ops, options);
      for (const { key, value } of ops) {
        if (key.endsWith('/final')) this.final = decodeFinal(value!).seq;
      }
    },
  };
}

test('nothing is shown as final before the disk has it', async () => {
  const relay = await cluster.relay();
  const stores = [slow(memoryStore()), slow(memoryStore())];
  const nodes = await Promise.all(stores.map((store, i) => cluster.node(`n${i}`, { store })));
  const channels = await together(nodes, [relay.url]);
  const control = new AbortController();
  const { signal } = control;
  let looks = 0;
  const ahead: string[] = [];
  const watching = channels.flatMap((channel, i) => {
    const look = (final: number | null): void => {
      looks += 1;
      const durable = stores[i]!.final;
      if (final !== null && final > durable) ahead.push(`${final} was shown, ${durable} is there`);
    };
    return [
      (async () => {
        for await (const event of channel.read({ live: true, signal })) {
          if (event.type === 'entry') look(event.entry.seq);
        }
      })(),
      (async () => {
        while (!signal.aborted) {
          for await (const event of channel.read({ signal })) {
            if (event.type === 'entry') look(event.entry.seq);
          }
          look(channel.currentStatus().final);
          await new Promise(setImmediate);
        }
      })(),
    ];
  });
  for (let k = 0; k < 20; k++) {
    const some = channels.flatMap((channel) => [channel.send('x'), channel.send('y')]);
    const reached = await Promise.all(some.map((sending) => sending.until('final', patience())));
    for (const [i, { seq }] of reached.entries()) {
      expect(seq).toBeLessThanOrEqual(stores[i < 2 ? 0 : 1]!.final);
    }
  }
  expect(ahead).toEqual([]);
  control.abort();
  await Promise.all(watching);
  expect(looks).toBeGreaterThan(200);
});

test('status is the newest for who asks late', async () => {
  const node = await cluster.node('n');
  const [channel] = await together([node], [NOWHERE]);
  const statuses = channel!.status(patience())[Symbol.asyncIterator]();
  await statuses.next();
  for (let i = 0; i < 50; i++) await channel!.send('x').until('final', patience());
  const { value } = await statuses.next();
  expect(value).toEqual(channel!.currentStatus());
  expect(value.final).toBeGreaterThan(50);
  await statuses.return!();
});
