/** Mutants of bounds and of determinism. */

import type { Mutant } from './mutant.js';

const LIMITS = 'src/core/limits.ts';

export const ENVIRONMENT: readonly Mutant[] = [
  {
    name: 'pool-without-bound',
    invariant: 16,
    what: 'a member keeps every record that is offered, however many',
    edits: [
      {
        file: 'src/core/pool.ts',
        find: '    if (full && !exempt) return false;\n',
        replace: '    void [full, exempt];\n',
      },
    ],
    tuning: [
      {
        file: LIMITS,
        find: 'export const POOL_RECORDS_PER_AUTHOR_MAX = 2_048;',
        replace: 'export const POOL_RECORDS_PER_AUTHOR_MAX = 64;',
      },
    ],
  },
  {
    name: 'ambient-randomness',
    invariant: 18,
    what: 'how long a voter waits before it stands comes from the surroundings',
    run: 'twice',
    edits: [
      {
        file: 'src/core/hearing.ts',
        find: '  ctx.random() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);',
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
        find: '  const due = ctx.now - leading.lastProposalAt >= ctx.timing.heartbeat_ms || leading.nudge;',
        replace:
          '  const due = ctx.now - leading.lastProposalAt >= ctx.timing.heartbeat_ms + (performance.now() % 7) || leading.nudge;',
      },
    ],
  },
];
