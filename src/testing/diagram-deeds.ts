/**
 * What became of messages, for the story of a picture (diagram-story.ts): who posted which, where they were
 * committed, what a merge brought over, what is final. Deeds of one kind between two
 * moments that matter are told in one line.
 */

import type { Digest, Millis, Ulid } from '../core/ids.js';
import { decodeRawEntry } from '../core/layout.js';
import { decodeMergeBody } from '../core/merge-record.js';
import type { StoreOp } from '../core/store.js';
import { type Names, shortList } from './names.js';
import type { EpochView, SimEvent } from './observer.js';

/** The nodes that go on together under a leader. */
export interface Side {
  readonly epoch: EpochView;
  readonly nodes: readonly number[];
}

interface Deed {
  readonly at: Millis;
  /** What all deeds have in common that are told together, with `#` for the messages. */
  readonly line: string;
  readonly messages: readonly Ulid[];
  readonly isPost?: true;
}

export interface Told {
  readonly at: Millis;
  readonly text: string;
}

const listed = (nodes: readonly number[]): string =>
  nodes.length === 1 ? `node ${nodes[0]}` : `nodes ${nodes.join(' ')}`;
const termOf = ({ kind, term }: EpochView): string =>
  kind === 'online' ? `online term ${term}` : `term ${term}`;

export class Deeds {
  readonly #names: Names;
  readonly #deeds: Deed[] = [];
  readonly #digests = new Map<Ulid, Digest>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** `side`: with whom the node goes on when it is told; undefined when it follows nobody. */
  told({ at, event }: Extract<SimEvent, { type: 'told' }>, side: Side | undefined): void {
    if (event.type !== 'progress' || event.state === 'queued' || event.state === 'sent') return;
    this.#digests.set(event.id, event.digest);
    const where = side
      ? ` on the side of ${listed(side.nodes)} (${termOf(side.epoch)} of ${side.epoch.leader})`
      : '';
    const line = event.state === 'final' ? 'final: #' : `committed${where}: #`;
    this.#deeds.push({ at, line, messages: [event.id] });
  }

  posted({ at, node, ids }: Extract<SimEvent, { type: 'posted' }>): void {
    if (ids.length > 0)
      this.#deeds.push({ at, line: `node ${node} posts #`, messages: ids, isPost: true });
  }

  /** A merge is told when the leader that makes it has it on disk. */
  durable(at: Millis, node: number, ops: readonly StoreOp[]): void {
    for (const { key, value } of ops) {
      if (!value || key.split('/')[2] !== 'log') continue;
      const { header, record } = decodeRawEntry(value);
      if (this.#names.record(header.digest) !== `merge record of ${node}`) continue;
      const { entries, branches } = decodeMergeBody(this.#names.decoded(record).body);
      const from = branches.map(({ epoch, entries: n }) => `${n} of ${this.#names.epoch(epoch)}`);
      const what = entries === 1 ? '1 message' : `${entries} messages`;
      const line = `node ${node} merges ${what} into the log: ${from.join(', ')}`;
      this.#deeds.push({ at, line, messages: [] });
    }
  }

  /** A line for each kind of deed between any two of `landmarks`. */
  lines(landmarks: readonly Millis[]): Told[] {
    const groups = new Map<string, Deed[]>();
    for (const deed of this.#deeds) {
      const before = landmarks.filter((at) => at <= deed.at).length;
      const group = `${before} ${deed.line}`;
      groups.set(group, [...(groups.get(group) ?? []), deed]);
    }
    return [...groups.values()].map(([first, ...more]) => {
      const ids = [...new Set([first!, ...more].flatMap(({ messages }) => messages))];
      const names = ids.map((id) => this.#names.message(id, this.#digests.get(id)));
      // What came of messages is told once it came of all of them.
      const at = first!.isPost ? first!.at : (more.at(-1) ?? first!).at;
      return { at, text: first!.line.replace('#', () => shortList(names)) };
    });
  }
}
