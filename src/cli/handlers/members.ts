/** Handlers of who is in a channel, as what, and under which key: `members`, `leave`, `remove`, `role`, `replace`, `recover`, `recovery-key`, `rotate`. */

import { ConclaveError } from '../../core/errors.js';
import { isId } from '../../core/ids.js';
import type { Channel } from '../../node/api.js';
import { usageError } from '../errors.js';
import { type Args, flag, type Handler, type Io, oneOf, optional, text } from '../io.js';
import { saying, theChannel, why, withTimeout } from './shared.js';
import { theKnown, theMember, theRemoved } from './whom.js';

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
  if (!flag(args, 'former')) return;
  for (const one of theChannel(node, args).members.former())
    await io.emit({ ...one, former: true });
};

export const leave: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  await change(io, args, channel, (signal) => channel.leave({ signal }));
  const warnings = tooFew(channel);
  await io.emit({ channel: channel.id, ...(warnings.length > 0 && { warnings }) });
};

export const remove: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const { user, name } = theRemoved(channel, text(args, 'user'), node);
  await change(io, args, channel, (signal) => channel.members.remove(user, { signal }));
  // One that names a user lets in nobody else.
  const invites = channel.members.invites().filter((open) => open.for === undefined);
  const warnings = tooFew(channel);
  await io.emit({
    ...{ channel: channel.id, user, name },
    ...(invites.length > 0 && { invites }),
    ...(warnings.length > 0 && { warnings }),
  });
};

/** What stops a channel for good, whoever is online. */
function tooFew(channel: Channel): string[] {
  const { members, minOnline } = channel.currentStatus();
  if (members >= minOnline) return [];
  const more = minOnline - members;
  const those = members === 1 ? '1 member is left' : `${members} members are left`;
  const needed = more === 1 ? 'another one joins' : `${more} more join`;
  return [
    `${those}, and messages need ${minOnline} online: none is placed until ${needed}. "conclave invite" invites them`,
  ];
}

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

/** Of a channel that this node is in, as under an earlier key, names will do; else nobody is known here yet. */
export const recover: Handler = async (node, args, io) => {
  const recovery = optional(text, args, 'recovery');
  const wanted = text(args, 'channel');
  const user = text(args, 'user');
  const isWhole = isId(wanted);
  if (!isWhole && node.channels().length === 0) noWholeId('channel', wanted, 'conclave status');
  const channel = isWhole
    ? node.channels().find(({ id }) => id === wanted)
    : theChannel(node, args);
  if (!channel && !isId(user)) noWholeId('user', user, 'conclave members');
  const request = node.requestReplacement({
    channel: channel ? channel.id : wanted,
    user: channel ? theKnown(channel, user, node) : user,
    ...(recovery !== undefined && { recovery }),
    ...(flag(args, 'archive') && { archive: true }),
  });
  await io.emit({ request });
};

function noWholeId(what: string, wanted: string, shownBy: string): never {
  throw usageError(
    `"${wanted}" is not the whole id of a ${what}, 64 digits, and this node knows no names yet: ` +
      `"${shownBy}" shows a member the id, and "conclave recovery-key" printed it`,
  );
}

export const recoveryKey: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const key = text(args, 'key');
  const previous = optional(text, args, 'previous');
  const has = channel.members.list().find(({ user }) => user === node.user)?.recoverable === true;
  try {
    await change(io, args, channel, (signal) =>
      channel.members.setRecoveryKey(key, { signal, ...(previous !== undefined && { previous }) }),
    );
  } catch (error) {
    if (!has || !(error instanceof ConclaveError) || error.code !== 'not_allowed') throw error;
    const hint =
      previous === undefined
        ? 'you have one: give its file with --old'
        : 'what --old gives is not the one that you have';
    throw new ConclaveError(error.code, `${error.message}; ${hint}`, { cause: error });
  }
  await io.emit({ channel: channel.id, user: node.user, key });
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
