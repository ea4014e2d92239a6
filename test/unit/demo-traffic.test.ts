/**
 * The demo's traffic and readers, against a control socket that behaves as a
 * node does, or as one that dies at the wrong moment.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ControlServer, serveControl } from '../../src/cli/control-server.js';
import type { DemoNode } from '../../src/cli/demo/node.js';
import { Places, Reader } from '../../src/cli/demo/reader.js';
import { Traffic } from '../../src/cli/demo/traffic.js';
import { until } from '../../src/cli/demo/wait.js';
import type { Handler } from '../../src/cli/io.js';
import type { IrcMessage } from '../../src/cli/irc.js';
import { ConclaveError } from '../../src/core/errors.js';
import type { Node } from '../../src/node/api.js';

const log = pino({ level: 'silent' });
const CHANNEL = 'channel';

let dir: string;
let over: AbortController;
let servers: ControlServer[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'conclave-traffic-'));
  over = new AbortController();
  servers = [];
});

afterEach(async () => {
  over.abort();
  await Promise.all(servers.map((server) => server.close()));
  await rm(dir, { recursive: true });
});

async function serve(name: string, handler: Handler): Promise<ControlServer> {
  const node = {} as Node;
  const server = await serveControl({ dir, node, handlers: { [name]: handler }, log });
  servers.push(server);
  return server;
}

/** What `import` of a node does: each index once, ascending. */
class Store {
  readonly messages: IrcMessage[] = [];

  readonly handler: Handler = async (_node, _args, io) => {
    let imported = 0;
    let skipped = 0;
    for await (const item of io.input()) {
      const message = item as IrcMessage;
      const known = message.index <= (this.messages.at(-1)?.index ?? -1);
      if (known) skipped++;
      else imported += this.messages.push(message) && 1;
    }
    await io.emit({ imported, skipped, queued: 0 });
  };
}

function aNode(lines: number, more: Partial<DemoNode> = {}): DemoNode {
  const message = (index: number): IrcMessage => ({
    index,
    name: 'nick',
    text: `${index}`,
    time: 0,
  });
  const all = Array.from({ length: lines }, (_, turn) => ({ turn, message: message(turn) }));
  return {
    name: 'ana',
    dir,
    user: 'user',
    share: { path: '', source: 'source', lines: all },
    reader: new Reader('ana', new Places()),
    proxies: [],
    status: undefined,
    running: { name: 'ana', first: {}, kill: async () => {}, stop: async () => {} },
    ...more,
  };
}

const wait = (what: string, probe: () => boolean): Promise<boolean> =>
  until({ what, limit_s: 30, signal: over.signal }, probe);

const indices = ({ messages }: Store): number[] => messages.map(({ index }) => index);
const upTo = (n: number): number[] => [...Array(n).keys()];

describe('traffic', () => {
  it('posts every line once, in order', async () => {
    const store = new Store();
    await serve('import', store.handler);
    const traffic = new Traffic(CHANNEL, [aNode(20)]);
    traffic.release(1);
    await traffic.run(over.signal);
    expect(indices(store)).toEqual(upTo(20));
    expect(traffic.posted).toBe(20);
  });

  it('posts no more than was released', async () => {
    const store = new Store();
    await serve('import', store.handler);
    const node = aNode(20);
    const traffic = new Traffic(CHANNEL, [node]);
    traffic.release(0.5);
    const run = traffic.run(over.signal);
    await wait('the first half', () => traffic.posted === 10);
    expect(traffic.feed(node)).toEqual({ handed: 10, posted: 10 });
    traffic.release(1);
    await run;
    expect(indices(store)).toEqual(upTo(20));
  });

  it('posts nothing more while it is held', async () => {
    await serve('import', async (_node, _args, io) => {
      let imported = 0;
      for await (const _ of io.input()) imported++;
      await io.emit({ imported, skipped: 0 });
    });
    const [traffic, clock] = [new Traffic(CHANNEL, [aNode(40)]), new Traffic('', [aNode(40)])];
    traffic.release(1);
    const run = traffic.run(over.signal);
    await wait('the first lines', () => traffic.posted > 0);
    traffic.hold();
    // In the time that all of this takes, all of the other would have gone out.
    clock.release(1);
    await clock.run(over.signal);
    expect(traffic.posted).toBeLessThan(40);
    traffic.release(1);
    await run;
    expect(traffic.posted).toBe(40);
  });

  it('posts nothing twice when a node dies after it stored a batch and before it said so', async () => {
    const store = new Store();
    let deaths = 0;
    await serve('import', async (node, args, io) => {
      await store.handler(node, args, { ...io, emit: async () => {} });
      if (deaths++ === 0)
        throw new ConclaveError('closed', 'the node is gone', { retryable: true });
      await io.emit({ imported: 0, skipped: 1 });
    });
    const traffic = new Traffic(CHANNEL, [aNode(1)]);
    traffic.release(1);
    await traffic.run(over.signal);
    expect(indices(store)).toEqual([0]);
    expect(traffic.known).toBe(1);
  });

  it('keeps the lines of a node that is not up until it is', async () => {
    const store = new Store();
    await serve('import', store.handler);
    const away = aNode(5, { running: undefined });
    const there = aNode(5);
    const traffic = new Traffic(CHANNEL, [away, there]);
    traffic.release(1);
    const run = traffic.run(over.signal);
    await wait('the lines of the node that is up', () => traffic.feed(there).posted === 5);
    expect(traffic.feed(away)).toEqual({ handed: 0, posted: 0 });
    away.running = there.running;
    await run;
    expect(traffic.feed(away)).toEqual({ handed: 5, posted: 5 });
  });

  it('fails when a node takes less than it was given', async () => {
    await serve('import', async (_node, _args, io) => {
      for await (const _ of io.input());
      await io.emit({ imported: 0, skipped: 0 });
    });
    const traffic = new Traffic(CHANNEL, [aNode(1)]);
    traffic.release(1);
    await expect(traffic.run(over.signal)).rejects.toMatchObject({ code: 'demo_failed' });
  });
});

describe('readers', () => {
  const entry = (seq: number, more: object = {}): Record<string, unknown> => ({
    seq,
    id: `id-${seq}`,
    from: 'ana',
    state: 'final',
    kind: 'message',
    ...more,
  });

  const tail =
    (entries: readonly Record<string, unknown>[], then: () => Promise<void>): Handler =>
    async (_node, args, io) => {
      for (const one of entries) {
        if (one.seq === null || Number(one.seq) >= Number(args.from)) await io.emit(one);
      }
      await then();
    };
  const forEver = (): Promise<void> =>
    new Promise((resolve) => over.signal.addEventListener('abort', () => resolve()));

  it('count messages that are final, and nothing else', async () => {
    const open = { seq: null, state: 'committed' };
    const entries = [entry(1, { kind: 'epoch' }), entry(2), entry(3), entry(4, open)];
    await serve('tail', tail(entries, forEver));
    const reader = new Reader('ana', new Places());
    void reader.follow(dir, CHANNEL, over.signal);
    await wait('two messages', () => reader.messages === 2);
    expect(reader.messagesOf('ana')).toBe(2);
    expect(reader.timeOf('ana', 2)).toBeGreaterThan(0);
    expect(reader.timeOf('ana', 3)).toBeUndefined();
  });

  it('count a message that is committed once, whatever becomes of it', async () => {
    const open = (state: string, seq: number) => entry(seq, { seq: null, state });
    const seen = [open('sent', 1), open('committed', 1), entry(1), open('committed', 2)];
    await serve('tail', tail(seen, forEver));
    const reader = new Reader('ana', new Places());
    void reader.follow(dir, CHANNEL, over.signal);
    await wait('both messages', () => reader.committedOf('ana') === 2);
    expect(reader.messagesOf('ana')).toBe(1);
  });

  it('go on where they were when the node comes back', async () => {
    const gone = async (): Promise<void> => {
      throw new ConclaveError('closed', 'the node is shutting down', { retryable: true });
    };
    const first = await serve('tail', tail([entry(1), entry(2)], gone));
    const reader = new Reader('ana', new Places());
    void reader.follow(dir, CHANNEL, over.signal);
    await wait('two messages', () => reader.messages === 2);
    await first.close();
    await serve('tail', tail([entry(1), entry(2), entry(3)], forEver));
    await wait('the third message', () => reader.messages === 3);
  });

  it.each<[string, Record<string, unknown>[]]>([
    ['a gap', [entry(1), entry(3)]],
    ['an entry twice', [entry(1), entry(1)]],
  ])('refuse %s', async (_, entries) => {
    await serve('tail', tail(entries, forEver));
    const reader = new Reader('ana', new Places());
    await expect(reader.follow(dir, CHANNEL, over.signal)).rejects.toMatchObject({
      code: 'demo_failed',
    });
  });

  it('refuse another entry at a place that is taken', async () => {
    const places = new Places();
    places.add(1, 'another', 'ben');
    await serve('tail', tail([entry(1)], forEver));
    const reader = new Reader('ana', places);
    await expect(reader.follow(dir, CHANNEL, over.signal)).rejects.toMatchObject({
      code: 'demo_failed',
    });
  });
});
