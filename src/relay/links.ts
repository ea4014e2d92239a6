/**
 * The connections of a relay (docs/PROTOCOL.md, sections "Links" and "Relay
 * limits"): handshake, deadlines, rates, and the way from bytes to the hub and
 * back. Sans-IO like the hub: the caller brings bytes and the time, and gives a
 * `Wire` that takes bytes and ends connections.
 *
 * Promises: nothing that a client sends throws; every end of a connection that
 * the relay decides is announced by an `ERR` with a reason; a forwarded command
 * is sealed once, whoever it is for. A limit never drops a frame in silence:
 * over it comes `RATE`, and who goes on regardless is disconnected.
 */

import type { Logger } from 'pino';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import {
  type BroadcastKey,
  type LinkIdentity,
  type RelayEvent,
  type RelayInfo,
  RelayLink,
  sealBroadcast,
} from '../core/link.js';
import { Counters } from './counters.js';
import type { Effect, Now, PeerId } from './effects.js';
import { Hub } from './hub.js';
import { HANDSHAKE_FREE_BYTES, type RelayLimits, type RelayTiming } from './limits.js';
import { errorCommand, rate } from './replies.js';
import { TokenBucket } from './token-bucket.js';

/** What the links ask of the network. */
export interface Wire {
  /** One frame for each of `to`. The arrays are not changed afterwards. */
  write(to: readonly PeerId[], frame: Uint8Array): void;
  /** Ends the connection once it took what was written. */
  end(peer: PeerId): void;
}

export interface LinksOptions {
  readonly crypto: Crypto;
  readonly identity: LinkIdentity;
  readonly random: (bytes: number) => Uint8Array;
  readonly info: RelayInfo;
  readonly limits: RelayLimits;
  readonly timing: RelayTiming;
  readonly allow?: readonly UserId[] | undefined;
  readonly log: Logger;
  readonly wire: Wire;
  readonly now: Now;
}

interface Connection {
  readonly peer: PeerId;
  readonly self: readonly PeerId[];
  readonly link: RelayLink;
  readonly openedMs: number;
  readonly frames: TokenBucket;
  readonly bytes: TokenBucket;
  /** Set once its `CNN` was valid. */
  user: UserId | undefined;
  heardMs: number;
  /** Until then it was told to slow down. */
  warnedUntilMs: number;
  /** What it may still send before it is charged a handshake. */
  freeBytes: number;
  hasPaid: boolean;
  /** Bytes of a frame that is not complete, not counting those that came with the end of another. */
  partialBytes: number;
}

const BROADCAST_KEY_BYTES = 64;

export class Links {
  readonly hub: Hub;
  readonly counters = new Counters();
  readonly #o: LinksOptions;
  readonly #broadcast: BroadcastKey;
  readonly #connections = new Map<PeerId, Connection>();
  /** Those without a valid `CNN`, oldest first. */
  readonly #unauthenticated = new Set<Connection>();
  readonly #handshakes: TokenBucket;
  #partialBytes = 0;
  #nextPeer: PeerId = 1;

  constructor(options: LinksOptions) {
    const { crypto, limits, allow, now } = options;
    this.#o = options;
    this.#broadcast = { number: 1, key: options.random(BROADCAST_KEY_BYTES) };
    this.#handshakes = new TokenBucket(limits.handshakes_per_s, limits.handshakes_burst, now.ms);
    this.hub = new Hub({ crypto, limits, allow, nowMs: now.ms });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** A new connection; `undefined` when there is no room. */
  open(now: Now): PeerId | undefined {
    const { limits, crypto, identity, random, info } = this.#o;
    if (this.#connections.size >= limits.connections_max) {
      this.counters.closed('full');
      return undefined;
    }
    if (this.#unauthenticated.size >= limits.unauthenticated_max) this.#evictOldest(now);
    const peer = this.#nextPeer++;
    const connection: Connection = {
      peer,
      self: [peer],
      link: new RelayLink({ crypto, identity, random, info, broadcast: () => this.#broadcast }),
      openedMs: now.ms,
      frames: new TokenBucket(limits.frames_per_s, limits.frames_burst, now.ms),
      bytes: new TokenBucket(limits.bytes_per_s, limits.bytes_burst, now.ms),
      user: undefined,
      heardMs: now.ms,
      warnedUntilMs: 0,
      freeBytes: HANDSHAKE_FREE_BYTES,
      hasPaid: false,
      partialBytes: 0,
    };
    this.#connections.set(peer, connection);
    this.#unauthenticated.add(connection);
    return peer;
  }

  /** Room is made by whoever has dallied longest: a good client needs one round trip. */
  #evictOldest(now: Now): void {
    const [oldest] = this.#unauthenticated;
    if (oldest) this.#close(oldest, now, busy('too many connections are being opened'));
  }

  /** Bytes came. */
  receive(peer: PeerId, chunk: Uint8Array, now: Now): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    connection.heardMs = now.ms;
    this.counters.bytesReceived += chunk.length;
    if (connection.user === undefined) this.#receiveOpen(connection, chunk, now);
    else this.#receive(connection, chunk, now);
  }

  /** In two pieces, so that garbage shows itself before it costs a handshake. */
  #receiveOpen(connection: Connection, chunk: Uint8Array, now: Now): void {
    const nowS = now.wallMs / 1_000;
    const head = chunk.subarray(0, connection.freeBytes);
    const tail = chunk.subarray(head.length);
    if (head.length > 0) {
      connection.freeBytes -= head.length;
      this.#handle(connection, connection.link.receive(head, nowS), now);
    }
    if (tail.length === 0 || !this.#isOpen(connection)) return;
    if (!connection.hasPaid && !this.#handshakes.take(1, now.ms)) {
      this.#close(connection, now, busy('too many handshakes at once'));
      return;
    }
    connection.hasPaid = true;
    this.#handle(connection, connection.link.receive(tail, nowS), now);
  }

  #receive(connection: Connection, chunk: Uint8Array, now: Now): void {
    if (!this.#draw(connection, connection.bytes, chunk.length, '', now)) return;
    const events = connection.link.receive(chunk, now.wallMs / 1_000);
    this.#holdPartial(connection, events.length > 0 ? 0 : connection.partialBytes + chunk.length);
    this.#handle(connection, events, now);
    const { receive_buffer_total_bytes_max } = this.#o.limits;
    if (this.#partialBytes <= receive_buffer_total_bytes_max || !this.#isOpen(connection)) return;
    if (connection.partialBytes > receive_buffer_total_bytes_max / this.#connections.size) {
      this.#close(connection, now, busy('too many frames are incomplete'));
    }
  }

  #holdPartial(connection: Connection, bytes: number): void {
    this.#partialBytes += bytes - connection.partialBytes;
    connection.partialBytes = bytes;
  }

  /** Charges what was received. False when the connection was ended for it. */
  #draw(
    connection: Connection,
    bucket: TokenBucket,
    tokens: number,
    about: string,
    now: Now,
  ): boolean {
    const level = bucket.draw(tokens, now.ms);
    if (level >= 0) return true;
    if (level < -bucket.burst) {
      this.#close(connection, now, tooFast(), about);
      return false;
    }
    if (now.ms >= connection.warnedUntilMs) {
      const retryMs = bucket.msUntil(bucket.burst / 2, now.ms);
      connection.warnedUntilMs = now.ms + retryMs;
      this.counters.rateWarnings++;
      this.#send(connection, rate(about, retryMs), now);
    }
    return true;
  }

  #handle(connection: Connection, events: readonly RelayEvent[], now: Now): void {
    for (const event of events) {
      if (!this.#isOpen(connection)) return;
      switch (event.type) {
        case 'send':
          this.#write(connection.self, event.bytes);
          break;
        case 'connected':
          this.#authenticated(connection, event.user, event.name, now);
          break;
        case 'command':
          this.counters.framesReceived++;
          if (!this.#draw(connection, connection.frames, 1, event.name, now)) return;
          this.#run(this.hub.command(connection.peer, event, now), now);
          break;
        case 'refused':
          this.counters.framesReceived++;
          if (!this.#draw(connection, connection.frames, 1, event.name, now)) return;
          this.#send(connection, errorCommand(event.error, event.name), now);
          break;
        case 'error':
          this.#close(connection, now, event.error, event.about);
          return;
      }
    }
  }

  #authenticated(connection: Connection, user: UserId, name: string, now: Now): void {
    connection.user = user;
    this.#unauthenticated.delete(connection);
    this.#o.log.debug({ peer: connection.peer, user }, 'client connected');
    this.#run(this.hub.connect(connection.peer, user, name, now), now);
  }

  /** Does what the hub decided. */
  #run(effects: readonly Effect[], now: Now): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'forward': {
          const { crypto } = this.#o;
          const { key } = this.#broadcast;
          this.#write(effect.to, sealBroadcast(crypto, key, effect.name, effect.raw));
          break;
        }
        case 'send':
          for (const peer of effect.to) {
            const connection = this.#connections.get(peer);
            if (connection) this.#send(connection, effect.command, now);
          }
          break;
        case 'close': {
          const connection = this.#connections.get(effect.peer);
          if (connection) this.#end(connection, now, effect.error, '');
        }
      }
    }
  }

  #send(connection: Connection, command: Parameters<RelayLink['send']>[0], now: Now): void {
    if (command.name === 'ERR') this.counters.error(command.payload.code);
    this.#write(connection.self, connection.link.send(command, now.wallMs / 1_000));
  }

  #write(to: readonly PeerId[], frame: Uint8Array): void {
    this.counters.framesSent += to.length;
    this.counters.bytesSent += to.length * frame.length;
    this.#o.wire.write(to, frame);
  }

  #isOpen(connection: Connection): boolean {
    return this.#connections.get(connection.peer) === connection;
  }

  /** Ends a connection for a reason of its own, and tells the others. */
  #close(connection: Connection, now: Now, error: ConclaveError, about = ''): void {
    this.#end(connection, now, error, about);
    this.#run(this.hub.disconnect(connection.peer), now);
  }

  #end(connection: Connection, now: Now, error: ConclaveError | undefined, about: string): void {
    const { peer, user } = connection;
    if (error) this.#send(connection, errorCommand(error, about), now);
    this.#forget(connection);
    this.counters.closed(error?.code ?? 'disconnected');
    const level = error && user !== undefined ? 'info' : 'debug';
    this.#o.log[level]({ peer, user, code: error?.code, about }, 'connection ended by the relay');
    this.#o.wire.end(peer);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection.peer);
    this.#unauthenticated.delete(connection);
    this.#holdPartial(connection, 0);
  }

  /** The connection is gone. */
  gone(peer: PeerId, now: Now): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    this.#forget(connection);
    this.counters.closed('gone');
    this.#o.log.debug({ peer, user: connection.user }, 'client gone');
    this.#run(this.hub.disconnect(peer), now);
  }

  /** More waits for this receiver than the relay will hold. It pulls what it missed when it is back. */
  tooSlow(peer: PeerId, waitingBytes: number, now: Now): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    this.#o.log.warn({ peer, user: connection.user, waitingBytes }, 'slow receiver dropped');
    this.#close(connection, now, slow(waitingBytes));
  }

  /** Ends what stayed silent too long. Call it every `sweep_ms`. */
  sweep(now: Now): void {
    const { cnn_ms, timeout_s } = this.#o.timing;
    for (const connection of this.#connections.values()) {
      if (connection.user === undefined) {
        if (now.ms - connection.openedMs >= cnn_ms) this.#close(connection, now, noCnn(cnn_ms));
      } else if (now.ms - connection.heardMs >= timeout_s * 1_000) {
        this.#close(connection, now, silent(timeout_s));
      }
    }
  }

  /** Says goodbye to everyone, without telling each of each. */
  drain(now: Now): void {
    for (const connection of [...this.#connections.values()]) {
      this.#end(connection, now, closing(), '');
    }
  }

  allow(user: UserId, now: Now): void {
    this.#run(this.hub.allow(user), now);
  }

  disallow(user: UserId, now: Now): void {
    this.#run(this.hub.disallow(user), now);
  }
}

const retryable = { retryable: true };

const busy = (why: string) =>
  new ConclaveError('busy', `this relay is busy: ${why}; try again later`, retryable);

const noCnn = (ms: number) =>
  new ConclaveError('cnn_timeout', `no valid CNN came within ${ms / 1_000} s`, retryable);

const silent = (seconds: number) =>
  new ConclaveError('timeout', `nothing came for ${seconds} s: send KALIVE`, retryable);

const tooFast = () =>
  new ConclaveError('rate', 'more was sent than this relay allows, after RATE said so', retryable);

const slow = (bytes: number) =>
  new ConclaveError('slow', `${bytes} bytes were waiting: read faster, pull what is missing`, {
    retryable: true,
  });

const closing = () =>
  new ConclaveError('closing', 'this relay is shutting down', { retryable: true });
