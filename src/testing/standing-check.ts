/**
 * Who may be what in the final log, and what becomes of those who are none any
 * more (docs/PROTOCOL.md, section "Roster"; invariant 12), told from the entries
 * alone: a second, small fold of roles and recovery keys. Beside this no node
 * that knows that somebody is no member holds what that one offers.
 */

import type { ChannelState } from '../core/channel-state.js';
import type { Digest, UserId } from '../core/ids.js';
import { isMessageLane } from '../core/log.js';
import { decodeMembership, isMembership, type MembershipBody } from '../core/roster.js';
import { decodeAs } from '../core/statements.js';
import type { Break, ChainEntry, Placed } from './chains.js';

const NEED_A_MANAGER: ReadonlySet<string> = new Set(['invite', 'revoke', 'relays', 'remove']);

interface Standing {
  role: 'founder' | 'admin' | 'member';
  recovery: UserId | null;
}

export class StandingCheck {
  readonly #final: readonly Placed[];
  readonly #break: Break;
  readonly #members: Map<UserId, Standing>;
  #seen = 0;
  /** By node, what leaders placed that it awaited: it may come, and stay for a while when another leader placed it not. */
  readonly #awaited = new Map<number, Set<Digest>>();

  constructor(founder: UserId, final: readonly Placed[], onBreak: Break) {
    this.#final = final;
    this.#break = onBreak;
    this.#members = new Map([[founder, { role: 'founder', recovery: null }]]);
  }

  /** After a step of a node. */
  stepped(index: number, st: ChannelState): void {
    for (; this.#seen < this.#final.length; this.#seen++) {
      this.#follow(this.#final[this.#seen]!.entry);
    }
    if (st.roster.departed.size > 0) this.#checkPool(index, st);
  }

  #follow(entry: ChainEntry): void {
    if (!isMembership(entry.kind)) return;
    const change = decodeMembership(entry.kind, entry.body);
    const author = this.#members.get(entry.author!);
    if (!author) return;
    const wrong = this.#wrongIn(change, entry, author);
    if (wrong) this.#break('12 roster', `entry ${entry.seq}: ${wrong}`);
    const left = entry.departs ? this.#members.get(entry.departs) : undefined;
    if (entry.departs) this.#members.delete(entry.departs);
    if (change.kind === 'role') this.#members.get(change.user)!.role = change.role;
    else if (change.kind === 'recovery') author.recovery = decodeAs('recovery', change.request).key;
    else if (change.kind === 'replace' && left) {
      const { user, recovery } = decodeAs('replace', change.request);
      this.#members.set(user, { role: left.role, recovery });
    } else if (entry.joins) this.#members.set(entry.joins, { role: 'member', recovery: null });
  }

  #wrongIn(change: MembershipBody, { author }: ChainEntry, as: Standing): string | undefined {
    if (change.kind === 'recovery') {
      const { by, user } = decodeAs('recovery', change.request);
      if (user !== author) return 'a recovery key is registered by another than its member';
      return by === as.recovery ? undefined : 'a recovery key is changed without the one before';
    }
    const isHead = as.role === 'founder' || (as.role === 'admin' && !this.#hasFounder);
    if (NEED_A_MANAGER.has(change.kind) && as.role === 'member') {
      return `its author is a plain member, and may not ask for a ${change.kind}`;
    }
    if (change.kind === 'role') {
      const stepsDown = change.user === author && change.role === 'member';
      return isHead || stepsDown ? undefined : 'a role is given by one who may not';
    }
    if (change.kind === 'remove') {
      const whose = this.#members.get(change.user)?.role ?? 'member';
      return isHead || whose === 'member' ? undefined : 'who manages is removed by one who may not';
    }
    if (change.kind !== 'replace') return undefined;
    const { old, by } = decodeAs('replace', change.request);
    const whose = this.#members.get(old);
    if (!whose) return 'the key of one who is no member is replaced';
    if (by !== null) {
      return by === whose.recovery ? undefined : 'a key is replaced by a wrong recovery key';
    }
    const may = isHead || (as.role === 'admin' && whose.role === 'member');
    return may && old !== author ? undefined : 'a key is replaced by one who may not';
  }

  get #hasFounder(): boolean {
    return [...this.#members.values()].some(({ role }) => role === 'founder');
  }

  /** What a former member wrote is only held where something places it, or by itself. */
  #checkPool(index: number, st: ChannelState): void {
    const { members, departed } = st.roster;
    const awaited = this.#awaited.get(index) ?? new Set();
    this.#awaited.set(index, awaited);
    for (const { digest } of st.limbo?.headers ?? []) awaited.add(digest);
    for (const { record } of st.pool.values()) {
      const { author, digest } = record;
      if (members.has(author) || !departed.has(author) || !isMessageLane(record)) continue;
      const isPlaced =
        st.outbox.has(digest) ||
        awaited.has(digest) ||
        [...st.branches.values()].some((branch) => branch.seqOf(digest) !== undefined);
      if (isPlaced) continue;
      this.#break('12 roster', `node ${index} holds what one offers who is no member any more`);
    }
  }
}
