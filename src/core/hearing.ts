/**
 * Whom a node hears (docs/PROTOCOL.md, section "Elections"): a leadership is
 * heard while it is live and its leader's last new beat is recent. A roster
 * leader is a reason to refuse every other candidate; an online leader only
 * one to refuse other online candidates.
 */

import type { ChannelState, Leadership } from './channel-state.js';
import type { StepContext } from './effects.js';
import type { UserId } from './ids.js';
import { voters } from './roster.js';
import type { EpochKind } from './statements.js';

export function isHeard(ctx: StepContext, st: ChannelState, lead: Leadership | null): boolean {
  if (!lead?.live) return false;
  return st.leading !== null || ctx.now - lead.lastHeardAt < ctx.timing.election_min_ms;
}

/** Whether this node stands against a leader that it hears (suspicion.ts). */
export const standsAgainst = (ctx: StepContext, { suspicion }: Leadership): boolean =>
  suspicion.holds && ctx.now < suspicion.until;

/** A leader of either kind is heard. */
export const hearsLeader = (ctx: StepContext, st: ChannelState): boolean =>
  isHeard(ctx, st, st.leadership);

export const hearsRosterLeader = (ctx: StepContext, st: ChannelState): boolean =>
  st.leadership?.epoch.kind === 'roster' && hearsLeader(ctx, st) && !st.leadership.suspicion.holds;

/** Whether a leader other than `candidate` is heard that is a reason to refuse an election of this kind. */
export function hearsOther(
  ctx: StepContext,
  st: ChannelState,
  kind: EpochKind,
  candidate: UserId,
): boolean {
  const lead = st.leadership;
  if (!lead || !isHeard(ctx, st, lead)) return false;
  if (lead.suspicion.holds) return lead.epoch.leader === candidate;
  if (lead.epoch.kind === 'roster') return kind === 'online' || lead.epoch.leader !== candidate;
  return kind === 'online' && lead.epoch.leader !== candidate;
}

export const electionPatience = (ctx: StepContext): number =>
  ctx.timing.election_min_ms +
  ctx.patience() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);

export function postponeElection(ctx: StepContext, st: ChannelState): void {
  st.electionAt = ctx.now + electionPatience(ctx);
}

/**
 * Gives a candidate that this node granted time to win. Not for ever: where not
 * everyone reaches everyone this node may be the only one that can, and all
 * others candidates that can't.
 */
export function yieldTo(ctx: StepContext, st: ChannelState): void {
  st.yieldUntil ??= ctx.now + YIELDS * ctx.timing.election_max_ms;
  st.electionAt = Math.min(ctx.now + electionPatience(ctx), Math.max(ctx.now, st.yieldUntil));
}

/** Longest patiences that others may take from a node before it stands itself. */
const YIELDS = 4;

/** Voters that answer, this node among them if it votes. */
export const answering = (ctx: StepContext, st: ChannelState): UserId[] =>
  voters(st.roster).filter((user) => user === ctx.self || ctx.isOnline(user));
