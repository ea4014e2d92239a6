/**
 * Where the `keys` records of a channel stand in its log, so that opening a node
 * need not read all of it (docs/ARCHITECTURE.md, "Store"):
 *
 *     node/keys/<channel>/<seq>     nothing: a `keys` record stands there
 *     node/keyed/<channel>          seq u64 up to which the log was looked through
 *
 * It holds no key. It is a hint: where it does not fit the log, as after a
 * repair, the log is looked through again.
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId } from '../core/ids.js';
import { after, channelKeys, decodeEntry, ordinal } from '../core/layout.js';
import type { ChannelRecord } from '../core/record.js';
import type { Store, StoreOp } from '../core/store.js';
import { KEYS_KIND } from './keys-record.js';

type LogStore = Pick<Store, 'get' | 'range' | 'write'>;

interface Found {
  readonly record: ChannelRecord;
  readonly seq: number;
}

/** A damaged hint is none. */
function orNull(error: unknown): null {
  if (error instanceof ConclaveError && error.code === 'bad_encoding') return null;
  throw error;
}

export class KeyLog {
  readonly #channel: ChannelId;
  readonly #store: LogStore;
  readonly #prefix: string;
  readonly #seenKey: string;

  constructor(channel: ChannelId, store: LogStore) {
    this.#channel = channel;
    this.#store = store;
    this.#prefix = `node/keys/${channel}/`;
    this.#seenKey = `node/keyed/${channel}`;
  }

  /** A `keys` record became final. */
  async note(seq: number): Promise<void> {
    await this.#store.write([this.#at(seq), this.#seen(seq)], { sync: false });
  }

  /** Of what is final up to here all `keys` records were noted. */
  async noteSeen(seq: number): Promise<void> {
    await this.#store.write([this.#seen(seq)], { sync: false });
  }

  /** All `keys` records up to `final`, newest first. */
  async *load(hash: Hash, final: number, mayWrite: boolean): AsyncGenerator<Found> {
    const known = await this.#known(hash, final).catch(orNull);
    const from = known?.seen ?? 0;
    const found = [...(known?.records ?? []), ...(await this.#scan(hash, from + 1, final))];
    if (mayWrite && from < final) {
      const ops = found.map(({ seq }) => this.#at(seq));
      await this.#store.write([...ops, this.#seen(final)], { sync: false });
    }
    yield* found.reverse();
  }

  #at(seq: number): StoreOp {
    return { key: this.#prefix + ordinal(seq), value: new Uint8Array(0) };
  }

  #seen(seq: number): StoreOp {
    return { key: this.#seenKey, value: new Writer(8).u64(seq).done() };
  }

  /** What was noted, if it fits the log. */
  async #known(hash: Hash, final: number): Promise<{ seen: number; records: Found[] } | null> {
    const stored = await this.#store.get(this.#seenKey);
    const seen = stored ? decodeWhole(stored, (r) => r.u64()) : 0;
    if (seen > final) return null;
    const seqs: number[] = [];
    for await (const [key] of this.#store.range({ gte: this.#prefix, lt: after(this.#prefix) })) {
      seqs.push(Number.parseInt(key.slice(this.#prefix.length), 16));
    }
    const keys = channelKeys(this.#channel);
    const records: Found[] = [];
    for (const seq of seqs) {
      if (seq > seen) continue;
      const value = await this.#store.get(keys.log(seq));
      const record = value && decodeEntry(hash, value).record;
      if (record?.kind !== KEYS_KIND) return null;
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
