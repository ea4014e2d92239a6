/** Carries out a plan of faults on the nodes and the network of a run. */

import type { ChannelId, Millis } from '../core/ids.js';
import type { BootBatches } from '../core/store-boots.js';
import type { Fault, Victim } from './faults.js';
import type { Misdeed } from './misdeeds.js';
import { drawsOf } from './prng.js';
import type { DiskImage } from './sim-disk.js';
import { DIRECTIONS, type Direction, type SimNetwork } from './sim-network.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';

/** What ends a fault. */
type End = () => void | Promise<void>;

const MAY_BEGIN_MS = 200;

const isStaying = (fault: Fault): boolean =>
  fault.kind === 'gone' || ('stays' in fault && fault.stays === true);

export class Chaos {
  readonly #timeline: Timeline;
  readonly #network: SimNetwork;
  readonly #nodes: readonly SimNode[];
  readonly #channel: ChannelId;
  /** Ends what healing the network does not. */
  readonly #toEnd: End[] = [];
  /** Does again what is not over when the network was healed. */
  readonly #staying: (() => void)[] = [];
  /** Each node's disk as it was, to go back to. */
  readonly #latencies: readonly (() => Millis)[];
  readonly #seed: number;
  #isOver = false;
  /** Whether members may begin to misbehave: before all have joined nothing is promised under it. */
  mayMisbehave: () => boolean = () => true;
  onMisbehave: (node: SimNode, misdeeds: readonly Misdeed[]) => void = () => {};
  /** Whether members may leave for good: who joins may need them. */
  mayLeave: () => boolean = () => true;
  /** Told of a node that is gone for good. */
  onGone: (node: SimNode) => void = () => {};
  onFault: (text: string) => void = () => {};
  /** Told of a node that comes back with an old copy of its disk, or with none. */
  onForget: (node: SimNode, memory: 'old' | 'none', before: readonly BootBatches[]) => void =
    () => {};
  /** Told of each fault, its victim resolved, when it begins and when it ends. */
  onChange: ((type: 'fault' | 'fault-over', index: number, fault: Fault) => void) | undefined;

  constructor(
    timeline: Timeline,
    network: SimNetwork,
    nodes: readonly SimNode[],
    channel: ChannelId,
    seed: number,
  ) {
    this.#seed = seed;
    this.#timeline = timeline;
    this.#network = network;
    this.#nodes = nodes;
    this.#channel = channel;
    this.#latencies = nodes.map((node) => node.disk.latency);
  }

  plan(faults: readonly Fault[]): void {
    faults.forEach((planned, index) => {
      const copies = this.#prepare(planned);
      this.#timeline.at(planned.at, () => {
        if (this.#isOver) return;
        const { drawnFrom: _, ...what } = planned;
        this.onFault(`fault ${JSON.stringify(what)}`);
        const fault = this.#resolved(planned);
        this.onChange?.('fault', index, fault);
        const end = this.#begin(fault, copies);
        if (isStaying(fault)) return;
        if (end && fault.kind === 'misbehaves') this.#toEnd.push(end);
        this.#timeline.at(fault.until, () => {
          if (this.#isOver) return;
          this.onChange?.('fault-over', index, fault);
          if (!end) return;
          this.onFault(`end of ${fault.kind}`);
          return end();
        });
      });
    });
  }

  /** The fault with its victim by index. */
  #resolved(fault: Fault): Fault {
    return 'node' in fault ? { ...fault, node: this.#victim(fault.node).index } : fault;
  }

  /** What a fault needs before it begins; returns where the disks that it puts back will be. */
  #prepare(fault: Fault): readonly DiskImage[] {
    const copies: DiskImage[] = [];
    if (fault.kind === 'lying-relay') {
      this.#network.relays[fault.relay]!.willLie(this.#nodes.map((node) => node.user));
    }
    if (fault.kind === 'old-disk' && fault.copiedAt !== null) {
      this.#timeline.at(fault.copiedAt, () => {
        copies.push(...fault.nodes.map((index) => this.#nodes[index]!.disk.image()));
      });
    }
    return copies;
  }

  /** Ends all faults and brings everything back. */
  stop(): void {
    this.#isOver = true;
    for (const end of this.#toEnd) void end();
    this.#network.heal();
    for (const again of this.#staying) again();
    for (const node of this.#nodes) {
      node.disk.mend();
      node.disk.latency = this.#latencies[node.index]!;
      node.disk.repair();
      node.slowMs = 0;
      this.#timeline.in(0, () => node.start());
    }
  }

  #victim(victim: Victim): SimNode {
    const leader = this.#nodes.find((node) => node.state(this.#channel)?.leading);
    return victim === 'leader' ? (leader ?? this.#nodes[0]!) : this.#nodes[victim]!;
  }

  #begin(fault: Fault, copies: readonly DiskImage[]): End | undefined {
    switch (fault.kind) {
      case 'crash':
      case 'pause':
      case 'slow':
      case 'clock':
      case 'disk-full':
      case 'disk-sync':
      case 'slow-disk':
      case 'damage':
        return this.#beginAtNode(fault, this.#victim(fault.node));
      case 'old-disk':
        return this.#loseMemory(fault, copies);
      case 'misbehaves':
        return this.#misbehave(fault);
      case 'gone':
        return this.#leave(this.#nodes[fault.node]!);
      case 'cut':
      case 'clog':
      case 'narrow':
      case 'half-open':
      case 'dead':
      case 'reset':
        return this.#beginAtLink(fault, this.#victim(fault.node).index);
      default:
        return this.#beginInNetwork(fault);
    }
  }

  #beginAtNode(
    fault: Extract<
      Fault,
      {
        kind:
          | 'crash'
          | 'pause'
          | 'slow'
          | 'clock'
          | 'disk-full'
          | 'disk-sync'
          | 'slow-disk'
          | 'damage';
      }
    >,
    node: SimNode,
  ): End | undefined {
    const { disk } = node;
    switch (fault.kind) {
      case 'crash':
        if (fault.inWrite) disk.inNextWrite = () => node.crash();
        else node.crash();
        return () => {
          disk.mend();
          return node.start();
        };
      case 'pause':
        node.pause(fault.until);
        return undefined;
      case 'slow':
        node.slowMs = fault.ms;
        return () => {
          node.slowMs = 0;
        };
      case 'clock':
        node.wallShiftMs += fault.ms;
        return () => {
          node.wallShiftMs -= fault.ms;
        };
      case 'disk-full':
      case 'disk-sync':
        disk.failNext = fault.kind;
        return () => {
          disk.mend();
          return node.start();
        };
      case 'slow-disk':
        disk.latency = () => fault.ms;
        return () => {
          disk.latency = this.#latencies[node.index]!;
        };
      case 'damage': {
        const key = disk.damage(fault.place);
        if (key !== undefined) this.onFault(`node ${node.index} has a damaged ${key}`);
        return () => {
          disk.repair();
          return node.start();
        };
      }
    }
  }

  #loseMemory(fault: Extract<Fault, { kind: 'old-disk' }>, copies: readonly DiskImage[]): End {
    const nodes = fault.nodes.map((index) => this.#nodes[index]!);
    nodes.forEach((node, i) => {
      if (node.isGone) return;
      node.crash();
      const before = node.durableBoots;
      node.disk.restore(copies[i]);
      this.onForget(node, fault.copiedAt === null ? 'none' : 'old', before);
    });
    return async () => {
      for (const node of nodes) await node.start();
    };
  }

  #leave(node: SimNode): undefined {
    if (this.#isOver || node.isGone) return;
    if (!this.mayLeave()) return void this.#timeline.in(MAY_BEGIN_MS, () => this.#leave(node));
    node.leave();
    this.onGone(node);
  }

  #misbehave({ node: index, misdeeds, at }: Extract<Fault, { kind: 'misbehaves' }>): End {
    const node = this.#nodes[index]!;
    const users = this.#nodes.map(({ user }) => user);
    let isEnded = false;
    const begin = (): void => {
      if (isEnded || this.#isOver) return;
      if (!this.mayMisbehave()) return void this.#timeline.in(MAY_BEGIN_MS, begin);
      this.onMisbehave(node, misdeeds);
      const draw = drawsOf(this.#seed, `misdeeds ${index} ${at}`);
      node.misbehave(this.#channel, users, draw).begin(misdeeds);
    };
    begin();
    return () => {
      isEnded = true;
      node.misbehaviour?.end();
    };
  }

  #beginAtLink(
    fault: Extract<Fault, { kind: 'cut' | 'clog' | 'narrow' | 'half-open' | 'dead' | 'reset' }>,
    node: number,
  ): End | undefined {
    const network = this.#network;
    const { relay } = fault;
    switch (fault.kind) {
      case 'cut':
        if (fault.reset) network.reset(node, relay);
        return this.#cut(node, [relay], fault.directions);
      case 'clog': {
        const lanes = fault.directions.map((d) => network.lane(node, relay, d));
        for (const lane of lanes) lane.clog();
        return () => {
          for (const lane of lanes) lane.unclog();
        };
      }
      case 'narrow': {
        const lanes = DIRECTIONS.map((d) => network.lane(node, relay, d));
        for (const lane of lanes) lane.bytesPerMs = fault.bytesPerMs;
        return () => {
          for (const lane of lanes) lane.bytesPerMs = Number.POSITIVE_INFINITY;
        };
      }
      case 'half-open':
        network.bar(node, relay, 'refuses', 1);
        network.halve(node, relay, fault.gone);
        return () => {
          network.bar(node, relay, 'refuses', -1);
          network.reset(node, relay);
        };
      case 'dead': {
        const mend = this.#cut(node, [relay], DIRECTIONS);
        network.bar(node, relay, 'accepts', 1);
        network.reset(node, relay);
        return () => {
          network.bar(node, relay, 'accepts', -1);
          network.reset(node, relay);
          mend();
        };
      }
      case 'reset':
        network.reset(node, relay);
        return undefined;
    }
  }

  #beginInNetwork(
    fault: Extract<
      Fault,
      {
        kind:
          | 'isolate'
          | 'block'
          | 'relay-split'
          | 'relay-restart'
          | 'relay-forgets'
          | 'lying-relay'
          | 'weather';
      }
    >,
  ): End | undefined {
    const network = this.#network;
    switch (fault.kind) {
      case 'isolate': {
        const relays = network.relays.map((_, i) => i);
        return this.#cut(this.#victim(fault.node).index, relays, fault.directions);
      }
      case 'block':
        for (const [a, b] of fault.pairs) network.block(a, b, 1);
        if (fault.stays)
          this.#staying.push(() => {
            for (const [a, b] of fault.pairs) network.block(a, b, 1);
          });
        return () => {
          for (const [a, b] of fault.pairs) network.block(a, b, -1);
        };
      case 'relay-split':
        if (fault.stays) this.#staying.push(() => this.#splitByRelays(fault.sides, false));
        return this.#splitByRelays(fault.sides, fault.reset);
      case 'relay-restart':
        network.restartRelay(fault.relay);
        return undefined;
      case 'relay-forgets':
        network.relays[fault.relay]!.forget();
        return () => network.restartRelay(fault.relay);
      case 'lying-relay': {
        const relay = network.relays[fault.relay]!;
        relay.lie(fault.lies);
        return () => {
          relay.lie(null);
          if (fault.restarts) network.restartRelay(fault.relay);
        };
      }
      case 'weather':
        return this.#turnWeather(fault);
    }
  }

  #turnWeather(fault: Extract<Fault, { kind: 'weather' }>): End {
    const network = this.#network;
    if (fault.node === undefined) {
      const before = network.weather;
      network.weather = fault.weather;
      return () => {
        network.weather = before;
      };
    }
    const { index } = this.#victim(fault.node);
    const lanes = network.relays.flatMap((_, i) =>
      DIRECTIONS.map((d) => network.lane(index, i, d)),
    );
    for (const lane of lanes) lane.weather = fault.weather;
    return () => {
      for (const lane of lanes) lane.weather = null;
    };
  }

  #splitByRelays(sides: readonly (readonly number[])[], reset: boolean): End {
    const ends: End[] = [];
    sides.forEach((side, own) => {
      const others = this.#network.relays.map((_, i) => i).filter((relay) => relay !== own);
      for (const node of side) {
        if (reset) for (const relay of others) this.#network.reset(node, relay);
        ends.push(this.#cut(node, others, DIRECTIONS));
      }
    });
    return () => {
      for (const end of ends) void end();
    };
  }

  #cut(node: number, relays: readonly number[], directions: readonly Direction[]): End {
    for (const relay of relays) for (const d of directions) this.#network.cut(node, relay, d);
    return () => {
      for (const relay of relays) for (const d of directions) this.#network.mend(node, relay, d);
    };
  }
}
