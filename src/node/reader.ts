/**
 * Reading a channel (docs/PROTOCOL.md, section "Reading"): final entries from
 * the store in log order, then what is not final yet; live, whatever changes.
 * Pull-based: nothing is buffered for a slow reader but what it has seen.
 *
 * A cursor is the seq of the last final entry seen; what was not final is
 * shown again behind it.
 */

import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { Digest } from '../core/ids.js';
import { channelKeys, decodeEntry } from '../core/layout.js';
import type { ChannelRecord } from '../core/record.js';
import type { Roster } from '../core/roster.js';
import type { Store } from '../core/store.js';
import { provisional } from '../core/view.js';
import type { ChannelEntry, ReadEvent, ReadOptions, RecordState } from './api.js';
import type { NodeChannel } from './channel.js';
import { decodeMessageBody } from './message-body.js';

export function entryOf(
  record: ChannelRecord,
  state: RecordState,
  seq: number | null,
  roster: Roster,
): ChannelEntry {
  const message = record.kind === 'message' ? decodeMessageBody(record.body) : undefined;
  return {
    seq,
    digest: record.digest,
    id: record.id,
    from: record.author,
    name: message?.name ?? roster.members.get(record.author)?.name ?? '',
    time: record.time,
    state,
    kind: record.kind,
    ...(record.kind === 'message' ? { text: message?.text ?? '' } : {}),
  };
}

function startOf(from: ReadOptions['from']): number {
  if (from === undefined) return 1;
  if (typeof from === 'number') return Math.max(1, from);
  const seq = Number(from);
  if (!/^\d{1,16}$/.test(from) || !Number.isSafeInteger(seq)) {
    throw new ConclaveError('bad_cursor', `"${from.slice(0, 40)}" is not a cursor of this channel`);
  }
  return seq + 1;
}

const PAGE = 256;

export async function* readChannel(
  channel: NodeChannel,
  store: Store,
  hash: Hash,
  o: ReadOptions,
): AsyncGenerator<ReadEvent> {
  const keys = channelKeys(channel.id);
  let next = startOf(o.from);
  let left = o.limit ?? Number.POSITIVE_INFINITY;
  const shown = new Map<Digest, RecordState>();
  while (left > 0) {
    const st = channel.state;
    const final = st.log.final.seq;
    while (next <= final && left > 0) {
      const limit = Math.min(PAGE, final - next + 1, left);
      for await (const [, value] of store.range({ gte: keys.log(next), lt: keys.log(final + 1), limit })) {
        const { seq, record } = decodeEntry(hash, value);
        next = seq + 1;
        left -= 1;
        shown.delete(record.digest);
        yield { type: 'entry', entry: entryOf(record, 'final', seq, channel.state.roster), cursor: String(seq) };
      }
      if (o.signal?.aborted) return;
    }
    if (o.provisional !== false && channel.state.log.final.seq < next) {
      for (const { record, state } of provisional(channel.state)) {
        if (left <= 0) return;
        if (shown.get(record.digest) === state) continue;
        shown.set(record.digest, state);
        left -= 1;
        const entry = entryOf(record, state, null, channel.state.roster);
        yield { type: 'entry', entry, cursor: String(next - 1) };
      }
    }
    if (!o.live) return;
    if (channel.state.log.final.seq >= next) continue;
    try {
      await channel.changes.next(o.signal);
    } catch (error) {
      if (o.signal?.aborted) return;
      throw error;
    }
  }
}
