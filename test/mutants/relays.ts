/** Mutants of what protects members from a relay that lies, and from each other. */

import type { Mutant } from './mutant.js';
import { equivocating, forging } from './plans.js';

const INSPECT = 'src/core/inspect.ts';

export const RELAYS: readonly Mutant[] = [
  {
    name: 'trust-acknowledgements',
    invariant: 13,
    what: 'who acknowledged is what the relay says, no signature is asked for',
    edits: [
      {
        file: INSPECT,
        find: "    what: { type: 'ack', ack, sig: p.sig },\n    checks: [{ by: p.from, statement: p.s, sig: p.sig }],",
        replace: "    what: { type: 'ack', ack, sig: p.sig },\n    checks: [],",
      },
    ],
    options: forging('CH_MSG_ACK'),
  },
  {
    name: 'trust-ballots',
    invariant: 13,
    what: 'who voted is what the relay says, no signature is asked for',
    edits: [
      {
        file: INSPECT,
        find: "what: { type: 'ballot', ballot, sig }, checks: [{ by: p.from, statement, sig }] };",
        replace: "what: { type: 'ballot', ballot, sig }, checks: [] };",
      },
    ],
    options: forging('CH_VOTE'),
  },
  {
    name: 'order-by-number',
    invariant: 14,
    what: "a record may follow its author's last one if that has the number before, whichever it is",
    edits: [
      {
        file: 'src/core/replica.ts',
        find: '  { prev, author }: ChannelRecord,\n',
        replace: '  { prev, author, boot, n }: ChannelRecord,\n',
      },
      {
        file: 'src/core/replica.ts',
        find: '  return prev === st.roster.members.get(author)?.root ||',
        replace:
          '  const last = tip === undefined ? undefined : st.log.entryOf(tip)?.record;\n  if (last?.boot === boot && last.n === n - 1) return true;\n  return prev === st.roster.members.get(author)?.root ||',
      },
    ],
    options: equivocating,
  },
];
