/** Mutants of what must come about once faults stop. */

import type { Mutant } from './mutant.js';
import { apart, bequeathing, hub, muffled, replaying, shiftingInRain } from './plans.js';

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
        find: '    st.offered.clear();\n    st.nothingToOffer = null;\n',
        replace: '    st.nothingToOffer = null;\n',
      },
    ],
    options: shiftingInRain,
  },
  {
    name: 'authors-alone-offer',
    invariant: 'liveness',
    what: 'nobody but its author offers a record to a leader',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: '  if (due.length + inTail.length === 0) return;\n',
        replace: '  if (due.length + inTail.length >= 0) return;\n',
      },
    ],
    options: bequeathing,
  },
  {
    name: 'refuse-in-silence',
    invariant: 'liveness',
    what: 'who promised a later term does not tell the leader that it cannot follow',
    edits: [
      {
        file: 'src/core/follower.ts',
        find: "  if (isPast) refuse(ctx, st, from, 'term', p.kind);\n",
        replace: '',
      },
      {
        file: 'src/core/follower.ts',
        find: "    else refuse(ctx, st, from, 'term', p.kind);\n",
        replace: '',
      },
    ],
    options: muffled,
  },
  {
    name: 'copy-no-log',
    invariant: 'liveness',
    what: 'a candidate that is refused for its log does not copy the better one',
    edits: [
      {
        file: 'src/core/election.ts',
        find: "    if (p.refused === 'log' && p.round === election?.round) askForTail(ctx, st, p.from);\n",
        replace: '    void askForTail;\n',
      },
    ],
    options: hub,
  },
  {
    name: 'old-beats',
    invariant: 'liveness',
    what: "a dead leader's beats, said again, count as being heard",
    edits: [
      {
        file: 'src/core/follower.ts',
        find: '  if (beat <= lead.lastBeat && !fresh) return;\n',
        replace: '',
      },
    ],
    options: replaying('CH_PROPOSE'),
  },
  {
    name: 'give-way-to-presence',
    invariant: 'liveness',
    what: 'an online leader gives up once a majority is there, whether or not it can win',
    edits: [
      {
        file: 'src/core/election.ts',
        find: '    if (lead && st.majoritySince === null) {\n',
        replace:
          "    if (lead && st.leading) {\n      endLeadership(ctx, st, 0);\n      return 'roster';\n    }\n    if (lead && st.majoritySince === null) {\n",
      },
    ],
    options: apart,
  },
  {
    name: 'never-merge',
    invariant: 'liveness',
    what: 'a roster leader leaves in the branches what they hold',
    edits: [
      {
        file: 'src/core/merge.ts',
        find: '  if (part.length === 0) return;\n',
        replace: '  if (part.length >= 0) return;\n',
      },
    ],
    options: apart,
  },
  {
    name: 'merge-when-elected',
    invariant: 'liveness',
    what: 'a leader merges what it holds when it is elected, and nothing that comes later',
    edits: [
      {
        file: 'src/core/merge.ts',
        find: '  if (leading.merging?.version !== st.version) {',
        replace: '  if (leading.merging === null) {',
      },
    ],
    // Later its authors offer again what was left out, and the leader is suspected of it.
    options: (seed) => ({ ...apart(seed), settleMs: 7_000 }),
  },
];
