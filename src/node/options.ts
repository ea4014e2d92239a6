/** What `openNode` takes, and its defaults. */

import { randomBytes } from 'node:crypto';
import { monotonicFactory } from 'ulid';
import type { Crypto } from '../core/crypto.js';
import type { Ulid } from '../core/ids.js';
import type { Clock } from '../core/input.js';
import { TIMING, type Timing } from '../core/limits.js';
import type { Store } from '../core/store.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { type SealingKey, sealingKey } from './sealing.js';
import { type Connect, connectRelay } from './transport.js';

/** Who a node is: an Ed25519 seed, and the nickname shown to others. */
export interface NodeIdentity {
  /** 32 bytes; keep it secret. */
  readonly seed: Uint8Array;
  readonly name: string;
}

/** A logger in the manner of pino. */
export interface NodeLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Counts of what the node does, for whoever watches it. */
export interface NodeMetrics {
  count(name: 'refused' | 'steps' | 'sync_writes' | 'dropped', by: number): void;
}

export interface NodeOptions {
  readonly store: Store | (() => Promise<Store>);
  readonly identity: NodeIdentity;
  readonly log?: NodeLog;
  readonly metrics?: NodeMetrics;
  /** Opens the store alone: no relay is contacted, nothing can be sent. */
  readonly offline?: boolean;
  /** Joins channels as a member that stores, acknowledges and serves, and holds no key: it never reads. */
  readonly archive?: boolean;
  /**
   * What becomes of a member that a proof of misbehaviour convicts, where this node's user manages the channel: it is
   * shown in `status` (the default), or removed too.
   */
  readonly misbehaviour?: 'show' | 'remove';
  readonly crypto?: Crypto;
  readonly timing?: Partial<Timing>;
  readonly clock?: () => Clock;
  readonly random?: (bytes: number) => Uint8Array;
  readonly connect?: Connect;
  /** Relay addresses that this node alone uses instead of those with the same key. Not stored. */
  readonly relays?: readonly string[];
  /** Registration tokens of relays, by the relay's key in hex. Not stored, and only a proof of one is sent. */
  readonly relayTokens?: { readonly [relayKey: string]: string };
}

export type FullOptions = Required<Omit<NodeOptions, 'store' | 'metrics'>> & {
  readonly store: Store;
  readonly metrics: NodeMetrics;
  readonly uniform: () => number;
  readonly ulid: (wall: number) => Ulid;
  readonly timing: Timing;
  /** To which channel keys are sealed for this identity. */
  readonly sealing: SealingKey;
};

const silent: NodeLog = { debug: () => {}, info: () => {}, warn: () => {} };

export async function completeOptions(o: NodeOptions): Promise<FullOptions> {
  const random = o.random ?? ((n: number) => new Uint8Array(randomBytes(n)));
  const uniform = (): number => {
    const b = random(6);
    let value = 0;
    for (const byte of b) value = value * 256 + byte;
    return value / 2 ** 48;
  };
  const nextUlid = monotonicFactory(uniform);
  const crypto = o.crypto ?? nativeCrypto;
  return {
    store: typeof o.store === 'function' ? await o.store() : o.store,
    identity: o.identity,
    log: o.log ?? silent,
    metrics: o.metrics ?? { count: () => {} },
    offline: o.offline ?? false,
    archive: o.archive ?? false,
    misbehaviour: o.misbehaviour ?? 'show',
    crypto,
    sealing: await sealingKey(crypto, o.identity.seed),
    timing: { ...TIMING, ...o.timing },
    clock: o.clock ?? (() => ({ now: performance.now(), wall: Date.now() })),
    random,
    connect: o.connect ?? connectRelay,
    relays: o.relays ?? [],
    relayTokens: o.relayTokens ?? {},
    uniform,
    ulid: (wall) => nextUlid(wall) as Ulid,
  };
}
