/** What the parts of a node use of it, and of each other, so that none imports the whole. */

import type { Point } from '../core/chain.js';
import type { ChannelState } from '../core/channel-state.js';
import type { Verifier } from '../core/check-proof.js';
import type { Crypto, Hash } from '../core/crypto.js';
import type { ChannelId, Ulid, UserId } from '../core/ids.js';
import type { Clock, Input } from '../core/input.js';
import type { Machine } from '../core/machine.js';
import type { Store } from '../core/store.js';
import type { Bodies, BodiesHost } from './bodies.js';
import type { RelayConnection } from './relay-link.js';
import type { Changes } from './wait.js';

/** What the parts of a node use of it. */
export interface NodeParts {
  readonly user: UserId;
  readonly store: Store;
  readonly hash: Hash;
  readonly crypto: Crypto;
  /** What judges proofs. */
  readonly verifier: Verifier;
  readonly machine: Machine;
  readonly offline: boolean;
  clock(): Clock;
  ulid(wall: number): Ulid;
  random(bytes: number): Uint8Array;
  publicKey(seed: Uint8Array): UserId;
  links(): Iterable<RelayConnection>;
  linkTo(key: string | undefined): RelayConnection | undefined;
  overrideRelay(url: string): Promise<void>;
  /** Throws unless something can be sent: `offline`, `closed`, or what stopped the node. */
  checkOpen(): void;
  /**
   * Gives the core an input under a fresh token; settles when the core says
   * done or failed. `stop` tells the core that nobody waits any longer.
   */
  request(
    input: (token: number) => Input,
    signal?: AbortSignal,
    stop?: (token: number) => Input,
  ): Promise<void>;
  /** Gives the core an input that it does not answer. */
  input(input: Input): void;
  fail(error: unknown): void;
}

/** What a channel needs of the node that it is in. */
export type ChannelHost = Pick<
  NodeParts,
  | 'user'
  | 'store'
  | 'hash'
  | 'crypto'
  | 'verifier'
  | 'machine'
  | 'offline'
  | 'clock'
  | 'ulid'
  | 'random'
  | 'publicKey'
> &
  Pick<NodeParts, 'input' | 'fail' | 'overrideRelay' | 'request'> & {
    /** Whether who misbehaved is removed, where this node's user may. */
    readonly removesMisbehaving: boolean;
    warn(fields: object, message: string): void;
    /** What encrypts and opens a channel's bodies. */
    bodiesOf(host: BodiesHost): Bodies;
    linkTo(key: string | undefined): Pick<RelayConnection, 'connected' | 'problem'> | undefined;
  };

/** What a reader sees of a channel. */
export interface ReadableChannel {
  readonly id: ChannelId;
  /** Whose node this is. */
  readonly user: UserId;
  readonly state: ChannelState;
  /** The final point as the store holds it; the core may be ahead of its disk for a moment. */
  readonly final: Point;
  readonly changes: Changes;
  readonly bodies: Pick<Bodies, 'ready' | 'learnOf' | 'isNews' | 'has' | 'open'>;
  /** ms of a clock that never goes back. */
  now(): number;
}
