/**
 * Links from nodes to relays in virtual time: delay, loss, duplication,
 * reordering, and cuts, in both directions or in one, silent or with a reset.
 * A node reconnects by itself once its link can be had.
 */

import { type Command, decodeCommand, encodePayload, type Outgoing } from '../core/commands.js';
import type { Hash } from '../core/crypto.js';
import type { Millis, UserId } from '../core/ids.js';
import { pack, unpack } from '../core/msgpack.js';
import type { LinkId } from '../core/presence.js';
import type { FrameEvent, Loss } from './observer.js';
import { between, chance, type Draw, drawsOf } from './prng.js';
import { SimRelay } from './sim-relay.js';
import type { Timeline } from './timeline.js';

export type Delay =
  | { readonly kind: 'fixed'; readonly ms: Millis }
  | { readonly kind: 'uniform'; readonly min: Millis; readonly max: Millis }
  /** Mostly about `median`, now and then up to `max`. */
  | { readonly kind: 'long-tail'; readonly median: Millis; readonly max: Millis };

/** How all links behave for a while. */
export interface Weather {
  readonly delay: Delay;
  /** Probabilities for each frame and hop. */
  readonly loss: number;
  readonly duplicate: number;
  /** A frame may overtake others on its link. */
  readonly reorder: number;
}

export const CALM: Weather = { delay: { kind: 'fixed', ms: 2 }, loss: 0, duplicate: 0, reorder: 0 };

export type Direction = 'up' | 'down';

/** What a node is told by its links. */
export interface LinkUser {
  readonly user: UserId;
  linkUp(link: LinkId, relay: number): void;
  linkDown(link: LinkId): void;
  receive(link: LinkId, command: Command): void;
}

/** One direction of a link, with the draws of its own that all its frames take. */
interface Lane {
  readonly draw: Draw;
  /** Faults that lose what goes this way. */
  cuts: number;
}

/** A node's link to a relay, whether or not there is a connection. */
interface Slot {
  readonly node: number;
  readonly relay: number;
  readonly up: Lane;
  readonly down: Lane;
  isWanted: boolean;
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
  /** When the last frame arrives in each direction, to keep order. */
  readonly last: { up: Millis; down: Millis };
}

const RECONNECT_MS = 150;
/**
 * What a node and its relay say to each other about the link itself is as
 * reliable as the connection: it arrives while that lasts. What members say to
 * each other may get lost at any relay.
 */
const KEPT: ReadonlySet<string> = new Set(['CH_ROSTER', 'CH_STATUS']);

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
  /** Sees every frame that arrives anywhere. */
  onArrival: (relay: number, node: number, name: string) => void = () => {};
  /** Sees each frame go its way, when somebody observes the run. */
  onFrame: ((event: FrameEvent) => void) | undefined;
  /** Asked of each frame on its way down; true when it was taken away, to be passed later or never. */
  gate: ((passing: Passing) => boolean) | undefined;
  frames = 0;
  #frame = 0;
  /** What a relay is forwarding now. */
  #forwarded: { readonly frame: number; readonly node: number; readonly name: string } | undefined;

  constructor(options: NetworkOptions) {
    this.#timeline = options.timeline;
    this.#seed = options.seed;
    this.#draw = drawsOf(options.seed, 'network');
    this.#encoded = options.encoded;
    this.#relays = Array.from({ length: options.relays }, (_, relay) => {
      const deliver = (to: UserId, command: Outgoing) => this.#down(relay, to, command);
      const sim = new SimRelay(options.hash, deliver);
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
    const lane = (relay: number, direction: Direction): Lane => ({
      draw: drawsOf(this.#seed, `link ${node} ${relay} ${direction}`),
      cuts: 0,
    });
    this.#slots.push(
      this.#relays.map((_, relay) => ({
        node,
        relay,
        up: lane(relay, 'up'),
        down: lane(relay, 'down'),
        isWanted: false,
        connection: null,
      })),
    );
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
    if (slot.up.cuts > 0 || slot.down.cuts > 0) {
      this.#timeline.in(RECONNECT_MS, () => this.#connect(slot));
      return;
    }
    this.#links += 1;
    const connection = { link: this.#links, slot, last: { up: 0, down: 0 } };
    slot.connection = connection;
    this.#byLink.set(connection.link, connection);
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
    this.#relays[slot.relay]!.disconnected(user.user);
    if (tell) user.linkDown(connection.link);
    this.#timeline.in(RECONNECT_MS, () => this.#connect(slot));
  }

  /** Ends a connection so that both ends notice; it comes back by itself. */
  reset(node: number, relay: number): void {
    this.#disconnect(this.#slot(node, relay), true);
  }

  /** Frames in this direction are lost until `mend`. Cuts add up. */
  cut(node: number, relay: number, direction: Direction): void {
    this.#slot(node, relay)[direction].cuts += 1;
  }

  mend(node: number, relay: number, direction: Direction): void {
    const lane = this.#slot(node, relay)[direction];
    lane.cuts = Math.max(0, lane.cuts - 1);
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

  /** Mends all that is cut and lets go of all blocks. */
  heal(): void {
    for (const slots of this.#slots) for (const { up, down } of slots) up.cuts = down.cuts = 0;
    for (const relay of this.#relays) relay.unblock();
    this.weather = CALM;
  }

  /** A node sends over one of its links. */
  send(node: number, link: LinkId, command: Outgoing): void {
    const connection = this.#byLink.get(link);
    if (connection?.slot.node !== node) return;
    const from = this.#users[node]!.user;
    const { relay } = connection.slot;
    const frame = ++this.#frame;
    this.onFrame?.({ type: 'sent', frame, node, relay, command });
    this.#carry(connection, 'up', command.name, frame, () => {
      this.onFrame?.({ type: 'relayed', frame, relay });
      this.#forwarded = { frame, node, name: command.name };
      this.#relays[relay]!.receive(from, command);
      this.#forwarded = undefined;
    });
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
    this.#carry(connection, 'down', command.name, frame, () => {
      this.onFrame?.({ type: 'delivered', frame, relay, to: node });
      this.onArrival(relay, node, command.name);
      this.#users[node]!.receive(connection.link, this.#received(command));
    });
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
    if (!this.#encoded) return command as Command;
    const payload = { ...command.payload, timestamp: 0, nonce: new Uint8Array(8) };
    return decodeCommand(command.name, unpack(pack(encodePayload(command.name, payload))));
  }

  #carry(
    c: Connection,
    direction: Direction,
    name: string,
    frame: number,
    arrive: () => void,
  ): void {
    const { slot } = c;
    const lane = slot[direction];
    const { draw } = lane;
    const { loss, duplicate, reorder, delay } = this.weather;
    const isKept = KEPT.has(name);
    const lost = (why: Loss) =>
      this.#lost(frame, slot.relay, direction === 'down' ? slot.node : null, why);
    this.frames += 1;
    const copies = duplicate > 0 && chance(draw, duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (!isKept && (lane.cuts > 0 || (loss > 0 && chance(draw, loss)))) {
        lost(lane.cuts > 0 ? 'cut' : 'loss');
        continue;
      }
      let at = this.#timeline.now + delayOf(delay, draw);
      if (reorder === 0 || !chance(draw, reorder)) {
        at = Math.max(at, c.last[direction]);
        c.last[direction] = at;
      }
      const land = (): void => {
        if (slot.connection !== c) return lost('closed');
        if (lane.cuts === 0) arrive();
        else if (isKept) this.#timeline.in(RECONNECT_MS, land);
        else lost('cut');
      };
      this.#timeline.at(at, land);
    }
  }
}

function delayOf(delay: Delay, draw: Draw): Millis {
  switch (delay.kind) {
    case 'fixed':
      return delay.ms;
    case 'uniform':
      return between(draw, delay.min, delay.max);
    case 'long-tail': {
      const x = draw();
      return Math.min(delay.max, (delay.median * 0.3) / Math.max(1e-6, 1 - x) ** 1.2);
    }
  }
}
