/**
 * What may import what (docs/ARCHITECTURE.md): core ← relay, core ← node ← cli;
 * nothing sideways, nothing upwards. And what the core may use: itself, noble
 * and msgpack, but no clock, randomness, timer, or anything of Node.
 */

import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cyclesOf,
  importsOf,
  readSource,
  runningCode,
  runtimeImports,
  sourceFiles,
} from './fixtures/source-tree.js';

/** The folders of src that each may import, besides itself. */
const MAY_IMPORT: { readonly [layer: string]: readonly string[] } = {
  core: [],
  native: ['core'],
  relay: ['core', 'native'],
  node: ['core', 'native'],
  testing: ['core', 'native', 'relay', 'node'],
  cli: ['core', 'native', 'relay', 'node', 'testing'],
};

const CORE_PACKAGES = /^(@noble\/(ciphers|curves|hashes)\/[\w/]+\.js|msgpackr(\/pack)?)$/;

const layerOf = (file: string): string => file.split('/')[0]!;
const isRelative = (specifier: string): boolean => specifier.startsWith('.');
/** The file below src that a relative import means. */
const targetOf = (file: string, specifier: string): string =>
  normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts');

/** What is wrong with one import of one file. */
function violation(file: string, specifier: string): string | undefined {
  const layer = layerOf(file);
  if (!isRelative(specifier)) {
    const allowed = layer !== 'core' || CORE_PACKAGES.test(specifier);
    return allowed ? undefined : `${file}: the core imports ${specifier}`;
  }
  if (!specifier.endsWith('.js')) return `${file}: ${specifier} does not end in .js`;
  const target = layerOf(targetOf(file, specifier));
  if (target === layer || MAY_IMPORT[layer]?.includes(target)) return undefined;
  return `${file}: ${layer} imports ${specifier} of ${target}`;
}

/** What a core without clock, randomness, timers and input or output does not name. */
const AMBIENT: readonly (readonly [string, RegExp])[] = [
  ['a clock', /(?<![\w.#])(new Date\b|Date\s*[.(]|performance\s*\.)/],
  [
    'randomness',
    /\b(Math\.random|randomBytes|randomSecretKey|randomUUID|getRandomValues|keygen)\b/,
  ],
  ['a timer', /(?<![\w.#])((set|clear)(Timeout|Interval|Immediate)|queueMicrotask)\b/],
  [
    'the surroundings',
    /(?<![\w.#])((process|globalThis|window|console|Buffer)\s*[.[]|(require|fetch)\s*\(|__dirname\b|import\.meta\b)/,
  ],
  ['code from text', /(?<![\w.#])eval\s*\(|\bnew Function\b/],
];
const ambientIn = (code: string): string[] =>
  AMBIENT.filter(([, pattern]) => pattern.test(code)).map(([what]) => what);

const files = sourceFiles();
const inLayer = (layer: string): string[] => files.filter((file) => layerOf(file) === layer);

describe('the source tree', () => {
  it('has no folder without a rule', () => {
    const layers = new Set(files.filter((file) => file.includes('/')).map(layerOf));
    expect([...layers].filter((layer) => !(layer in MAY_IMPORT))).toStrictEqual([]);
    expect(files.filter((file) => !file.includes('/'))).toStrictEqual([]);
  });

  it.each(Object.keys(MAY_IMPORT))('src/%s imports only what it may', (layer) => {
    const wrong = inLayer(layer).flatMap((file) =>
      importsOf(readSource(file)).flatMap((specifier) => violation(file, specifier) ?? []),
    );
    expect(wrong).toStrictEqual([]);
  });

  it('imports no file that is not there', () => {
    const missing = files.flatMap((file) =>
      importsOf(readSource(file))
        .filter(isRelative)
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => !files.includes(target) && !target.startsWith('..')),
    );
    expect(missing).toStrictEqual([]);
  });

  it.each(inLayer('core'))('src/%s has no clock, randomness, timer or surroundings', (file) => {
    expect(ambientIn(runningCode(readSource(file)))).toStrictEqual([]);
  });

  it('has no cycle of imports inside src/core, types included', () => {
    const graph = inLayer('core').map((file) => {
      const imported = importsOf(readSource(file)).filter(isRelative);
      return [file, imported.map((specifier) => targetOf(file, specifier))] as const;
    });
    expect(cyclesOf(new Map(graph))).toStrictEqual([]);
  });
});

describe('these checks', () => {
  it('see at least the imports that esbuild sees', async () => {
    const graph = await runtimeImports('core');
    expect(graph.size).toBe(inLayer('core').length);
    for (const [file, imported] of graph) {
      const seen = importsOf(readSource(file)).map((specifier) => targetOf(file, specifier));
      expect(seen, file).toEqual(expect.arrayContaining(imported));
    }
  });

  it.each([
    ["import { a } from './a.js';", './a.js'],
    ["import type { A } from './a.js';", './a.js'],
    ["import a, {\n  type B,\n  c,\n} from './a.js';", './a.js'],
    ["import * as a from './a.js';", './a.js'],
    ["import './a.js';", './a.js'],
    ["export * from './a.js';", './a.js'],
    ["export { a } from './a.js';", './a.js'],
    ["const a = await import('./a.js');", './a.js'],
    ["type A = import('./a.js').A;", './a.js'],
    ['const a = import(name);', '(computed)'],
  ])('see the import in %j', (source, expected) => {
    expect(importsOf(source)).toStrictEqual([expected]);
  });

  it.each([
    "export const text = 'came from';\nconst b = 'x';",
    "// import { a } from './a.js';",
    " * imports './a.js'",
  ])('see no import in %j', (source) => {
    expect(importsOf(source)).toStrictEqual([]);
  });

  it.each([
    ['core/a.ts', 'node:fs'],
    ['core/a.ts', 'ulid'],
    ['core/a.ts', '@noble/hashes/sha2'],
    ['core/a.ts', '../native/b.js'],
    ['core/a.ts', './b'],
    ['native/a.ts', '../node/b.js'],
    ['relay/a.ts', '../node/b.js'],
    ['relay/deep/a.ts', '../../node/b.js'],
    ['node/a.ts', '../relay/b.js'],
    ['node/a.ts', '../cli/b.js'],
    ['node/a.ts', '../testing/b.js'],
    ['testing/a.ts', '../cli/b.js'],
    ['core/a.ts', '../../test/unit/b.js'],
  ])('refuse %s that imports %s', (file, specifier) => {
    expect(violation(file, specifier)).toContain(file);
  });

  it.each([
    ['core/a.ts', './b.js'],
    ['core/a.ts', '@noble/curves/abstract/edwards.js'],
    ['relay/a.ts', '../core/b.js'],
    ['relay/a.ts', 'node:net'],
    ['cli/a.ts', '../node/b.js'],
  ])('let %s import %s', (file, specifier) => {
    expect(violation(file, specifier)).toBeUndefined();
  });

  it.each([
    ['const now = Date.now();', 'a clock'],
    ['const now = new Date();', 'a clock'],
    ['const now = performance.now();', 'a clock'],
    ['const n = Math.random();', 'randomness'],
    ['const n = globalThis.crypto.getRandomValues(a);', 'randomness'],
    ['const n = globalThis.crypto.getRandomValues(a);', 'the surroundings'],
    ['setTimeout(() => {}, 5);', 'a timer'],
    ['const t = setInterval(f, 5);', 'a timer'],
    ['queueMicrotask(f);', 'a timer'],
    ['const a = process.env.A;', 'the surroundings'],
    ['const b = Buffer.from(a);', 'the surroundings'],
    ["console.log('a');", 'the surroundings'],
    ['const f = new Function(text);', 'code from text'],
  ])('see what %j uses', (source, what) => {
    expect(ambientIn(runningCode(source))).toContain(what);
  });

  it.each([
    '/** Date.now() and setTimeout are for drivers. */ export const a = 1;',
    "export const a = 'the process ended: Date.now()';",
    'export const a = () => `fetch it, or the process ends`;',
    'export const a = (b: unknown) => b instanceof Date;',
    'interface A { at: Date }\nexport const a = 1;',
    'export const a = (crypto: { sha256(): void }) => crypto.sha256();',
    'class A { #process(): void {} now(): void { this.#process(); } }\nnew A().now();',
  ])('see nothing in %j', (source) => {
    expect(ambientIn(runningCode(source))).toStrictEqual([]);
  });

  it('find cycles', () => {
    const graph = (edges: { [node: string]: string[] }) => cyclesOf(new Map(Object.entries(edges)));
    expect(graph({ a: ['b', 'c'], b: ['c'], c: [] })).toStrictEqual([]);
    expect(graph({ a: ['b'], b: ['c'], c: ['b'] })).toStrictEqual([['b', 'c']]);
    expect(graph({ a: ['a'] })).toStrictEqual([['a']]);
  });
});
