/** `npm run mutants`: hunts mutants, and exits 1 when one survives; see USAGE. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { checkFits } from './bundle.js';
import { MUTANTS, readRecorded } from './index.js';
import type { Mutant } from './mutant.js';
import { type Hunted, Hunter, makeDirectory } from './runner.js';
import { asText, remarks, report, write } from './table.js';

const USAGE = `Sabotages the product, one small mutant at a time, and counts the seeds that the simulator's
invariants need to catch it (docs/mutants.md).

    npm run mutants -- [options]

    --only NAME   this mutant alone; may be given more than once
    --seeds N     give up on a mutant after N seeds (400)
    --from SEED   the first seed (random, and printed)
    --recorded    try only the seed that each mutant was recorded with
    --write       record the seeds that catch them now, here and in docs/mutants.md
    --jobs N      mutants at once (${availableParallelism()}: one for each core)
    --json        a line of JSON for each mutant
    --help        this text

Exits 0 when all are caught, 1 when one survives or the product itself breaks an invariant, 2 when
it can't run: a wrong option, or a mutant that no longer fits the sources.`;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

/** What is recorded is run in each `npm test`: of the seeds that catch a mutant soon, a cheap one. */
const MORE_SEEDS = 8;

const flags = readFlags();

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        seeds: { type: 'string', default: '400' },
        from: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 40)) },
        recorded: { type: 'boolean', default: false },
        jobs: { type: 'string', default: String(availableParallelism()) },
        write: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return values;
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function numberOf(flag: 'seeds' | 'from' | 'jobs', least: number): number {
  const n = Number(flags[flag]);
  if (!Number.isSafeInteger(n) || n < least || flags[flag].trim() === '') {
    fail(`--${flag} takes a whole number from ${least}, not '${flags[flag]}'`);
  }
  return n;
}

function chosenMutants(): readonly Mutant[] {
  const unknown = flags.only.filter((name) => !MUTANTS.some((m) => m.name === name));
  if (unknown.length > 0) {
    const names = MUTANTS.map((m) => m.name).join(' ');
    fail(`there is no mutant named ${unknown.join(' or ')}; there are: ${names}`);
  }
  const chosen = MUTANTS.filter((m) => flags.only.length === 0 || flags.only.includes(m.name));
  const misfits = chosen.flatMap((mutant) => {
    try {
      checkFits(mutant);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  if (misfits.length > 0) fail(misfits.join('\n'));
  return chosen;
}

/** It survived, or the product itself fails. */
const isFailure = ({ caught, unclean }: Hunted): boolean => !caught || unclean.size > 0;

async function main(): Promise<void> {
  if (flags.help) return console.log(USAGE);
  if (flags.recorded && flags.write) fail('--write records fresh seeds: leave --recorded out');
  const from = numberOf('from', 0);
  const fresh = Array.from({ length: numberOf('seeds', 1) }, (_, i) => from + i);
  const jobs = numberOf('jobs', 1);
  const chosen = chosenMutants();
  const recorded = readRecorded();
  const seedsFor = ({ name }: Mutant): readonly number[] => {
    if (!flags.recorded) return fresh;
    const seed = recorded[name]?.seed;
    return seed === undefined ? [] : [seed];
  };
  if (!flags.recorded) console.error(`seeds from ${from}`);

  const done: Hunted[] = [];
  const directory = makeDirectory();
  const lane = async (queue: Mutant[]): Promise<void> => {
    const hunter = new Hunter(directory.path);
    try {
      for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
        const hunted = await hunter.hunt(mutant, seedsFor(mutant), flags.write ? MORE_SEEDS : 0);
        done.push(hunted);
        if (flags.json) console.log(report(hunted));
        console.error(`${done.length} of ${chosen.length}: ${remarks(hunted).join('\n  ')}`);
        // After each, so that what was caught stays when the rest is cut short.
        if (flags.write) write(MUTANTS, done);
      }
    } finally {
      await hunter.close();
    }
  };
  try {
    const queue = [...chosen];
    await Promise.all(Array.from({ length: jobs }, () => lane(queue)));
  } finally {
    directory.remove();
  }
  done.sort((a, b) => chosen.indexOf(a.mutant) - chosen.indexOf(b.mutant));
  const survivors = done.filter((h) => !h.caught).length;
  if (!flags.json) {
    console.log(asText(done));
    const count = done.length === 1 ? '1 mutant' : `${done.length} mutants`;
    console.log(`${count}, ${done.length - survivors} caught, ${survivors} survived`);
  }
  // Once more, where a reader of a long log looks first.
  for (const hunted of done.filter(isFailure)) console.error(remarks(hunted).join('\n  '));
  process.exitCode = done.some(isFailure) ? 1 : 0;
}

await main();
