/**
 * A newcomer's catch-up: three nodes hold a channel, a fourth joins and fetches
 * everything, verified. Beside it, in the same run, writing as many values of
 * the same size to a bare LevelDB, and the processor time that the newcomer and
 * the members used.
 *
 * With BENCH_PROFILE=DIR each node's profile of the catch-up goes to DIR.
 */

import { join } from 'node:path';
import { bareLevel } from './bare-level.js';
import { startCluster } from './processes.js';

const BYTES = 256;

export interface CatchUpRow {
  readonly entries: number;
  /** From the call to join until this node shows that it is a member with the whole log. */
  readonly seconds: number;
  readonly ofBare: number;
  /** Seconds of a core: the newcomer's, those of the three members together, and the relay's. */
  readonly cpu: number;
  readonly cpuMembers: number;
  readonly cpuRelay: number;
  readonly rssMiB: number;
}

export async function benchCatchUp(entries: number): Promise<CatchUpRow> {
  const cluster = await startCluster(4, 1, 3);
  const { nodes, servers } = cluster;
  try {
    const [first, , , newcomer] = nodes;
    await first!.call('send', entries, BYTES);
    const bare = await bareLevel(entries);
    const all = [...nodes, ...servers];
    const cpu = (): Promise<number[]> => Promise.all(all.map((n) => n.call<number>('cpu')));
    const profiles = process.env.BENCH_PROFILE;
    if (profiles) await Promise.all(nodes.map((n) => n.call('profile', null)));
    const before = await cpu();
    const started = performance.now();
    await newcomer!.call('join', cluster.invite);
    const seconds = (performance.now() - started) / 1000;
    const used = (await cpu()).map((after, i) => after - before[i]!);
    if (profiles) {
      const file = (i: number): string => join(profiles, `node${i}.cpuprofile`);
      await Promise.all(nodes.map((n, i) => n.call('profile', file(i))));
    }
    const { final, rss } = await newcomer!.call<{ final: number; rss: number }>('status');
    if (final < entries) throw new Error(`the newcomer has ${final} of ${entries} entries`);
    return {
      entries: final,
      seconds,
      ofBare: seconds / bare.seconds,
      cpu: used[3]!,
      cpuMembers: used[0]! + used[1]! + used[2]!,
      cpuRelay: used[4]!,
      rssMiB: rss / 2 ** 20,
    };
  } finally {
    await cluster.stop();
  }
}
