/**
 * Where a command's handler runs: in `conclave up`, when one is up on the
 * directory, else here, with the store opened for this one command. Another
 * command that has the store open is waited for.
 */

import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ConclaveError } from '../core/errors.js';
import type { Node } from '../node/api.js';
import { advising } from './begin-anew.js';
import { callControl, connectControl } from './control-client.js';
import { aborted } from './errors.js';
import { handlers } from './handlers/index.js';
import type { Host, OpenNode } from './host.js';
import { type Identity, readIdentity } from './identity.js';
import type { Args, CallIo } from './io.js';
import { dangerousModes, describeMode } from './modes.js';
import type { Passphrase } from './passphrase.js';

/** How long another command may hold the store. */
const STORE_WAIT_MS = 5_000;
const STORE_RETRY_MS = 50;
/** How long a one-shot command goes on sending what others may still need from it. */
const DRAIN_MS = 2_000;

export interface Session {
  call(name: string, args: Args, io: CallIo): Promise<void>;
  close(): Promise<void>;
}

/** What it takes to act as the identity in a directory. */
export interface Unlocking {
  readonly dir: string;
  readonly passphrase: Passphrase;
  readonly warn: (text: string) => void;
}

export interface SessionOptions extends Unlocking {
  readonly links: boolean;
  readonly log: Logger;
}

export async function openSession(host: Host, options: SessionOptions): Promise<Session> {
  const { dir, links, log } = options;
  let identity: Identity | undefined;
  return whileLocked(host, async () => {
    const socket = await connectControl(dir);
    if (socket) return remoteSession(socket, dir);
    identity ??= await openIdentity(options);
    return localSession(await host.openNode({ dir, identity, links, relays: [], log }), links);
  });
}

/** Throws like `readIdentity`; warns where others could read what it opens. */
async function openIdentity({ dir, passphrase, warn }: Unlocking): Promise<Identity> {
  for (const loose of await dangerousModes(dir)) warn(`warning: ${describeMode(loose)}`);
  return readIdentity(dir, passphrase);
}

/** Opens the store for `conclave up`. Throws `already_up`. */
export async function openForUp(
  host: Host,
  { passphrase, warn, ...options }: Omit<OpenNode, 'identity'> & Unlocking,
): Promise<Node> {
  const identity = await openIdentity({ ...options, passphrase, warn });
  return whileLocked(host, async () => {
    const socket = await connectControl(options.dir);
    socket?.destroy();
    if (!socket) return advising(options.dir, () => host.openNode({ ...options, identity }));
    throw new ConclaveError(
      'already_up',
      `a node is already up on ${options.dir}: use it, or stop it first`,
    );
  });
}

/** Waits while another command has the store open, for a while. */
export async function whileLocked<T>({ now, signal }: Host, open: () => Promise<T>): Promise<T> {
  const deadline = now() + STORE_WAIT_MS;
  for (;;) {
    if (signal.aborted) throw aborted(signal);
    try {
      return await open();
    } catch (error) {
      const locked = error instanceof ConclaveError && error.code === 'store_locked';
      if (!locked || now() >= deadline) throw error;
    }
    await sleep(STORE_RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

function remoteSession(first: Socket, dir: string): Session {
  let unused: Socket | undefined = first;
  return {
    async call(name, args, io) {
      const socket = unused ?? (await connectControl(dir));
      unused = undefined;
      if (socket) return callControl(socket, name, args, io);
      throw new ConclaveError('node_gone', `the node that was up on ${dir} went away: try again`, {
        retryable: true,
      });
    },
    async close() {
      unused?.destroy();
    },
  };
}

async function* nothing(): AsyncGenerator<unknown> {}

function localSession(node: Node, links: boolean): Session {
  return {
    async call(name, args, { emit, progress, signal, input = nothing() }) {
      const io = { emit, progress, signal, input: () => input, up: false };
      try {
        await handlers[name]!(node, args, io);
      } catch (error) {
        throw signal.aborted ? aborted(signal) : error;
      }
    },
    close: () => node.close({ drainMs: links ? DRAIN_MS : 0 }),
  };
}
