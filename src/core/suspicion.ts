/**
 * Suspicion (docs/PROTOCOL.md, section "Elections"): a roster leader that is
 * alive and lets nothing become final, or leaves a member's messages out, is
 * one that this node would rather replace. It suspects by what it sees itself:
 * a message or a change of membership that it offered to that leader, or an
 * entry of its tail. A node
 * that suspects its leader stands for election, and grants to others; it goes
 * on following. Nothing comes of it unless more than half suspect too.
 */

import type { ChannelState, Leadership } from './channel-state.js';
import type { StepContext } from './effects.js';
import { answering, isHeard } from './hearing.js';
import { onlineMembers } from './leader.js';
import { SUSPECT_MS } from './limits.js';
import { isMessageLane } from './log.js';
import { isOpenChange } from './offers.js';
import type { Pooled } from './pool.js';
import { isMajority } from './quorum.js';
import { prevIsPlaced } from './replica.js';
import { minOnline, voters } from './roster.js';
import { isInStanding } from './standing.js';

/** Looks now and then whether the leader does its work. */
export function tickSuspicion(ctx: StepContext, st: ChannelState): void {
  const lead = st.leadership;
  if (!lead || lead.branch || st.leading || st.memory) return;
  const { suspicion } = lead;
  if (!isHeard(ctx, st, lead)) {
    // What went on meanwhile is unknown, and offers may be lost.
    Object.assign(suspicion, { since: ctx.now, movedAt: ctx.now, placedAt: ctx.now, holds: false });
    return;
  }
  notePlaces(ctx, st, lead);
  const reason = reasonToSuspect(ctx, st, lead);
  suspicion.holds = reason !== undefined;
  if (reason === undefined) {
    const due = suspicion.movedAt + SUSPECT_MS;
    // Past it there is a reason not to, which what ends it makes known.
    if (waits(st, lead) && due > ctx.now) ctx.ready.wake(due);
    return;
  }
  if (ctx.now < suspicion.nextAt) return ctx.ready.wake(suspicion.nextAt);
  // Others may not suspect it: then this node waits twice as long each time before it stands again.
  suspicion.until = ctx.now + SUSPECT_MS;
  suspicion.times += 1;
  suspicion.nextAt = suspicion.until + SUSPECT_MS * 2 ** Math.min(suspicion.times, BACKOFF_MAX);
  st.electionAt = ctx.now + ctx.patience() * ctx.timing.election_max_ms;
  ctx.ready.wake(st.electionAt);
  const note = { note: 'leader suspected', detail: reason };
  ctx.ready.events.push({ type: 'note', channel: st.id, ...note });
}

const BACKOFF_MAX = 6;

/** Takes note of whether the log went on. */
function notePlaces(ctx: StepContext, st: ChannelState, lead: Leadership): void {
  const { suspicion } = lead;
  const { tip, final } = st.log;
  if (!waits(st, lead) || final.seq !== suspicion.final) suspicion.movedAt = ctx.now;
  if (tip.seq !== suspicion.tip) suspicion.placedAt = ctx.now;
  suspicion.final = final.seq;
  suspicion.tip = tip.seq;
}

/** Whether something that the leader placed is not final here. */
const waits = ({ log }: ChannelState, { proposal }: Leadership): boolean =>
  Math.max(log.tip.seq, proposal?.propose.tipSeq ?? 0) > log.final.seq;

function reasonToSuspect(
  ctx: StepContext,
  st: ChannelState,
  { suspicion, id }: Leadership,
): string | undefined {
  if (!isMajority(answering(ctx, st).length, voters(st.roster).length)) return undefined;
  if (ctx.now - suspicion.movedAt >= SUSPECT_MS) return 'nothing becomes final';
  if (onlineMembers(ctx, st).length < minOnline(st.roster)) return undefined;
  if (st.log.membershipInFlight()) return undefined;
  const isStill = ctx.now - suspicion.placedAt >= SUSPECT_MS;
  // Before that it can have left out nothing: no look at a pool that may be large.
  if (!isStill && suspicion.newest - suspicion.since < SUSPECT_MS) return undefined;
  for (const pooled of offered(st)) {
    const { record, offer } = pooled;
    if (offer?.epoch !== id) continue;
    const offeredAt = Math.max(offer.at, suspicion.since);
    if (ctx.now - offeredAt < SUSPECT_MS) continue;
    // It took what came long after, or nothing at all.
    const isLeftOut = suspicion.newest - offeredAt >= SUSPECT_MS;
    if (!isLeftOut && !isStill) continue;
    if (!isInStanding(st, pooled)) continue;
    if (!isMessageLane(record)) {
      if (isOpenChange(ctx, st, record))
        return `it leaves out a change of membership, ${record.kind}`;
    } else if (prevIsPlaced(st, record, st.log)) return `it leaves out message ${record.id}`;
  }
  return undefined;
}

/** What this node may have offered: others' records and its own, and what it wants changed itself. */
function* offered({ pool, wishes }: ChannelState): Generator<Pooled> {
  yield* pool.values();
  const wanted = wishes[0]?.current;
  if (wanted) yield wanted;
}
