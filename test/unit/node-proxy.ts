/** A TCP proxy in front of a relay: what a cut cable, or a killed relay, is to the nodes. */

import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createConnection, createServer, type Socket } from 'node:net';
import type { Relay } from '../../src/relay/index.js';

export interface RelayProxy {
  /** The relay's, by way of the proxy. */
  readonly url: string;
  /** Resolves once `fits` the connections there are, and those there ever were. */
  when(fits: (now: number, ever: number) => boolean): Promise<void>;
  /** Ends every connection abruptly and takes no more. */
  cut(): void;
  /** Takes connections again, to `relay` if one is given. */
  mend(relay?: Relay): void;
  kill(): Promise<void>;
}

export async function startProxy(first: Relay): Promise<RelayProxy> {
  let { port } = first;
  let isCut = false;
  let ever = 0;
  const sockets = new Set<Socket>();
  const changes = new EventEmitter();
  const server = createServer((inside) => {
    if (isCut) {
      inside.resetAndDestroy();
      return;
    }
    ever += 1;
    const outside = createConnection({ host: '127.0.0.1', port, noDelay: true });
    for (const [socket, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
        changes.emit('change');
      });
      socket.pipe(other);
    }
    changes.emit('change');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: first.url.replace(/:\d+$/, `:${own}`),
    async when(fits) {
      while (!fits(sockets.size / 2, ever)) await once(changes, 'change');
    },
    cut,
    mend(relay) {
      if (relay) port = relay.port;
      isCut = false;
    },
    async kill() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
