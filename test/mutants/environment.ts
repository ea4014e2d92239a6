/** Mutants of bounds and of determinism. */

import { POOL_KEEP_MS } from '../../src/core/limits.js';
import type { Edit, Mutant } from './mutant.js';
import { hoarding } from './plans.js';

const smaller = (limit: string, than: string): Edit => ({
  file: 'src/core/limits.ts',
  find: `export const ${limit};`,
  replace: `export const ${than};`,
});

export const ENVIRONMENT: readonly Mutant[] = [
  {
    name: 'pool-without-bound',
    invariant: 16,
    what: 'a member keeps every record that is offered, however many',
    edits: [
      {
        file: 'src/core/pool.ts',
        find: '      if (full) return false;\n',
        replace: '      void full;\n',
      },
    ],
    tuning: [smaller('POOL_RECORDS_PER_AUTHOR_MAX = 2_048', 'POOL_RECORDS_PER_AUTHOR_MAX = 64')],
    // A share smaller than what an author offers at once may hold what follows a lost record alone,
    // until that is dropped for its age.
    options: {
      nodes: 3,
      loadMs: 8_000,
      settleMs: 3 * POOL_KEEP_MS,
      workload: { everyMs: 60, burst: 50 },
    },
  },
  {
    name: 'window-without-bound',
    invariant: 16,
    what: 'a leader places however much it waits for',
    edits: [
      {
        file: 'src/core/leader.ts',
        find: '  if (length < WINDOW_ENTRIES_MAX / share && log.tailBytes < WINDOW_BYTES_MAX / share) return true;',
        replace:
          '  if (length < 64 * WINDOW_ENTRIES_MAX && share + WINDOW_BYTES_MAX > 0) return true;',
      },
    ],
    tuning: [
      smaller('WINDOW_ENTRIES_MAX = 512', 'WINDOW_ENTRIES_MAX = 8'),
      smaller('MERGE_RECORDS_MAX = 256', 'MERGE_RECORDS_MAX = 4'),
      smaller('NEW_BESIDE_PART_MAX = 64', 'NEW_BESIDE_PART_MAX = 4'),
    ],
    options: hoarding,
  },
  {
    name: 'ambient-randomness',
    invariant: 18,
    what: 'how long a voter waits before it stands comes from the surroundings',
    run: 'twice',
    edits: [
      {
        file: 'src/core/hearing.ts',
        find: '  ctx.patience() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);',
        replace: '  Math.random() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);',
      },
    ],
  },
  {
    name: 'ambient-clock',
    invariant: 18,
    what: 'a leader reads the clock of its machine',
    run: 'twice',
    edits: [
      {
        file: 'src/core/leader.ts',
        find: '    time: ctx.wall,\n',
        replace: '    time: Date.now(),\n',
      },
    ],
  },
];
