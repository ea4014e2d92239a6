/**
 * What merges brought into a node's log, as its `merge` records say
 * (docs/PROTOCOL.md, section "Merge records"): read from the store, while no
 * process has it open.
 */

import { join } from 'node:path';
import type { ChannelId, UserId } from '../../core/ids.js';
import { channelKeys, decodeEntry } from '../../core/layout.js';
import { decodeMergeBody, type MergedBranch } from '../../core/merge-record.js';
import { nativeCrypto } from '../../native/crypto-native.js';
import { openLevelStore } from '../../node/level-store.js';

export interface Merge {
  /** Of the record; what it moved stands behind it. */
  readonly seq: number;
  /** The leader that merged. */
  readonly by: UserId;
  readonly branches: readonly MergedBranch[];
  /** Messages that it moved. */
  messages: number;
}

export async function mergesIn(dir: string, channel: string): Promise<Merge[]> {
  const keys = channelKeys(channel as ChannelId);
  const store = await openLevelStore(join(dir, 'store'), { create: false });
  const merges: Merge[] = [];
  /** Entries that are still the last merge's. */
  let left = 0;
  try {
    const range = { gte: keys.log(1), lt: keys.log(Number.MAX_SAFE_INTEGER) };
    for await (const [, value] of store.range(range)) {
      const { seq, record } = decodeEntry(nativeCrypto.sha256, value);
      if (record.kind === 'merge') {
        const { entries, branches } = decodeMergeBody(record.body);
        left = entries;
        merges.push({ seq, by: record.author, branches, messages: 0 });
      } else if (left > 0) {
        left -= 1;
        if (record.kind === 'message') merges.at(-1)!.messages += 1;
      }
    }
  } finally {
    await store.close();
  }
  return merges;
}
