/**
 * A TCP proxy that can cut its one client off, as a network does: `reset`
 * breaks every connection and refuses new ones; `silence` lets nothing more
 * through in either direction and says nothing, and what was on its way arrives
 * once it is healed. The demo puts one between each node and each relay.
 */

import { createConnection, createServer, type Server, type Socket } from 'node:net';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export type Cut = 'reset' | 'silence';

export interface TcpProxy {
  readonly port: number;
  /** Bytes that came through, both ways. */
  readonly bytes: number;
  cut(how: Cut): void;
  heal(): void;
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1. */
export async function startProxy(target: Address): Promise<TcpProxy> {
  const proxy = new CuttableProxy(target);
  await proxy.listen();
  return proxy;
}

class CuttableProxy implements TcpProxy {
  readonly #target: Address;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #cut: Cut | undefined;
  #pastBytes = 0;

  constructor(target: Address) {
    this.#target = target;
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => {
      this.#accept(client);
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  get bytes(): number {
    let bytes = this.#pastBytes;
    for (const pair of this.#pairs) bytes += pair.bytes;
    return bytes;
  }

  #accept(client: Socket): void {
    if (this.#cut === 'reset') {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const pair = new Pair(client, this.#target, () => {
      this.#pairs.delete(pair);
      this.#pastBytes += pair.bytes;
    });
    this.#pairs.add(pair);
    if (!this.#cut) pair.flow();
  }

  cut(how: Cut): void {
    this.#cut = how;
    for (const pair of this.#pairs) {
      if (how === 'reset') pair.reset();
      else pair.hold();
    }
  }

  heal(): void {
    this.#cut = undefined;
    for (const pair of this.#pairs) pair.flow();
  }

  close(): Promise<void> {
    for (const pair of this.#pairs) pair.reset();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** A client's connection and the one to the target; they live and die together. */
class Pair {
  readonly #client: Socket;
  readonly #target: Address;
  readonly #whenGone: () => void;
  #upstream: Socket | undefined;
  #held = true;
  #gone = false;
  bytes = 0;

  constructor(client: Socket, target: Address, whenGone: () => void) {
    this.#client = client;
    this.#target = target;
    this.#whenGone = whenGone;
    this.#endWith(client, () => this.#upstream);
  }

  hold(): void {
    this.#held = true;
    this.#client.pause();
    this.#upstream?.pause();
  }

  /** Also connects to the target, unless it is connected: during a silence it is not. */
  flow(): void {
    if (!this.#held || this.#gone) return;
    this.#held = false;
    if (this.#upstream) this.#upstream.resume();
    else this.#connect();
    this.#client.resume();
  }

  #connect(): void {
    const upstream = createConnection({ ...this.#target, noDelay: true });
    this.#upstream = upstream;
    this.#endWith(upstream, () => this.#client);
    this.#forward(this.#client, upstream);
    this.#forward(upstream, this.#client);
  }

  #forward(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      this.bytes += chunk.length;
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      if (!this.#held) from.resume();
    });
  }

  /** What ends on one side ends on the other, in the same way. */
  #endWith(socket: Socket, other: () => Socket | undefined): void {
    socket.on('error', () => other()?.resetAndDestroy());
    socket.on('close', () => {
      other()?.destroySoon();
      this.#end();
    });
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
    this.#end();
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#whenGone();
  }
}
