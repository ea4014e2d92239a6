/** Handlers that report: `status`, `explain`, `verify`. */

import type { Channel, ChannelStatus } from '../../node/api.js';
import { checkProof } from '../../node/proof-file.js';
import { flag, type Handler, optional, text } from '../io.js';
import { tellVerified } from '../verified.js';
import { type NamedStatus, named } from '../waiting.js';
import { theChannel } from './shared.js';
import { theKnown } from './whom.js';

export const status: Handler = async (node, args, io) => {
  // The store alone knows what was; who is online and leads, only a node that is up.
  const shown = (now: ChannelStatus): ChannelStatus =>
    io.up || now.state === 'removed'
      ? now
      : {
          ...{ ...now, online: [], leader: null, state: 'offline' },
          waiting: now.state === 'offline' ? now.waiting : null,
        };
  const of = (channel: Channel): NamedStatus => named(channel, shown(channel.currentStatus()));
  if (optional(text, args, 'channel') !== undefined) {
    await io.emit({ ...of(theChannel(node, args)) });
    return;
  }
  const channels = node.channels().map(of);
  await io.emit({ user: node.user, name: node.name, up: io.up, channels });
};

export const explain: Handler = async (node, args, io) => {
  const explanations = await theChannel(node, args).explain(text(args, 'id'));
  for (const explanation of explanations) await io.emit({ ...explanation });
};

export const prove: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const wanted = optional(text, args, 'misbehaviour');
  if (wanted !== undefined) {
    const user = theKnown(channel, wanted, node);
    const proof = channel.proveMisbehaviour(user);
    return io.emit({ channel: channel.id, misbehaviour: user, proof });
  }
  const id = text(args, 'id');
  const proof = await channel.prove(id, { text: !flag(args, 'withoutText') });
  const checked = checkProof(proof);
  const showsText = checked.proves === 'final' && checked.text !== undefined;
  await io.emit({ channel: channel.id, id, showsText, proof });
};

export const verify: Handler = async (node, args, io) => {
  const only = optional(text, args, 'channel') === undefined ? undefined : theChannel(node, args);
  const reports = await node.verify(only?.id, (done) =>
    io.progress({ what: 'entries checked', done }),
  );
  // The files are LevelDB's while the node has them open.
  await tellVerified(reports, (report) => io.emit({ ...report, filesChecked: false }));
};
