/** Links between the documents of the tree: the file is there, and so is the heading. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git']);

function documentsIn(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return documentsIn(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const withoutCode = (text: string): string =>
  text.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, '``');

/** The anchors that headings get: GitHub's way. */
function anchorsOf(path: string): Set<string> {
  const seen = new Map<string, number>();
  const text = readFileSync(path, 'utf8').replace(/^```.*?^```/gms, '');
  const anchors = [...text.matchAll(/^#+ +(.*?) *$/gm)].map(([, heading]) => {
    const words = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = words.replace(/[^\p{L}\p{N}\p{M} _-]/gu, '').replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  });
  return new Set(anchors);
}

const documents = documentsIn(ROOT);

test('there are documents', () => {
  expect(documents.length).toBeGreaterThan(5);
});

test.each(documents.map((path) => path.slice(ROOT.length + 1)))('%s', (name) => {
  const path = join(ROOT, name);
  const broken: string[] = [];
  for (const [, target] of withoutCode(readFileSync(path, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [file, anchor] = target!.split('#') as [string, string | undefined];
    const there = file === '' ? path : resolve(dirname(path), file);
    if (!existsSync(there)) broken.push(target!);
    else if (anchor !== undefined && statSync(there).isFile() && !anchorsOf(there).has(anchor)) {
      broken.push(target!);
    }
  }
  expect(broken).toEqual([]);
});
