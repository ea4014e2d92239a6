/**
 * The connections of a relay (docs/PROTOCOL.md, sections "Links" and "Relay
 * limits"): handshake, deadlines, rates, and the way from bytes to the hub and
 * back. Sans-IO like the hub: the caller brings bytes and the time, and gives a
 * `Wire` that takes bytes and ends connections.
 *
 * Promises: nothing that a client sends throws; every end of a connection that
 * the relay decides is announced by an `ERR` with a reason; a forwarded command
 * is sealed once, whoever it is for. A limit never drops a frame in silence:
 * over it comes `RATE`, and who goes on regardless is disconnected. Nobody has
 * more than so many handshakes, connections and bytes here before it proved who
 * it is, and no frame may take longer than so long.
 */

import type { Logger } from 'pino';
import type { Outgoing } from '../core/commands.js';
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
import { type Account, Accounts, firstOf } from './accounts.js';
import { networkOf } from './address.js';
import type { Audit, Noted } from './audit.js';
import { Counters } from './counters.js';
import type { Effect, Now, PeerId } from './effects.js';
import { type Entering, Hub, type HubEvents } from './hub.js';
import { HANDSHAKE_FREE_BYTES, type RelayLimits, type RelayTiming, rateOf } from './limits.js';
import { errorCommand, LimitError, rate } from './replies.js';
import type { TokenBucket } from './token-bucket.js';

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
  /** Who knows it may register. */
  readonly token?: (() => Uint8Array | undefined) | undefined;
  readonly log: Logger;
  readonly audit?: Audit | undefined;
  /** Came with the token, and is on the allow-list now. */
  readonly onRegistered?: ((user: UserId) => void) | undefined;
  readonly wire: Wire;
  readonly now: Now;
}

/** Where a connection comes from. */
export interface Origin {
  /** As the socket gives it. */
  readonly address?: string | undefined;
  /** SHA-256 of the certificate of the TLS that it runs in. */
  readonly certificate?: Uint8Array | undefined;
}

interface Connection {
  readonly peer: PeerId;
  readonly self: readonly PeerId[];
  readonly link: RelayLink;
  readonly address: string;
  readonly openedMs: number;
  readonly frames: TokenBucket;
  readonly bytes: TokenBucket;
  /** What it took since its address is over a limit. */
  readonly overdrawn: { frames: number; bytes: number };
  /** Of its address, and of its user once that is known. */
  accounts: readonly [address: Account, user?: Account];
  /** Set once its `CNN` was valid. */
  user: UserId | undefined;
  heardMs: number;
  /** Until then it was told to slow down. */
  warnedUntilMs: number;
  /** What it may still send before it is charged a handshake. */
  freeBytes: number;
  hasPaid: boolean;
  /** Bytes that are held for a frame that is not complete. */
  partialBytes: number;
  /** When that frame began. */
  partialSinceMs: number | undefined;
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
  readonly #addresses: Accounts;
  readonly #users: Accounts;
  #partialBytes = 0;
  #nextPeer: PeerId = 1;

  constructor(options: LinksOptions) {
    const { crypto, limits, allow, now } = options;
    this.#o = options;
    this.#broadcast = { number: 1, key: options.random(BROADCAST_KEY_BYTES) };
    this.#handshakes = rateOf(limits, 'handshakes', now.ms);
    this.#addresses = new Accounts('address', limits);
    this.#users = new Accounts('user', limits);
    const events: HubEvents = {
      announced: (peer, channel, at) => {
        const connection = this.#connections.get(peer);
        if (connection) this.#note({ event: 'channel', channel }, connection, at);
      },
      registered: (peer, user, at) => {
        const connection = this.#connections.get(peer);
        if (connection) this.#note({ event: 'registered', user }, connection, at);
        options.onRegistered?.(user);
      },
    };
    this.hub = new Hub({ crypto, limits, allow, nowMs: now.ms, events });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * A new connection; `undefined` when there is no room. One that its address
   * may not have is told so, through the wire, and ended at once, or not even told.
   */
  open(now: Now, { address = 'unknown', certificate }: Origin = {}): PeerId | undefined {
    const { limits, crypto, identity, random, token } = this.#o;
    if (this.#connections.size >= limits.connections_max) {
      this.counters.closed('full');
      return undefined;
    }
    const peer = this.#nextPeer++;
    const info = certificate ? { ...this.#o.info, tls: certificate } : this.#o.info;
    const broadcast = (): BroadcastKey => this.#broadcast;
    const account = this.#addresses.hold(networkOf(address), peer, now.ms);
    const refusal = this.#refusalOf(account, now);
    if (refusal && !account.refusals.take(1, now.ms)) {
      this.#addresses.release(account, peer);
      this.counters.closed('refused');
      return undefined;
    }
    const connection: Connection = {
      peer,
      self: [peer],
      link: new RelayLink({ crypto, identity, random, info, broadcast, token }),
      address,
      openedMs: now.ms,
      frames: rateOf(limits, 'frames', now.ms),
      bytes: rateOf(limits, 'bytes', now.ms),
      overdrawn: { frames: 0, bytes: 0 },
      accounts: [account],
      user: undefined,
      heardMs: now.ms,
      warnedUntilMs: 0,
      freeBytes: HANDSHAKE_FREE_BYTES,
      hasPaid: false,
      partialBytes: 0,
      partialSinceMs: undefined,
    };
    this.#connections.set(peer, connection);
    this.#note({ event: 'connect' }, connection, now);
    if (refusal) this.#close(connection, now, refusal);
    else this.#makeRoom(connection, account, now);
    return peer;
  }

  /** Why an address may not have one more connection now; pays for it otherwise. */
  #refusalOf({ peers, handshakes }: Account, now: Now): ConclaveError | undefined {
    if (peers.size > this.#o.limits.address_connections_max) {
      return busy('too many connections from your address', 'address_connections_max');
    }
    if (handshakes.take(1, now.ms)) return undefined;
    return busy('too many new connections from your address', handshakes.limit);
  }

  /** Where too many dally, room is made by who has for longest: a good client needs one round trip. */
  #makeRoom(connection: Connection, account: Account, now: Now): void {
    const { limits } = this.#o;
    if (account.dallying.size >= limits.address_unauthenticated_max) {
      const oldest = this.#connections.get(firstOf(account.dallying)!);
      this.#evict(oldest, 'address_unauthenticated_max', now);
    }
    if (this.#unauthenticated.size >= limits.unauthenticated_max) {
      this.#evict(firstOf(this.#unauthenticated), 'unauthenticated_max', now);
    }
    this.#unauthenticated.add(connection);
    account.dallying.add(connection.peer);
  }

  #evict(dallying: Connection | undefined, limit: string, now: Now): void {
    if (dallying) this.#close(dallying, now, busy('too many connections are being opened', limit));
  }

  /** What the address of an authenticated connection may bring without waiting for a turn. */
  promptOf(peer: PeerId): TokenBucket | undefined {
    const connection = this.#connections.get(peer);
    return connection?.user === undefined ? undefined : connection.accounts[0].prompt;
  }

  isAuthenticated(peer: PeerId): boolean {
    return this.#connections.get(peer)?.user !== undefined;
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
      const { limit } = this.#handshakes;
      this.#close(connection, now, busy('too many handshakes at once', limit));
      return;
    }
    connection.hasPaid = true;
    this.#handle(connection, connection.link.receive(tail, nowS), now);
  }

  #receive(connection: Connection, chunk: Uint8Array, now: Now): void {
    if (!this.#draw(connection, 'bytes', chunk.length, '', now)) return;
    const { link } = connection;
    const events = link.receive(chunk, now.wallMs / 1_000);
    this.#holdPartial(connection, link.bufferedBytes);
    if (!link.isMidFrame) connection.partialSinceMs = undefined;
    else if (events.length > 0) connection.partialSinceMs = now.ms;
    else connection.partialSinceMs ??= now.ms;
    this.#handle(connection, events, now);
    const { receive_buffer_total_bytes_max } = this.#o.limits;
    if (this.#partialBytes <= receive_buffer_total_bytes_max || !this.#isOpen(connection)) return;
    if (connection.partialBytes > receive_buffer_total_bytes_max / this.#connections.size) {
      const limit = 'receive_buffer_total_bytes_max';
      this.#close(connection, now, busy('too many frames are incomplete', limit));
    }
  }

  #holdPartial(connection: Connection, bytes: number): void {
    this.#partialBytes += bytes - connection.partialBytes;
    connection.partialBytes = bytes;
  }

  /** Charges what was received to everyone concerned. False when the connection was ended for it. */
  #draw(
    connection: Connection,
    what: 'frames' | 'bytes',
    tokens: number,
    about: string,
    now: Now,
  ): boolean {
    connection[what].draw(tokens, now.ms);
    if (!this.#isWithin(connection, connection[what], about, now)) return false;
    const [address, user] = connection.accounts;
    if (user) {
      user[what].draw(tokens, now.ms);
      if (!this.#isWithin(connection, user[what], about, now)) return false;
    }
    const shared = address[what];
    const isInDebt = shared.draw(tokens, now.ms) < 0;
    connection.overdrawn[what] = isInDebt ? connection.overdrawn[what] + tokens : 0;
    // Those go that took more than their share of what was too much.
    const isGreedy = connection.overdrawn[what] * address.peers.size >= shared.burst;
    return this.#isWithin(connection, shared, about, now, isGreedy);
  }

  #isWithin(
    connection: Connection,
    bucket: TokenBucket,
    about: string,
    now: Now,
    mayEnd = true,
  ): boolean {
    const level = bucket.level(now.ms);
    if (level >= 0) return true;
    if (level < -bucket.burst && mayEnd) {
      this.#close(connection, now, tooFast(bucket.limit), about);
      return false;
    }
    if (now.ms >= connection.warnedUntilMs) {
      const retryMs = bucket.msUntil(bucket.burst / 2, now.ms);
      connection.warnedUntilMs = now.ms + retryMs;
      this.counters.rateWarnings++;
      this.#send(connection, rate(about, retryMs, bucket.limit), now);
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
          this.#authenticated(connection, event, now);
          break;
        case 'command':
          this.counters.framesReceived++;
          if (!this.#draw(connection, 'frames', 1, event.name, now)) return;
          this.#run(this.hub.command(connection.peer, event, now), now);
          break;
        case 'refused':
          this.counters.framesReceived++;
          if (!this.#draw(connection, 'frames', 1, event.name, now)) return;
          this.#send(connection, errorCommand(event.error, event.name), now);
          break;
        case 'error':
          this.#close(connection, now, event.error, event.about);
          return;
      }
    }
  }

  #authenticated(connection: Connection, entering: Entering, now: Now): void {
    const { peer, accounts } = connection;
    const { user } = entering;
    const account = this.#users.hold(user, peer, now.ms);
    connection.accounts = [accounts[0], account];
    if (!account.handshakes.take(1, now.ms)) {
      const { limit } = account.handshakes;
      return this.#close(connection, now, busy('this user connects too often', limit));
    }
    connection.user = user;
    this.#unauthenticated.delete(connection);
    accounts[0].dallying.delete(peer);
    const effects = this.hub.connect(peer, entering, now, [account, accounts[0]]);
    if (this.hub.isOnline(peer)) {
      this.#o.log.debug({ peer, user }, 'client connected');
      this.#note({ event: 'auth' }, connection, now);
    } else connection.user = undefined;
    this.#run(effects, now);
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

  #send(connection: Connection, command: Outgoing, now: Now): void {
    if (command.name === 'ERR' || command.name === 'RATE') {
      const { limit, about } = command.payload;
      if (limit !== undefined) this.#note({ event: 'limit', limit, about }, connection, now);
    }
    this.#say(connection, command, now);
  }

  #say(connection: Connection, command: Outgoing, now: Now): void {
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
    const limit = error instanceof LimitError ? { limit: error.limit } : {};
    if (error && user === undefined) {
      this.#note({ event: 'refused', code: error.code, ...limit }, connection, now);
    } else {
      this.#note(
        { event: 'closed', reason: error?.code ?? 'disconnected', ...limit },
        connection,
        now,
      );
    }
    if (error) this.#say(connection, errorCommand(error, about), now);
    this.#forget(connection);
    this.counters.closed(error?.code ?? 'disconnected');
    const level = error && user !== undefined ? 'info' : 'debug';
    this.#o.log[level]({ peer, user, code: error?.code, about }, 'connection ended by the relay');
    this.#o.wire.end(peer);
  }

  #note(event: Noted, { peer, address, user }: Connection, now: Now): void {
    const whose = user === undefined ? {} : { user };
    this.#o.audit?.note({ ...event, connection: peer, address, ...whose }, now);
  }

  #forget(connection: Connection): void {
    const { peer, accounts } = connection;
    this.#connections.delete(peer);
    this.#unauthenticated.delete(connection);
    this.#holdPartial(connection, 0);
    const [ofAddress, ofUser] = accounts;
    this.#addresses.release(ofAddress, peer);
    if (ofUser) this.#users.release(ofUser, peer);
  }

  /** The connection is gone. */
  gone(peer: PeerId, now: Now): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    this.#forget(connection);
    this.counters.closed('gone');
    this.#note({ event: 'closed', reason: 'gone' }, connection, now);
    this.#o.log.debug({ peer, user: connection.user }, 'client gone');
    this.#run(this.hub.disconnect(peer), now);
  }

  /** More waits for this receiver than the relay will hold. It pulls what it missed when it is back. */
  tooSlow(peer: PeerId, waitingBytes: number, limit: string, now: Now): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    this.#o.log.warn({ peer, user: connection.user, waitingBytes, limit }, 'slow receiver dropped');
    this.#close(connection, now, slow(waitingBytes, limit));
  }

  /** More of this connection waits for its turn than the relay will hold. */
  tooMuchAtOnce(peer: PeerId, now: Now): void {
    const connection = this.#connections.get(peer);
    const refusal = busy('too much came at once', 'turn_total_bytes_max');
    if (connection) this.#close(connection, now, refusal);
  }

  /** Ends what stayed silent, or did not finish a frame, too long. Call it every `sweep_ms`. */
  sweep(now: Now): void {
    this.#addresses.sweep(now.ms);
    this.#users.sweep(now.ms);
    const { cnn_ms, timeout_s, frame_ms } = this.#o.timing;
    for (const connection of this.#connections.values()) {
      if (connection.user === undefined) {
        if (now.ms - connection.openedMs >= cnn_ms) this.#close(connection, now, noCnn(cnn_ms));
      } else if (now.ms - connection.heardMs >= timeout_s * 1_000) {
        this.#close(connection, now, silent(timeout_s));
      } else if (now.ms - (connection.partialSinceMs ?? now.ms) >= frame_ms) {
        this.#close(connection, now, unfinished(frame_ms));
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

const busy = (why: string, limit: string) =>
  new LimitError('busy', limit, `this relay is busy: ${why}; try again later`);

const noCnn = (ms: number) =>
  new LimitError('cnn_timeout', 'cnn_ms', `no valid CNN came within ${ms / 1_000} s`);

const silent = (seconds: number) =>
  new LimitError('timeout', 'timeout_s', `nothing came for ${seconds} s: send KALIVE`);

const unfinished = (ms: number) =>
  new LimitError('frame_timeout', 'frame_ms', `a frame was not complete within ${ms / 1_000} s`);

const tooFast = (limit: string) =>
  new LimitError('rate', limit, 'more was sent than this relay allows, after RATE said so');

const slow = (bytes: number, limit: string) =>
  new LimitError('slow', limit, `${bytes} bytes were waiting: read faster, pull what is missing`);

const closing = () =>
  new ConclaveError('closing', 'this relay is shutting down', { retryable: true });
