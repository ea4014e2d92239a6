/** Mutants of who is a member: departures, and what becomes of what was written before. */

import type { Mutant } from './mutant.js';
import { changing, returning } from './plans.js';

const STANDING = 'src/core/standing.ts';

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
        file: 'src/core/roster.ts',
        find: '  if (body.base !== roster.number) {\n',
        replace: '  if (body.base > roster.number) {\n',
      },
    ],
    options: returning,
  },
];
