/** Mutants of elections: who may lead, and who follows whom. */

import type { Mutant } from './mutant.js';

const ELECTION = 'src/core/election.ts';

export const ELECTIONS: readonly Mutant[] = [
  {
    name: 'elect-at-half',
    invariant: 1,
    what: 'a candidate leads once half of the voters gave it their ballots',
    edits: [
      {
        file: ELECTION,
        find: 'if (!isMajority(election.ballots.size, voters(st.roster).length)) return;',
        replace: 'if (election.ballots.size * 2 < voters(st.roster).length) return;',
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
        file: ELECTION,
        find: 'if (!again && (l.term <= term || l.term > term + TERM_JUMP_MAX)) return;',
        replace: 'if (!again && (l.term < term || l.term > term + TERM_JUMP_MAX)) return;',
      },
    ],
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
  },
  {
    name: 'elect-behind',
    invariant: 5,
    what: 'a voter does not ask whether a candidate has its log',
    edits: [
      {
        file: ELECTION,
        find: '  c.lastTerm < st.log.lastTerm || (c.lastTerm === st.log.lastTerm && c.lastSeq < st.log.tip.seq);',
        replace: '  c.lastTerm < 0 && st.log.tip.seq < 0;',
      },
    ],
  },
  {
    name: 'elect-shorter',
    invariant: 5,
    what: 'logs are compared by their length alone, not first by their last term',
    edits: [
      {
        file: ELECTION,
        find: '  c.lastTerm < st.log.lastTerm || (c.lastTerm === st.log.lastTerm && c.lastSeq < st.log.tip.seq);',
        replace: '  c.lastTerm < 0 || c.lastSeq < st.log.tip.seq;',
      },
    ],
  },
  {
    name: 'ballots-of-other-rosters',
    invariant: 12,
    what: 'ballots are given and counted whatever roster their voter is under',
    edits: [
      {
        file: ELECTION,
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
    name: 'count-all-members',
    invariant: 12,
    what: 'the second member is counted before it has a vote',
    edits: [
      {
        file: 'src/core/roster.ts',
        find: '    .filter((m) => m.votes)\n',
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
  {
    name: 'no-epoch-record',
    invariant: 'liveness',
    what: 'a new leader does not begin with an `epoch` record',
    edits: [
      {
        file: 'src/core/leader.ts',
        find: '  placeEpochRecord(ctx, st, lead);\n',
        replace: '',
      },
    ],
  },
];
