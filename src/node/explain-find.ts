/** Finding a record by its id, wherever this node holds it, and what stands around it in the log. */

import type { ChannelState } from '../core/channel-state.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type Digest, type UserId, ulidToBytes } from '../core/ids.js';
import { after, type ChannelKeys, decodeEntry, type Entry } from '../core/layout.js';
import { MERGE_RECORDS_MAX } from '../core/limits.js';
import type { ChannelRecord } from '../core/record.js';
import type { Store } from '../core/store.js';
import type { Merged } from './api.js';
import { Merges, sinceMerge } from './merges.js';

export interface Found {
  readonly record: ChannelRecord;
  /** Empty while it is not signed yet. */
  readonly proof: Uint8Array;
  readonly final: { readonly entry: Entry; readonly leader: UserId | null } | null;
}

/** The store as an explanation needs it. */
export interface LogReader {
  get(key: string): Promise<Uint8Array | undefined>;
  /** The first value under `prefix` from key `from` on. */
  firstFrom(prefix: string, from: string): Promise<Uint8Array | undefined>;
  /** Final entries, oldest first. */
  final(): AsyncIterable<Entry>;
  /** The merge that moved the entry at `seq`. */
  mergeOf(seq: number): Promise<Merged | null>;
}

export function logReader(
  store: Store,
  hash: Hash,
  keys: ChannelKeys,
  finalSeq: number,
): LogReader {
  return {
    get: (key) => store.get(key),
    async firstFrom(prefix, from) {
      for await (const [, value] of store.range({ gte: from, lt: after(prefix), limit: 1 })) {
        return value;
      }
      return undefined;
    },
    async *final() {
      for await (const [, value] of store.range({ gte: keys.log(1), lt: keys.log(finalSeq + 1) })) {
        yield decodeEntry(hash, value);
      }
    },
    async mergeOf(seq) {
      const range = { gte: keys.log(1), lt: keys.log(seq + 1), reverse: true };
      async function* backwards() {
        for await (const [, value] of store.range({ ...range, limit: MERGE_RECORDS_MAX + 1 })) {
          yield decodeEntry(hash, value);
        }
      }
      const merges = new Merges();
      for (const entry of await sinceMerge(backwards())) {
        const { with: merged } = merges.take(entry);
        if (entry.seq === seq && merged) return merged;
      }
      return merges.open;
    },
  };
}

/** Throws `bad_id` or `no_message`. */
export async function findRecords(st: ChannelState, id: string, log: LogReader): Promise<Found[]> {
  const wanted = id.toUpperCase();
  ulidToBytes(wanted);
  const found = new Map<Digest, Found>();
  for await (const each of inLog(log, wanted)) found.set(each.record.digest, each);
  const held = [
    ...st.log.tail,
    ...st.pool.values(),
    ...[...st.outbox.values()].map(({ pooled }) => pooled),
  ];
  for (const { record, proof } of held) {
    if (record.id !== wanted || found.has(record.digest)) continue;
    found.set(record.digest, { record, proof, final: null });
  }
  if (found.size > 0) return [...found.values()];
  throw new ConclaveError(
    'no_message',
    `this node holds no message ${id} of the channel; "conclave log --json" shows the ids`,
  );
}

/** Final records of this id, each with who led when it was placed. */
async function* inLog(log: LogReader, id: string): AsyncGenerator<Found> {
  let leader: UserId | null = null;
  for await (const entry of log.final()) {
    const { record, proof } = entry;
    // An epoch begins with the record of its leader.
    if (record.kind === 'epoch') leader = record.author;
    if (record.id === id) yield { record, proof, final: { entry, leader } };
  }
}
