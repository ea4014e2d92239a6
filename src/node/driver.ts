/**
 * The thin driver: gives the pump a clock, keys, a store and links
 * (docs/ARCHITECTURE.md, "Drivers"). It decides nothing about the protocol.
 */

import type { Command } from '../core/commands.js';
import type { CoreEvent } from '../core/effects.js';
import type { ConclaveError } from '../core/errors.js';
import { hex32, type UserId } from '../core/ids.js';
import { type LinkIdentity, linkIdentity } from '../core/keys.js';
import { Machine, type MachineOptions } from '../core/machine.js';
import type { LinkId } from '../core/presence.js';
import { Pump, type PumpPorts } from '../core/pump.js';
import { relayKeyOf } from '../core/relay-url.js';
import type { Signed } from '../core/statements.js';
import type { FullOptions } from './options.js';
import { RelayConnection } from './relay-link.js';
import { rememberingCheck } from './verified.js';

/** What a store says of this opening of it. */
export type Opening = Pick<MachineOptions, 'boot' | 'boots'>;

export interface DriverEvents {
  core(event: CoreEvent): void;
  /** A command that is the node's business, not the core's: presence, private messages, errors. */
  command(link: RelayConnection, command: Command): void;
  /** A link came or went, or it is known better why one is not there. */
  links(): void;
  up(): void;
  failed(error: unknown): void;
}

/** Longest delay that a timer takes, with room to spare. */
const WAKE_MS_MAX = 2 ** 30;

/** Commands that the core takes; the others go to the node. */
const FOR_CORE = new Set<Command['name']>([
  'BEACON',
  'UCNN',
  'CH_STATUS',
  'ERR',
  'RATE',
  'CH_MSG',
  'CH_PROPOSE',
  'CH_MSG_ACK',
  'CH_MSG_COMMIT',
  'CH_PREVOTE',
  'CH_GRANT',
  'CH_VOTE',
  'CH_ELECTED',
  'CH_PULL',
  'CH_APPEND',
  'CH_RECALL',
  'CH_REPORT',
  'CH_PROOF',
  'CH_MERGE',
  'CH_MSG_CONFIRM',
  'CH_JOIN',
  'CH_REFUSE',
]);

export class Driver {
  readonly user: UserId;
  readonly pump: Pump;
  readonly #o: FullOptions;
  readonly #events: DriverEvents;
  readonly #identity: LinkIdentity;
  /** Seeds of the keys that this node signs with, by public key. */
  readonly #keys = new Map<UserId, Uint8Array>();
  readonly #links = new Map<LinkId, RelayConnection>();
  readonly #byKey = new Map<UserId, RelayConnection>();
  #nextLink = 1;
  #wake: NodeJS.Timeout | undefined;
  #soon = false;
  #counted = { steps: 0, dropped: 0 };
  #closed = false;
  #failed = false;
  readonly #idleWaiters: (() => void)[] = [];

  constructor(o: FullOptions, opening: Opening, events: DriverEvents) {
    this.#o = o;
    this.#events = events;
    this.#identity = linkIdentity(o.crypto, o.identity.seed);
    this.user = this.#identity.user;
    this.#keys.set(this.user, o.identity.seed);
    const machine = new Machine({
      crypto: o.crypto,
      self: this.user,
      ...opening,
      timing: o.timing,
      random: o.uniform,
      ulid: o.ulid,
      passive: o.offline,
    });
    this.pump = new Pump(machine, o.crypto.sha256, this.#ports());
  }

  get links(): IterableIterator<RelayConnection> {
    return this.#links.values();
  }

  /** Signs with this seed whenever its public key is asked for; returns that key. */
  addKey(seed: Uint8Array): UserId {
    const user = hex32<UserId>(this.#o.crypto.ed25519PublicKey(seed));
    this.#keys.set(user, seed);
    return user;
  }

  /** Keeps a link to each of these relays, and to no other. */
  keepLinks(urls: readonly string[]): void {
    if (this.#closed || this.#o.offline) return;
    const wanted = new Map(urls.map((url) => [relayKeyOf(url) as UserId, url]));
    for (const [key, url] of wanted) {
      const link = this.#byKey.get(key);
      if (link) link.moveTo(url);
      else this.#openLink(url);
    }
    for (const [key, link] of this.#byKey) if (!wanted.has(key)) this.#closeLink(link);
  }

  linkTo(key: string | undefined): RelayConnection | undefined {
    return this.#byKey.get(key as UserId);
  }

  #openLink(url: string): void {
    const link = new RelayConnection(this.#nextLink++, url, this.#identity, this.#o, {
      up: ({ id, key }) => {
        this.pump.input({ type: 'link-up', link: id, relay: key });
        this.#events.links();
        this.#events.up();
      },
      down: ({ id }) => {
        if (!this.#closed) this.pump.input({ type: 'link-down', link: id });
        this.#events.links();
      },
      command: (from, command) => {
        if (FOR_CORE.has(command.name)) this.pump.receive(from.id, command);
        this.#events.command(from, command);
      },
      refused: (name, error) => this.#refused(name, error),
      changed: () => this.#events.links(),
    });
    this.#links.set(link.id, link);
    this.#byKey.set(link.key, link);
  }

  #closeLink(link: RelayConnection): void {
    this.#links.delete(link.id);
    this.#byKey.delete(link.key);
    link.close();
  }

  #refused(name: string, error: ConclaveError): void {
    this.#o.metrics.count('refused', 1);
    this.#o.log.debug({ command: name, code: error.code, cause: error.cause }, error.message);
  }

  #ports(): PumpPorts {
    const { store, crypto, metrics } = this.#o;
    const failed = (error: unknown): void => this.#fail(error);
    const check = rememberingCheck(crypto);
    return {
      clock: this.#o.clock,
      verify: (signed, done) => done(check(signed)),
      sign: (signed, done) => {
        for (const s of signed) this.#sign(s);
        done();
      },
      getMany: (keys, done) => void store.getMany(keys).then(done).catch(failed),
      range: (options, done) => void this.#collect(options).then(done).catch(failed),
      write: (ops, sync, done) => {
        if (sync) metrics.count('sync_writes', 1);
        store
          .write(ops, { sync })
          .then(() => done())
          .catch(failed);
      },
      send: (links, command) => {
        for (const id of links) {
          if (!this.#links.get(id)?.send(command)) metrics.count('dropped', 1);
        }
      },
      event: (event) => this.#events.core(event),
      soon: (run) => {
        if (this.#soon) return;
        this.#soon = true;
        setImmediate(() => {
          this.#soon = false;
          this.#run(run);
        });
      },
      wake: (at, run) => {
        clearTimeout(this.#wake);
        this.#notifyIdle();
        if (at === Number.POSITIVE_INFINITY || this.#closed) return;
        const ms = Math.max(0, Math.ceil(at - this.#o.clock().now));
        this.#wake = setTimeout(() => this.#run(run), Math.min(ms, WAKE_MS_MAX));
      },
      refused: (_, command, error) => this.#refused(command.name, error),
      failed,
    };
  }

  /** What throws in here is a bug: it stops this node, not its process. */
  #run(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fail(error);
    }
    this.#count();
    this.#notifyIdle();
  }

  /** Reports what the pump counted since the last time. */
  #count(): void {
    const { steps, dropped } = this.pump;
    const counted = this.#counted;
    if (steps > counted.steps) this.#o.metrics.count('steps', steps - counted.steps);
    if (dropped > counted.dropped) this.#o.metrics.count('dropped', dropped - counted.dropped);
    this.#counted = { steps, dropped };
  }

  #sign(signed: Signed): void {
    signed.sig = this.#o.crypto.ed25519Sign(this.#keys.get(signed.by)!, signed.statement);
  }

  async #collect(options: {
    gte: string;
    lt: string;
    limit: number;
  }): Promise<(readonly [string, Uint8Array])[]> {
    const pairs: (readonly [string, Uint8Array])[] = [];
    for await (const pair of this.#o.store.range(options)) pairs.push(pair);
    return pairs;
  }

  /** The node must not go on: nobody should count on it any longer. */
  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.pump.stop();
    this.#shut();
    this.#notifyIdle();
    this.#events.failed(error);
  }

  get #isIdle(): boolean {
    return this.#failed || this.pump.idle;
  }

  #notifyIdle(): void {
    if (!this.#isIdle) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Resolves once nothing is under way in the pump. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Stops after what is under way is on disk. */
  async close(): Promise<void> {
    this.#shut();
    await this.idle();
    this.pump.stop();
    clearTimeout(this.#wake);
  }

  #shut(): void {
    this.#closed = true;
    clearTimeout(this.#wake);
    for (const link of [...this.#links.values()]) this.#closeLink(link);
  }
}
