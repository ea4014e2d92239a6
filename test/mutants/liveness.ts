/** Mutants of what must come about once faults stop. */

import type { Mutant } from './mutant.js';
import { contesting, shiftingInRain } from './plans.js';

export const LIVENESS: readonly Mutant[] = [
  {
    name: 'no-epoch-record',
    invariant: 'liveness',
    what: 'a new leader does not begin with an `epoch` record',
    edits: [
      {
        file: 'src/core/leader.ts',
        find: "    placeOwn(ctx, st, lead, 'epoch', encodeEpochBody(lead));\n",
        replace: '    void encodeEpochBody;\n',
      },
    ],
  },
  {
    name: 'offer-once',
    invariant: 'liveness',
    what: 'an author offers each message to a leader once',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: '    st.offered.clear();\n    st.offerAt =',
        replace: '    st.offerAt =',
      },
    ],
    options: shiftingInRain,
  },
  {
    name: 'refuse-in-silence',
    invariant: 'liveness',
    what: 'who promised a later term does not tell the leader that it cannot follow',
    edits: [
      {
        file: 'src/core/follower.ts',
        find: "  if (p.term < st.hard[p.kind].term) refuse(ctx, st, from, 'term', p.kind);\n",
        replace: '',
      },
      {
        file: 'src/core/follower.ts',
        find: "    else refuse(ctx, st, from, 'term', p.kind);\n",
        replace: '',
      },
    ],
    options: contesting,
  },
];
