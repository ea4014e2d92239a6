/** The roster steps of test/vectors/certificates.json: a channel that grows from its founder. */

import {
  alice,
  bob,
  type Context,
  carol,
  dave,
  id,
  KEYS,
  leadership,
  RELAY,
  relayOf,
  SALT,
  TIME,
  ulidOf,
  users,
} from './common.js';
import {
  type Actor,
  actor,
  certificate,
  chainNext,
  chainStart,
  channelId,
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
  signed,
  statement,
  step,
  u8,
} from './encoding.js';

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
export const GENESIS = genesis(genesisFields);
export const CHANNEL_ID = channelId(GENESIS);

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

export const FOUNDED: State = {
  number: 0,
  hash: rosterStart(CHANNEL_ID),
  members: [
    { user: alice.user, name: 'alice', role: 'founder', votes: true, since: 0, root: CHANNEL_ID },
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
  #hash = chainStart(CHANNEL_ID);
  readonly #lastMembership = new Map<Hex, Hex>();

  get context(): Context {
    return { channel: CHANNEL_ID, roster: this.state.number, rosterHash: this.state.hash };
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

  /** A membership record of `author` on the roster in force, with its proof. */
  recordOf(author: Actor, kind: string, fields: Fields, options: StepOptions = {}) {
    const { context, state } = this;
    const member = state.members.find((m) => m.user === author.user);
    const bytes = record({
      channel: CHANNEL_ID,
      author: author.user,
      boot: ulidOf(1),
      n: state.number + 1,
      prev: this.#lastMembership.get(author.user) ?? member?.root ?? CHANNEL_ID,
      kind,
      id: ulidOf(state.number + 100),
      time: TIME,
      keyEpoch: 0,
      body: membershipBody(kind, { base: state.number, ...fields }),
      ...options.change,
    });
    const root = merkleRoot([recordDigest(bytes)]);
    const message = statement('records', { ...context, root, count: 1 });
    const sig = signed(options.signer ?? author, message);
    return {
      record: bytes,
      proof: proof({ ...context, count: 1, index: 0, path: [], sig }),
    };
  }

  /** The step that puts a membership record of `author` in force, in a new epoch led by alice. */
  stepOf(author: Actor, kind: string, fields: Fields, options: StepOptions = {}) {
    const { context, state } = this;
    const { behind = 0, said = {} } = options;
    const made = this.recordOf(author, kind, fields, options);
    const digest = recordDigest(made.record);

    const voters = KEYS.filter((k) => state.members.some((m) => m.user === k.user && m.votes));
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
    const ack = statement('ack', { ...context, kind: 'roster', epoch, term, ...end });
    const cert = certificate({
      kind: 'final',
      epochKind: 'roster',
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
      ...made,
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
    return { step, point: end, roster: this.state };
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

export function growth() {
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
  const another = channel.recordOf(alice, 'invite', { ...open, uses: 9 });
  refuse(
    'another record of this author than the certified one',
    'certificate',
    alice,
    'invite',
    open,
    {
      said: another,
    },
  );
  refuse(
    'another record of this author than the one in its headers',
    'certificate',
    alice,
    'invite',
    open,
    {
      behind: 1,
      said: another,
    },
  );
  refuse('headers that name another record', 'certificate', alice, 'invite', open, {
    behind: 1,
    said: { headers: [{ ...leadership, roster: 0, digest: id('record 2') }] },
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
  refuse('relays changed by a plain member', 'membership', bob, 'relays', { relays: [relayOf(2)] });
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
  const relays = channel.take(alice, 'relays', { relays: [relayOf(2), RELAY] }, () => ({
    relays: [relayOf(2), RELAY],
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
