/** Mutants of how many must be online, with and without an archive. */

import type { Mutant } from './mutant.js';
import { archiveLeaving, withoutArchive } from './plans-archives.js';

const ELECTION = 'src/core/election.ts';
const ROSTER = 'src/core/roster.ts';
const RULE =
  '  return [...members.values()].some(isArchive) ? policy.minOnline : MIN_ONLINE_DEFAULT;';

export const ARCHIVES: readonly Mutant[] = [
  {
    name: 'few-without-archive',
    invariant: 12,
    what: 'what the genesis says counts, whether or not an archive is a member',
    edits: [{ file: ROSTER, find: RULE, replace: '  return policy.minOnline;' }],
    options: withoutArchive,
  },
  {
    name: 'archive-for-ever',
    invariant: 12,
    what: 'an archive that left counts still',
    edits: [
      {
        file: ROSTER,
        find: RULE,
        replace:
          '  const kept = policy as { archive?: boolean };\n  kept.archive ||= [...members.values()].some(isArchive);\n  return kept.archive ? policy.minOnline : MIN_ONLINE_DEFAULT;',
      },
    ],
    options: archiveLeaving,
  },
  {
    name: 'place-with-few',
    invariant: 12,
    what: 'a leader places messages where fewer are online than its roster asks for',
    edits: [
      {
        file: 'src/core/leader.ts',
        find: '  const mayPlace = onlineMembers(ctx, st).length >= minOnline(st.roster);',
        replace: '  const mayPlace = onlineMembers(ctx, st).length >= st.genesis.minOnline;',
      },
    ],
    options: withoutArchive,
  },
  {
    name: 'elect-with-few',
    invariant: 12,
    what: 'an online epoch begins with fewer than its roster asks for',
    edits: [
      {
        file: ELECTION,
        find: 'voters(st.roster).length, minOnline(st.roster));',
        replace: 'voters(st.roster).length, st.genesis.minOnline);',
      },
      {
        file: ELECTION,
        find: 'size, all.length, minOnline(st.roster)',
        replace: 'size, all.length, st.genesis.minOnline',
      },
      {
        file: 'src/core/voting.ts',
        find: 'voters(st.roster).length, minOnline(st.roster)',
        replace: 'voters(st.roster).length, st.genesis.minOnline',
      },
    ],
    options: archiveLeaving,
  },
];
