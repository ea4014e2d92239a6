/** Roster steps of test/vectors/certificates.json: roles, removals, and members who leave. */

import { alice, bob, carol, dave, erin, sealingOf } from './common.js';
import { type Actor, actor, membershipBody } from './encoding.js';
import {
  ANYONE,
  type DepartedState,
  type GrowingChannel,
  inviteState,
  type MemberState,
  memberOf,
} from './growing-channel.js';

export function departures(channel: GrowingChannel) {
  const [third, fourth, fifth] = [3, 4, 5].map((n) => actor(`invitation ${n}`, 200 + n)) as [
    Actor,
    Actor,
    Actor,
  ];
  const open = { uses: 2, expires: 0, invitee: ANYONE, isArchive: false };
  const members = (change: (m: readonly MemberState[]) => readonly MemberState[]) =>
    change(channel.state.members);
  const asRole = (user: Actor, role: string) =>
    members((m) => m.map((x) => (x.user === user.user ? { ...x, role } : x)));
  const without = (user: Actor) => members((m) => m.filter((x) => x.user !== user.user));
  const gone = (user: Actor, isRemoved: boolean): DepartedState => ({
    user: user.user,
    since: channel.state.number + 1,
    isRemoved,
    replacedBy: null,
    cameBy: channel.state.members.find((m) => m.user === user.user)?.cameBy ?? [],
  });

  channel.refuse('a role that a plain member gives', 'membership', bob, 'role', {
    user: bob.user,
    role: 'admin',
  });
  const promoted = { user: bob.user, role: 'admin' };
  const body = membershipBody('role', { base: channel.state.number, ...promoted });
  channel.refuse('a role that there is not', 'encoding', alice, 'role', promoted, {
    change: { body: `${body.slice(0, -2)}02` },
  });
  channel.refuse('a founder who leaves nobody who manages', 'membership', alice, 'leave', {});
  channel.refuse('a removal by a plain member', 'membership', bob, 'remove', { user: carol.user });
  const admin = channel.take(alice, 'role', promoted, () => ({
    members: asRole(bob, 'admin'),
  }));

  const forDave = { key: third.user, uses: 1, expires: 0, invitee: dave.user, isArchive: true };
  channel.refuse('a role that one has', 'membership', alice, 'role', promoted);
  channel.refuse('a role that an admin gives while there is a founder', 'membership', bob, 'role', {
    user: carol.user,
    role: 'admin',
  });
  channel.refuse('a founder who steps down', 'membership', alice, 'role', {
    user: alice.user,
    role: 'member',
  });
  channel.refuse('a removal of the founder by an admin', 'membership', bob, 'remove', {
    user: alice.user,
  });
  channel.refuse('an invitation for one user with two uses', 'membership', bob, 'invite', {
    ...forDave,
    uses: 2,
  });
  channel.refuse('an invitation for one who is a member', 'membership', bob, 'invite', {
    ...forDave,
    invitee: carol.user,
  });
  const named = channel.take(bob, 'invite', forDave, () => ({
    invites: [inviteState(third, 1, { author: bob.user, invitee: dave.user, isArchive: true })],
  }));

  channel.refuse(
    'a join by an invitation for another user',
    'membership',
    alice,
    'join',
    channel.joinFields(erin, third),
  );
  channel.refuse(
    'one who reads with an invitation for an archive',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, third, { sealing: sealingOf(erin) }),
  );
  const fourthIn = channel.take(carol, 'join', channel.joinFields(dave, third), (root) => ({
    members: members((m) => [...m, memberOf(dave, true, channel.state.number + 1, root, third)]),
    invites: [],
  }));

  channel.refuse('an archive that is to manage', 'membership', alice, 'role', {
    user: dave.user,
    role: 'admin',
  });
  channel.refuse('a replacement of an archive by one who reads', 'membership', alice, 'replace', {
    ...channel.replaceFields(dave, erin, null),
  });
  channel.refuse('a removal of oneself', 'membership', alice, 'remove', { user: alice.user });
  channel.refuse('a removal of who never was a member', 'membership', alice, 'remove', {
    user: erin.user,
  });
  const removed = channel.take(bob, 'remove', { user: dave.user }, () => ({
    members: without(dave),
    departed: [gone(dave, true)],
  }));

  channel.refuse('what a removed user signs', 'membership', dave, 'leave', {});
  channel.refuse('a removal of who was removed', 'membership', alice, 'remove', {
    user: dave.user,
  });
  const anyone = channel.take(alice, 'invite', { ...open, key: fourth.user }, () => ({
    invites: [inviteState(fourth, 2)],
  }));

  channel.refuse(
    'a removed user with an invitation for anyone',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, fourth, { sealing: sealingOf(erin) }),
  );
  const back = channel.take(bob, 'invite', { ...forDave, key: fifth.user }, () => ({
    invites: [
      ...channel.state.invites,
      inviteState(fifth, 1, { author: bob.user, invitee: dave.user, isArchive: true }),
    ],
  }));
  const demoted = channel.take(bob, 'role', { user: bob.user, role: 'member' }, () => ({
    members: asRole(bob, 'member'),
    invites: [inviteState(fourth, 2)],
  }));

  channel.refuse(
    'a join by an invitation whose author lost its role',
    'membership',
    alice,
    'join',
    channel.joinFields(dave, fifth),
  );
  const left = channel.take(carol, 'leave', {}, () => ({
    members: without(carol),
    departed: [...channel.state.departed, gone(carol, false)],
  }));
  const banned = channel.take(alice, 'remove', { user: carol.user }, () => ({
    departed: channel.state.departed.map((d) => ({ ...d, isRemoved: true })),
  }));

  channel.refuse(
    'one who left and was removed then, with an invitation for anyone',
    'membership',
    alice,
    'join',
    channel.joinFields(carol, fourth),
  );
  const again = channel.take(alice, 'role', promoted, () => ({
    members: asRole(bob, 'admin'),
  }));
  const headless = channel.take(alice, 'leave', {}, () => ({
    members: without(alice),
    invites: [],
    departed: [...channel.state.departed, gone(alice, false)],
  }));

  channel.refuse('the last member who leaves', 'membership', bob, 'leave', {});
  channel.refuse('the last who manages, who steps down', 'membership', bob, 'role', {
    user: bob.user,
    role: 'member',
  });

  return [
    { ...admin, what: 'the second member becomes an admin' },
    { ...named, what: 'the admin invites one user' },
    { ...fourthIn, what: 'that user joins' },
    { ...removed, what: 'the admin removes it' },
    { ...anyone, what: 'the founder invites anyone' },
    { ...back, what: 'the admin invites the removed user' },
    { ...demoted, what: 'the admin steps down, and its invitation ends' },
    { ...left, what: 'the third member leaves' },
    { ...banned, what: 'the founder removes it all the same' },
    { ...again, what: 'the second member becomes an admin again' },
    { ...headless, what: 'the founder leaves, and its invitation ends' },
  ];
}
