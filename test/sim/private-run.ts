/**
 * Private messages in virtual time (invariant 15: exactly once, in order per
 * sender): three users' production code over relays that are late, lose what
 * was on its way when a link ends, and bring it twice; users lose power. After
 * every event what anybody received is compared with what was sent to them.
 */

import type { Command, Outgoing } from '../../src/core/commands.js';
import { type Ulid, type UserId, ulidFromBytes } from '../../src/core/ids.js';
import type { NodeParts } from '../../src/node/parts.js';
import { type Logged, lastNumber, readLogged, undelivered } from '../../src/node/private-log.js';
import { PrivateMessages } from '../../src/node/private-messages.js';
import type { Outcome, RelayConnection } from '../../src/node/relay-link.js';
import { type FaultStore, faultStore } from '../../src/testing/fault-store.js';
import { below, between, chance, type Draw, drawsOf } from '../../src/testing/prng.js';
import { Timeline } from '../../src/testing/timeline.js';

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
  #violation: PrivateResult['violation'];
  #said = 0;

  constructor(seed: number) {
    this.#draw = drawsOf(seed, 'private');
    this.#delayMs = 400 ** this.#draw();
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
    }));
  }

  async run(): Promise<PrivateResult> {
    for (const user of this.#users) await this.#boot(user);
    this.#planLoad();
    this.#planFaults();
    this.#timeline.at(LOAD_MS, () => this.#heal());
    for (let at = RESEND_MS; at < LOAD_MS + SETTLE_MS; at += RESEND_MS) {
      this.#timeline.at(at, () => {
        for (const { messages } of this.#users) messages?.sendPending(RESEND_MS);
      });
    }
    await this.#until(LOAD_MS + SETTLE_MS);
    const all = await this.#pairs();
    for (const { sent, received, from, to } of all) {
      if (received.length < sent.length) {
        this.#break(`${sent.length - received.length} messages of ${from} never came to ${to}`);
      }
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
    user.log = [];
    this.#timeline.in(downMs, async () => {
      await this.#boot(user);
      for (const link of user.links) this.#up(user, link);
    });
  }

  async #boot(user: User): Promise<void> {
    const links = user.links.map((link) => this.#connection(link));
    const parts = {
      user: user.id,
      store: user.store,
      // Without a timer of its own: the run drives it.
      offline: true,
      clock: () => ({ now: this.#timeline.now, wall: EPOCH_MS + this.#timeline.now }),
      ulid: () => this.#ulid(),
      links: () => links,
      checkOpen: () => {},
      fail: (error: unknown) => this.#break(`node of ${user.id.slice(0, 1)} fails: ${error}`),
    };
    const messages = new PrivateMessages(parts as unknown as NodeParts);
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
        if (life === link.life && link.asked.delete(done)) done('taken');
      });
      return true;
    };
    return { send, sendAsking } as unknown as RelayConnection;
  }

  /** To the relay, which hands it on under its other name. */
  #carry(link: Link, { name, payload }: Outgoing): void {
    const { life } = link;
    const { to } = payload as { to: UserId };
    const receiver = this.#users.find(({ id }) => id === to)!;
    this.#timeline.in(this.#draw() * this.#delayMs, () => {
      if (life !== link.life) return;
      const as = name === 'PV_MSG' ? 'MSG' : 'MSG_ACK';
      this.#arrive(receiver, link.relay, { name: as, payload } as Outgoing);
    });
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

  /** What each received of each other is the beginning of what that one sent; what was delivered is there. */
  async #check(): Promise<void> {
    for (const { from, to, sent, received, waiting } of await this.#pairs()) {
      received.forEach((id, i) => {
        if (id !== sent[i])
          this.#break(`what ${to} has of ${from} at ${i + 1} is not what was sent`);
      });
      if (sent.length - waiting > received.length) {
        this.#break(`${from} calls delivered what ${to} does not have`);
      }
    }
  }

  async #pairs() {
    const logs = await Promise.all(this.#users.map(readLog));
    return this.#users.flatMap((from, i) =>
      this.#users.flatMap((to, k) => {
        if (from === to) return [];
        const sent = logs[i]!.all.filter((m) => m.out && m.peer === to.id);
        const received = logs[k]!.all.filter((m) => !m.out && m.peer === from.id);
        return {
          from: i,
          to: k,
          sent: sent.map((m) => m.id),
          received: received.map((m) => m.id),
          waiting: sent.filter((m) => logs[i]!.waiting.has(m.n)).length,
        };
      }),
    );
  }
}

async function readLog({ store, log }: User): Promise<{ all: Logged[]; waiting: Set<number> }> {
  const last = await lastNumber(store);
  for (let n = log.length + 1; n <= last; n++) log.push(await readLogged(store, n));
  return { all: log, waiting: new Set(await undelivered(store)) };
}

/** Runs one seed. */
export const runPrivate = (seed: number): Promise<PrivateResult> => new PrivateRun(seed).run();
