/**
 * What is said of a run that failed: which code it was, how to see it again,
 * and the small plan that still fails, written to a file.
 */

import type { SimulateOptions, SimulateResult } from '../../testing/index.js';
import type { Cli } from '../cli.js';
import type { Json } from '../output.js';
import { type Build, buildName, thisBuild } from './build.js';

export interface Failed {
  readonly options: SimulateOptions;
  readonly result: SimulateResult;
  readonly shrink: boolean;
  /** Where the plan goes. */
  readonly save: string | undefined;
}

export interface Failure {
  readonly build: Build;
  /** The command that runs it again. */
  readonly replay: string;
}

export async function reportFailure(_cli: Cli, { options }: Failed): Promise<Failure> {
  return { build: await thisBuild(), replay: replayCommand(options) };
}

export function replayCommand({ seed, nodes, relays, faults, sabotage }: SimulateOptions): string {
  const parts = [`conclave sim --seed ${seed}`];
  if (nodes !== undefined) parts.push(`--nodes ${nodes}`);
  if (relays !== undefined) parts.push(`--relays ${relays}`);
  if (faults) parts.push(`--faults ${faults.join(',') || 'none'}`);
  if (sabotage) parts.push(`--sabotage ${sabotage}`);
  return parts.join(' ');
}

export const failureJson = ({ build, replay }: Failure): Json => ({ ...build, replay });

export const failureText = ({ build, replay }: Failure): string =>
  `found with ${buildName(build)}\nto see it again: ${replay} --log`;
