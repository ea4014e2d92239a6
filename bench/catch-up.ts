/**
 * A newcomer's catch-up: three nodes hold a channel, a fourth joins and fetches
 * everything, verified. Beside it, in the same run, writing as many values of
 * the same size to a bare LevelDB.
 */

import { bareLevel } from './bare-level.js';
import { startCluster } from './processes.js';

const BYTES = 256;

export interface CatchUpRow {
  readonly entries: number;
  /** From the call to join until this node shows that it is a member with the whole log. */
  readonly seconds: number;
  readonly ofBare: number;
  readonly rssMiB: number;
}

export async function benchCatchUp(entries: number): Promise<CatchUpRow> {
  const cluster = await startCluster(4, 1, 3);
  try {
    const [first, , , newcomer] = cluster.nodes;
    await first!.call('send', entries, BYTES);
    const bare = await bareLevel(entries);
    const started = performance.now();
    await newcomer!.call('join', cluster.invite);
    const seconds = (performance.now() - started) / 1000;
    const { final, rss } = await newcomer!.call<{ final: number; rss: number }>('status');
    if (final < entries) throw new Error(`the newcomer has ${final} of ${entries} entries`);
    return { entries: final, seconds, ofBare: seconds / bare.seconds, rssMiB: rss / 2 ** 20 };
  } finally {
    await cluster.stop();
  }
}
