/**
 * The parts of make-core-vectors.ts that need several signers: ballots of one
 * election, final certificates, and a channel that grows from its founder,
 * step by step. Made from core-encoding.ts alone, as all its vectors are.
 */

import {
  type Actor,
  actor,
  certificate,
  chainNext,
  chainStart,
  channelId,
  electorateDigest,
  epochBody,
  epochId,
  type Fields,
  genesis,
  type Hex,
  membershipBody,
  merkleRoot,
  nameCommitment,
  proof,
  record,
  recordDigest,
  rosterNext,
  rosterStart,
  sha256,
  signed,
  statement,
  step,
  u8,
  utf8,
} from './core-encoding.js';

const [alice, bob, carol, dave, erin, frank] = [
  'alice',
  'bob',
  'carol',
  'dave',
  'erin',
  'frank',
].map((name, i) => actor(name, i + 1)) as [Actor, Actor, Actor, Actor, Actor, Actor];
const keys = [alice, bob, carol, dave, erin, frank];

const id = (what: string): Hex => sha256(utf8(what));
const ulidOf = (number: number): string => `01HF${String(number).padStart(22, '0')}`;
const users = (actors: readonly Actor[]): Hex[] => actors.map((a) => a.user);
const TIME = 1_700_000_000_000;

interface Context extends Fields {
  readonly channel: Hex;
  readonly roster: number;
  readonly rosterHash: Hex;
}

// Ballots

const election = { channel: id('channel'), roster: 7, rosterHash: id('roster 7') };

function electionCase(kind: 'roster' | 'online', voters: readonly Actor[]) {
  const electorate = users(voters).sort();
  const digest = electorateDigest(electorate);
  const candidacy = {
    ...election,
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
  const ballotFields = { ...election, kind, candidate: alice.user, term: 9, electorate: digest };
  const ballot = statement('ballot', ballotFields);
  const signedBy = (message: Hex) => voters.map((v) => ({ user: v.user, sig: signed(v, message) }));
  const ballots = signedBy(ballot);
  const epoch = { ...election, kind, term: 9, leader: alice.user, electorate };
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
    },
  };
}

export const ballotVectors = (encoding: string) => ({
  description: [
    'Elections (docs/PROTOCOL.md, sections "Elections" and "Epoch records"). An implementation passes',
    'when, for each of `elections`, it makes `statement` of pre-vote, grant, candidacy and ballot from',
    '`fields` (`electorate` is the digest `electorate_digest` of the members in `electorate`), finds',
    'every signature to be that of its `user` (of alice, the candidate, where there is none), gets',
    '`id` and `record_body` of the epoch, and counts none of `refused_ballots`: each has a `sig` that',
    '`by` made over `signed`, and is no signature of `user` over the `statement` of the ballot.',
    encoding,
  ].join(' '),
  keys,
  elections: [
    electionCase('roster', [alice, bob, carol]),
    electionCase('roster', [erin, dave, carol, bob, alice]),
    electionCase('online', [alice, bob, carol]),
  ],
});

// Certificates

/** A roster as far as certificates need it. */
const rosterOf = (number: number, voting: readonly Actor[], others: readonly Actor[] = []) => ({
  channel: id('channel'),
  number,
  hash: id(`roster ${number}`),
  members: [...voting, ...others].map((a) => ({ user: a.user, votes: voting.includes(a) })),
});
const ROSTERS = {
  one: rosterOf(0, [alice]),
  two: rosterOf(3, [alice, bob]),
  waiting: rosterOf(2, [alice], [bob]),
  five: rosterOf(7, [alice, bob, carol, dave, erin], []),
};
type RosterName = keyof typeof ROSTERS;

const contextOf = (name: RosterName): Context => ({
  channel: ROSTERS[name].channel,
  roster: ROSTERS[name].number,
  rosterHash: ROSTERS[name].hash,
});

const SEQ = 10;
const leadership = { epoch: id('epoch'), term: 9 };
const headerAt = (seq: number, roster: number, change: Fields = {}): Fields => ({
  ...leadership,
  roster,
  digest: id(`record ${seq}`),
  ...change,
});

interface CertOptions {
  /** Who acknowledged, and up to where. */
  readonly acks: readonly (readonly [Actor, number])[];
  readonly roster?: RosterName;
  /** What its statements say instead. */
  readonly said?: Fields;
  /** What it says itself, after it was signed. */
  readonly change?: Fields;
  readonly head?: Fields;
  readonly links?: number;
}

/** A final certificate over the entry at seq 10, with the chain hash at each position after it. */
function certOf({
  acks,
  roster = 'five',
  said = {},
  change = {},
  head = {},
  links = 0,
}: CertOptions) {
  const context = contextOf(roster);
  const headers = Array.from({ length: links + 1 }, (_, i) =>
    headerAt(SEQ + i, context.roster, i === 0 ? head : {}),
  );
  const hashes: Hex[] = [];
  for (const [i, header] of headers.entries()) {
    hashes.push(chainNext(hashes.at(-1) ?? id('chain 9'), SEQ + i, header));
  }
  const statementAt = (seq: number): Hex =>
    statement('ack', {
      ...context,
      ...leadership,
      seq,
      hash: hashes[seq - SEQ] ?? id('nothing'),
      ...said,
    });
  const fields: Fields = {
    kind: 'final',
    ...context,
    ...leadership,
    seq: SEQ,
    prevHash: id('chain 9'),
    head: headers[0],
    links: headers.slice(1),
    acks: acks.map(([by, seq]) => ({ user: by.user, seq, sig: signed(by, statementAt(seq)) })),
    ...change,
  };
  return {
    roster,
    fields,
    bytes: certificate(fields),
    point: { seq: SEQ, hash: hashes[0]! },
    statements: acks.map(([, seq]) => statementAt(seq)),
  };
}

const THREE = [
  [alice, SEQ],
  [bob, SEQ],
  [carol, SEQ],
] as const;
const SPREAD = [
  [alice, SEQ],
  [bob, SEQ + 1],
  [carol, SEQ + 3],
] as const;

const validCertificates = () => [
  { what: 'one of one', ...certOf({ roster: 'one', acks: [[alice, SEQ]] }) },
  { what: 'the one that votes, of two', ...certOf({ roster: 'waiting', acks: [[alice, SEQ]] }) },
  { what: 'two of two', ...certOf({ roster: 'two', acks: THREE.slice(0, 2) }) },
  { what: 'three of five', ...certOf({ acks: THREE }) },
  { what: 'three of five, in another order', ...certOf({ acks: [...THREE].reverse() }) },
  {
    what: 'all five',
    ...certOf({ acks: [alice, bob, carol, dave, erin].map((a) => [a, SEQ] as const) }),
  },
  {
    what: 'three of five that acknowledged up to different entries',
    ...certOf({ acks: SPREAD, links: 3 }),
  },
];

function refusedCertificates() {
  const made = (what: string, breaks: string, options: CertOptions) => {
    const { roster, bytes } = certOf(options);
    return { what, breaks, roster, bytes };
  };
  const { fields, bytes } = certOf({ acks: THREE });
  const acks = fields.acks as readonly Fields[];
  const spread = certOf({ acks: SPREAD, links: 3 });
  const links = spread.fields.links as readonly Fields[];
  const raw = (what: string, bytes: Hex) => ({ what, breaks: 'encoding', roster: 'five', bytes });
  return [
    raw('no bytes at all', ''),
    raw('the last byte missing', bytes.slice(0, -2)),
    raw('a byte after its end', `${bytes}00`),
    raw('a third kind', `02${bytes.slice(2)}`),
    made('a committed one', 'kind', { acks: THREE, change: { kind: 'committed' } }),
    made('of another channel', 'channel', {
      acks: THREE,
      change: { channel: id('other channel') },
    }),
    made('of another roster number', 'roster', { acks: THREE, change: { roster: 8 } }),
    made('of another roster hash', 'roster', {
      acks: THREE,
      change: { rosterHash: id('roster 8') },
    }),
    made('three acknowledgements that are rightly signed, under an older roster', 'roster', {
      acks: THREE,
      said: { roster: 6, rosterHash: id('roster 6') },
      change: { roster: 6, rosterHash: id('roster 6') },
    }),
    made('nobody', 'majority', { acks: [] }),
    made('two of five', 'majority', { acks: THREE.slice(0, 2) }),
    made('one of two: half is no majority', 'majority', { roster: 'two', acks: [[alice, SEQ]] }),
    made('a member counted twice', 'twice', { acks: [THREE[0], THREE[1], THREE[1]] }),
    made('a member counted twice, at two entries', 'twice', {
      acks: [THREE[0], THREE[1], [bob, SEQ + 1]],
      links: 1,
    }),
    made('a member without a vote', 'vote', { roster: 'waiting', acks: [[bob, SEQ]] }),
    made('three of five and a stranger', 'vote', { acks: [...THREE, [frank, SEQ]] }),
    made(
      "an entry of another leadership, acknowledged under this one (Raft's figure 8)",
      'leadership',
      {
        acks: THREE,
        head: { epoch: id('older epoch'), term: 8 },
      },
    ),
    made('an entry of the same term and another epoch', 'leadership', {
      acks: THREE,
      head: { epoch: id('older epoch') },
    }),
    made('an entry of another term', 'leadership', { acks: THREE, head: { term: 8 } }),
    made('an acknowledgement behind the certified entry', 'links', {
      acks: [THREE[0], THREE[1], [carol, SEQ - 1]],
    }),
    made('an acknowledgement beyond the links', 'links', {
      acks: [THREE[0], THREE[1], [carol, SEQ + 2]],
      links: 1,
    }),
    made('a signature of another member', 'signature', {
      acks: THREE,
      change: { acks: [acks[0], acks[1], { ...acks[2], sig: acks[1]!.sig }] },
    }),
    made('a signature with a bit flipped', 'signature', {
      acks: THREE,
      change: { acks: [acks[0], acks[1], { ...acks[2], sig: flipped(acks[2]!.sig as Hex) }] },
    }),
    made('acknowledgements of another entry', 'signature', {
      acks: THREE,
      said: { hash: id('another entry') },
    }),
    made('acknowledgements under another leadership', 'signature', {
      acks: THREE,
      said: { epoch: id('older epoch') },
    }),
    made('acknowledgements under another term', 'signature', { acks: THREE, said: { term: 8 } }),
    made('acknowledgements in another channel', 'signature', {
      acks: THREE,
      said: { channel: id('other channel') },
    }),
    made('another entry before it', 'signature', {
      acks: THREE,
      change: { prevHash: id('another entry') },
    }),
    made('another record at its seq', 'signature', {
      acks: THREE,
      change: { head: headerAt(SEQ, 7, { digest: id('another record') }) },
    }),
    made('another record between the entry and an acknowledgement', 'signature', {
      acks: SPREAD,
      links: 3,
      change: { links: [{ ...links[0], digest: id('another record') }, ...links.slice(1)] },
    }),
    made('an acknowledgement moved to the next entry', 'signature', {
      acks: SPREAD,
      links: 3,
      change: {
        acks: (spread.fields.acks as readonly Fields[]).map((a, i) =>
          i === 1 ? { ...a, seq: SEQ + 2 } : a,
        ),
      },
    }),
  ];
}

const flipped = (sig: Hex): Hex => u8(Number.parseInt(sig.slice(0, 2), 16) ^ 1) + sig.slice(2);

// A channel that grows

const RELAY = `conclave://${u8(0xab).repeat(32)}@127.0.0.1:4400`;
const SALT = u8(0x5a).repeat(16);
const genesisFields = {
  founder: alice.user,
  founderName: 'alice',
  nameCommitment: nameCommitment(SALT, 'team'),
  salt: SALT,
  time: TIME,
  minOnline: 3,
  quorum: 'online',
  relays: [RELAY],
};
const GENESIS = genesis(genesisFields);
const CHANNEL = channelId(GENESIS);

interface MemberState {
  readonly user: Hex;
  readonly name: string;
  readonly role: string;
  readonly votes: boolean;
  readonly since: number;
  readonly root: Hex;
}
interface InviteState {
  readonly key: Hex;
  readonly author: Hex;
  readonly usesLeft: number;
  readonly expires: number;
}
interface State {
  readonly number: number;
  readonly hash: Hex;
  readonly members: readonly MemberState[];
  readonly invites: readonly InviteState[];
  readonly relays: readonly string[];
}

const FOUNDED: State = {
  number: 0,
  hash: rosterStart(CHANNEL),
  members: [
    { user: alice.user, name: 'alice', role: 'founder', votes: true, since: 0, root: CHANNEL },
  ],
  invites: [],
  relays: [RELAY],
};

interface StepOptions {
  /** What the record says instead. */
  readonly change?: Fields;
  /** Who signs the record. */
  readonly signer?: Actor;
  /** Entries between the membership record and the certified one, that one included. */
  readonly behind?: number;
  /** What the step says itself. */
  readonly said?: Fields;
}

class GrowingChannel {
  state = FOUNDED;
  #seq = 0;
  #hash = chainStart(CHANNEL);
  readonly #lastMembership = new Map<Hex, Hex>();

  get context(): Context {
    return { channel: CHANNEL, roster: this.state.number, rosterHash: this.state.hash };
  }

  /** Both signatures over one request. */
  joinFields(user: Actor, invite: Actor, change: Fields = {}): Fields {
    const request = statement('join', {
      ...this.context,
      user: user.user,
      name: user.name,
      invite: invite.user,
      seq: this.#seq,
      hash: this.#hash,
      ...change,
    });
    return { request, inviteSig: signed(invite, request), userSig: signed(user, request) };
  }

  /** The step that puts a membership record of `author` in force, in a new epoch led by alice. */
  stepOf(author: Actor, kind: string, fields: Fields, options: StepOptions = {}) {
    const { context, state } = this;
    const { change = {}, signer = author, behind = 0, said = {} } = options;
    const member = state.members.find((m) => m.user === author.user);
    const bytes = record({
      channel: CHANNEL,
      author: author.user,
      boot: ulidOf(1),
      n: state.number + 1,
      prev: this.#lastMembership.get(author.user) ?? member?.root ?? CHANNEL,
      kind,
      id: ulidOf(state.number + 100),
      time: TIME,
      keyEpoch: 0,
      body: membershipBody(kind, { base: state.number, ...fields }),
      ...change,
    });
    const digest = recordDigest(bytes);
    const root = merkleRoot([digest]);
    const sig = signed(signer, statement('records', { ...context, root, count: 1 }));

    const voters = keys.filter((k) => state.members.some((m) => m.user === k.user && m.votes));
    const term = state.number + 1;
    const electorate = users(voters);
    const epoch = epochId({ ...context, kind: 'roster', term, leader: alice.user, electorate });
    const header = (digest: Hex) => ({ epoch, term, roster: state.number, digest });
    const headers = [digest, ...Array.from({ length: behind }, (_, i) => id(`message ${i}`))].map(
      header,
    );
    const seq = this.#seq + 2;
    const hashes = [this.#hash];
    for (const [i, h] of [header(id(`epoch record ${term}`)), ...headers].entries()) {
      hashes.push(chainNext(hashes.at(-1)!, this.#seq + 1 + i, h));
    }
    const end = { seq: seq + behind, hash: hashes.at(-1)! };
    const ack = statement('ack', { ...context, epoch, term, ...end });
    const cert = certificate({
      kind: 'final',
      ...context,
      epoch,
      term,
      seq: end.seq,
      prevHash: hashes.at(-2)!,
      head: headers.at(-1),
      links: [],
      acks: voters.map((v) => ({ user: v.user, seq: end.seq, sig: signed(v, ack) })),
    });
    const encoded = step({
      seq,
      prevHash: hashes[1],
      headers: headers.slice(0, -1),
      record: bytes,
      proof: proof({ ...context, count: 1, index: 0, path: [], sig }),
      cert,
      ...said,
    });
    return { step: encoded, digest, end };
  }

  /** Takes a step; `next` is what it changes. */
  take(
    author: Actor,
    kind: string,
    fields: Fields,
    next: (digest: Hex) => Partial<State>,
    behind = 0,
  ) {
    const { step, digest, end } = this.stepOf(author, kind, fields, { behind });
    const number = this.state.number + 1;
    const hash = rosterNext(this.state.hash, number, digest);
    this.state = { ...this.state, ...next(digest), number, hash };
    this.#lastMembership.set(author.user, digest);
    [this.#seq, this.#hash] = [end.seq, end.hash];
    return { what: '', step, point: end, roster: this.state };
  }
}

const memberOf = (a: Actor, votes: boolean, since: number, root: Hex): MemberState => ({
  user: a.user,
  name: a.name,
  role: 'member',
  votes,
  since,
  root,
});

function growth() {
  const channel = new GrowingChannel();
  const [first, second] = [actor('invitation 1', 201), actor('invitation 2', 202)];
  const members = (change: (m: readonly MemberState[]) => readonly MemberState[]) =>
    change(channel.state.members);
  const invite = (key: Actor, usesLeft: number, expires: number): InviteState => ({
    key: key.user,
    author: alice.user,
    usesLeft,
    expires,
  });
  const refused: { what: string; breaks: string; after: number; step: Hex }[] = [];
  const refuse = (
    what: string,
    breaks: string,
    author: Actor,
    kind: string,
    fields: Fields,
    options: StepOptions = {},
  ) =>
    refused.push({
      what,
      breaks,
      after: channel.state.number,
      step: channel.stepOf(author, kind, fields, options).step,
    });
  const open = { key: first.user, uses: 2, expires: 0 };

  const founded = channel.stepOf(alice, 'invite', open);
  refuse('an invitation by who is no member', 'membership', bob, 'invite', open);
  refuse('a base number that is not the roster in force', 'membership', alice, 'invite', {
    ...open,
    base: 1,
  });
  refuse('a prev that is not the last membership record', 'membership', alice, 'invite', open, {
    change: { prev: id('else') },
  });
  refuse('a record that changes no membership', 'membership', alice, 'invite', open, {
    change: { kind: 'message' },
  });
  refuse('a record of another channel', 'certificate', alice, 'invite', open, {
    change: { channel: id('other channel') },
  });
  refuse('an invitation for nobody', 'membership', alice, 'invite', { ...open, uses: 0 });
  refuse('a body with a byte after its end', 'encoding', alice, 'invite', open, {
    change: { body: `${membershipBody('invite', { base: 0, ...open })}00` },
  });
  refuse('a record that another user signed', 'signature', alice, 'invite', open, { signer: bob });
  refuse('a seq that is not that of the record', 'certificate', alice, 'invite', open, {
    said: { seq: 3 },
  });
  refuse('another chain before the record', 'certificate', alice, 'invite', open, {
    behind: 1,
    said: { prevHash: id('else') },
  });
  refuse('headers that name another record', 'certificate', alice, 'invite', open, {
    behind: 1,
    said: { headers: [headerAt(2, 0)] },
  });
  refuse('headers left out', 'certificate', alice, 'invite', open, {
    behind: 2,
    said: { headers: [] },
  });
  const invited = channel.take(alice, 'invite', open, () => ({ invites: [invite(first, 2, 0)] }));
  const replayed = {
    what: 'a step that was taken already',
    breaks: 'certificate',
    after: 1,
    step: founded.step,
  };

  refuse(
    'a join by invitation of a key that was never invited',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, second),
  );
  refuse(
    'a request for another channel',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, first, { channel: id('other channel') }),
  );
  refuse(
    'a request that was made under an older roster',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, first, { roster: 0, rosterHash: FOUNDED.hash }),
  );
  refuse("a join without the joiner's signature", 'signature', alice, 'join', {
    ...channel.joinFields(bob, first),
    userSig: u8(0).repeat(64),
  });
  refuse("a join without the invitation's signature", 'signature', alice, 'join', {
    ...channel.joinFields(bob, first),
    inviteSig: u8(0).repeat(64),
  });
  refuse('a join that another statement asks for', 'encoding', alice, 'join', {
    ...channel.joinFields(bob, first),
    request: statement('beat', { ...channel.context, ...leadership, beat: 1, echo: ulidOf(0) }),
  });
  const joined = channel.take(
    alice,
    'join',
    channel.joinFields(bob, first),
    (root) => ({
      members: members((m) => [...m, memberOf(bob, false, 2, root)]),
      invites: [invite(first, 1, 0)],
    }),
    2,
  );

  refuse(
    'a third member while the second has no vote',
    'membership',
    alice,
    'join',
    channel.joinFields(carol, first),
  );
  refuse('a vote for who votes already', 'membership', alice, 'vote', { user: alice.user });
  refuse('a vote that a plain member gives itself', 'membership', bob, 'vote', { user: bob.user });
  const voting = channel.take(alice, 'vote', { user: bob.user }, () => ({
    members: members((m) => m.map((x) => (x.user === bob.user ? { ...x, votes: true } : x))),
  }));

  refuse('an invitation by a plain member', 'membership', bob, 'invite', {
    ...open,
    key: second.user,
  });
  refuse('relays changed by a plain member', 'membership', bob, 'relays', { relays: [RELAY] });
  refuse('no relay at all', 'membership', alice, 'relays', { relays: [] });
  refuse('a join of who is a member', 'membership', alice, 'join', channel.joinFields(bob, first));
  const third = channel.take(bob, 'join', channel.joinFields(carol, first), (root) => ({
    members: members((m) => [...m, memberOf(carol, true, 4, root)]),
    invites: [],
  }));

  refuse(
    'a join by an invitation that is used up',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, first),
  );
  const limited = channel.take(
    alice,
    'invite',
    { key: second.user, uses: 5, expires: TIME - 1 },
    () => ({
      invites: [invite(second, 5, TIME - 1)],
    }),
  );

  refuse(
    'a join by an invitation that has expired',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, second),
  );
  refuse('an invitation with a key in use', 'membership', alice, 'invite', {
    ...open,
    key: second.user,
  });
  refuse("another member's invitation revoked by a plain member", 'membership', bob, 'revoke', {
    key: second.user,
  });
  const revoked = channel.take(alice, 'revoke', { key: second.user }, () => ({ invites: [] }));
  const relays = channel.take(alice, 'relays', { relays: [RELAY, `${RELAY}1`] }, () => ({
    relays: [RELAY, `${RELAY}1`],
  }));
  const steps = [
    { ...invited, what: 'the founder invites' },
    {
      ...joined,
      what: 'the second member joins, without a vote; two entries follow before the certified one',
    },
    { ...voting, what: 'the second member gets its vote' },
    { ...third, what: 'the third member joins, admitted by a plain member' },
    { ...limited, what: 'an invitation that expires' },
    { ...revoked, what: 'it is revoked' },
    { ...relays, what: 'the relays change' },
  ];
  return { steps, refused: [replayed, ...refused] };
}

export function certificateVectors(encoding: string) {
  const { steps, refused } = growth();
  return {
    description: [
      'Final certificates and roster steps (docs/PROTOCOL.md, sections "Certificates" and "Roster").',
      'An implementation passes when, for each of `valid`, it encodes `fields` as `bytes` and decodes',
      '`bytes` into them, gets the certified `point` and `statements`, which the users in `acks` signed,',
      'and accepts the certificate for the roster of `rosters` that `roster` names; and when it refuses',
      'each of `refused` for that roster. `breaks` is the rule that is broken: `encoding`; `kind` (it is',
      'not final); `channel`; `roster` (number or hash are not those of the roster); `majority`; `twice`',
      '(a member is counted twice); `vote` (who acknowledged has none); `leadership` (the certified entry',
      'is not of the leadership that was acknowledged); `links` (an acknowledgement lies outside them);',
      '`signature`. `channel` is a channel that starts with `genesis`; each of its `steps` leads to',
      '`roster`, and each of `refused_steps` is refused after the first `after` steps, for what it',
      '`breaks`: `encoding`, `certificate` (it does not certify this record on this chain under this',
      'roster), `membership` (the record is not valid on this roster) or `signature`.',
      encoding,
    ].join(' '),
    keys,
    rosters: ROSTERS,
    valid: validCertificates(),
    refused: refusedCertificates(),
    channel: { id: CHANNEL, genesis: GENESIS, roster: FOUNDED, steps },
    refused_steps: refused,
  };
}
