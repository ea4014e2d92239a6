/**
 * Private messages (docs/PROTOCOL.md, section "Private messages"): plain for
 * now. A message waits in this node's store until its receiver acknowledges
 * it; it is sent again whenever the receiver comes online. The receiver keeps
 * it before it acknowledges and knows it by (sender, id), so it appears once.
 *
 *     node/dm/out/<id>            to 32 · delivered u8 · text
 *     node/dm/in/<from>/<id>      text
 */

import { decodeWhole, fromUtf8, utf8, Writer } from '../core/bytes.js';
import type { Command } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import type { Ulid, UserId } from '../core/ids.js';
import { RECORD_BODY_BYTES_MAX } from '../core/limits.js';
import type { Store } from '../core/store.js';
import { decodeTime } from 'ulid';
import type { Dm, PrivateMessage, WaitOptions } from './api.js';
import type { NodeParts } from './node.js';
import type { RelayConnection } from './relay-link.js';
import { Changes } from './wait.js';

const OUT = 'node/dm/out/';
const IN = 'node/dm/in/';
const RESEND_MS = 3_000;

interface Pending {
  readonly id: Ulid;
  readonly to: UserId;
  readonly text: string;
  sentAt: number;
  state: 'queued' | 'sent';
}

const encodeOut = (to: UserId, delivered: boolean, text: string): Uint8Array =>
  new Writer(64).id(to).u8(delivered ? 1 : 0).text(text).done();

const decodeOut = (bytes: Uint8Array) =>
  decodeWhole(bytes, (r) => ({
    to: r.id<UserId>(),
    delivered: r.u8() === 1,
    text: r.text(RECORD_BODY_BYTES_MAX),
  }));

export class PrivateMessages {
  readonly #node: NodeParts;
  readonly #store: Store;
  readonly #changes = new Changes();
  readonly #pending = new Map<Ulid, Pending>();
  #timer: NodeJS.Timeout | undefined;
  /** Store writes and answers happen one after the other. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(node: NodeParts) {
    this.#node = node;
    this.#store = node.store;
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#store.range({ gte: OUT, lt: `${OUT.slice(0, -1)}0` })) {
      const { to, delivered, text } = decodeOut(value);
      const id = key.slice(OUT.length) as Ulid;
      if (!delivered) this.#pending.set(id, { id, to, text, sentAt: 0, state: 'queued' });
    }
    this.#timer = setInterval(() => this.sendPending(undefined), RESEND_MS);
    this.#timer.unref();
  }

  close(): Promise<unknown> {
    clearInterval(this.#timer);
    return this.#work;
  }

  fail(error: unknown): void {
    this.#changes.fail(error);
  }

  #queue<T>(job: () => Promise<T>): Promise<T> {
    const done = this.#work.then(job);
    this.#work = done.catch(() => {});
    return done;
  }

  /** Sends what waits, for one user or for all, over every link that is up. */
  sendPending(to: UserId | undefined): void {
    const { now } = this.#node.clock();
    for (const p of this.#pending.values()) {
      if (to === undefined ? now - p.sentAt < RESEND_MS : p.to !== to) continue;
      const payload = { from: this.#node.user, to: p.to, msg_id: p.id, msg: utf8(p.text) };
      for (const link of this.#node.links()) {
        if (!link.send({ name: 'PV_MSG', payload })) continue;
        p.sentAt = now;
        p.state = 'sent';
      }
    }
    this.#changes.notify();
  }

  onCommand(link: RelayConnection, command: Command): void {
    switch (command.name) {
      case 'UCNN':
        return this.sendPending(command.payload.id);
      case 'MSG':
        return void this.#onMessage(link, command.payload).catch((error) => this.#node.fail(error));
      case 'MSG_ACK':
        return void this.#onReceipt(command.payload.msg_id, command.payload.from).catch((error) =>
          this.#node.fail(error),
        );
      case 'ERR':
        if (command.payload.about === 'PV_MSG') {
          for (const p of this.#pending.values()) p.state = 'queued';
        }
    }
  }

  async #onMessage(
    link: RelayConnection,
    p: { from: UserId; to: UserId; msg_id: Ulid; msg: Uint8Array },
  ): Promise<void> {
    if (p.to !== this.#node.user || p.from === p.to) return;
    const text = fromUtf8(p.msg);
    const key = `${IN}${p.from}/${p.msg_id}`;
    await this.#queue(async () => {
      if (!(await this.#store.get(key))) {
        await this.#store.write([{ key, value: new Writer(64).text(text).done() }], { sync: true });
      }
      link.send({ name: 'ACK_MSG', payload: { from: p.to, to: p.from, msg_id: p.msg_id } });
    });
    this.#changes.notify();
  }

  async #onReceipt(id: Ulid, from: UserId): Promise<void> {
    const pending = this.#pending.get(id);
    if (!pending || pending.to !== from) return;
    const value = encodeOut(pending.to, true, pending.text);
    await this.#queue(() => this.#store.write([{ key: OUT + id, value }], { sync: true }));
    this.#pending.delete(id);
    this.#changes.notify();
  }

  with(to: UserId): Dm {
    return {
      send: (text) => this.#send(to, text),
      read: (o) => this.read(o ?? {}, to),
    };
  }

  #send(to: UserId, text: string): ReturnType<Dm['send']> {
    if (utf8(text).length > RECORD_BODY_BYTES_MAX) {
      throw new ConclaveError('record_too_large', `a private message has at most ${RECORD_BODY_BYTES_MAX} bytes`);
    }
    const id = this.#node.ulid(this.#node.clock().wall);
    const value = encodeOut(to, false, text);
    const stored = this.#queue(() => this.#store.write([{ key: OUT + id, value }], { sync: true })).then(() => {
      this.#pending.set(id, { id, to, text, sentAt: 0, state: 'queued' });
      this.sendPending(to);
    });
    stored.catch((error) => this.#node.fail(error));
    return { id, until: (state, o) => this.#until(id, stored, state, o ?? {}) };
  }

  async #until(
    id: Ulid,
    stored: Promise<void>,
    state: 'sent' | 'delivered',
    o: WaitOptions,
  ): Promise<PrivateMessage> {
    await stored;
    for (;;) {
      const pending = this.#pending.get(id);
      if (!pending || (state === 'sent' && pending.state === 'sent')) {
        const value = await this.#store.get(OUT + id);
        return this.#outgoing(id, value!);
      }
      await this.#changes.next(o.signal);
    }
  }

  #outgoing(id: Ulid, value: Uint8Array): PrivateMessage {
    const { to, delivered, text } = decodeOut(value);
    const state = delivered ? 'delivered' : (this.#pending.get(id)?.state ?? 'queued');
    return { id, from: this.#node.user, to, time: decodeTime(id), state, text };
  }

  /** With one user or with everybody: the past in order of time, then, live, what comes. */
  async *read(o: WaitOptions & { live?: boolean }, user?: UserId): AsyncGenerator<PrivateMessage> {
    const shown = new Map<string, string>();
    for (;;) {
      const all: PrivateMessage[] = [];
      for await (const [key, value] of this.#store.range({ gte: OUT, lt: `${OUT.slice(0, -1)}0` })) {
        all.push(this.#outgoing(key.slice(OUT.length) as Ulid, value));
      }
      for await (const [key, value] of this.#store.range({ gte: IN, lt: `${IN.slice(0, -1)}0` })) {
        const from = key.slice(IN.length, IN.length + 64) as UserId;
        const id = key.slice(IN.length + 65) as Ulid;
        const text = decodeWhole(value, (r) => r.text(RECORD_BODY_BYTES_MAX));
        all.push({ id, from, to: this.#node.user, time: decodeTime(id), state: 'received', text });
      }
      all.sort((a, b) => a.time - b.time || (a.id < b.id ? -1 : 1));
      for (const message of all) {
        const key = `${message.from}/${message.id}`;
        if (user && message.from !== user && message.to !== user) continue;
        if (shown.get(key) === message.state) continue;
        shown.set(key, message.state);
        yield message;
      }
      if (!o.live) return;
      try {
        await this.#changes.next(o.signal);
      } catch (error) {
        if (o.signal?.aborted) return;
        throw error;
      }
    }
  }
}
