/**
 * One relay as this node sees it: a link that is kept up
 * (docs/PROTOCOL.md, section "Links"). Connects, shakes hands, keeps alive,
 * and comes back with jittered exponential back-off of at most 5 s.
 */

import type { Command, Outgoing } from '../core/commands.js';
import type { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import type { LinkIdentity } from '../core/keys.js';
import { RECONNECT_MAX_MS, RECONNECT_MIN_MS } from '../core/limits.js';
import { ClientLink, type LinkEvent } from '../core/link.js';
import type { LinkId } from '../core/presence.js';
import { pinnedRelayUrl } from '../core/relay-url.js';
import type { FullOptions } from './options.js';
import type { Transport } from './transport.js';

/** Silence of this node after which it says KALIVE, and of the relay after which the link counts as dead. */
const KEEPALIVE_MS = 4_000;
const SILENCE_MS = 12_000;
/** Bytes that wait for a slow relay; beyond it commands are dropped, and pulled later. */
const PENDING_BYTES_MAX = 8_388_608;

export interface RelayLinkEvents {
  up(link: RelayConnection): void;
  down(link: RelayConnection): void;
  command(link: RelayConnection, command: Command): void;
  refused(name: string, error: ConclaveError): void;
}

export class RelayConnection {
  readonly id: LinkId;
  readonly key: UserId;
  readonly #o: FullOptions;
  readonly #identity: LinkIdentity;
  readonly #events: RelayLinkEvents;
  #url: string;
  #transport: Transport | undefined;
  #link: ClientLink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempts = 0;
  #closed = false;
  #lastSent = 0;
  #lastHeard = 0;
  connected = false;
  /** Why the last attempt failed. */
  problem: ConclaveError | string | undefined;

  constructor(id: LinkId, url: string, identity: LinkIdentity, o: FullOptions, events: RelayLinkEvents) {
    this.id = id;
    this.#url = url;
    this.key = pinnedRelayUrl(url).key;
    this.#identity = identity;
    this.#o = o;
    this.#events = events;
    this.#connect();
  }

  get url(): string {
    return this.#url;
  }

  /** Uses another address for the same relay from now on. */
  moveTo(url: string): void {
    if (url === this.#url) return;
    this.#url = url;
    this.#attempts = 0;
    this.#drop('the address changed');
  }

  /** False when the link is not up or its relay reads too slowly. */
  send(command: Outgoing): boolean {
    const transport = this.#transport;
    if (!this.connected || !transport || transport.pending > PENDING_BYTES_MAX) return false;
    this.#write(this.#link!.send(command, this.#seconds()));
    return true;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.connected) this.send({ name: 'DCNN', payload: {} });
    this.#transport?.close();
    this.#setDown();
  }

  #seconds(): number {
    return this.#o.clock().wall / 1000;
  }

  #write(bytes: Uint8Array): void {
    this.#lastSent = this.#o.clock().now;
    this.#transport?.write(bytes);
  }

  #connect(): void {
    if (this.#closed) return;
    const { host, port } = pinnedRelayUrl(this.#url);
    const link = new ClientLink({
      crypto: this.#o.crypto,
      identity: this.#identity,
      name: this.#o.identity.name,
      random: this.#o.random,
      relayKey: this.key,
    });
    this.#link = link;
    const transport = this.#o.connect({ host, port }, {
      open: () => {
        if (this.#transport === transport) this.#write(link.start(this.#seconds()));
      },
      data: (chunk) => {
        if (this.#transport === transport) this.#receive(link, chunk);
      },
      close: (reason) => {
        if (this.#transport === transport) this.#drop(reason);
      },
    });
    this.#transport = transport;
  }

  #receive(link: ClientLink, chunk: Uint8Array): void {
    this.#lastHeard = this.#o.clock().now;
    for (const event of link.receive(chunk, this.#seconds())) {
      if (this.#link !== link) return;
      this.#on(event);
    }
  }

  #on(event: LinkEvent): void {
    switch (event.type) {
      case 'send':
        return this.#write(event.bytes);
      case 'connected':
        this.connected = true;
        this.#attempts = 0;
        this.problem = undefined;
        this.#o.log.info({ relay: this.#url }, 'connected to relay');
        this.#keepAlive();
        return this.#events.up(this);
      case 'command':
        return this.#events.command(this, event.command);
      case 'refused':
        return this.#events.refused(event.name, event.error);
      case 'error':
        this.problem = event.error;
        this.#o.log.warn({ relay: this.#url, code: event.error.code }, event.error.message);
        return this.#drop(event.error.message);
    }
  }

  #keepAlive(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { now } = this.#o.clock();
      if (now - this.#lastHeard > SILENCE_MS) return this.#drop('the relay fell silent');
      if (now - this.#lastSent >= KEEPALIVE_MS || now - this.#lastHeard >= KEEPALIVE_MS) {
        this.send({ name: 'KALIVE', payload: {} });
      }
      this.#keepAlive();
    }, KEEPALIVE_MS / 2);
  }

  #setDown(): void {
    if (!this.connected) return;
    this.connected = false;
    this.#events.down(this);
  }

  #drop(reason: string): void {
    const transport = this.#transport;
    this.#transport = undefined;
    this.#link = undefined;
    transport?.close();
    clearTimeout(this.#timer);
    this.problem ??= reason;
    if (this.connected) this.#o.log.info({ relay: this.#url, reason }, 'lost the relay');
    this.#setDown();
    if (this.#closed) return;
    const ceiling = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.#connect(), ceiling * (0.5 + this.#o.uniform() / 2));
  }
}
