/**
 * Each mutant of test/mutants on the seed that caught it when the table in
 * docs/mutants.md was written: its invariant still reports it, and the clean
 * core passes the same seed. `npm run mutants` searches with fresh seeds.
 */

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { checkFits } from '../mutants/bundle.js';
import { MUTANTS, readRecorded } from '../mutants/index.js';
import { Hunter, makeDirectory } from '../mutants/runner.js';

const RUN_MS = 240_000;
const INVARIANTS = 18;

const directory = makeDirectory();
const hunter = new Hunter(directory.path);
afterAll(async () => {
  await hunter.close();
  directory.remove();
});
const recorded = readRecorded();

describe('the mutants', () => {
  it('have names of their own', () => {
    const names = MUTANTS.map((m) => m.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('are at least 25, one at least for each invariant', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(25);
    const all = Array.from({ length: INVARIANTS }, (_, i) => i + 1);
    const missing = all.filter((n) => !MUTANTS.some((m) => m.invariant === n));
    expect(missing).toStrictEqual([]);
  });

  it('stand in the table, each with its recorded seed', () => {
    const table = readFileSync(new URL('../../docs/mutants.md', import.meta.url), 'utf8');
    const missing = MUTANTS.filter(({ name }) => {
      const seed = recorded[name]?.seed;
      return seed === undefined || !new RegExp(`\\| \`${name}\` .* ${seed} +\\|`).test(table);
    });
    expect(missing.map((m) => m.name)).toStrictEqual([]);
  });

  it.each(MUTANTS)('fit the sources: $name', (mutant) => {
    expect(() => checkFits(mutant)).not.toThrow();
  });
});

describe('caught on its recorded seed', () => {
  it.each(MUTANTS)('$name: $what', { timeout: RUN_MS }, async (mutant) => {
    const seed = recorded[mutant.name]?.seed;
    expect(seed, 'npm run mutants -- --write').toBeDefined();
    const { caught, others, unclean } = await hunter.hunt(mutant, [seed!]);
    expect({ caught, others: [...others], unclean: [...unclean] }).toStrictEqual({
      caught: true,
      others: [],
      unclean: [],
    });
  });
});
