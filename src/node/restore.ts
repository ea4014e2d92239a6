/** A store from the pages of a snapshot, in a directory of its own (docs/PROTOCOL.md, section "Lost memory"). */

import { ConclaveError } from '../core/errors.js';
import { openLevelStore } from './level-store.js';
import { fillStore, forgetAll, snapshot } from './snapshot.js';

export interface RestoreOptions {
  readonly pages: AsyncIterable<Uint8Array>;
  /** What the node is to say of why it lost memory. */
  readonly evidence: string;
}

/**
 * Makes a store in `dir`, which must be new or empty, and durable. The node that
 * opens it votes and acknowledges again once the others have told it what it
 * forgot. Rejects with `exists`, `store_foreign`, `bad_encoding` and `store_failed`.
 */
export async function restoreStore(
  dir: string,
  { pages, evidence }: RestoreOptions,
): Promise<{ readonly keys: number }> {
  const store = await openLevelStore(dir);
  try {
    for await (const _ of store.range({ gte: '', lt: '\uffff', limit: 1 })) {
      throw new ConclaveError('exists', `${dir} has a store with something in it: name another`);
    }
    const keys = await fillStore(store, pages);
    await forgetAll(store, evidence);
    return { keys };
  } finally {
    await store.close();
  }
}

/** The pages of a store that no node has open. Rejects like `levelStore`. */
export async function* snapshotOf(dir: string): AsyncGenerator<Uint8Array> {
  const store = await openLevelStore(dir, { create: false });
  try {
    yield* snapshot(store);
  } finally {
    await store.close();
  }
}
