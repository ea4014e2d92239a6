/**
 * Sets the demo up, with the commands that anyone would use: two relays, seven
 * nodes, one channel. Each node reaches each relay through a proxy of its own.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pinnedRelayUrl } from '../../core/relay-url.js';
import { readExcerpt, writeShares } from './excerpt.js';
import { askStatus, type DemoNode, up } from './node.js';
import type { Processes, Running } from './processes.js';
import { startProxy, type TcpProxy } from './proxy.js';
import { Places, Reader } from './reader.js';

const NODE_NAMES = ['ana', 'ben', 'cleo', 'dan', 'eva', 'finn', 'gus'] as const;
const RELAY_NAMES = ['relay-1', 'relay-2'] as const;
const CHANNEL_NAME = 'ubuntu';

export interface DemoRelay {
  readonly name: string;
  readonly url: string;
  readonly process: Running;
}

/** Nodes that reach each other. */
export interface Side {
  readonly title: string;
  readonly nodes: readonly DemoNode[];
}

export interface Stage {
  readonly processes: Processes;
  readonly relays: readonly DemoRelay[];
  readonly nodes: readonly DemoNode[];
  readonly channel: string;
  readonly lines: number;
  /** One, or two while the network is split. */
  sides: readonly Side[];
}

/** What has to be put away again, whatever became of it. */
export interface Props {
  readonly root: string;
  readonly processes: Processes;
  readonly proxies: TcpProxy[];
}

export async function setUp(
  props: Props,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Stage> {
  const { root, processes } = props;
  const excerpt = await readExcerpt();
  const dirs = NODE_NAMES.map((name) => join(root, name));
  for (const dir of dirs) await mkdir(dir);
  const shares = await writeShares(excerpt, dirs, signal);
  say(`${excerpt.lines.length} lines from #ubuntu on IRC, ${excerpt.name}: a share for each node`);

  const relays = await Promise.all(RELAY_NAMES.map((name) => startRelay(props, name)));
  for (const { name, url } of relays) say(`${name} listens on ${url}`);

  const places = new Places();
  const nodes = await Promise.all(
    NODE_NAMES.map(async (name, i): Promise<DemoNode> => {
      const dir = dirs[i]!;
      const { user } = await processes.result(name, ['init', '--dir', dir, '--name', name]);
      const proxies = await Promise.all(relays.map(({ url }) => proxyFor(props, url)));
      const reader = new Reader(name, places);
      const now = { status: undefined, running: undefined };
      return { name, dir, user: String(user), share: shares[i]!, reader, proxies, ...now };
    }),
  );
  await Promise.all(nodes.map((node) => startNode(processes, relays, node)));
  say(`${nodes.map(({ name }) => name).join(', ')} are up`);
  const channel = await makeChannel(processes, nodes, relays, say);
  const sides = [{ title: 'all', nodes }];
  return { processes, relays, nodes, channel, lines: excerpt.lines.length, sides };
}

async function startRelay({ root, processes }: Props, name: string): Promise<DemoRelay> {
  const args = ['relay', '--listen', '127.0.0.1:0', '--dir', join(root, name)];
  const process = await processes.start(name, args);
  return { name, url: String(process.first.url), process };
}

async function proxyFor({ proxies }: Props, url: string): Promise<TcpProxy> {
  const proxy = await startProxy(pinnedRelayUrl(url));
  proxies.push(proxy);
  return proxy;
}

/** Runs the node, so that it reaches the relays through its proxies. */
export async function startNode(
  processes: Processes,
  relays: readonly DemoRelay[],
  node: DemoNode,
): Promise<void> {
  const urls = relays.map(({ url }, i) => {
    return `conclave://${pinnedRelayUrl(url).key}@127.0.0.1:${node.proxies[i]!.port}`;
  });
  await up(processes, node, urls);
}

async function makeChannel(
  processes: Processes,
  [founder, ...others]: readonly DemoNode[],
  relays: readonly DemoRelay[],
  say: (text: string) => void,
): Promise<string> {
  const { name, dir } = founder!;
  const urls = relays.flatMap(({ url }) => ['--relay', url]);
  const created = await processes.result(name, ['create', '--dir', dir, ...urls, CHANNEL_NAME]);
  const channel = String(created.channel);
  say(`${name} made the channel ${channel}`);
  const invite = await processes.result(name, [
    ...['invite', '--dir', dir, channel],
    ...['--uses', String(others.length)],
  ]);
  await Promise.all(
    others.map(async ({ name, dir }) => {
      await processes.result(name, ['join', '--dir', dir, String(invite.invite)]);
      say(`${name} joined`);
    }),
  );
  return channel;
}

/** Asks every node that is up for its status. */
export async function sample({ nodes, channel }: Stage, signal: AbortSignal): Promise<void> {
  await Promise.all(nodes.map((node) => askStatus(node, channel, signal)));
}
