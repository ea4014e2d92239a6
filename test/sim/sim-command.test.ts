/** `conclave sim`: what it prints, how it exits, how it is stopped. */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { add, emptySum, sumJson, sumText } from '../../src/cli/sim/many.js';
import { parsePlanFile } from '../../src/testing/plan.js';
import { type SimulateResult, simulate } from '../../src/testing/simulate.js';
import { Collected, Harness, temporaryDir } from '../unit/fixtures/cli-harness.js';

const sim = (...argv: string[]) => new Harness().run(['sim', ...argv]);
const FAILING = ['--nodes', '3', '--faults', 'none', '--sabotage', 'lose-promises'];

describe('one seed', () => {
  it('prints exactly its verdict as JSON', async () => {
    const { code, stdout } = await sim('--seed', '42', '--json');
    const { seed, ok, traceHash, steps, marks } = await simulate({ seed: 42 });
    expect(stdout).toBe(`${JSON.stringify({ seed, ok, traceHash, steps, marks })}\n`);
    expect(code).toBe(0);
  });

  it('tells people what was run and what came of it', async () => {
    const { stdout } = await sim('--seed', '42', '--nodes', '4', '--faults', 'crash,link');
    expect(stdout).toMatch(
      /^seed 42: ok\n {2}4 nodes, .*; faults: .*link \(\d (cut|isolate|reset|clog|narrow)/,
    );
    expect(stdout).toMatch(/ trace [0-9a-f]{64}\n/);
  });

  it('goes up to 2^53-1', async () => {
    const { code, json } = await sim('--seed', '9007199254740991', '--nodes', '1', '--json');
    expect([code, json[0]!.seed]).toEqual([0, Number.MAX_SAFE_INTEGER]);
  });

  it('that fails exits 1, says with which code, and how to see it again', async () => {
    const { code, json } = await sim('--seed', '5', ...FAILING, '--json');
    expect(code).toBe(1);
    expect(json[0]).toMatchObject({
      seed: 5,
      ok: false,
      violation: { invariant: expect.stringMatching(/^7 /), message: expect.any(String) },
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      replay: 'conclave sim --seed 5 --nodes 3 --faults none --sabotage lose-promises',
    });
    const again = await sim(...(json[0]!.replay as string).split(' ').slice(2), '--json');
    expect(again.json).toEqual(json);
  });

  it('stops when interrupted', async () => {
    const running = new Harness().start(['sim', '--seed', '3', '--nodes', '40', '--json']);
    setImmediate(() => running.interrupt());
    expect(await running.done).toBe(130);
    expect(running.stdout.json).toEqual([
      { error: { code: 'interrupted', message: expect.any(String) } },
    ]);
  });

  it('says how far it is', async () => {
    const running = new Harness().start(['sim', '--seed', '3', '--nodes', '9'], { terminal: true });
    await running.done;
    expect(running.stderr.text).toMatch(/seed 3, seconds of virtual time: [1-9]/);
  });

  it('with --log prints the run', async () => {
    const { stdout } = await sim('--seed', '4', '--nodes', '2', '--faults', 'none', '--log');
    expect(stdout).toMatch(/^ +0\.0 -- joining\n +0\.0 0 starts\n/);
    expect(stdout).toMatch(/\n +[\d.]+ 0 leads term \d+\n.*\nseed 4: ok\n/s);
    const { json } = await sim(
      '--seed',
      '4',
      '--nodes',
      '2',
      '--faults',
      'none',
      '--log',
      '--json',
    );
    expect(json[0]).toEqual({ at: 0, text: '-- joining' });
    expect(json.at(-1)).toMatchObject({ seed: 4, ok: true });
  });
});

describe('a plan', () => {
  it('of which an option says otherwise, runs so, and tells', async () => {
    const argv = ['--plan', 'examples/split.json'];
    const { code, stdout, stderr } = await sim(...argv, '--faults', 'none');
    expect(code).toBe(0);
    expect(stdout).toContain('; no faults\n');
    expect(stderr).toContain('not as the plan says: --faults none');
    expect((await sim(...argv)).stderr).not.toContain('not as the plan says');
  });

  it('that fails is replayed as it was run', async () => {
    const argv = ['--plan', 'examples/split.json', '--faults', 'none'];
    const { json } = await sim(...argv, '--sabotage', 'lose-promises', '--json');
    expect(json[0]).toMatchObject({
      ok: false,
      replay: `conclave sim ${argv.join(' ')} --sabotage lose-promises`,
    });
  });
});

describe('wrong usage exits 2', () => {
  it.each([
    [[], 'say what to run'],
    [['--seed', '1', '--seeds', '1..2'], '--seed and --seeds say different things to run'],
    [['--minutes', '1', '--plan', 'x'], '--minutes and --plan say different things to run'],
    [['--seed', '-1'], 'a seed is a whole number'],
    [['--seed', '1.5'], 'a seed is a whole number'],
    [['--seed', '9007199254740992'], 'a seed is a whole number'],
    [['--seeds', '5'], 'FIRST..LAST'],
    [['--seeds', '5..4'], 'the first seed is above the last'],
    [['--seeds', '1..2', '--jobs', '0'], 'whole number from 1'],
    [['--seeds', '1..2', '--log'], '--log is for --seed, --plan: not for --seeds'],
    [['--seeds', '1..2', '--html', 'x'], '--html is for --seed, --plan, --scenario'],
    [['--seed', '1', '--update'], '--update is for --scenario: not for --seed'],
    [['--seed', '1', '--jobs', '2'], '--jobs is for --seeds, --minutes: not for --seed'],
    [['--seed', '1', '--keep-going'], '--keep-going is for --seeds, --minutes'],
    [['--seed', '1', '--save', 'x'], 'add --shrink'],
    [['--scenario', 'x', '--nodes', '3'], '--nodes is for --seed, '],
    [['--scenario', 'x', '--no-shrink'], '--shrink is for --seed, '],
    [['--seed', '1', '--faults', 'crash,luck'], '"luck" is no fault: crash, '],
    [['--seed', '1', '--nodes', 'many'], 'whole number from 1'],
    [['--seed', '1', '--nodes', '41'], 'whole number from 1 to 40'],
    [['--seed', '1', '--relays', '9'], 'whole number from 1 to 8'],
  ])('%j', async (argv, message) => {
    const { code, stderr } = await sim(...argv);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('many seeds', () => {
  it('end with a line that counts', async () => {
    const { code, json } = await sim('--seeds', '1..6', '--json');
    const steps = (await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => simulate({ seed })))).map(
      (result) => result.steps,
    );
    expect(code).toBe(0);
    expect(json).toEqual([
      expect.objectContaining({
        seeds: 6,
        failed: 0,
        steps: steps.reduce((sum, n) => sum + n, 0),
        marks: expect.arrayContaining(['page-by-non-leader']),
      }),
    ]);
  });

  it('stop at the first that fails, and cut it down to a plan that fails too', async () => {
    const file = join(temporaryDir(), 'plan.json');
    const { code, json } = await sim('--seeds', '5..90', ...FAILING, '--save', file, '--json');
    expect(code).toBe(1);
    expect(json).toHaveLength(2);
    const invariant = expect.stringMatching(/^7 /);
    expect(json[0]).toMatchObject({
      ...{ seed: 5, ok: false, violation: { invariant } },
      shrunk: { file, replay: `conclave sim --plan ${file}`, violation: { invariant } },
    });
    expect(json[1]).toMatchObject({ seeds: 1, failed: 1 });
    const kept = parsePlanFile(readFileSync(file, 'utf8'));
    expect(kept).toMatchObject({ violation: { invariant }, plan: { seed: 5 } });
    const again = await sim('--plan', file, '--json');
    expect(again.code).toBe(1);
    expect(again.json[0]).toMatchObject({ seed: 5, violation: kept.violation });
  });

  it('go on when told to, and cut nothing down when told not to', async () => {
    const file = join(temporaryDir(), 'plan.json');
    const more = ['--keep-going', '--no-shrink', '--save', file, '--json'];
    const { code, json } = await sim('--seeds', '5..7', ...FAILING, ...more);
    expect(code).toBe(1);
    expect(json.map(({ seed }) => seed)).toEqual([5, 6, 7, undefined]);
    expect(json.at(-1)).toMatchObject({ seeds: 3, failed: 3 });
    expect(existsSync(file)).toBe(false);
  });

  it('may be fresh ones for some time, from a seed that is told', async () => {
    const started = Date.now();
    let past = 0;
    const harness = new Harness();
    // The clock of this command passes a minute in a few runs.
    harness.host = { now: () => started + 15_000 * past++ };
    const { code, json } = await harness.run([
      'sim',
      ...'--minutes 1 --nodes 3 --faults none --json'.split(' '),
    ]);
    expect(code).toBe(0);
    const { first, seeds } = json[0] as { first: number; seeds: number };
    expect(seeds).toBeGreaterThan(0);
    expect(seeds).toBeLessThan(10);
    expect(Number.isSafeInteger(first)).toBe(true);
    const again = await sim(
      '--seeds',
      `${first}..${first + seeds - 1}`,
      ...'--nodes 3 --faults none --json'.split(' '),
    );
    const { seconds: _, ...sum } = json[0]!;
    expect(again.json).toEqual([expect.objectContaining(sum)]);
  });

  it('name those that ended early, with the reason', () => {
    const sum = emptySum(1);
    const ran = { steps: 1, virtualMs: 1, marks: [], ok: true };
    for (let seed = 150; seed > 0; seed--) {
      const beyond = seed % 10 === 0 ? { beyond: `seed ${seed} lost too much` } : {};
      add(sum, { ...ran, seed, ...beyond } as unknown as SimulateResult);
    }
    expect(sumJson(sum, 1, false)).toMatchObject({ seeds: 150, beyond: 15 });
    const { early } = sumJson(sum, 1, false) as { early: { seed: number }[] };
    expect(early.map(({ seed }) => seed)).toEqual(
      Array.from({ length: 15 }, (_, i) => i * 10 + 10),
    );
    const text = sumText(sum, 1, 150);
    expect(text).toContain('\n  seed 10 ended early: seed 10 lost too much\n  seed 20 ended');
    expect(text).toContain('\n  … and 5 more\n');
    expect(sumJson(emptySum(1), 1, false)).not.toHaveProperty('early');
  });

  it('stop when interrupted, with what was found so far', async () => {
    const running = new Harness().start(['sim', '--seeds', '1..100000', '--json']);
    setImmediate(() => running.interrupt());
    expect(await running.done).toBe(130);
    expect(running.stdout.json).toEqual([
      expect.objectContaining({ failed: 0, interrupted: true, seeds: expect.any(Number) }),
    ]);
  });
});

describe('several processes', () => {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const start = (...argv: string[]) => {
    const child = spawn(process.execPath, ['--import', 'tsx', main, 'sim', ...argv]);
    onTestFinished(() => void child.kill('SIGKILL'));
    const [stdout, stderr] = [new Collected(), new Collected()];
    child.stdout.pipe(stdout);
    child.stderr.pipe(stderr);
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, stdout, stderr, closed };
  };

  it('find what one finds', async () => {
    const { closed, stdout } = start('--seeds', '1..12', '--jobs', '2', '--json');
    expect(await closed).toBe(0);
    const one = await sim('--seeds', '1..12', '--json');
    const { seconds: _, ...sum } = one.json[0]!;
    expect(stdout.json).toEqual([expect.objectContaining(sum)]);
  });

  it('stop with the one that started them', async () => {
    const { child, closed, stdout, stderr } = start(
      '--seeds',
      '1..1000000',
      '--jobs',
      '2',
      '--json',
    );
    await stderr.shows('(0 failed)');
    child.kill('SIGINT');
    expect(await closed).toBe(130);
    expect(stdout.json.at(-1)).toMatchObject({ failed: 0, interrupted: true });
  });
});

describe('a scenario', () => {
  const script = 'nodes 1 minOnline 1\n----\n';

  it('is printed with what came of it; a file that says something else fails', async () => {
    const file = join(temporaryDir(), 'one.txt');
    writeFileSync(file, `${script}0 leads the world\n`);
    const { code, stdout, stderr } = await sim('--scenario', file);
    expect([code, stderr]).toEqual([1, expect.stringContaining('shows another output')]);
    expect(stderr).toMatch(
      /line 3 is +"0 leads the world"\nand it prints "0 leads term 1; log 1, final 1"/,
    );
    writeFileSync(file, script);
    expect(await sim('--scenario', file)).toMatchObject({
      ...{ code: 0, stdout, stderr: expect.stringContaining('shows no output yet') },
    });
    expect(stdout).toBe(`${script}0 leads term 1; log 1, final 1\n`);
    expect(stderr).toContain('--update');
    expect(readFileSync(file, 'utf8')).toBe(script);
    expect((await sim('--scenario', file, '--update')).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(stdout);
    expect((await sim('--scenario', file, '--json')).json[0]).toMatchObject({
      ...{ ok: true, differs: false, problems: [], text: stdout },
    });
  });

  it('that can not be read or run is an error', async () => {
    expect((await sim('--scenario', '/nowhere/at/all.txt')).code).toBe(1);
    const file = join(temporaryDir(), 'wrong.txt');
    writeFileSync(file, 'jump');
    const { code, json } = await sim('--scenario', file, '--json');
    expect([code, json[0]]).toMatchObject([1, { error: { code: 'bad_scenario' } }]);
  });
});
