/** What `npm run mutants` prints, and keeps in docs/mutants.md. */

import { readFileSync, writeFileSync } from 'node:fs';
import { RECORDED_FILE, type Recorded, readRecorded } from './index.js';
import type { Mutant } from './mutant.js';
import type { Hunted } from './runner.js';

const DOCUMENT = new URL('../../docs/mutants.md', import.meta.url);
const BEGIN = '<!-- begin: written by `npm run mutants -- --write` -->';
const END = '<!-- end -->';

const UNCLEAN_SHOWN = 3;

const seconds = ({ ms }: Hunted): string => (ms / 1_000).toFixed(1);

/** One line for each mutant, columns in line, and what it all took. */
export function asText(all: readonly Hunted[]): string {
  const rows = all.map((hunted) => [
    hunted.mutant.name,
    String(hunted.mutant.invariant),
    String(hunted.seeds),
    seconds(hunted),
    hunted.caught ? String(hunted.seed) : 'SURVIVED',
  ]);
  const total = all.reduce((sum, { ms }) => sum + ms, 0) / 1_000;
  rows.push(['all', '', String(all.reduce((n, { seeds }) => n + seeds, 0)), total.toFixed(1), '']);
  const head = ['mutant', 'invariant', 'seeds', 'seconds', 'caught by seed'];
  const width = head.map((h, i) => Math.max(h.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => text.padEnd(width[i]!))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}

/** One line of JSON. */
export function report({ mutant, seeds, caught, seed, ms }: Hunted): string {
  const { name, invariant } = mutant;
  return JSON.stringify({ mutant: name, invariant, seeds, caught, seed, ms: Math.round(ms) });
}

/** How a hunt ended, and what else came up. */
export function remarks(hunted: Hunted): string[] {
  const { mutant, caught, seeds, seed, message, others, unclean } = hunted;
  const took = `${seeds} seed${seeds === 1 ? '' : 's'}, ${seconds(hunted)} s`;
  const lines = [
    caught
      ? `${mutant.name} caught by seed ${seed} (${took}): ${message}`
      : `${mutant.name} SURVIVED (${took})`,
  ];
  if (!caught && others.size > 0) {
    const what = [...others].map(([invariant, count]) => `${invariant} (${count})`).join(', ');
    lines.push(`its runs reported only ${what}`);
  }
  for (const [at, what] of [...unclean].slice(0, UNCLEAN_SHOWN)) {
    lines.push(`the clean core fails seed ${at} too: ${what}`);
  }
  if (unclean.size > UNCLEAN_SHOWN) lines.push(`and ${unclean.size - UNCLEAN_SHOWN} more seeds`);
  return lines;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

function asMarkdown(mutants: readonly Mutant[], recorded: { [mutant: string]: Recorded }): string {
  const rows = mutants.map(({ name, invariant, what }) => {
    const { seed, seeds } = recorded[name] ?? { seed: 'none', seeds: 'not caught' };
    return [`\`${name}\``, cell(what), String(invariant), String(seeds), String(seed)];
  });
  const head = ['mutant', 'what it does', 'invariant', 'seeds needed', 'recorded seed'];
  const width = head.map((h, i) => Math.max(h.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, i) => text.padEnd(width[i]!)).join(' | ')} |`;
  const rule = width.map((columns) => '-'.repeat(columns));
  return [head, rule, ...rows].map(line).join('\n');
}

/** Keeps the seeds of what was caught now, forgets those of what survived, and writes the table of all mutants. */
export function write(mutants: readonly Mutant[], hunted: readonly Hunted[]): void {
  const recorded = readRecorded();
  for (const { mutant, seed, seeds } of hunted) {
    if (seed === undefined) delete recorded[mutant.name];
    else recorded[mutant.name] = { seed, seeds };
  }
  const kept: { [mutant: string]: Recorded } = {};
  for (const { name } of mutants) {
    const entry = recorded[name];
    if (entry) kept[name] = entry;
  }
  writeFileSync(RECORDED_FILE, `${JSON.stringify(kept, null, 2)}\n`);
  const text = readFileSync(DOCUMENT, 'utf8');
  const [head, rest] = text.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error('docs/mutants.md has lost the marks around its table');
  const table = asMarkdown(mutants, kept);
  writeFileSync(DOCUMENT, `${head}${BEGIN}\n\n${table}\n\n${END}${tail}`);
}
