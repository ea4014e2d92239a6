/**
 * The relay on TCP: sockets in, `Links` in the middle, sockets out. It gathers
 * what is to be written over one turn of the event loop, and watches how much
 * waits for each receiver: who can't keep up is dropped, so that it holds back
 * nobody else (docs/PROTOCOL.md, section "Relay limits").
 */

import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ConclaveError } from '../core/errors.js';
import type { Now, PeerId } from './effects.js';
import type { RelayLimits, RelayTiming } from './limits.js';
import type { Links, Wire } from './links.js';
import { Outbox } from './outbox.js';

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: RelayLimits;
  readonly timing: RelayTiming;
  readonly log: Logger;
  readonly now: () => Now;
  readonly links: (wire: Wire) => Links;
}

interface Receiver {
  readonly socket: Socket;
  /** What waited for it when this was last looked at. */
  waitingBytes: number;
}

export class TcpServer {
  readonly links: Links;
  readonly #o: TcpOptions;
  readonly #server: Server;
  readonly #outbox = new Outbox();
  readonly #receivers = new Map<PeerId, Receiver>();
  /** To be ended with the next flush. */
  #ending: PeerId[] = [];
  /** Sockets that were ended and have not closed. */
  readonly #lingering = new Set<Socket>();
  #waitingBytes = 0;
  #flushIsScheduled = false;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: TcpOptions) {
    this.#o = options;
    this.links = options.links({
      write: (to, frame) => {
        this.#outbox.add(to, frame);
        this.#scheduleFlush();
      },
      end: (peer) => {
        this.#ending.push(peer);
        this.#scheduleFlush();
      },
    });
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#open(socket));
    this.#sweeper = setInterval(() => this.#sweep(), options.timing.sweep_ms);
    this.#sweeper.unref();
  }

  /** The port that it listens on. Throws `listen_failed`. */
  async listen(): Promise<number> {
    const { host, port, log } = this.#o;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, resolve);
    }).catch((cause: Error) => {
      clearInterval(this.#sweeper);
      throw listenFailed(host, port, cause);
    });
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => log.error({ err: error }, 'accepting connections failed'));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  #open(socket: Socket): void {
    const peer = this.links.open(this.#o.now());
    // Ends in 'close', which says the same.
    socket.on('error', () => {});
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    this.#receivers.set(peer, { socket, waitingBytes: 0 });
    socket.on('data', (chunk) => this.links.receive(peer, chunk, this.#o.now()));
    socket.on('end', () => {
      this.links.gone(peer, this.#o.now());
      this.#end(peer);
    });
    socket.on('close', () => {
      this.#forget(peer);
      this.links.gone(peer, this.#o.now());
    });
  }

  #forget(peer: PeerId): void {
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    this.#waitingBytes -= receiver.waitingBytes;
    this.#receivers.delete(peer);
  }

  #scheduleFlush(): void {
    if (this.#flushIsScheduled) return;
    this.#flushIsScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushIsScheduled = false;
    // Who turns out to be too slow now is ended with the next flush, after its ERR.
    const ending = this.#ending;
    this.#ending = [];
    this.#outbox.flush((peer, buffers) => this.#write(peer, buffers));
    for (const peer of ending) this.#end(peer);
  }

  #write(peer: PeerId, buffers: readonly Uint8Array[]): void {
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    const { socket } = receiver;
    if (buffers.length === 1) socket.write(buffers[0]!);
    else {
      socket.cork();
      for (const buffer of buffers) socket.write(buffer);
      socket.uncork();
    }
    this.#measure(receiver);
    if (this.#isTooSlow(receiver)) {
      this.links.tooSlow(peer, receiver.waitingBytes, this.#o.now());
    }
  }

  #measure(receiver: Receiver): void {
    const waitingBytes = receiver.socket.writableLength;
    this.#waitingBytes += waitingBytes - receiver.waitingBytes;
    receiver.waitingBytes = waitingBytes;
  }

  #isTooSlow({ waitingBytes }: Receiver): boolean {
    const { send_buffer_bytes_max, send_buffer_total_bytes_max } = this.#o.limits;
    if (waitingBytes > send_buffer_bytes_max) return true;
    const isFull = this.#waitingBytes > send_buffer_total_bytes_max;
    return isFull && waitingBytes > send_buffer_total_bytes_max / this.#receivers.size;
  }

  /** Lets it take what was written, for a while. */
  #end(peer: PeerId): void {
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    this.#forget(peer);
    const { socket } = receiver;
    this.#lingering.add(socket);
    const timer = setTimeout(() => socket.destroy(), this.#o.timing.linger_ms);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#lingering.delete(socket);
    });
    socket.removeAllListeners('data');
    socket.resume();
    socket.end();
  }

  #sweep(): void {
    for (const receiver of this.#receivers.values()) this.#measure(receiver);
    this.links.sweep(this.#o.now());
  }

  /** Stops accepting, tells everyone, waits until they took it, at most `drain_ms`. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.links.drain(this.#o.now());
    this.#flush();
    const timeUp = new AbortController();
    const deadline = sleep(this.#o.timing.drain_ms, undefined, { signal: timeUp.signal });
    await Promise.race([closed, deadline.catch(() => {})]);
    timeUp.abort();
    for (const socket of this.#lingering) socket.destroy();
    await closed;
  }
}

function listenFailed(host: string, port: number, cause: Error): ConclaveError {
  return new ConclaveError(
    'listen_failed',
    `can't listen on ${host}:${port}: ${cause.message}. Choose another address, or port 0 for any free port.`,
    { cause },
  );
}
