/** `sim`: the simulator. */

import { type Command, Option } from 'commander';
import { SIM_NODES_MAX, SIM_RELAYS_MAX } from '../../testing/check-options.js';
import type { Cli } from '../cli.js';
import type { SimCommandOptions } from '../sim.js';
import { countOption, example, parser } from './shared.js';

export function addSim(program: Command, cli: () => Cli): void {
  const command = program
    .command('sim')
    .summary('simulate channels under faults')
    .description(
      'Runs whole channels in virtual time, with the code that real nodes run, under faults and load ' +
        'drawn from a seed, and checks at every step that nothing is lost, reordered or made up. The ' +
        'same seed and options give the same run, to the hash of its trace. What fails is cut down to ' +
        'a small plan that still fails. docs/simulation.md explains it.',
    )
    .addOption(seedOption('--seed <n>', 'one run'))
    .addOption(
      new Option('--seeds <first..last>', 'all of these; stops at the first that fails').argParser(
        parser(parseRange),
      ),
    )
    .addOption(countOption('--minutes <n>', 'fresh seeds for so long', 1))
    .option('--plan <file>', 'the run that a plan file describes, as written after a failure')
    .option('--scenario <file>', 'a script of commands; prints it with the exchange below each')
    .option('--update', 'with --scenario: rewrites the file with what is printed now')
    .addOption(
      countOption(
        '--nodes <n>',
        `so many nodes, not as the seed says: 1 to ${SIM_NODES_MAX}`,
        1,
        SIM_NODES_MAX,
      ),
    )
    .addOption(
      countOption('--relays <n>', `so many relays: 1 to ${SIM_RELAYS_MAX}`, 1, SIM_RELAYS_MAX),
    )
    .option('--faults <kinds>', 'these kinds of faults, with commas between; "none" for none')
    .addOption(
      countOption('--jobs <n>', 'with --seeds and --minutes: so many processes (default: 1)', 1),
    )
    .option('--keep-going', 'with --seeds and --minutes: goes on after a failure')
    .option('--shrink', 'cuts a run that fails down, as --seeds and --minutes do')
    .option('--no-shrink', 'does not')
    .option('--save <file>', 'where to write the plan of a failure (default: sim-<seed>.json)')
    .option('--log', 'prints the run as text, line by line')
    .option('--html <file>', 'draws the run: a page that shows who sent what to whom, and when')
    .addOption(
      new Option(
        '--sabotage <how>',
        'lets every disk break a promise, to see a run fail',
      ).hideHelp(),
    )
    .action(async (options: SimCommandOptions) => {
      const { runSim } = await import('../sim.js');
      await runSim(cli(), options);
    });
  example(
    command,
    'conclave sim --seed 75\nconclave sim --seeds 1..2000 --jobs 2\nconclave sim --seed 8 --nodes 7 --faults halves --html run.html',
  );
}

const seedOption = (flags: string, description: string): Option =>
  new Option(flags, `${description}; 0 to 2^53-1`).argParser(parser(parseSeed));

function parseSeed(text: string): number {
  const seed = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(seed)) throw new Error('a seed is a whole number from 0 to 2^53-1');
  return seed;
}

function parseRange(text: string): { first: number; last: number } {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(text) ?? [];
  if (from === undefined || to === undefined) throw new Error('give FIRST..LAST, as 1..2000');
  const range = { first: parseSeed(from), last: parseSeed(to) };
  if (range.first > range.last) throw new Error('the first seed is above the last');
  return range;
}
