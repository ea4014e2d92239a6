/**
 * Repair of one channel: after any one value is changed or lost, behind the
 * store's own checksums, what is left verifies, holds nothing that was not
 * there, keeps a prefix of what was final, and says that it lost memory where
 * promises may be gone.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { channelKeys, decodeFinal } from '../../src/core/layout.js';
import { memoryStore } from '../../src/core/memory-store.js';
import type { Store } from '../../src/core/store.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { Channel, Node } from '../../src/node/index.js';
import { type Mended, mendChannel } from '../../src/node/mend-channel.js';
import { verifyChannel } from '../../src/node/verify.js';
import { faultStore } from '../../src/testing/fault-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { allEqual, Cluster, contentOf, patience, statusWhen, together } from './node-cluster.js';

const cluster = new Cluster();
afterAll(() => cluster.stop());

let node: Node;
let channel: Channel;
let pairs: ReadonlyMap<string, Uint8Array>;
let whole: ReadonlyMap<string, string>;
let finalSeq: number;

/** A channel of three with changed rosters, certificates, and own messages that wait. */
beforeAll(async () => {
  const store = faultStore();
  const relay = await cluster.relay();
  const others = [await cluster.node('b'), await cluster.node('c')];
  node = await cluster.node('a', { store });
  const channels = await together([node, ...others], [relay.url]);
  channel = channels[0]!;
  for (let i = 0; i < 12; i++) {
    const all = channels.map((each, k) => each.send(`${k} says ${i}`));
    await Promise.all(all.map((sending) => sending.until('final', patience())));
    if (i === 6) await channel.members.invite(patience());
  }
  await allEqual(channels);
  await others[1]!.close();
  await statusWhen(channel, ({ state }) => state === 'waiting');
  for (let i = 0; i < 4; i++) await channel.send(`waits ${i}`).stored;
  await node.close({ drainMs: 0 });
  pairs = store.image().pairs;
  whole = await contentOf(memoryStore(pairs));
  finalSeq = decodeFinal(pairs.get(channelKeys(channel.id).final)!).seq;
});

const kindOf = (key: string): string => key.split('/')[2]!;
const channelPairs = (): string[] => [...pairs.keys()].filter((key) => key.startsWith('c/'));

async function mend(
  store: Store,
): Promise<Mended & { content: Map<string, string>; final: number }> {
  const { id } = channel;
  const mended = await mendChannel({
    ...{ crypto: nativeCrypto, store, id, self: node.user, evidence: 'a test' },
  });
  const keys = channelKeys(id);
  if (await store.get(keys.genesis)) {
    const report = await verifyChannel(nativeCrypto, store, id, { self: node.user });
    expect(report.problems).toEqual([]);
  }
  const state = await store.get(keys.final);
  return { ...mended, content: await contentOf(store), final: state ? decodeFinal(state).seq : 0 };
}

/** What may be made anew, and so differ from what was there. */
const MADE = new Set(['final', 'hard', 'forgotten', 'cert', 'at', 'tip']);

function expectOnlyWhatWas(content: ReadonlyMap<string, string>, about: string): void {
  for (const [key, value] of content) {
    if (kindOf(key) === 'pool') {
      // A message of others that was not final, or not known to be any more.
      const digest = key.split('/')[3]!;
      expect(
        [...whole.values()].some((one) => one.includes(digest)),
        `${about}: ${key}`,
      ).toBe(true);
    } else if (!MADE.has(kindOf(key))) expect(value, `${about}: ${key}`).toBe(whole.get(key));
  }
}

test('a whole channel is left as it is', async () => {
  const { deeds, memoryLost, content } = await mend(memoryStore(pairs));
  expect([deeds, memoryLost]).toEqual([[], false]);
  expect(content).toEqual(whole);
});

describe('any value', () => {
  const ways = [
    [
      'changed',
      (value: Uint8Array, random: () => number): Uint8Array | undefined => {
        const changed = Uint8Array.from(value);
        if (value.length > 0)
          changed[Math.floor(random() * value.length)]! ^= 1 + Math.floor(random() * 255);
        return changed;
      },
    ],
    ['lost', (): Uint8Array | undefined => undefined],
  ] as const;
  test.each(ways)('%s', { timeout: 300_000 }, async (how, change) => {
    const random = seededRandom(11);
    const worst = new Map<string, number>();
    for (const key of channelPairs()) {
      const changed = new Map(pairs);
      const value = change(pairs.get(key)!, random);
      if (value) changed.set(key, value);
      else changed.delete(key);
      const about = `${key} ${how}`;
      const { content, deeds, memoryLost, final } = await mend(memoryStore(changed));
      const kind = kindOf(key);
      if (kind === 'genesis') {
        expect([...content.keys()], about).toEqual([]);
        continue;
      }
      if (kind !== 'hard') expectOnlyWhatWas(content, about);
      expect(final, about).toBeLessThanOrEqual(finalSeq);
      worst.set(kind, Math.min(worst.get(kind) ?? finalSeq, final));
      // What was promised or acknowledged may be gone with what was dropped.
      const isLess = [...whole.keys()].some((k) => /\/(log|ack|hard)/.test(k) && !content.has(k));
      expect(memoryLost || !isLess || deeds.length === 0, about).toBe(true);
      expect(content.has(channelKeys(channel.id).forgotten), about).toBe(memoryLost);
      if (memoryLost) expect(deeds.length, about).toBeGreaterThan(0);
    }
    // Only what stands in the log costs a part of it.
    for (const kind of ['out', 'hard', 'ack', 'epoch', 'proposal', 'at', 'tip']) {
      expect(worst.get(kind), kind).toBe(finalSeq);
    }
    expect(worst.get('log')).toBeLessThan(finalSeq);
  });
});

test('many at once', { timeout: 300_000 }, async () => {
  const random = seededRandom(23);
  for (let run = 0; run < 60; run++) {
    const changed = new Map(pairs);
    const keys = channelPairs().filter((key) => kindOf(key) !== 'genesis');
    for (let i = 0; i < 1 + run; i++) changed.delete(keys[Math.floor(random() * keys.length)]!);
    const { content } = await mend(memoryStore(changed));
    expectOnlyWhatWas(content, `run ${run}`);
  }
});

test('own messages go from the damaged one on, and those before it stay', async () => {
  const outs = channelPairs()
    .filter((key) => kindOf(key) === 'out')
    .sort();
  expect(outs).toHaveLength(4);
  const changed = new Map(pairs);
  changed.delete(outs[2]!);
  const { content, deeds, lost } = await mend(memoryStore(changed));
  expect([...content.keys()].filter((key) => kindOf(key) === 'out')).toEqual(outs.slice(0, 2));
  expect(deeds).toContain("1 own message that was not final can't be sent any more");
  expect(lost).toEqual(["1 own message that was not final can't be sent any more"]);
});
