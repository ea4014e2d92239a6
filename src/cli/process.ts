/**
 * The command line as a process: its streams, the signals that stop it, and
 * its end. A signal is passed on once, to be drained; whatever happens then,
 * the process is gone within 5 s. A second signal ends it at once. SIGHUP is
 * another one only while a command takes it to read its files again.
 */

import { constants } from 'node:os';
import { type Host, Interruption } from './host.js';
import { run } from './run.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Less than the 5 s that are promised. */
const STOP_WITHIN_MS = 4_500;

/** Calls `listener` at each SIGHUP instead of stopping, until what it returns is called. */
export type OnHangup = (listener: () => void) => () => void;

export type MakeHost = (signal: AbortSignal, onHangup: OnHangup) => Host;

export async function main(argv: readonly string[], makeHost: MakeHost): Promise<never> {
  const stop = new AbortController();
  const hangups = new Set<() => void>();
  const onHangup: OnHangup = (listener) => {
    hangups.add(listener);
    return () => hangups.delete(listener);
  };
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (name === 'SIGHUP' && hangups.size > 0 && !stop.signal.aborted) {
        for (const listener of hangups) listener();
        return;
      }
      if (stop.signal.aborted) process.exit(128 + constants.signals[name]);
      stop.abort(new Interruption(name));
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
    });
  }
  process.exit(await run(argv, makeHost(stop.signal, onHangup)));
}
