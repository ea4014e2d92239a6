/** `conclave sim`: what its options ask for, and its exit code (docs/simulation.md). */

import type { FaultKind } from '../testing/index.js';
import { FAULT_KINDS, RARE_KINDS } from '../testing/index.js';
import { parsePlanFile } from '../testing/plan.js';
import type { CommonOptions } from '../testing/runs.js';
import type { Cli } from './cli.js';
import { usageError } from './errors.js';
import { optionsText, replayCommand } from './sim/failure.js';
import { runMany } from './sim/many.js';
import { runOne } from './sim/one.js';
import { readText, showScenario } from './sim/scenario.js';

export interface SimCommandOptions {
  readonly seed?: number;
  readonly seeds?: { readonly first: number; readonly last: number };
  readonly minutes?: number;
  readonly plan?: string;
  readonly scenario?: string;
  readonly update?: boolean;
  readonly nodes?: number;
  readonly relays?: number;
  readonly faults?: string;
  readonly jobs?: number;
  readonly keepGoing?: boolean;
  readonly shrink?: boolean;
  readonly save?: string;
  readonly log?: boolean;
  readonly html?: string;
  readonly sabotage?: string;
}

const WAYS = ['seed', 'seeds', 'minutes', 'plan', 'scenario'] as const;
type Way = (typeof WAYS)[number];

const MANY: readonly Way[] = ['seeds', 'minutes'];
const RUNS: readonly Way[] = ['seed', 'seeds', 'minutes', 'plan'];

/** Options that only some ways have a use for. */
const USED_BY: Partial<Record<keyof SimCommandOptions, readonly Way[]>> = {
  update: ['scenario'],
  jobs: MANY,
  keepGoing: MANY,
  log: ['seed', 'plan'],
  html: ['seed', 'plan', 'scenario'],
  nodes: RUNS,
  relays: RUNS,
  faults: RUNS,
  shrink: RUNS,
  save: RUNS,
  sabotage: RUNS,
};

export async function runSim(cli: Cli, options: SimCommandOptions): Promise<void> {
  const way = wayOf(options);
  refuseUseless(way, options);
  const { seed, seeds, minutes } = options;
  const many = seeds ?? (minutes !== undefined && { first: freshSeed(), minutes });
  if (many) return runMany(cli, many, commonOptions(options), options);
  if (options.scenario !== undefined) {
    return showScenario(cli, options.scenario, options);
  }
  if (seed !== undefined) {
    const run = { ...commonOptions(options), seed };
    return runOne(cli, run, replayCommand(`--seed ${seed}`, run), options);
  }
  const path = options.plan!;
  const { plan } = parsePlanFile(await readText(path));
  const instead = commonOptions(options);
  const said = optionsText(instead);
  if (said !== '') cli.out.note(`not as the plan says:${said}`);
  return runOne(cli, { ...plan, ...instead }, replayCommand(`--plan ${path}`, instead), options);
}

function wayOf(options: SimCommandOptions): Way {
  const given = WAYS.filter((way) => options[way] !== undefined);
  const all = '--seed, --seeds, --minutes, --plan and --scenario';
  if (given.length === 0) throw usageError(`say what to run: one of ${all}`);
  if (given.length > 1) {
    const names = given.map((way) => `--${way}`).join(' and ');
    throw usageError(`${names} say different things to run: give one of ${all}`);
  }
  return given[0]!;
}

function refuseUseless(way: Way, options: SimCommandOptions): void {
  for (const [option, ways] of Object.entries(USED_BY)) {
    if (options[option as keyof SimCommandOptions] === undefined || ways.includes(way)) continue;
    const name = option === 'keepGoing' ? 'keep-going' : option;
    throw usageError(`--${name} is for ${ways.map((w) => `--${w}`).join(', ')}: not for --${way}`);
  }
  if (options.save !== undefined && !options.shrink && !MANY.includes(way)) {
    throw usageError('--save is where the plan of a failure goes that is cut down: add --shrink');
  }
}

/** Where nobody was yet, most likely, with room behind it. */
const freshSeed = (): number => Math.floor(Math.random() * FRESH_SEEDS);
const FRESH_SEEDS = 2 ** 48;

/** What the options say about every run. */
function commonOptions({ nodes, relays, faults, sabotage }: SimCommandOptions): CommonOptions {
  return {
    ...(nodes !== undefined && { nodes }),
    ...(relays !== undefined && { relays }),
    ...(faults !== undefined && { faults: parseFaults(faults) }),
    ...(sabotage !== undefined && { sabotage: sabotage as NonNullable<CommonOptions['sabotage']> }),
  };
}

const KINDS = [...FAULT_KINDS, ...RARE_KINDS];

function parseFaults(text: string): FaultKind[] {
  if (text === 'none') return [];
  return text.split(',').map((kind) => {
    const known = KINDS.find((one) => one === kind);
    if (!known) throw usageError(`"${kind}" is no fault: ${KINDS.join(', ')}, or none`);
    return known;
  });
}
