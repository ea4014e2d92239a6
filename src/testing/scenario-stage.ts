/** What the commands of a scenario work on (scenario.ts): the cluster, and what was done to it. */

import { ConclaveError } from '../core/errors.js';
import type { Millis } from '../core/ids.js';
import type { Cluster } from './cluster.js';
import type { Observer } from './observer.js';
import type { DiskImage } from './sim-disk.js';
import type { Passing } from './sim-network.js';
import type { SimNode } from './sim-node.js';
import { type Line, Transcript } from './transcript.js';

/** Which frames a `hold` or `drop` is about; what is absent may be anything. */
export interface Rule {
  readonly action: 'hold' | 'drop';
  readonly name: string | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
}

/** Kinds of lines that only repeat what the script says. */
const OWN: ReadonlySet<string> = new Set(['fault', 'fault-over', 'phase']);

/** `"9" is no node: name one from 0 to 2`. */
const isNot = (text: string | undefined, what: string, count: number): string =>
  `${text === undefined ? `a ${what} is missing` : `"${text}" is no ${what}`}: name one from 0 to ${count - 1}`;

export class Stage {
  #cluster: Cluster | undefined;
  readonly transcript = new Transcript();
  readonly hidden = new Set<string>();
  /** Ends of what was split or cut. */
  readonly mends: (() => void)[] = [];
  /** Copies of disks that were saved, by node. */
  readonly copies = new Map<number, DiskImage>();
  readonly #stopped = new Set<number>();
  /** What happened since the block began and was taken, hidden or not. */
  #block: Line[] = [];
  readonly #used = new Map<string, Set<number>>();
  rules: Rule[] = [];
  held: Passing[] = [];
  #isProblemTaken = false;

  readonly observer: Observer;

  /** `observe` sees all that the transcript sees. */
  constructor(observe?: Observer) {
    this.observer = (event) => {
      this.transcript.event(event);
      if (event.type === 'sent' && event.node !== null) {
        this.relaysUsed(event.node, event.command.name).add(event.relay);
      }
      observe?.(event);
    };
  }

  /** From now on, until it is healed. */
  get lasting(): { at: Millis; until: Millis } {
    return { at: this.cluster.timeline.now, until: Number.POSITIVE_INFINITY };
  }

  get cluster(): Cluster {
    if (!this.#cluster) throw badScenario('the first command must be "nodes"');
    return this.#cluster;
  }

  set cluster(cluster: Cluster) {
    if (this.#cluster) throw badScenario('"nodes" stands once, at the beginning');
    this.#cluster = cluster;
    cluster.network.gate = (passing) => this.#gate(passing);
  }

  #gate(passing: Passing): boolean {
    const rule = this.rules.find((one) => applies(one, passing));
    if (rule?.action === 'hold') this.held.push(passing);
    return rule !== undefined;
  }

  node(text: string | undefined): SimNode {
    const node = /^\d+$/.test(text ?? '') ? this.cluster.nodes[Number(text)] : undefined;
    if (node) return node;
    throw badScenario(isNot(text, 'node', this.cluster.nodes.length));
  }

  relay(text: string | undefined): number {
    const relay = Number(text);
    if (!/^\d+$/.test(text ?? '') || relay >= this.cluster.network.relays.length) {
      throw badScenario(isNot(text, 'relay', this.cluster.network.relays.length));
    }
    return relay;
  }

  /** From now on the relay answers nobody, until it is restarted. */
  stopRelay(relay: number): void {
    if (this.#stopped.has(relay)) return;
    this.#stopped.add(relay);
    this.#bar(relay, 1);
    this.cluster.network.restartRelay(relay);
  }

  restartRelay(relay: number): void {
    if (this.#stopped.delete(relay)) this.#bar(relay, -1);
    this.cluster.network.restartRelay(relay);
  }

  #bar(relay: number, by: 1 | -1): void {
    const { nodes, network } = this.cluster;
    for (const { index } of nodes) network.bar(index, relay, 'refuses', by);
  }

  /** What the transcript has to tell since the last time. */
  news(): Line[] {
    const lines = this.transcript.take().filter(({ kind }) => !OWN.has(kind));
    this.#block.push(...lines);
    if (this.hidden.has('all')) return [];
    return lines.filter(({ kind }) => !this.hidden.has(kind));
  }

  /** What follows belongs to a new block of the script. */
  beginBlock(): void {
    this.#block = [];
    this.#used.clear();
  }

  /** Over which relays the node sent such commands in this block. */
  relaysUsed(node: number, name: string): Set<number> {
    const key = `${node} ${name}`;
    const used = this.#used.get(key) ?? new Set();
    this.#used.set(key, used);
    return used;
  }

  /** All lines of this block so far, hidden ones too. */
  get happened(): readonly Line[] {
    return [...this.#block, ...this.transcript.lines];
  }

  /** What broke, told once. */
  takeProblem(): { problem?: string } {
    const problem = this.#cluster?.problem;
    if (problem === undefined || this.#isProblemTaken) return {};
    this.#isProblemTaken = true;
    return { problem };
  }
}

export const badScenario = (message: string): ConclaveError =>
  new ConclaveError('bad_scenario', message);
export const expectationFailed = (message: string): ConclaveError =>
  new ConclaveError('expectation', message);

const isAny = (wanted: unknown, is: unknown): boolean => wanted === undefined || wanted === is;
export const applies = (
  { name, from, to }: Rule | Omit<Rule, 'action'>,
  passing: Passing,
): boolean => isAny(name, passing.name) && isAny(from, passing.from) && isAny(to, passing.to);

/** `ACK_CH_MSG from 2 to 0`, each part optional. */
export function parseRule(stage: Stage, args: readonly string[]): Omit<Rule, 'action'> {
  const value = (word: string): number | undefined => {
    const at = args.indexOf(word);
    return at === -1 ? undefined : stage.node(args[at + 1]).index;
  };
  const name = args.find((arg) => /^[A-Z_]+$/.test(arg));
  return { name, from: value('from'), to: value('to') };
}
