/**
 * What a side of a split does that has too few members to make anything final:
 * with three of them or more it elects a leader of its own and commits, and all
 * of that becomes final once the network is healed.
 */

import type { LabNode } from './lab.js';
import { names, type Scenario, type Side } from './scenario.js';

/** Messages of its own that each of the few must commit since the split. */
const ENOUGH = 15;

/** A side that reaches one relay, and has too few members to make anything final. */
export const tooFew = (nodes: readonly LabNode[], relay: number): Side => ({
  nodes,
  relays: [relay],
  commits: true,
});

/** The last final entry that anyone of these knows. */
export const finalSeq = (nodes: readonly LabNode[]): number =>
  Math.max(...nodes.map(({ status }) => status?.final ?? 0));

/** Waits until the few commit what they are given, in an epoch of their own. */
export async function goOnApart(
  { until, recorder }: Scenario,
  nodes: readonly LabNode[],
): Promise<void> {
  await until(`${names(nodes)} to commit among themselves`, () =>
    nodes.every(
      (node) => node.status?.epoch?.kind === 'online' && recorder.committedSinceCut(node) >= ENOUGH,
    ),
  );
}

/** After the heal: everyone shows what moved, and goes on. */
export async function expectMerged({ recorder, lab, ...s }: Scenario): Promise<void> {
  await s.until('all members to be online everywhere', () =>
    lab.nodes.every(({ status }) => status?.online.length === lab.nodes.length),
  );
  await s.goOn(lab.nodes);
  await s.until('every node to show a merge', () =>
    lab.nodes.every((node) => recorder.mergesAt(node) > 0),
  );
}
