/**
 * Where the `keys` records of a channel stand in its log, so that opening a node
 * need not read all of it (docs/ARCHITECTURE.md, "Store"):
 *
 *     node/keyed/<channel>     seq u64 up to which the log was looked through · list of seq u64: those found
 *
 * It holds no key. It is a hint, and one value, so that damage can't take a part
 * of it: where it is missing or does not fit the log, as after a repair, the log
 * is looked through again.
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId } from '../core/ids.js';
import { channelKeys, decodeEntry } from '../core/layout.js';
import type { ChannelRecord } from '../core/record.js';
import type { Store } from '../core/store.js';
import { KEYS_KIND } from './keys-record.js';

type LogStore = Pick<Store, 'get' | 'range' | 'write'>;

interface Found {
  readonly record: ChannelRecord;
  readonly seq: number;
}

/** With more than these nothing is noted. */
const NOTED_MAX = 4_096;

interface Noted {
  readonly seen: number;
  readonly seqs: readonly number[];
}

const NOTHING: Noted = { seen: 0, seqs: [] };

const decodeNoted = (value: Uint8Array): Noted =>
  decodeWhole(value, (r) => ({ seen: r.u64(), seqs: r.list(NOTED_MAX, () => r.u64()) }));

/** A damaged hint is none. */
function notedIn(value: Uint8Array): Noted {
  try {
    return decodeNoted(value);
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    return NOTHING;
  }
}

export class KeyLog {
  readonly #channel: ChannelId;
  readonly #store: LogStore;
  readonly #key: string;
  #seqs: readonly number[] = [];

  constructor(channel: ChannelId, store: LogStore) {
    this.#channel = channel;
    this.#store = store;
    this.#key = `node/keyed/${channel}`;
  }

  /** A `keys` record became final. */
  async note(seq: number): Promise<void> {
    if (!this.#seqs.includes(seq)) this.#seqs = [...this.#seqs, seq];
    await this.noteSeen(seq);
  }

  /** Of what is final up to here all `keys` records were noted. */
  async noteSeen(seen: number): Promise<void> {
    const seqs = this.#seqs;
    const value = new Writer(16 + 8 * seqs.length).u64(seen);
    const op =
      seqs.length > NOTED_MAX
        ? { key: this.#key }
        : { key: this.#key, value: value.list(seqs, (seq) => value.u64(seq)).done() };
    await this.#store.write([op], { sync: false });
  }

  /** All `keys` records up to `final`, newest first. */
  async *load(hash: Hash, final: number, mayWrite: boolean): AsyncGenerator<Found> {
    const { seen, records } = await this.#known(hash, final);
    const found = [...records, ...(await this.#scan(hash, seen + 1, final))];
    this.#seqs = found.map(({ seq }) => seq);
    if (mayWrite && seen < final) await this.noteSeen(final);
    yield* found.reverse();
  }

  /** What was noted, if it fits the log. */
  async #known(hash: Hash, final: number): Promise<{ seen: number; records: Found[] }> {
    const stored = await this.#store.get(this.#key);
    const { seen, seqs } = stored ? notedIn(stored) : NOTHING;
    const nothing = { seen: 0, records: [] };
    if (seen > final) return nothing;
    const keys = channelKeys(this.#channel);
    const records: Found[] = [];
    for (const seq of seqs) {
      const value = await this.#store.get(keys.log(seq));
      const record = value && decodeEntry(hash, value).record;
      if (record?.kind !== KEYS_KIND) return nothing;
      records.push({ record, seq });
    }
    return { seen, records };
  }

  async #scan(hash: Hash, first: number, last: number): Promise<Found[]> {
    if (first > last) return [];
    const keys = channelKeys(this.#channel);
    const found: Found[] = [];
    for await (const [, value] of this.#store.range({
      gte: keys.log(first),
      lt: keys.log(last + 1),
    })) {
      const { record, seq } = decodeEntry(hash, value);
      if (record.kind === KEYS_KIND) found.push({ record, seq });
    }
    return found;
  }
}
