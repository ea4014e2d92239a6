/**
 * Uses the nodes of a lab as applications do, and writes down what can be seen
 * from outside, as a history for the checker: each node is given messages and
 * says how far they are, is followed by a reader, and is read now and then.
 * A message's text is its name, for a command that is killed never learns an id.
 */

import { setMaxListeners } from 'node:events';
import { callNode } from '../../src/cli/demo/control.js';
import { isAway } from '../../src/cli/demo/reader.js';
import { pause } from '../../src/cli/demo/wait.js';
import type { Json } from '../../src/cli/output.js';
import type {
  History,
  HistoryEntry,
  HistoryEvent,
  HistoryState,
} from '../../src/testing/history.js';
import type { Lab, LabNode } from './lab.js';

/** One message a node in this time. */
const PACE_MS = 100;
const RETRY_MS = 50;

export class Recorder {
  readonly #lab: Lab;
  readonly #events: HistoryEvent[] = [];
  readonly #names: ReadonlyMap<string, string>;
  readonly #over = new AbortController();
  readonly #readers: Promise<void>[];
  /** For each node: messages that it was given, that are final for its reader, and of its own committed since the cut. */
  readonly #sent: number[];
  readonly #final: number[];
  readonly #committedSinceCut: number[];
  /** Names of messages that were given before the last cut. */
  #beforeCut: ReadonlySet<string> = new Set();
  #talkers: Promise<void>[] = [];
  #talking = false;
  /** The first thing that went wrong in the background. */
  #failure: unknown;

  constructor(lab: Lab) {
    this.#lab = lab;
    setMaxListeners(0, this.#over.signal);
    this.#names = new Map(lab.nodes.map(({ user, name }) => [user, name]));
    this.#sent = lab.nodes.map(() => 0);
    this.#final = lab.nodes.map(() => 0);
    this.#committedSinceCut = lab.nodes.map(() => 0);
    this.#readers = lab.nodes.map((node) => this.#inBackground(this.#follow(node)));
  }

  /** Messages that are final for a node's reader. */
  finalAt({ index }: LabNode): number {
    return this.#final[index]!;
  }

  /** How many `merge` records a node showed since the last heal. */
  mergesAt({ index }: LabNode): number {
    const healed = this.#events.findLastIndex(({ type }) => type === 'heal');
    return this.#events
      .slice(healed)
      .filter((e) => e.type === 'shown' && e.node === index && e.entry.kind === 'merge').length;
  }

  sentBy({ index }: LabNode): number {
    return this.#sent[index]!;
  }

  /** Messages that a node was given since the last cut, and said are committed. */
  committedSinceCut({ index }: LabNode): number {
    return this.#committedSinceCut[index]!;
  }

  note(event: Without<HistoryEvent, 'at'>): void {
    if (event.type === 'cut') this.#onCut();
    if (event.type === 'told' && !this.#beforeCut.has(event.id))
      this.#committedSinceCut[event.node]! += 1;
    this.#events.push({ ...event, at: performance.now() } as HistoryEvent);
  }

  #onCut(): void {
    this.#committedSinceCut.fill(0);
    this.#beforeCut = new Set(this.#events.flatMap((e) => (e.type === 'send' ? e.id : [])));
  }

  /** Throws what went wrong in the background. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Every node is given messages from now on, whenever it is up. */
  talk(): void {
    this.#talking = true;
    this.#talkers = this.#lab.nodes.map((node) => this.#inBackground(this.#talk(node)));
  }

  /** No more messages; resolves once each node has told how far its last ones are. */
  async hush(): Promise<void> {
    this.#talking = false;
    await Promise.all(this.#talkers);
    this.check();
  }

  async #inBackground(work: Promise<void>): Promise<void> {
    await work.catch((error) => {
      if (!this.#over.signal.aborted) this.#failure ??= error;
    });
  }

  async #talk(node: LabNode): Promise<void> {
    while (this.#talking) {
      if (node.running) await this.#sendSome(node);
      else await pause(RETRY_MS, this.#over.signal);
    }
  }

  /** Until the node goes away, or no more is to be said. */
  async #sendSome(node: LabNode): Promise<void> {
    const open: string[] = [];
    const over = { now: false };
    const input = this.#texts(node, open, over);
    const args = { channel: this.#lab.channel, until: 'committed' };
    const seen = ({ state, seq }: Json): void => {
      const told = { state: state as HistoryState, seq: seq as number | null };
      this.note({ type: 'told', node: node.index, id: open.shift()!, ...told });
    };
    try {
      const { signal } = this.#over;
      await callNode(node.dir, 'send', { args, input, seen, signal });
    } catch (error) {
      if (!isAway(error)) throw error;
      await pause(RETRY_MS, this.#over.signal);
    } finally {
      over.now = true;
    }
  }

  async *#texts(node: LabNode, open: string[], over: { now: boolean }): AsyncGenerator<string> {
    let prev: string | undefined;
    while (this.#talking && !over.now) {
      const id = `${node.name} says ${++this.#sent[node.index]!}`;
      const order = prev === undefined ? {} : { prev };
      const { index, name: author } = node;
      this.note({ type: 'send', node: index, id, author, content: id, ...order });
      open.push(id);
      prev = id;
      yield id;
      await pause(PACE_MS, this.#over.signal);
    }
  }

  /** A reader for as long as the node is up, then another one that goes on from there. */
  async #follow(node: LabNode): Promise<void> {
    const { index, dir, name } = node;
    const { signal } = this.#over;
    let next = 1;
    for (let n = 1; ; n++) {
      const reader = `${name}#${n}`;
      const seen = (line: Json): void => {
        if (line.event !== undefined) return this.note({ type: 'merged', node: index });
        const entry = this.#entry(line);
        this.note({ type: 'shown', node: index, reader, entry });
        if (entry.seq === null) return;
        next = entry.seq + 1;
        if (entry.kind === 'message') this.#final[index]! += 1;
      };
      const args = { channel: this.#lab.channel, from: next, follow: true };
      try {
        await callNode(dir, 'tail', { args, seen, signal });
      } catch (error) {
        if (!isAway(error)) throw error;
      }
      await pause(RETRY_MS, signal);
    }
  }

  /** Reads all that these nodes show. */
  async read(...nodes: readonly LabNode[]): Promise<HistoryEntry[][]> {
    return Promise.all(
      nodes.map(async ({ dir, index }) => {
        const began = performance.now();
        const args = { channel: this.#lab.channel };
        const lines = await callNode(dir, 'log', { args, signal: this.#lab.signal });
        const page = this.#page(lines);
        this.note({ type: 'read', node: index, began, page });
        return page;
      }),
    );
  }

  /** The nodes are stopped: reads their stores. Nothing is written down any more. */
  async end(settled: boolean): Promise<{ history: History; verified: Json[] }> {
    await this.close();
    const stores = await Promise.all(this.#lab.nodes.map((node) => this.#lab.stored(node)));
    const history: History = {
      quorum: 'online',
      members: this.#lab.nodes.length,
      events: this.#events,
      ends: stores.map(({ log }, node) => ({ node, log: this.#page(log) })),
      settled,
    };
    return { history, verified: stores.map(({ verified }) => verified) };
  }

  async close(): Promise<void> {
    this.#over.abort();
    await Promise.all([...this.#talkers, ...this.#readers]);
  }

  #page(lines: readonly Json[]): HistoryEntry[] {
    return lines.filter((line) => 'state' in line).map((line) => this.#entry(line));
  }

  #entry({ seq, id, from, state, kind, text }: Json): HistoryEntry {
    const said = text === undefined ? {} : { content: String(text) };
    return {
      id: String(kind === 'message' ? text : id),
      author: this.#names.get(String(from)) ?? String(from),
      seq: seq as number | null,
      state: state as HistoryState,
      kind: String(kind),
      ...said,
    };
  }
}

type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
