/**
 * Private messages (docs/PROTOCOL.md, section "Private messages"): sealed to
 * their receiver, signed by their author, kept by both, each shown once and in
 * its author's order. Sending is private-outbox.ts, receiving private-inbox.ts,
 * where they are stored private-log.ts; this is what an application sees.
 */

import { decodeTime } from 'ulid';
import { fromUtf8, utf8 } from '../core/bytes.js';
import type { Command } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import { hex, type UserId } from '../core/ids.js';
import { PRIVATE_BODY_BYTES_MAX, PRIVATE_RESEND_MS } from '../core/limits.js';
import type { Dm, PrivateMessage, WaitOptions } from './api.js';
import { checkText } from './input.js';
import { PrivateInbox } from './private-inbox.js';
import {
  type Logged,
  lastNumber,
  type Receipt,
  readLogged,
  readPage,
  readReceipts,
} from './private-log.js';
import { PrivateOutbox } from './private-outbox.js';
import type { Numbers, PrivateParts } from './private-parts.js';
import type { RelayConnection } from './relay-link.js';
import { Changes } from './wait.js';

type State = PrivateMessage['state'];

export class PrivateMessages {
  readonly #node: PrivateParts;
  readonly #changes = new Changes();
  readonly #numbers: Numbers = { next: 1 };
  readonly #inbox: PrivateInbox;
  readonly #outbox: PrivateOutbox;
  #timer: NodeJS.Timeout | undefined;

  constructor(node: PrivateParts) {
    const notify = (): void => this.#changes.notify();
    this.#node = node;
    this.#inbox = new PrivateInbox(node, this.#numbers, notify);
    this.#outbox = new PrivateOutbox(node, this.#numbers, notify);
  }

  async load(): Promise<void> {
    this.#numbers.next = (await lastNumber(this.#node.store)) + 1;
    await this.#outbox.load();
    if (this.#node.offline) return;
    this.#timer = setInterval(() => this.sendPending(PRIVATE_RESEND_MS), PRIVATE_RESEND_MS);
    this.#timer.unref();
  }

  /** Resolves once what came and what was posted is in the store. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([this.#inbox.idle(), this.#outbox.idle()]);
  }

  fail(error: unknown): void {
    clearInterval(this.#timer);
    this.#changes.fail(error);
  }

  /** Sends what is first to each receiver, unless that was sent within `patience_ms`. */
  sendPending(patience_ms: number): void {
    this.#outbox.sendPending(patience_ms);
  }

  onCommand(link: RelayConnection, command: Command): void {
    if (command.name === 'MSG') this.#inbox.onMessage(link, command.payload);
    else this.#outbox.onCommand(link, command);
  }

  with(peer: UserId): Dm {
    return {
      send: (text) => this.#post(peer, text),
      read: (o) => this.read(o ?? {}, peer),
    };
  }

  #post(to: UserId, text: string): ReturnType<Dm['send']> {
    checkText('a private message', text);
    const body = utf8(text);
    if (body.length > PRIVATE_BODY_BYTES_MAX) {
      throw new ConclaveError(
        'record_too_large',
        `a private message has at most ${PRIVATE_BODY_BYTES_MAX} bytes: split it`,
      );
    }
    if (to === this.#node.user) {
      throw new ConclaveError('bad_user', 'a private message to oneself goes nowhere');
    }
    this.#node.checkOpen();
    const post = this.#outbox.post(to, body);
    const { id, stored } = post;
    return {
      id,
      waits: () => (post.n === undefined ? 'it is being stored' : this.#outbox.whyWaits(post.n)),
      until: async (state, { signal } = {}) => {
        const n = await stored;
        const isThere = (): boolean => {
          const now = this.#stateOf(n);
          return state === 'stored' || now === 'delivered' || (state === 'sent' && now === 'sent');
        };
        while (!isThere()) await this.#changes.next(this.#changes.version, signal);
        return this.#read(n);
      },
    };
  }

  /** With one user or with everybody, in the order that they came or were sent here; live, also what changes. */
  async *read(
    { live, signal }: WaitOptions & { live?: boolean },
    peer?: UserId,
  ): AsyncGenerator<PrivateMessage> {
    const open = new Map<number, State>();
    let next = 1;
    for (;;) {
      const seen = this.#changes.version;
      for (;;) {
        const page = await readPage(this.#node.store, next);
        if (page.length === 0) break;
        const shown = await this.#shownAll(page);
        for (const [i, logged] of page.entries()) {
          if (signal?.aborted) return;
          next = logged.n + 1;
          if (peer !== undefined && logged.peer !== peer) continue;
          const message = shown[i]!;
          if (message.state === 'queued' || message.state === 'sent') {
            open.set(logged.n, message.state);
          }
          yield message;
        }
      }
      if (!live) return;
      for (const [n, state] of open) {
        const now = this.#stateOf(n);
        if (now === state) continue;
        if (now === 'delivered') open.delete(n);
        else open.set(n, now);
        yield await this.#read(n);
      }
      try {
        await this.#changes.next(seen, signal);
      } catch (error) {
        if (signal?.aborted) return;
        throw error;
      }
    }
  }

  #stateOf(n: number): State {
    return this.#outbox.stateOf(n) ?? 'delivered';
  }

  async #read(n: number): Promise<PrivateMessage> {
    const [message] = await this.#shownAll([await readLogged(this.#node.store, n)]);
    return message!;
  }

  async #shownAll(page: readonly Logged[]): Promise<PrivateMessage[]> {
    const receipts = await readReceipts(
      this.#node.store,
      page.map(({ n }) => n),
    );
    return page.map((logged, i) => this.#shown(logged, receipts[i]));
  }

  #shown(logged: Logged, receipt: Receipt | undefined): PrivateMessage {
    const { n, out, peer, id, digest, body, rewound } = logged;
    const { user } = this.#node;
    const [from, to] = out ? [user, peer] : [peer, user];
    const state = out ? this.#stateOf(n) : 'received';
    const waits = out ? this.#outbox.whyWaits(n) : undefined;
    return {
      ...{ id, from, to, time: decodeTime(id), state, text: shownText(body), digest },
      ...(waits !== undefined && { waits }),
      ...(receipt && { receipt: { time: receipt.time, sig: hex(receipt.sig) } }),
      ...(rewound && { rewound }),
    };
  }
}

/** What another program sent need not be UTF-8; it is shown as far as it is. */
function shownText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return Buffer.from(bytes).toString('utf8').slice(0, LOSSY_CHARS_MAX);
  }
}

/** A byte that is no UTF-8 becomes a character of three. */
const LOSSY_CHARS_MAX = Math.floor(PRIVATE_BODY_BYTES_MAX / 3);
