/**
 * The programs in the documents compile, and README's first one is right on its second start too. What stands on
 * its own imports what it needs; the others go on from a node and a channel.
 */

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Collected, temporaryDir } from './fixtures/cli-harness.js';
import { NOWHERE } from './node-cluster.js';

const ROOT = resolve(import.meta.dirname, '../..');
const DOCS = ['README.md', 'docs/api.md'];
const GIVEN = `import { type Channel, ConclaveError, type Node } from 'conclave';
declare const node: Node;
declare const channel: Channel;
`;

const programsIn = (doc: string): string[] =>
  [...readFileSync(join(ROOT, doc), 'utf8').matchAll(/^```ts\n(.*?)^```/gms)].map(
    ([, text]) => text!,
  );

/** What the compiler says; empty when all is well. */
async function compiled(programs: ReadonlyMap<string, string>): Promise<string> {
  const dir = temporaryDir();
  for (const [name, text] of programs) {
    writeFileSync(
      join(dir, `${name}.mts`),
      /^import /m.test(text) ? text : `${GIVEN}export {};\n${text}`,
    );
  }
  const compilerOptions = { typeRoots: [join(ROOT, 'node_modules/@types')], noUnusedLocals: false };
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['*.mts'] };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
  const tsc = spawn(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir]);
  const said = new Collected();
  tsc.stdout.pipe(said);
  await new Promise((done) => tsc.on('close', done));
  return said.text;
}

test('the programs in the documents compile', async () => {
  const programs = DOCS.flatMap((doc) =>
    programsIn(doc).map((text, i) => [`${doc.replace(/\W/g, '-')}-${i + 1}`, text] as const),
  );
  expect(programs.length).toBeGreaterThan(DOCS.length);
  expect(await compiled(new Map(programs))).toBe('');
}, 120_000);

test('a program that does not compile is noticed', async () => {
  expect(await compiled(new Map([['wrong', 'await channel.sned("x");\n']]))).toContain("'sned'");
}, 120_000);

test('every error code of the node is listed', () => {
  const listed = readFileSync(join(ROOT, 'docs/api.md'), 'utf8');
  const sources = readdirSync(join(ROOT, 'src/node')).map((name) =>
    readFileSync(join(ROOT, 'src/node', name), 'utf8'),
  );
  const thrown = sources.flatMap((text) =>
    [...text.matchAll(/(?:new ConclaveError|checkWhole)\(\s*'([a-z_]+)'/g)].map(
      ([, code]) => code!,
    ),
  );
  expect(thrown.length).toBeGreaterThan(30);
  // Of bytes in a store or on a link; an application sees what became of it.
  const inside = ['bad_encoding', 'bad_seal', 'bad_signature'];
  const missing = thrown.filter(
    (code) => !inside.includes(code) && !listed.includes(`\`${code}\``),
  );
  expect(missing).toEqual([]);
});

test("README's program goes on where it was when it is started again", async () => {
  const dir = temporaryDir();
  const [program] = programsIn('README.md');
  const node = join(ROOT, 'src/node/index.ts');
  const own = program!
    .replace('conclave://KEY@host:7420', NOWHERE)
    .replace("'conclave'", `'${node}'`);
  writeFileSync(join(dir, 'main.mts'), own);
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  for (const starts of [1, 2]) {
    const child = spawn(process.execPath, ['--import', 'tsx', 'main.mts'], { cwd: dir });
    onTestFinished(() => void child.kill('SIGKILL'));
    const stdout = new Collected();
    child.stdout.pipe(stdout);
    const ended = new Promise((done) => child.on('close', done));
    // Alone it can only queue; what it queued at its first start is there at its second.
    await stdout.shows(new RegExp(`(^queued ann hello$.*?){${starts}}`, 'ms'));
    child.kill();
    await ended;
  }
}, 60_000);
