/** The questions of a member that is behind: one at a time, asked again after `pull_ms`. */

import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import type { Digest, UserId } from './ids.js';
import { LOCATORS_MAX, WANT_DIGESTS_MAX } from './limits.js';
import { sendToUser } from './sending.js';

/** Asks `user` for what follows this node's log, and its leader for what follows in its branch; one question at a time. */
export function pullFrom(ctx: StepContext, st: ChannelState, user: UserId): void {
  if (user === ctx.self) return;
  // Who is no member yet asks with its next request to join.
  if (!st.roster.members.has(ctx.self)) return;
  if (st.pull && ctx.now - st.pull.at < ctx.timing.pull_ms) return;
  st.pull = { to: user, at: ctx.now };
  const anchor = st.log.locators(LOCATORS_MAX);
  const lead = st.leadership;
  const branch = lead?.epoch.leader === user ? lead.branch : null;
  const at = branch && { epoch: branch.id, seq: branch.tip.seq };
  sendToUser(ctx, ctx.ready.early, user, () => ({
    name: 'CH_PULL',
    payload: {
      id: st.id,
      from: ctx.self,
      to: user,
      anchor,
      want: [],
      ...(at ? { take: at } : {}),
    },
  }));
}

/** Asks who refused this candidate for the log that is better than its own. */
export function askForTail(ctx: StepContext, st: ChannelState, user: UserId): void {
  if (st.pull && ctx.now - st.pull.at < ctx.timing.pull_ms) return;
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
  st.pull = { to: user, at: ctx.now };
  const want = digests.slice(0, WANT_DIGESTS_MAX);
  sendToUser(ctx, ctx.ready.early, user, () => ({
    name: 'CH_PULL',
    payload: { id: st.id, from: ctx.self, to: user, anchor: [], want },
  }));
}
