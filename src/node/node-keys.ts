/**
 * Where a node keeps what belongs to no channel (docs/ARCHITECTURE.md, "Store"):
 *
 *     node/user               whose store it is: 32 bytes
 *     node/boot               boot id of the last opening
 *     node/boots              the boots before, and how many batches each made durable (core/store-boots.ts)
 *     node/batches            the same of the last boot
 *     node/relay/<key>        this node's own address for that relay: text
 *     node/import/…           importing.ts
 *     node/dm/…               private-log.ts
 *     node/keyed/…            key-log.ts
 */

import { decodeWhole, Writer } from '../core/bytes.js';
import type { ChannelId, UserId } from '../core/ids.js';
import { after, CHANNEL_PREFIX } from '../core/layout.js';
import { RELAY_URL_BYTES_MAX } from '../core/limits.js';
import { channelsIn } from '../core/load.js';
import type { Store } from '../core/store.js';

export const USER_KEY = 'node/user';
export const BOOT_KEY = 'node/boot';
export const OVERRIDES = 'node/relay/';

export const encodeOverride = (url: string): Uint8Array => new Writer(64).text(url).done();
export const decodeOverride = (value: Uint8Array): string =>
  decodeWhole(value, (r) => r.text(RELAY_URL_BYTES_MAX));

export const decodeUser = (value: Uint8Array): UserId => decodeWhole(value, (r) => r.id<UserId>());

/** Every channel in the store. */
export function storedChannels(store: Store): Promise<ChannelId[]> {
  return channelsIn(async (gte) => {
    for await (const [key] of store.range({ gte, lt: after(CHANNEL_PREFIX), limit: 1 })) return key;
    return undefined;
  });
}
