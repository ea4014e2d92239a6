/** Handlers that read a channel's log: `log`, `tail`, `export`. */

import type { Channel, ChannelEntry, ReadEvent, ReadOptions } from '../../node/api.js';
import { flag, type Handler, type Io, integer, optional } from '../io.js';
import type { Json } from '../output.js';
import { namesOf } from '../waiting.js';
import { theChannel } from './shared.js';

export const log: Handler = async (node, args, io) => {
  const from = optional(integer, args, 'from');
  const limit = optional(integer, args, 'limit');
  await entries(theChannel(node, args), io, {
    ...(from !== undefined && { from }),
    ...(limit !== undefined && { limit }),
  });
};

export const exportEntries: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  await io.emit({ event: 'export', channel: channel.id, name: channel.name });
  await entries(channel, io, {});
};

export const tail: Handler = async (node, args, io) => {
  const from = optional(integer, args, 'from');
  await entries(theChannel(node, args), io, {
    live: flag(args, 'follow'),
    ...(from !== undefined && { from }),
  });
};

async function entries(channel: Channel, io: Io, options: ReadOptions): Promise<void> {
  for await (const event of channel.read({ ...options, signal: io.signal })) {
    await io.emit(eventObject(event, channel));
  }
}

function eventObject(event: ReadEvent, channel: Channel): Json {
  switch (event.type) {
    case 'entry':
      return entryObject(event.entry);
    case 'moved':
      return { event: 'moved', id: event.entry.id, after: event.after?.id ?? null };
    case 'merged': {
      const { seq, by, entries, first, last, branches } = event;
      const nameOf = namesOf(channel);
      const named = branches.map((one) => ({ ...one, leaderName: nameOf(one.leader) }));
      return { event: 'merged', seq, by, entries, first, last, branches: named };
    }
    case 'removed':
      return { event: 'removed' };
  }
}

const entryObject = ({
  seq,
  id,
  from,
  name,
  time,
  state,
  kind,
  epoch,
  text,
  member,
  role,
}: ChannelEntry): Json => ({
  seq,
  id,
  from,
  name,
  time,
  state,
  kind,
  epoch,
  ...(text !== undefined && { text }),
  ...(member && { member }),
  ...(role && { role }),
});
