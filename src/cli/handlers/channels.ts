/** Handlers that make and change channels: `create`, `invite`, `join`, `relays`. */

import { setTimeout as sleep } from 'node:timers/promises';
import { ConclaveError } from '../../core/errors.js';
import { MIN_ONLINE_ARCHIVE } from '../../core/limits.js';
import type { Channel, InviteOptions } from '../../node/api.js';
import { flag, type Handler, type Io, integer, oneOf, optional, text, texts } from '../io.js';
import { relayProblem } from '../waiting.js';
import { explaining, saying, theChannel, why, withTimeout } from './shared.js';
import { theInvitee } from './whom.js';

/** How often it is looked whether a relay answers, while one waits. */
const LOOK_MS = 1_000;
/** How long a channel that was just made waits for its relays, to say whether one answers. */
const RELAYS_ANSWER_MS = 2_000;

const NAMESAKE =
  'this node is in another channel of that name: commands for either need the id from now on';

const NEEDS_ARCHIVE =
  'messages need 3 members online until an archive is a member: "conclave invite --archive" invites one';

export const create: Handler = async (node, args, io) => {
  const isNamesake = node.channels().some((channel) => channel.name === args.name);
  const minOnline = optional(integer, args, 'minOnline');
  const few = optional((all, name) => oneOf(all, name, 'archive', 'always'), args, 'few');
  const quorum = optional((all, name) => oneOf(all, name, 'online', 'roster'), args, 'quorum');
  const history = optional((all, name) => oneOf(all, name, 'all', 'joined'), args, 'history');
  const channel = await node.create({
    name: text(args, 'name'),
    relays: texts(args, 'relays'),
    ...(minOnline !== undefined && { minOnline }),
    ...(few !== undefined && { few }),
    ...(quorum !== undefined && { quorum }),
    ...(history !== undefined && { history }),
    signal: io.signal,
  });
  const problem = await relaysAnswer(channel, io);
  const warnings = [
    ...(problem === undefined
      ? []
      : [`${problem}. The channel is made, and goes on once one does`]),
    ...(isNamesake ? [NAMESAKE] : []),
    ...(minOnline === MIN_ONLINE_ARCHIVE && few !== 'always' ? [NEEDS_ARCHIVE] : []),
  ];
  await io.emit({ channel: channel.id, ...(warnings.length > 0 && { warnings }) });
};

/** The channel is made, whatever the relays say; but who made it should know. */
async function relaysAnswer(channel: Channel, { signal }: Io): Promise<string | undefined> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(RELAYS_ANSWER_MS)]);
  try {
    for await (const { relays } of channel.status({ signal: within })) {
      const problem = relayProblem(relays);
      if (problem !== undefined) return problem;
      if (relays.some(({ connected }) => connected)) return undefined;
    }
  } catch (error) {
    if (!within.aborted || signal.aborted) throw error;
  }
  return undefined;
}

export const invite: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const uses = optional(integer, args, 'uses');
  const expires = optional(integer, args, 'expires');
  const wanted = optional(text, args, 'for');
  const user = wanted === undefined ? undefined : theInvitee(channel, wanted, node);
  const options = {
    ...(uses !== undefined && { uses }),
    ...(expires !== undefined && { expires }),
    ...(user !== undefined && { for: user }),
    ...(flag(args, 'archive') && { archive: true }),
  };
  const revoked = optional(text, args, 'revoke');
  const consequence = (): string =>
    `the change may still come into force later, look at "conclave status"${why(channel)}`;
  await withTimeout(io, args, consequence, async (signal) => {
    const asked: InviteOptions = { ...options, signal };
    if (revoked === undefined) {
      const made = await saying(io, channel, channel.members.invite(asked));
      const named = channel.members.former().find((one) => one.user === user);
      await io.emit({ invite: made, ...(user && { for: { user, name: named?.name ?? '' } }) });
    } else {
      const which = theInvite(channel, revoked);
      await saying(io, channel, channel.members.revoke(which, { signal }));
      await io.emit({ revoked });
    }
  });
};

/** The beginning of an open one's id stands for it. */
function theInvite(channel: Channel, wanted: string): string {
  if (!INVITE_ID_PREFIX.test(wanted)) return wanted;
  const fits = channel.members.invites().filter(({ id }) => id.startsWith(wanted));
  if (fits.length === 1) return fits[0]!.id;
  if (fits.length > 1) {
    throw new ConclaveError(
      'ambiguous',
      `${fits.length} invitations fit "${wanted}": give more of the id`,
    );
  }
  throw new ConclaveError(
    'invite_not_open',
    `no open invitation has an id that begins with "${wanted}": "conclave invite --list" shows those that are open`,
  );
}

const INVITE_ID_PREFIX = /^[0-9a-f]{4,63}$/;

export const invites: Handler = async (node, args, io) => {
  for (const open of theChannel(node, args).members.invites()) await io.emit({ ...open });
};

export const join: Handler = async (node, args, io) => {
  const nobody = 'a member that is up must admit this node';
  const reason = (): string => relayProblem(node.relays()) ?? nobody;
  const consequence = (): string =>
    `no member admitted this node (${reason()}). Run the same command again while one is up`;
  const invitation = text(args, 'invite');
  const relays = texts(args, 'relays');
  const archive = flag(args, 'archive');
  const explain = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      io.progress({ waiting: reason() });
      await sleep(LOOK_MS, undefined, { signal, ref: false });
    }
  };
  const channel = await withTimeout(io, args, consequence, (signal) =>
    explaining(
      io,
      explain,
      node.join(invitation, {
        signal,
        ...(relays.length > 0 && { relays }),
        ...(archive && { archive }),
      }),
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
    const consequence = (): string =>
      `the change may still come into force later; run "conclave relays" to see${why(channel)}`;
    await withTimeout(io, args, consequence, (signal) =>
      saying(io, channel, channel.relays[action](url, { signal })),
    );
  }
  for (const relay of channel.relays.list()) {
    const { url, connected, problem } = relay;
    await io.emit({ url, connected, ...(problem && { problem }) });
  }
};
