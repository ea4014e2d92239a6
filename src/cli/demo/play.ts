/**
 * What every act of the demo does: it waits for what it shows, with fresh
 * statuses, shows how things are meanwhile, and fails when that takes too long.
 */

import type { DemoNode } from './node.js';
import { leaderOf, type Show } from './show.js';
import { type Stage, sample } from './stage.js';
import type { Traffic } from './traffic.js';
import { type Probe, until as waitUntil } from './wait.js';

/** Messages that must become final to show that things go on. */
export const ENOUGH = 60;
const LIMIT_S = 30;

export interface Play {
  readonly stage: Stage;
  readonly traffic: Traffic;
  readonly show: Show;
  readonly signal: AbortSignal;
}

/** Waits, with fresh statuses, and shows how things are meanwhile. */
export function until<T>(
  { stage, traffic, show, signal }: Play,
  what: string,
  probe: Probe<T>,
): Promise<T> {
  return waitUntil({ what, limit_s: LIMIT_S, signal }, async (limit) => {
    await sample(stage, limit);
    show.table(stage, traffic);
    return probe(limit);
  });
}

export const names = (nodes: readonly DemoNode[]): string =>
  nodes.map(({ name }) => name).join(', ');

/** Waits until most of these nodes follow one leader. */
export const aLeader = (play: Play, nodes = play.stage.nodes): Promise<DemoNode> =>
  until(play, `a leader of ${names(nodes)}`, () => leaderOf(play.stage, nodes));

/** Waits until `count` more messages are final on each of these nodes. */
export async function goOn(play: Play, nodes: readonly DemoNode[], count = ENOUGH): Promise<void> {
  const before = nodes.map(({ reader }) => reader.messages);
  await until(play, `${count} more final messages on ${names(nodes)}`, () => {
    play.traffic.keepFlowing();
    return nodes.every(({ reader }, i) => reader.messages >= before[i]! + count);
  });
}

/** How many lines each of these nodes has in its store. */
export const postedNow = ({ traffic }: Play, nodes: readonly DemoNode[]): Map<DemoNode, number> =>
  new Map(nodes.map((node) => [node, traffic.feed(node).posted]));

/** Waits until so many messages of each are final on each of `nodes`; returns since when. */
export function areFinal(
  play: Play,
  nodes: readonly DemoNode[],
  counts: ReadonlyMap<DemoNode, number>,
): Promise<number> {
  return until(play, `what was posted to be final on ${names(nodes)}`, () => {
    const times = [...counts].flatMap(([{ user }, count]) =>
      nodes.map(({ reader }) => reader.timeOf(user, count) ?? Number.POSITIVE_INFINITY),
    );
    const last = Math.max(...times);
    return last < Number.POSITIVE_INFINITY && last;
  });
}

/** Whether all nodes are up, have nothing to do, and have the same final log. */
export function allEqual({ nodes }: Stage): boolean {
  const statuses = nodes.flatMap(({ status }) => status ?? []);
  const idle = statuses.filter(({ queued, sent, committed }) => queued + sent + committed === 0);
  return idle.length === nodes.length && new Set(idle.map(({ head }) => head)).size === 1;
}
