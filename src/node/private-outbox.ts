/**
 * Sending private messages (docs/PROTOCOL.md, section "Private messages"). A
 * message is given its place behind the last one to its receiver and stored;
 * then it is sealed and sent, again and again, until its receiver's signed
 * receipt is in the store. To one receiver they go one after the other. What is
 * sealed needs the receiver's sealing key: until that is known it is asked for.
 *
 * A receiver that lacks what comes before, since it was restored from an old
 * copy, says so signed; it is sent what it lacks from this node's own log first.
 */

import type { Command, Payload } from '../core/commands.js';
import { ConclaveError } from '../core/errors.js';
import {
  type Digest,
  type Millis,
  type Ulid,
  type UserId,
  unhex,
  ZERO_DIGEST,
} from '../core/ids.js';
import { PRIVATE_AWAY_MS, PRIVATE_PENDING_MAX, PRIVATE_RESEND_MS } from '../core/limits.js';
import {
  encodePrivate,
  gapStatement,
  padPrivate,
  privateDigest,
  receiptStatement,
  sealInfo,
} from '../core/private-statements.js';
import { readSealingKey } from '../core/sealing-key.js';
import {
  deliveredOps,
  keyOps,
  type Logged,
  lastOf,
  nextTo,
  placesOf,
  readLogged,
  sentOps,
  shownKey,
  undelivered,
} from './private-log.js';
import { countBehind } from './private-order.js';
import type { Numbers, PrivateParts } from './private-parts.js';
import type { Outcome, RelayConnection } from './relay-link.js';

/** Users of whom it is remembered when they were there. */
const SEEN_MAX = 1_024;
/** So many are stored together. */
const TOGETHER_MAX = 64;

/** An own message that is not delivered, or one that was and that its receiver lost. */
interface Pending {
  readonly n: number;
  readonly id: Ulid;
  readonly to: UserId;
  readonly digest: Digest;
  state: 'queued' | 'sent' | 'delivered';
}

/** A message that is being stored. */
export interface Post {
  readonly id: Ulid;
  readonly to: UserId;
  readonly body: Uint8Array;
  /** Its number in the log, once it is stored. */
  readonly stored: Promise<number>;
  n: number | undefined;
}
type Posting = Post & {
  readonly resolve: (n: number) => void;
  readonly reject: (error: unknown) => void;
};

/** What is known of why a receiver's messages wait. */
type Obstacle = 'no_relay' | 'away' | 'no_key' | 'bad_key' | undefined;

/** What waits for one receiver. */
interface Line {
  readonly to: UserId;
  /** Not delivered, oldest first. */
  readonly waiting: Pending[];
  /** One before them that the receiver lost: it goes first. */
  again: Pending | undefined;
  key: Uint8Array | undefined;
  sentAt: Millis;
  wentBackAt: Millis;
  /** Something is sought in the log for it. */
  isLooking: boolean;
  obstacle: Obstacle;
}

const pendingOf = ({ n, id, peer: to, digest }: Logged): Pending => ({
  ...{ n, id, to, digest },
  state: 'queued',
});

export class PrivateOutbox {
  readonly #node: PrivateParts;
  readonly #numbers: Numbers;
  readonly #changed: () => void;
  readonly #pending = new Map<number, Pending>();
  readonly #lines = new Map<UserId, Line>();
  readonly #posts: Posting[] = [];
  /** Taken from these, and not in the store yet. */
  #storing = 0;
  #posting: Promise<void> | undefined;
  /** By wall clock, when others last showed that they were there, or went; the last one last. */
  readonly #seen = new Map<UserId, Millis>();

  /** @param changed called when the state of a message changed */
  constructor(node: PrivateParts, numbers: Numbers, changed: () => void) {
    this.#node = node;
    this.#numbers = numbers;
    this.#changed = changed;
  }

  async load(): Promise<void> {
    for (const n of await undelivered(this.#node.store)) {
      this.#enqueue(pendingOf(await readLogged(this.#node.store, n)));
    }
  }

  /** Resolves once what was posted is in the store. */
  async idle(): Promise<void> {
    await this.#posting;
  }

  /** Undefined once it is delivered. */
  stateOf(n: number): Pending['state'] | undefined {
    return this.#pending.get(n)?.state;
  }

  /** Why own message `n` is not delivered, in words; undefined once it is. */
  whyWaits(n: number): string | undefined {
    const pending = this.#pending.get(n);
    const line = pending && this.#lines.get(pending.to);
    if (!line) return undefined;
    const { obstacle } = line;
    if (obstacle === 'no_relay') return 'this node has no link to a relay';
    if (obstacle === 'away') {
      return `the receiver is on no relay that this node reaches, ${this.#lastSeen(pending.to)}`;
    }
    if (obstacle === 'bad_key') return 'nothing can be sealed to the key that the receiver shows';
    if (obstacle === 'no_key') return 'the receiver was asked for its sealing key';
    if (line.again) return 'the receiver lost earlier messages: they go first';
    if (line.waiting[0] !== pending) return 'messages before it are not delivered yet';
    return pending?.state === 'sent' ? 'the receiver has not acknowledged it' : 'it is being sent';
  }

  #lastSeen(user: UserId): string {
    if (this.#node.isOnline(user)) return 'and was online in a channel just now';
    const at = this.#seen.get(user);
    return at === undefined
      ? 'not seen since this node started'
      : `last seen ${new Date(at).toISOString()}`;
  }

  post(to: UserId, body: Uint8Array): Post {
    if (this.#pending.size + this.#posts.length + this.#storing >= PRIVATE_PENDING_MAX) {
      throw new ConclaveError(
        'outbox_full',
        `${PRIVATE_PENDING_MAX} private messages wait to be delivered: send more when some are`,
        { retryable: true },
      );
    }
    const id = this.#node.ulid(this.#node.clock().wall);
    let settle: Pick<Posting, 'resolve' | 'reject'>;
    const stored = new Promise<number>((resolve, reject) => {
      settle = { resolve, reject };
    });
    stored.catch(() => {});
    const post: Posting = { id, to, body, stored, n: undefined, ...settle! };
    this.#posts.push(post);
    this.#posting ??= this.#store().finally(() => {
      this.#posting = undefined;
    });
    return post;
  }

  /** Stores all that was posted, in one batch at a time. */
  async #store(): Promise<void> {
    while (this.#posts.length > 0) {
      const posts = this.#posts.splice(0, TOGETHER_MAX);
      this.#storing = posts.length;
      try {
        const lasts = await this.#lastTo(posts);
        // From here on nothing may come between: numbers are written in their order.
        const logged = posts.map((post) => this.#placed(post, lasts));
        await this.#node.store.write(logged.flatMap(sentOps), { sync: true });
        logged.forEach((message, i) => {
          this.#enqueue(pendingOf(message));
          posts[i]!.n = message.n;
          posts[i]!.resolve(message.n);
        });
        this.#storing = 0;
      } catch (error) {
        for (const { reject } of [...posts, ...this.#posts.splice(0)]) reject(error);
        return this.#node.fail(error);
      }
      this.#changed();
      this.sendPending(PRIVATE_RESEND_MS);
    }
  }

  async #lastTo(posts: readonly Post[]): Promise<Map<UserId, Logged>> {
    const receivers = [...new Set(posts.map(({ to }) => to))];
    const lasts = await lastOf(this.#node.store, true, receivers);
    return new Map(receivers.flatMap((to, i) => (lasts[i] ? [[to, lasts[i]]] : [])));
  }

  /** Behind the last one to its receiver. */
  #placed({ id, to, body }: Post, lasts: Map<UserId, Logged>): Logged {
    const { user, boot, crypto } = this.#node;
    const last = lasts.get(to);
    const prev = last?.digest ?? ZERO_DIGEST;
    const n = countBehind(last, boot);
    const digest = privateDigest(crypto.sha256, { from: user, to, id, boot, n, prev, body });
    const message = {
      ...{ n: this.#numbers.next++, out: true, rewound: false, peer: to, id, boot, count: n, prev },
      ...{ digest, body, sig: new Uint8Array(0) },
    };
    lasts.set(to, message);
    return message;
  }

  /** Behind the others to the same receiver, once it is in the store. */
  #enqueue(pending: Pending): void {
    this.#pending.set(pending.n, pending);
    const line = this.#lines.get(pending.to);
    if (line) {
      line.waiting.push(pending);
      return;
    }
    this.#lines.set(pending.to, {
      ...{ to: pending.to, waiting: [pending], again: undefined, key: undefined },
      ...{ sentAt: Number.NEGATIVE_INFINITY, wentBackAt: Number.NEGATIVE_INFINITY },
      ...{ isLooking: false, obstacle: undefined },
    });
  }

  /** Sends what is first to each receiver, unless that was sent within `patience_ms`. */
  sendPending(patience_ms: number): void {
    for (const line of this.#lines.values()) this.#sendTo(line, patience_ms);
  }

  #sendTo(line: Line | undefined, patience_ms: number): void {
    const { now } = this.#node.clock();
    if (!line) return;
    // A relay tells when somebody comes that it was asked for.
    const isAway = patience_ms > 0 && line.obstacle === 'away';
    if (now - line.sentAt < (isAway ? PRIVATE_AWAY_MS : patience_ms)) return;
    line.sentAt = now;
    this.#send(line).catch((error) => this.#node.fail(error));
  }

  async #send(line: Line): Promise<void> {
    line.key ??= await this.#storedKey(line.to);
    const pending = firstOf(line);
    if (!pending) return;
    // Sealing for somebody who is not there is work for nothing.
    const isReached = line.obstacle !== 'away' && line.obstacle !== 'no_relay';
    if (!line.key || !isReached) return this.#ask(line, pending);
    const sealed = await this.#sealed(pending, line.key);
    if (!sealed) {
      line.obstacle = 'bad_key';
      return;
    }
    const payload = { from: this.#node.user, to: line.to, msg_id: pending.id, msg: sealed };
    this.#offer(line, pending, { name: 'PV_MSG', payload });
  }

  /** Undefined when nothing can be sealed to the key. */
  async #sealed(pending: Pending, key: Uint8Array): Promise<Uint8Array | undefined> {
    const { user: from, store, sealing } = this.#node;
    const { peer: to, id, boot, count: n, prev, body } = await readLogged(store, pending.n);
    const statement = { from, to, id, boot, n, prev, body };
    const bytes = encodePrivate(statement);
    const plain = padPrivate(bytes, this.#node.sign(bytes));
    try {
      return await sealing.seal(key, sealInfo(statement), plain);
    } catch (error) {
      if (error instanceof ConclaveError && error.code === 'bad_key') return undefined;
      throw error;
    }
  }

  /** Over every link that is up. */
  #offer(
    line: Line,
    pending: Pending,
    command: { name: 'PV_MSG'; payload: Omit<Payload<'PV_MSG'>, 'timestamp' | 'nonce'> } | Asking,
  ): void {
    const outcomes = { open: 0, taken: false };
    const done = (outcome: Outcome): void => {
      outcomes.open -= 1;
      if (outcomes.taken) return;
      outcomes.taken = outcome === 'taken';
      if (outcomes.taken) this.#onTaken(line, pending, command.name);
      else if (outcomes.open === 0) this.#onObstacle(line, pending, 'away');
    };
    for (const link of this.#node.links()) {
      if (link.sendAsking(command, done)) outcomes.open += 1;
    }
    if (outcomes.open === 0 && !outcomes.taken) this.#onObstacle(line, pending, 'no_relay');
  }

  #onObstacle(line: Line, pending: Pending, obstacle: Obstacle): void {
    line.obstacle = obstacle;
    this.#setState(pending, 'queued');
  }

  /** A relay took it, so the receiver is there. */
  #onTaken(line: Line, pending: Pending, name: 'PV_MSG' | 'CNN_USR'): void {
    const wasReached = line.obstacle === undefined;
    line.obstacle = line.key ? undefined : 'no_key';
    if (name === 'PV_MSG') this.#setState(pending, 'sent');
    else if (line.key && !wasReached) this.#sendTo(line, 0);
  }

  /** Asks for the key, and so whether the receiver is there. */
  #ask(line: Line, pending: Pending): void {
    const payload = { from: this.#node.user, to: line.to };
    this.#offer(line, pending, { name: 'CNN_USR', payload });
  }

  /** A key in the store that its owner did not sign is none. */
  async #storedKey(user: UserId): Promise<Uint8Array | undefined> {
    const shown = await shownKey(this.#node.store, user);
    return shown && this.#readKey(user, shown);
  }

  #readKey(user: UserId, shown: Uint8Array): Uint8Array | undefined {
    try {
      return readSealingKey(this.#node.crypto, user, shown);
    } catch (error) {
      const { code, message } = error as ConclaveError;
      this.#node.log.debug({ user, code }, message);
      return undefined;
    }
  }

  #setState(pending: Pending, state: 'queued' | 'sent'): void {
    if (pending.state === 'delivered' || pending.state === state) return;
    pending.state = state;
    this.#changed();
  }

  onCommand(link: RelayConnection, command: Command): void {
    switch (command.name) {
      case 'UCNN':
      case 'UDCNN':
        return this.#onPresence(command.payload.id, command.name === 'UCNN');
      case 'USR_HSK':
        return this.#onHandshake(link, command.payload);
      case 'MSG_ACK':
        return this.#onAnswer(command.payload);
    }
  }

  /** What a relay says of presence is a hint to try. */
  #onPresence(user: UserId, isThere: boolean): void {
    // Whoever is written to later was seen before.
    this.#see(user);
    const line = this.#lines.get(user);
    if (!line || !isThere) return;
    line.obstacle = undefined;
    this.#sendTo(line, 0);
  }

  #see(user: UserId): void {
    this.#seen.delete(user);
    this.#seen.set(user, this.#node.clock().wall);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > SEEN_MAX && oldest) this.#seen.delete(oldest);
  }

  /** Without data it asks for the own key; with it it shows one, that counts if it is needed here. */
  #onHandshake(link: RelayConnection, { from, to, data }: Payload<'USR_HSK'>): void {
    const { user, sealing, store } = this.#node;
    if (to !== user || from === user) return;
    if (data === undefined) {
      link.send({ name: 'CNN_USR', payload: { from: user, to: from, data: sealing.shown } });
      return;
    }
    const line = this.#lines.get(from);
    if (!line || line.key) return;
    const key = this.#readKey(from, data);
    if (!key) return;
    line.key = key;
    line.obstacle = undefined;
    this.#see(from);
    store.write(keyOps(from, data), { sync: false }).catch((error) => this.#node.fail(error));
    this.#sendTo(line, 0);
  }

  #onAnswer({ from, to, msg_id, sig, have }: Payload<'MSG_ACK'>): void {
    const { user, crypto } = this.#node;
    const line = to === user ? this.#lines.get(from) : undefined;
    const pending = line && firstOf(line);
    if (!line || pending?.id !== msg_id) return;
    const ref = { from: user, to: from, id: msg_id };
    const said =
      have === undefined
        ? receiptStatement(ref, pending.digest)
        : gapStatement(ref, pending.digest, have);
    if (!crypto.ed25519Verify(unhex(from), said, sig)) return;
    this.#see(from);
    const done =
      have !== undefined
        ? this.#goBack(line, pending, have)
        : line.again === pending
          ? this.#goOn(line, pending)
          : this.#onDelivered(line, pending, sig);
    done.catch((error) => this.#node.fail(error));
  }

  async #onDelivered(line: Line, pending: Pending, sig: Uint8Array): Promise<void> {
    line.waiting.shift();
    if (line.waiting.length === 0) this.#lines.delete(line.to);
    this.#sendTo(line, 0);
    const time = Math.floor(this.#node.clock().wall);
    await this.#node.store.write(deliveredOps(pending.n, { time, sig }), { sync: true });
    this.#pending.delete(pending.n);
    pending.state = 'delivered';
    this.#changed();
  }

  /** The receiver lacks what comes before `pending`; `have` is the last that it has. */
  async #goBack(line: Line, pending: Pending, have: Digest): Promise<void> {
    const { now } = this.#node.clock();
    // A look may read the whole log: who says so all the time gets no more of them for it.
    if (line.isLooking || now - line.wentBackAt < PRIVATE_RESEND_MS) return;
    line.wentBackAt = now;
    const next = await this.#look(line, async (store) => {
      const [place] = await placesOf(store, true, [{ peer: line.to, digest: have }]);
      return nextTo(store, line.to, place?.n ?? 0);
    });
    // What does not lead further back helps nothing: what it lacks is not here either.
    if (!next || next.n >= pending.n || firstOf(line) !== pending) return;
    line.again = pendingOf(next);
    this.#sendTo(line, 0);
  }

  /** The receiver has what it had lost up to `pending`; a copy of its receipt changes nothing. */
  async #goOn(line: Line, pending: Pending): Promise<void> {
    if (line.isLooking) return;
    const next = await this.#look(line, (store) => nextTo(store, line.to, pending.n));
    if (line.again !== pending) return;
    line.again = next && next.n < line.waiting[0]!.n ? pendingOf(next) : undefined;
    this.#sendTo(line, 0);
  }

  async #look(
    line: Line,
    find: (store: PrivateParts['store']) => Promise<Logged | undefined>,
  ): Promise<Logged | undefined> {
    line.isLooking = true;
    try {
      return await find(this.#node.store);
    } finally {
      line.isLooking = false;
    }
  }
}

const firstOf = ({ again, waiting }: Line): Pending | undefined => again ?? waiting[0];

type Asking = { name: 'CNN_USR'; payload: { from: UserId; to: UserId } };
