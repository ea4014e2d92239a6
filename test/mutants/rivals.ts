/** Mutants of what keeps a channel going under leaders that misbehave, and where not everyone reaches everyone. */

import type { Mutant } from './mutant.js';

export const RIVALS: readonly Mutant[] = [
  {
    name: 'never-suspect',
    invariant: 'liveness',
    what: 'a leader that is alive leads on, whatever it leaves out',
    edits: [
      {
        file: 'src/core/suspicion.ts',
        find: '  const reason = reasonToSuspect(ctx, st, lead);\n',
        replace: '  const reason = ctx.now < 0 ? reasonToSuspect(ctx, st, lead) : undefined;\n',
      },
    ],
    options: { faults: ['silent-member'] },
  },
  {
    name: 'yield-for-ever',
    invariant: 'liveness',
    what: 'who grants one candidate after the other never stands itself',
    edits: [
      {
        file: 'src/core/hearing.ts',
        find: '  st.yieldUntil ??= ctx.now + YIELDS * ctx.timing.election_max_ms;\n',
        replace: '  st.yieldUntil = ctx.now + YIELDS * ctx.timing.election_max_ms;\n',
      },
    ],
    options: { faults: ['topology'] },
  },
  {
    name: 'no-carrier',
    invariant: 'liveness',
    what: 'who does not hear the leader offers nothing, though a member that does hears it',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: '  return isRecent && ctx.isOnline(carrier.user) ? carrier.user : undefined;\n',
        replace: '  return isRecent && ctx.now < 0 ? carrier.user : undefined;\n',
      },
    ],
    options: { faults: ['topology'] },
  },
  {
    name: 'acknowledge-two-chains',
    invariant: 3,
    what: 'a member acknowledges whatever its leader proposes, though it acknowledged something else before',
    edits: [
      {
        file: 'src/core/follower.ts',
        find: '  return before.seq <= chain.tip.seq && (there === undefined || there === before.hash);\n',
        replace: '  return chain.tip.seq >= 0 || there === before.hash;\n',
      },
      {
        file: 'src/core/follower.ts',
        find: '    if (seq < Math.max(lead.matched, acked)) return false;\n',
        replace: '    void acked;\n',
      },
    ],
    options: { faults: ['two-faced-member'] },
  },
];
