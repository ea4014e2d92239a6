/**
 * Writes down the history of a simulated run (history.ts) as its users see it:
 * what they send and are told, and the pages that nodes show at random times.
 * It uses only what the product shows to an application.
 */

import type { Hash } from '../core/crypto.js';
import type { CoreEvent, Submission } from '../core/effects.js';
import type { ChannelId, Digest, Millis, Ulid } from '../core/ids.js';
import { channelKeys, decodeFinal, decodeRawEntry } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import { type ChannelRecord, decodeRecord } from '../core/record.js';
import { voters } from '../core/roster.js';
import { provisional } from '../core/view.js';
import type { ReadEvent } from '../node/api.js';
import type { Fault } from './faults.js';
import type { History, HistoryEntry, HistoryEvent } from './history.js';
import { between, chance, type Draw, drawsOf, hashBytes } from './prng.js';
import { CutRecorder } from './record-cuts.js';
import type { SimNode } from './sim-node.js';
import type { Timeline } from './timeline.js';

/** One reading in so many starts from the log's beginning. */
const WHOLE_READINGS = 0.1;

export interface RecorderOptions {
  readonly seed: number;
  readonly hash: Hash;
  readonly timeline: Timeline;
  readonly channel: ChannelId;
  readonly nodes: number;
  /** The fewest members that may be online at any time for messages to be placed. */
  readonly leastEver: number;
}

/** What is remembered of one node, as an application on it would. */
interface Watched {
  /** The last final entry that the node's readers may see. */
  final: number;
  /** Up to where its log was read. */
  read: number;
  /** The last message that was sent here; undefined if unknown. */
  last: string | null | undefined;
  /** It said that something changed since the last reading. */
  said: boolean;
  /** How its disk comes back at the next start. */
  memory: 'kept' | 'old' | 'none';
}

const contentOf = (body: Uint8Array): string => `${body.length}:${hashBytes(body)}`;

export class HistoryRecorder {
  readonly #o: RecorderOptions;
  readonly #draw: Draw;
  readonly #events: HistoryEvent[] = [];
  readonly #watched = new Map<number, Watched>();
  /** Final entries are the same for everyone: decoded once, by chain hash. */
  readonly #finals = new Map<Digest, HistoryEntry>();
  readonly #cuts: CutRecorder;
  /** All were members once, though one may be down now. */
  #allJoined = false;
  readonly #decoded = new WeakMap<Uint8Array, HistoryEntry>();

  constructor(options: RecorderOptions) {
    this.#o = options;
    this.#draw = drawsOf(options.seed, 'readings');
    this.#cuts = new CutRecorder(options.nodes);
  }

  get #now(): Millis {
    return this.#o.timeline.now;
  }

  #of(node: SimNode): Watched {
    return this.#at(node.index);
  }

  #at(index: number): Watched {
    let watched = this.#watched.get(index);
    if (!watched) {
      watched = { final: 0, read: 0, last: null, said: false, memory: 'kept' };
      this.#watched.set(index, watched);
    }
    return watched;
  }

  /** An application gives messages to its node. */
  sent(node: SimNode, submissions: readonly Submission[]): void {
    const watched = this.#of(node);
    for (const { id, body } of submissions) {
      const { last } = watched;
      this.#events.push({
        type: 'send',
        at: this.#now,
        node: node.index,
        author: node.user,
        id,
        // Nothing is encrypted in the simulator.
        content: contentOf(body as Uint8Array),
        ...(last === undefined ? {} : { prev: last }),
      });
      watched.last = id;
    }
  }

  /** A node said that what it was given is in its store. */
  stored(node: SimNode, submissions: readonly Submission[]): void {
    for (const { id } of submissions) this.#told(node, id, 'queued', null);
  }

  #told(node: SimNode, id: Ulid, state: HistoryEntry['state'], seq: number | null): void {
    this.#events.push({ type: 'told', at: this.#now, node: node.index, id, state, seq });
  }

  event(node: SimNode, event: CoreEvent): void {
    const watched = this.#of(node);
    watched.final = node.state(this.#o.channel)?.log.final.seq ?? 0;
    if (event.type === 'progress') this.#told(node, event.id, event.state, event.seq);
    if (event.type !== 'changed' || watched.said) return;
    watched.said = true;
    this.#events.push({ type: 'changed', at: this.#now, node: node.index });
  }

  /** A following reader was shown something. */
  shown(node: SimNode, reader: string, event: ReadEvent): void {
    if (event.type === 'merged')
      this.#events.push({ type: 'merged', at: this.#now, node: node.index });
    if (event.type !== 'entry') return;
    const { id, digest, from: author, seq, state, kind } = event.entry;
    const entry =
      kind === 'message' ? { id, author, seq, state } : { id: digest, author, seq, state, kind };
    this.#events.push({ type: 'shown', at: this.#now, node: node.index, reader, entry });
  }

  /** A fault begins, or ends. Before all are members it is not known how many make a majority. */
  fault(fault: Fault, by: 1 | -1, allJoined: boolean): void {
    this.#allJoined ||= allJoined;
    const event = this.#cuts.change(this.#now, fault, by);
    if (event && this.#allJoined) this.#events.push(event);
    if (fault.kind !== 'old-disk' || by < 0) return;
    const memory = fault.copiedAt === null ? 'none' : 'old';
    for (const index of fault.nodes) this.#at(index).memory = memory;
  }

  /** All faults are over. */
  healed(): void {
    const event = this.#cuts.over(this.#now);
    if (event) this.#events.push(event);
  }

  /** Somebody asks for a member's removal. */
  removal(author: string): void {
    this.#events.push({ type: 'removal', at: this.#now, author });
  }

  started(node: SimNode): void {
    const watched = this.#of(node);
    const { memory } = watched;
    const bytes = node.disk.get(channelKeys(this.#o.channel).final);
    watched.final = bytes ? decodeFinal(bytes).seq : 0;
    if (memory !== 'kept') {
      watched.read = 0;
      watched.last = undefined;
    }
    watched.memory = 'kept';
    this.#events.push({ type: 'start', at: this.#now, node: node.index, memory });
  }

  crashed(node: SimNode): void {
    this.#events.push({ type: 'crash', at: this.#now, node: node.index });
  }

  /** A node is gone for good. */
  gone(node: SimNode): void {
    this.#events.push({ type: 'gone', at: this.#now, node: node.index });
  }

  /** Lets someone read at each node now and then until `until`. */
  plan(nodes: readonly SimNode[], until: Millis): void {
    for (const node of nodes) this.#planReading(node, between(this.#draw, 200, 3_000), until);
  }

  #planReading(node: SimNode, every: Millis, until: Millis): void {
    this.#o.timeline.in(2 * every * this.#draw(), () => {
      if (this.#now > until) return;
      const whole = chance(this.#draw, WHOLE_READINGS);
      node.whenDurable(() => this.#read(node, whole));
      this.#planReading(node, every, until);
    });
  }

  #read(node: SimNode, whole: boolean): void {
    const watched = this.#of(node);
    const from = whole ? 1 : watched.read + 1;
    const page = this.#page(node, from);
    if (!page) return;
    watched.read = watched.final;
    watched.said = false;
    this.#events.push({ type: 'read', at: this.#now, node: node.index, from, page });
  }

  /** What a node shows from `from` on; undefined if it can't show anything just now. */
  #page(node: SimNode, from: number): HistoryEntry[] | undefined {
    const { channel } = this.#o;
    const st = node.state(channel);
    if (!st?.roster.members.has(node.user)) return undefined;
    const { final } = this.#of(node);
    // What became final just now is on its way to the store: neither list would show it.
    if (st.log.final.seq !== final) return undefined;
    const keys = channelKeys(channel);
    const page: HistoryEntry[] = [];
    const pairs = node.disk.range(keys.log(from), keys.log(final + 1), final);
    for (const pair of pairs) page.push(this.#final(pair[1]));
    for (const { record, state } of provisional(st)) {
      if (isMessageLane(record)) page.push(entryOf(record, null, state));
    }
    return page;
  }

  #final(value: Uint8Array): HistoryEntry {
    const known = this.#decoded.get(value);
    if (known) return known;
    const { hash, seq, record } = decodeRawEntry(value);
    let entry = this.#finals.get(hash);
    if (!entry) {
      entry = entryOf(decodeRecord(this.#o.hash, record), seq, 'final');
      this.#finals.set(hash, entry);
    }
    this.#decoded.set(value, entry);
    return entry;
  }

  /** Which member can't show all that it knows just now: some of it is on its way to the disk. */
  unfinished(nodes: readonly SimNode[]): string | undefined {
    const node = nodes.find((n) => {
      const st = n.state(this.#o.channel);
      return st?.roster.members.has(n.user) && st.log.final.seq !== this.#of(n).final;
    });
    return node && `node ${node.index} has not told of all that is final`;
  }

  /** The history, with what the members among `nodes` show now as its end. */
  history(
    nodes: readonly SimNode[],
    settled: boolean,
    offenders: readonly SimNode[] = [],
  ): History {
    const { genesis, roster } = nodes
      .find((node) => node.state(this.#o.channel))!
      .state(this.#o.channel)!;
    const ends = nodes.flatMap((node) => {
      if (offenders.includes(node)) return [];
      const log = this.#page(node, 1);
      return log ? [{ node: node.index, log }] : [];
    });
    return {
      quorum: genesis.quorum,
      minOnline: this.#o.leastEver,
      members: voters(roster).length,
      ...(offenders.length > 0 ? { distrusted: offenders.map(({ user }) => user) } : {}),
      events: this.#events.filter((event) => isOfNobody(event) || !isAt(event, offenders)),
      ends,
      settled,
    };
  }
}

/** What is done to a node, and not said by it, is so whoever it is. */
const isOfNobody = ({ type }: HistoryEvent): boolean => type === 'send' || type === 'start';

const isAt = (event: HistoryEvent, nodes: readonly SimNode[]): boolean =>
  'node' in event && nodes.some(({ index }) => index === event.node);

function entryOf(
  record: ChannelRecord,
  seq: number | null,
  state: HistoryEntry['state'],
): HistoryEntry {
  const { id, author, kind, body, digest } = record;
  // Only the ids of messages are their authors' choice.
  if (kind !== 'message') return { id: digest, author, seq, state, kind };
  return { id, author, seq, state, content: contentOf(body) };
}
