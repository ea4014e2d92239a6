/** Invariant 15, over fixed and fresh seeds (private-run.ts). */

import { expect, it } from 'vitest';
import { runPrivate } from './private-run.js';

const FIXED = 30;
const FRESH = 30;

async function broken(first: number, count: number): Promise<string[]> {
  const reports: string[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const { violation } = await runPrivate(seed);
    if (violation) reports.push(`seed ${seed}: ${violation.message}`);
  }
  return reports;
}

it(`private messages come once and in order, for ${FIXED} seeds`, async () => {
  expect(await broken(1, FIXED)).toStrictEqual([]);
});

it(`private messages come once and in order, for ${FRESH} fresh seeds`, async () => {
  const first = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
  expect(await broken(first, FRESH)).toStrictEqual([]);
});

it('a run of private messages is a function of its seed', async () => {
  expect(await runPrivate(5)).toStrictEqual(await runPrivate(5));
});
