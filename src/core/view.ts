/**
 * What a channel shows (docs/PROTOCOL.md, sections "States" and "Status"):
 * derived from the state, never stored.
 */

import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import { isElectorate } from './epoch-record.js';
import { hearsLeader } from './hearing.js';
import type { Digest, UserId } from './ids.js';
import { onlineMembers } from './leader.js';
import { SET_BYTES_MAX, SET_RECORDS_MAX } from './limits.js';
import { isCarried, isMessageLane } from './log.js';
import type { Offence } from './misbehaviour.js';
import { inOrder, type Ordered, type Unordered } from './order.js';
import {
  certifiedPlace,
  committedInLog,
  isOrphan,
  isSetFull,
  isShownPlaced,
  shownAt,
} from './provisional.js';
import { majorityOf } from './quorum.js';
import type { ChannelRecord } from './record.js';
import { decodeMembership, isMembership, minOnline, replaceSignatures, voters } from './roster.js';

export interface ProvisionalEntry {
  readonly record: ChannelRecord;
  readonly state: 'queued' | 'sent' | 'committed' | 'withheld';
}

/**
 * Everything that is not final, in display order: what is committed, wherever
 * it is kept, then what is only sent; last what this node itself has queued.
 */
export function provisional(st: ChannelState): ProvisionalEntry[] {
  const entries = displayOrder(st).map(
    ({ item, committed }): ProvisionalEntry => ({
      record: item.record,
      state: committed ? 'committed' : 'sent',
    }),
  );
  const shown = new Set(entries.map((e) => e.record.digest));
  for (const [digest, { pooled, state }] of st.outbox) {
    if (!shown.has(digest)) entries.push({ record: pooled.record, state });
  }
  return entries;
}

type Item = Unordered & { readonly record: ChannelRecord };

const ordered = new WeakMap<
  ChannelState,
  { readonly of: string; readonly list: Ordered<Item>[] }
>();

/** Another one when what tail and branches place has changed. */
const setVersion = ({ log, logCert, pool, version }: ChannelState): string =>
  `${version} ${pool.version} ${log.final.seq} ${log.tip.hash} ${logCert?.seq}`;

/** What tail and branches place, in order; computed anew once that changed. */
function displayOrder(st: ChannelState): Ordered<Item>[] {
  const of = setVersion(st);
  const known = ordered.get(st);
  // An orphan's predecessor may come by any way.
  if (known?.of === of && st.orphans.size === 0) return known.list;
  const list = inOrder(placedItems(st));
  ordered.set(st, { of, list });
  return list;
}

/**
 * Every record that is not final and that the tail or a branch places, once;
 * and before an orphan what this node wrote itself and, being behind or put
 * back to an old disk, does not know to be placed: who placed the orphan did.
 */
function placedItems(st: ChannelState): Item[] {
  const items = new Map<Digest, Item>();
  const add = (record: ChannelRecord | undefined): void => {
    if (!record || items.has(record.digest)) return;
    const { digest, author, prev } = record;
    const place = certifiedPlace(st, digest);
    items.set(digest, { record, digest, author, prev, place, isOrphan: isOrphan(st, record) });
  };
  for (const { record } of st.log.tail) add(record);
  for (const branch of st.branches.values()) {
    for (let seq = branch.base.seq + 1; seq <= branch.tip.seq; seq++) {
      add(shownAt(st, branch, seq)?.record);
    }
  }
  for (const { record } of [...items.values()].filter(({ isOrphan }) => isOrphan)) {
    for (let { prev } = record; !items.has(prev); { prev } = items.get(prev)!) {
      const own = st.outbox.get(prev);
      if (!own) break;
      add(own.pooled.record);
    }
  }
  return [...items.values()];
}

export interface Waiting {
  readonly need: number;
  readonly have: number;
  readonly missing: readonly UserId[];
  /** How many more members the channel needs, whoever is online: absent where it has enough. */
  readonly lacking?: number;
  readonly reason: string;
}

export interface ChannelView {
  readonly online: readonly UserId[];
  readonly leader: UserId | null;
  readonly epoch: { readonly term: number; readonly kind: 'roster' | 'online' } | null;
  readonly state: 'healthy' | 'electing' | 'waiting' | 'removed';
  readonly waiting: Waiting | null;
  readonly queued: number;
  readonly sent: number;
  readonly committed: number;
  /** Of whom proofs of misbehaviour are kept. */
  readonly misbehaved: readonly {
    readonly user: UserId;
    readonly offence: Offence;
    readonly since: number;
  }[];
}

export function channelView(ctx: StepContext, st: ChannelState): ChannelView {
  const online = onlineMembers(ctx, st);
  const led = hearsLeader(ctx, st) && st.leadership ? st.leadership.epoch : null;
  const member = st.roster.members.has(ctx.self);
  const waiting = member ? waitingFor(ctx.self, st, online) : null;
  let queued = 0;
  let sent = 0;
  for (const { pooled, state } of st.outbox.values()) {
    if (isCarried(pooled.record)) continue;
    if (state === 'queued') queued += 1;
    else if (state === 'sent') sent += 1;
  }
  return {
    online: online.sort(),
    leader: led?.leader ?? null,
    epoch: led && { term: led.term, kind: led.kind },
    state: !member ? 'removed' : waiting ? 'waiting' : led ? 'healthy' : 'electing',
    waiting,
    queued,
    sent,
    committed: committedCount(st),
    misbehaved: misbehavedIn(st),
  };
}

const counted = new WeakMap<ChannelState, { readonly of: string; readonly count: number }>();

/** How many messages that are not final are shown as committed: those of `displayOrder`, counted without ordering them. */
export function committedCount(st: ChannelState): number {
  const of = setVersion(st);
  const known = counted.get(st);
  if (known?.of === of && st.orphans.size === 0) return known.count;
  const count = countCommitted(st);
  counted.set(st, { of, count });
  return count;
}

function countCommitted(st: ChannelState): number {
  const committed = new Set<Digest>();
  let count = 0;
  let waiting: ChannelRecord[] = [];
  const consider = (record: ChannelRecord): void => {
    const { digest, prev } = record;
    if (committed.has(digest) || isOrphan(st, record)) return;
    if (!committed.has(prev) && isShownPlaced(st, prev)) {
      waiting.push(record);
      return;
    }
    committed.add(digest);
    if (isMessageLane(record) && !isCarried(record)) count += 1;
  };
  const last = committedInLog(st);
  for (const { seq, record } of st.log.tail) if (seq <= last) consider(record);
  for (const branch of st.branches.values()) {
    for (let seq = branch.base.seq + 1; seq <= branch.certified; seq++) {
      const shown = shownAt(st, branch, seq);
      if (shown) consider(shown.record);
    }
  }
  // Branches are in no order: a predecessor may have come after its successors.
  for (let before = Number.POSITIVE_INFINITY; waiting.length < before; ) {
    const again = waiting;
    before = again.length;
    waiting = [];
    for (const record of again) consider(record);
  }
  return count;
}

/** One for each offender and offence, by when it was known here first. */
function misbehavedIn({ convictions }: ChannelState): ChannelView['misbehaved'] {
  const first = new Map<string, ChannelView['misbehaved'][number]>();
  for (const { offender: user, offence, since } of convictions.values()) {
    const known = first.get(user + offence);
    if (!known || since < known.since) first.set(user + offence, { user, offence, since });
  }
  return [...first.values()].sort((a, b) => a.since - b.since || (a.user < b.user ? -1 : 1));
}

function waitingForMemory(self: UserId, st: ChannelState): Waiting {
  const all = voters(st.roster);
  const need = Math.min(majorityOf(all.length), all.length - 1);
  const have = st.memory!.reports.size;
  const missing = all.filter((u) => u !== self && !st.memory!.reports.has(u));
  const whose =
    need === 1
      ? 'another voting member has reported its log'
      : `${need} other voting members have reported their logs`;
  const reason = `this node lost memory: it votes again once ${whose}, ${have} have`;
  return { need, have, missing, reason };
}

/** What a removal that this node wants, or holds in its tail, lacks while too few voters are online. */
function removalNeeds(
  st: ChannelState,
  all: readonly UserId[],
  online: readonly UserId[],
): string | null {
  const user = removalUnderWay(st);
  if (user === null) return null;
  const need = majorityOf(all.length);
  const have = all.filter((u) => online.includes(u)).length;
  const text = `a removal needs ${need} of ${all.length} voting members online, have ${have}`;
  const own = need === all.length && all.includes(user) && !online.includes(user);
  return own ? `${text}: the vote of the member to be removed, too` : text;
}

function removalUnderWay({ log, wishes, roster }: ChannelState): UserId | null {
  const record = log.membershipInFlight()?.record;
  const body =
    record && isMembership(record.kind)
      ? decodeMembership(record.kind, record.body)
      : wishes[0]?.make(roster);
  if (body?.kind === 'replace') return replaceSignatures(body).request.old;
  return body?.kind === 'remove' ? body.user : null;
}

function waitingFor(self: UserId, st: ChannelState, online: readonly UserId[]): Waiting | null {
  if (st.conflict) return { need: 0, have: 0, missing: [], reason: st.conflict };
  if (st.memory) return waitingForMemory(self, st);
  const missing = [...st.roster.members.keys()].filter((u) => !online.includes(u)).sort();
  const all = voters(st.roster);
  const majority = majorityOf(all.length);
  const reachable = all.filter((u) => online.includes(u)).length;
  const removal = reachable < majority && removalNeeds(st, all, online);
  if (removal) {
    const away = all.filter((u) => missing.includes(u));
    return { need: majority, have: reachable, missing: away, reason: removal };
  }
  const need = minOnline(st.roster);
  if (online.length < need) {
    const fewer = need > st.genesis.minOnline ? ` (${st.genesis.minOnline} with an archive)` : '';
    const reason = `messages need ${need} members online${fewer}, have ${online.length}`;
    const few = { need, have: online.length, missing };
    const { size } = st.roster.members;
    if (size >= need) return { ...few, reason };
    const lacking = need - size;
    const only = `the channel has only ${size}, and needs ${lacking} more to join`;
    return { ...few, lacking, reason: `${reason}: ${only}` };
  }
  const { quorum } = st.genesis;
  const canBeOnline = quorum === 'online' && isElectorate('online', reachable, all.length, need);
  const why =
    reachable < majority && !canBeOnline
      ? `a leader needs ${majority} of ${all.length} voting members online, have ${reachable}`
      : st.leadership?.branch && isSetFull(st)
        ? `what is not final here fills its bound (${SET_RECORDS_MAX} messages or ${SET_BYTES_MAX} bytes): no more is committed until ${majority} of ${all.length} voting members meet, ${reachable} do`
        : undefined;
  if (why === undefined) return null;
  const voting = missing.filter((u) => all.includes(u));
  return { need: majority, have: reachable, missing: voting, reason: why };
}
