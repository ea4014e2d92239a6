/** Handlers of private messages: `dm`, `inbox`. */

import type { UserId } from '../../core/ids.js';
import type { Node, PrivateMessage } from '../../node/api.js';
import { flag, type Handler, oneOf, optional, text } from '../io.js';
import type { Json } from '../output.js';
import { withTimeout } from './shared.js';

export const dm: Handler = async (node, args, io) => {
  const until = oneOf(args, 'until', 'sent', 'delivered');
  const sending = node.dm(text(args, 'user')).send(text(args, 'text'));
  const consequence = (): string =>
    `the message is not ${until} yet. It stays queued and goes out while "conclave up" runs`;
  const message = await withTimeout(io, args, consequence, (signal) =>
    sending.until(until, { signal }),
  );
  await io.emit(messageObject(message, node));
};

export const inbox: Handler = async (node, args, io) => {
  const user = optional(text, args, 'user');
  const options = { live: flag(args, 'follow'), signal: io.signal };
  const messages = user === undefined ? node.inbox(options) : node.dm(user).read(options);
  for await (const message of messages) await io.emit(messageObject(message, node));
};

/** With the other one's name, where a channel has it. */
function messageObject({ id, from, to, time, state, text }: PrivateMessage, node: Node): Json {
  const name = nameOf(state === 'received' ? from : to, node);
  return { id, from, to, ...(name && { name }), time, state, text };
}

function nameOf(user: UserId, node: Node): string | undefined {
  for (const channel of node.channels()) {
    const member = channel.members.list().find((one) => one.user === user);
    if (member?.name) return member.name;
  }
  return undefined;
}
