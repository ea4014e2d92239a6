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
import { between, chance, type Draw } from './prng.js';
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

interface Connection {
  readonly link: LinkId;
  readonly node: number;
  readonly relay: number;
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

export class SimNetwork {
  readonly #timeline: Timeline;
  readonly #draw: Draw;
  /** Frames are encoded and decoded as on a real wire. */
  readonly #encoded: boolean;
  readonly #relays: SimRelay[];
  readonly #users: LinkUser[] = [];
  readonly #indexOf = new Map<UserId, number>();
  /** By `node/relay`. */
  readonly #connections = new Map<string, Connection>();
  readonly #wanted = new Set<string>();
  readonly #cuts = new Map<string, number>();
  #links = 0;
  weather: Weather = CALM;
  /** Sees every frame that arrives anywhere. */
  onArrival: (at: string, name: string) => void = () => {};
  /** Sees each frame go its way, when somebody observes the run. */
  onFrame: ((event: FrameEvent) => void) | undefined;
  frames = 0;
  #frame = 0;
  /** The frame that a relay is forwarding now. */
  #forwarded: number | undefined;

  constructor(options: {
    timeline: Timeline;
    draw: Draw;
    hash: Hash;
    relays: number;
    encoded: boolean;
  }) {
    this.#timeline = options.timeline;
    this.#draw = options.draw;
    this.#encoded = options.encoded;
    this.#relays = Array.from({ length: options.relays }, (_, relay) => {
      const deliver = (to: UserId, command: Outgoing) => this.#down(relay, to, command);
      const sim = new SimRelay(options.hash, deliver);
      sim.onBlocked = (to) =>
        this.#lost(this.#forwarded ?? 0, relay, this.#indexOf.get(to)!, 'blocked');
      return sim;
    });
  }

  get relays(): readonly SimRelay[] {
    return this.#relays;
  }

  add(user: LinkUser): void {
    this.#indexOf.set(user.user, this.#users.length);
    this.#users.push(user);
  }

  /** From now on `node` has a link to each relay whenever that can be. */
  start(node: number): void {
    this.#relays.forEach((_, relay) => {
      this.#wanted.add(`${node}/${relay}`);
      this.#timeline.in(between(this.#draw, 0, 10), () => this.#connect(node, relay));
    });
  }

  /** The node is gone. */
  stop(node: number): void {
    this.#relays.forEach((_, relay) => {
      this.#wanted.delete(`${node}/${relay}`);
      this.#disconnect(node, relay, false);
    });
  }

  #connect(node: number, relay: number): void {
    const key = `${node}/${relay}`;
    if (!this.#wanted.has(key) || this.#connections.has(key)) return;
    if (this.#isCut(node, relay, 'up') || this.#isCut(node, relay, 'down')) {
      this.#timeline.in(RECONNECT_MS, () => this.#connect(node, relay));
      return;
    }
    this.#links += 1;
    const connection = { link: this.#links, node, relay, last: { up: 0, down: 0 } };
    this.#connections.set(key, connection);
    this.#relays[relay]!.connected(this.#users[node]!.user);
    this.#users[node]!.linkUp(connection.link, relay);
  }

  #disconnect(node: number, relay: number, tell: boolean): void {
    const key = `${node}/${relay}`;
    const connection = this.#connections.get(key);
    if (!connection) return;
    this.#connections.delete(key);
    this.#relays[relay]!.disconnected(this.#users[node]!.user);
    if (tell) this.#users[node]!.linkDown(connection.link);
    this.#timeline.in(RECONNECT_MS, () => this.#connect(node, relay));
  }

  /** Ends a connection so that both ends notice; it comes back by itself. */
  reset(node: number, relay: number): void {
    this.#disconnect(node, relay, true);
  }

  /** Frames in this direction are lost until `mend`. Cuts add up. */
  cut(node: number, relay: number, direction: Direction): void {
    this.#count(this.#cuts, `${node}/${relay}/${direction}`, 1);
  }

  mend(node: number, relay: number, direction: Direction): void {
    this.#count(this.#cuts, `${node}/${relay}/${direction}`, -1);
  }

  /** No relay forwards from `a` to `b`. */
  block(a: number, b: number, by: 1 | -1): void {
    const key = `${this.#users[a]!.user}>${this.#users[b]!.user}`;
    for (const relay of this.#relays) this.#count(relay.blocked, key, by);
  }

  restartRelay(relay: number): void {
    this.#users.forEach((_, node) => {
      this.reset(node, relay);
    });
    this.#relays[relay]!.restart();
  }

  /** Mends all that is cut and lets go of all blocks. */
  heal(): void {
    this.#cuts.clear();
    for (const relay of this.#relays) relay.blocked.clear();
    this.weather = CALM;
  }

  #count(map: Map<string, number>, key: string, by: number): void {
    const count = (map.get(key) ?? 0) + by;
    if (count > 0) map.set(key, count);
    else map.delete(key);
  }

  #isCut(node: number, relay: number, direction: Direction): boolean {
    return this.#cuts.has(`${node}/${relay}/${direction}`);
  }

  /** A node sends over one of its links. */
  send(node: number, link: LinkId, command: Outgoing): void {
    for (const [, c] of this.#connections) {
      if (c.link !== link || c.node !== node) continue;
      const from = this.#users[node]!.user;
      const frame = ++this.#frame;
      this.onFrame?.({ type: 'sent', frame, node, relay: c.relay, command });
      this.#carry(c, 'up', command.name, frame, () => {
        this.onFrame?.({ type: 'relayed', frame, relay: c.relay });
        this.#forwarded = frame;
        this.#relays[c.relay]!.receive(from, command);
        this.#forwarded = undefined;
      });
    }
  }

  #down(relay: number, to: UserId, command: Outgoing): void {
    const node = this.#indexOf.get(to)!;
    const connection = this.#connections.get(`${node}/${relay}`);
    const frame = this.#forwarded ?? this.#ofRelay(relay, command);
    if (!connection) return this.#lost(frame, relay, node, 'closed');
    this.#carry(connection, 'down', command.name, frame, () => {
      this.onFrame?.({ type: 'delivered', frame, relay, to: node });
      this.onArrival(`${relay}>${node}`, command.name);
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
    const { loss, duplicate, reorder, delay } = this.weather;
    const isKept = KEPT.has(name);
    const lost = (why: Loss) =>
      this.#lost(frame, c.relay, direction === 'down' ? c.node : null, why);
    this.frames += 1;
    const copies = chance(this.#draw, duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (!isKept) {
        const isLost = chance(this.#draw, loss);
        if (isLost || this.#isCut(c.node, c.relay, direction)) {
          lost(isLost ? 'loss' : 'cut');
          continue;
        }
      }
      let at = this.#timeline.now + this.#delay(delay);
      if (!chance(this.#draw, reorder)) {
        at = Math.max(at, c.last[direction]);
        c.last[direction] = at;
      }
      const land = (): void => {
        if (this.#connections.get(`${c.node}/${c.relay}`) !== c) return lost('closed');
        if (!this.#isCut(c.node, c.relay, direction)) arrive();
        else if (isKept) this.#timeline.in(RECONNECT_MS, land);
        else lost('cut');
      };
      this.#timeline.at(at, land);
    }
  }

  #delay(delay: Delay): Millis {
    switch (delay.kind) {
      case 'fixed':
        return delay.ms;
      case 'uniform':
        return between(this.#draw, delay.min, delay.max);
      case 'long-tail': {
        const x = this.#draw();
        return Math.min(delay.max, (delay.median * 0.3) / Math.max(1e-6, 1 - x) ** 1.2);
      }
    }
  }
}
