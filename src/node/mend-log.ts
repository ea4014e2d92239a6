/**
 * A channel's log in a store that is being repaired: reading its final part,
 * cutting off its end. Whatever of the layout of entries a repair needs is here.
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import type { Digest, UserId } from '../core/ids.js';
import { after, type ChannelKeys, decodeEntry, type Entry } from '../core/layout.js';
import { isMessageLane } from '../core/log.js';
import type { Store, StoreOp } from '../core/store.js';

const OPS_AT_ONCE = 1_024;

/** Deletes all that is under `prefix`, from key `from` on; without a slash at its end, that key. */
export async function clear(store: Store, prefix: string, from = prefix): Promise<number> {
  if (!prefix.endsWith('/')) {
    await store.write([{ key: prefix }], { sync: false });
    return 1;
  }
  let deleted = 0;
  for (;;) {
    const ops: StoreOp[] = [];
    for await (const [key] of store.range({ gte: from, lt: after(prefix), limit: OPS_AT_ONCE })) {
      ops.push({ key });
    }
    if (ops.length === 0) return deleted;
    await store.write(ops, { sync: false });
    deleted += ops.length;
  }
}

/** Of a key of the log: the seq of the first entry that stands under it. */
export const seqOfKey = (key: string, prefix: string): number =>
  Number.parseInt(key.slice(prefix.length), 16);

/** The seq of the last entry there is, 0 without any. */
export async function lastSeq(store: Store, keys: ChannelKeys): Promise<number> {
  const range = { gte: keys.logs, lt: after(keys.logs), reverse: true, limit: 1 };
  for await (const [key] of store.range(range)) return seqOfKey(key, keys.logs);
  return 0;
}

/** The entries from seq `from` on, as far as they can be read. */
export async function* entriesFrom(
  store: Store,
  hash: Hash,
  keys: ChannelKeys,
  from: number,
): AsyncGenerator<Entry> {
  for await (const [, value] of store.range({ gte: keys.log(from), lt: after(keys.logs) })) {
    const entry = attempt(() => decodeEntry(hash, value));
    if (entry) yield entry;
  }
}

/** Drops the entries behind `last`. */
export const cutLog = (store: Store, keys: ChannelKeys, last: number): Promise<number> =>
  clear(store, keys.logs, keys.log(last + 1));

/** Makes index and authors' tips anew from the entries up to `last`. */
export async function indexLog(
  store: Store,
  hash: Hash,
  keys: ChannelKeys,
  last: number,
): Promise<void> {
  await clear(store, keys.placements);
  await clear(store, keys.tips);
  const tips = new Map<UserId, Digest>();
  let ops: StoreOp[] = [];
  for await (const { seq, record } of entriesFrom(store, hash, keys, 1)) {
    if (seq > last) break;
    ops.push({ key: keys.placed(record.digest), value: new Writer(8).u64(seq).done() });
    if (isMessageLane(record)) tips.set(record.author, record.digest);
    if (ops.length < OPS_AT_ONCE) continue;
    await store.write(ops, { sync: false });
    ops = [];
  }
  for (const [user, digest] of tips) {
    ops.push({ key: keys.tip(user), value: new Writer(32).id(digest).done() });
  }
  await store.write(ops, { sync: false });
}

/** Whether a record is final, as far as the index can be read. */
export async function isFinal(store: Store, keys: ChannelKeys, digest: Digest): Promise<boolean> {
  const value = await store.get(keys.placed(digest));
  return value !== undefined && attempt(() => decodeWhole(value, (r) => r.u64())) !== undefined;
}

/** Undefined where `read` throws: what can't be read is damage, and dealt with as such. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
