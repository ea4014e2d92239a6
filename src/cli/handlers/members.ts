/** Handlers of who is in a channel, as what, and under which key: `members`, `leave`, `remove`, `role`, `rotate`. */

import type { Channel } from '../../node/api.js';
import { type Args, type Handler, type Io, oneOf, text } from '../io.js';
import { saying, theChannel, why, withTimeout } from './shared.js';
import { theMember } from './whom.js';

export const members: Handler = async (node, args, io) => {
  for (const member of theChannel(node, args).members.list()) {
    const { user, name, role, archive, online, leads } = member;
    const now = { online: io.up && online, leads: io.up ? leads : null };
    await io.emit({ user, name, role, ...(archive && { archive }), ...now });
  }
};

export const leave: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  await change(io, args, channel, (signal) => channel.leave({ signal }));
  await io.emit({ channel: channel.id });
};

export const remove: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const { user, name } = theMember(channel, text(args, 'user'), node);
  await change(io, args, channel, (signal) => channel.members.remove(user, { signal }));
  await io.emit({ channel: channel.id, user, name });
};

export const role: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const { user, name } = theMember(channel, text(args, 'user'), node);
  const given = oneOf(args, 'role', 'admin', 'member');
  await change(io, args, channel, (signal) => channel.members.setRole(user, given, { signal }));
  await io.emit({ channel: channel.id, user, name, role: given });
};

export const rotate: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  await change(io, args, channel, (signal) => channel.rotateKey({ signal }));
  await io.emit({ channel: channel.id });
};

function change(
  io: Io,
  args: Args,
  channel: Channel,
  make: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const consequence = (): string =>
    `the change may still come into force later; run "conclave members" to see${why(channel)}`;
  return withTimeout(io, args, consequence, (signal) => saying(io, channel, make(signal)));
}
