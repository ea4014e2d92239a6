/**
 * One simulated node: the production core and pump on a simulated disk,
 * network and clock. It can crash, restart from its disk, and pause. What its
 * application wants (to join, to invite) outlives a crash; what it submitted
 * counts once the core said that it is stored.
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { Command, Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import type { CoreEvent, Ready } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, Millis, Ulid, UserId } from '../core/ids.js';
import { ulidFromBytes } from '../core/ids.js';
import type { Clock, Input } from '../core/input.js';
import { TIMING } from '../core/limits.js';
import { channelsIn, loadChannel } from '../core/load.js';
import { Machine } from '../core/machine.js';
import type { LinkId } from '../core/presence.js';
import { Pump, type PumpPorts } from '../core/pump.js';
import type { Signed } from '../core/statements.js';
import type { StoreOp } from '../core/store.js';
import {
  BATCHES_KEY,
  BOOTS_KEY,
  type BootBatches,
  bootsOf,
  encodeBoots,
  nextBootTime,
  type StoreBoots,
} from '../core/store-boots.js';
import { type ChannelView, channelView } from '../core/view.js';
import { Misbehaviour } from './misbehaviour.js';
import type { Draw } from './prng.js';
import type { SimCrypto } from './sim-crypto.js';
import type { SimDisk } from './sim-disk.js';
import type { LinkUser, SimNetwork } from './sim-network.js';
import type { Pair } from './sim-pairs.js';
import type { Timeline, Timer } from './timeline.js';

/** Where virtual time begins, ms since 1970. */
const EPOCH_WALL_MS = 1_700_000_000_000;

/** How much less patience a node has that would rather lead. */
const EAGERNESS = 0.02;

/** The last boot. */
const BOOT_KEY = 'node/boot';

/** Who watches a node: invariants and the run itself. */
export interface NodeWatcher {
  /** After a step, before anything of it was carried out. */
  stepped(node: SimNode, inputs: readonly Input[], ready: Ready): void;
  /** A batch goes to the disk. */
  writing(node: SimNode, ops: readonly StoreOp[]): void;
  /** A batch became durable. */
  durable(node: SimNode, ops: readonly StoreOp[]): void;
  /** A command leaves over so many links. */
  sending(node: SimNode, command: Outgoing, links: number): void;
  /** A command leaves that the node's core never meant to say: it misbehaves. */
  misbehaves(node: SimNode, command: Outgoing): void;
  event(node: SimNode, event: CoreEvent): void;
  refused(node: SimNode, command: Command, error: ConclaveError): void;
  /** The node's code threw. */
  threw(node: SimNode, error: unknown): void;
  started(node: SimNode): void;
  /** Before its disk loses what is not synced. */
  crashed(node: SimNode): void;
  /** What did not reach its disk is gone. */
  lost(node: SimNode): void;
}

/** How a node may break its own promise: what needs the disk leaves before it. */
export type NodeSabotage = 'late-first';

export interface NodeOptions {
  readonly index: number;
  readonly user: UserId;
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly disk: SimDisk;
  readonly crypto: SimCrypto;
  readonly draw: Draw;
  /** For how long it waits before it stands for election; `draw` by default. */
  readonly patience?: Draw;
  readonly watcher: NodeWatcher;
  readonly relayKeys: readonly UserId[];
  /** This node's wall clock is off by so much. */
  readonly skewMs: Millis;
  /** Longest time that signing, verifying or reading takes. */
  readonly workMs: Millis;
  readonly sabotage: NodeSabotage | undefined;
}

export class SimNode implements LinkUser {
  readonly #o: NodeOptions;
  readonly index: number;
  readonly user: UserId;
  /** Keys of invitations that this node may sign with. */
  readonly inviteKeys = new Set<UserId>();
  #pump: Pump | null = null;
  #life = 0;
  #isGone = false;
  #bootedAt: Millis = 0;
  #soon: Timer | undefined;
  #wake: Timer | undefined;
  #pausedUntil: Millis = 0;
  /** All its work takes longer by up to this. */
  slowMs: Millis = 0;
  /** Its wall clock is off by this, beside its skew. */
  wallShiftMs: Millis = 0;
  readonly #links = new Set<LinkId>();
  #misbehaviour: Misbehaviour | undefined;

  constructor(options: NodeOptions) {
    this.#o = options;
    this.index = options.index;
    this.user = options.user;
    this.disk.onDurable = (ops) => options.watcher.durable(this, ops);
  }

  get disk(): SimDisk {
    return this.#o.disk;
  }
  get misbehaviour(): Misbehaviour | undefined {
    return this.#misbehaviour;
  }
  get isGone(): boolean {
    return this.#isGone;
  }
  get isUp(): boolean {
    return this.#pump !== null;
  }
  get machine(): Machine | undefined {
    return this.#pump?.machine;
  }
  /** What its disk says of its boots, what is not durable left out. */
  get durableBoots(): readonly BootBatches[] {
    return bootsOf(this.disk.durable(BOOTS_KEY), this.disk.durable(BATCHES_KEY)).before;
  }
  /** Its clocks, as its core sees them. */
  get clock(): Clock {
    return this.#clock();
  }
  /** Calls `look` once all that this node's state says is on its disk. */
  whenDurable(look: () => void): void {
    this.#pump?.whenDurable(look);
  }
  get isIdle(): boolean {
    return this.#pump?.idle ?? true;
  }

  /** Boots from what the disk holds. */
  async start(): Promise<void> {
    if (this.#pump || this.#isGone) return;
    const { crypto, timeline, network, draw, patience = draw, watcher } = this.#o;
    const hash = crypto.sha256;
    const life = ++this.#life;
    this.#bootedAt = timeline.now;
    const machine = new Machine({
      crypto,
      self: this.user,
      boot: this.#nextBoot(),
      boots: this.#nextBoots(),
      timing: TIMING,
      random: draw,
      patience: () => (this.#misbehaviour?.isEager ? EAGERNESS * patience() : patience()),
      ulid: (wall) => this.#ulid(wall),
    });
    const step = machine.step.bind(machine);
    machine.step = (clock, inputs) => {
      const ready = step(clock, inputs);
      if (this.#o.sabotage === 'late-first') ready.early.push(...ready.late.splice(0));
      watcher.stepped(this, inputs, ready);
      return ready;
    };
    const pump = new Pump(machine, hash, this.#ports(life));
    this.#pump = pump;
    if (!(await this.#load(pump, hash))) return this.crash();
    network.start(this.index);
    watcher.started(this);
  }

  /** Opens the channels on the disk; false when it is damaged. */
  async #load(pump: Pump, hash: Hash): Promise<boolean> {
    const sound = (pairs: readonly Pair[]): readonly Pair[] => {
      this.disk.checkSound(pairs.map(([key]) => key));
      return pairs;
    };
    const scan = async (prefix: string, from?: string) => sound(this.disk.scan(prefix, from));
    const firstFrom = async (key: string) => sound(this.disk.range(key, 'c0', 1))[0]?.[0];
    try {
      for (const id of await channelsIn(firstFrom)) {
        pump.input({ type: 'open', state: await loadChannel(hash, this.user, id, scan) });
      }
      return true;
    } catch (error) {
      if (error instanceof ConclaveError && error.code === 'store_corrupt') return false;
      this.#o.watcher.threw(this, error);
      return false;
    }
  }

  /** Loses power. */
  crash(): void {
    if (!this.#pump) return;
    this.#life += 1;
    this.#pump.stop();
    this.#pump = null;
    this.#links.clear();
    this.#o.timeline.cancel(this.#soon);
    this.#o.timeline.cancel(this.#wake);
    this.#soon = undefined;
    this.#o.network.stop(this.index);
    this.#o.watcher.crashed(this);
    this.disk.crash();
    this.#o.watcher.lost(this);
  }

  /** Loses power for good: neither the node nor its disk comes back. */
  leave(): void {
    this.#isGone = true;
    this.crash();
  }

  /** Does nothing until `time`, then goes on as if nothing was. */
  pause(time: Millis): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, time);
  }

  input(input: Input): void {
    this.#pump?.input(input);
  }

  linkUp(link: LinkId, relay: number): void {
    this.#links.add(link);
    this.input({ type: 'link-up', link, relay: this.#o.relayKeys[relay]! });
  }

  linkDown(link: LinkId): void {
    if (this.#links.delete(link)) this.input({ type: 'link-down', link });
  }

  receive(link: LinkId, command: Command): void {
    if (!this.#links.has(link) || !this.#pump) return;
    if (this.#misbehaviour?.hears(link, command) === false) return;
    this.#pump.receive(link, command);
  }

  #clock(): Clock {
    const { timeline, skewMs } = this.#o;
    return {
      now: timeline.now - this.#bootedAt,
      wall: Math.floor(EPOCH_WALL_MS + timeline.now + skewMs + this.wallShiftMs),
    };
  }

  /** Later than that of any boot before, whatever the clock says, as production has it. */
  #nextBoot(): Ulid {
    const stored = this.disk.get(BOOT_KEY);
    const last = stored && decodeWhole(stored, (r) => r.ulid());
    const boots = bootsOf(this.disk.get(BOOTS_KEY), this.disk.get(BATCHES_KEY));
    const boot = this.#ulid(nextBootTime(this.#clock().wall, last, boots));
    this.disk.put(BOOT_KEY, new Writer(16).ulid(boot).done());
    return boot;
  }

  #nextBoots(): StoreBoots {
    const boots = bootsOf(this.disk.get(BOOTS_KEY), this.disk.get(BATCHES_KEY));
    this.disk.put(BOOTS_KEY, encodeBoots(boots));
    return boots;
  }

  #ulid(wall: number): Ulid {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, Math.floor(wall / 0x1_0000_0000));
    view.setUint32(2, wall >>> 0);
    for (let i = 6; i < 16; i += 2) view.setUint16(i, Math.floor(this.#o.draw() * 0x1_0000));
    return ulidFromBytes(bytes);
  }

  /** Runs `what` after some work, unless the node died meanwhile. */
  #later(life: number, what: () => void): void {
    const { timeline, draw } = this.#o;
    const workMs = this.#o.workMs + this.slowMs;
    if (workMs === 0) return what();
    timeline.in(draw() * workMs, () => this.#guarded(life, what));
  }

  #guarded(life: number, what: () => void): void {
    if (life !== this.#life) return;
    try {
      what();
    } catch (error) {
      this.#o.watcher.threw(this, error);
    }
  }

  /** Calls back at `time`, or when a pause ends. */
  #timer(life: number, time: Millis, run: () => void): Timer {
    const { timeline } = this.#o;
    return timeline.at(time, () => {
      if (life !== this.#life) return;
      if (timeline.now < this.#pausedUntil) this.#timer(life, this.#pausedUntil, run);
      else this.#guarded(life, run);
    });
  }

  #ports(life: number): PumpPorts {
    const { timeline, network, watcher, crypto } = this.#o;
    return {
      clock: () => this.#clock(),
      verify: (signed, done) => this.#later(life, () => done(signed.map(crypto.isValid))),
      sign: (signed, done) =>
        this.#later(life, () => {
          for (const s of signed) s.sig = this.#sign(s);
          done();
        }),
      getMany: (keys, done) =>
        this.#later(life, () => {
          if (this.#isSound(keys)) done(keys.map((key) => this.disk.get(key)));
        }),
      range: ({ gte, lt, limit }, done) =>
        this.#later(life, () => {
          const pairs = this.disk.range(gte, lt, limit);
          if (this.#isSound(pairs.map(([key]) => key))) done(pairs);
        }),
      write: (ops, sync, done) => {
        watcher.writing(this, ops);
        this.disk.write(ops, sync, (error) => this.#guarded(life, () => done(error)));
      },
      send: (links, command) => {
        if (life !== this.#life) return;
        watcher.sending(this, command, links.length);
        if (this.#misbehaviour) return this.#misbehaviour.says(links, command);
        for (const link of links) network.send(this.index, link, command);
      },
      event: (event) => watcher.event(this, event),
      soon: (run) => {
        if (life !== this.#life) return;
        const at = timeline.now + (this.slowMs === 0 ? 0 : this.slowMs * this.#o.draw());
        this.#soon ??= this.#timer(life, at, () => {
          this.#soon = undefined;
          run();
        });
      },
      wake: (at, run) => {
        if (life !== this.#life) return;
        timeline.cancel(this.#wake);
        if (Number.isFinite(at)) this.#wake = this.#timer(life, this.#bootedAt + at, run);
      },
      refused: (_link, command, error) => watcher.refused(this, command, error),
      failed: () => this.crash(),
    };
  }

  /** From now on what it says and hears passes through its misdeeds. */
  misbehave(channel: ChannelId, users: readonly UserId[], draw: Draw): Misbehaviour {
    const { crypto, network, watcher } = this.#o;
    this.#misbehaviour ??= new Misbehaviour({
      self: this.user,
      users,
      channel,
      hash: crypto.sha256,
      draw,
      sign: (statement) => crypto.sign(this.user, statement),
      state: () => this.state(channel),
      send: (links, command) => {
        for (const link of links) network.send(this.index, link, command);
      },
      added: (command) => watcher.misbehaves(this, command),
    });
    return this.#misbehaviour;
  }

  /** Whether these values are as they were written; a node that reads others stops. */
  #isSound(keys: readonly string[]): boolean {
    try {
      this.disk.checkSound(keys);
      return true;
    } catch {
      this.crash();
      return false;
    }
  }

  #sign({ by, statement }: Signed): Uint8Array {
    if (by !== this.user && !this.inviteKeys.has(by)) {
      throw new Error(`node ${this.index} wants a signature of ${by}, whose key it has not`);
    }
    return this.#o.crypto.sign(by, statement);
  }

  /** What the node would show of the channel. */
  view(channel: ChannelId): ChannelView | undefined {
    const st = this.state(channel);
    return st && channelView(this.machine!.context(channel, this.#clock()), st);
  }

  /** The channel's state, as the running core has it. */
  state(channel: ChannelId) {
    return this.machine?.channel(channel);
  }
}
