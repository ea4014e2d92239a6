/**
 * Where the `keys` records of a channel stand in its log, and which of them
 * count (docs/PROTOCOL.md, section "Encryption"): of one author the first
 * KEYS_PER_AUTHOR_MAX in each stretch of KEY_ENTRIES_MAX entries. So that opening
 * a node need not read the whole log (docs/ARCHITECTURE.md, "Store"), they are noted:
 *
 *     node/keyed/<channel>/<stretch>     seq u64 up to which the stretch was looked through · list of seq u64: those that count
 *
 * It holds no key. It is a hint, one value for each stretch, so that damage can't
 * take a part of one: where it is missing or does not fit the log, as after a
 * repair, that stretch is looked through again.
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, UserId } from '../core/ids.js';
import { channelKeys, decodeEntry, decodeRawEntry } from '../core/layout.js';
import { KEY_ENTRIES_MAX, KEYS_PER_AUTHOR_MAX } from '../core/limits.js';
import { type ChannelRecord, decodeRecord, kindOf } from '../core/record.js';
import type { Store } from '../core/store.js';
import { KEYS_KIND } from './keys-record.js';

type LogStore = Pick<Store, 'get' | 'range' | 'write'>;

interface Found {
  readonly record: ChannelRecord;
  readonly seq: number;
}

/** With more than these in one stretch no further ones are noted: it is looked through again. */
const NOTED_MAX = 32_768;

interface Noted {
  readonly seen: number;
  readonly seqs: readonly number[];
}

const decodeNoted = (value: Uint8Array): Noted =>
  decodeWhole(value, (r) => ({ seen: r.u64(), seqs: r.list(NOTED_MAX, () => r.u64()) }));

/** A damaged hint is none. */
function notedIn(value: Uint8Array): Noted | undefined {
  try {
    return decodeNoted(value);
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    return undefined;
  }
}

const stretchOf = (seq: number): number => Math.floor(Math.max(0, seq - 1) / KEY_ENTRIES_MAX);
const endOf = (stretch: number): number => (stretch + 1) * KEY_ENTRIES_MAX;

/** What is known of one stretch of the log. */
class Stretch {
  readonly number: number;
  readonly seqs: number[] = [];
  readonly #counts = new Map<UserId, number>();

  constructor(number: number) {
    this.number = number;
  }

  count(author: UserId): number {
    return this.#counts.get(author) ?? 0;
  }

  /** Takes a record that comes next in the log; false where it does not count. */
  add({ author }: ChannelRecord, seq: number): boolean {
    const count = this.count(author);
    if (count >= KEYS_PER_AUTHOR_MAX) return false;
    this.#counts.set(author, count + 1);
    this.seqs.push(seq);
    return true;
  }
}

export class KeyLog {
  readonly #channel: ChannelId;
  readonly #store: LogStore;
  readonly #hash: Hash;
  /** The one that the log ends in. */
  #last = new Stretch(0);

  constructor(channel: ChannelId, store: LogStore, hash: Hash) {
    this.#channel = channel;
    this.#store = store;
    this.#hash = hash;
  }

  /** A `keys` record became final; false where it does not count. */
  async note(record: ChannelRecord, seq: number): Promise<boolean> {
    await this.#moveTo(stretchOf(seq));
    if (this.#last.seqs.includes(seq)) return true;
    if (!this.#last.add(record, seq)) return false;
    await this.noteSeen(seq);
    return true;
  }

  /** Of what is final up to here all `keys` records were noted. */
  async noteSeen(seen: number): Promise<void> {
    await this.#moveTo(stretchOf(seen));
    await this.#write(this.#last, seen);
  }

  async #moveTo(stretch: number): Promise<void> {
    while (this.#last.number < stretch) {
      await this.#write(this.#last, endOf(this.#last.number));
      this.#last = new Stretch(this.#last.number + 1);
    }
  }

  async #write({ number, seqs }: Stretch, upTo: number): Promise<void> {
    if (seqs.length > NOTED_MAX) return;
    const seen = Math.max(upTo, seqs.at(-1) ?? 0);
    const value = new Writer(16 + 8 * seqs.length).u64(seen);
    value.list(seqs, (seq) => value.u64(seq));
    await this.#store.write([{ key: this.#key(number), value: value.done() }], { sync: false });
  }

  #key(stretch: number): string {
    return `node/keyed/${this.#channel}/${stretch}`;
  }

  /** How many more of this author count in the stretch that the log ends in. */
  left(author: UserId, final: number): number {
    const isNew = stretchOf(final + 1) !== this.#last.number;
    return KEYS_PER_AUTHOR_MAX - (isNew ? 0 : this.#last.count(author));
  }

  /** The `keys` record there; undefined where there is none. */
  async read(seq: number): Promise<ChannelRecord | undefined> {
    const value = await this.#store.get(channelKeys(this.#channel).log(seq));
    const record = value && decodeEntry(this.#hash, value).record;
    return record?.kind === KEYS_KIND ? record : undefined;
  }

  /** All `keys` records up to `final` that count, newest first. */
  async *load(final: number, mayWrite: boolean): AsyncGenerator<Found> {
    const last = stretchOf(final);
    if (mayWrite) await this.#forgetFrom(last + 1);
    for (let number = last; number >= 0; number--) {
      const stretch = await this.#stretch(number, Math.min(final, endOf(number)), mayWrite);
      if (number === last) this.#last = stretch;
      for (const seq of stretch.seqs.toReversed()) {
        const record = await this.read(seq);
        if (record) yield { record, seq };
      }
    }
  }

  async #stretch(number: number, end: number, mayWrite: boolean): Promise<Stretch> {
    const { seen, stretch } = await this.#known(number, end);
    if (seen >= end) return stretch;
    await this.#scan(stretch, seen + 1, end);
    if (mayWrite) await this.#write(stretch, end);
    return stretch;
  }

  /** A log that was cut back, as by a repair, may grow otherwise than was noted. */
  async #forgetFrom(first: number): Promise<void> {
    for (let number = first; await this.#store.get(this.#key(number)); number++) {
      await this.#store.write([{ key: this.#key(number) }], { sync: false });
    }
  }

  /** What was noted, if it fits the log. */
  async #known(number: number, end: number): Promise<{ seen: number; stretch: Stretch }> {
    const nothing = { seen: endOf(number - 1), stretch: new Stretch(number) };
    const stored = await this.#store.get(this.#key(number));
    const noted = stored && notedIn(stored);
    if (!noted || noted.seen > end || noted.seen < nothing.seen) return nothing;
    const stretch = new Stretch(number);
    for (const seq of noted.seqs) {
      const record = stretchOf(seq) === number ? await this.read(seq) : undefined;
      if (!record || !stretch.add(record, seq)) return nothing;
    }
    return { seen: noted.seen, stretch };
  }

  async #scan(stretch: Stretch, first: number, last: number): Promise<void> {
    const keys = channelKeys(this.#channel);
    const range = { gte: keys.log(first), lt: keys.log(last + 1) };
    for await (const [, value] of this.#store.range(range)) {
      const { record, seq } = decodeRawEntry(value);
      if (kindOf(record) === KEYS_KIND) stretch.add(decodeRecord(this.#hash, record), seq);
    }
  }
}
