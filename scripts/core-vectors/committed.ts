/** Certificates of commitment, for certificates.json: those of each kind of epoch, and what must not hold. */

import { type CertOptions, certOf, contextOf, SEQ } from './certify.js';
import { alice, bob, carol, dave, id, users } from './common.js';
import { type Actor, epochId, type Fields } from './encoding.js';

function electionOf(kind: 'roster' | 'online', term: number, electorate: readonly Actor[]) {
  const fields = {
    ...contextOf('five'),
    kind,
    term,
    leader: alice.user,
    electorate: users(electorate).sort(),
  };
  return { fields, id: epochId(fields) };
}

/** Leaderships under the roster of five. */
const ELECTIONS = {
  roster: electionOf('roster', 9, [alice, bob, carol]),
  online: electionOf('online', 12, [alice, bob]),
  alone: electionOf('online', 13, [alice]),
};
type ElectionName = keyof typeof ELECTIONS;

type Case = CertOptions & { readonly election: ElectionName };

function committedOf({ election, ...options }: Case) {
  const { fields, id: epoch } = ELECTIONS[election];
  const { term, kind: epochKind } = fields;
  const of = { kind: 'committed', epochKind, under: { epoch, term } } as const;
  const { roster: _, ...made } = certOf({ ...of, ...options });
  return { election, ...made };
}

const TWO = [
  [alice, SEQ],
  [bob, SEQ],
] as const;
const APART = [
  [alice, SEQ + 2],
  [bob, SEQ],
] as const;

const valid = () => [
  {
    what: 'two of an electorate of three, in a roster epoch',
    ...committedOf({ election: 'roster', acks: TWO }),
  },
  {
    what: 'two of three that acknowledged up to different entries',
    ...committedOf({ election: 'roster', acks: APART, links: 2 }),
  },
  {
    what: 'both of an electorate of two, in an online epoch',
    ...committedOf({ election: 'online', acks: TWO }),
  },
  { what: 'the only one', ...committedOf({ election: 'alone', acks: [[alice, SEQ]] }) },
];

function refused() {
  const made = (what: string, breaks: string, options: Case) => {
    const { election, bytes } = committedOf(options);
    return { what, breaks, election, bytes };
  };
  const other = (name: ElectionName): Fields => ({
    epoch: ELECTIONS[name].id,
    term: ELECTIONS[name].fields.term,
  });
  return [
    made('a final one', 'kind', { election: 'roster', acks: TWO, kind: 'final' }),
    made('of a roster epoch, marked as of an online one', 'epoch', {
      election: 'roster',
      acks: TWO,
      change: { epochKind: 'online' },
    }),
    made('of an online epoch, marked as of a roster one', 'epoch', {
      election: 'online',
      acks: TWO,
      change: { epochKind: 'roster' },
    }),
    made('of another epoch', 'epoch', {
      election: 'online',
      acks: TWO,
      change: other('alone'),
    }),
    made('of another term', 'epoch', { election: 'online', acks: TWO, change: { term: 13 } }),
    made('of another channel', 'channel', {
      election: 'online',
      acks: TWO,
      change: { channel: id('other channel') },
    }),
    made('of another roster number', 'roster', {
      election: 'online',
      acks: TWO,
      change: { roster: 8 },
    }),
    made('of another roster hash', 'roster', {
      election: 'online',
      acks: TWO,
      change: { rosterHash: id('roster 8') },
    }),
    made('an entry of another leadership', 'leadership', {
      election: 'roster',
      acks: TWO,
      head: { epoch: id('older epoch'), term: 8 },
    }),
    made('a member of the roster that is not of the electorate', 'electorate', {
      election: 'roster',
      acks: [...TWO, [dave, SEQ]],
    }),
    made('a member counted twice', 'twice', {
      election: 'roster',
      acks: [TWO[0], TWO[0]],
    }),
    made('nobody', 'majority', { election: 'alone', acks: [] }),
    made('one of three', 'majority', { election: 'roster', acks: [[alice, SEQ]] }),
    made('one of two: half is no majority', 'majority', {
      election: 'online',
      acks: [[alice, SEQ]],
    }),
    made('an acknowledgement beyond the links', 'links', { election: 'roster', acks: APART }),
    made('acknowledgements of the other kind', 'signature', {
      election: 'online',
      acks: TWO,
      said: { kind: 'roster' },
    }),
    made('acknowledgements under another leadership', 'signature', {
      election: 'online',
      acks: TWO,
      said: other('alone'),
    }),
    made('acknowledgements of another entry', 'signature', {
      election: 'online',
      acks: TWO,
      said: { hash: id('another entry') },
    }),
  ];
}

export const committedVectors = () => ({
  elections: ELECTIONS,
  committed: valid(),
  refused_committed: refused(),
});
