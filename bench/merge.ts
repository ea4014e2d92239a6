/**
 * Merging after a partition: six nodes, cut three against three by relay, each
 * side commits its records in an online epoch; then the network heals. What is
 * measured is the time from the heal to equal heads with everything final, and
 * where it goes: until the first roster leader, until the first merge record,
 * until all is final.
 */

import { startCluster } from './processes.js';

const BYTES = 256;
const POLL_MS = 100;

interface Status {
  readonly final: number;
  readonly head: string;
  readonly committed: number;
  readonly leader: string | null;
  readonly kind: 'roster' | 'online' | null;
  readonly rss: number;
}

export interface MergeRow {
  readonly records: number;
  /** Seconds since the heal. */
  readonly led: number;
  readonly merging: number;
  readonly equal: number;
  readonly rssMiB: number;
  /** Of one node that commits as many with a majority, no partition. */
  readonly plainSeconds: number;
}

export async function benchMerge(perSide: number): Promise<MergeRow> {
  const cluster = await startCluster(6, 2);
  const { nodes, relays } = cluster;
  const statuses = (): Promise<Status[]> => Promise.all(nodes.map((n) => n.call<Status>('status')));
  const until = async (fits: (all: Status[]) => boolean): Promise<Status[]> => {
    for (;;) {
      const all = await statuses();
      if (fits(all)) return all;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  try {
    const sides = [nodes.slice(0, 3), nodes.slice(3)] as const;
    const plainSeconds = await nodes[0]!.call<number>('send', 2 * perSide, BYTES);
    const nowhere = relays.map((url) => url.replace(/:\d+$/, ':1'));
    const reach = (first: string, second: string) =>
      Promise.all([
        ...sides[0].map((n) => n.call('override', second)),
        ...sides[1].map((n) => n.call('override', first)),
      ]);
    await reach(nowhere[0]!, nowhere[1]!);
    await until((all) => all.every((s) => s.kind === 'online'));
    const share = Math.ceil(perSide / 3);
    await Promise.all(nodes.map((n) => n.call('send', share, BYTES)));
    const before = Math.max(...(await statuses()).map((s) => s.final));
    const started = performance.now();
    const seconds = (): number => (performance.now() - started) / 1000;
    await reach(relays[0]!, relays[1]!);
    await until((all) => all.some((s) => s.kind === 'roster'));
    const led = seconds();
    await until((all) => all.some((s) => s.final > before + 1));
    const merging = seconds();
    const end = await until((all) =>
      all.every((s) => s.head === all[0]!.head && s.final > before + 6 * share),
    );
    return {
      records: 6 * share,
      led,
      merging,
      equal: seconds(),
      rssMiB: Math.max(...end.map((s) => s.rss)) / 2 ** 20,
      plainSeconds,
    };
  } finally {
    await cluster.stop();
  }
}
