/** Carries out a plan of faults on the nodes and the network of a run. */

import type { ChannelId, Millis } from '../core/ids.js';
import type { Fault, Victim } from './faults.js';
import type { Direction, SimNetwork } from './sim-network.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';

export class Chaos {
  readonly #timeline: Timeline;
  readonly #network: SimNetwork;
  readonly #nodes: readonly SimNode[];
  readonly #channel: ChannelId;
  /** Each node's disk as it was, to go back to. */
  readonly #latencies: readonly (() => Millis)[];
  #isOver = false;
  onFault: (text: string) => void = () => {};
  /** Told of each fault, its victim resolved, when it begins and when it ends. */
  onChange: ((type: 'fault' | 'fault-over', index: number, fault: Fault) => void) | undefined;

  constructor(
    timeline: Timeline,
    network: SimNetwork,
    nodes: readonly SimNode[],
    channel: ChannelId,
  ) {
    this.#timeline = timeline;
    this.#network = network;
    this.#nodes = nodes;
    this.#channel = channel;
    this.#latencies = nodes.map((node) => node.disk.latency);
  }

  plan(faults: readonly Fault[]): void {
    faults.forEach((planned, index) => {
      this.#timeline.at(planned.at, () => {
        if (this.#isOver) return;
        this.onFault(`fault ${JSON.stringify(planned)}`);
        const fault = this.#resolved(planned);
        this.onChange?.('fault', index, fault);
        const end = this.#begin(fault);
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

  /** Ends all faults and brings everything back. */
  stop(): void {
    this.#isOver = true;
    this.#network.heal();
    for (const node of this.#nodes) {
      node.disk.failNext = null;
      node.disk.inNextWrite = null;
      node.disk.latency = this.#latencies[node.index]!;
      this.#timeline.in(0, () => node.start());
    }
  }

  #victim(victim: Victim): SimNode {
    const leader = this.#nodes.find((node) => node.state(this.#channel)?.leading);
    return victim === 'leader' ? (leader ?? this.#nodes[0]!) : this.#nodes[victim]!;
  }

  /** Begins a fault and returns what ends it. */
  #begin(fault: Fault): (() => void | Promise<void>) | undefined {
    switch (fault.kind) {
      case 'crash': {
        const node = this.#victim(fault.node);
        if (fault.inWrite) node.disk.inNextWrite = () => node.crash();
        else node.crash();
        return () => {
          node.disk.inNextWrite = null;
          return node.start();
        };
      }
      case 'pause':
        this.#victim(fault.node).pause(fault.until);
        return undefined;
      case 'disk-full': {
        const node = this.#victim(fault.node);
        node.disk.failNext = 'full';
        return () => {
          node.disk.failNext = null;
          return node.start();
        };
      }
      case 'slow-disk': {
        const { disk, index } = this.#victim(fault.node);
        const { ms } = fault;
        disk.latency = () => ms;
        return () => {
          disk.latency = this.#latencies[index]!;
        };
      }
      case 'cut': {
        const node = this.#victim(fault.node);
        if (fault.reset) this.#network.reset(node.index, fault.relay);
        return this.#cut(node.index, [fault.relay], fault.directions);
      }
      case 'isolate': {
        const relays = this.#network.relays.map((_, i) => i);
        return this.#cut(this.#victim(fault.node).index, relays, fault.directions);
      }
      case 'block':
        for (const [a, b] of fault.pairs) this.#network.block(a, b, 1);
        return () => {
          for (const [a, b] of fault.pairs) this.#network.block(a, b, -1);
        };
      case 'reset':
        this.#network.reset(this.#victim(fault.node).index, fault.relay);
        return undefined;
      case 'relay-restart':
        this.#network.restartRelay(fault.relay);
        return undefined;
      case 'weather': {
        const before = this.#network.weather;
        this.#network.weather = fault.weather;
        return () => {
          this.#network.weather = before;
        };
      }
    }
  }

  #cut(node: number, relays: readonly number[], directions: readonly Direction[]): () => void {
    for (const relay of relays) for (const d of directions) this.#network.cut(node, relay, d);
    return () => {
      for (const relay of relays) for (const d of directions) this.#network.mend(node, relay, d);
    };
  }
}
