/**
 * A simulated channel under hand control, for scenarios (scenario.ts): a calm
 * network, disks and clocks without faults, and whatever its user breaks. Time
 * passes only while it is told to run. Invariants are checked at every step.
 *
 * Among nodes that may stand for election the one with the lowest index has
 * the least patience, so that a scenario's reader can tell who will lead.
 */

import type { Command, Outgoing } from '../core/commands.js';
import type { CoreEvent, Ready } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import type { FewPolicy } from '../core/genesis.js';
import type { Millis, Ulid, UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { StoreOp } from '../core/store.js';
import { Application } from './application.js';
import { errorText } from './error-text.js';
import type { Fault } from './faults.js';
import { Invariants } from './invariants.js';
import { type Observer, Reporter } from './observer.js';
import { type Draw, drawsOf } from './prng.js';
import { unsettled } from './settled.js';
import { simCrypto } from './sim-crypto.js';
import { SimDisk } from './sim-disk.js';
import { SimNetwork } from './sim-network.js';
import { type NodeWatcher, SimNode } from './sim-node.js';
import { Timeline } from './timeline.js';

export interface ClusterOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly relays: number;
  readonly minOnline: number;
  readonly few: FewPolicy;
  /** So many of the nodes, the last ones, join as archives. */
  readonly archives: number;
  readonly quorum: 'online' | 'roster';
  readonly observe: Observer;
}

/** What an author was told of its message. */
export type Told = 'queued' | 'sent' | 'committed' | 'final' | 'withheld';

const DISK_MS = 1;

export class Cluster implements NodeWatcher {
  readonly options: ClusterOptions;
  readonly timeline = new Timeline();
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly app: Application;
  readonly invariants: Invariants;
  readonly crypto = simCrypto('real');
  readonly #reporter: Reporter;
  #steps = 0;
  #faults = 0;
  /** Messages by what they say. */
  readonly #posted = new Map<string, Ulid>();
  readonly #told = new Map<Ulid, Told>();
  /** What broke, first of all. */
  problem: string | undefined;

  constructor(options: ClusterOptions) {
    this.options = options;
    const { seed, nodes, relays, minOnline, few, archives, quorum, observe } = options;
    const { timeline, crypto } = this;
    const usersOf = (what: string, count: number): UserId[] =>
      Array.from({ length: count }, (_, i) => crypto.userOf(`${what} ${i} of ${seed}`));
    const relayKeys = usersOf('relay', relays);
    const users = usersOf('node', nodes);
    const urls = relayKeys.map((key, i) => `conclave://${key}@relay${i}:7000`);
    const hash = crypto.sha256;
    this.network = new SimNetwork({ timeline, seed, hash, relays, encoded: true });
    this.app = new Application({
      ...{ seed, crypto, timeline, users, relays: urls },
      ...{ minOnline, few, archives, quorum },
    });
    const { channel } = this.app;
    this.invariants = new Invariants(crypto, channel, users[0]!, () => this.nodes, {
      broke: (invariant, message) => this.#break(`invariant ${invariant}: ${message}`),
      beyond: (why) => this.#break(`beyond what is promised: ${why}`),
    });
    this.invariants.leastOnline = this.app.leastOnline;
    this.invariants.mayBeGone = (user) => this.app.mayBeGone(users.indexOf(user));
    this.nodes = users.map((user, index) => {
      const disk = new SimDisk(timeline, drawsOf(seed, `disk ${index}`));
      disk.latency = () => DISK_MS;
      return new SimNode({
        ...{ index, user, timeline, network: this.network, disk, crypto, relayKeys },
        ...{ watcher: this, skewMs: 0, workMs: 0, sabotage: undefined },
        draw: drawsOf(seed, `node ${index}`),
        patience: inTurn(drawsOf(seed, `patience ${index}`), index, nodes),
      });
    });
    for (const node of this.nodes) this.network.add(node);
    this.app.nodes = this.nodes;
    this.#reporter = new Reporter(observe, timeline, channel, users);
    this.#reporter.tell({ type: 'begins', hash, channel, users, relays, minOnline });
    this.network.onFrame = (event) => this.#reporter.tell(event);
  }

  /** Lets `ms` pass. */
  run(ms: Millis): Promise<boolean> {
    return this.until(() => false, ms);
  }

  /** Lets time pass until `isDone`, looked at after each moment, or for `most`; true when done. */
  async until(isDone: () => boolean, most: Millis): Promise<boolean> {
    const end = this.timeline.now + most;
    let isOver = false;
    this.timeline.at(end, () => {
      isOver = true;
    });
    while (!isOver && this.problem === undefined) {
      if (isDone()) return true;
      const event = this.timeline.next();
      if (!event) break;
      await event();
    }
    return isDone();
  }

  /** Why these nodes are not at rest with equal logs; undefined when they are. */
  unsettled(nodes: readonly SimNode[]): string | undefined {
    const busy = nodes.find((node) => !node.isIdle);
    if (busy) return `node ${busy.index} is at work`;
    return unsettled(nodes, this.app, this.invariants);
  }

  /** Hands a message to a node; false when it takes none. */
  post(node: number, text: string): boolean {
    const [id] = this.app.post({ at: this.timeline.now, node, count: 1, bytes: 0, text });
    if (id === undefined) return false;
    this.#posted.set(text, id);
    this.#reporter.tell({ type: 'posted', node, ids: [id] });
    return true;
  }

  /** The message that says this. Throws when nobody posted it. */
  messageId(text: string): Ulid {
    const id = this.#posted.get(text);
    if (id === undefined) throw new ConclaveError('bad_scenario', `nobody posted "${text}"`);
    return id;
  }

  /** Tells observers of something that is broken by hand; returns what tells them that it is over. */
  broken(fault: Fault): () => void {
    this.#faults += 1;
    const index = this.#faults;
    this.#reporter.tell({ type: 'fault', index, fault });
    return () => this.#reporter.tell({ type: 'fault-over', index, fault });
  }

  /** Tells observers that what follows is what the run is about. */
  ready(): void {
    this.#reporter.tell({ type: 'phase', phase: 'load' });
  }

  /** What the message's author was last told of it. */
  told(id: Ulid): Told | undefined {
    return this.#told.get(id);
  }

  #break(what: string): void {
    this.problem ??= what;
  }

  stepped(node: SimNode, inputs: readonly Input[], ready: Ready): void {
    this.#steps += 1;
    this.invariants.stepped(node, inputs, ready);
    this.#reporter.stepped(node, this.#steps);
  }
  writing(node: SimNode, ops: readonly StoreOp[]): void {
    this.invariants.writing(node, ops);
  }
  durable(node: SimNode, ops: readonly StoreOp[]): void {
    this.invariants.durable(node, ops);
    this.#reporter.tell({ type: 'durable', node: node.index, ops });
  }
  sending(node: SimNode, command: Outgoing): void {
    this.invariants.sending(node, command);
    this.#reporter.tell({ type: 'says', node: node.index, command });
  }
  misbehaves(node: SimNode, command: Outgoing): void {
    this.invariants.misbehaves(node, command);
    this.#reporter.tell({ type: 'says', node: node.index, command });
  }
  event(node: SimNode, event: CoreEvent): void {
    this.invariants.event(node, event);
    this.app.event(node, event);
    if (event.type === 'progress') this.#told.set(event.id, event.state);
    this.#reporter.tell({ type: 'told', node: node.index, event });
  }
  refused(node: SimNode, command: Command, error: ConclaveError): void {
    const why = `${error.code}: ${error.message}`;
    this.#reporter.tell({ type: 'refused', node: node.index, name: command.name, why });
    if (error.code === 'internal') this.threw(node, error);
  }
  threw(node: SimNode, error: unknown): void {
    this.#break(`node ${node.index} threw: ${errorText(error)}`);
  }
  started(node: SimNode): void {
    this.#reporter.started(node);
    this.invariants.started(node);
    this.app.started(node);
  }
  crashed(node: SimNode): void {
    this.#reporter.crashed(node);
  }
  lost(node: SimNode): void {
    this.invariants.lost(node);
  }
}

/** Draws that stay in the share of [0, 1) that belongs to `index`. */
function inTurn(draw: Draw, index: number, of: number): Draw {
  return () => (index + 0.5 * draw()) / of;
}
