/**
 * The network that the tests of this folder run processes on, and break. Hosts
 * are nodes and relays; a node talks to relays, never to a node. There are two
 * kinds: one of network namespaces, broken with the system's own tools
 * (namespaces.ts), and, where these can't be made, one of TCP proxies on
 * loopback (proxies.ts), which PARTITION_NETWORK=proxies asks for.
 */

import { openNamespaces, whyNoNamespaces } from './namespaces.js';
import { openProxies } from './proxies.js';

export interface RelayHost {
  readonly name: string;
  /** Where the relay is to listen: always the same, over restarts too. */
  readonly listen: string;
  /** What starts a process on this host (`Launch.through`). */
  readonly through: readonly string[];
}

export interface NodeHost {
  readonly name: string;
  readonly through: readonly string[];
}

export interface Network {
  readonly kind: 'namespaces' | 'proxies';
  addRelay(name: string): Promise<RelayHost>;
  /** Once all relays are there. */
  addNode(name: string): Promise<NodeHost>;
  /** A relay's URL as this node has to use it. */
  urlFor(node: NodeHost, relay: RelayHost, url: string): string;
  /** From now on no byte passes between the node and the relay, and nobody is told. */
  cut(node: NodeHost, relay: RelayHost): Promise<void>;
  heal(node: NodeHost, relay: RelayHost): Promise<void>;
  /** The node's only cable is pulled, and put back. */
  unplug(node: NodeHost): Promise<void>;
  plug(node: NodeHost): Promise<void>;
  /** From now on what the node sends and gets is slow, and some of it is lost on the way. */
  impair(node: NodeHost): Promise<void>;
  repair(node: NodeHost): Promise<void>;
  /** How often each kind of fault has hit something, as far as the network can tell. */
  hits(): Promise<Readonly<Record<string, number>>>;
  close(): Promise<void>;
}

export async function openNetwork(): Promise<Network> {
  const asked = process.env.PARTITION_NETWORK === 'proxies' && 'PARTITION_NETWORK says so';
  const reason = asked || (await whyNoNamespaces());
  if (reason === undefined) return openNamespaces();
  console.warn(`no network namespaces (${reason}): this test uses proxies on loopback instead`);
  return openProxies();
}
