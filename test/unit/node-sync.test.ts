/**
 * What a node acknowledged survives the loss of power, because it syncs before
 * it says so. The same check catches a node that does not: a store that skips
 * the sync loses acknowledged messages in a crash.
 */

import { afterEach, expect, test } from 'vitest';
import type { Store } from '../../src/core/store.js';
import type { Channel } from '../../src/node/index.js';
import { type FaultStore, faultStore } from '../../src/testing/fault-store.js';
import { seededRandom } from './fixtures/seeded-random.js';
import { type Acknowledged, broken, type Reached } from './node-acknowledged.js';
import { Cluster, NOWHERE, patience, seed, together } from './node-cluster.js';

let cluster = new Cluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new Cluster();
});

/** Sends until `count` messages have reached what they are to reach. */
async function acknowledgedBy(channel: Channel, count: number): Promise<Acknowledged[]> {
  const sends = Array.from({ length: count }, async (_, i): Promise<Acknowledged> => {
    const sending = channel.send(`message ${i}`);
    const reached = (['stored', 'committed', 'final'] as const)[i % 3] as Reached;
    if (reached === 'stored') await sending.stored;
    else await sending.until(reached, patience());
    return { id: sending.id, text: `message ${i}`, reached };
  });
  return Promise.all(sends);
}

/** A node alone acknowledges messages, then its machine loses power: what is broken afterwards. */
async function lostInCrash(
  wrap: (store: FaultStore) => Store,
  random: () => number,
): Promise<string[]> {
  const own = seed();
  const store = faultStore();
  const before = await cluster.node('n', { seed: own, store });
  await together([before], [NOWHERE]);
  await before.close();
  const reopened = faultStore(store.image());
  const node = await cluster.node('n', { seed: own, store: wrap(reopened) });
  const acknowledged = await acknowledgedBy(node.channels()[0]!, 30);
  const found = reopened.crash(random);
  await node.close({ drainMs: 0 });
  const after = await cluster.node('n', { seed: own, store: found, offline: true });
  const [report] = await after.verify();
  expect(report!.problems).toEqual([]);
  return broken(after.channels()[0], acknowledged);
}

test('a loss of power loses nothing that was acknowledged', async () => {
  const random = seededRandom(5);
  for (let i = 0; i < 10; i++) expect(await lostInCrash((store) => store, random)).toEqual([]);
});

test('a node that did not sync is caught by the same check', async () => {
  const unsynced = (store: FaultStore): Store => ({
    get: (key) => store.get(key),
    getMany: (keys) => store.getMany(keys),
    range: (options) => store.range(options),
    write: (ops) => store.write(ops, { sync: false }),
    close: () => store.close(),
  });
  const lost = await lostInCrash(unsynced, () => 0);
  expect(lost).toHaveLength(30);
  expect(lost[0]).toMatch(/ is gone$/);
});
