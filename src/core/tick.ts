/**
 * What a step does for one channel once all that arrived is taken in: each rule
 * looks whether it has something to do. Their order is fixed: what was
 * acknowledged counts before somebody stands for election, new messages take
 * their half of the window before a merge's next part fills it, what is placed
 * is proposed in the same step, and what was proposed here is acknowledged.
 */

import type { ChannelState } from './channel-state.js';
import { tickConfirm } from './confirm.js';
import { tickConvictions } from './convictions.js';
import type { StepContext } from './effects.js';
import { tickElection } from './election.js';
import { tickExchange } from './exchange.js';
import { trimFacts } from './facts.js';
import { acknowledge, drainLimbo } from './follower.js';
import { ackOwn, advance, placeOffers, propose, tickLeader } from './leader.js';
import { admit, tickJoining, tickWishes } from './membership.js';
import { tickMemory } from './memory.js';
import { tickMerge } from './merge.js';
import { offerOthers, offerOwn } from './offers.js';
import { proveTail } from './replica.js';

export function tick(ctx: StepContext, st: ChannelState): void {
  tickLeader(ctx, st);
  advance(ctx, st);
  tickElection(ctx, st);
  tickWishes(ctx, st);
  admit(ctx, st);
  placeOffers(ctx, st);
  tickMerge(ctx, st);
  tickConfirm(ctx, st);
  propose(ctx, st);
  ackOwn(ctx, st);
  drainLimbo(ctx, st);
  acknowledge(ctx, st);
  offerOwn(ctx, st);
  offerOthers(ctx, st);
  tickJoining(ctx, st);
  tickExchange(ctx, st);
  tickMemory(ctx, st);
  tickConvictions(ctx, st);
  if (st.pool.size > 0) ctx.ready.wake(ctx.now + ctx.timing.offer_ms);
  proveTail(ctx, st);
  trimFacts(st);
}
