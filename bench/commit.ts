/**
 * Committed records a second, and the time of one send after the other, for 3
 * and 5 nodes on loopback with synced LevelDB; beside them, in the same run,
 * what a bare synced LevelDB write of the same bytes costs here.
 */

import { type Bare, bareLevel } from './bare-level.js';
import { percentile, startCluster } from './processes.js';

const BYTES = 256;
const ROUNDS = 3;
const PIPELINED = 6_000;
const SEQUENTIAL = 300;

export interface CommitRow {
  readonly nodes: number;
  readonly perSecond: number;
  readonly ofBare: number;
  readonly p50: number;
  readonly p99: number;
  readonly p50OfBare: number;
}

export async function benchCommit(count: number): Promise<CommitRow> {
  const cluster = await startCluster(count);
  try {
    const sender = cluster.nodes[0]!;
    await sender.call('send', 1_000, BYTES);
    const rates: number[] = [];
    const bares: Bare[] = [];
    const samples: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      bares.push(await bareLevel(PIPELINED));
      const share = PIPELINED / count;
      const seconds = await Promise.all(
        cluster.nodes.map((n) => n.call<number>('send', share, BYTES)),
      );
      rates.push((share * count) / Math.max(...seconds));
      samples.push(...(await cluster.nodes[1]!.call<number[]>('sequential', SEQUENTIAL, BYTES)));
    }
    const perSecond = percentile(rates, 50);
    const bareRate = percentile(
      bares.map((b) => b.perSecond),
      50,
    );
    const bareP50 = percentile(
      bares.map((b) => b.p50),
      50,
    );
    const p50 = percentile(samples, 50);
    return {
      nodes: count,
      perSecond,
      ofBare: perSecond / bareRate,
      p50,
      p99: percentile(samples, 99),
      p50OfBare: p50 / bareP50,
    };
  } finally {
    await cluster.stop();
  }
}
