/**
 * `send`: one message, or a stream of them, pipelined. Results come in the
 * order of the input, each as soon as its message and those before it have
 * reached the state asked for. Whatever ends it early, what was read is in the
 * store and goes out later.
 */

import { ConclaveError } from '../../core/errors.js';
import type { Channel, Progress, Sending } from '../../node/api.js';
import { type Args, type Handler, type Io, oneOf, optional, seconds, text } from '../io.js';
import { mapInOrder, type Window } from '../pipeline.js';
import { saying, theChannel, timeoutError, waitingFor } from './shared.js';

/** What may be under way, short of the state asked for: well below what a node's outbox takes. */
const WINDOW: Window<unknown> = {
  items: 4_096,
  bytes: 4_194_304,
  bytesOf: (message) => (typeof message === 'string' ? Buffer.byteLength(message) : 0),
};

export const send: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  await saying(io, channel, sendAll(channel, args, io));
};

async function sendAll(channel: Channel, args: Args, io: Io): Promise<void> {
  const until = oneOf(args, 'until', 'committed', 'final');
  const limit_s = optional(seconds, args, 'timeout');
  const stored = new Set<Promise<void>>();

  const start = async (message: unknown): Promise<Progress> => {
    if (typeof message !== 'string') throw new ConclaveError('bad_request', 'a message is a text');
    const sending = channel.send(message);
    const kept = sending.stored.finally(() => stored.delete(kept));
    kept.catch(() => {});
    stored.add(kept);
    const reached = sending.until(until);
    return limit_s === undefined ? reached : inTime(reached, limit_s, until, channel);
  };
  try {
    for await (const { id, state, seq } of mapInOrder(
      messages(args, io),
      WINDOW,
      io.signal,
      start,
    )) {
      await io.emit({ id, state, seq });
    }
  } finally {
    await Promise.allSettled(stored);
  }
}

async function* messages(args: Args, io: Io): AsyncGenerator<unknown> {
  const one = optional(text, args, 'text');
  if (one === undefined) yield* io.input();
  else yield one;
}

async function inTime(
  reached: ReturnType<Sending['until']>,
  limit_s: number,
  until: string,
  channel: Channel,
): Promise<Progress> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const reason = waitingFor(channel.currentStatus());
      const why = reason === undefined ? '' : ` (${reason})`;
      const kept = 'It stays queued, with those after it, and goes out while "conclave up" runs';
      reject(timeoutError(limit_s, `a message is not ${until} yet${why}. ${kept}`));
    }, limit_s * 1_000);
  });
  try {
    return await Promise.race([reached, late]);
  } finally {
    clearTimeout(timer);
  }
}
