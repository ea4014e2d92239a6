/** One of the demo's nodes: a directory, proxies to its relays, and `conclave up`, now and then. */

import type { ChannelStatus } from '../../node/api.js';
import { callNode } from './control.js';
import type { Share } from './excerpt.js';
import type { Processes, Running } from './processes.js';
import type { TcpProxy } from './proxy.js';
import { isAway, type Reader } from './reader.js';
import { demoFailed } from './wait.js';

export interface DemoNode {
  readonly name: string;
  readonly dir: string;
  readonly user: string;
  readonly share: Share;
  readonly reader: Reader;
  /** One for each relay. */
  readonly proxies: readonly TcpProxy[];
  /** What it last said of the channel; undefined while it is not up. */
  status: ChannelStatus | undefined;
  running: Running | undefined;
}

/** Runs the node, which reaches the relays at `urls`. */
export async function up(
  processes: Processes,
  node: DemoNode,
  urls: readonly string[],
): Promise<void> {
  const relays = urls.flatMap((url) => ['--relay', url]);
  node.running = await processes.start(node.name, ['up', '--dir', node.dir, ...relays]);
}

/** Ends the process with kill -9, or with SIGTERM, which it must obey. */
export async function down(node: DemoNode, how: 'kill' | 'stop'): Promise<void> {
  const { running } = node;
  if (!running) throw demoFailed(`${node.name} is not running`);
  node.running = undefined;
  node.status = undefined;
  await running[how]();
  node.status = undefined;
}

/** Cuts the node off from one relay: nothing that was under way arrives later. */
export function cut(node: DemoNode, relay: number): void {
  node.proxies[relay]!.cut('reset');
}

/** Cuts the node off from everybody. */
export function isolate(node: DemoNode): void {
  for (const proxy of node.proxies) proxy.cut('reset');
}

export function heal(node: DemoNode): void {
  for (const proxy of node.proxies) proxy.heal();
}

export async function askStatus(
  node: DemoNode,
  channel: string,
  signal: AbortSignal,
): Promise<void> {
  const { running } = node;
  if (!running) return;
  try {
    const [status] = await callNode(node.dir, 'status', { args: { channel }, signal });
    if (node.running === running) node.status = status as unknown as ChannelStatus;
  } catch (error) {
    if (!isAway(error)) throw error;
  }
}

export const nameIn =
  (nodes: readonly DemoNode[]) =>
  (user: string): string =>
    nodes.find((one) => one.user === user)?.name ?? user;
