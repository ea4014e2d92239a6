/**
 * How long faults and load last, where a plan says what happens when. They begin when all nodes have
 * joined; unless `loadMs` says otherwise they last as long as something in the plan does.
 */

import type { Millis } from '../core/ids.js';
import type { Fault } from './faults.js';
import type { SimulateOptions } from './simulate.js';
import type { WorkloadPlan } from './workload.js';

/** How long the load lasts that begins at `from`: until what the caller planned is over, or longer. */
export function loadLasts(
  { loadMs, faults = [], workload }: SimulateOptions,
  from: Millis,
  drawnMs: Millis,
): Millis {
  if (loadMs !== undefined) return loadMs;
  const ends = faults.map((fault) => (typeof fault === 'object' ? fault.until : 0));
  const posts = (workload?.posts ?? []).map(({ at }) => at + 1);
  const changes = (workload?.changes ?? []).map(({ at }) => at + 1);
  const last = [...ends, ...posts, ...changes, ...(workload?.invites ?? [])];
  return Math.max(drawnMs, ...last.map((at) => at - from));
}

/** What of a plan does not happen, since it lies outside of the time of the load: a sentence each. */
export function outOfTime(
  faults: readonly Fault[],
  { posts, invites, changes }: WorkloadPlan,
  from: Millis,
  until: Millis,
): string[] {
  const late = `and the load ends at ${Math.floor(until)} ms ("loadMs")`;
  const tooLate = (what: string, at: Millis): string[] =>
    at > until ? [`${what} begins at ${at} ms, ${late}`] : [];
  return [
    ...faults.flatMap((fault, i) =>
      fault.until <= from && fault.until > fault.at
        ? [
            `fault ${i} (${fault.kind}) ends at ${fault.until} ms, and the load begins at ${Math.ceil(from)} ms`,
          ]
        : tooLate(`fault ${i} (${fault.kind})`, fault.at),
    ),
    ...posts.flatMap(({ at }, i) => tooLate(`post ${i}`, at)),
    ...invites.flatMap((at, i) => tooLate(`invite ${i}`, at)),
    ...changes.flatMap(({ at }, i) => tooLate(`change ${i}`, at)),
  ];
}
