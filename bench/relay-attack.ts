/**
 * What an attack on a relay costs a good channel: the time from send to
 * committed of three nodes, one send after the other, alone on the relay, then
 * beside idle users, then beside idle users and hostile connections
 * (relay-crowd.ts). One run, one relay with the limits it comes with; the ratio
 * of the 99th percentiles is what counts. The hostile rounds alternate with
 * rounds of rest.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { percentile, Remote, startCluster } from './processes.js';

const BYTES = 256;
const WARM_UP = 200;
const ALONE = 600;
const ROUNDS = 4;
const PER_ROUND = 200;
/** What a round of attack may take to be in full swing. */
const SWING_MS = 1_000;
/** Sealing frames costs who floods with them as much as the relay: in a process of their own. */
const CHEAP = ['floodHandshakes', 'dripSlowly', 'sendGarbage'];
const COSTLY = ['floodFrames'];
/** The bound. */
export const P99_RATIO_MAX = 2;

interface Times {
  readonly p50: number;
  readonly p99: number;
}

interface Tried {
  readonly connections: number;
  readonly handshakes: number;
  readonly frames: number;
}

export interface AttackRow {
  readonly alone: Times;
  readonly idle: Times;
  readonly hostile: Times;
  readonly ratio: number;
  readonly ok: boolean;
  /** Of the relay: what an idle connection costs it, and its memory at most. */
  readonly kibPerIdle: number;
  readonly rssMiB: number;
  readonly tried: Tried;
}

const timesOf = (samples: readonly number[]): Times => ({
  p50: percentile(samples, 50),
  p99: percentile(samples, 99),
});

export async function benchRelayAttack(idle = 2_000, hostile = 200): Promise<AttackRow> {
  const cluster = await startCluster(3);
  const [quiet, cheap, costly] = Array.from(
    { length: 3 },
    () => new Remote('./relay-crowd.ts'),
  ) as [Remote, Remote, Remote];
  const crowds = [quiet, cheap, costly];
  const [relay, sender] = [cluster.servers[0]!, cluster.nodes[1]!];
  const rss = (): Promise<number> => relay.call<number>('rss');
  const send = (count: number): Promise<number[]> => sender.call('sequential', count, BYTES);
  try {
    const port = Number(/:(\d+)$/.exec(cluster.relays[0]!)![1]);
    for (const crowd of crowds) await crowd.call('connect', port);
    await send(WARM_UP);
    const alone = await send(ALONE);
    const before = await rss();
    await quiet.call('idle', idle);
    const kibPerIdle = ((await rss()) - before) / idle / 1_024;
    const [beside, during]: [number[], number[]] = [[], []];
    let most = 0;
    let tried: Tried = { connections: 0, handshakes: 0, frames: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      beside.push(...(await send(PER_ROUND)));
      await cheap.call('attack', CHEAP, hostile / 4);
      await costly.call('attack', COSTLY, hostile / 4);
      await sleep(SWING_MS);
      during.push(...(await send(PER_ROUND)));
      most = Math.max(most, await rss());
      const [a, b] = [await cheap.call<Tried>('rest'), await costly.call<Tried>('rest')];
      tried = {
        connections: a.connections + b.connections,
        handshakes: a.handshakes,
        frames: b.frames,
      };
      await sleep(SWING_MS);
    }
    const row = { alone: timesOf(alone), idle: timesOf(beside), hostile: timesOf(during) };
    const ratio = row.hostile.p99 / row.alone.p99;
    return {
      ...{ ...row, ratio, ok: ratio <= P99_RATIO_MAX },
      ...{ kibPerIdle, rssMiB: most / 1_048_576, tried },
    };
  } finally {
    for (const crowd of crowds) await crowd.stop();
    await cluster.stop();
  }
}
