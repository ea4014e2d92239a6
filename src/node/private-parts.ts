/** What private messages use of their node, and of each other. */

import type { Crypto } from '../core/crypto.js';
import type { Ulid, UserId } from '../core/ids.js';
import type { NodeLog } from './options.js';
import type { NodeParts } from './parts.js';

/** Seals to users and opens what is sealed to this one (sealing.ts). */
export interface Sealing {
  /** The own sealing key as it is shown to others. */
  readonly shown: Uint8Array;
  /** Throws `bad_key`. */
  seal(key: Uint8Array, info: Uint8Array, plain: Uint8Array): Promise<Uint8Array>;
  /** Throws `bad_seal`. */
  open(info: Uint8Array, sealed: Uint8Array): Promise<Uint8Array>;
}

export type PrivateParts = Pick<
  NodeParts,
  'user' | 'store' | 'offline' | 'clock' | 'ulid' | 'links' | 'checkOpen' | 'fail'
> & {
  /** This opening of the store. */
  readonly boot: Ulid;
  readonly crypto: Pick<Crypto, 'sha256' | 'ed25519Verify'>;
  readonly sealing: Sealing;
  readonly log: Pick<NodeLog, 'debug'>;
  /** Whether a channel shows that this user is online. */
  isOnline(user: UserId): boolean;
  /** The user's signature. */
  sign(statement: Uint8Array): Uint8Array;
};

/** The number of the next message in the log, whether it is sent or received. */
export interface Numbers {
  next: number;
}
