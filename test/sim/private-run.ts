/**
 * Private messages in virtual time (invariant 15: exactly once, in order per
 * sender): three users' production code over relays that are late, lose what
 * was on its way when a link ends, bring it twice, alter it, and repeat what
 * they saw long ago; users lose power, and some come back from old copies. After
 * every event what anybody received is compared with what was sent to them.
 */

import type { Body, Command, Outgoing } from '../../src/core/commands.js';
import {
  type Digest,
  type Ulid,
  type UserId,
  ulidFromBytes,
  ZERO_DIGEST,
} from '../../src/core/ids.js';
import { encodePrivate, padPrivate, sealInfo } from '../../src/core/private-statements.js';
import { readSealingKey } from '../../src/core/sealing-key.js';
import { type Logged, lastNumber, readLogged, undelivered } from '../../src/node/private-log.js';
import { PrivateMessages } from '../../src/node/private-messages.js';
import type { Outcome, RelayConnection } from '../../src/node/relay-link.js';
import { type FaultStore, faultStore, type StoreImage } from '../../src/testing/fault-store.js';
import { below, between, chance, type Draw, drawsOf } from '../../src/testing/prng.js';
import { Timeline } from '../../src/testing/timeline.js';
import { CHEAP, cheapParts, cheapSealing } from './private-parts.js';

const USERS = 3;
const RELAYS = 2;
const LOAD_MS = 20_000;
const SETTLE_MS = 30_000;
const RESEND_MS = 3_000;
const EPOCH_MS = 1_700_000_000_000;

export interface PrivateResult {
  readonly violation?: { readonly invariant: string; readonly message: string };
  readonly delivered: number;
}

interface User {
  readonly id: UserId;
  readonly links: Link[];
  store: FaultStore;
  messages: PrivateMessages | null;
  /** What was read of its store since it booted. */
  log: Logged[];
  /** An old copy of its store, and whether it ever came back from one. */
  copy: StoreImage | undefined;
  isRestored: boolean;
}

interface Link {
  readonly relay: number;
  isUp: boolean;
  /** Grows with each connection: what was on its way over an older one is lost. */
  life: number;
  readonly asked: Set<(outcome: Outcome) => void>;
}

class PrivateRun {
  readonly #draw: Draw;
  readonly #timeline = new Timeline();
  readonly #users: User[];
  /** Longest way over each relay, and how often a way is overtaken. */
  readonly #delayMs: number;
  /** Chance that a crash is followed by an old copy, and that a relay does what it must not. */
  readonly #restores: number;
  readonly #lies: number;
  /** What came by, for relays to repeat. */
  readonly #seen: Outgoing[] = [];
  /** All that anybody ever wrote to somebody: digests, and what each stands behind. */
  readonly #ever = new Map<string, Map<Digest, Digest>>();
  #violation: PrivateResult['violation'];
  #said = 0;

  constructor(seed: number) {
    this.#draw = drawsOf(seed, 'private');
    this.#delayMs = 400 ** this.#draw();
    this.#restores = chance(this.#draw, 0.5) ? 0 : 0.5;
    this.#lies = chance(this.#draw, 0.5) ? 0 : 0.3;
    this.#users = Array.from({ length: USERS }, (_, i) => ({
      id: String(i + 1).repeat(64) as UserId,
      links: Array.from({ length: RELAYS }, (_, relay) => ({
        relay,
        isUp: true,
        life: 0,
        asked: new Set<(outcome: Outcome) => void>(),
      })),
      store: faultStore(),
      messages: null,
      log: [],
      copy: undefined,
      isRestored: false,
    }));
  }

  async run(): Promise<PrivateResult> {
    for (const user of this.#users) await this.#boot(user);
    this.#planLoad();
    this.#planFaults();
    this.#timeline.at(LOAD_MS, () => this.#heal());
    // Who came back from an old copy is sent what it lost with the next message.
    this.#timeline.at(LOAD_MS + RESEND_MS, () => this.#sayAll());
    for (let at = RESEND_MS; at < LOAD_MS + SETTLE_MS; at += RESEND_MS) {
      this.#timeline.at(at, () => {
        for (const { messages } of this.#users) messages?.sendPending(RESEND_MS);
      });
    }
    await this.#until(LOAD_MS + SETTLE_MS);
    const all = await this.#pairs();
    for (const { sent, received, from, to } of all) {
      const came = new Set(received.map(({ digest }) => digest));
      const lost = sent.filter(({ digest }) => !came.has(digest)).length;
      if (lost > 0) this.#break(`${lost} messages of ${from} never came to ${to}`);
    }
    const delivered = all.reduce((n, { received }) => n + received.length, 0);
    return { delivered, ...(this.#violation ? { violation: this.#violation } : {}) };
  }

  #break(message: string): void {
    this.#violation ??= { invariant: '15 private messages', message };
  }

  async #until(end: number): Promise<void> {
    while (!this.#violation) {
      const event = this.#timeline.next();
      if (!event || this.#timeline.now > end) return;
      await event();
      // Lets everything that the event began in the stores go on to its end.
      await new Promise(setImmediate);
      await this.#check();
    }
  }

  #planLoad(): void {
    const every = between(this.#draw, 50, 1_000);
    for (let at = 100; at < LOAD_MS; at += 2 * every * this.#draw()) {
      const [from, to] = [below(this.#draw, USERS), below(this.#draw, USERS)];
      if (from !== to) this.#timeline.at(at, () => this.#say(from, to));
    }
  }

  #sayAll(): void {
    for (let from = 0; from < USERS; from++) {
      for (let to = 0; to < USERS; to++) if (from !== to) this.#say(from, to);
    }
  }

  #say(from: number, to: number): void {
    this.#said += 1;
    const { messages } = this.#users[from]!;
    messages?.with(this.#users[to]!.id).send(`${this.#said}`);
  }

  #planFaults(): void {
    const draw = this.#draw;
    const every = between(draw, 300, 3_000);
    for (let at = 500; at < LOAD_MS; at += 2 * every * draw()) {
      const user = this.#users[below(draw, USERS)]!;
      const link = user.links[below(draw, RELAYS)]!;
      const lastsMs = 3_000 ** draw();
      if (this.#restores > 0 && chance(draw, 0.1)) {
        this.#timeline.at(at, () => {
          user.copy = user.store.image();
        });
      }
      if (chance(draw, 0.4)) this.#timeline.at(at, () => this.#crash(user, lastsMs));
      else {
        this.#timeline.at(at, () => this.#down(link));
        this.#timeline.at(at + lastsMs, () => this.#up(user, link));
      }
    }
  }

  #heal(): void {
    for (const user of this.#users) for (const link of user.links) this.#up(user, link);
  }

  #down(link: Link): void {
    link.isUp = false;
    link.life += 1;
    for (const done of link.asked) done('lost');
    link.asked.clear();
  }

  /** A link is back; the relay tells the others. */
  #up(user: User, link: Link): void {
    if (link.isUp) return;
    link.isUp = true;
    user.messages?.sendPending(0);
    for (const other of this.#users) {
      if (other === user || !other.links[link.relay]!.isUp) continue;
      this.#arrive(other, link.relay, { name: 'UCNN', payload: { id: user.id, name: '' } });
    }
  }

  #crash(user: User, downMs: number): void {
    if (!user.messages) return;
    user.messages = null;
    for (const link of user.links) this.#down(link);
    user.store = user.store.crash(this.#draw);
    if (user.copy && chance(this.#draw, this.#restores)) {
      user.store = faultStore(user.copy);
      user.isRestored = true;
    }
    user.log = [];
    this.#timeline.in(downMs, async () => {
      await this.#boot(user);
      for (const link of user.links) this.#up(user, link);
    });
  }

  async #boot(user: User): Promise<void> {
    const links = user.links.map((link) => this.#connection(link));
    const parts = cheapParts(user.id, this.#ulid(), {
      store: user.store,
      clock: () => ({ now: this.#timeline.now, wall: EPOCH_MS + this.#timeline.now }),
      ulid: () => this.#ulid(),
      links: () => links,
      fail: (error: unknown) => this.#break(`node of ${user.id.slice(0, 1)} fails: ${error}`),
    });
    const messages = new PrivateMessages(parts);
    await messages.load();
    user.messages = messages;
    messages.sendPending(0);
  }

  #ulid(): Ulid {
    const bytes = new Uint8Array(16);
    for (let i = 6; i < 16; i++) bytes[i] = below(this.#draw, 256);
    return ulidFromBytes(bytes);
  }

  #connection(link: Link): RelayConnection {
    const send = (command: Outgoing): boolean => {
      if (link.isUp) this.#carry(link, command);
      return link.isUp;
    };
    const sendAsking = (command: Outgoing, done: (outcome: Outcome) => void): boolean => {
      if (!send(command)) return false;
      const { life } = link;
      link.asked.add(done);
      this.#timeline.in(2 * this.#delayMs, () => {
        const { to } = command.payload as { to: UserId };
        const receiver = this.#users.find(({ id }) => id === to)!;
        const isThere = receiver.links[link.relay]!.isUp;
        if (life === link.life && link.asked.delete(done)) done(isThere ? 'taken' : 'refused');
      });
      return true;
    };
    return { id: link.relay, send, sendAsking } as unknown as RelayConnection;
  }

  /** To the relay, which hands it on under its other name. */
  #carry(link: Link, { name, payload }: Outgoing): void {
    const { life } = link;
    const { to } = payload as { to: UserId };
    const receiver = this.#users.find(({ id }) => id === to)!;
    this.#timeline.in(this.#draw() * this.#delayMs, () => {
      if (life !== link.life) return;
      const command = { name: FORWARDED[name as keyof typeof FORWARDED], payload } as Outgoing;
      this.#seen.push(command);
      if (chance(this.#draw, this.#lies)) void this.#lie(link.relay, command);
      this.#arrive(receiver, link.relay, command);
    });
  }

  /** Something else arrives first: what was said before, what is said now, altered, or what was never said. */
  async #lie(relay: number, command: Outgoing): Promise<void> {
    const told = await this.#told(command);
    const { to } = told.payload as { to: UserId };
    this.#arrive(this.#users.find(({ id }) => id === to)!, relay, told);
  }

  async #told(command: Outgoing): Promise<Outgoing> {
    const kind = this.#draw();
    if (command.name === 'MSG' && kind < 0.15) return forgedReceipt(command.payload);
    if (command.name === 'MSG' && kind < 0.3) return this.#forgedMessage(command.payload);
    if (kind < 0.5) return this.#altered(command);
    return this.#seen[below(this.#draw, this.#seen.length)]!;
  }

  /** Sealed to its receiver in the name of somebody who did not sign it. */
  async #forgedMessage({ from, to }: Body<'MSG'>): Promise<Outgoing> {
    const statement = { from, to, id: this.#ulid(), boot: this.#ulid(), n: 1, prev: ZERO_DIGEST };
    const bytes = encodePrivate({ ...statement, body: new Uint8Array(8) });
    const { shown, seal } = cheapSealing(to);
    const key = readSealingKey(CHEAP, to, shown);
    const msg = await seal(key, sealInfo(statement), padPrivate(bytes, new Uint8Array(64)));
    return { name: 'MSG', payload: { from, to, msg_id: statement.id, msg } };
  }

  /** One byte of one field is another, or the field is that of another frame. */
  #altered({ name, payload }: Outgoing): Outgoing {
    const fields = Object.keys(payload);
    const field = fields[below(this.#draw, fields.length)]!;
    const value = (payload as Record<string, unknown>)[field];
    const other = this.#seen[below(this.#draw, this.#seen.length)]!.payload as typeof payload;
    const changed =
      value instanceof Uint8Array && chance(this.#draw, 0.5)
        ? value.map((byte, i) => (i === below(this.#draw, value.length) ? byte ^ 1 : byte))
        : ((other as Record<string, unknown>)[field] ?? value);
    return { name, payload: { ...payload, [field]: changed } } as Outgoing;
  }

  #arrive(user: User, relay: number, command: Outgoing): void {
    const link = user.links[relay]!;
    const { life } = link;
    const copies = chance(this.#draw, 0.2) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.#timeline.in(this.#draw() * this.#delayMs, () => {
        if (!link.isUp || life !== link.life) return;
        user.messages?.onCommand(this.#connection(link), command as Command);
      });
    }
  }

  /**
   * What each received of each other is the beginning of what that one sent, and
   * what was delivered is there. Who came back from an old copy has forgotten
   * some of it: then what is left is that each message is there once, behind the
   * one that it names, and marked where that is not the last that came.
   */
  async #check(): Promise<void> {
    for (const { from, to, sent, received, waiting } of await this.#pairs()) {
      const wrote = this.#users[from]!;
      const read = this.#users[to]!;
      this.#checkChain(from, to, received);
      if (wrote.isRestored) continue;
      received.forEach(({ digest }, i) => {
        if (digest !== sent[i]?.digest)
          this.#break(`what ${to} has of ${from} at ${i + 1} is not what was sent`);
      });
      if (!read.isRestored && sent.length - waiting > received.length) {
        this.#break(`${from} calls delivered what ${to} does not have`);
      }
    }
  }

  #checkChain(from: number, to: number, received: readonly Logged[]): void {
    const came = new Set<Digest>([ZERO_DIGEST]);
    let last: Digest | undefined;
    for (const { digest, prev, rewound } of received) {
      if (this.#ever.get(`${from} ${to}`)?.get(digest) !== prev) {
        this.#break(`${to} has of ${from} what that one never wrote`);
      }
      if (came.has(digest)) this.#break(`${to} has a message of ${from} twice`);
      if (!came.has(prev)) this.#break(`${to} has a message of ${from} before the one before it`);
      if (rewound !== (last !== undefined && prev !== last)) {
        this.#break(`${to} is told wrongly what ${from} had forgotten`);
      }
      came.add(digest);
      last = digest;
    }
  }

  async #pairs() {
    const logs = await Promise.all(this.#users.map(readLog));
    return this.#users.flatMap((from, i) =>
      this.#users.flatMap((to, k) => {
        if (from === to) return [];
        const sent = logs[i]!.all.filter((m) => m.out && m.peer === to.id);
        const ever = this.#ever.get(`${i} ${k}`) ?? new Map<Digest, Digest>();
        for (const { digest, prev } of sent) ever.set(digest, prev);
        this.#ever.set(`${i} ${k}`, ever);
        const received = logs[k]!.all.filter((m) => !m.out && m.peer === from.id);
        const waiting = sent.filter((m) => logs[i]!.waiting.has(m.n)).length;
        return { from: i, to: k, sent, received, waiting };
      }),
    );
  }
}

/** In the name of a message's receiver, who did not sign it. */
const forgedReceipt = ({ from: to, to: from, msg_id }: Body<'MSG'>): Outgoing => ({
  name: 'MSG_ACK',
  payload: { from, to, msg_id, sig: new Uint8Array(64) },
});

/** What a relay makes of a command's name. */
const FORWARDED = { PV_MSG: 'MSG', ACK_MSG: 'MSG_ACK', CNN_USR: 'USR_HSK' } as const;

async function readLog({ store, log }: User): Promise<{ all: Logged[]; waiting: Set<number> }> {
  const last = await lastNumber(store);
  for (let n = log.length + 1; n <= last; n++) log.push(await readLogged(store, n));
  return { all: log, waiting: new Set(await undelivered(store)) };
}

/** Runs one seed. */
export const runPrivate = (seed: number): Promise<PrivateResult> => new PrivateRun(seed).run();
