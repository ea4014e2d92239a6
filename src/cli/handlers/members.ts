/** Handlers of who is in a channel, as what, and under which key: `members`, `leave`, `remove`, `role`, `replace`, `recover`, `recovery-key`, `rotate`. */

import type { Channel } from '../../node/api.js';
import { type Args, flag, type Handler, type Io, oneOf, optional, text } from '../io.js';
import { saying, theChannel, why, withTimeout } from './shared.js';
import { theMember } from './whom.js';

export const members: Handler = async (node, args, io) => {
  for (const member of theChannel(node, args).members.list()) {
    const { user, name, role, archive, online, leads, recoverable, replaces } = member;
    await io.emit({
      ...{ user, name, role, ...(archive && { archive }) },
      ...{ online: io.up && online, leads: io.up ? leads : null },
      ...(recoverable && { recoverable }),
      ...(replaces && { replaces }),
    });
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

export const replace: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const { user, name } = theMember(channel, text(args, 'user'), node);
  const request = text(args, 'request');
  await change(io, args, channel, async (signal) => {
    const invite = await channel.members.replace(user, request, { signal });
    await io.emit({ channel: channel.id, user, name, invite });
  });
};

/** Needs no channel here: the new key's node is in none yet. */
export const recover: Handler = async (node, args, io) => {
  const recovery = optional(text, args, 'recovery');
  const asked = { channel: text(args, 'channel'), user: text(args, 'user') };
  const request = node.requestReplacement({
    ...asked,
    ...(recovery !== undefined && { recovery }),
    ...(flag(args, 'archive') && { archive: true }),
  });
  await io.emit({ request });
};

export const recoveryKey: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const key = text(args, 'key');
  const previous = optional(text, args, 'previous');
  await change(io, args, channel, (signal) =>
    channel.members.setRecoveryKey(key, { signal, ...(previous !== undefined && { previous }) }),
  );
  await io.emit({ channel: channel.id, key });
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
