/** What the scripts of package.json say when they are asked for help, or for what there is not. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

const run = (...argv: string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, argv, { cwd: root }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });

test('soak explains itself, not the simulator', async () => {
  const { code, stdout } = await run('scripts/run.mjs', 'soak', '--help');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^Usage: npm run soak /)]);
});

test('bench lists what there is, and refuses what there is not', async () => {
  const bench = (...argv: string[]) => run('--import', 'tsx', 'bench/main.ts', ...argv);
  const [help, wrong, size] = await Promise.all([
    bench('--help'),
    bench('nope'),
    bench('merge', 'x'),
  ]);
  expect([help.code, help.stdout]).toEqual([0, expect.stringMatching(/^Usage: .*\n {2}sim /s)]);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('no benchmark "nope"')]);
  expect(size.code).toBe(2);
});

test('fuzz explains itself, and refuses what is no number or no option', async () => {
  const fuzz = (...argv: string[]) => run('--import', 'tsx', 'test/fuzz/main.ts', ...argv);
  const [help, cases, option] = await Promise.all([
    fuzz('--help'),
    fuzz('--cases', 'many'),
    fuzz('--nope'),
  ]);
  expect([help.code, help.stdout]).toEqual([
    0,
    expect.stringMatching(/npm run fuzz -- \[options\]/),
  ]);
  expect([cases.code, cases.stderr]).toEqual([2, expect.stringContaining('--cases must be')]);
  expect(option.code).toBe(2);
});
