/**
 * The questions of a member that is behind: one at a time. What is not answered
 * for `pull_ms` is asked again, in turn of another member and of the first.
 */

import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import type { Digest, UserId } from './ids.js';
import { LOCATORS_MAX, WANT_DIGESTS_MAX } from './limits.js';
import { sendToUser } from './sending.js';

/** `user`, unless it left the last question unanswered: then another member that is online. */
function whomToAsk(ctx: StepContext, st: ChannelState, user: UserId): UserId {
  if (st.pull?.to !== user) return user;
  const others = [...st.roster.members.keys()].filter(
    (other) => other !== user && other !== ctx.self && ctx.isOnline(other),
  );
  return others[Math.floor(ctx.random() * others.length)] ?? user;
}

/** Asks `user` for what follows this node's log, and its leader for what follows in its branch; one question at a time. */
export function pullFrom(ctx: StepContext, st: ChannelState, user: UserId): void {
  if (user === ctx.self) return;
  // Who is no member yet asks with its next request to join.
  if (!st.roster.members.has(ctx.self)) return;
  if (st.pull && ctx.now - st.pull.at < ctx.timing.pull_ms) return;
  const to = whomToAsk(ctx, st, user);
  st.pull = { to, at: ctx.now };
  const anchor = st.log.locators(LOCATORS_MAX);
  const lead = st.leadership;
  const branch = lead?.epoch.leader === to ? lead.branch : null;
  const at = branch && { epoch: branch.id, seq: branch.tip.seq };
  sendToUser(ctx, ctx.ready.early, to, () => ({
    name: 'CH_PULL',
    payload: {
      id: st.id,
      from: ctx.self,
      to,
      anchor,
      want: [],
      ...(at ? { take: at } : {}),
    },
  }));
}

/**
 * Asks who refused this candidate for the log that is better than its own. Who
 * was asked before, and brought nothing, may be unable to prove its log: it is
 * left to chance whether it is asked again, or another that refuses too.
 */
export function askForTail(ctx: StepContext, st: ChannelState, user: UserId): void {
  if (st.pull && ctx.now - st.pull.at < ctx.timing.pull_ms) return;
  const { tip } = st.log;
  const known = st.tailAsked?.tip === tip.hash ? st.tailAsked.users : new Set<UserId>();
  if (known.has(user)) {
    if (ctx.random() < 0.5) return;
    known.clear();
  }
  st.tailAsked = { tip: tip.hash, users: known.add(user) };
  st.pull = { to: user, at: ctx.now };
  const anchor = st.log.locators(LOCATORS_MAX);
  sendToUser(ctx, ctx.ready.early, user, () => ({
    name: 'CH_PULL',
    payload: { id: st.id, from: ctx.self, to: user, anchor, want: [], tail: true },
  }));
}

/** Asks `user` for records by digest. */
export function askFor(ctx: StepContext, st: ChannelState, user: UserId, digests: Digest[]): void {
  if (user === ctx.self) return;
  if (st.pull && ctx.now - st.pull.at < ctx.timing.pull_ms) return;
  const to = whomToAsk(ctx, st, user);
  st.pull = { to, at: ctx.now };
  const want = digests.slice(0, WANT_DIGESTS_MAX);
  sendToUser(ctx, ctx.ready.early, to, () => ({
    name: 'CH_PULL',
    payload: { id: st.id, from: ctx.self, to, anchor: [], want },
  }));
}
