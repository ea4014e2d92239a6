/**
 * Links from nodes to relays in virtual time (sim-lane.ts): they connect, are
 * cut, clogged or reset, in both directions or in one, and may be half there.
 * A node reconnects by itself once its link can be had.
 */

import type { Command, Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import type { Millis, UserId } from '../core/ids.js';
import type { LinkId } from '../core/presence.js';
import type { FrameEvent, Loss } from './observer.js';
import { between, type Draw, drawsOf } from './prng.js';
import { type Frame, Lane, weightOf } from './sim-lane.js';
import { asSent } from './sim-liar.js';
import { SimRelay } from './sim-relay.js';
import type { Timeline } from './timeline.js';
import { CALM, type Weather } from './weather.js';

export type Direction = 'up' | 'down';
export const DIRECTIONS: readonly Direction[] = ['up', 'down'];

/** What a node is told by its links. */
export interface LinkUser {
  readonly user: UserId;
  linkUp(link: LinkId, relay: number): void;
  linkDown(link: LinkId): void;
  receive(link: LinkId, command: Command): void;
}

/** A node's link to a relay, whether or not there is a connection. */
interface Slot {
  readonly node: number;
  readonly relay: number;
  readonly up: Lane;
  readonly down: Lane;
  isWanted: boolean;
  /** Faults under which connecting succeeds though nothing gets through. */
  accepts: number;
  /** Faults under which nothing connects. */
  refuses: number;
  connection: Connection | null;
}

/** A frame that a relay is about to send down to one of its users. */
export interface Passing {
  readonly frame: number;
  /** Null for what the relay says for itself. */
  readonly from: number | null;
  readonly to: number;
  /** As its sender named it. */
  readonly name: string;
  readonly pass: () => void;
}

interface Connection {
  readonly link: LinkId;
  readonly slot: Slot;
  /** Which end is gone without the other's knowing. */
  gone: 'node' | 'relay' | null;
}

const RECONNECT_MS: Millis = 150;
/**
 * What a node and its relay say to each other about the link itself is as
 * reliable as the connection: it arrives while that lasts. What members say to
 * each other may get lost at any relay.
 */
const KEPT: ReadonlySet<string> = new Set(['CH_ROSTER', 'CH_STATUS', 'ERR', 'RATE']);

export interface NetworkOptions {
  readonly timeline: Timeline;
  readonly seed: number;
  readonly hash: Hash;
  readonly relays: number;
  /** Frames are encoded and decoded as on a real wire. */
  readonly encoded: boolean;
}

export class SimNetwork {
  readonly #timeline: Timeline;
  readonly #draw: Draw;
  readonly #seed: number;
  readonly #encoded: boolean;
  readonly #relays: SimRelay[];
  readonly #users: LinkUser[] = [];
  readonly #indexOf = new Map<UserId, number>();
  /** By node, then by relay. */
  readonly #slots: Slot[][] = [];
  readonly #byLink = new Map<LinkId, Connection>();
  #links = 0;
  weather: Weather = CALM;
  /** Sees every frame that arrives at a node. */
  onArrival: (relay: number, node: number, name: string) => void = () => {};
  /** Sees each frame go its way, when somebody observes the run. */
  onFrame: ((event: FrameEvent) => void) | undefined;
  /** Asked of each frame on its way down; true when it was taken away, to be passed later or never. */
  gate: ((passing: Passing) => boolean) | undefined;
  frames = 0;
  #frame = 0;
  /** What a relay is forwarding now. */
  #forwarded: { readonly frame: number; readonly node: number; readonly name: string } | undefined;

  readonly #ends: Ends = {
    arrived: (flight) => this.#arrived(flight),
    lost: ({ connection: { slot }, direction, number }, why) =>
      this.#lost(number, slot.relay, direction === 'down' ? slot.node : null, why),
  };

  constructor(options: NetworkOptions) {
    const { timeline, seed, hash } = options;
    this.#timeline = timeline;
    this.#seed = seed;
    this.#draw = drawsOf(seed, 'network');
    this.#encoded = options.encoded;
    this.#relays = Array.from({ length: options.relays }, (_, relay) => {
      const deliver = (to: UserId, command: Outgoing) => this.#down(relay, to, command);
      const say = (to: UserId, command: Outgoing): void => {
        const forwarded = this.#forwarded;
        this.#forwarded = undefined;
        this.#down(relay, to, command);
        this.#forwarded = forwarded;
      };
      const draw = drawsOf(seed, `relay ${relay}`);
      const sim = new SimRelay({ hash, timeline, draw, deliver, say });
      sim.onBlocked = (to) =>
        this.#lost(this.#forwarded?.frame ?? 0, relay, this.#indexOf.get(to)!, 'blocked');
      return sim;
    });
  }

  get relays(): readonly SimRelay[] {
    return this.#relays;
  }

  add(user: LinkUser): void {
    const node = this.#users.length;
    this.#indexOf.set(user.user, node);
    this.#users.push(user);
    const lane = (relay: number, direction: Direction): Lane =>
      new Lane(this.#timeline, drawsOf(this.#seed, `link ${node} ${relay} ${direction}`));
    this.#slots.push(
      this.#relays.map((_, relay) => ({
        node,
        relay,
        up: lane(relay, 'up'),
        down: lane(relay, 'down'),
        isWanted: false,
        accepts: 0,
        refuses: 0,
        connection: null,
      })),
    );
  }

  /** One direction of a link, for faults. */
  lane(node: number, relay: number, direction: Direction): Lane {
    return this.#slot(node, relay)[direction];
  }

  #slot(node: number, relay: number): Slot {
    return this.#slots[node]![relay]!;
  }

  /** From now on `node` has a link to each relay whenever that can be. */
  start(node: number): void {
    for (const slot of this.#slots[node]!) {
      slot.isWanted = true;
      this.#timeline.in(between(this.#draw, 0, 10), () => this.#connect(slot));
    }
  }

  /** The node is gone. */
  stop(node: number): void {
    for (const slot of this.#slots[node]!) {
      slot.isWanted = false;
      this.#disconnect(slot, false);
    }
  }

  #connect(slot: Slot): void {
    if (!slot.isWanted || slot.connection) return;
    const isCut = slot.accepts === 0 && (slot.up.cuts > 0 || slot.down.cuts > 0);
    if (isCut || slot.refuses > 0) {
      this.#timeline.in(RECONNECT_MS, () => this.#connect(slot));
      return;
    }
    this.#links += 1;
    const connection: Connection = { link: this.#links, slot, gone: null };
    slot.connection = connection;
    this.#byLink.set(connection.link, connection);
    slot.up.reset();
    slot.down.reset();
    const user = this.#users[slot.node]!;
    this.#relays[slot.relay]!.connected(user.user);
    user.linkUp(connection.link, slot.relay);
  }

  #disconnect(slot: Slot, tell: boolean): void {
    const { connection } = slot;
    if (!connection) return;
    slot.connection = null;
    this.#byLink.delete(connection.link);
    const user = this.#users[slot.node]!;
    if (connection.gone !== 'relay') this.#relays[slot.relay]!.disconnected(user.user);
    if (tell && connection.gone !== 'node') user.linkDown(connection.link);
    this.#timeline.in(RECONNECT_MS, () => this.#connect(slot));
  }

  /** Ends a connection so that both ends notice; it comes back by itself. */
  reset(node: number, relay: number): void {
    this.#disconnect(this.#slot(node, relay), true);
  }

  /** One end of a connection is gone and the other does not know, until `reset`. */
  halve(node: number, relay: number, gone: 'node' | 'relay'): void {
    const slot = this.#slot(node, relay);
    const { connection } = slot;
    if (!connection || connection.gone) return;
    connection.gone = gone;
    if (gone === 'relay') this.#relays[relay]!.disconnected(this.#users[node]!.user);
    else this.#users[node]!.linkDown(connection.link);
  }

  /** Frames in this direction are lost until `mend`. Cuts add up. */
  cut(node: number, relay: number, direction: Direction): void {
    this.lane(node, relay, direction).cuts += 1;
  }

  mend(node: number, relay: number, direction: Direction): void {
    const lane = this.lane(node, relay, direction);
    lane.cuts = Math.max(0, lane.cuts - 1);
  }

  /** Nothing connects, or only seemingly, until as many calls with -1. */
  bar(node: number, relay: number, how: 'accepts' | 'refuses', by: 1 | -1): void {
    const slot = this.#slot(node, relay);
    slot[how] = Math.max(0, slot[how] + by);
  }

  /** No relay forwards from `a` to `b`, until as many calls with -1. */
  block(a: number, b: number, by: 1 | -1): void {
    for (const relay of this.#relays) {
      relay.block(this.#users[a]!.user, this.#users[b]!.user, by);
    }
  }

  restartRelay(relay: number): void {
    for (const slots of this.#slots) this.#disconnect(slots[relay]!, true);
    this.#relays[relay]!.restart();
  }

  /** Mends all links, makes all relays honest. */
  heal(): void {
    for (const slots of this.#slots) {
      for (const slot of slots) {
        slot.accepts = slot.refuses = 0;
        slot.up.heal();
        slot.down.heal();
        if (slot.connection?.gone) this.#disconnect(slot, true);
      }
    }
    this.#relays.forEach((relay, i) => {
      if (relay.heal()) this.restartRelay(i);
    });
    this.weather = CALM;
  }

  /** A node sends over one of its links. */
  send(node: number, link: LinkId, command: Outgoing): void {
    const connection = this.#byLink.get(link);
    if (connection?.slot.node !== node) return;
    const { relay } = connection.slot;
    const frame = ++this.#frame;
    this.onFrame?.({ type: 'sent', frame, node, relay, command });
    this.#carry(connection, 'up', command, frame);
  }

  #down(relay: number, to: UserId, command: Outgoing): void {
    const node = this.#indexOf.get(to)!;
    const forwarded = this.#forwarded;
    const frame = forwarded?.frame ?? this.#ofRelay(relay, command);
    if (!this.gate) return this.#passDown(frame, relay, node, command);
    const pass = () => this.#passDown(frame, relay, node, command);
    const { node: from = null, name = command.name } = forwarded ?? {};
    if (!this.gate({ frame, from, to: node, name, pass })) pass();
  }

  #passDown(frame: number, relay: number, node: number, command: Outgoing): void {
    const { connection } = this.#slot(node, relay);
    if (!connection) return this.#lost(frame, relay, node, 'closed');
    this.#carry(connection, 'down', command, frame);
  }

  #arrived({ connection, direction, command, number: frame }: Flight): void {
    const { node, relay } = connection.slot;
    if (direction === 'up') {
      this.onFrame?.({ type: 'relayed', frame, relay });
      this.#forwarded = { frame, node, name: command.name };
      this.#relays[relay]!.receive(this.#users[node]!.user, command);
      this.#forwarded = undefined;
      return;
    }
    this.onFrame?.({ type: 'delivered', frame, relay, to: node });
    this.onArrival(relay, node, command.name);
    this.#users[node]!.receive(connection.link, this.#received(command));
  }

  /** What a relay says for itself is a frame of its own. */
  #ofRelay(relay: number, command: Outgoing): number {
    const frame = ++this.#frame;
    this.onFrame?.({ type: 'sent', frame, node: null, relay, command });
    return frame;
  }

  #lost(frame: number, relay: number, to: number | null, why: Loss): void {
    this.onFrame?.({ type: 'lost', frame, relay, to, why });
  }

  #received(command: Outgoing): Command {
    return (this.#encoded ? asSent(command) : command) as Command;
  }

  #carry(c: Connection, direction: Direction, command: Outgoing, frame: number): void {
    this.frames += 1;
    c.slot[direction].carry(new Flight(this.#ends, c, direction, command, frame), this.weather);
  }
}

/** What becomes of a frame under way. */
interface Ends {
  readonly arrived: (flight: Flight) => void;
  readonly lost: (flight: Flight, why: Loss) => void;
}

/** A frame on a lane. There are many, so each is one object rather than a handful of closures. */
class Flight implements Frame {
  readonly #ends: Ends;
  readonly connection: Connection;
  readonly direction: Direction;
  readonly command: Outgoing;
  readonly number: number;

  constructor(
    ends: Ends,
    connection: Connection,
    direction: Direction,
    command: Outgoing,
    number: number,
  ) {
    this.#ends = ends;
    this.connection = connection;
    this.direction = direction;
    this.command = command;
    this.number = number;
  }

  get isKept(): boolean {
    return KEPT.has(this.command.name);
  }
  get bytes(): number {
    return weightOf(this.command.payload);
  }
  get isUp(): boolean {
    const { connection } = this;
    return connection.slot.connection === connection && connection.gone === null;
  }
  arrive(): void {
    this.#ends.arrived(this);
  }
  lost(why: Loss): void {
    this.#ends.lost(this, why);
  }
}
