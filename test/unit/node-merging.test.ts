/** Both sides of a partition write, then they meet again: what members are shown and told meanwhile. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Channel, Node, ReadEvent } from '../../src/node/index.js';
import { ReaderPage } from './fixtures/reader-page.js';
import { allEqual, Cluster, isHealthy, patience, statusWhen, together } from './node-cluster.js';

const cluster = new Cluster();
afterAll(() => cluster.stop());

/** Follows a channel until aborted, and keeps its page and all that was told. */
function follow(channel: Channel, signal: AbortSignal) {
  const page = new ReaderPage();
  const told: ReadEvent[] = [];
  const done = (async () => {
    for await (const event of channel.read({ live: true, signal })) {
      told.push(event);
      page.apply(event);
    }
  })();
  return { page, told, done };
}

async function pageOf(channel: Channel): Promise<ReaderPage> {
  const page = new ReaderPage();
  for await (const event of channel.read()) page.apply(event);
  return page;
}

const isSmall = (user: string): boolean => nodes.slice(0, 2).some((node) => node.user === user);
const digests = (entries: readonly { digest: string }[]): string[] => entries.map((e) => e.digest);

let nodes: Node[];
let channels: Channel[];
let readers: ReturnType<typeof follow>[];
/** What was shown while the network was cut, and when it was whole again. */
let apart: { page: ReaderPage; live: string[]; status: ReturnType<Channel['currentStatus']> }[];
const over = new AbortController();

/** Nodes 0 and 1 reach only the first relay for a while, the others only the second. */
beforeAll(async () => {
  const relays = [await cluster.relay(), await cluster.relay()] as const;
  const sides = await Promise.all(
    [0, 1].map(
      async () => [await cluster.proxy(relays[0]), await cluster.proxy(relays[1])] as const,
    ),
  );
  nodes = await Promise.all(
    [0, 0, 1, 1, 1].map((side, i) =>
      cluster.node(`n${i}`, { relays: sides[side]!.map(({ url }) => url) }),
    ),
  );
  channels = await together(
    nodes,
    relays.map(({ url }) => url),
    { minOnline: 2 },
  );
  readers = channels.map((channel) => follow(channel, over.signal));
  await channels[0]!.send('before').until('final', patience());
  sides[0]![1].cut();
  sides[1]![0].cut();
  await statusWhen(channels[0]!, ({ epoch }) => epoch?.kind === 'online');
  await statusWhen(channels[2]!, (s) => isHealthy(s) && s.epoch?.kind === 'roster');
  const sent = channels.flatMap((channel, i) =>
    Array.from({ length: 8 }, (_, k) => channel.send(`${i} says ${k}`)),
  );
  await Promise.all(sent.map((each) => each.until('committed', patience())));
  await statusWhen(channels[1]!, ({ committed }) => committed === 16);
  // What a reader was told comes to rest with what is so.
  apart = [];
  for (const i of [0, 1]) {
    const page = await pageOf(channels[i]!);
    while (digests(readers[i]!.page.open).join() !== digests(page.open).join()) {
      await new Promise(setImmediate);
    }
    const live = digests(readers[i]!.page.open);
    apart.push({ page, live, status: channels[i]!.currentStatus() });
  }
  sides[0]![1].mend();
  sides[1]![0].mend();
  await Promise.all(sent.map((each) => each.until('final', patience())));
  await channels[4]!.send('after').until('final', patience());
  await allEqual(channels);
}, 120_000);

describe('apart', () => {
  test('the smaller side commits in an online epoch, and finalises nothing', () => {
    for (const { page, status } of apart) {
      expect(status).toMatchObject({ state: 'healthy', epoch: { kind: 'online' }, committed: 16 });
      expect(page.open.map(({ state, seq }) => [state, seq])).toEqual(
        Array(16).fill(['committed', null]),
      );
      expect(page.final.at(-1)!.seq).toBe(status.final);
    }
  });

  test('both its members show one page', () => {
    const [a, b] = apart as [(typeof apart)[number], (typeof apart)[number]];
    expect(digests(b.page.open)).toEqual(digests(a.page.open));
    for (const { page, live } of apart) expect(live).toEqual(digests(page.open));
  });
});

describe('together again', () => {
  test('all have all, once, and verify', async () => {
    const pages = await Promise.all(channels.map(pageOf));
    for (const page of pages) {
      expect(page.open).toEqual([]);
      expect(page.final).toEqual(pages[0]!.final);
    }
    const texts = pages[0]!.final.filter(({ kind }) => kind === 'message').map(({ text }) => text);
    expect(texts).toHaveLength(42);
    expect(new Set(texts).size).toBe(42);
    for (const node of nodes) expect(await node.verify()).toMatchObject([{ ok: true, final: 42 }]);
  });

  test('every reader is told once what was merged, and where it is', async () => {
    const { final, merged } = await pageOf(channels[0]!);
    const moved = merged.flatMap(({ first, last }) => final.slice(first - 1, last));
    const small = final.filter(
      ({ kind, text, from }) => kind === 'message' && text!.includes('says') && isSmall(from),
    );
    expect(digests(moved)).toEqual(digests(small));
    for (const { seq, by, entries, first, last, branches } of merged) {
      expect(final[seq - 1]).toMatchObject({ kind: 'merge', from: by, seq });
      expect(final[seq - 1]!.text).toBeUndefined();
      expect([first, last - first + 1]).toEqual([seq + 1, entries]);
      for (const { kind, leader } of branches) {
        expect([kind, isSmall(leader)]).toEqual(['online', true]);
      }
    }
    const places = merged.map(({ cursor: _, ...event }) => event);
    for (const { page } of readers) {
      expect(page.merged.map(({ cursor: _, ...event }) => event)).toEqual(places);
    }
  });

  test('who followed has the same page as who reads now', async () => {
    for (const [i, { page }] of readers.entries()) {
      const now = await pageOf(channels[i]!);
      expect(page.final).toEqual(now.final);
      expect(page.open).toEqual([]);
    }
  });

  test('whoever goes on at any cursor misses nothing and sees nothing twice', async () => {
    const all: ReadEvent[] = [];
    for await (const event of channels[3]!.read()) all.push(event);
    for (const [i, { cursor }] of all.entries()) {
      const rest: ReadEvent[] = [];
      for await (const event of channels[3]!.read({ from: cursor })) rest.push(event);
      expect(rest).toEqual(all.slice(i + 1));
    }
  });

  test('whoever begins at a seq is told of the merge that it is in the middle of', async () => {
    const { merged, final } = await pageOf(channels[4]!);
    const { first, last } = merged.find(({ entries }) => entries > 1)!;
    const from = async (seq: number) => {
      const events: ReadEvent[] = [];
      for await (const event of channels[4]!.read({ from: seq, limit: last - seq + 2 })) {
        events.push(event);
      }
      return events.filter(({ type }) => type === 'merged').length;
    };
    expect(final.length).toBeGreaterThan(last);
    expect(await from(first)).toBe(1);
    expect(await from(last)).toBe(1);
    expect(await from(last + 1)).toBe(0);
  });

  test('a limit counts entries', async () => {
    const { merged } = await pageOf(channels[2]!);
    const events: ReadEvent[] = [];
    const limit = merged[0]!.last;
    for await (const event of channels[2]!.read({ limit })) events.push(event);
    expect(events.filter(({ type }) => type === 'entry')).toHaveLength(limit);
    over.abort();
    await Promise.all(readers.map(({ done }) => done));
  });
});

test('a cursor is one that was given', async () => {
  for (const from of ['', '1.', '1.2', '1.1.1', '-1', '1e3', 'abc', '9'.repeat(17)]) {
    expect(() => channels[0]!.read({ from })).toThrow(/is not a cursor/);
  }
});
