/**
 * What a channel needs of that which encrypts and opens the bodies of its
 * records (docs/PROTOCOL.md, section "Encryption"), and what that needs of the
 * channel: channel-keys.ts on a real node; the simulator's bodies are plain.
 */

import type { ChannelState } from '../core/channel-state.js';
import type { CoreEvent } from '../core/effects.js';
import type { ChannelId, UserId } from '../core/ids.js';
import type { Input } from '../core/input.js';
import type { ChannelRecord } from '../core/record.js';
import type { Store, StoreOp } from '../core/store.js';
import type { ChannelView } from '../core/view.js';
import type { KeyId } from './channel-cipher.js';
import type { PlainSubmission } from './message-body.js';

export type Also = readonly Required<StoreOp>[];

/** What a record's body is to this node. */
export type Opened =
  | { readonly is: 'open'; readonly body: Uint8Array }
  /** It has not the key, yet; null where no key would help. */
  | { readonly is: 'sealed'; readonly key: KeyId | null }
  /** It came as anyone can read it, against the rule. */
  | { readonly is: 'plain' };

export interface Bodies {
  /** Learns all keys of the log, and of this node's outbox. */
  load(): Promise<void>;
  close(): void;
  onEvent(event: CoreEvent): void;
  /** Resolves once all that is final is learned. */
  ready(): Promise<void>;
  /** Whether `learnOf` would learn anything of a record that is not final. */
  isNews(record: ChannelRecord): boolean;
  learnOf(records: readonly ChannelRecord[]): Promise<void>;
  has(id: KeyId): boolean;
  open(record: ChannelRecord): Opened;
  /** The key of one encrypted message, which gives no other away; undefined where this node has none. */
  messageKey(record: ChannelRecord): Promise<Uint8Array | undefined>;
  /** Gives messages to the core, encrypted, in the order of the calls. */
  submit(submissions: readonly PlainSubmission[], also: Also): Promise<void>;
  /** Makes a new key; resolves once it is final. */
  rotate(signal?: AbortSignal): Promise<void>;
  /**
   * Makes a key where none is for the present readers; resolves once one is final, or at once where
   * nothing can become final now.
   */
  replace(signal?: AbortSignal): Promise<void>;
  /**
   * Resolves once a newcomer can read what the policy gives it of what was written before it came;
   * without, where nobody comes online who could give it the keys, or nobody does so.
   */
  firstKey(signal?: AbortSignal): Promise<void>;
}

/** What they need of the channel. */
export interface BodiesHost {
  readonly id: ChannelId;
  readonly user: UserId;
  readonly store: Pick<Store, 'get' | 'range' | 'write'>;
  /** False where the store is only looked at. */
  readonly mayWrite: boolean;
  state(): ChannelState;
  view(): ChannelView;
  /** ms of a clock that never goes back. */
  now(): number;
  random(bytes: number): Uint8Array;
  /** A submission of this kind, made now. */
  made(kind: string, body: Uint8Array): PlainSubmission;
  request(input: (token: number) => Input): Promise<void>;
  input(input: Input): void;
  /** Something can be read now that could not before. */
  changed(): void;
  /** Resolves with the next change. */
  next(signal: AbortSignal | undefined): Promise<void>;
  failed(error: unknown): void;
}
