/** Handlers of who is in a channel, as what, and under which key: `members`, `leave`, `remove`, `role`, `rotate`. */

import { ConclaveError } from '../../core/errors.js';
import type { Channel, MemberInfo, Node } from '../../node/api.js';
import { type Args, type Handler, type Io, oneOf, text } from '../io.js';
import { saying, theChannel, why, withTimeout } from './shared.js';

const HEX_32 = /^[0-9a-f]{64}$/;
/** The beginning of an id: shorter ones fit somebody by chance. */
const PREFIX = /^[0-9a-f]{4,63}$/;
const SHOWN_CHARS = 16;
const SHOWN_MAX = 5;

export const members: Handler = async (node, args, io) => {
  for (const { user, name, role, online, leads } of theChannel(node, args).members.list()) {
    await io.emit({ user, name, role, online: io.up && online, leads: io.up ? leads : null });
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

/** Whom a text names: a whole id, or where only one member fits, its name or the beginning of its id. */
function theMember(
  channel: Channel,
  wanted: string,
  { user: self }: Node,
): Pick<MemberInfo, 'user' | 'name'> {
  const all = channel.members.list();
  // A whole id is nobody else's name.
  const exact = all.filter(({ user }) => user === wanted);
  const fits =
    exact.length > 0
      ? exact
      : all.filter(({ user, name }) => name === wanted || isPrefix(wanted, user));
  if (fits.length === 1) return fits[0]!;
  if (fits.length > 1) {
    const shown = fits.slice(0, SHOWN_MAX).map(({ user, name }) => {
      const own = user === self ? ', this node' : '';
      return `${name} (${user.slice(0, SHOWN_CHARS)}${own})`;
    });
    const more = fits.length > SHOWN_MAX ? `, and ${fits.length - SHOWN_MAX} more` : '';
    throw new ConclaveError(
      'ambiguous_user',
      `${fits.length} members fit "${wanted}": ${shown.join(', ')}${more}. Give more of the id`,
    );
  }
  // One who left can still be kept out.
  if (HEX_32.test(wanted)) return { user: wanted as MemberInfo['user'], name: '' };
  throw new ConclaveError(
    'not_member',
    `no member of the channel fits "${wanted}": "conclave members" shows who is in it`,
  );
}

const isPrefix = (wanted: string, user: string): boolean =>
  PREFIX.test(wanted) && user.startsWith(wanted);
