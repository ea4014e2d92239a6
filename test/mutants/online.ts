/** Mutants of online epochs, the provisional set, and what readers see of it. */

import type { Mutant } from './mutant.js';
import { apart, apartAndCrashing, bridged, deposing, narrowing } from './plans.js';

const PROVISIONAL = 'src/core/provisional.ts';
const RUNS = 'src/core/runs.ts';
const REPLICA = 'src/core/replica.ts';

export const ONLINE: readonly Mutant[] = [
  {
    name: 'electorate-of-any-size',
    invariant: 12,
    what: 'an online epoch may have more than half of the voters in its electorate',
    edits: [
      {
        file: 'src/core/epoch-record.ts',
        find: 'size >= minOnline && !isMajority(size, voters)',
        replace: 'size >= minOnline',
      },
      {
        file: 'src/core/election.ts',
        find: "  if (election.kind === 'online' && isMajority(size, all.length)) {",
        replace: '  if (size > all.length) {',
      },
      {
        file: 'src/core/election.ts',
        find: '  if (isMajority(reached, all)) {\n    if (lead',
        replace:
          "  if (!lead && reached > 2) return 'online';\n  if (isMajority(reached, all)) {\n    if (lead",
      },
    ],
    options: { nodes: 4 },
  },
  {
    name: 'place-behind-the-set',
    invariant: 9,
    what: 'an online leader treats what is in the set, or in its tail, as placed',
    edits: [
      {
        file: REPLICA,
        find: '  chain.seqOf(digest) !== undefined || st.facts.has(digest);',
        replace:
          '  chain.seqOf(digest) !== undefined || st.facts.has(digest) || (chain !== st.log && (st.log.seqOf(digest) !== undefined || isInBranch(st, digest)));',
      },
    ],
    options: apart,
  },
  {
    name: 'forget-places',
    invariant: 8,
    what: 'a branch loses all its places when anything becomes final',
    edits: [
      {
        file: PROVISIONAL,
        find: 'return { seq: Math.min(seq, withheld) - 1, isWithheld: false };',
        replace: 'return { seq: branch.tip.seq, isWithheld: false };',
      },
    ],
    options: apart,
  },
  {
    name: 'drop-run',
    invariant: 8,
    what: 'a run of a branch goes with its first place, not with its last',
    edits: [
      {
        file: RUNS,
        find: 'while (runs.length > 0 && endOfRun(branch, 0) <= seq) {',
        replace: 'while (runs.length > 0 && runs[0]! <= seq) {',
      },
    ],
    options: apart,
  },
  {
    name: 'drop-final-places',
    invariant: 7,
    what: 'the running epoch of an online leader forgets places of what is final here',
    edits: [
      {
        file: PROVISIONAL,
        find: '    if (branch === st.leadership?.branch) continue;\n',
        replace: '',
      },
    ],
    options: bridged,
  },
  {
    name: 'places-by-record',
    invariant: 11,
    what: 'of the certified places of a record the first that came decides, not the smallest',
    edits: [
      {
        file: PROVISIONAL,
        find: '      term < smallest.term ||\n',
        replace: '      term + 1 < 0 ||\n',
      },
      {
        file: PROVISIONAL,
        find: '      (term === smallest.term &&\n',
        replace: '      (term + 1 < 0 &&\n',
      },
    ],
    options: apart,
  },
  {
    name: 'order-of-arrival',
    invariant: 11,
    what: 'what is not final is shown, and merged, in the order in which it came',
    edits: [
      {
        file: 'src/core/order.ts',
        find: 'for (const next of [...items].sort(compare)) {',
        replace: 'for (const next of items) {',
      },
    ],
    options: apart,
  },
  {
    name: 'queue-again',
    invariant: 17,
    what: 'an own message that falls out of the log waits again, though a branch holds it',
    edits: [
      {
        file: REPLICA,
        find: "      if (own.state === 'sent' && !isInBranch(st, record.digest)) {",
        replace: "      if (own.state === 'sent') {",
      },
    ],
    options: deposing,
  },
  {
    name: 'take-back-committed',
    invariant: 17,
    what: 'the certificate of what falls out of the log is forgotten',
    edits: [
      {
        file: PROVISIONAL,
        find: '    if (branch) keepCertificate(ctx, st, branch, cert.seq, cert.bytes);\n',
        replace: '    void branch;\n',
      },
    ],
    options: narrowing,
  },
  {
    name: 'commit-in-memory',
    invariant: 17,
    what: 'that a branch is committed is not written down',
    edits: [
      {
        file: PROVISIONAL,
        find: '  ctx.ready.put(st.keys.commit(branch.id, seq), bytes);\n',
        replace: '  void bytes;\n',
      },
    ],
    options: apartAndCrashing,
  },
];
