/** Mutants of where records are placed, and whose log is followed. */

import type { Mutant } from './mutant.js';
import { deposingInRain, firstWords, hoarding, inviting, restartingInRain } from './plans.js';

const LEADER = 'src/core/leader.ts';
const FOLLOWER = 'src/core/follower.ts';
const OFFERS = 'src/core/offers.ts';

export const PLACING: readonly Mutant[] = [
  {
    name: 'chain-forgets-prefix',
    invariant: 3,
    what: 'a chain hash does not bind the one before it',
    edits: [
      {
        file: 'src/core/chain.ts',
        find: '.bytes(CHAIN_TAG).id(previous).u64(seq)',
        replace: '.bytes(CHAIN_TAG).u64(seq + 0 * previous.length)',
      },
    ],
  },
  {
    name: 'append-behind-anything',
    invariant: 3,
    what: 'a member appends what its leader proposes behind whatever its own log ends with',
    edits: [
      {
        file: FOLLOWER,
        find: '  if (st.log.hashAt(rest.anchor.seq) !== rest.anchor.hash) {',
        replace: '  if (st.log.hashAt(rest.anchor.seq) === undefined) {',
      },
    ],
    options: hoarding,
  },
  {
    name: 'place-again',
    invariant: 9,
    what: 'a leader places what is in the log already',
    edits: [
      {
        file: OFFERS,
        find: '    if (isPlaced(st, record.digest)) continue;\n    const known',
        replace: '    const known',
      },
      {
        file: LEADER,
        find: '    if (!pooled || isPlaced(st, pooled.record.digest)) continue;\n',
        replace: '    if (!pooled) continue;\n',
      },
    ],
    options: deposingInRain,
  },
  {
    name: 'place-before-prev',
    invariant: 9,
    what: 'a leader places a record whose predecessor is not there',
    edits: [
      {
        file: LEADER,
        find: '!isMessageLane(pooled.record) || !prevIsPlaced(st, pooled.record)) return;\n  if (!isInBranch',
        replace: '!isMessageLane(pooled.record)) return;\n  if (!isInBranch',
      },
    ],
  },
  {
    name: 'order-within-boots',
    invariant: 9,
    what: 'the first record of a boot may stand before what its author said in the boot before',
    edits: [
      {
        file: 'src/core/replica.ts',
        find: '  { prev, author }: ChannelRecord,\n',
        replace: '  { prev, author, n }: ChannelRecord,\n',
      },
      {
        file: 'src/core/replica.ts',
        find: '  return prev === st.roster.members.get(author)?.root ||',
        replace: '  return n === 1 || prev === st.roster.members.get(author)?.root ||',
      },
    ],
    options: restartingInRain,
  },
  {
    name: 'no-look-ups',
    invariant: 9,
    what: 'nobody looks in the store whether a record is final already',
    edits: [
      {
        file: 'src/core/catchup.ts',
        find: '  return [...unknown];',
        replace: '  return [...unknown].slice(0, 0);',
      },
    ],
    options: firstWords,
  },
  {
    name: 'wrong-proof',
    invariant: 10,
    what: 'each record of a batch is kept with the proof of the first',
    edits: [
      {
        file: 'src/core/inspect.ts',
        find: '    return encoded[i]!;',
        replace: '    return encoded[0 * i]!;',
      },
    ],
  },
  {
    name: 'merge-membership',
    invariant: 12,
    what: 'a merge brings changes of membership back that fell out of the log',
    edits: [
      {
        file: 'src/core/replica.ts',
        find: '    if (!isMessageLane(record)) continue;\n',
        replace: '    if (!isMessageLane(record) && !isMembership(record.kind)) continue;\n',
      },
      {
        file: 'src/core/provisional.ts',
        find: '  const matters = entries.some((e) => isMessageLane(e.record));',
        replace: '  const matters = entries.length > 0;',
      },
      {
        file: 'src/core/provisional.ts',
        find: "  return isMessageLane(held.record) ? 'matters' : 'nothing';",
        replace: "  return ['epoch', 'merge'].includes(held.record.kind) ? 'nothing' : 'matters';",
      },
      {
        file: 'src/core/merge.ts',
        find: '      if (!record || !isMessageLane(record) || items.has(digest)) continue;',
        replace:
          "      if (!record || ['epoch', 'merge'].includes(record.kind) || items.has(digest)) continue;",
      },
    ],
    options: inviting,
  },
  {
    name: 'place-behind-change',
    invariant: 12,
    what: 'a leader goes on placing while a change of membership is in flight',
    edits: [
      {
        file: LEADER,
        find: '  if (st.log.membershipInFlight()) return;\n  if (leading.placeable',
        replace: '  if (leading.placeable',
      },
    ],
  },
];
