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
import type { ChannelEntry } from '../../node/api.js';
import { openLevelStore } from '../../node/level-store.js';
import type { Json } from '../output.js';

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

/** A line for each leadership whose messages were merged; one record moves only so many, so there may be several. */
export function mergeLines(merges: readonly Merge[], nameOf: (user: string) => string): string[] {
  const sources = new Map<string, Merge[]>();
  for (const merge of merges) {
    const from = merge.branches.map(
      ({ kind, term, leader }) => `${nameOf(leader)}'s ${kind} epoch of term ${term}`,
    );
    const source = from.join(' and ');
    sources.set(source, [...(sources.get(source) ?? []), merge]);
  }
  return [...sources].map(([source, parts]) => {
    const messages = parts.reduce((sum, part) => sum + part.messages, 0);
    const places = parts.map(({ seq, by }) => `by ${nameOf(by)} at seq ${seq}`);
    return `${messages} messages, placed in ${source}, were merged ${places.join(', ')}`;
  });
}

/**
 * What was committed between two leaders: where not most of the members answer at once, those who do elect one of
 * their own for a while. `log` is what the `log` command says since the first leader was killed.
 */
export function bridgedLine(
  log: readonly Json[],
  nameOf: (user: string) => string,
): string | undefined {
  const merges = log.flatMap(({ merge }) =>
    merge ? [merge as NonNullable<ChannelEntry['merge']>] : [],
  );
  if (merges.length === 0) return undefined;
  const sum = merges.reduce((all, { entries }) => all + entries, 0);
  const leaders = merges.flatMap(({ branches }) => branches.map(({ leader }) => nameOf(leader)));
  const names = [...new Set(leaders)].join(' and ');
  return (
    `before most of the members answered, those who did had elected ${names}: ` +
    `the ${sum} messages committed under ${names} are merged`
  );
}
