/** The demo's proxy: what comes through, and what does not while it is cut. */

import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startProxy, type TcpProxy } from '../../src/cli/demo/proxy.js';

const HOST = '127.0.0.1';

let closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** A server that keeps what it receives and echoes it. */
class Target {
  readonly server: Server;
  readonly sockets: Socket[] = [];
  received = '';

  private constructor() {
    this.server = createServer((socket) => {
      this.sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        this.received += chunk.toString('latin1');
        socket.write(chunk);
      });
    });
  }

  static async start(): Promise<Target> {
    const target = new Target();
    await new Promise<void>((resolve) => target.server.listen(0, HOST, resolve));
    closing.push(() => target.stop());
    return target;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await startProxy({ host: HOST, port });
  closing.push(() => proxy.close());
  return proxy;
}

class Client {
  readonly socket: Socket;
  received = '';
  error: string | undefined;
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.socket = createConnection({ host: HOST, port });
    closing.push(() => this.socket.destroy());
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()));
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  async has(text: string): Promise<void> {
    while (this.received !== text) {
      await new Promise((resolve) => this.socket.once('data', resolve));
    }
  }
}

/** A round trip through another proxy: what was under way through the first has come through by now. */
async function roundTrip(): Promise<void> {
  const client = new Client((await proxyTo((await Target.start()).port)).port);
  client.send('|');
  await client.has('|');
}

describe('a proxy that is not cut', () => {
  it('passes bytes on in both directions and counts them', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    const client = new Client(proxy.port);
    client.send('hello');
    await client.has('hello');
    expect(target.received).toBe('hello');
    expect(proxy.bytes).toBe(10);
  });

  it('keeps the count of connections that are gone', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    const client = new Client(proxy.port);
    client.send('hello');
    await client.has('hello');
    client.socket.end();
    await client.closed;
    expect(proxy.bytes).toBe(10);
  });

  it('loses nothing to a reader that is slower than the writer', async () => {
    const target = await Target.start();
    const client = new Client((await proxyTo(target.port)).port);
    const text = 'x'.repeat(16_777_216);
    client.socket.pause();
    client.send(text);
    setImmediate(() => client.socket.resume());
    await client.has(text);
  });

  it('ends the connection of a client whose target dies', async () => {
    const target = await Target.start();
    const client = new Client((await proxyTo(target.port)).port);
    client.send('hello');
    await client.has('hello');
    await target.stop();
    await client.closed;
  });

  it('ends the connection of a client whose target is not there', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    await target.stop();
    await new Client(proxy.port).closed;
  });

  it('breaks the connection to the target when the client breaks its own', async () => {
    const target = await Target.start();
    const client = new Client((await proxyTo(target.port)).port);
    client.send('hello');
    await client.has('hello');
    const broken = new Promise((resolve) => target.sockets[0]!.on('error', resolve));
    client.socket.resetAndDestroy();
    expect(await broken).toMatchObject({ code: 'ECONNRESET' });
  });

  it('ends the connection to the target when the client ends its own', async () => {
    const target = await Target.start();
    const client = new Client((await proxyTo(target.port)).port);
    client.send('hello');
    await client.has('hello');
    const ended = new Promise((resolve) => target.sockets[0]!.on('end', () => resolve('end')));
    client.socket.end();
    expect(await ended).toBe('end');
  });
});

describe('a reset', () => {
  it('breaks connections, on both sides, and refuses new ones until healed', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    const client = new Client(proxy.port);
    client.send('hello');
    await client.has('hello');
    const gone = new Promise((resolve) => target.sockets[0]!.on('close', resolve));
    proxy.cut('reset');
    await Promise.all([client.closed, gone]);
    expect(client.error).toBe('ECONNRESET');

    const refused = new Client(proxy.port);
    refused.send('lost');
    await refused.closed;
    expect(target.received).toBe('hello');

    proxy.heal();
    const again = new Client(proxy.port);
    again.send('!');
    await again.has('!');
    expect(target.received).toBe('hello!');
  });
});

describe('a silence', () => {
  it('lets nothing through in either direction, and breaks nothing', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    const client = new Client(proxy.port);
    client.send('hello');
    await client.has('hello');

    proxy.cut('silence');
    client.send(' later');
    target.sockets[0]!.write('unheard');
    await roundTrip();
    expect(target.received).toBe('hello');
    expect(client.received).toBe('hello');
    expect(client.socket.destroyed).toBe(false);
  });

  it('delivers what was on its way, in order, once it is healed', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    const client = new Client(proxy.port);
    client.send('hello');
    await client.has('hello');
    proxy.cut('silence');
    client.send(' later');
    proxy.heal();
    await client.has('hello later');
    expect(target.received).toBe('hello later');
  });

  it('takes new connections, but reaches the target for them only once it is healed', async () => {
    const target = await Target.start();
    const proxy = await proxyTo(target.port);
    proxy.cut('silence');
    const client = new Client(proxy.port);
    await new Promise((resolve) => client.socket.on('connect', resolve));
    client.send('hello');
    await roundTrip();
    expect(target.received).toBe('');
    proxy.heal();
    await client.has('hello');
  });
});

it('closing breaks what is open', async () => {
  const target = await Target.start();
  const proxy = await startProxy({ host: HOST, port: target.port });
  const client = new Client(proxy.port);
  client.send('hello');
  await client.has('hello');
  await proxy.close();
  await client.closed;
});
