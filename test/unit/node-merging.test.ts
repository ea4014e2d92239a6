/** Both sides of a partition write, then they meet again: what members are shown and told meanwhile. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  Channel,
  ChannelStatus,
  Explanation,
  MemberInfo,
  Node,
  ReadEvent,
} from '../../src/node/index.js';
import { ReaderPage } from './fixtures/reader-page.js';
import { allEqual, Cluster, isHealthy, patience, statusWhen, together } from './node-cluster.js';

const cluster = new Cluster();
const over = new AbortController();
afterAll(async () => {
  over.abort();
  await Promise.all(readers.map(({ done }) => done));
  await cluster.stop();
});

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
let apart: {
  page: ReaderPage;
  live: string[];
  members: MemberInfo[];
  status: ChannelStatus;
}[];
/** What nodes said of a message of the smaller side while the network was cut: its author, one beside it, one elsewhere. */
let told: { id: string; author: Explanation[]; other: Explanation[]; far: string };

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
    const members = channels[i]!.members.list();
    apart.push({ page, live, members, status: channels[i]!.currentStatus() });
  }
  const { id } = sent[3]!;
  const far = await channels[3]!.explain(id).catch((error: { code: string }) => error.code);
  told = {
    id,
    author: await channels[0]!.explain(id),
    other: await channels[1]!.explain(id),
    far: String(far),
  };
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

  test('its leader is shown as that of an online epoch, and so are its entries', () => {
    const [{ page, status, members }] = apart as [(typeof apart)[number]];
    for (const { epoch } of page.open) expect(epoch).toEqual(status.epoch);
    for (const { epoch } of page.final) expect(epoch).toMatchObject({ kind: 'roster' });
    expect(members.filter(({ leads }) => leads !== null)).toMatchObject([
      { user: status.leader, leads: status.epoch },
    ]);
  });

  test('both its members show one page', () => {
    const [a, b] = apart as [(typeof apart)[number], (typeof apart)[number]];
    expect(digests(b.page.open)).toEqual(digests(a.page.open));
    for (const { page, live } of apart) expect(live).toEqual(digests(page.open));
  });
});

describe('what happened to a message of the smaller side', () => {
  const named = (i: number) => ({ user: nodes[i]!.user, name: `n${i}` });
  const made = (n = expect.any(Number)) => ({
    step: 'made',
    by: named(0),
    time: expect.any(Number),
    boot: expect.any(String),
    n,
  });
  const signed = { step: 'signed', roster: expect.any(Number), records: expect.any(Number) };

  test('apart: committed by both in an online epoch, waiting for a merge', () => {
    for (const [i, [explanation, ...more]] of [told.author, told.other].entries()) {
      expect(more).toEqual([]);
      const { steps, waits, ...what } = explanation!;
      expect(what).toMatchObject({
        id: told.id,
        from: nodes[0]!.user,
        state: 'committed',
        seq: null,
      });
      expect(what).toMatchObject({ name: 'n0', kind: 'message', text: '0 says 3' });
      const placed = steps.at(-1)!;
      const queued = i === 0 ? [{ step: 'queued' }] : [];
      expect(steps.slice(0, -1)).toEqual([made(), signed, ...queued]);
      expect(placed).toMatchObject({ step: 'placed', in: 'branch', acknowledged: true });
      expect(placed).toMatchObject({ under: { kind: 'online' }, committed: { of: 2 } });
      if (placed.step !== 'placed') throw new Error('it was placed');
      expect([named(0), named(1)]).toContainEqual(placed.under.leader);
      expect(new Set(placed.committed!.by.map(({ name }) => name))).toEqual(new Set(['n0', 'n1']));
      expect(waits).toMatch(
        /^for a roster leader to merge it into the log: too few voting members/,
      );
    }
    expect(told.far).toBe('no_message');
  });

  test('together: merged by a roster leader, and final by most of the voters', async () => {
    const { final, merged } = await pageOf(channels[0]!);
    const entry = final.find(({ id }) => id === told.id)!;
    const merge = merged.find(({ first, last }) => first <= entry.seq! && entry.seq! <= last)!;
    for (const channel of channels) {
      const [{ steps: all, ...what }, ...more] = (await channel.explain(told.id)) as [Explanation];
      expect(more).toEqual([]);
      // Its place in the online epoch may be there still, or gone since it is final.
      const steps = all.filter(({ step }) => step !== 'placed');
      expect(what).toMatchObject({ state: 'final', seq: entry.seq, waits: null });
      expect(steps.map(({ step }) => step)).toEqual(['made', 'signed', 'merged', 'final']);
      expect(steps[2]).toMatchObject({ seq: merge.seq, by: { user: merge.by } });
      expect(steps[3]).toMatchObject({
        seq: entry.seq,
        under: { kind: 'roster', leader: { user: merge.by } },
        certificate: { of: 5 },
      });
      const { certificate } = steps[3] as Extract<(typeof steps)[number], { step: 'final' }>;
      expect(certificate!.seq).toBeGreaterThanOrEqual(entry.seq!);
      expect(certificate!.by.length).toBeGreaterThanOrEqual(3);
    }
  });

  test('of what was never cut off there is no merge to tell', async () => {
    const { final } = await pageOf(channels[2]!);
    const { id } = final.find(({ text }) => text === 'before')!;
    const [explanation] = await channels[2]!.explain(id.toLowerCase());
    expect(explanation!.steps.map(({ step }) => step)).toEqual(['made', 'signed', 'final']);
  });

  test('nor of a record that a leader made', async () => {
    const { final } = await pageOf(channels[2]!);
    const { id } = final.find(({ kind }) => kind === 'merge')!;
    const [explanation] = await channels[2]!.explain(id);
    expect(explanation).toMatchObject({ kind: 'merge', state: 'final' });
    expect(explanation!.text).toBeUndefined();
  });

  test('of what nobody holds, or is no id, there is nothing to tell', async () => {
    const explain = (id: string) => channels[0]!.explain(id);
    await expect(explain('0'.repeat(26))).rejects.toMatchObject({ code: 'no_message' });
    await expect(explain('hello')).rejects.toMatchObject({ code: 'bad_id' });
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
  });
});

test('a cursor is one that was given', async () => {
  for (const from of ['', '1.', '1.2', '1.1.1', '-1', '1e3', 'abc', '9'.repeat(17)]) {
    expect(() => channels[0]!.read({ from })).toThrow(/is not a cursor/);
  }
});
