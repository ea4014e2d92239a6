/** The last roster steps of test/vectors/certificates.json: recovery keys, and keys that take the place of others. */

import { alice, bob, carol, erin, frank } from './common.js';
import { type Actor, actor } from './encoding.js';
import {
  ANYONE,
  type GrowingChannel,
  inviteState,
  type MemberState,
  memberOf,
  NOBODYS,
} from './growing-channel.js';

export function replacements(channel: GrowingChannel) {
  const [sixth, recovery, other, anew] = ['invitation 6', 'recovery', 'recovery 2', 'erin'].map(
    (name, i) => actor(name, 210 + i),
  ) as [Actor, Actor, Actor, Actor];
  const next = () => channel.state.number + 1;
  const changed = (of: Actor, change: Partial<MemberState>) =>
    channel.state.members.map((m) => (m.user === of.user ? { ...m, ...change } : m));
  const inThePlaceOf = (old: Actor, by: Actor, root: string, change: Partial<MemberState>) => ({
    members: [
      ...channel.state.members.filter((m) => m.user !== old.user),
      { ...memberOf(by, false, next(), root, null), ...change },
    ],
    departed: [
      ...channel.state.departed,
      {
        ...{ user: old.user, since: next(), isRemoved: true, replacedBy: by.user },
        cameBy: channel.state.members.find((m) => m.user === old.user)?.cameBy ?? [],
      },
    ],
    invites: [],
  });
  const refuse = (what: string, author: Actor, kind: 'replace' | 'recovery', fields: object) =>
    channel.refuse(what, 'membership', author, kind, { ...fields });

  const open = channel.take(
    bob,
    'invite',
    { key: sixth.user, uses: 1, expires: 0, invitee: ANYONE, isArchive: false },
    () => ({ invites: [inviteState(sixth, 1, { author: bob.user })] }),
  );
  const second = channel.take(bob, 'join', channel.joinFields(erin, sixth), (root) => ({
    members: [...channel.state.members, memberOf(erin, false, next(), root, sixth)],
    invites: [],
  }));

  const early = channel.recoveryFields(bob, recovery, null, { roster: channel.state.number - 1 });
  refuse('a recovery key under an older roster', bob, 'recovery', early);
  refuse(
    'a recovery key of another',
    erin,
    'recovery',
    channel.recoveryFields(bob, recovery, null),
  );
  refuse('the own key for recovery', bob, 'recovery', channel.recoveryFields(bob, bob, null));
  const first = channel.take(bob, 'recovery', channel.recoveryFields(bob, recovery, null), () => ({
    members: changed(bob, { recovery: recovery.user }),
  }));

  const unsigned = channel.recoveryFields(bob, other, null);
  refuse('another recovery key without the one before', bob, 'recovery', unsigned);
  const alone = channel.replaceFields(bob, frank, recovery);
  refuse('a replacement of the only one who votes', erin, 'replace', alone);
  channel.refuse('a vote that who has none gives itself', 'membership', erin, 'vote', {
    user: erin.user,
  });
  const both = channel.take(bob, 'vote', { user: erin.user }, () => ({
    members: changed(erin, { votes: true }),
  }));
  const asAdmin = channel.replaceFields(bob, frank, null);
  refuse('a key that replaces itself without its recovery key', bob, 'replace', asAdmin);
  refuse('a replacement by a plain member', erin, 'replace', asAdmin);
  const foreign = channel.replaceFields(bob, frank, other);
  refuse('a replacement by the recovery key of nobody', erin, 'replace', foreign);
  const former = channel.replaceFields(bob, carol, recovery);
  refuse('a replacement by a key that was removed', erin, 'replace', former);
  const gone = channel.replaceFields(alice, frank, null);
  refuse('a replacement of one who left', bob, 'replace', gone);
  const elsewhere = channel.replaceFields(bob, frank, recovery, { channel: '77'.repeat(32) });
  const unread = channel.replaceFields(bob, frank, recovery, { sealing: null });
  refuse('a replacement of one who reads by an archive', erin, 'replace', unread);
  refuse('a replacement in another channel', erin, 'replace', elsewhere);
  const bySig = channel.replaceFields(bob, frank, other).bySig;
  const right = channel.replaceFields(bob, frank, recovery, { recovery: other.user });
  for (const [what, change] of [
    ['a replacement that another than the recovery key signs', { bySig }],
    ['a replacement that the new key does not sign', { userSig: right.bySig }],
  ] as const) {
    channel.refuse(what, 'signature', erin, 'replace', { ...right, ...change });
  }
  const moved = channel.take(erin, 'replace', right, (root) =>
    inThePlaceOf(bob, frank, root, { role: 'admin', recovery: other.user }),
  );

  refuse('the same replacement again', erin, 'replace', right);
  channel.refuse('what a replaced key signs', 'membership', bob, 'leave', {});
  channel.refuse('an invitation for a replaced key', 'membership', frank, 'invite', {
    ...{ key: sixth.user, uses: 1, expires: 0, invitee: bob.user, isArchive: false },
  });
  const changedKey = channel.recoveryFields(frank, recovery, other);
  channel.refuse(
    'a recovery key that the one before does not sign',
    'signature',
    frank,
    'recovery',
    {
      ...changedKey,
      bySig: channel.recoveryFields(frank, recovery, recovery).bySig,
    },
  );
  const another = channel.take(frank, 'recovery', changedKey, () => ({
    members: changed(frank, { recovery: recovery.user }),
  }));

  const voting = channel.take(erin, 'vote', { user: frank.user }, () => ({
    members: changed(frank, { votes: true }),
  }));

  const byAdmin = channel.replaceFields(erin, anew, null);
  channel.refuse('bytes where nobody signs', 'encoding', frank, 'replace', {
    ...byAdmin,
    bySig: `${NOBODYS.slice(0, -2)}01`,
  });
  const last = channel.take(frank, 'replace', byAdmin, (root) =>
    inThePlaceOf(erin, anew, root, {}),
  );

  return [
    { ...open, what: 'the admin invites anyone' },
    { ...second, what: 'a second member joins, without a vote' },
    { ...first, what: 'the admin registers a recovery key' },
    { ...both, what: 'the second member gets its vote' },
    {
      ...moved,
      what: 'the recovery key puts another key in the place of the admin, without a vote',
    },
    { ...another, what: 'that one has another recovery key' },
    { ...voting, what: 'the member who votes gives it its vote' },
    { ...last, what: 'the admin puts a new key in the place of the second member' },
  ];
}
