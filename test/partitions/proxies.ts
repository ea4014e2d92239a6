/**
 * A network of TCP proxies on loopback, for machines where no namespaces can be
 * made: one proxy between each node and each relay. It cuts as a network does
 * (a proxy lets nothing through and says nothing); a pulled cable breaks the
 * connections; for delay and loss the line stands still for a moment, again and
 * again, which is what TCP makes of them.
 */

import { createServer } from 'node:net';
import { startProxy, type TcpProxy } from '../../src/cli/demo/proxy.js';
import { pinnedRelayUrl } from '../../src/core/relay-url.js';
import type { Network, NodeHost, RelayHost } from './network.js';

const HOST = '127.0.0.1';
const STILL_MS = 120;

interface Line {
  readonly proxy: TcpProxy;
  isCut: boolean;
}

export async function openProxies(): Promise<Network> {
  return new Proxies();
}

class Proxies implements Network {
  readonly kind = 'proxies';
  readonly #relays: RelayHost[] = [];
  readonly #lines = new Map<string, Map<string, Line>>();
  readonly #impaired = new Map<string, NodeJS.Timeout>();

  async addRelay(name: string): Promise<RelayHost> {
    const relay = { name, listen: `${HOST}:${await freePort()}`, through: [] };
    this.#relays.push(relay);
    return relay;
  }

  async addNode(name: string): Promise<NodeHost> {
    const lines = new Map<string, Line>();
    for (const relay of this.#relays) {
      const port = Number(relay.listen.split(':')[1]);
      lines.set(relay.name, { proxy: await startProxy({ host: HOST, port }), isCut: false });
    }
    this.#lines.set(name, lines);
    return { name, through: [] };
  }

  urlFor(node: NodeHost, relay: RelayHost, url: string): string {
    const { port } = this.#line(node, relay).proxy;
    return `conclave://${pinnedRelayUrl(url).key}@${HOST}:${port}`;
  }

  async cut(node: NodeHost, relay: RelayHost): Promise<void> {
    const line = this.#line(node, relay);
    line.isCut = true;
    line.proxy.cut('silence');
  }

  async heal(node: NodeHost, relay: RelayHost): Promise<void> {
    const line = this.#line(node, relay);
    line.isCut = false;
    line.proxy.heal();
  }

  async unplug(node: NodeHost): Promise<void> {
    for (const line of this.#linesOf(node)) {
      line.isCut = true;
      line.proxy.cut('reset');
    }
  }

  async plug(node: NodeHost): Promise<void> {
    for (const line of this.#linesOf(node)) {
      line.isCut = false;
      line.proxy.heal();
    }
  }

  async impair(node: NodeHost): Promise<void> {
    let still = false;
    const timer = setInterval(() => {
      still = !still;
      for (const { proxy, isCut } of this.#linesOf(node)) {
        if (isCut) continue;
        if (still) proxy.cut('silence');
        else proxy.heal();
      }
    }, STILL_MS);
    this.#impaired.set(node.name, timer);
  }

  async repair(node: NodeHost): Promise<void> {
    clearInterval(this.#impaired.get(node.name));
    for (const { proxy, isCut } of this.#linesOf(node)) if (!isCut) proxy.heal();
  }

  async hits(): Promise<Record<string, number>> {
    return {};
  }

  async close(): Promise<void> {
    for (const timer of this.#impaired.values()) clearInterval(timer);
    const lines = [...this.#lines.values()].flatMap((of) => [...of.values()]);
    await Promise.all(lines.map(({ proxy }) => proxy.close()));
  }

  #linesOf({ name }: NodeHost): Line[] {
    return [...this.#lines.get(name)!.values()];
  }

  #line({ name }: NodeHost, relay: RelayHost): Line {
    return this.#lines.get(name)!.get(relay.name)!;
  }
}

/** Free now; the relay that is to listen there says so if it is not any more. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
