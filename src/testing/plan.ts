/**
 * Plans: a run written down, with nothing left to draw but its noise
 * (docs/simulation.md, "Plans"). The same plan gives the same run, so a failure
 * can be kept in a file, cut down, edited by hand, and run again.
 *
 *     { "conclave": "0.1.0", "commit": "…", "violation": {…}, "plan": { "seed": 42, "nodes": 3, … } }
 */

import { ConclaveError } from '../core/errors.js';
import { problemOf } from './check-options.js';
import { isObject, must, object, optional, problemText, text as textShape } from './shapes.js';
import type { Sabotage, SimulateOptions, SimulateResult, Violation } from './simulate.js';

export type Plan = { readonly seed: number; readonly sabotage?: Sabotage } & SimulateResult['plan'];

/** The plan that a run followed. */
export const planOf = ({ sabotage }: SimulateOptions, { seed, plan }: SimulateResult): Plan => ({
  seed,
  ...plan,
  ...(sabotage && { sabotage }),
});

export interface PlanFile {
  /** Version of the package with which it was found, and the commit, in a clone. */
  readonly conclave: string;
  readonly commit?: string;
  readonly violation?: Violation;
  readonly plan: Plan;
}

/** Faults, posts and conditions each on a line of their own, for people who edit them. */
export function formatPlanFile(file: PlanFile): string {
  const { faults, workload, ...rest } = file.plan;
  const lines = (items: readonly unknown[]): string =>
    items.length === 0
      ? '[]'
      : `[\n${items.map((i) => `      ${JSON.stringify(i)}`).join(',\n')}\n    ]`;
  const fields = Object.entries({ ...file, plan: undefined })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`)
    .join('');
  const plan = Object.entries(rest)
    .map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`)
    .join('');
  return `{\n${fields}  "plan": {\n${plan}    "faults": ${lines(faults)},\n    "workload": { "posts": ${lines(workload.posts)}, "invites": ${JSON.stringify(workload.invites)}, "changes": ${lines(workload.changes)} }\n  }\n}\n`;
}

/** Throws `bad_plan`. What is left out of the plan is drawn from its seed. */
export function parsePlanFile(text: string): PlanFile {
  const file = parseJson(text);
  const plan = isObject(file) ? file.plan : undefined;
  if (!isObject(plan)) throw bad('it has no "plan"');
  const wrong = fileShape(file);
  const problem = wrong ? problemText(wrong) : problemOf(plan);
  if (problem !== undefined) throw bad(problem);
  return file as unknown as PlanFile;
}

const fileShape = object({
  conclave: optional(textShape),
  commit: optional(textShape),
  violation: optional(must('an object', isObject)),
  plan: must('an object', isObject),
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw bad(`it is no JSON: ${(error as Error).message}`);
  }
}

const bad = (message: string): ConclaveError =>
  new ConclaveError('bad_plan', `this is no plan of a run: ${message}`);
