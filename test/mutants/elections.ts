/** Mutants of elections: who may lead, and who follows whom. */

import type { Mutant } from './mutant.js';
import { contesting, deposing } from './plans.js';

const ELECTION = 'src/core/election.ts';
const VOTING = 'src/core/voting.ts';

export const ELECTIONS: readonly Mutant[] = [
  {
    name: 'elect-at-half',
    invariant: 1,
    what: 'a candidate leads once half of the voters gave it their ballots',
    edits: [
      {
        file: ELECTION,
        find: '  if (!isMajority(election.ballots.size, counted.length)) return;',
        replace: '  if (election.ballots.size * 2 < counted.length) return;',
      },
    ],
    options: { nodes: 4 },
  },
  {
    name: 'vote-twice',
    invariant: 2,
    what: 'a voter gives a second ballot in a term',
    edits: [
      {
        file: VOTING,
        find: '  if (!again && !isNewTerm(st, l.kind, l.term)) return;',
        replace: '  if (!again && l.term !== term && !isNewTerm(st, l.kind, l.term)) return;',
      },
    ],
    options: contesting,
  },
  {
    name: 'forget-promise',
    invariant: 2,
    what: 'a node that restarts has forgotten what it promised',
    edits: [
      {
        file: 'src/core/load.ts',
        find: "const hard = decodeHardState((await one(keys.hard)) ?? damaged('its promises are missing'));",
        replace: 'const hard = FRESH_HARD_STATE;',
      },
    ],
    options: contesting,
  },
  {
    name: 'elect-behind',
    invariant: 5,
    what: 'a voter does not ask whether a candidate has its log',
    edits: [
      {
        file: VOTING,
        find: '  c.lastTerm < st.log.lastTerm || (c.lastTerm === st.log.lastTerm && c.lastSeq < st.log.tip.seq);',
        replace: '  c.lastTerm < 0 && st.log.tip.seq < 0;',
      },
    ],
    options: deposing,
  },
  {
    name: 'ballots-of-other-rosters',
    invariant: 12,
    what: 'ballots are given and counted whatever roster their voter is under',
    edits: [
      {
        file: VOTING,
        find: '  if (l.roster !== st.roster.number || l.rosterHash !== st.roster.hash) return;\n',
        replace: '',
      },
      {
        file: ELECTION,
        find: '  if (b.roster !== st.roster.number || b.rosterHash !== st.roster.hash) return;\n',
        replace: '',
      },
    ],
  },
  {
    name: 'epoch-outlives-roster',
    invariant: 12,
    what: 'a leader goes on in its epoch when a change of membership is final',
    edits: [
      {
        file: 'src/core/replica.ts',
        find: '  endLeadership(ctx, st, wasLeading ? 0 : ctx.timing.election_min_ms);\n',
        replace: '',
      },
    ],
  },
];
