/** What several handlers need: which channel is meant, deadlines, and saying what is waited for. */

import { setTimeout as sleep } from 'node:timers/promises';
import { ConclaveError } from '../../core/errors.js';
import type { Channel, Node } from '../../node/api.js';
import { channelNamed } from '../../node/channel-named.js';
import { type Args, type Io, optional, seconds, text } from '../io.js';
import { departureText, named, waitingFor } from '../waiting.js';

/** A wait that is over sooner is not worth a word. */
const QUIET_MS = 3_000;

/** The channel that `args.channel` names. Throws `no_channel` and `ambiguous`. */
export const theChannel = (node: Node, args: Args): Channel =>
  channelNamed(node.channels(), text(args, 'channel'));

/** Runs `work` until it is done, or for `args.timeout` seconds: then throws `timeout`. */
export async function withTimeout<T>(
  io: Io,
  args: Args,
  /** What it means, and why it was so, as far as that is known by then. */
  consequence: () => string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit_s = optional(seconds, args, 'timeout');
  if (limit_s === undefined) return work(io.signal);
  const timer = AbortSignal.timeout(limit_s * 1_000);
  // Asked before the work ends, while the node still seeks what was missing.
  let told = '';
  timer.addEventListener('abort', () => {
    told = consequence();
  });
  try {
    return await work(AbortSignal.any([io.signal, timer]));
  } catch (error) {
    if (!timer.aborted || io.signal.aborted) throw error;
    throw timeoutError(limit_s, told, error);
  }
}

/** `(no relay answers: …)`, for a text that says what was not done in time. */
export function why(channel: Channel): string {
  const reason = waitingFor(named(channel));
  return reason === undefined ? '' : ` (${reason})`;
}

export const timeoutError = (
  limit_s: number,
  consequence: string,
  cause?: unknown,
): ConclaveError =>
  new ConclaveError('timeout', `not done after ${limit_s} s: ${consequence}`, {
    retryable: true,
    cause,
  });

/** Awaits `work`; when that takes a while, `explain` says why, until it is done. */
export async function explaining<T>(
  io: Io,
  explain: (signal: AbortSignal) => Promise<void>,
  work: Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const signal = AbortSignal.any([io.signal, over.signal]);
  sleep(QUIET_MS, undefined, { signal, ref: false })
    .then(() => explain(signal))
    .catch(() => {});
  try {
    return await work;
  } finally {
    over.abort();
  }
}

/** Awaits `work`; when that takes a while, says what the channel waits for. An error says how this node was removed. */
export async function saying<T>(io: Io, channel: Channel, work: Promise<T>): Promise<T> {
  const explain = async (signal: AbortSignal): Promise<void> => {
    for await (const status of channel.status({ signal })) {
      const reason = waitingFor(named(channel, status));
      if (reason !== undefined) io.progress({ waiting: reason });
    }
  };
  try {
    return await explaining(io, explain, work);
  } catch (error) {
    const { departure } = channel.currentStatus();
    const isOut = error instanceof ConclaveError && error.code === 'removed';
    if (!isOut || !departure) throw error;
    throw new ConclaveError('removed', `${error.message}: ${departureText(departure)}`, {
      cause: error,
    });
  }
}
