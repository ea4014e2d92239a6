/** What the demo ends with: whether all stores hold what was put in, once each, in the same order. */

import type { Measured } from './measure.js';

export interface Result {
  readonly ok: boolean;
  readonly nodes: number;
  readonly entries: number;
  readonly final: number;
  readonly head: string;
  readonly merged: number;
  readonly lost: number;
  readonly duplicates: number;
}

export interface Verdict {
  readonly result: Result;
  /** Empty when all is well. */
  readonly problems: readonly string[];
}

export interface Played {
  readonly measured: readonly Measured[];
  /** Why the play broke off, if it did. */
  readonly failure: string | undefined;
  /** Messages that were committed on the smaller side of the split, and nowhere else. */
  readonly apart: number;
}

/** Counts are those of the node that is worst off. */
export function verdict({ measured, failure, apart }: Played): Verdict {
  const problems = [...(failure === undefined ? [] : [failure]), ...measured.flatMap(problemsOf)];
  const [first] = measured;
  if (!first) problems.push('there are no stores to look at');
  else if (measured.some(({ head }) => head !== first.head)) problems.push('the heads differ');
  else if (measured.some(({ log }) => log !== first.log)) problems.push('the logs differ');
  const least = (of: (one: Measured) => number): number => Math.min(...measured.map(of));
  const most = (of: (one: Measured) => number): number => Math.max(0, ...measured.map(of));
  const merged = first ? least(mergedIn) : 0;
  if (first && apart > 0 && merged === 0) {
    problems.push(`${apart} messages were committed on the smaller side, and no store merged any`);
  }
  const result = {
    ok: problems.length === 0,
    nodes: measured.length,
    entries: first ? least(({ entries }) => entries) : 0,
    final: first ? least(({ final }) => final) : 0,
    head: first?.head ?? '',
    merged,
    lost: most(({ account }) => account.lost),
    duplicates: most(({ account }) => account.duplicates),
  };
  return { result, problems };
}

/** Messages that stand in the log under a `merge` record. */
const mergedIn = ({ merges }: Measured): number =>
  merges.reduce((sum, { messages }) => sum + messages, 0);

function problemsOf({ name, problem, entries, final, account }: Measured): string[] {
  const { lost, duplicates, foreign, disordered } = account;
  const problems: string[] = [];
  if (problem !== undefined) problems.push(`${name}'s store: ${problem}`);
  if (entries !== final) problems.push(`${entries - final} of ${name}'s messages are not final`);
  if (lost > 0) problems.push(`${name} lacks ${lost} of the lines that were put in`);
  if (duplicates > 0) problems.push(`${name} has ${duplicates} lines too often`);
  if (foreign > 0) problems.push(`${name} has ${foreign} messages that nobody put in`);
  if (disordered.length > 0)
    problems.push(`${name} has lines of ${disordered.length} nodes in another order`);
  return problems;
}
