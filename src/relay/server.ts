/**
 * The relay on TCP, or on TLS over it: sockets in, `Links` in the middle,
 * sockets out. Bytes are handled in turns (turns.ts), so that nobody waits for
 * those who pour in what they can. It gathers what is to be written over one
 * turn of the event loop, and watches how much waits for each receiver: who
 * can't keep up is dropped, so that it holds back nobody else (docs/PROTOCOL.md,
 * section "Relay limits").
 */

import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { ConclaveError } from '../core/errors.js';
import { firstOf } from './accounts.js';
import { Backlog } from './backlog.js';
import type { Now, PeerId } from './effects.js';
import {
  type RelayLimits,
  type RelayTiming,
  rateOf,
  TURN_CREDIT,
  TURN_MS,
  TURN_PIECE_BYTES,
} from './limits.js';
import type { Links, Wire } from './links.js';
import { Outbox } from './outbox.js';
import type { TlsCredentials } from './tls-credentials.js';
import type { TokenBucket } from './token-bucket.js';
import { Turns } from './turns.js';

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: RelayLimits;
  readonly timing: RelayTiming;
  readonly log: Logger;
  readonly now: () => Now;
  readonly links: (wire: Wire) => Links;
  /** What new connections are served with; without it they are plain TCP. */
  readonly tls: () => TlsCredentials | undefined;
}

interface Receiver {
  readonly socket: Socket;
  readonly backlog: Backlog;
}

/** How long a connection may be silent before the system asks whether the other end is still there. */
const TCP_KEEPALIVE_MS = 30_000;
/** The flow of all connections before a valid `CNN`: no peer has this number. */
const STRANGERS = 0;
/** What handling costs beside the bytes: a frame, a delivery, bytes of a stranger, who may ask for a handshake. */
const COST = { frame: 512, delivery: 64, stranger: 2_048 } as const;

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
  readonly #turns: Turns;
  /** In milliseconds. */
  readonly #turnTime: TokenBucket;
  #waitingBytes = 0;
  #flushIsScheduled = false;
  #turnsAreScheduled = false;
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
    this.#turns = new Turns({
      pieceBytes: TURN_PIECE_BYTES,
      credit: TURN_CREDIT,
      handle: (peer, piece) => this.#handle(peer, piece),
      flowOf: (peer) => (this.links.isAuthenticated(peer) ? peer : STRANGERS),
    });
    this.#turnTime = rateOf(options.limits, 'turn_ms', options.now().ms);
    const alive = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS };
    this.#server = createServer({ noDelay: true, ...alive }, (socket) => this.#open(socket));
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

  #open(plain: Socket): void {
    const tls = this.#o.tls();
    const origin = { address: plain.remoteAddress, certificate: tls?.certificate };
    const peer = this.links.open(this.#o.now(), origin);
    if (peer === undefined) {
      plain.resetAndDestroy();
      return;
    }
    const socket = tls ? secured(plain, tls) : plain;
    // Ends in 'close', which says the same.
    socket.on('error', () => {});
    this.#receivers.set(peer, { socket, backlog: new Backlog(this.#o.now().ms) });
    socket.on('data', (chunk) => this.#receive(peer, socket, chunk));
    socket.on('end', () => {
      this.links.gone(peer, this.#o.now());
      this.#end(peer);
    });
    socket.on('close', () => {
      this.#forget(peer);
      this.links.gone(peer, this.#o.now());
    });
  }

  /** Until all of a chunk had its turn, no other is read from that socket. */
  #receive(peer: PeerId, socket: Socket, chunk: Uint8Array): void {
    const rest = this.#handlePromptly(peer, chunk);
    if (rest.length === 0 || this.#turns.add(peer, rest)) return;
    socket.pause();
    this.#scheduleTurns();
    if (this.#turns.waitingBytes <= this.#o.limits.turn_total_bytes_max) return;
    this.#turns.drop(peer);
    this.links.tooMuchAtOnce(peer, this.#o.now());
  }

  /** As much of a chunk as its address may bring without waiting; what is left. */
  #handlePromptly(peer: PeerId, chunk: Uint8Array): Uint8Array {
    const budget = this.links.promptOf(peer);
    let rest = chunk;
    while (budget && rest.length > 0 && budget.level(this.#o.now().ms) > 0) {
      const piece = rest.subarray(0, TURN_PIECE_BYTES);
      rest = rest.subarray(piece.length);
      budget.draw(this.#handle(peer, piece), this.#o.now().ms);
    }
    return rest;
  }

  #handle(peer: PeerId, piece: Uint8Array): number {
    const { links } = this;
    const { framesReceived, framesSent } = links.counters;
    const isStranger = !links.isAuthenticated(peer);
    links.receive(peer, piece, this.#o.now());
    const frames = links.counters.framesReceived - framesReceived;
    const deliveries = links.counters.framesSent - framesSent;
    const cost = piece.length + COST.frame * frames + COST.delivery * deliveries;
    return isStranger ? cost + COST.stranger : cost;
  }

  /** Those who wait have a part of the thread's time; the rest is for those who do not. */
  #scheduleTurns(): void {
    if (this.#turnsAreScheduled) return;
    this.#turnsAreScheduled = true;
    const waitMs = this.#turnTime.msUntil(0, this.#o.now().ms);
    if (waitMs > 0) setTimeout(() => this.#takeTurns(), waitMs);
    else setImmediate(() => this.#takeTurns());
  }

  /** Between two looks at the network, which may bring somebody who does not wait. */
  #takeTurns(): void {
    this.#turnsAreScheduled = false;
    const fromMs = this.#o.now().ms;
    let nowMs = fromMs;
    do {
      const done = this.#turns.run();
      if (done !== undefined) this.#receivers.get(done)?.socket.resume();
      nowMs = this.#o.now().ms;
    } while (!this.#turns.isEmpty && nowMs < fromMs + TURN_MS);
    this.#turnTime.draw(nowMs - fromMs, nowMs);
    if (!this.#turns.isEmpty) this.#scheduleTurns();
    this.#flush();
  }

  #forget(peer: PeerId): void {
    this.#turns.drop(peer);
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    this.#waitingBytes -= receiver.backlog.bytes;
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
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    this.#measure(peer, receiver, bytes);
  }

  /** Drops a receiver that can't keep up. */
  #measure(peer: PeerId, { socket, backlog }: Receiver, writtenBytes: number): void {
    const before = backlog.bytes;
    const now = this.#o.now();
    backlog.measure(socket.writableLength, writtenBytes, now.ms);
    this.#waitingBytes += backlog.bytes - before;
    const limit = this.#isTooSlow(backlog, now);
    if (limit !== undefined) this.links.tooSlow(peer, backlog.bytes, limit, now);
  }

  /** The limit that it is over. */
  #isTooSlow({ bytes, stalledSinceMs }: Backlog, now: Now): string | undefined {
    const { send_buffer_bytes_max, send_buffer_total_bytes_max } = this.#o.limits;
    if (bytes > send_buffer_bytes_max) return 'send_buffer_bytes_max';
    const isFull = this.#waitingBytes > send_buffer_total_bytes_max;
    const share = send_buffer_total_bytes_max / this.#receivers.size;
    if (isFull && bytes > share) return 'send_buffer_total_bytes_max';
    return now.ms - stalledSinceMs >= this.#o.timing.write_ms ? 'write_ms' : undefined;
  }

  /** Lets it take what was written, for a while. */
  #end(peer: PeerId): void {
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    this.#forget(peer);
    const { socket } = receiver;
    this.#lingering.add(socket);
    if (this.#lingering.size > this.#o.limits.lingering_max) firstOf(this.#lingering)!.destroy();
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
    for (const [peer, receiver] of this.#receivers) this.#measure(peer, receiver, 0);
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

/** The handshake runs behind this; nothing comes and goes in the clear. */
function secured(plain: Socket, { context }: TlsCredentials): TLSSocket {
  plain.on('error', () => {});
  return new TLSSocket(plain, { isServer: true, secureContext: context });
}

function listenFailed(host: string, port: number, cause: Error): ConclaveError {
  return new ConclaveError(
    'listen_failed',
    `can't listen on ${host}:${port}: ${cause.message}. Choose another address, or port 0 for any free port.`,
    { cause },
  );
}
