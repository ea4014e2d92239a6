/**
 * The key of one message, for a proof that shows its text (docs/PROTOCOL.md,
 * section "Portable proofs"): of the keys that the log gives this node, and
 * without giving any of them away.
 */

import type { ChannelId } from '../core/ids.js';
import { type ChannelRecord, KEY_EPOCH_SEALED } from '../core/record.js';
import type { Store } from '../core/store.js';
import { keyIdOf, messageKeyOf } from './channel-cipher.js';
import { KeyLog } from './key-log.js';
import { Keyring } from './keyring.js';
import type { Opener } from './keys-record.js';

export interface DisclosureOptions {
  readonly channel: ChannelId;
  readonly store: Store;
  readonly opener: () => Opener;
  /** Up to where the log is final on disk. */
  readonly finalSeq: number;
}

/** Undefined of a record that is no encrypted message, and of one that this node has no key for. */
export async function messageKeyFor(
  { channel, store, opener, finalSeq }: DisclosureOptions,
  record: ChannelRecord,
): Promise<Uint8Array | undefined> {
  const isSealed = record.kind === 'message' && record.keyEpoch === KEY_EPOCH_SEALED;
  const id = isSealed ? keyIdOf(record.body) : undefined;
  if (id === undefined) return undefined;
  const by = opener();
  const ring = new Keyring(by);
  const keys = new KeyLog(channel, store).load(by.crypto.sha256, finalSeq, false);
  for await (const { record: made, seq } of keys) await ring.learn(made, seq);
  const key = ring.get(id);
  return key && messageKeyOf(key, record);
}
