/**
 * Repairs a store on LevelDB that nobody has open (docs/decisions/0023-repair.md).
 * The damaged one is not touched: what can be read of a copy of it goes to a
 * new store beside it, every channel is repaired there (mend-channel.ts), and
 * only when all of it verifies do the two change places. The damaged one stays,
 * as `store.damaged-<n>`, until somebody removes it.
 *
 *     store.repair/leveldb   the copy, repaired by LevelDB itself if need be
 *     store.repair/store     the new store
 */

import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { decodeWhole } from '../core/bytes.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { UserId } from '../core/ids.js';
import { after } from '../core/layout.js';
import { pinnedRelayUrl } from '../core/relay-url.js';
import type { Store, StoreOp } from '../core/store.js';
import { BATCHES_KEY, BOOTS_KEY, bootsOf } from '../core/store-boots.js';
import { STORE_KEY_FIRST } from '../core/store-rules.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { openLevelStore } from './level-store.js';
import { mendChannel } from './mend-channel.js';
import { attempt, clear } from './mend-log.js';
import { BOOT_KEY, decodeOverride, OVERRIDES, storedChannels } from './node-keys.js';
import { checkPrivate, mendPrivate } from './private-log.js';
import { forgetAll } from './snapshot.js';
import { LEVELDB_DIR } from './store-files.js';
import { unseal } from './store-seal.js';
import { type VerifyDirectoryOptions, verifyDirectory } from './verify-directory.js';

const READ_AHEAD_PAIRS = 512;
const READ_AHEAD_BYTES = 262_144;
const EVIDENCE = 'the store was repaired';

export interface MendStoreOptions {
  /** Whose store it is. */
  readonly user?: UserId;
  readonly crypto?: Crypto;
  /** Whether batches of the store may be missing: then its node has lost memory, whatever verifies. */
  readonly filesDamaged: boolean;
  readonly onProgress?: (keys: number) => void;
}

export interface MendedStore {
  /** Where the damaged one is now. */
  readonly kept: string;
  /** Keys whose values could be read, and values that could not. */
  readonly keys: number;
  readonly dropped: number;
  /** What was done, and to what. */
  readonly deeds: readonly { readonly where: string; readonly what: string }[];
  /** Those of the deeds by which something is gone that the node does not get back by itself. */
  readonly lost: readonly { readonly where: string; readonly what: string }[];
  readonly memoryLost: boolean;
}

const workDir = (dir: string): string => `${dir}.repair`;

/** Repairs the store in `dir`. Rejects with `repair_failed` when what is left does not verify, and leaves it as it was. */
export async function mendStore(dir: string, o: MendStoreOptions): Promise<MendedStore> {
  const { user, crypto = nativeCrypto, filesDamaged } = o;
  const work = workDir(dir);
  const made = join(work, 'store');
  try {
    const { store, ...copied } = await readableOf(dir, work, o.onProgress);
    const isDamaged = filesDamaged || copied.dropped > 0;
    const mended = await mendAll(store, crypto, user, isDamaged).finally(() => store.close());
    await refuseBroken(dir, made, { crypto, ...(user && { user }) });
    return { ...copied, ...mended, kept: await changePlaces(dir, made) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function refuseBroken(dir: string, made: string, o: VerifyDirectoryOptions): Promise<void> {
  const { problems, channels } = await verifyDirectory(made, o);
  const all = [...problems, ...channels.flatMap((channel) => channel.problems)];
  const first = all.find(({ where }) => !where.endsWith('/conflict'));
  if (first) throw repairFailed(dir, `${first.where}: ${first.what}`);
}

async function changePlaces(dir: string, made: string): Promise<string> {
  const kept = await unusedName(dir);
  await rename(dir, kept);
  await rename(made, dir);
  return kept;
}

async function unusedName(dir: string): Promise<string> {
  const names = new Set(await readdir(dirname(dir)));
  for (let n = 1; ; n++) {
    const name = `${basename(dir)}.damaged-${n}`;
    if (!names.has(name)) return join(dirname(dir), name);
  }
}

interface Readable {
  readonly store: Store;
  readonly keys: number;
  readonly dropped: number;
}

/** A new store with what can be read: as LevelDB opens it, or, where it can't, after its own repair. */
async function readableOf(
  dir: string,
  work: string,
  onProgress: MendStoreOptions['onProgress'],
  repaired = false,
): Promise<Readable> {
  const copy = join(work, LEVELDB_DIR);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { mode: 0o700 });
  const store = await openLevelStore(join(work, 'store'));
  try {
    await cp(join(dir, LEVELDB_DIR), copy, { recursive: true });
    if (repaired) await ClassicLevel.repair(copy);
    return { store, ...(await copyReadable(copy, store, onProgress)) };
  } catch (cause) {
    await store.close();
    if (!repaired) return readableOf(dir, work, onProgress, true);
    throw repairFailed(dir, (cause as Error).message, cause);
  }
}

/** Writes every pair that passes its checksum into `store`. */
async function copyReadable(
  copy: string,
  store: Store,
  onProgress: MendStoreOptions['onProgress'],
): Promise<Omit<Readable, 'store'>> {
  const db = new ClassicLevel<string, Uint8Array>(copy, {
    ...{ keyEncoding: 'utf8', valueEncoding: 'view', createIfMissing: false, compression: false },
  });
  await db.open();
  let keys = 0;
  let dropped = 0;
  try {
    const pairs = db.iterator<Buffer, Buffer>({
      ...{ gte: Buffer.from(STORE_KEY_FIRST), keyEncoding: 'buffer', valueEncoding: 'buffer' },
      highWaterMarkBytes: READ_AHEAD_BYTES,
    });
    for (;;) {
      const chunk = await pairs.nextv(READ_AHEAD_PAIRS);
      if (chunk.length === 0) return { keys, dropped };
      const ops: StoreOp[] = [];
      for (const [key, stored] of chunk) {
        const value = unseal(key, stored);
        if (value) ops.push({ key: key.toString(), value });
        else dropped += 1;
      }
      await store.write(ops, { sync: false });
      keys += ops.length;
      onProgress?.(keys);
    }
  } finally {
    // Its iterator ends with it.
    await db.close();
  }
}

type Deeds = { where: string; what: string }[];

async function mendAll(
  store: Store,
  crypto: Crypto,
  self: UserId | undefined,
  isDamaged: boolean,
): Promise<Pick<MendedStore, 'deeds' | 'lost' | 'memoryLost'>> {
  const deeds: Deeds = await mendNode(store);
  // From here on verification knows of it.
  if (isDamaged || deeds.some(({ where }) => where === BOOTS_KEY)) await forgetAll(store, EVIDENCE);
  const lost: Deeds = [];
  let memoryLost = isDamaged;
  for (const id of await storedChannels(store)) {
    const mended = await mendChannel({ crypto, store, id, self, evidence: EVIDENCE });
    const of = (what: string) => ({ where: `channel ${id}`, what });
    deeds.push(...mended.deeds.map(of));
    lost.push(...mended.lost.map(of));
    memoryLost ||= mended.memoryLost;
  }
  return { deeds, lost, memoryLost };
}

/** What belongs to no channel. */
async function mendNode(store: Store): Promise<Deeds> {
  const deeds: Deeds = [];
  const boot = await store.get(BOOT_KEY);
  const boots = [await store.get(BOOTS_KEY), await store.get(BATCHES_KEY)] as const;
  const isGood = attempt(() => {
    if (boot) decodeWhole(boot, (r) => r.ulid());
    return bootsOf(...boots);
  });
  if (!isGood) {
    for (const key of [BOOT_KEY, BOOTS_KEY, BATCHES_KEY]) await clear(store, key);
    deeds.push({ where: BOOTS_KEY, what: 'what the node knew of its starts was dropped' });
  }
  for await (const [key, value] of store.range({ gte: OVERRIDES, lt: after(OVERRIDES) })) {
    if (attempt(() => pinnedRelayUrl(decodeOverride(value)))) continue;
    await clear(store, key);
    deeds.push({ where: key, what: "this node's own address of a relay was dropped" });
  }
  const whole = await checkPrivate(store).then(
    () => true,
    () => false,
  );
  if (!whole) {
    const left = await mendPrivate(store);
    deeds.push({ where: 'node/dm', what: `${left} private messages are left` });
  }
  return deeds;
}

const repairFailed = (dir: string, why: string, cause?: unknown): ConclaveError =>
  new ConclaveError(
    'repair_failed',
    `the store in ${dir} can't be repaired: ${why}. Restore a backup, or begin anew`,
    { cause },
  );
