/**
 * What became of messages, for the story of a picture (diagram-story.ts): who posted which, in which
 * epoch they were committed, who stored them then, what a merge brought over, what is final. Deeds of
 * one kind between two moments that matter are told in one line.
 */

import type { Outgoing } from '../core/commands.js';
import type { Digest, Millis, Ulid } from '../core/ids.js';
import { decodeRawEntry, decodeRun } from '../core/layout.js';
import { decodeMergeBody } from '../core/merge-record.js';
import type { StoreOp } from '../core/store.js';
import { type Names, shortList } from './names.js';
import type { EpochView, SimEvent } from './observer.js';

interface Deed {
  readonly at: Millis;
  /** What all deeds have in common that are told together, with `#` for the messages. */
  readonly line: string;
  readonly messages: readonly Ulid[];
  readonly isPost?: true;
  /** Of the epoch in which they were committed. */
  readonly electorate?: readonly string[];
}

export interface Told {
  readonly at: Millis;
  readonly text: string;
}

const epochName = (kind: string, term: number, leader: string): string =>
  `${kind === 'online' ? 'online ' : ''}term ${term} of ${leader}`;

export class Deeds {
  readonly #names: Names;
  readonly #deeds: Deed[] = [];
  readonly #digests = new Map<Ulid, Digest>();
  /** Since when a node has a record in its log or in a branch. */
  readonly #stored = new Map<Digest, Map<number, Millis>>();
  readonly #electorates = new Map<string, readonly string[]>();

  constructor(names: Names) {
    this.#names = names;
  }

  said({ name, payload }: Outgoing): void {
    if (name !== 'CH_ELECTED') return;
    const { kind, election, leader, electorate } = payload;
    const epoch = epochName(kind, election, this.#names.user(leader));
    this.#electorates.set(epoch, this.#names.users(electorate).split(' '));
  }

  /** `under`: what the node leads or follows when it is told. */
  told({ at, event }: Extract<SimEvent, { type: 'told' }>, under: EpochView | undefined): void {
    if (event.type !== 'progress' || event.state === 'queued' || event.state === 'sent') return;
    this.#digests.set(event.id, event.digest);
    const messages = [event.id];
    if (event.state === 'final') {
      this.#deeds.push({ at, line: 'final: #', messages });
    } else if (under) {
      const epoch = epochName(under.kind, under.term, String(under.leader));
      const electorate = this.#electorates.get(epoch);
      const line = `committed in ${epoch}: #`;
      this.#deeds.push({ at, line, messages, ...(electorate && { electorate }) });
    } else {
      this.#deeds.push({ at, line: 'committed: #', messages });
    }
  }

  posted({ at, node, ids }: Extract<SimEvent, { type: 'posted' }>): void {
    if (ids.length > 0)
      this.#deeds.push({ at, line: `node ${node} posts #`, messages: ids, isPost: true });
  }

  /** A merge is told when the leader that makes it has it on disk. */
  durable(at: Millis, node: number, ops: readonly StoreOp[]): void {
    for (const { key, value } of ops) {
      const folder = key.split('/')[2];
      if (value && folder === 'place') {
        for (const place of decodeRun(value)) this.#store(at, node, place.header.digest);
      }
      if (!value || folder !== 'log') continue;
      const { header, record } = decodeRawEntry(value);
      this.#store(at, node, header.digest);
      if (this.#names.record(header.digest) !== `merge record of ${node}`) continue;
      const { entries, branches } = decodeMergeBody(this.#names.decoded(record).body);
      const from = branches.map(({ epoch, entries: n }) => `${n} of ${this.#names.epoch(epoch)}`);
      const what = entries === 1 ? '1 message' : `${entries} messages`;
      const line = `node ${node} merges ${what} into the log: ${from.join(', ')}`;
      this.#deeds.push({ at, line, messages: [] });
    }
  }

  #store(at: Millis, node: number, digest: Digest): void {
    const since = this.#stored.get(digest) ?? new Map<number, Millis>();
    this.#stored.set(digest, since);
    if (!since.has(node)) since.set(node, at);
  }

  /** The line with who of the electorate had all of these messages at that time. */
  #withHolders(
    text: string,
    at: Millis,
    messages: readonly Ulid[],
    electorate: readonly string[],
  ): string {
    const has = (node: string): boolean =>
      messages.every((id) => {
        const digest = this.#digests.get(id);
        const since = digest && this.#stored.get(digest)?.get(Number(node));
        return since !== undefined && since <= at;
      });
    const holders = electorate.filter(has);
    const who = holders.length === electorate.length ? 'all' : holders.join(' ');
    return `${text}, stored by ${who} of its electorate ${electorate.join(' ')}`;
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
      const { line, electorate } = first!;
      const text = line.replace('#', () => shortList(names));
      return { at, text: electorate ? this.#withHolders(text, at, ids, electorate) : text };
    });
  }
}
