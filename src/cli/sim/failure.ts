/**
 * What is said of a run that failed: which code it was, how to see it again,
 * and the small plan that still fails, written to a file.
 */

import { formatPlanFile, type Plan, planOf } from '../../testing/plan.js';
import type { CommonOptions } from '../../testing/runs.js';
import { shrink } from '../../testing/shrink.js';
import type { SimulateOptions, SimulateResult } from '../../testing/simulate.js';
import { writeWhole } from '../atomic-file.js';
import type { Cli } from '../cli.js';
import type { Json, Paint } from '../output.js';
import { printable } from '../printable.js';
import { type Build, buildName, thisBuild } from './build.js';
import { violationText } from './report.js';

const SHRINK_RUNS_MAX = 400;

export interface Failed {
  readonly options: SimulateOptions;
  readonly result: SimulateResult;
  /** The command that runs it again. */
  readonly replay: string;
  readonly shrink: boolean;
  /** Where the plan goes. */
  readonly save: string | undefined;
}

export interface Failure {
  readonly build: Build;
  readonly replay: string;
  readonly shrunk?: {
    readonly file: string;
    readonly replay: string;
    readonly runs: number;
    readonly before: Size;
    readonly after: Size;
    readonly result: SimulateResult;
  };
}

interface Size {
  readonly nodes: number;
  readonly faults: number;
  readonly posts: number;
}

const sizeOf = ({ nodes, faults, workload }: Plan): Size => ({
  nodes,
  faults: faults.length,
  posts: workload.posts.length,
});
const sizeText = ({ nodes, faults, posts }: Size): string =>
  `${nodes} nodes, ${faults} faults, ${posts} posts`;

/** Cuts the failure down, if that is wanted, and writes the plan of what remains. */
export async function reportFailure(cli: Cli, failed: Failed): Promise<Failure> {
  const { options, result, replay } = failed;
  const build = await thisBuild();
  if (!failed.shrink || cli.signal.aborted) return { build, replay };
  const plan = planOf(options, result);
  const shrunk = await shrink({
    plan,
    result,
    runsMax: SHRINK_RUNS_MAX,
    signal: cli.signal,
    onProgress: (runs, best) =>
      cli.out.progress({ what: `cutting down, now ${sizeText(sizeOf(best))}; runs`, done: runs }),
  });
  const file = failed.save ?? `sim-${options.seed}.json`;
  const { commit } = build;
  const { violation } = shrunk.result;
  await writeWhole(
    file,
    formatPlanFile({
      conclave: build.version,
      ...(commit !== undefined && { commit }),
      ...(violation && { violation }),
      plan: shrunk.plan,
    }),
  );
  return {
    build,
    replay,
    shrunk: {
      file,
      replay: `conclave sim --plan ${file}`,
      runs: shrunk.runs,
      before: sizeOf(plan),
      after: sizeOf(shrunk.plan),
      result: shrunk.result,
    },
  };
}

/** The command that runs it again with the options that it ran with. */
export const replayCommand = (what: string, options: CommonOptions): string =>
  `conclave sim ${what}${optionsText(options)}`;

/** Options as one gives them to the command. */
export function optionsText({ nodes, relays, faults, sabotage }: CommonOptions): string {
  const parts: string[] = [];
  if (nodes !== undefined) parts.push(` --nodes ${nodes}`);
  if (relays !== undefined) parts.push(` --relays ${relays}`);
  if (faults) parts.push(` --faults ${faults.join(',') || 'none'}`);
  if (sabotage) parts.push(` --sabotage ${sabotage}`);
  return parts.join('');
}

export function failureJson({ build, replay, shrunk }: Failure): Json {
  if (!shrunk) return { ...build, replay };
  const { result, ...rest } = shrunk;
  return { ...build, replay, shrunk: { ...rest, violation: result.violation } };
}

export function failureText({ build, replay, shrunk }: Failure, paint: Paint): string {
  const lines = [`found with ${buildName(build)}`, `to see it again: ${replay} --log`];
  if (!shrunk) return lines.join('\n');
  const { runs, before, after, file, result } = shrunk;
  return [
    ...lines,
    '',
    `cut down from ${sizeText(before)} to ${sizeText(after)}, in ${runs} runs:`,
    violationText(result, paint),
    `written to ${printable(file)}; to see it: ${printable(shrunk.replay)} --log`,
  ].join('\n');
}
