/** Handlers that read a channel's log: `log`, `tail`, `export`. */

import type { Channel, ChannelEntry, Merged, ReadEvent, ReadOptions } from '../../node/api.js';
import { flag, type Handler, type Io, integer, optional } from '../io.js';
import { isLeading } from '../kinds.js';
import type { Json } from '../output.js';
import { namesOf } from '../waiting.js';
import { theChannel } from './shared.js';

export const log: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const from = optional(integer, args, 'from');
  const limit = optional(integer, args, 'limit');
  const brief = flag(args, 'brief');
  if (limit !== undefined && from === undefined) return lastEntries(channel, io, limit, brief);
  await entries(channel, io, { ...(from !== undefined && { from }) }, { brief, limit });
};

/** The last `limit` entries that are shown, with what is told between them. */
async function lastEntries(channel: Channel, io: Io, limit: number, brief: boolean): Promise<void> {
  for (let span = limit; ; span *= FURTHER_BACK) {
    const from = Math.max(1, channel.currentStatus().final - span + 1);
    const told: ReadEvent[] = [];
    let count = 0;
    for await (const event of channel.read({ from, signal: io.signal })) {
      if (isLeftOut(event, brief)) continue;
      told.push(event);
      if (event.type === 'entry') count += 1;
      while (count > limit) if (told.shift()!.type === 'entry') count -= 1;
    }
    if (count < limit && from > 1) continue;
    for (const event of told) await io.emit(eventObject(event, channel));
    return;
  }
}

/** How much more of the log is looked through where too little of it is shown. */
const FURTHER_BACK = 4;

const isLeftOut = (event: ReadEvent, brief: boolean): boolean =>
  brief && event.type === 'entry' && isLeading(event.entry.kind);

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

interface Told {
  /** Without the entries that people are not shown; they don't count either. */
  readonly brief?: boolean;
  /** No more than so many entries. */
  readonly limit?: number | undefined;
}

async function entries(
  channel: Channel,
  io: Io,
  options: ReadOptions,
  { brief = false, limit }: Told = {},
): Promise<void> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const event of channel.read({ ...options, signal: io.signal })) {
    if (isLeftOut(event, brief)) continue;
    if (event.type === 'entry') left -= 1;
    await io.emit(eventObject(event, channel));
    if (left === 0) return;
  }
}

function eventObject(event: ReadEvent, channel: Channel): Json {
  switch (event.type) {
    case 'entry':
      return entryObject(event.entry, channel);
    case 'opened':
      return { event: 'opened', ...entryObject(event.entry, channel) };
    case 'moved':
      return { event: 'moved', id: event.entry.id, after: event.after?.id ?? null };
    case 'merged': {
      const { seq, by, entries, first, last, branches } = event;
      return { event: 'merged', seq, by, entries, first, last, branches: named(branches, channel) };
    }
    case 'removed':
      return { event: 'removed', ...event.departure };
  }
}

function named(branches: Merged['branches'], channel: Channel): Json[] {
  const nameOf = namesOf(channel);
  return branches.map((one) => ({ ...one, leaderName: nameOf(one.leader) }));
}

function entryObject(entry: ChannelEntry, channel: Channel): Json {
  const { seq, id, from, name, time, state, kind, epoch, text, member, role, merge } = entry;
  const { sealed, plain, disputed, replacement, fromReplacedBy } = entry;
  return {
    ...{ seq, id, from, name, time, state, kind, epoch },
    ...(text !== undefined && { text }),
    ...(sealed && { sealed }),
    ...(plain && { plain }),
    ...(member && { member }),
    ...(role && { role }),
    ...(replacement && { replacement }),
    ...(fromReplacedBy && { fromReplacedBy }),
    ...(disputed && { disputed }),
    ...(merge && { merge: { ...merge, branches: named(merge.branches, channel) } }),
  };
}
