/**
 * What a channel shows (docs/PROTOCOL.md, sections "States" and "Status"):
 * derived from the state, never stored.
 */

import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import { hearsLeader } from './election.js';
import type { UserId } from './ids.js';
import { onlineMembers } from './leader.js';
import { isMessageLane } from './log.js';
import { majorityOf } from './quorum.js';
import type { ChannelRecord } from './record.js';
import { voters } from './roster.js';

export interface ProvisionalEntry {
  readonly record: ChannelRecord;
  readonly state: 'queued' | 'sent' | 'committed';
}

/** Everything that is not final, in display order: the log's tail, then this node's own queue. */
export function provisional(st: ChannelState): ProvisionalEntry[] {
  const committed = st.leadership?.committed ?? 0;
  const entries: ProvisionalEntry[] = st.log.tail.map(({ seq, record }) => ({
    record,
    state: seq <= committed ? 'committed' : 'sent',
  }));
  for (const { pooled, state } of st.outbox.values()) {
    if (st.log.seqInTail(pooled.record.digest) === undefined)
      entries.push({ record: pooled.record, state });
  }
  return entries;
}

export interface Waiting {
  readonly need: number;
  readonly have: number;
  readonly missing: readonly UserId[];
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
}

export function channelView(ctx: StepContext, st: ChannelState): ChannelView {
  const online = onlineMembers(ctx, st);
  const led = hearsLeader(ctx, st) && st.leadership ? st.leadership.epoch : null;
  const member = st.roster.members.has(ctx.self);
  const waiting = waitingFor(st, online);
  let queued = 0;
  let sent = 0;
  for (const { state } of st.outbox.values()) {
    if (state === 'queued') queued += 1;
    else if (state === 'sent') sent += 1;
  }
  const committed = st.leadership?.committed ?? 0;
  return {
    online: online.sort(),
    leader: led?.leader ?? null,
    epoch: led && { term: led.term, kind: led.kind },
    state: !member ? 'removed' : waiting ? 'waiting' : led ? 'healthy' : 'electing',
    waiting,
    queued,
    sent,
    committed: st.log.tail.filter((e) => e.seq <= committed && isMessageLane(e.record)).length,
  };
}

function waitingFor(st: ChannelState, online: readonly UserId[]): Waiting | null {
  if (st.conflict) return { need: 0, have: 0, missing: [], reason: st.conflict };
  const missing = [...st.roster.members.keys()].filter((u) => !online.includes(u)).sort();
  const all = voters(st.roster);
  const majority = majorityOf(all.length);
  const reachable = all.filter((u) => online.includes(u)).length;
  const { minOnline } = st.genesis;
  if (online.length < minOnline) {
    const reason = `messages need ${minOnline} members online, have ${online.length}`;
    return { need: minOnline, have: online.length, missing, reason };
  }
  if (reachable < majority) {
    const reason = `a leader needs ${majority} of ${all.length} voting members online, have ${reachable}`;
    return {
      need: majority,
      have: reachable,
      missing: missing.filter((u) => all.includes(u)),
      reason,
    };
  }
  return null;
}
