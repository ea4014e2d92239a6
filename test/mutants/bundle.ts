/**
 * Bundles what a mutant's runs need, with its edits applied, into one file for
 * a worker thread. An edit whose text is not there exactly once, or whose file
 * is not part of the bundle, is an error that names the mutant.
 */

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import type { Edit, Mutant } from './mutant.js';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const WORKER = join(ROOT, 'test', 'mutants', 'worker.ts');

/** Throws when an edit does not fit the file that it names. */
function applied(owner: string, file: string, source: string, edits: readonly Edit[]): string {
  let text = source;
  for (const { find, replace } of edits) {
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(
        `mutant ${owner}: its text occurs ${parts.length - 1} times in ${file}, not once. Carry the mutant along with the code:\n${find}`,
      );
    }
    text = parts.join(replace);
  }
  return text;
}

const sourceOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

function editsByFile(edits: readonly Edit[]): Map<string, Edit[]> {
  const byFile = new Map<string, Edit[]>();
  for (const edit of edits) byFile.set(edit.file, [...(byFile.get(edit.file) ?? []), edit]);
  return byFile;
}

/** Throws when a mutant does not fit the sources. */
export function checkFits({ name, edits, tuning = [] }: Mutant): void {
  for (const [file, some] of editsByFile([...tuning, ...edits])) {
    applied(name, file, sourceOf(file), some);
  }
}

function editing(owner: string, byFile: ReadonlyMap<string, Edit[]>, seen: Set<string>): Plugin {
  return {
    name: 'mutant',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(ROOT, path);
        const edits = byFile.get(file);
        if (!edits) return undefined;
        seen.add(file);
        return { contents: applied(owner, file, sourceOf(file), edits), loader: 'ts' };
      });
    },
  };
}

/** Writes the bundle of the product with these edits, as `entry` needs it, to `outfile`. */
export async function bundle(
  owner: string,
  edits: readonly Edit[],
  outfile: string,
  entry = WORKER,
): Promise<void> {
  const byFile = editsByFile(edits);
  const seen = new Set<string>();
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [editing(owner, byFile, seen)],
  });
  for (const file of byFile.keys()) {
    if (!seen.has(file)) throw new Error(`mutant ${owner}: no run needs ${file}, which it edits`);
  }
}
