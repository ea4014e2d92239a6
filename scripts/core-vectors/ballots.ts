/** test/vectors/ballots.json: whole elections, and ballots that must not count. */

import {
  alice,
  bob,
  carol,
  context,
  dave,
  ENCODING,
  erin,
  id,
  KEYS,
  ulidOf,
  users,
} from './common.js';
import {
  type Actor,
  electionProof,
  electorateDigest,
  epochBody,
  epochId,
  type Fields,
  type Hex,
  signed,
  statement,
} from './encoding.js';

function electionCase(kind: 'roster' | 'online', voters: readonly Actor[]) {
  const electorate = users(voters).sort();
  const digest = electorateDigest(electorate);
  const candidacy = {
    ...context,
    kind,
    candidate: alice.user,
    round: ulidOf(1),
    term: 9,
    lastTerm: 8,
    lastSeq: 4_321,
  };
  const request = statement('prevote', candidacy);
  const grant = statement('grant', candidacy);
  const lead = statement('lead', { ...candidacy, electorate: digest });
  const ballotFields = { ...context, kind, candidate: alice.user, term: 9, electorate: digest };
  const ballot = statement('ballot', ballotFields);
  const signedBy = (message: Hex) => voters.map((v) => ({ user: v.user, sig: signed(v, message) }));
  const ballots = signedBy(ballot);
  const epoch = { ...context, kind, term: 9, leader: alice.user, electorate };
  const refused = (what: string, change: Fields, by: Actor = bob, tag = 'ballot') => {
    const other = statement(tag, { ...candidacy, ...ballotFields, ...change });
    return { what, user: bob.user, signed: other, by: by.user, sig: signed(by, other) };
  };
  return {
    what: `an election of a ${kind} epoch by ${voters.length}`,
    electorate,
    electorate_digest: digest,
    prevote: { fields: candidacy, statement: request, sig: signed(alice, request) },
    grant: { statement: grant, signatures: signedBy(grant) },
    lead: { statement: lead, sig: signed(alice, lead) },
    ballot: { fields: ballotFields, statement: ballot, signatures: ballots },
    refused_ballots: [
      refused('for another candidate', { candidate: bob.user }),
      refused('for another term', { term: 10 }),
      refused('for the other kind of epoch', { kind: kind === 'roster' ? 'online' : 'roster' }),
      refused('by another electorate', { electorate: electorateDigest([alice.user]) }),
      refused('in another channel', { channel: id('other channel') }),
      refused('under another roster number', { roster: 8 }),
      refused('under another roster hash', { rosterHash: id('roster 8') }),
      refused("signed with another voter's key", {}, carol),
      refused('a grant in the place of a ballot', {}, bob, 'grant'),
    ],
    epoch: {
      fields: epoch,
      id: epochId(epoch),
      record_body: epochBody({ ...epoch, ballots }),
      proof: electionProof({ ...epoch, ballots }),
    },
  };
}

export const ballotVectors = () => ({
  description: [
    'Elections (docs/PROTOCOL.md, sections "Elections" and "Epoch records"). An implementation passes',
    'when, for each of `elections`, it makes `statement` of pre-vote, grant, candidacy and ballot from',
    '`fields` (`electorate` is the digest `electorate_digest` of the members in `electorate`), finds',
    'every signature to be that of its `user` (of alice, the candidate, where there is none), gets',
    '`id`, `record_body` and `proof` of the epoch, and counts none of `refused_ballots`: each has a `sig` that',
    '`by` made over `signed`, and is no signature of `user` over the `statement` of the ballot.',
    ENCODING,
  ].join(' '),
  keys: KEYS,
  elections: [
    electionCase('roster', [alice, bob, carol]),
    electionCase('roster', [erin, dave, carol, bob, alice]),
    electionCase('online', [alice, bob, carol]),
  ],
});
