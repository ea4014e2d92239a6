/**
 * Reading a channel (docs/PROTOCOL.md, section "Reading"): final entries from
 * the store in log order, then messages that are not final yet; live, whatever
 * changes. Pull-based: for a slow reader nothing is kept but one page.
 *
 * Pages never go back: what is final stays, and a message that is not final is
 * shown again only when its state has grown; what moves is announced. What may
 * vanish before it is final (records of leaders and of membership) is shown
 * only then.
 *
 * A cursor is the seq of the last final entry seen, with ".1" behind it once
 * the merge that this entry completed was told; what was not final is shown
 * again behind it.
 */

import { chainNext, chainStart, type Point } from '../core/chain.js';
import type { ChannelState } from '../core/channel-state.js';
import { isDisputed } from '../core/convictions.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { Digest, UserId } from '../core/ids.js';
import { channelKeys, decodeEntry, decodeRawEntry, type Entry } from '../core/layout.js';
import { MERGE_RECORDS_MAX } from '../core/limits.js';
import { isMessageLane } from '../core/log.js';
import { certifiedPlace } from '../core/provisional.js';
import type { ChannelRecord } from '../core/record.js';
import { currentKey, nameIn, type Roster } from '../core/roster.js';
import type { Store } from '../core/store.js';
import { type ProvisionalEntry, provisional } from '../core/view.js';
import type { ChannelEntry, Cursor, EntryRef, EpochRef, ReadEvent, ReadOptions } from './api.js';
import { type KeyId, keyIdOf } from './channel-cipher.js';
import { damaged } from './check-loaded.js';
import { departedFrom, departureOf } from './departure.js';
import { checkWhole } from './input.js';
import { KEYS_KIND } from './keys-record.js';
import { membershipIn } from './member-in.js';
import { Merges, mergeIn, sinceMerge } from './merges.js';
import { type MessageShown, messageIn } from './message-body.js';
import { Moves } from './moves.js';
import type { ReadableChannel } from './parts.js';
import { SealedShown } from './sealed-shown.js';
import { Pace } from './wait.js';

/** A page is read whole before it is shown, so that no reader holds a place in the store open. */
const PAGE_ENTRIES_MAX = 128;
const PAGE_BYTES_MAX = 262_144;

type Standing = Pick<ChannelEntry, 'state' | 'seq' | 'epoch'>;

function entryOf(
  record: ChannelRecord,
  { state, seq, epoch }: Standing,
  st: ChannelState,
  said: MessageShown,
): ChannelEntry {
  const { roster } = st;
  const { digest, id, author: from, time, kind } = record;
  const { name = nameIn(roster, from), ...shown } = said;
  return {
    seq,
    digest,
    id,
    from,
    name,
    time,
    state,
    kind,
    epoch,
    ...shown,
    ...membershipIn(record, roster),
    ...mergeIn(record),
    ...replacedAuthor(roster, from),
    ...(isDisputed(st, digest) && { disputed: true }),
  };
}

function replacedAuthor(roster: Roster, from: UserId): Pick<ChannelEntry, 'fromReplacedBy'> {
  const key = currentKey(roster, from);
  return key === from ? {} : { fromReplacedBy: key };
}

interface Start {
  /** The first seq to read. */
  readonly next: number;
  /** A merge that the entry before it completed is told first. */
  readonly tellsMerge: boolean;
  /** The reading may begin inside of a merge, and tells of it where it ends. */
  readonly findsMerge: boolean;
}

const CURSOR = /^(\d{1,16})(\.1)?$/;

function startOf(from: ReadOptions['from']): Start {
  if (from === undefined) return { next: 1, tellsMerge: false, findsMerge: false };
  if (typeof from === 'number') {
    checkWhole('bad_cursor', 'the seq to read from', from, 0);
    return { next: Math.max(1, from), tellsMerge: false, findsMerge: true };
  }
  const [, seq, told] = CURSOR.exec(from) ?? [];
  if (seq === undefined || !Number.isSafeInteger(Number(seq))) {
    throw new ConclaveError('bad_cursor', `"${String(from).slice(0, 40)}" is not a cursor`);
  }
  const findsMerge = told === undefined;
  return { next: Number(seq) + 1, tellsMerge: findsMerge, findsMerge };
}

export function readChannel(
  channel: ReadableChannel,
  store: Store,
  hash: Hash,
  options: ReadOptions,
): AsyncGenerator<ReadEvent> {
  const { limit, from } = options;
  if (limit !== undefined) checkWhole('bad_limit', 'the limit of a reading', limit, 0);
  return new Reading(channel, store, hash, startOf(from)).events(options);
}

/** What is shown before it is final: not what only serves to read. */
const isShownEarly = (record: ChannelRecord): boolean =>
  isMessageLane(record) && record.kind !== KEYS_KIND;

/** The leadership of a record's smallest certified place; without one, of any place. */
function placedUnder(st: ChannelState, digest: Digest): EpochRef | null {
  const place =
    certifiedPlace(st, digest) ??
    [st.log, ...st.branches.values()]
      .map((chain) => chain.headerAt(chain.seqOf(digest) ?? 0))
      .find((header) => header !== undefined);
  if (!place) return null;
  // Of a former tail not every election is known; each was one of a roster epoch.
  return { term: place.term, kind: st.epochs.get(place.epoch)?.epoch.kind ?? 'roster' };
}

const refOf = (item: ProvisionalEntry | null): EntryRef | null =>
  item && { digest: item.record.digest, id: item.record.id };

class Reading {
  readonly #channel: ReadableChannel;
  readonly #store: Store;
  readonly #hash: Hash;
  readonly #start: Start;
  #next: number;
  readonly #merges = new Merges();
  readonly #moves = new Moves();
  readonly #pace: Pace;
  readonly #sealed = new SealedShown();
  #isOut = false;
  /** The last entry that was read, for the next one's place in the chain. */
  #chained: Point | undefined;

  constructor(channel: ReadableChannel, store: Store, hash: Hash, start: Start) {
    this.#channel = channel;
    this.#store = store;
    this.#hash = hash;
    this.#start = start;
    this.#next = start.next;
    this.#pace = new Pace(() => channel.now());
  }

  get #cursor(): Cursor {
    return String(this.#next - 1);
  }

  async *events(o: ReadOptions): AsyncGenerator<ReadEvent> {
    let left = o.limit ?? Number.POSITIVE_INFINITY;
    if (left === 0) return;
    for await (const event of this.#all(o)) {
      if (o.signal?.aborted) return;
      yield event;
      if (event.type === 'entry') left -= 1;
      if (left === 0) return;
    }
  }

  async *#all(options: ReadOptions): AsyncGenerator<ReadEvent> {
    try {
      yield* this.#looks(options);
    } catch (error) {
      // The node's closing says it better than its store's.
      const isClosed = error instanceof ConclaveError && error.code === 'store_closed';
      if (isClosed) await this.#channel.changes.next(this.#channel.changes.version - 1);
      throw error;
    }
  }

  async *#looks({
    live,
    provisional: more = true,
    signal,
  }: ReadOptions): AsyncGenerator<ReadEvent> {
    yield* this.#openMerge();
    for (;;) {
      const seen = this.#channel.changes.version;
      yield* this.#openedEntries();
      yield* this.#finalEntries();
      if (more && (await this.#learned())) continue;
      // What became final just now is on its way to the store: neither list would show it.
      const isWhole = this.#channel.state.log.final.seq === this.#channel.final.seq;
      if (more && isWhole) yield* this.#changes();
      if (isWhole) yield* this.#ending();
      if (!live && isWhole) return;
      await this.#pace.rest(signal);
      try {
        await this.#channel.changes.next(seen, signal);
      } catch (error) {
        if (signal?.aborted) return;
        throw error;
      }
    }
  }

  /** Where the reading begins inside a merge, or at its end: finds its record. */
  async *#openMerge(): AsyncGenerator<ReadEvent> {
    const { next, tellsMerge, findsMerge } = this.#start;
    const last = next - 1;
    if (!findsMerge || last < 1 || last > this.#channel.final.seq) return;
    const entries = await sinceMerge(this.#backwards(last));
    for (const entry of entries) {
      const { with: merged } = this.#merges.take(entry);
      if (!merged || !tellsMerge || entry.seq !== last) continue;
      yield { type: 'merged', ...merged, cursor: `${last}.1` };
    }
  }

  async *#backwards(last: number): AsyncGenerator<Entry> {
    const keys = channelKeys(this.#channel.id);
    const limit = MERGE_RECORDS_MAX + 1;
    const range = { gte: keys.log(1), lt: keys.log(last + 1), reverse: true, limit };
    for await (const [, value] of this.#store.range(range)) yield decodeEntry(this.#hash, value);
  }

  async *#finalEntries(): AsyncGenerator<ReadEvent> {
    while (this.#next <= this.#channel.final.seq) {
      for (const entry of await this.#page(this.#next, this.#channel.final.seq)) {
        const { before, with: merged } = this.#merges.take(entry);
        if (before) yield { type: 'merged', ...before, cursor: `${this.#cursor}.1` };
        const { seq, record } = entry;
        this.#next = seq + 1;
        this.#moves.settled(record.digest);
        this.#sealed.settled(record.digest);
        yield { type: 'entry', entry: this.#finalEntry(entry), cursor: this.#cursor };
        if (merged) yield { type: 'merged', ...merged, cursor: `${this.#cursor}.1` };
      }
    }
  }

  #finalEntry({ record, seq, header }: Entry): ChannelEntry {
    const epoch = { term: header.term, kind: 'roster' as const };
    const said = this.#say(record, (key) => this.#sealed.final(key, seq));
    return entryOf(record, { state: 'final', seq, epoch }, this.#channel.state, said);
  }

  /** What is shown of a record; `onSealed` is told where only a key is missing. */
  #say(record: ChannelRecord, onSealed: (key: KeyId) => void): MessageShown {
    const { bodies } = this.#channel;
    const said = messageIn(record, bodies);
    const key = said.sealed && keyIdOf(record.body);
    if (key && !bodies.has(key)) onSealed(key);
    return said;
  }

  /** Final messages that were shown sealed, and whose key is here now. */
  async *#openedEntries(): AsyncGenerator<ReadEvent> {
    await this.#channel.bodies.ready();
    for (const { key, first, last } of this.#sealed.takeFinal((id) => this.#has(id))) {
      for (let next = first; next <= last; ) {
        const page = await this.#page(next, last);
        for (const entry of page) {
          const { kind, body } = entry.record;
          if (kind !== 'message' || keyIdOf(body) !== key) continue;
          yield { type: 'opened', entry: this.#finalEntry(entry), cursor: this.#cursor };
        }
        next += page.length;
      }
    }
  }

  #has(key: KeyId): boolean {
    return this.#channel.bodies.has(key);
  }

  /** Learns the keys that what is not final gives; false where there is nothing new. */
  async #learned(): Promise<boolean> {
    const { bodies, state } = this.#channel;
    const records = provisional(state).map(({ record }) => record);
    const news = records.filter((record) => bodies.isNews(record));
    await bodies.learnOf(news);
    return news.length > 0;
  }

  async #page(from: number, last: number): Promise<Entry[]> {
    const keys = channelKeys(this.#channel.id);
    const limit = Math.min(PAGE_ENTRIES_MAX, last - from + 1);
    const range = { gte: keys.log(from), lt: keys.log(last + 1), limit };
    const page: Entry[] = [];
    let bytes = 0;
    for await (const [, value] of this.#store.range(range)) {
      const entry = decodeEntry(this.#hash, value);
      if (entry.seq !== from + page.length) break;
      await this.#check(entry);
      page.push(entry);
      bytes += value.length;
      if (bytes >= PAGE_BYTES_MAX) break;
    }
    // Their keys were learned with them.
    await this.#channel.bodies.ready();
    if (page.length > 0) return page;
    throw new ConclaveError(
      'store_damaged',
      `the log of channel ${this.#channel.id} lacks seq ${from}. Run "conclave doctor".`,
    );
  }

  /** Shows nothing that is not where the chain says: damage must not look like a message. */
  async #check({ seq, header, hash, record }: Entry): Promise<void> {
    const { id, final } = this.#channel;
    const before =
      this.#chained?.seq === seq - 1 ? this.#chained.hash : await this.#hashAt(seq - 1);
    const isRight =
      record.digest === header.digest &&
      chainNext(this.#hash, before, seq, header) === hash &&
      (seq !== final.seq || hash === final.hash);
    if (!isRight) throw damaged(id, `the entry at seq ${seq} is not the one that was final`);
    this.#chained = { seq, hash };
  }

  async #hashAt(seq: number): Promise<Digest> {
    const { id } = this.#channel;
    if (seq === 0) return chainStart(this.#hash, id);
    const value = await this.#store.get(channelKeys(id).log(seq));
    if (value) return decodeRawEntry(value).hash;
    throw damaged(id, `its log lacks seq ${seq}`);
  }

  /** This node is no member any more: said once, and again should it join and go again. */
  async *#ending(): AsyncGenerator<ReadEvent> {
    const { state, user } = this.#channel;
    const isOut = departedFrom(state, user) !== undefined;
    const isNew = isOut && !this.#isOut;
    this.#isOut = isOut;
    if (!isNew) return;
    const departure = await departureOf(this.#store, this.#hash, state, user);
    yield { type: 'removed', ...(departure && { departure }), cursor: this.#cursor };
  }

  /** Messages that are not final: those that are new, have grown or moved since the last look. */
  *#changes(): Generator<ReadEvent> {
    const { state } = this.#channel;
    const now = this.#pace.run(() => {
      const items = provisional(state).filter(({ record }) => isShownEarly(record));
      const isGone = ({ author }: ChannelRecord): boolean => !state.roster.members.has(author);
      return { items, changes: this.#moves.next(items, isGone) };
    });
    for (const { what, item, after } of now.changes) {
      const entry = this.#provisionalEntry(item);
      yield { type: what, entry, after: refOf(after), cursor: this.#cursor };
    }
    const has = (key: KeyId): boolean => this.#has(key);
    for (const item of now.items) {
      if (!this.#sealed.takeProvisional(item.record.digest, has)) continue;
      yield { type: 'opened', entry: this.#provisionalEntry(item), cursor: this.#cursor };
    }
  }

  #provisionalEntry({ record, state }: ProvisionalEntry): ChannelEntry {
    const st = this.#channel.state;
    const epoch = placedUnder(st, record.digest);
    this.#sealed.settled(record.digest);
    const said = this.#say(record, (key) => this.#sealed.provisional(key, record.digest));
    return entryOf(record, { state, seq: null, epoch }, st, said);
  }
}
