/** Mutants of what is committed and final, and of its certificates. */

import type { Mutant } from './mutant.js';
import { apart, deafening, deposingInRain, hoarding } from './plans.js';

const CERTIFICATE = 'src/core/certificate.ts';
const REPLICA = 'src/core/replica.ts';
const FOLLOWER = 'src/core/follower.ts';

export const FINALITY: readonly Mutant[] = [
  {
    name: 'final-beyond-certificate',
    invariant: 4,
    what: 'a certificate makes the whole log final, not only up to what it certifies',
    edits: [
      {
        file: REPLICA,
        find: 'const entries = st.log.finalise(cert.seq);',
        replace: 'const entries = st.log.finalise(st.log.tip.seq);',
      },
    ],
  },
  {
    name: 'final-whatever-is-there',
    invariant: 4,
    what: 'a certificate makes final what stands at its seq, whatever that is',
    edits: [
      {
        file: FOLLOWER,
        find: '  if (st.log.hashAt(cert.seq) !== point.hash) return pullFrom(ctx, st, from);\n',
        replace: '  if (st.log.hashAt(cert.seq) === undefined) return pullFrom(ctx, st, from);\n',
      },
      {
        file: REPLICA,
        find: "  invariant(st.log.hashAt(cert.seq) === point.hash, 'only the certified prefix becomes final');\n",
        replace: '  void point;\n  void invariant;\n',
      },
    ],
    options: hoarding,
  },
  {
    name: 'ack-below-promise',
    invariant: 6,
    what: 'a voter that promised a later term still acknowledges to the leader before',
    edits: [
      {
        file: FOLLOWER,
        find: '  if (lead.epoch.term < st.hard[lead.epoch.kind].term) return;\n',
        replace: '',
      },
    ],
    options: deposingInRain,
  },
  {
    name: 'ack-names-entry',
    invariant: 6,
    what: 'an acknowledgement names the epoch of the entry, not the leadership that it is given under',
    edits: [
      {
        file: FOLLOWER,
        find: '      epoch: lead.id,\n      term: lead.epoch.term,\n      seq,\n',
        replace:
          '      epoch: chain.headerAt(seq)?.epoch ?? lead.id,\n      term: chain.headerAt(seq)?.term ?? lead.epoch.term,\n      seq,\n',
      },
      {
        file: 'src/core/leader.ts',
        find: ' || !isAckUnder(lead, ack)) return;',
        replace: ') return;',
      },
    ],
    options: deafening,
  },
  {
    name: 'final-at-half',
    invariant: 6,
    what: 'half of the voters make an entry final',
    edits: [
      {
        file: 'src/core/quorum.ts',
        find: 'Math.floor(of / 2) + 1',
        replace: 'Math.ceil(of / 2)',
      },
    ],
    options: { nodes: 4 },
  },
  {
    name: 'finalise-older-term',
    invariant: 6,
    what: "a leader counts acknowledgements of an earlier leader's entry (Raft, figure 8)",
    edits: [
      {
        file: REPLICA,
        find: '  if (head?.epoch !== id) return undefined;\n',
        replace: '  if (!head) return undefined;\n',
      },
    ],
    options: deafening,
  },
  {
    name: 'accept-older-term',
    invariant: 6,
    what: "a final certificate over an earlier leader's entry is accepted",
    edits: [
      {
        file: CERTIFICATE,
        find: "roster.hash) return 'it is of another roster';\n  if (c.head.epoch !== c.epoch || c.head.term !== c.term) {",
        replace: "roster.hash) return 'it is of another roster';\n  if (c.head.term > c.term) {",
      },
    ],
  },
  {
    name: 'count-member-twice',
    invariant: 6,
    what: 'a certificate may name a member twice',
    edits: [
      {
        file: CERTIFICATE,
        find: 'has no vote`;\n    if (counted.has(ack.user))',
        replace: 'has no vote`;\n    if (votes.size < 0)',
      },
      {
        file: CERTIFICATE,
        find: '  if (!isMajority(counted.size, votes.size))',
        replace: '  if (!isMajority(c.acks.length, votes.size))',
      },
    ],
  },
  {
    name: 'count-committer-twice',
    invariant: 6,
    what: 'a certificate of commitment may name a member twice',
    edits: [
      {
        file: CERTIFICATE,
        find: 'is not of the electorate`;\n    if (counted.has(ack.user))',
        replace: 'is not of the electorate`;\n    if (electorate.size < 0)',
      },
      {
        file: CERTIFICATE,
        find: '  if (!isMajority(counted.size, electorate.size))',
        replace: '  if (!isMajority(c.acks.length, electorate.size))',
      },
    ],
    options: apart,
  },
  {
    name: 'count-other-logs',
    invariant: 3,
    what: 'members acknowledge the tip of their log, whatever the leader has there',
    edits: [
      {
        file: FOLLOWER,
        find: '  const matched = Math.min(lead.matched, chain.tip.seq);',
        replace: '  const matched = chain.tip.seq;',
      },
    ],
    options: hoarding,
  },
  {
    name: 'certificate-of-any-roster',
    invariant: 12,
    what: 'a final certificate of an older roster is accepted',
    edits: [
      {
        file: CERTIFICATE,
        find: "  if (c.roster !== roster.number || c.rosterHash !== roster.hash) return 'it is of another roster';\n",
        replace: '',
      },
    ],
  },
  {
    name: 'certificate-of-strangers',
    invariant: 12,
    what: 'a final certificate counts whoever signed',
    edits: [
      {
        file: CERTIFICATE,
        find: '    if (!votes.has(ack.user))',
        replace: '    if (votes.size < 0)',
      },
    ],
  },
];
