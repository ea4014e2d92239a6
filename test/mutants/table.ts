/** What `npm run mutants` prints, and keeps in docs/mutants.md. */

import { readFileSync, writeFileSync } from 'node:fs';
import { RECORDED_FILE, type Recorded, readRecorded } from './index.js';
import type { Mutant } from './mutant.js';
import type { Hunted } from './runner.js';

const DOCUMENT = new URL('../../docs/mutants.md', import.meta.url);
const BEGIN = '<!-- begin: written by `npm run mutants -- --write` -->';
const END = '<!-- end -->';

/** One line for each mutant, columns in line. */
export function asText(all: readonly Hunted[]): string {
  const rows = all.map(({ mutant, caught, seeds, seed }) => [
    mutant.name,
    String(mutant.invariant),
    String(seeds),
    caught ? String(seed) : 'SURVIVED',
  ]);
  const head = ['mutant', 'invariant', 'seeds', 'caught by seed'];
  const width = head.map((h, i) => Math.max(h.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(width[i]!))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}

/** Why a mutant survived, or what else came up. */
export function remarks({ mutant, caught, others, unclean }: Hunted): string[] {
  const lines: string[] = [];
  if (!caught && others.size > 0) {
    const what = [...others].map(([invariant, count]) => `${invariant} (${count})`).join(', ');
    lines.push(`${mutant.name}: its runs reported only ${what}`);
  }
  for (const [seed, what] of unclean) {
    lines.push(`${mutant.name}: the clean core fails seed ${seed} too: ${what}`);
  }
  return lines;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

function asMarkdown(mutants: readonly Mutant[], recorded: { [mutant: string]: Recorded }): string {
  const rows = mutants.map(({ name, invariant, what }) => {
    const { seed, seeds } = recorded[name] ?? { seed: '', seeds: '' };
    return `| \`${name}\` | ${cell(what)} | ${invariant} | ${seeds} | ${seed} |`;
  });
  return [
    '| mutant | what it does | invariant | seeds needed | recorded seed |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** Keeps the seeds of what was caught now, and the table of all mutants. */
export function write(mutants: readonly Mutant[], hunted: readonly Hunted[]): void {
  const before = readRecorded();
  const now = new Map(
    hunted.flatMap(({ mutant, seed, seeds }) =>
      seed === undefined ? [] : [[mutant.name, { seed, seeds }] as const],
    ),
  );
  const recorded: { [mutant: string]: Recorded } = {};
  for (const { name } of mutants) {
    const entry = now.get(name) ?? before[name];
    if (entry) recorded[name] = entry;
  }
  writeFileSync(RECORDED_FILE, `${JSON.stringify(recorded, null, 2)}\n`);
  const text = readFileSync(DOCUMENT, 'utf8');
  const [head, rest] = text.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error('docs/mutants.md has lost the marks around its table');
  const table = asMarkdown(mutants, recorded);
  writeFileSync(DOCUMENT, `${head}${BEGIN}\n\n${table}\n\n${END}${tail}`);
}
