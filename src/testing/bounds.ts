/**
 * Invariant 16: what a node holds in memory and what it sends is bounded,
 * whatever others do. The bounds are those of core/limits.ts; where one rests
 * on a page or proposal that may be taken whole, that is added.
 */

import type { ChannelState } from '../core/channel-state.js';
import type { Outgoing } from '../core/commands.js';
import type { UserId } from '../core/ids.js';
import {
  FRAME_PAYLOAD_BYTES_MAX,
  JOIN_ATTEMPTS_MAX,
  MEMBERS_PER_CHANNEL_MAX,
  MERGE_RECORDS_MAX,
  NEW_BESIDE_PART_MAX,
  OUTBOX_RECORDS_MAX,
  PAGE_BYTES_MAX,
  PAGE_ENTRIES_MAX,
  POOL_BYTES_PER_AUTHOR_MAX,
  POOL_RECORDS_PER_AUTHOR_MAX,
  RECORDS_PER_BATCH_MAX,
  TAIL_BYTES_MAX,
  TAIL_ENTRIES_MAX,
  WINDOW_ENTRIES_MAX,
} from '../core/limits.js';
import { isLeaderKind } from '../core/roster.js';
import type { Break } from './chains.js';

const NAME = '16 bounds';
/** `epoch`, `merge` and membership records, which no window counts. */
const OWN_RECORDS_MAX = 3;
/** What a field takes on the wire beside its bytes, and a command beside its records, headers and certificate. */
const PER_FIELD_BYTES = 5;
const PER_COMMAND_BYTES = 1_536;

/** Looks at one channel of one node, after a step. */
export function checkBounds(index: number, st: ChannelState, onBreak: Break): void {
  const over = (what: string, count: number, most: number): void => {
    if (count > most) onBreak(NAME, `node ${index} holds ${count} ${what}, more than ${most}`);
  };
  over('entries in its tail', st.log.tail.length, TAIL_ENTRIES_MAX + PAGE_ENTRIES_MAX);
  over('bytes in its tail', st.log.tailBytes, TAIL_BYTES_MAX + PAGE_BYTES_MAX);
  over(
    'entries that it placed and nobody acknowledged',
    placedBy(st),
    WINDOW_ENTRIES_MAX + MERGE_RECORDS_MAX + NEW_BESIDE_PART_MAX + OWN_RECORDS_MAX,
  );
  over('headers that wait for records', st.limbo?.headers.length ?? 0, TAIL_ENTRIES_MAX);
  over('own messages', st.outbox.size, OUTBOX_RECORDS_MAX);
  over('requests to join', st.joins.size, JOIN_ATTEMPTS_MAX);
  over('acknowledgements', st.heardAcks.size, MEMBERS_PER_CHANNEL_MAX);
  if (st.pool.size > POOL_RECORDS_PER_AUTHOR_MAX) checkPool(index, st, onBreak);
}

/** A leader's own entries behind its final point. */
function placedBy({ leading, leadership, log }: ChannelState): number {
  if (!leading || leadership?.branch) return 0;
  return log.tip.seq - Math.max(log.final.seq, leading.firstSeq - 1);
}

/** What others offered counts by author; own messages, those that fell out of the log and what leaders make do not. */
function checkPool(index: number, st: ChannelState, onBreak: Break): void {
  const use = new Map<UserId, { count: number; bytes: number }>();
  for (const { record, kept } of st.pool.values()) {
    if (kept || isLeaderKind(record.kind) || st.outbox.has(record.digest)) continue;
    const { count, bytes } = use.get(record.author) ?? { count: 0, bytes: 0 };
    use.set(record.author, { count: count + 1, bytes: bytes + record.bytes.length });
  }
  for (const [author, { count, bytes }] of use) {
    if (count <= POOL_RECORDS_PER_AUTHOR_MAX && bytes <= POOL_BYTES_PER_AUTHOR_MAX) continue;
    const name = author.slice(0, 8);
    onBreak(NAME, `node ${index} keeps ${count} unplaced records of ${name}, ${bytes} bytes`);
  }
}

/** A frame must fit what a relay takes: a page reaches at most as far as a log's tail that becomes final at once. */
export function checkFrame(index: number, command: Outgoing, onBreak: Break): void {
  const carried = carriedBy(command);
  if (!carried) return;
  const { records, most, others } = carried;
  const sum = [...records, ...others].reduce((n, { length }) => n + length + PER_FIELD_BYTES, 0);
  if (sum > FRAME_PAYLOAD_BYTES_MAX - PER_COMMAND_BYTES || records.length > most) {
    onBreak(
      NAME,
      `node ${index} sends ${records.length} records, ${sum} bytes, in one ${command.name}`,
    );
  }
}

interface Carried {
  readonly records: readonly Uint8Array[];
  /** How many records at most. */
  readonly most: number;
  readonly others: readonly Uint8Array[];
}

function carriedBy({ name, payload }: Outgoing): Carried | undefined {
  if (name === 'CH_MSG') {
    const { records } = payload.batch ?? payload.each ?? { records: [] };
    return { records, most: RECORDS_PER_BATCH_MAX, others: payload.each?.proofs ?? [] };
  }
  if (name === 'CH_MERGE') {
    const { records, proofs, headers, cert, proof } = payload;
    return { records, most: TAIL_ENTRIES_MAX, others: [...proofs, headers, cert, proof] };
  }
  if (name !== 'CH_APPEND') return undefined;
  const { records, proofs, headers, cert, proof } = payload;
  const others = [...proofs, headers, ...(cert ? [cert] : []), ...(proof ? [proof] : [])];
  return { records, most: TAIL_ENTRIES_MAX, others };
}
