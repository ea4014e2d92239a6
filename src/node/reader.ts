/**
 * Reading a channel (docs/PROTOCOL.md, section "Reading"): final entries from
 * the store in log order, then messages that are not final yet; live, whatever
 * changes. Pull-based: for a slow reader nothing is kept but one page.
 *
 * Pages never go back: what is final stays, and a message that is not final is
 * shown again only when its state has grown. What may vanish before it is
 * final (epoch and membership records) is shown only then.
 *
 * A cursor is the seq of the last final entry seen; what was not final is
 * shown again behind it.
 */

import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { Digest } from '../core/ids.js';
import { channelKeys, decodeEntry, type Entry } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import type { ChannelRecord } from '../core/record.js';
import type { Roster } from '../core/roster.js';
import type { Store } from '../core/store.js';
import { provisional } from '../core/view.js';
import type { ChannelEntry, ReadEvent, ReadOptions, RecordState } from './api.js';
import type { NodeChannel } from './channel.js';
import { checkWhole } from './input.js';
import { decodeMessageBody } from './message-body.js';
import { RANK } from './sending.js';

/** A page is read whole before it is shown, so that no reader holds a place in the store open. */
const PAGE_ENTRIES_MAX = 128;
const PAGE_BYTES_MAX = 262_144;

function entryOf(
  record: ChannelRecord,
  state: RecordState,
  seq: number | null,
  roster: Roster,
): ChannelEntry {
  const { digest, id, author: from, time, kind } = record;
  const isMessage = kind === 'message';
  const body = isMessage ? decodeMessageBody(record.body) : undefined;
  const name = body?.name ?? roster.members.get(from)?.name ?? '';
  const text = isMessage ? { text: body?.text ?? '' } : {};
  return { seq, digest, id, from, name, time, state, kind, ...text };
}

function startOf(from: ReadOptions['from']): number {
  if (from === undefined) return 1;
  if (typeof from === 'number') {
    checkWhole('bad_cursor', 'the seq to read from', from, 0);
    return Math.max(1, from);
  }
  const seq = Number(from);
  if (!/^\d{1,16}$/.test(from) || !Number.isSafeInteger(seq)) {
    throw new ConclaveError('bad_cursor', `"${String(from).slice(0, 40)}" is not a cursor`);
  }
  return seq + 1;
}

export function readChannel(
  channel: NodeChannel,
  store: Store,
  hash: Hash,
  options: ReadOptions,
): AsyncGenerator<ReadEvent> {
  const { limit, from } = options;
  if (limit !== undefined) checkWhole('bad_limit', 'the limit of a reading', limit, 0);
  return new Reading(channel, store, hash, startOf(from)).events(options);
}

class Reading {
  readonly #channel: NodeChannel;
  readonly #store: Store;
  readonly #hash: Hash;
  #next: number;
  /** Messages that were shown and are not final, and as what. */
  readonly #shown = new Map<Digest, RecordState>();

  constructor(channel: NodeChannel, store: Store, hash: Hash, next: number) {
    this.#channel = channel;
    this.#store = store;
    this.#hash = hash;
    this.#next = next;
  }

  async *events(o: ReadOptions): AsyncGenerator<ReadEvent> {
    let left = o.limit ?? Number.POSITIVE_INFINITY;
    for await (const entry of this.#entries(o)) {
      if (o.signal?.aborted || left === 0) return;
      left -= 1;
      yield { type: 'entry', entry, cursor: String(this.#next - 1) };
      if (left === 0) return;
    }
  }

  async *#entries({ live, provisional: more = true, signal }: ReadOptions) {
    for (;;) {
      const seen = this.#channel.changes.version;
      yield* this.#finalEntries();
      // What became final just now is on its way to the store: neither list would show it.
      const isWhole = this.#channel.state.log.final.seq === this.#channel.final.seq;
      if (more && isWhole) yield* this.#grown();
      if (!live && isWhole) return;
      try {
        await this.#channel.changes.next(seen, signal);
      } catch (error) {
        if (signal?.aborted) return;
        throw error;
      }
    }
  }

  async *#finalEntries(): AsyncGenerator<ChannelEntry> {
    while (this.#next <= this.#channel.final.seq) {
      for (const { seq, record } of await this.#page(this.#channel.final.seq)) {
        this.#next = seq + 1;
        this.#shown.delete(record.digest);
        yield entryOf(record, 'final', seq, this.#channel.state.roster);
      }
    }
  }

  async #page(last: number): Promise<Entry[]> {
    const keys = channelKeys(this.#channel.id);
    const limit = Math.min(PAGE_ENTRIES_MAX, last - this.#next + 1);
    const range = { gte: keys.log(this.#next), lt: keys.log(last + 1), limit };
    const page: Entry[] = [];
    let bytes = 0;
    for await (const [, value] of this.#store.range(range)) {
      const entry = decodeEntry(this.#hash, value);
      if (entry.seq !== this.#next + page.length) break;
      page.push(entry);
      bytes += value.length;
      if (bytes >= PAGE_BYTES_MAX) break;
    }
    if (page.length > 0) return page;
    throw new ConclaveError(
      'store_damaged',
      `the log of channel ${this.#channel.id} lacks seq ${this.#next}. Run "conclave verify".`,
    );
  }

  /** Messages that are new or whose state has grown, as they are now. */
  #grown(): ChannelEntry[] {
    const { state } = this.#channel;
    const grown: ChannelEntry[] = [];
    for (const { record, state: now } of provisional(state)) {
      if (!isMessageLane(record)) continue;
      const before = this.#shown.get(record.digest);
      if (before !== undefined && RANK[now] <= RANK[before]) continue;
      this.#shown.set(record.digest, now);
      grown.push(entryOf(record, now, null, state.roster));
    }
    return grown;
  }
}
