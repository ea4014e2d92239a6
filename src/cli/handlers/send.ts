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
import { notFinal } from '../waiting.js';
import { saying, theChannel, timeoutError, why } from './shared.js';

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
    return limit_s === undefined ? sending.until(until) : inTime(sending, limit_s, until, channel);
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
  sending: Sending,
  limit_s: number,
  until: 'committed' | 'final',
  channel: Channel,
): Promise<Progress> {
  const timer = AbortSignal.timeout(limit_s * 1_000);
  try {
    return await sending.until(until, { signal: timer });
  } catch (error) {
    if (!timer.aborted) throw error;
    const reason = await reasonOf(sending, channel);
    const kept =
      sending.state === 'committed'
        ? 'It goes on to be final while "conclave up" runs'
        : 'It stays queued, with those after it, and goes out while "conclave up" runs';
    throw timeoutError(
      limit_s,
      `the message is ${sending.state}, not ${until} yet${reason}. ${kept}`,
    );
  }
}

/** Of what has a place, `explain` knows more than the channel's status. */
async function reasonOf({ id, state }: Sending, channel: Channel): Promise<string> {
  if (state === 'queued') return why(channel);
  const explanations = await channel.explain(id).catch(() => []);
  const waits = explanations.find((one) => one.waits !== null)?.waits;
  const side = notFinal(channel.currentStatus());
  return waits ? ` (it waits ${waits}${side ? `; ${side}` : ''})` : why(channel);
}
