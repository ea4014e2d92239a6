/**
 * The whole check of a node's directory that nobody has open (docs/PROTOCOL.md,
 * section "Verification"): first the files (check-store.ts), then, if they are
 * whole, every channel (verify.ts) and what the node keeps for itself. Nothing
 * is repaired.
 */

import { decodeWhole } from '../core/bytes.js';
import type { Crypto } from '../core/crypto.js';
import type { UserId } from '../core/ids.js';
import { after, CHANNEL_PREFIX } from '../core/layout.js';
import { channelsIn } from '../core/load.js';
import { pinnedRelayUrl } from '../core/relay-url.js';
import type { Store } from '../core/store.js';
import { nativeCrypto } from '../native/crypto-native.js';
import type { VerifyReport } from './api.js';
import { checkStore } from './check-store.js';
import { openLevelStore } from './level-store.js';
import { BOOT_KEY, OVERRIDES } from './node-keys.js';
import { decodeLogged, PRIVATE_LOG } from './private-log.js';
import { verifyChannel } from './verify.js';

export interface DirectoryReport {
  readonly ok: boolean;
  /** Of the files, and of what belongs to no channel. */
  readonly problems: VerifyReport['problems'];
  /** Empty when the files are damaged: what they hold would not be worth checking. */
  readonly channels: readonly VerifyReport[];
}

export interface VerifyDirectoryOptions {
  /** Whose directory it is; without it the node's own acknowledgements are not verified. */
  readonly user?: UserId;
  readonly crypto?: Crypto;
  readonly onProgress?: (what: 'keys' | 'entries', done: number) => void;
}

/**
 * Verifies the store in `dir`. Rejects when it can't be looked at
 * (`store_locked`, `store_missing`, `store_foreign`, `store_newer`,
 * `store_failed`); damage is what it reports.
 */
export async function verifyDirectory(
  dir: string,
  { user, crypto = nativeCrypto, onProgress = () => {} }: VerifyDirectoryOptions = {},
): Promise<DirectoryReport> {
  const files = await checkStore(dir, { onProgress: (keys) => onProgress('keys', keys) });
  if (files.problems.length > 0) {
    const problems = files.problems.map(({ key, code, message }) => ({
      where: key ?? code,
      what: message,
    }));
    return { ok: false, problems, channels: [] };
  }
  const store = await openLevelStore(dir, { create: false });
  try {
    const problems = await nodeValues(store);
    const channels: VerifyReport[] = [];
    const options = {
      self: user,
      onProgress: (entries: number) => onProgress('entries', entries),
    };
    for (const id of await channelsIn((from) => firstKey(store, from))) {
      channels.push(await verifyChannel(crypto, store, id, options));
    }
    const ok = problems.length === 0 && channels.every((channel) => channel.ok);
    return { ok, problems, channels };
  } finally {
    await store.close();
  }
}

async function firstKey(store: Store, gte: string): Promise<string | undefined> {
  for await (const [key] of store.range({ gte, lt: after(CHANNEL_PREFIX), limit: 1 })) return key;
  return undefined;
}

/** What the node reads back of its own must be readable. */
async function nodeValues(store: Store): Promise<{ where: string; what: string }[]> {
  const problems: { where: string; what: string }[] = [];
  for await (const [key, value] of store.range({ gte: 'node/', lt: after('node/') })) {
    try {
      if (key === BOOT_KEY) decodeWhole(value, (r) => r.ulid());
      else if (key.startsWith(OVERRIDES)) pinnedRelayUrl(decodeWhole(value, (r) => r.text(512)));
      else if (key.startsWith(PRIVATE_LOG)) decodeLogged(0, value);
    } catch (error) {
      problems.push({ where: key, what: (error as Error).message });
    }
  }
  return problems;
}
