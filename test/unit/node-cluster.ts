/**
 * Nodes, relays and proxies of one test, on loopback and in temporary
 * folders; `Cluster.stop` ends them all. Waiting is by condition only.
 */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import {
  type Channel,
  type ChannelEntry,
  type ChannelStatus,
  type CreateOptions,
  levelStore,
  type Node,
  type NodeOptions,
  openNode,
} from '../../src/node/index.js';
import { type Relay, type RelayOptions, startRelay } from '../../src/relay/index.js';
import { type RelayProxy, startProxy } from './node-proxy.js';

export const seed = (): Uint8Array => new Uint8Array(randomBytes(32));

/** The address of a relay that is not there. */
export const NOWHERE = `conclave://${'ab'.repeat(32)}@127.0.0.1:1`;

/** A wait in a test that takes longer has failed. */
export const patience = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(40_000) });

type Extra = Partial<Omit<NodeOptions, 'identity'>> & { readonly seed?: Uint8Array };

export class Cluster {
  readonly #stops: (() => Promise<unknown>)[] = [];

  async relay(options: Partial<RelayOptions> = {}): Promise<Relay> {
    const relay = await startRelay({
      host: '127.0.0.1',
      port: 0,
      key: seed(),
      crypto: nativeCrypto,
      timing: { drain_ms: 50 },
      ...options,
    });
    this.#stops.push(() => relay.close());
    return relay;
  }

  /** A way to a relay that can be cut. */
  async proxy(relay: Relay): Promise<RelayProxy> {
    const proxy = await startProxy(relay);
    this.#stops.push(() => proxy.kill());
    return proxy;
  }

  async dir(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'conclave-node-'));
    this.#stops.unshift(() => rm(dir, { recursive: true, force: true }));
    return dir;
  }

  /** In memory unless `options` bring a store. */
  async node(name: string, { seed: own = seed(), ...options }: Extra = {}): Promise<Node> {
    const node = await openNode({
      store: memoryStore(),
      ...options,
      identity: { seed: own, name },
    });
    this.#stops.push(() => node.close({ drainMs: 0 }));
    return node;
  }

  levelNode(name: string, dir: string, options: Extra = {}): Promise<Node> {
    return this.node(name, { ...options, store: levelStore(dir) });
  }

  /** Also ends this. */
  onStop(stop: () => Promise<unknown>): void {
    this.#stops.push(stop);
  }

  /** Last started, first ended. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }
}

/** A channel of its own for each node, all in it, the first its founder. */
export async function together(
  nodes: readonly Node[],
  relays: readonly string[],
  policy: Pick<CreateOptions, 'minOnline' | 'few' | 'quorum' | 'history'> = {},
): Promise<Channel[]> {
  const [founder, ...others] = nodes;
  const minOnline = Math.min(3, nodes.length);
  const channel = await founder!.create({
    name: 'team',
    relays,
    minOnline,
    few: 'always',
    ...policy,
  });
  if (others.length === 0) return [channel];
  const invite = await channel.members.invite({ uses: others.length, ...patience() });
  const joined: Channel[] = [];
  for (const node of others) joined.push(await node.join(invite, patience()));
  return [channel, ...joined];
}

/** The first status that fits. */
export async function statusWhen(
  channel: Channel,
  fits: (status: ChannelStatus) => boolean,
  options = patience(),
): Promise<ChannelStatus> {
  for await (const status of channel.status(options)) if (fits(status)) return status;
  throw new Error('a status stream does not end');
}

export const isHealthy = ({ state }: ChannelStatus): boolean => state === 'healthy';

export async function entriesOf(channel: Channel): Promise<ChannelEntry[]> {
  const entries: ChannelEntry[] = [];
  for await (const event of channel.read()) if (event.type === 'entry') entries.push(event.entry);
  return entries;
}

/** Texts of the messages in a channel, in the order shown. */
export async function textsOf(channel: Channel): Promise<string[]> {
  return (await entriesOf(channel)).filter((e) => e.kind === 'message').map((e) => e.text!);
}

/** Waits until all of them have one final log of at least `seq` entries and nothing on its way. */
export async function allEqual(channels: readonly Channel[], seq = 1): Promise<string> {
  const { signal } = patience();
  for (;;) {
    const all = channels.map((channel) => channel.currentStatus());
    const { head, final } = all[0]!;
    const isSettled = all.every((s) => s.head === head && s.queued + s.sent === 0);
    if (isSettled && final >= seq) return `${final} ${head}`;
    const over = new AbortController();
    const either = { signal: AbortSignal.any([signal, over.signal]) };
    const changes = channels.map((channel, i) => {
      const seen = JSON.stringify(all[i]);
      return statusWhen(channel, (s) => JSON.stringify(s) !== seen, either);
    });
    await Promise.race(changes);
    over.abort();
  }
}

/** Every key and value of a store that belong to the log, the roster, the promises and the certificates. */
export async function contentOf(store: Store): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const [key, value] of store.range({ gte: 'c/', lt: 'c0' })) {
    content.set(key, Buffer.from(value).toString('hex'));
  }
  return content;
}
