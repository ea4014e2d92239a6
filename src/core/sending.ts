/** Where a channel's commands go: to all members, or to one user, over the fewest links. */

import type { ChannelState } from './channel-state.js';
import type { Outgoing } from './commands.js';
import type { Send, StepContext } from './effects.js';
import type { UserId } from './ids.js';

type Lane = Send[];

export function sendToMembers(
  ctx: StepContext,
  st: ChannelState,
  lane: Lane,
  command: () => Outgoing,
): void {
  const others = [...st.roster.members.keys()].filter((u) => u !== ctx.self);
  if (others.length === 0) return;
  const online = others.filter((u) => ctx.isOnline(u));
  lane.push({ links: ctx.linksTo(online.length > 0 ? online : others), command });
}

export function sendToUser(
  ctx: StepContext,
  lane: Lane,
  user: UserId,
  command: () => Outgoing,
): void {
  lane.push({ links: ctx.linksTo([user]), command });
}
