/** Mutants of what protects members from a relay that lies. */

import type { Mutant } from './mutant.js';
import { forging } from './plans.js';

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
];
