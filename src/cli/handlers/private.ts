/** Handlers of private messages: `dm`, `inbox`. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { UserId } from '../../core/ids.js';
import type { Node, PrivateMessage, SendingPrivately } from '../../node/api.js';
import { flag, type Handler, type Io, oneOf, optional, text } from '../io.js';
import type { Json } from '../output.js';
import { relayProblem } from '../waiting.js';
import { explaining, withTimeout } from './shared.js';
import { theUser } from './whom.js';

/** How often it is looked why a message waits. */
const LOOK_MS = 500;

export const dm: Handler = async (node, args, io) => {
  const until = oneOf(args, 'until', 'stored', 'sent', 'delivered');
  const sending = node.dm(theUser(node, text(args, 'user'))).send(text(args, 'text'));
  const consequence = (): string =>
    `the message is not ${until} yet (${whyWaits(sending, node)}). It stays queued and goes out while ` +
    '"conclave up" runs';
  const message = await withTimeout(io, args, consequence, (signal) =>
    explaining(io, (over) => saying(io, sending, node, over), sending.until(until, { signal })),
  );
  await io.emit(messageObject(message, node));
};

/** A relay that is not reached hides whether the receiver is there. */
const whyWaits = (sending: SendingPrivately, node: Node): string =>
  relayProblem(node.relays()) ?? sending.waits() ?? 'its receipt has just come';

/** Says why it waits, whenever that is another reason. */
async function saying(
  io: Io,
  sending: SendingPrivately,
  node: Node,
  over: AbortSignal,
): Promise<void> {
  for (
    let said = '';
    !over.aborted;
    await sleep(LOOK_MS, undefined, { signal: over, ref: false })
  ) {
    const waiting = whyWaits(sending, node);
    if (waiting !== said) io.progress({ waiting });
    said = waiting;
  }
}

export const inbox: Handler = async (node, args, io) => {
  const user = optional(text, args, 'user');
  const options = { live: flag(args, 'follow'), signal: io.signal };
  const messages =
    user === undefined ? node.inbox(options) : node.dm(theUser(node, user)).read(options);
  for await (const message of messages) await io.emit(messageObject(message, node));
};

/** With the other one's name, where a channel has it. */
function messageObject({ id, from, to, ...rest }: PrivateMessage, node: Node): Json {
  const name = nameOf(rest.state === 'received' ? from : to, node);
  return { id, from, to, ...(name && { name }), ...rest };
}

function nameOf(user: UserId, node: Node): string | undefined {
  for (const channel of node.channels()) {
    const member = channel.members.list().find((one) => one.user === user);
    if (member?.name) return member.name;
  }
  return undefined;
}
