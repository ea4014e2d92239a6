/**
 * Which marks seeds reach: `npx tsx test/sim/marks-of.ts FIRST COUNT [OPTIONS]`,
 * with options as JSON. Prints how many runs reach each, and few seeds that
 * together reach all that any does, for the lists in marks.test.ts.
 */

import { MARKS } from '../../src/testing/marks.js';
import { type SimulateOptions, simulate } from '../../src/testing/simulate.js';

const [first = 1, count = 100] = process.argv.slice(2, 4).map(Number);
const options = JSON.parse(process.argv[4] ?? '{}') as Partial<SimulateOptions>;
const marksOf = new Map<number, readonly string[]>();
for (let seed = first; seed < first + count; seed++) {
  const { marks, violation } = await simulate({ ...options, seed });
  if (!violation) marksOf.set(seed, marks);
  else console.log(`seed ${seed} fails: ${violation.invariant}: ${violation.message}`);
}
const seedsOf = (name: string): number[] =>
  [...marksOf].filter(([, marks]) => marks.includes(name)).map(([seed]) => seed);
for (const { name } of MARKS) {
  const seeds = seedsOf(name);
  console.log(name.padEnd(26), String(seeds.length).padStart(6), seeds.slice(0, 6).join(' '));
}

/** Greedily: always the seed that adds most. */
const missing = new Set([...marksOf.values()].flat());
const cover: number[] = [];
while (missing.size > 0) {
  const added = (marks: readonly string[]): number => marks.filter((m) => missing.has(m)).length;
  const [seed, marks] = [...marksOf].reduce((a, b) => (added(b[1]) > added(a[1]) ? b : a));
  cover.push(seed);
  for (const mark of marks) missing.delete(mark);
}
console.log(`together: ${cover.join(', ')}`);
