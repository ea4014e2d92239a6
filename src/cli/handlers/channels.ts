/** Handlers that make and change channels: `create`, `invite`, `join`, `relays`. */

import type { InviteOptions } from '../../node/api.js';
import { type Handler, integer, oneOf, optional, text, texts } from '../io.js';
import { explaining, saying, theChannel, withTimeout } from './shared.js';

export const create: Handler = async (node, args, io) => {
  const minOnline = optional(integer, args, 'minOnline');
  const quorum = optional((all, name) => oneOf(all, name, 'online', 'roster'), args, 'quorum');
  const channel = await node.create({
    name: text(args, 'name'),
    relays: texts(args, 'relays'),
    ...(minOnline !== undefined && { minOnline }),
    ...(quorum !== undefined && { quorum }),
    signal: io.signal,
  });
  await io.emit({ channel: channel.id });
};

export const invite: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const uses = optional(integer, args, 'uses');
  const expires = optional(integer, args, 'expires');
  const options = {
    ...(uses !== undefined && { uses }),
    ...(expires !== undefined && { expires }),
  };
  const revoked = optional(text, args, 'revoke');
  const consequence = 'the change may still come into force later, look at "conclave status"';
  await withTimeout(io, args, consequence, async (signal) => {
    const asked: InviteOptions = { ...options, signal };
    if (revoked === undefined) {
      const made = await saying(io, channel, channel.members.invite(asked));
      await io.emit({ invite: made });
    } else {
      await saying(io, channel, channel.members.revoke(revoked, { signal }));
      await io.emit({ revoked });
    }
  });
};

export const join: Handler = async (node, args, io) => {
  const consequence = 'no member admitted this node. Run the same command again while one is up';
  const invitation = text(args, 'invite');
  const relays = texts(args, 'relays');
  const explain = async (): Promise<void> =>
    io.progress({ waiting: 'a member that is up must admit this node' });
  const channel = await withTimeout(io, args, consequence, (signal) =>
    explaining(
      io,
      explain,
      node.join(invitation, { signal, ...(relays.length > 0 && { relays }) }),
    ),
  );
  await io.emit({ channel: channel.id });
};

export const relays: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  for (const url of texts(args, 'overrides')) await channel.relays.override(url);
  const action = optional((all, name) => oneOf(all, name, 'add', 'remove'), args, 'action');
  if (action) {
    const url = text(args, 'url');
    const consequence = 'the change may still come into force later; run "conclave relays" to see';
    await withTimeout(io, args, consequence, (signal) =>
      saying(io, channel, channel.relays[action](url, { signal })),
    );
  }
  for (const relay of channel.relays.list()) {
    await io.emit({ url: relay.url, connected: relay.connected });
  }
};
