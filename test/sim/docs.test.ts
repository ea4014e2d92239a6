/**
 * What the documents say that the simulator prints, it prints. A block of a command and its output, as
 *
 *     $ conclave sim --seed 7 | grep final
 *     …
 *
 * is run and compared; `UPDATE_DOCS=1` rewrites it, for a review of the diff. Seeds give other runs with each
 * change to the code, so that is part of such a change. What an example is there to show is
 * checked beside it: where it does not show it any more, choose another seed.
 */

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parsePlanFile } from '../../src/testing/plan.js';
import { simulate } from '../../src/testing/simulate.js';
import { Harness } from '../unit/fixtures/cli-harness.js';

const DOCS = ['README.md', 'docs/simulation.md', 'docs/testing.md'];
const LINE_CHARS_MAX = 118;
const RUN_MS = 120_000;

interface Block {
  readonly doc: string;
  readonly text: string;
  readonly command: string;
  readonly output: string;
}

function blocksOf(doc: string): Block[] {
  const found = readFileSync(doc, 'utf8').matchAll(/^ {4}\$ (.*)\n((?: {4}[^$\n].*\n)+)/gm);
  return [...found]
    .map(([text, command, output]) => ({ doc, text, command: command!, output: output! }))
    .filter(({ command }) => /^(conclave sim|npx tsx) /.test(command));
}

/** The output of `conclave sim …` or `npx tsx …`, through `grep TEXT`, `head -N` and `tail -N`. */
async function outputOf(command: string): Promise<string> {
  const [first, ...filters] = command.split(' | ');
  const [program, ...argv] = first!.split(' ');
  const text =
    program === 'conclave'
      ? (await new Harness().run(argv)).stdout
      : (await promisify(execFile)(process.execPath, ['--import', 'tsx', ...argv.slice(1)])).stdout;
  let lines = text.trimEnd().split('\n');
  for (const filter of filters) {
    const [name, what = ''] = filter.split(/ (.*)/);
    const n = Number(what.slice(1));
    if (name === 'head') lines = lines.slice(0, n);
    else if (name === 'tail') lines = lines.slice(-n);
    else if (name === 'grep')
      lines = lines.filter((line) => line.includes(what.replaceAll("'", '')));
    else throw new Error(`this test knows no filter ${name}`);
  }
  return lines.map((line) => `    ${shortened(line)}`.trimEnd().concat('\n')).join('');
}

/** Long lines end at a comma, or anywhere, with `…`. */
function shortened(line: string): string {
  if (line.length <= LINE_CHARS_MAX) return line;
  const cut = line.slice(0, LINE_CHARS_MAX);
  return `${cut.slice(0, cut.lastIndexOf(', ') + 1 || LINE_CHARS_MAX)} …`;
}

const isUpdate = process.env.UPDATE_DOCS !== undefined;

describe.each(DOCS)('%s', (doc) => {
  const blocks = blocksOf(doc);

  it('has examples with output', () => {
    expect(blocks.length).toBeGreaterThan(0);
  });

  it.each(blocks)(
    '$command',
    async ({ text, command, output }) => {
      const now = await outputOf(command);
      if (!isUpdate) return expect(output).toBe(now);
      const old = readFileSync(doc, 'utf8');
      writeFileSync(
        doc,
        old.replace(text, () => `    $ ${command}\n${now}`),
      );
    },
    RUN_MS,
  );
});

describe('what the examples are there to show', () => {
  it('the picture that is recommended has two sides and a merge', async () => {
    const text = readFileSync('docs/simulation.md', 'utf8');
    const [, seed] = /conclave sim --seed (\d+) --nodes 7 --faults halves --html/.exec(text)!;
    const run = await simulate({ seed: Number(seed), nodes: 7, faults: ['halves'] });
    expect(run.ok).toBe(true);
    expect(run.marks).toEqual(expect.arrayContaining(['both-sides-commit', 'merged']));
  });

  it('so has the first seed that one is told to try', async () => {
    const [, seed] = /`conclave sim --seed (\d+)` draws/.exec(readFileSync('README.md', 'utf8'))!;
    const { stdout } = await new Harness().run(['sim', '--help']);
    expect(stdout).toContain(`conclave sim --seed ${seed}\n`);
    const run = await simulate({ seed: Number(seed) });
    expect(run.ok).toBe(true);
    expect(run.plan.faults.length).toBeGreaterThan(0);
    expect(run.marks).toEqual(expect.arrayContaining(['both-sides-commit', 'merged']));
  });

  it('the plan is the one in the file; both sides write, and are merged', async () => {
    const file = readFileSync('examples/split.json', 'utf8');
    const shown = /```json\n(.*?)```/s.exec(readFileSync('docs/simulation.md', 'utf8'))![1]!;
    expect(JSON.parse(shown)).toEqual(JSON.parse(file));
    const run = await simulate(parsePlanFile(file).plan);
    expect(run).toMatchObject({ ok: true, messages: 2, outOfTime: [] });
    expect(run.marks).toEqual(expect.arrayContaining(['online-beside-roster', 'merged']));
  });

  it('the mistake of the worked example is found with its first seed', () => {
    const found = blocksOf('docs/testing.md').map(({ output }) => output);
    expect(found.join('')).toContain('HastyTodoList, seed 1: application: eventually');
  });
});
