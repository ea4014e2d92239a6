/**
 * One relay as this node sees it: a link that is kept up
 * (docs/PROTOCOL.md, section "Links"). Connects, shakes hands, keeps alive,
 * and comes back with jittered exponential back-off of at most 5 s.
 *
 * A relay answers what it refuses with ERR, and nothing to the rest. Since it
 * handles a link's frames in order and answers KALIVE, a KALIVE behind a
 * command tells whether the relay took it: `sendAsking`.
 */

import { utf8 } from '../core/bytes.js';
import type { Command, Outgoing, Payload } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import type { LinkIdentity } from '../core/keys.js';
import { CNN_DEADLINE_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS } from '../core/limits.js';
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
  /** `problem` changed. */
  changed(): void;
}

/** Why a relay is not reached, or what it said last when it ended the link. */
export interface RelayProblem {
  readonly code: string;
  readonly message: string;
}

/** What became of a command: the relay took it, refused it, or the link went down first. */
export type Outcome = 'taken' | 'refused' | 'lost';

interface Question {
  readonly about: string;
  refused: boolean;
  readonly done: (outcome: Outcome) => void;
}

/** A relay that is away, or stops: waiting mends it. */
const ROUTINE: ReadonlySet<string> = new Set(['unreachable', 'closing']);

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
  #upAt = 0;
  #lastSent = 0;
  #lastHeard = 0;
  /** Each behind a KALIVE that the relay has not answered yet. */
  #questions: Question[] = [];
  connected = false;
  /** Absent while the link is up and before the first attempt ended. */
  problem: RelayProblem | undefined;

  constructor(
    id: LinkId,
    url: string,
    identity: LinkIdentity,
    o: FullOptions,
    events: RelayLinkEvents,
  ) {
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
    this.#drop(undefined);
  }

  /** False when the link is not up, its relay reads too slowly, or takes no frame so large. */
  send(command: Outgoing): boolean {
    const transport = this.#transport;
    if (!this.connected || !transport || transport.pending > PENDING_BYTES_MAX) return false;
    try {
      this.#write(this.#link!.send(command, this.#seconds()));
      return true;
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
      this.#o.log.warn({ relay: this.#url, code: error.code }, error.message);
      return false;
    }
  }

  /** Sends a command and reports what became of it. False, with no report, when it was not sent. */
  sendAsking(command: Outgoing, done: (outcome: Outcome) => void): boolean {
    return this.send(command) && this.#ask(command.name, done);
  }

  #ask(about: string, done: (outcome: Outcome) => void): boolean {
    if (!this.send({ name: 'KALIVE', payload: {} })) return false;
    this.#questions.push({ about, refused: false, done });
    return true;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.connected) this.send({ name: 'DCNN', payload: {} });
    const transport = this.#transport;
    // Its end is nothing to tell any more.
    this.#transport = undefined;
    transport?.close();
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
    const address = pinnedRelayUrl(this.#url);
    const token = this.#o.relayTokens[this.key];
    const link = new ClientLink({
      crypto: this.#o.crypto,
      identity: this.#identity,
      name: this.#o.identity.name,
      random: this.#o.random,
      relayKey: this.key,
      token: token === undefined ? undefined : utf8(token),
    });
    this.#link = link;
    const transport: Transport = this.#o.connect(address, {
      open: (tls) => {
        if (this.#transport === transport) this.#write(link.start(this.#seconds(), tls));
      },
      data: (chunk) => {
        if (this.#transport === transport) this.#receive(link, chunk);
      },
      close: (reason) => {
        if (this.#transport === transport) this.#drop({ code: 'unreachable', message: reason });
      },
    });
    this.#transport = transport;
    const message = `no handshake within ${CNN_DEADLINE_MS / 1_000} s: is this a relay?`;
    this.#timer = setTimeout(() => this.#drop({ code: 'no_relay', message }), CNN_DEADLINE_MS);
  }

  #receive(link: ClientLink, chunk: Uint8Array): void {
    this.#lastHeard = this.#o.clock().now;
    for (const event of link.receive(chunk, this.#seconds())) {
      if (this.#link !== link || this.#closed) return;
      this.#on(event);
    }
  }

  #on(event: LinkEvent): void {
    switch (event.type) {
      case 'send':
        return this.#write(event.bytes);
      case 'connected':
        return this.#setUp();
      case 'command':
        if (event.command.name === 'KALIVE') this.#answered();
        if (event.command.name === 'ERR') this.#onErr(event.command.payload);
        return this.#events.command(this, event.command);
      case 'refused':
        return this.#events.refused(event.name, event.error);
      case 'error':
        return this.#drop(event.error);
    }
  }

  #answered(): void {
    const question = this.#questions.shift();
    question?.done(question.refused ? 'refused' : 'taken');
  }

  /** It is about what was sent since the last KALIVE that was answered; with no `about`, it is the relay's goodbye. */
  #onErr({ code, about, message }: Payload<'ERR'>): void {
    if (about === '') this.problem = { code, message };
    const question = this.#questions[0];
    if (question && question.about === about) question.refused = true;
  }

  #setUp(): void {
    this.connected = true;
    this.problem = undefined;
    this.#upAt = this.#o.clock().now;
    this.#o.log.info({ relay: this.#url }, 'connected to relay');
    this.#keepAlive();
    this.#events.up(this);
  }

  #keepAlive(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { now } = this.#o.clock();
      if (now - this.#lastHeard > SILENCE_MS) {
        return this.#drop({ code: 'silent', message: 'the relay fell silent' });
      }
      if (now - this.#lastSent >= KEEPALIVE_MS || now - this.#lastHeard >= KEEPALIVE_MS) {
        this.#ask('', () => {});
      }
      this.#keepAlive();
    }, KEEPALIVE_MS / 2);
  }

  #setDown(): void {
    if (!this.connected) return;
    this.connected = false;
    for (const { done } of this.#questions.splice(0)) done('lost');
    this.#events.down(this);
  }

  #drop(why: RelayProblem | undefined): void {
    const transport = this.#transport;
    this.#transport = undefined;
    this.#link = undefined;
    transport?.close();
    clearTimeout(this.#timer);
    // A link that came up and went at once is no reason to hurry.
    const stood = this.connected && this.#o.clock().now - this.#upAt >= RECONNECT_MAX_MS;
    if (stood) this.#attempts = 0;
    if (why) this.#report(this.connected ? (this.problem ?? why) : why);
    else this.problem = undefined;
    this.#setDown();
    if (this.#closed) return;
    const ceiling = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    const wait = ceiling * (0.5 + this.#o.uniform() / 2);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#events.changed();
  }

  /** Says it once, however often it is tried again. */
  #report({ code, message }: RelayProblem): void {
    const known = !this.connected && this.problem?.message === message;
    this.problem = { code, message };
    const fields = { relay: this.#url, code };
    if (known) this.#o.log.debug(fields, `still no link to the relay: ${message}`);
    else if (ROUTINE.has(code)) this.#o.log.info(fields, `no link to the relay: ${message}`);
    else this.#o.log.warn(fields, `no link to the relay: ${message}`);
  }
}
