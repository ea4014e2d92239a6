/** Mutants of who is a member: departures, and what becomes of what was written before. */

import type { Mutant } from './mutant.js';
import {
  askingFalsely,
  changing,
  offeringOld,
  replacing,
  replacingApart,
  returning,
} from './plans-membership.js';

const STANDING = 'src/core/standing.ts';
const ROSTER = 'src/core/roster.ts';

export const MEMBERSHIP: readonly Mutant[] = [
  {
    name: 'place-for-anyone',
    invariant: 12,
    what: 'what a former member wrote is placed like a member’s',
    edits: [
      {
        file: STANDING,
        find: '  if (member === undefined) return false;',
        replace: '  if (member === undefined) return true;',
      },
    ],
    options: changing,
  },
  {
    name: 'warrant-of-anyone',
    invariant: 12,
    what: 'any certificate of commitment is a warrant, whoever signed it',
    edits: [
      {
        file: STANDING,
        find: '  return isMajority(signed.length, left.length) ? seq : 0;',
        replace: '  return signed.length >= 0 ? seq : 0;',
      },
    ],
    options: changing,
  },
  {
    name: 'change-again',
    invariant: 12,
    what: 'a change of membership counts under any later roster: an old removal, offered again, removes who came back',
    edits: [
      {
        file: ROSTER,
        find: '  if (body.base !== roster.number) {\n',
        replace: '  if (body.base > roster.number) {\n',
      },
    ],
    options: returning,
  },
  {
    name: 'replaced-writes-on',
    invariant: 12,
    what: 'members take in what a key offers that was replaced, or whose user is out',
    edits: [
      {
        file: 'src/core/offers.ts',
        find: '    if (!isInStanding(st, pooled) && !isAwaited(st, record.digest)) continue;\n',
        replace: '',
      },
    ],
    options: offeringOld,
  },
  {
    name: 'replaced-stays',
    invariant: 12,
    what: 'a key that was replaced stays a member beside the new one',
    edits: [{ file: ROSTER, find: '  members.delete(old.user);\n', replace: '' }],
    options: replacing,
  },
  {
    name: 'changes-of-strangers',
    invariant: 10,
    what: 'the signatures inside a change of membership, of who joins or of a recovery key, are not looked at',
    edits: [
      {
        file: 'src/core/inspect.ts',
        find: '      ...records.flatMap((record) => nestedSignatures(record)),\n',
        replace: '',
      },
    ],
    options: askingFalsely,
  },
  {
    name: 'changes-by-anyone',
    invariant: 12,
    what: 'any member gives roles, its own too',
    edits: [
      {
        file: ROSTER,
        find: "  if (!isHead(roster, author) && !stepsDown) refuse('only the founder gives and takes roles');\n",
        replace: '  void stepsDown;\n',
      },
    ],
    options: askingFalsely,
  },
  {
    name: 'replaced-votes-on',
    invariant: 1,
    what: 'a new key has the vote of the one that it replaces at once: one change takes a vote and gives another',
    edits: [
      {
        file: ROSTER,
        find: 'sealing, votes: false, since },',
        replace: 'sealing, votes: old.votes, since },',
      },
    ],
    options: replacingApart,
  },
  {
    name: 'recovery-by-any-key',
    invariant: 12,
    what: 'any key that signs a replacement counts as the recovery key',
    edits: [
      {
        file: ROSTER,
        find: '    if (by !== old.recovery) refuse(',
        replace: '    if (by === old.user) refuse(',
      },
    ],
    options: replacing,
  },
  {
    name: 'recovery-key-anew',
    invariant: 12,
    what: 'a member changes its recovery key without the signature of the one before',
    edits: [
      {
        file: ROSTER,
        find: '  if (request.by !== author.recovery) {',
        replace: '  if (request.by !== null && request.by !== author.recovery) {',
      },
    ],
    options: replacing,
  },
  {
    name: 'replace-by-anyone',
    invariant: 12,
    what: 'any member replaces the key of a plain one',
    edits: [
      {
        file: ROSTER,
        find: '    refuse("only the founder, an admin or the member\'s recovery key replaces its key");\n',
        replace: '    return;\n',
      },
    ],
    options: replacing,
  },
];
