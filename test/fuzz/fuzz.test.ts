/**
 * 200,000 cases over all targets of the fuzzer, on a fresh seed that is
 * printed; every finding of the past; and mutants, so that each target is known
 * to find what it is there for (docs/fuzzing.md).
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/core/commands.js';
import { checkFits } from '../mutants/bundle.js';
import { type Corpus, collectCorpus } from './corpus.js';
import { documentedSchemas } from './documented-schema.js';
import { Fuzzer, fuzz, type TargetInfo } from './fuzzer.js';
import { READER_MUTANTS } from './mutants.js';

const CASES = 200_000;
const TIMEOUT_MS = 600_000;
/** What a mutant gets of each target that must notice it. */
const MUTANT_CASES = 20_000;

/** How often it is looked whether a case has ended, where one never does. */
const WATCH_MS = 3_000;

interface Past {
  readonly target: string;
  readonly what: string;
  readonly input: string;
}
const past: readonly Past[] = JSON.parse(
  readFileSync(new URL('./findings.json', import.meta.url), 'utf8'),
);

let corpus: Corpus;
let fuzzer: Fuzzer;
let targets: readonly TargetInfo[];

beforeAll(async () => {
  corpus = await collectCorpus();
  fuzzer = await Fuzzer.start(corpus);
  targets = await fuzzer.targets();
}, TIMEOUT_MS);
afterAll(() => fuzzer.close());

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

describe('the fuzzer', () => {
  it(`finds nothing in ${CASES} cases on a fresh seed`, { timeout: TIMEOUT_MS }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`fuzz: seed ${seed}, ${CASES} cases`);
    const { cases, findings, byTarget } = await fuzz(fuzzer, targets, { seed, cases: CASES });
    expect(findings).toStrictEqual([]);
    expect(cases).toBeGreaterThanOrEqual(CASES);
    // A target that accepts nothing looks at half of its properties only.
    const idle = [...byTarget].filter(([, { accepted }]) => accepted === 0).map(([name]) => name);
    expect(idle).toStrictEqual([]);
  });

  it('makes the same input of the same seed and number', async () => {
    for (const { name } of targets) {
      const [once, again] = [await fuzzer.make(name, 5, 9), await fuzzer.make(name, 5, 9)];
      expect(Buffer.compare(once, again), name).toBe(0);
    }
  });

  it('has what nodes sent and stored', () => {
    const stored = ['entry', 'certificate', 'step', 'offer', 'hard-state', 'election', 'final'];
    for (const name of [...stored, 'run', 'statement', 'command', 'frame']) {
      expect(corpus[name]?.length ?? 0, name).toBeGreaterThan(2);
    }
  });

  it('reads a schema of every command in docs/PROTOCOL.md', () => {
    const protocol = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
    const documented = Object.keys(documentedSchemas(protocol)).sort();
    expect(documented).toStrictEqual(Object.keys(COMMANDS).sort());
  });

  it.each(past)('once found: $what', async ({ target, input }) => {
    expect(await fuzzer.check(target, bytes(input))).toBeUndefined();
  });
});

describe('a case without an end', () => {
  it('is ended and named', async () => {
    const edit = {
      file: 'src/core/relay-url.ts',
      find: 'const port = Number(match?.[3]);',
      replace: 'const port = Number(match?.[3]);\n  while (port === 65_535);',
    };
    const stuck = await Fuzzer.start(corpus, [edit], 'endless', WATCH_MS);
    try {
      const { finding } = await stuck.run('relay-url', 1, 0, MUTANT_CASES);
      expect(finding?.message).toMatch(/^hangs/);
      const input = Buffer.from(await fuzzer.make('relay-url', 1, finding!.number));
      expect(input.toString()).toContain(':65535');
    } finally {
      await stuck.close();
    }
  });
});

describe('mutants', () => {
  it('there is one for each target', () => {
    const covered = new Set(READER_MUTANTS.flatMap((m) => m.targets));
    expect(targets.map((t) => t.name).filter((name) => !covered.has(name))).toStrictEqual([]);
  });

  it.each(READER_MUTANTS)('$name is found', { timeout: TIMEOUT_MS }, async (mutant) => {
    checkFits({ ...mutant, invariant: 16 });
    const sabotaged = await Fuzzer.start(corpus, mutant.edits, mutant.name);
    try {
      for (const target of mutant.targets) {
        const { finding } = await sabotaged.run(target, 1, 0, MUTANT_CASES);
        expect(finding?.message, target).toBeDefined();
      }
    } finally {
      await sabotaged.close();
    }
  });
});
