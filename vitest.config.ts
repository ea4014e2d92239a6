import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    // No retries: a test that fails now and then is a defect to find.
    retry: 0,
    reporters: ['default', './scripts/total-reporter.mjs'],
  },
});
