/**
 * The whole check of a node's directory that nobody has open (docs/PROTOCOL.md,
 * section "Verification"): first the files (check-store.ts), then, if they are
 * whole, every channel (verify.ts) and what the node keeps for itself. Nothing
 * is repaired.
 */

import { decodeWhole } from '../core/bytes.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, UserId } from '../core/ids.js';
import { after, channelKeys, decodeStoredGenesis } from '../core/layout.js';
import { pinnedRelayUrl } from '../core/relay-url.js';
import type { Store } from '../core/store.js';
import { BATCHES_KEY, BOOTS_KEY, bootsOf } from '../core/store-boots.js';
import { nativeCrypto } from '../native/crypto-native.js';
import type { VerifyReport } from './api.js';
import { channelNamed } from './channel-named.js';
import { checkStore } from './check-store.js';
import { openLevelStore } from './level-store.js';
import {
  BOOT_KEY,
  decodeOverride,
  decodeUser,
  OVERRIDES,
  storedChannels,
  USER_KEY,
} from './node-keys.js';
import { checkPrivate, PRIVATE_PREFIX } from './private-log.js';
import { verifyChannel } from './verify.js';

type Problem = VerifyReport['problems'][number];

export interface DirectoryReport {
  readonly ok: boolean;
  /** Of the files, and of what belongs to no channel. */
  readonly problems: readonly (Problem & {
    /** Of damage to the files: what opening the store would say. */
    readonly code?: string;
  })[];
  /** Empty when the files are damaged: what they hold would not be worth checking. */
  readonly channels: readonly VerifyReport[];
}

export interface VerifyDirectoryOptions {
  /** One channel, by its id, the beginning of it, or its name: the others are not looked at. */
  readonly channel?: string;
  /** Whose directory it is; without it the node's own acknowledgements are not verified. */
  readonly user?: UserId;
  readonly crypto?: Crypto;
  readonly onProgress?: (what: 'keys' | 'entries', done: number) => void;
}

/**
 * Verifies the store in `dir`. Rejects when it can't be looked at
 * (`store_locked`, `store_missing`, `store_foreign`, `store_newer`,
 * `store_failed`), and with `no_channel` or `ambiguous` when the channel asked
 * for is not there; damage is what it reports.
 */
export async function verifyDirectory(
  dir: string,
  { channel, user, crypto = nativeCrypto, onProgress = () => {} }: VerifyDirectoryOptions = {},
): Promise<DirectoryReport> {
  const files = await checkStore(dir, { onProgress: (keys) => onProgress('keys', keys) });
  if (files.problems.length > 0) {
    const problems = files.problems.map(({ key, code, message }) => ({
      ...{ code, where: key ?? code, what: message },
    }));
    return { ok: false, problems, channels: [] };
  }
  const store = await openLevelStore(dir, { create: false });
  try {
    const problems = await nodeValues(store, user);
    const channels: VerifyReport[] = [];
    const options = {
      self: user,
      onProgress: (entries: number) => onProgress('entries', entries),
    };
    for (const id of await wantedChannels(store, channel)) {
      channels.push(await verifyChannel(crypto, store, id, options));
    }
    const ok = problems.length === 0 && channels.every((channel) => channel.ok);
    return { ok, problems, channels };
  } finally {
    await store.close();
  }
}

async function wantedChannels(store: Store, wanted: string | undefined): Promise<ChannelId[]> {
  const all = await storedChannels(store);
  if (wanted === undefined) return all;
  const named = await Promise.all(all.map(async (id) => ({ id, name: await nameOf(store, id) })));
  return [channelNamed(named, wanted).id];
}

/** Undefined where it can't be read: that is for the verification to say. */
async function nameOf(store: Store, id: ChannelId): Promise<string | undefined> {
  try {
    const stored = await store.get(channelKeys(id).genesis);
    return stored && decodeStoredGenesis(stored).name;
  } catch {
    return undefined;
  }
}

function checkUser(owner: UserId, user = owner): void {
  if (owner !== user) throw new ConclaveError('wrong_identity', `the store is user ${owner}'s`);
}

/** What the node reads back of its own must be readable. */
async function nodeValues(store: Store, user: UserId | undefined): Promise<Problem[]> {
  const problems: Problem[] = [];
  const check = async (where: string, read: () => unknown): Promise<void> => {
    try {
      await read();
    } catch (error) {
      problems.push({ where, what: (error as Error).message });
    }
  };
  const owner = await store.get(USER_KEY);
  if (owner) await check(USER_KEY, () => checkUser(decodeUser(owner), user));
  const boot = await store.get(BOOT_KEY);
  if (boot) await check(BOOT_KEY, () => decodeWhole(boot, (r) => r.ulid()));
  const boots = [await store.get(BOOTS_KEY), await store.get(BATCHES_KEY)] as const;
  await check(BOOTS_KEY, () => bootsOf(...boots));
  for await (const [key, value] of store.range({ gte: OVERRIDES, lt: after(OVERRIDES) })) {
    await check(key, () => pinnedRelayUrl(decodeOverride(value)));
  }
  await check(PRIVATE_PREFIX, () => checkPrivate(store));
  return problems;
}
