/**
 * What a leader must not do while too few are online (docs/PROTOCOL.md, section
 * "Roster", "How many must be online"): place messages. It may merge then, change
 * who is a member, and make final what is placed. Judged by whom its own status
 * shows as online.
 */

import type { ChannelState, Leadership } from '../core/channel-state.js';
import type { ChannelId, EpochId } from '../core/ids.js';
import { isMessageLane } from '../core/log.js';
import type { Break } from './chains.js';
import type { LeastOnline } from './counting.js';
import type { SimNode } from './sim-node.js';

/** How far a node had placed in the epoch that it leads. */
interface Part {
  readonly epoch: EpochId;
  readonly seq: number;
}

export class PlacingWatch {
  readonly #break: Break;
  readonly #parts = new Map<number, Part>();

  constructor(onBreak: Break) {
    this.#break = onBreak;
  }

  stepped(node: SimNode, channel: ChannelId, least: LeastOnline): void {
    const { index } = node;
    const st = node.state(channel)!;
    const { leading, leadership } = st;
    const before = this.#parts.get(index);
    if (!leading || !leadership) {
      if (before) this.#parts.delete(index);
      return;
    }
    const first = leadership.branch ? 1 : leading.firstSeq;
    const from = before?.epoch === leadership.id ? before.seq : first - 1;
    const { seq } = (leadership.branch ?? st.log).tip;
    this.#parts.set(index, { epoch: leadership.id, seq });
    if (seq <= from || !hasPlaced(st, leadership, from)) return;
    const need = least(st.roster.members.keys());
    const have = node.view(channel)!.online.length;
    if (have >= need) return;
    this.#break('12 roster', `node ${index} places with ${have} members online, and needs ${need}`);
  }
}

/** Whether it placed messages behind `from`, and not by a merge. */
function hasPlaced({ log }: ChannelState, { branch, id }: Leadership, from: number): boolean {
  if (branch) return true;
  const placed = log.tail.filter(({ seq, header }) => seq > from && header.epoch === id);
  return (
    placed.some(({ record }) => isMessageLane(record)) &&
    !placed.some(({ record }) => record.kind === 'merge')
  );
}
