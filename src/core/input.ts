/** What a machine is stepped with: the time, and all that happened since (docs/ARCHITECTURE.md, "The core"). */

import type { Point } from './chain.js';
import type { ChannelState, Wish } from './channel-state.js';
import type { SelfInput, Submit } from './effects.js';
import type { ChannelId, Millis, SealingPublic, UserId } from './ids.js';
import type { Inspection } from './inspect.js';
import type { StoredGenesis } from './layout.js';
import type { LinkId } from './presence.js';

export interface Clock {
  /** Monotonic, ms. */
  readonly now: Millis;
  /** Wall clock, ms since 1970. */
  readonly wall: number;
}

export type Input =
  | { readonly type: 'link-up'; readonly link: LinkId; readonly relay: UserId }
  | { readonly type: 'link-down'; readonly link: LinkId }
  | { readonly type: 'message'; readonly link: LinkId; readonly inspection: Inspection }
  | Submit
  | {
      readonly type: 'wish';
      readonly channel: ChannelId;
      readonly token: number;
      readonly make: Wish['make'];
    }
  | { readonly type: 'open'; readonly state: ChannelState }
  | { readonly type: 'create'; readonly token: number; readonly genesis: StoredGenesis }
  | {
      readonly type: 'join';
      readonly token: number;
      readonly channel: ChannelId;
      readonly name: string;
      readonly invite: UserId;
      readonly nickname: string;
      /** This node's; null for one that stores and never reads. */
      readonly sealing: SealingPublic | null;
      readonly pinned: Point;
      readonly relays: readonly string[];
    }
  /** The channel's name, as relays may have it: encrypted. */
  | { readonly type: 'name'; readonly channel: ChannelId; readonly name: Uint8Array }
  | { readonly type: 'stop-join'; readonly channel: ChannelId }
  /** Forgets a wish; a record that left already may still come into force. */
  | { readonly type: 'stop-wish'; readonly channel: ChannelId; readonly token: number }
  | SelfInput;
