/** The first roster steps of test/vectors/certificates.json: a channel that grows from its founder. */

import { alice, bob, carol, dave, id, leadership, RELAY, relayOf, TIME, ulidOf } from './common.js';
import { actor, membershipBody, statement, u8 } from './encoding.js';
import {
  ANYONE,
  FOUNDED,
  type GrowingChannel,
  inviteState,
  type MemberState,
  memberOf,
} from './growing-channel.js';

export function growth(channel: GrowingChannel) {
  const [first, second] = [actor('invitation 1', 201), actor('invitation 2', 202)];
  const members = (change: (m: readonly MemberState[]) => readonly MemberState[]) =>
    change(channel.state.members);
  const open = { key: first.user, uses: 2, expires: 0, invitee: ANYONE, isArchive: false };

  const founded = channel.stepOf(alice, 'invite', open);
  channel.refuse('an invitation by who is no member', 'membership', bob, 'invite', open);
  channel.refuse('a base number that is not the roster in force', 'membership', alice, 'invite', {
    ...open,
    base: 1,
  });
  channel.refuse(
    'a prev that is not the last membership record',
    'membership',
    alice,
    'invite',
    open,
    {
      change: { prev: id('else') },
    },
  );
  channel.refuse('a record that changes no membership', 'membership', alice, 'invite', open, {
    change: { kind: 'message' },
  });
  channel.refuse('a record of another channel', 'certificate', alice, 'invite', open, {
    change: { channel: id('other channel') },
  });
  channel.refuse('an invitation for nobody', 'membership', alice, 'invite', { ...open, uses: 0 });
  channel.refuse('a body with a byte after its end', 'encoding', alice, 'invite', open, {
    change: { body: `${membershipBody('invite', { base: 0, ...open })}00` },
  });
  channel.refuse('a record that another user signed', 'signature', alice, 'invite', open, {
    signer: bob,
  });
  channel.refuse('a seq that is not that of the record', 'certificate', alice, 'invite', open, {
    said: { seq: 3 },
  });
  channel.refuse('another chain before the record', 'certificate', alice, 'invite', open, {
    behind: 1,
    said: { prevHash: id('else') },
  });
  const another = channel.recordOf(alice, 'invite', { ...open, uses: 9 });
  channel.refuse(
    'another record of this author than the certified one',
    'certificate',
    alice,
    'invite',
    open,
    {
      said: another,
    },
  );
  channel.refuse(
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
  channel.refuse('headers that name another record', 'certificate', alice, 'invite', open, {
    behind: 1,
    said: { headers: [{ ...leadership, roster: 0, digest: id('record 2') }] },
  });
  channel.refuse('headers left out', 'certificate', alice, 'invite', open, {
    behind: 2,
    said: { headers: [] },
  });
  const invited = channel.take(alice, 'invite', open, () => ({ invites: [inviteState(first, 2)] }));
  const replayed = {
    what: 'a step that was taken already',
    breaks: 'certificate',
    after: 1,
    step: founded.step,
  };

  channel.refuse(
    'a join by invitation of a key that was never invited',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, second),
  );
  channel.refuse(
    'an archive with an invitation for one who reads',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, first),
  );
  channel.refuse(
    'a request for another channel',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, first, { channel: id('other channel') }),
  );
  channel.refuse(
    'a request that was made under an older roster',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, first, { roster: 0, rosterHash: FOUNDED.hash }),
  );
  channel.refuse("a join without the joiner's signature", 'signature', alice, 'join', {
    ...channel.joinFields(bob, first),
    userSig: u8(0).repeat(64),
  });
  channel.refuse("a join without the invitation's signature", 'signature', alice, 'join', {
    ...channel.joinFields(bob, first),
    inviteSig: u8(0).repeat(64),
  });
  channel.refuse('a join that another statement asks for', 'encoding', alice, 'join', {
    ...channel.joinFields(bob, first),
    request: statement('beat', { ...channel.context, ...leadership, beat: 1, echo: ulidOf(0) }),
  });
  const joined = channel.take(
    alice,
    'join',
    channel.joinFields(bob, first),
    (root) => ({
      members: members((m) => [...m, memberOf(bob, false, 2, root, first)]),
      invites: [inviteState(first, 1)],
    }),
    2,
  );

  channel.refuse(
    'a third member while one alone votes',
    'membership',
    alice,
    'join',
    channel.joinFields(carol, first),
  );
  channel.refuse('a vote for who votes already', 'membership', alice, 'vote', { user: alice.user });
  channel.refuse('a vote that a plain member gives itself', 'membership', bob, 'vote', {
    user: bob.user,
  });
  const voting = channel.take(alice, 'vote', { user: bob.user }, () => ({
    members: members((m) => m.map((x) => (x.user === bob.user ? { ...x, votes: true } : x))),
  }));

  channel.refuse('an invitation by a plain member', 'membership', bob, 'invite', {
    ...open,
    key: second.user,
  });
  channel.refuse('relays changed by a plain member', 'membership', bob, 'relays', {
    relays: [relayOf(2)],
  });
  channel.refuse('no relay at all', 'membership', alice, 'relays', { relays: [] });
  channel.refuse(
    'a join of who is a member',
    'membership',
    alice,
    'join',
    channel.joinFields(bob, first),
  );
  const thirdIn = channel.take(bob, 'join', channel.joinFields(carol, first), (root) => ({
    members: members((m) => [...m, memberOf(carol, true, 4, root, first)]),
    invites: [],
  }));

  channel.refuse(
    'a join by an invitation that is used up',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, first),
  );
  const limited = channel.take(
    alice,
    'invite',
    { key: second.user, uses: 5, expires: TIME - 1, invitee: ANYONE, isArchive: false },
    () => ({
      invites: [inviteState(second, 5, { expires: TIME - 1 })],
    }),
  );

  channel.refuse(
    'a join by an invitation that has expired',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, second),
  );
  channel.refuse('an invitation with a key in use', 'membership', alice, 'invite', {
    ...open,
    key: second.user,
  });
  channel.refuse(
    "another member's invitation revoked by a plain member",
    'membership',
    bob,
    'revoke',
    {
      key: second.user,
    },
  );
  const revoked = channel.take(alice, 'revoke', { key: second.user }, () => ({ invites: [] }));
  const relays = channel.take(alice, 'relays', { relays: [relayOf(2), RELAY] }, () => ({
    relays: [relayOf(2), RELAY],
  }));
  channel.refused.unshift(replayed);
  return [
    { ...invited, what: 'the founder invites' },
    {
      ...joined,
      what: 'the second member joins, without a vote; two entries follow before the certified one',
    },
    { ...voting, what: 'the second member gets its vote' },
    { ...thirdIn, what: 'the third member joins, admitted by a plain member' },
    { ...limited, what: 'an invitation that expires' },
    { ...revoked, what: 'it is revoked' },
    { ...relays, what: 'the relays change' },
  ];
}
