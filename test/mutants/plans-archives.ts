/** Plans of runs in which two are enough beside an archive alone. */

import type { Fault } from '../../src/testing/faults.js';
import { between, chance, drawsOf, pick } from '../../src/testing/prng.js';
import type { Change } from '../../src/testing/workload.js';
import type { RunOptions } from './mutant.js';
import { groupsOf, JOINED_MS, LOAD_MS, lightLoad, pairsBetween, SMALL } from './plans.js';

/** Now and then two alone are left together. */
function byTwos(seed: number, archives: number): RunOptions & { readonly nodes: number } {
  const draw = drawsOf(seed, 'by twos');
  const nodes = archives + pick(draw, [2, 3, 4]);
  const faults: Fault[] = [];
  for (let at = JOINED_MS; at < LOAD_MS; ) {
    const until = at + between(draw, 2_500, 5_000);
    const pairs = pairsBetween(groupsOf(draw, nodes, [2, nodes - 2]));
    if (pairs.length > 0) faults.push({ kind: 'block', pairs, at, until });
    at = until + between(draw, 100, 2_000);
  }
  const load = lightLoad(seed);
  return { ...SMALL, few: 'archive', archives, nodes, faults, workload: load };
}

/** Two are enough beside an archive, and there is none. */
export const withoutArchive = (seed: number): RunOptions => byTwos(seed, 0);

/** There is one, which leaves, or is removed. */
export function archiveLeaving(seed: number): RunOptions {
  const { workload, ...rest } = byTwos(seed, 1);
  const draw = drawsOf(seed, 'archive leaving');
  const at = Math.floor(between(draw, JOINED_MS, JOINED_MS + 2_000));
  const node = rest.nodes - 1;
  const change: Change = chance(draw, 0.5)
    ? { at, what: 'leave', node, by: node }
    : { at, what: 'remove', node, by: 0 };
  return { ...rest, workload: { ...workload, changes: [change] } };
}
