/** Where a channel's commands go: to all members, or to one user, over the fewest links. */

import type { ChannelState } from './channel-state.js';
import type { Outgoing } from './commands.js';
import type { Send, StepContext } from './effects.js';
import type { UserId } from './ids.js';
import type { LinkId } from './presence.js';

type Lane = Send[];

export function sendToMembers(
  ctx: StepContext,
  st: ChannelState,
  lane: Lane,
  command: () => Outgoing,
): void {
  const links = linksToMembers(ctx, st);
  if (links.length > 0) lane.push({ links, command });
}

/** The links that together reach all other members that are online. */
export function linksToMembers(ctx: StepContext, st: ChannelState): readonly LinkId[] {
  const others = [...st.roster.members.keys()].filter((u) => u !== ctx.self);
  if (others.length === 0) return [];
  const online = others.filter((u) => ctx.isOnline(u));
  return ctx.linksTo(online.length > 0 ? online : others);
}

export function sendToUser(
  ctx: StepContext,
  lane: Lane,
  user: UserId,
  command: () => Outgoing,
): void {
  lane.push({ links: ctx.linksTo([user]), command });
}
