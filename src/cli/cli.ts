/** What every command has at hand, and how those that need the node run. */

import type { Logger } from 'pino';
import { advising } from './begin-anew.js';
import { asConclaveError, interruptionOf, isAbort } from './errors.js';
import type { Host } from './host.js';
import type { Human } from './human.js';
import type { Args } from './io.js';
import type { Json, Output } from './output.js';
import type { Passphrase } from './passphrase.js';
import { openSession, type Session } from './session.js';

export interface Cli {
  readonly host: Host;
  readonly out: Output;
  /** The host's signal, and aborted too when the reader of stdout is gone. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Of the identity, as the command was given it. */
  passphrase: Passphrase;
  /** The exit code of a command that did not fail. */
  exitCode: number;
}

export interface NodeCall {
  readonly dir: string;
  readonly name: string;
  readonly args: Args;
  /** Whether it needs the relays, when no node is up on the directory. */
  readonly links: boolean;
  readonly human: Human;
  /** Looks at each result. */
  readonly seen?: (result: Json) => void;
  readonly input?: AsyncIterable<unknown>;
  /** Runs until it is stopped: then a signal is its proper end. */
  readonly endless?: boolean;
}

export async function withSession(
  cli: Cli,
  options: { readonly dir: string; readonly links: boolean },
  work: (session: Session) => Promise<void>,
): Promise<void> {
  await advising(options.dir, async () => {
    const { log, passphrase, out } = cli;
    const session = await openSession(cli.host, { ...options, log, passphrase, warn: out.note });
    try {
      await work(session);
    } finally {
      await session.close();
    }
  });
}

/** Runs a handler, here or in `conclave up`, and shows its results. */
export async function callNode(cli: Cli, call: NodeCall): Promise<void> {
  const { dir, links, name, args, human, seen, input, endless = false } = call;
  const { out, signal } = cli;
  try {
    await withSession(cli, { dir, links }, (session) =>
      session.call(name, args, {
        async emit(result) {
          seen?.(result);
          await out.result(result, out.json ? undefined : human(result, out.paint));
        },
        progress: out.progress,
        signal,
        ...(input && { input }),
      }),
    );
  } catch (error) {
    if (!(endless && interruptionOf(signal) && isAbort(asConclaveError(error)))) throw error;
  }
}
