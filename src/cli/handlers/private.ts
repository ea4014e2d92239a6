/** Handlers of private messages: `dm`, `inbox`. */

import type { PrivateMessage } from '../../node/api.js';
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
  await io.emit(messageObject(message));
};

export const inbox: Handler = async (node, args, io) => {
  const user = optional(text, args, 'user');
  const options = { live: flag(args, 'follow'), signal: io.signal };
  const messages = user === undefined ? node.inbox(options) : node.dm(user).read(options);
  for await (const message of messages) await io.emit(messageObject(message));
};

const messageObject = ({ id, from, to, time, state, text }: PrivateMessage): Json => ({
  id,
  from,
  to,
  time,
  state,
  text,
});
