/**
 * What goes into the relay's hub and what comes out of it (hub.ts).
 */

import type { CommandName, Outgoing } from '../core/commands.js';
import type { ConclaveError } from '../core/errors.js';

/** One connection, numbered by the caller and never reused. */
export type PeerId = number;

export interface Now {
  /** Monotonic. */
  readonly ms: number;
  /** Since 1970. */
  readonly wallMs: number;
}

/** A command whose frame was checked. */
export interface Received {
  readonly name: CommandName;
  readonly payload: { readonly [field: string]: unknown };
  /** The payload's bytes, to be forwarded untouched. */
  readonly raw: Uint8Array;
}

export type Effect =
  /** A command of the relay's own, under each receiver's link key. */
  | { readonly type: 'send'; readonly to: readonly PeerId[]; readonly command: Outgoing }
  /** The sender's bytes, under the broadcast key. Equal receivers are the same array. */
  | {
      readonly type: 'forward';
      readonly to: readonly PeerId[];
      readonly name: CommandName;
      readonly raw: Uint8Array;
    }
  /** The hub has forgotten `peer`: tell it why, if there is an error, and end its connection. */
  | { readonly type: 'close'; readonly peer: PeerId; readonly error?: ConclaveError };

export const send = (to: readonly PeerId[], command: Outgoing): Effect => ({
  type: 'send',
  to,
  command,
});
