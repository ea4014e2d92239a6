/**
 * The world as it is. Nodes and relays are loaded when a command needs one, so
 * that help, and a command that goes through `conclave up`, start fast.
 */

import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ConclaveError } from '../core/errors.js';
import type {
  ExamineStore,
  Host,
  OpenNode,
  RestoreStore,
  StartRelay,
  VerifyStore,
} from './host.js';
import { makeDir } from './make-dir.js';
import { readRelayTokens } from './relay-tokens.js';

const storeIn = (dir: string): string => join(dir, 'store');

export function realHost(signal: AbortSignal, onHangup: Host['onHangup']): Host {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signal,
    onHangup,
    now: Date.now,
    hasStore,
    createStore,
    openNode,
    verifyStore,
    snapshotStore,
    restoreStore,
    examineStore,
    mendStore,
    startRelay,
    async runDemo(options) {
      const { runDemo } = await import('./demo.js');
      return runDemo(options);
    },
  };
}

async function hasStore(dir: string): Promise<boolean> {
  const files = await readdir(storeIn(dir)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw cause;
  });
  return files.length > 0;
}

async function createStore(dir: string): Promise<void> {
  const { openLevelStore } = await import('../node/level-store.js');
  const store = await openLevelStore(storeIn(dir));
  try {
    for await (const _ of store.range({ gte: '', lt: '\uffff', limit: 1 })) {
      throw new ConclaveError(
        'exists',
        `${dir} has the store of another identity, whose identity.json is gone: restore that, or name another directory`,
      );
    }
  } finally {
    await store.close();
  }
}

async function openNode({ dir, identity, links, relays, log, ...as }: OpenNode) {
  const { levelStore, openNode } = await import('../node/index.js');
  const store = levelStore(storeIn(dir), { create: false });
  const relayTokens = links ? await readRelayTokens(dir) : {};
  const { archive = false, misbehaviour = 'show' } = as;
  const own = { archive, misbehaviour };
  return openNode({ store, identity, log, relays, relayTokens, offline: !links, ...own });
}

async function verifyStore({ dir, ...options }: VerifyStore) {
  const { verifyDirectory } = await import('../node/verify-directory.js');
  return verifyDirectory(storeIn(dir), options);
}

async function* snapshotStore(dir: string): AsyncGenerator<Uint8Array> {
  const { snapshotOf } = await import('../node/restore.js');
  yield* snapshotOf(storeIn(dir));
}

async function restoreStore({ dir, ...options }: RestoreStore): Promise<void> {
  const { restoreStore } = await import('../node/restore.js');
  await restoreStore(storeIn(dir), options);
}

async function examineStore({ dir, user, onProgress }: ExamineStore) {
  const { examineStore } = await import('../node/examine-store.js');
  return examineStore(storeIn(dir), { onProgress, ...(user && { user }) });
}

async function mendStore(o: ExamineStore & { readonly filesDamaged: boolean }) {
  const { mendStore } = await import('../node/mend-store.js');
  const { dir, user, filesDamaged, onProgress } = o;
  const onKeys = (keys: number): void => onProgress('keys', keys);
  return mendStore(storeIn(dir), { filesDamaged, onProgress: onKeys, ...(user && { user }) });
}

async function startRelay({ dir, limits: given = {}, ...options }: StartRelay) {
  const { startRelay, loadOrCreateKey, splitLimits } = await import('../relay/index.js');
  const { nativeCrypto: crypto } = await import('../native/crypto-native.js');
  const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
  if (dir !== undefined) await makeDir(dir);
  const key = dir === undefined ? random(32) : await loadOrCreateKey(dir, random);
  return startRelay({ ...options, ...splitLimits(given), key, crypto });
}
