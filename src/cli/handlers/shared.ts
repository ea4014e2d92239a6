/** What several handlers need: which channel is meant, deadlines, and saying what is waited for. */

import { setTimeout as sleep } from 'node:timers/promises';
import { ConclaveError } from '../../core/errors.js';
import type { Channel, Node } from '../../node/api.js';
import { type Args, type Io, optional, seconds, text } from '../io.js';
import { named, waitingFor } from '../waiting.js';

const HEX_32 = /^[0-9a-f]{64}$/;
/** A wait that is over sooner is not worth a word. */
const QUIET_MS = 3_000;

/** The channel `args.channel` names, by its id or, where only one has it, by its name. */
export function theChannel(node: Node, args: Args): Channel {
  const wanted = text(args, 'channel');
  if (HEX_32.test(wanted)) return node.channel(wanted);
  const named = node.channels().filter((channel) => channel.name === wanted);
  if (named.length === 1) return named[0]!;
  if (named.length > 1) {
    throw new ConclaveError(
      'ambiguous',
      `${named.length} channels are called "${wanted}": give the id, as "conclave status" shows it`,
    );
  }
  throw new ConclaveError(
    'no_channel',
    `there is no channel "${wanted}" here: "conclave status" lists the channels of this node`,
  );
}

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

/** Awaits `work`; when that takes a while, says what the channel waits for. */
export function saying<T>(io: Io, channel: Channel, work: Promise<T>): Promise<T> {
  const explain = async (signal: AbortSignal): Promise<void> => {
    for await (const status of channel.status({ signal })) {
      const reason = waitingFor(named(channel, status));
      if (reason !== undefined) io.progress({ waiting: reason });
    }
  };
  return explaining(io, explain, work);
}
