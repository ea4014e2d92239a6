/**
 * Private messages (docs/PROTOCOL.md, section "Private messages"): plain for
 * now. A message waits in this node's store until its receiver acknowledges it,
 * and is sent again now and then, and whenever a relay says that the receiver
 * came. To one receiver they go one after the other, so they arrive in order;
 * the receiver keeps a message before it acknowledges, and knows it by
 * (sender, id), so it appears once. Where they are stored: private-log.ts.
 */

import { decodeTime } from 'ulid';
import { fromUtf8, utf8 } from '../core/bytes.js';
import type { Command, Payload } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import type { Millis, Ulid, UserId } from '../core/ids.js';
import { RECORD_BODY_BYTES_MAX } from '../core/limits.js';
import type { StoreOp } from '../core/store.js';
import type { Dm, PrivateMessage, WaitOptions } from './api.js';
import { checkText } from './input.js';
import type { NodeParts } from './parts.js';
import {
  areKnown,
  deliveredOps,
  type Logged,
  lastNumber,
  readLogged,
  readPage,
  receivedOps,
  sentOps,
  undelivered,
} from './private-log.js';
import type { Outcome, RelayConnection } from './relay-link.js';
import { Changes } from './wait.js';

/** A message that is not acknowledged is sent again after this. */
const RESEND_MS = 3_000;
/** Own messages that may wait to be delivered. */
const PENDING_MAX = 4_096;
/** Messages that came and are not in the store yet; beyond it they are left to be sent again. */
const ARRIVED_MAX = 256;

type State = PrivateMessage['state'];

/** An own message that is not delivered. */
interface Pending {
  readonly n: number;
  readonly id: Ulid;
  readonly to: UserId;
  state: 'queued' | 'sent' | 'delivered';
  sentAt: Millis;
}

export class PrivateMessages {
  readonly #node: NodeParts;
  readonly #changes = new Changes();
  /** What is not delivered, by number and, in order, by receiver. */
  readonly #pending = new Map<number, Pending>();
  readonly #queues = new Map<UserId, Pending[]>();
  #arrived: { link: RelayConnection; message: Payload<'MSG'> }[] = [];
  #keeping: Promise<void> | undefined;
  #next = 1;
  #timer: NodeJS.Timeout | undefined;

  constructor(node: NodeParts) {
    this.#node = node;
  }

  async load(): Promise<void> {
    const { store } = this.#node;
    this.#next = (await lastNumber(store)) + 1;
    for (const n of await undelivered(store)) {
      const { id, peer } = await readLogged(store, n);
      this.#enqueue(this.#wait(n, id, peer));
    }
    if (this.#node.offline) return;
    this.#timer = setInterval(() => this.sendPending(RESEND_MS), RESEND_MS);
    this.#timer.unref();
  }

  /** Resolves once what came is in the store. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#keeping;
  }

  fail(error: unknown): void {
    clearInterval(this.#timer);
    this.#changes.fail(error);
  }

  #wait(n: number, id: Ulid, to: UserId): Pending {
    const pending: Pending = { n, id, to, state: 'queued', sentAt: Number.NEGATIVE_INFINITY };
    this.#pending.set(n, pending);
    return pending;
  }

  /** Behind the others to the same receiver, once it is in the store. */
  #enqueue(pending: Pending): void {
    const queue = this.#queues.get(pending.to);
    if (queue) queue.push(pending);
    else this.#queues.set(pending.to, [pending]);
  }

  /** Sends the oldest message to each receiver, unless it was sent within `patience_ms`. */
  sendPending(patience_ms: number): void {
    for (const to of this.#queues.keys()) this.#sendTo(to, patience_ms);
  }

  /** Sends the oldest message to `to` over every link that is up, unless it was sent within `patience_ms`. */
  #sendTo(to: UserId, patience_ms: number): void {
    const first = this.#queues.get(to)?.[0];
    const { now } = this.#node.clock();
    if (!first || now - first.sentAt < patience_ms) return;
    first.sentAt = now;
    readLogged(this.#node.store, first.n).then(
      ({ text }) => this.#send(first, text),
      (error) => this.#node.fail(error),
    );
  }

  #send(pending: Pending, text: string): void {
    const { id: msg_id, to } = pending;
    const payload = { from: this.#node.user, to, msg_id, msg: utf8(text) };
    const outcomes = { open: 0, taken: false };
    const done = (outcome: Outcome): void => {
      outcomes.open -= 1;
      if (outcome === 'taken') outcomes.taken = true;
      if (outcomes.taken) this.#setState(pending, 'sent');
      else if (outcomes.open === 0) this.#setState(pending, 'queued');
    };
    for (const link of this.#node.links()) {
      if (link.sendAsking({ name: 'PV_MSG', payload }, done)) outcomes.open += 1;
    }
    if (outcomes.open === 0) this.#setState(pending, 'queued');
  }

  #setState(pending: Pending, state: 'queued' | 'sent'): void {
    if (pending.state === 'delivered' || pending.state === state) return;
    pending.state = state;
    this.#changes.notify();
  }

  onCommand(link: RelayConnection, command: Command): void {
    switch (command.name) {
      case 'UCNN':
        return this.#sendTo(command.payload.id, 0);
      case 'MSG':
        return this.#onMessage(link, command.payload);
      case 'MSG_ACK':
        return this.#onReceipt(command.payload);
    }
  }

  #onMessage(link: RelayConnection, message: Payload<'MSG'>): void {
    if (message.to !== this.#node.user || message.from === message.to) return;
    if (this.#arrived.length >= ARRIVED_MAX) return;
    this.#arrived.push({ link, message });
    this.#keeping ??= this.#keepArrived()
      .catch((error) => this.#node.fail(error))
      .finally(() => {
        this.#keeping = undefined;
      });
  }

  /** Stores all that came, in one batch at a time, then acknowledges it. */
  async #keepArrived(): Promise<void> {
    while (this.#arrived.length > 0) {
      const arrived = this.#arrived;
      this.#arrived = [];
      const messages = arrived.map(({ message }) => message);
      const known = await areKnown(this.#node.store, messages);
      // From here on nothing may come between: numbers are written in their order.
      const ops = this.#opsFor(messages.filter((_, i) => !known[i]));
      if (ops.length > 0) await this.#node.store.write(ops, { sync: true });
      for (const { link, message } of arrived) {
        const { from: to, to: from, msg_id } = message;
        link.send({ name: 'ACK_MSG', payload: { from, to, msg_id } });
      }
      if (ops.length > 0) this.#changes.notify();
    }
  }

  /** The first under an id is the message; what comes later under the same is a copy. */
  #opsFor(messages: readonly Payload<'MSG'>[]): StoreOp[] {
    const once = new Map<string, Payload<'MSG'>>();
    for (const message of messages) {
      const key = message.from + message.msg_id;
      if (!once.has(key)) once.set(key, message);
    }
    return [...once.values()].flatMap(({ from: peer, msg_id: id, msg }) =>
      receivedOps({ n: this.#next++, out: false, peer, id, text: shownText(msg) }),
    );
  }

  #onReceipt({ msg_id, from }: Payload<'MSG_ACK'>): void {
    const queue = this.#queues.get(from);
    const first = queue?.[0];
    if (!queue || first?.id !== msg_id) return;
    queue.shift();
    if (queue.length === 0) this.#queues.delete(from);
    this.#node.store.write(deliveredOps(first.n), { sync: true }).then(
      () => {
        this.#pending.delete(first.n);
        first.state = 'delivered';
        this.#changes.notify();
      },
      (error) => this.#node.fail(error),
    );
    this.#sendTo(from, 0);
  }

  with(peer: UserId): Dm {
    return {
      send: (text) => this.#post(peer, text),
      read: (o) => this.read(o ?? {}, peer),
    };
  }

  #post(to: UserId, text: string): ReturnType<Dm['send']> {
    checkText('a private message', text);
    if (utf8(text).length > RECORD_BODY_BYTES_MAX) {
      throw new ConclaveError(
        'record_too_large',
        `a private message has at most ${RECORD_BODY_BYTES_MAX} bytes: split it`,
      );
    }
    if (to === this.#node.user) {
      throw new ConclaveError('bad_user', 'a private message to oneself goes nowhere');
    }
    this.#node.checkOpen();
    if (this.#pending.size >= PENDING_MAX) {
      throw new ConclaveError(
        'outbox_full',
        `${PENDING_MAX} private messages wait to be delivered: send more when some are`,
        { retryable: true },
      );
    }
    const id = this.#node.ulid(this.#node.clock().wall);
    const n = this.#next++;
    const pending = this.#wait(n, id, to);
    const ops = sentOps({ n, out: true, peer: to, id, text });
    const stored = this.#node.store.write(ops, { sync: true }).then(() => {
      this.#enqueue(pending);
      this.#changes.notify();
      this.#sendTo(to, RESEND_MS);
    });
    stored.catch((error) => this.#node.fail(error));
    const message = { id, from: this.#node.user, to, time: decodeTime(id), text };
    return {
      id,
      until: async (state, { signal } = {}) => {
        await stored;
        const isThere = (): boolean =>
          pending.state === 'delivered' || (state === 'sent' && pending.state === 'sent');
        while (!isThere()) await this.#changes.next(this.#changes.version, signal);
        return { ...message, state: pending.state };
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
        for (const logged of page) {
          if (signal?.aborted) return;
          next = logged.n + 1;
          if (peer !== undefined && logged.peer !== peer) continue;
          const message = this.#shown(logged);
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
        yield this.#shown(await readLogged(this.#node.store, n));
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
    return this.#pending.get(n)?.state ?? 'delivered';
  }

  #shown({ n, out, peer, id, text }: Logged): PrivateMessage {
    const { user } = this.#node;
    const [from, to] = out ? [user, peer] : [peer, user];
    return { id, from, to, time: decodeTime(id), state: out ? this.#stateOf(n) : 'received', text };
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
const LOSSY_CHARS_MAX = Math.floor(RECORD_BODY_BYTES_MAX / 3);
