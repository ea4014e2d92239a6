/**
 * What a side of a split does that has too few members to make anything final:
 * with three of them or more it elects a leader of its own and commits, and all
 * of that becomes final once the network is healed.
 */

import { expect } from 'vitest';
import type { LabNode } from './lab.js';
import { names, type Scenario, type Side } from './scenario.js';

/**
 * Whether the core has online epochs. While it has none, the few queue what
 * they are given, and that becomes final after the heal.
 */
export const ONLINE_EPOCHS = false;

/** For the names of tests. */
export const DO_APART = ONLINE_EPOCHS ? 'commit' : 'queue';

/** Messages that each of the few must show as committed (or queue), to show what they do. */
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
export async function goOnApart({ until }: Scenario, nodes: readonly LabNode[]): Promise<void> {
  await until(`${names(nodes)} to go on among themselves`, () => {
    const all = nodes.flatMap(({ status }) => status ?? []);
    return all.every(({ epoch, committed, waiting, queued }) =>
      ONLINE_EPOCHS
        ? epoch?.kind === 'online' && committed >= ENOUGH
        : waiting?.have === nodes.length && queued >= ENOUGH,
    );
  });
}

/** Reads all nodes: what is committed on this side is known there alone, and not final. */
export async function expectApart(
  { recorder, lab }: Scenario,
  nodes: readonly LabNode[],
): Promise<void> {
  const pages = await recorder.read(...lab.nodes);
  const committed = (index: number): string[] =>
    pages[index]!.filter(({ state }) => state === 'committed').map(({ id }) => id);
  const isHere = new Set(nodes.map(({ index }) => index));
  const elsewhere = new Set(
    pages.flatMap((page, i) => (isHere.has(i) ? [] : page)).map((e) => e.id),
  );
  for (const { index } of nodes) {
    const ids = committed(index);
    expect(ids.length >= ENOUGH).toBe(ONLINE_EPOCHS);
    expect(ids.filter((id) => elsewhere.has(id))).toEqual([]);
  }
}

/** After the heal: everyone shows what moved, and goes on. */
export async function expectMerged({ recorder, lab, ...s }: Scenario): Promise<void> {
  await s.until('all members to be online everywhere', () =>
    lab.nodes.every(({ status }) => status?.online.length === lab.nodes.length),
  );
  await s.goOn(lab.nodes);
  if (!ONLINE_EPOCHS) return;
  await s.until('every node to say that it merged', () =>
    lab.nodes.every((node) => recorder.mergesAt(node) > 0),
  );
}
