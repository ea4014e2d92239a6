/**
 * What a side of a split does that has too few members to make anything final:
 * with three of them or more it elects a leader of its own and commits, and all
 * of that becomes final once the network is healed.
 */

import type { LabNode } from './lab.js';
import { names, type Scenario, type Side } from './scenario.js';

/**
 * Whether the core has online epochs. While it has none, the few queue what
 * they are given, and that becomes final after the heal.
 */
export const ONLINE_EPOCHS = true;

/** For the names of tests. */
export const DO_APART = ONLINE_EPOCHS ? 'commit' : 'queue';

/** Messages of its own that each of the few must commit (or queue) since the split, to show what it does. */
const ENOUGH = 15;

/** A side that reaches one relay, and has too few members to make anything final. */
export const tooFew = (nodes: readonly LabNode[], relay: number): Side => ({
  nodes,
  relays: [relay],
  commits: ONLINE_EPOCHS,
});

/** The last final entry that anyone of these knows. */
export const finalSeq = (nodes: readonly LabNode[]): number =>
  Math.max(...nodes.map(({ status }) => status?.final ?? 0));

/** Waits until the few have done what they can. */
export async function goOnApart(
  { until, recorder }: Scenario,
  nodes: readonly LabNode[],
): Promise<void> {
  await until(`${names(nodes)} to go on among themselves`, () =>
    nodes.every((node) => {
      const { epoch, waiting, queued = 0 } = node.status ?? {};
      return ONLINE_EPOCHS
        ? epoch?.kind === 'online' && recorder.committedSinceCut(node) >= ENOUGH
        : waiting?.have === nodes.length && queued >= ENOUGH;
    }),
  );
}

/** After the heal: everyone shows what moved, and goes on. */
export async function expectMerged({ recorder, lab, ...s }: Scenario): Promise<void> {
  await s.until('all members to be online everywhere', () =>
    lab.nodes.every(({ status }) => status?.online.length === lab.nodes.length),
  );
  await s.goOn(lab.nodes);
  if (!ONLINE_EPOCHS) return;
  await s.until('every node to show a merge', () =>
    lab.nodes.every((node) => recorder.mergesAt(node) > 0),
  );
}
