/**
 * A channel on a simulated node, for the application on it: the production
 * channel (src/node/channel.ts) over the simulated core and disk. What it does
 * not have is a relay of its own choice, and keys of its own.
 */

import type { Verifier } from '../core/check-proof.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, ulidFromBytes } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { Store } from '../core/store.js';
import type { ReadEvent, ReadOptions } from '../node/api.js';
import { NodeChannel } from '../node/channel.js';
import type { ChannelHost } from '../node/parts.js';
import { aborted } from '../node/wait.js';
import type { Application } from './application.js';
import { plainBodies } from './plain-bodies.js';
import type { Draw } from './prng.js';
import type { HistoryRecorder } from './record-history.js';
import type { SimDisk } from './sim-disk.js';
import type { SimNode } from './sim-node.js';

const notSimulated = (what: string): ConclaveError =>
  new ConclaveError('not_simulated', `the simulator has no ${what}`);

export interface AppChannelOptions {
  readonly node: SimNode;
  readonly channel: ChannelId;
  readonly crypto: Verifier;
  readonly draw: Draw;
  readonly application: Application;
  readonly recorder: HistoryRecorder;
  /** Which of the node's lives this is. */
  readonly life: number;
  /** Whether the node has a link to the relay with this key. */
  readonly isLinked: (relay: string | undefined) => boolean;
  /** Code of the application may run on because of what just happened. */
  readonly onAnswer: () => void;
}

export class AppChannel extends NodeChannel {
  readonly #o: AppChannelOptions;
  #readers = 0;

  constructor(options: AppChannelOptions) {
    super(options.channel, hostOf(options));
    this.#o = options;
  }

  override read(options?: ReadOptions): AsyncIterable<ReadEvent> {
    this.#readers += 1;
    const { node, life, recorder } = this.#o;
    const reader = `${node.index}/${life}/${this.#readers}`;
    return watched(super.read(options), (event) => recorder.shown(node, reader, event));
  }
}

async function* watched<T>(events: AsyncIterable<T>, tell: (event: T) => void): AsyncGenerator<T> {
  for await (const event of events) {
    tell(event);
    yield event;
  }
}

function hostOf(o: AppChannelOptions): ChannelHost {
  const { node, draw, crypto } = o;
  const random = (bytes: number): Uint8Array =>
    Uint8Array.from({ length: bytes }, () => Math.floor(draw() * 256));
  return {
    user: node.user,
    store: storeOf(node.disk),
    hash: crypto.sha256,
    get crypto(): never {
      throw notSimulated('keys that take the place of others');
    },
    verifier: crypto,
    machine: node.machine!,
    offline: false,
    clock: () => node.clock,
    ulid: (wall) => {
      const bytes = random(16);
      new DataView(bytes.buffer).setUint16(0, Math.floor(wall / 0x1_0000_0000));
      new DataView(bytes.buffer).setUint32(2, wall >>> 0);
      return ulidFromBytes(bytes);
    },
    random,
    publicKey: () => {
      throw notSimulated('keys of invitations: the nodes of a run are members from the start');
    },
    linkTo: (key) => ({ connected: o.isLinked(key), problem: undefined }),
    overrideRelay: async () => {
      throw notSimulated('addresses of relays');
    },
    input: (input) => node.input(input),
    fail: (error) => {
      throw error;
    },
    removesMisbehaving: false,
    warn: () => {},
    bodiesOf: plainBodies,
    request: (make, signal, stop) => request(o, make, signal, stop),
  };
}

/** Settles as the same call on a real node does; never, if the node crashes first. */
function request(
  { application, node, onAnswer }: AppChannelOptions,
  make: (token: number) => Input,
  signal?: AbortSignal,
  stop?: (token: number) => Input,
): Promise<void> {
  if (signal?.aborted) return Promise.reject(aborted(signal));
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void): void => {
      signal?.removeEventListener('abort', onAbort);
      settled();
      onAnswer();
    };
    const token = application.request(
      node,
      make,
      () => settle(resolve),
      ({ code, message, retryable }) =>
        settle(() => reject(new ConclaveError(code, message, { retryable }))),
    );
    const onAbort = (): void => {
      application.forget(token);
      if (stop) node.input(stop(token));
      reject(aborted(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** What an application reads of its node's disk; only the core writes there. */
function storeOf(disk: SimDisk): Store {
  return {
    get: async (key) => disk.get(key),
    getMany: async (keys) => keys.map((key) => disk.get(key)),
    async *range({ gte, lt, reverse, limit = Number.POSITIVE_INFINITY }) {
      const pairs = disk.range(gte, lt, reverse ? Number.POSITIVE_INFINITY : limit);
      yield* reverse ? pairs.reverse().slice(0, limit) : pairs;
    },
    write: async () => {
      throw notSimulated('store that an application writes to: use its `storage`');
    },
    close: async () => {},
  };
}
