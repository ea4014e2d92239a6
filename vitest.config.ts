import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // The examples import the package by its name: here that is its source, as in tsconfig.json.
    alias: [
      { find: /^conclave$/, replacement: source('node/index.ts') },
      { find: /^conclave\/(relay|testing)$/, replacement: source('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    // As the simulator's own processes have it (src/testing/runs.ts).
    execArgv: ['--max-semi-space-size=64'],
    // No retries: a test that fails now and then is a defect to find.
    retry: 0,
    reporters: ['default', './scripts/total-reporter.mjs'],
  },
});
