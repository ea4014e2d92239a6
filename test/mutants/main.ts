/**
 * `npm run mutants`: hunts every mutant on fresh seeds, and exits 1 when one
 * survives or no longer fits the sources.
 *
 *     --json        a line of JSON for each mutant
 *     --only NAME   this one alone; may repeat
 *     --seeds N     how many seeds each gets (default 400)
 *     --from SEED   the first of them (default: random, printed)
 *     --recorded    only the seed that each was recorded with
 *     --jobs N      mutants at once (default: one for each core)
 *     --write       keeps the seeds that caught them, and writes docs/mutants.md
 */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { checkFits } from './bundle.js';
import { MUTANTS, readRecorded } from './index.js';
import type { Mutant } from './mutant.js';
import { type Hunted, hunt, makeDirectory } from './runner.js';
import { asText, remarks, write } from './table.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    seeds: { type: 'string', default: '400' },
    from: { type: 'string' },
    recorded: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(availableParallelism()) },
    write: { type: 'boolean', default: false },
  },
});

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function numberOf(flag: 'seeds' | 'from' | 'jobs'): number {
  const n = Number(flags[flag]);
  if (!Number.isSafeInteger(n) || n < 0) fail(`--${flag} must be a whole number`);
  return n;
}

const unknown = flags.only.filter((name) => !MUTANTS.some((m) => m.name === name));
if (unknown.length > 0) fail(`there is no mutant named ${unknown.join(' or ')}`);
const chosen = MUTANTS.filter((m) => flags.only.length === 0 || flags.only.includes(m.name));
for (const mutant of chosen) checkFits(mutant);

const from = flags.from === undefined ? Math.floor(Math.random() * 2 ** 40) : numberOf('from');
const fresh = Array.from({ length: numberOf('seeds') }, (_, i) => from + i);
const recorded = readRecorded();

function seedsFor({ name }: Mutant): readonly number[] {
  if (!flags.recorded) return fresh;
  const seed = recorded[name]?.seed;
  return seed === undefined ? [] : [seed];
}

if (!flags.recorded) console.error(`seeds from ${from}`);

/** One line that is written over, for people. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const done: Hunted[] = [];
const directory = makeDirectory();

async function lane(queue: Mutant[]): Promise<void> {
  for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
    const { name } = mutant;
    const hunted = await hunt(mutant, seedsFor(mutant), directory.path, (tried) => {
      progress(`${done.length} of ${chosen.length} done; ${name}: seed ${tried}`);
    });
    done.push(hunted);
    progress('');
    for (const line of remarks(hunted)) console.error(line);
    if (flags.json) {
      const { caught, seeds } = hunted;
      console.log(JSON.stringify({ mutant: name, invariant: mutant.invariant, seeds, caught }));
    }
  }
}

try {
  const queue = [...chosen];
  await Promise.all(Array.from({ length: Math.max(1, numberOf('jobs')) }, () => lane(queue)));
} finally {
  directory.remove();
}

done.sort((a, b) => chosen.indexOf(a.mutant) - chosen.indexOf(b.mutant));
if (flags.write) write(MUTANTS, done);
const survivors = done.filter((h) => !h.caught).length;
if (!flags.json) {
  console.log(asText(done));
  console.log(`${done.length} mutants, ${done.length - survivors} caught, ${survivors} survived`);
}
process.exitCode = survivors > 0 || done.some((h) => h.unclean.size > 0) ? 1 : 0;
