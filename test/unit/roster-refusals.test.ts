/** Every reason for which a change of membership is refused (docs/PROTOCOL.md, section "Roster"). */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  INVITE_USES_MAX,
  MEMBERS_PER_CHANNEL_MAX,
  OPEN_INVITES_MAX,
} from '../../src/core/limits.js';
import type { ChannelRecord } from '../../src/core/record.js';
import {
  applyMembership,
  type GivenRole,
  type Member,
  type Roster,
} from '../../src/core/roster.js';
import {
  apply,
  type CHANNEL,
  digestOf,
  FOUNDER,
  founded,
  grown,
  hash,
  inviteBody,
  joinBody,
  membershipBy,
  NOW,
  type Person,
  person,
  recordBy,
  relayOf,
} from './fixtures/channel.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { REFUSED_REPLACEMENTS } from './fixtures/replacements.js';

const SECOND = person(2);
const THIRD = person(3);
const FOURTH = person(4);
const INVITE = person(100);
const OTHER_INVITE = person(101);

const base = (roster: Roster) => ({ base: roster.number });
const memberOf = (roster: Roster, p: Person) => roster.members.get(p.user);
const invited = (roster: Roster, change: Parameters<typeof inviteBody>[2] = {}): Roster =>
  apply(roster, FOUNDER, inviteBody(roster, INVITE, change));

/** Roster 1: the founder and one open invitation. */
const OPEN = invited(founded());
const TWO = apply(OPEN, FOUNDER, joinBody(OPEN, SECOND, INVITE));
const FOR_ARCHIVE = invited(founded(), { isArchive: true, uses: 2 });
const WITH_ARCHIVE = apply(
  FOR_ARCHIVE,
  FOUNDER,
  joinBody(FOR_ARCHIVE, SECOND, INVITE, { sealing: null }),
);
const TWO_OPEN = invited(TWO);
const THREE_OPEN = invited(grown(3));

const leave = (roster: Roster) => ({ kind: 'leave', ...base(roster) }) as const;
const remove = (roster: Roster, { user }: Person) =>
  ({ kind: 'remove', ...base(roster), user }) as const;
const role = (roster: Roster, { user }: Person, given: GivenRole) =>
  ({ kind: 'role', ...base(roster), user, role: given }) as const;

/** The second and the third member are admins, the fourth is none; one invitation is open. */
const ADMINS = [SECOND, THIRD].reduce(
  (roster, p) => apply(roster, FOUNDER, role(roster, p, 'admin')),
  invited(grown(4)),
);
/** The founder left; the second is the only admin. */
const HEADLESS = (() => {
  const one = apply(ADMINS, THIRD, role(ADMINS, THIRD, 'member'));
  return apply(one, FOUNDER, leave(one));
})();
const REMOVED = apply(THREE_OPEN, FOUNDER, remove(THREE_OPEN, SECOND));

function full(): Roster {
  const members = new Map<Person['user'], Member>();
  for (let n = 1; n <= MEMBERS_PER_CHANNEL_MAX; n++) {
    const member = { ...memberOf(founded(), FOUNDER)!, user: person(n).user };
    members.set(member.user, n === 1 ? member : { ...member, role: 'member' });
  }
  return { ...THREE_OPEN, members };
}

function manyInvites(): Roster {
  const invites = new Map(OPEN.invites);
  for (let n = 1; n < OPEN_INVITES_MAX; n++) {
    invites.set(person(200 + n).user, {
      ...OPEN.invites.get(INVITE.user)!,
      key: person(200 + n).user,
    });
  }
  return { ...OPEN, invites };
}

/** One way at least to be refused for each reason. */
type Refusal = readonly [string, Roster, () => ChannelRecord, RegExp];

const REFUSALS: readonly Refusal[] = [
  ['a message', OPEN, () => recordBy(FOUNDER), /kind message changes no membership/],
  [
    "a leader's own record",
    OPEN,
    () => recordBy(FOUNDER, { kind: 'epoch' }),
    /changes no membership/,
  ],
  [
    'an author who is no member',
    OPEN,
    () => membershipBy(OPEN, FOURTH, inviteBody(OPEN, OTHER_INVITE)),
    /not a member/,
  ],
  [
    'a join that the joiner wraps itself',
    OPEN,
    () => membershipBy(OPEN, SECOND, joinBody(OPEN, SECOND, INVITE)),
    /not a member/,
  ],
  [
    'a prev that was followed already',
    OPEN,
    () => membershipBy(founded(), FOUNDER, inviteBody(OPEN, OTHER_INVITE)),
    /prev is not/,
  ],
  [
    'a prev of another author',
    TWO,
    () => membershipBy(TWO, FOUNDER, inviteBody(TWO, OTHER_INVITE), { prev: digestOf('other') }),
    /prev is not/,
  ],
  [
    'a base that was changed already',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, { ...inviteBody(OPEN, OTHER_INVITE), base: 0 }),
    /changes roster 0, the roster in force is 1/,
  ],
  [
    'a base that is not in force yet',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, { ...inviteBody(OPEN, OTHER_INVITE), base: 2 }),
    /changes roster 2, the roster in force is 1/,
  ],
  [
    'an invitation by a plain member',
    TWO,
    () => membershipBy(TWO, SECOND, inviteBody(TWO, OTHER_INVITE)),
    /only the founder or an admin invites/,
  ],
  [
    'a second invitation with one key',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, inviteBody(OPEN, INVITE)),
    /key is in use/,
  ],
  [
    "an invitation with a member's key",
    OPEN,
    () => membershipBy(OPEN, FOUNDER, inviteBody(OPEN, FOUNDER)),
    /key is in use/,
  ],
  [
    "an invitation with a former member's key",
    REMOVED,
    () => membershipBy(REMOVED, FOUNDER, inviteBody(REMOVED, SECOND)),
    /key is in use/,
  ],
  [
    'an invitation for nobody',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, inviteBody(OPEN, OTHER_INVITE, { uses: 0 })),
    /uses must be 1 to/,
  ],
  [
    'an invitation for more than INVITE_USES_MAX',
    OPEN,
    () =>
      membershipBy(OPEN, FOUNDER, inviteBody(OPEN, OTHER_INVITE, { uses: INVITE_USES_MAX + 1 })),
    /uses must be 1 to/,
  ],
  [
    'more than OPEN_INVITES_MAX invitations',
    manyInvites(),
    () => membershipBy(OPEN, FOUNDER, inviteBody(OPEN, OTHER_INVITE)),
    /invitations are open already/,
  ],
  [
    'a revocation of what is not open',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, { kind: 'revoke', base: 1, key: OTHER_INVITE.user }),
    /no such open invitation/,
  ],
  [
    'a revocation by a plain member',
    THREE_OPEN,
    () =>
      membershipBy(THREE_OPEN, SECOND, { kind: 'revoke', ...base(THREE_OPEN), key: INVITE.user }),
    /only the founder or an admin revokes/,
  ],
  [
    'an invitation for one user with two uses',
    OPEN,
    () =>
      membershipBy(
        OPEN,
        FOUNDER,
        inviteBody(OPEN, OTHER_INVITE, { uses: 2, invitee: SECOND.user }),
      ),
    /for one user .*has one use/,
  ],
  [
    'an invitation for one who is a member',
    TWO,
    () => membershipBy(TWO, FOUNDER, inviteBody(TWO, OTHER_INVITE, { invitee: SECOND.user })),
    /for one user is for one who is no member/,
  ],
  [
    'an invitation that is for another user',
    invited(founded(), { invitee: THIRD.user }),
    () => {
      const open = invited(founded(), { invitee: THIRD.user });
      return membershipBy(open, FOUNDER, joinBody(open, SECOND, INVITE));
    },
    /invitation is for another user/,
  ],
  [
    'one who reads with an invitation for an archive',
    FOR_ARCHIVE,
    () => membershipBy(FOR_ARCHIVE, FOUNDER, joinBody(FOR_ARCHIVE, SECOND, INVITE)),
    /invitation is for an archive/,
  ],
  [
    'an archive with an invitation for one who reads',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, joinBody(OPEN, SECOND, INVITE, { sealing: null })),
    /invitation is for one who reads/,
  ],
  [
    'an archive that is to manage',
    WITH_ARCHIVE,
    () => membershipBy(WITH_ARCHIVE, FOUNDER, role(WITH_ARCHIVE, SECOND, 'admin')),
    /an archive manages nothing/,
  ],
  ...(['invite', 'revoke', 'remove', 'relays'] as const).map((kind): Refusal => {
    const bodies = {
      invite: inviteBody(WITH_ARCHIVE, OTHER_INVITE),
      revoke: { kind: 'revoke', ...base(WITH_ARCHIVE), key: INVITE.user },
      remove: remove(WITH_ARCHIVE, FOUNDER),
      relays: { kind: 'relays', ...base(WITH_ARCHIVE), relays: [] },
    } as const;
    return [
      `${kind} by an archive`,
      WITH_ARCHIVE,
      () => membershipBy(WITH_ARCHIVE, SECOND, bodies[kind]),
      /only the founder or an admin/,
    ];
  }),
  [
    'a founder who leaves archives alone',
    WITH_ARCHIVE,
    () => membershipBy(WITH_ARCHIVE, FOUNDER, leave(WITH_ARCHIVE)),
    /nobody would be left who manages/,
  ],
  [
    'a removed user with an invitation for anyone',
    REMOVED,
    () => membershipBy(REMOVED, FOUNDER, joinBody(REMOVED, SECOND, INVITE)),
    /was removed: only an invitation that names it/,
  ],
  [
    'what a removed user signs',
    REMOVED,
    () => membershipBy(REMOVED, SECOND, leave(REMOVED)),
    /not a member/,
  ],
  [
    'a removal by a plain member',
    THREE_OPEN,
    () => membershipBy(THREE_OPEN, SECOND, remove(THREE_OPEN, THIRD)),
    /only the founder or an admin removes/,
  ],
  [
    'a removal of an admin by another',
    ADMINS,
    () => membershipBy(ADMINS, SECOND, remove(ADMINS, THIRD)),
    /only the founder removes an admin/,
  ],
  [
    'a removal of the founder by an admin',
    ADMINS,
    () => membershipBy(ADMINS, SECOND, remove(ADMINS, FOUNDER)),
    /nobody the founder/,
  ],
  [
    'a removal of oneself',
    THREE_OPEN,
    () => membershipBy(THREE_OPEN, FOUNDER, remove(THREE_OPEN, FOUNDER)),
    /nobody removes itself/,
  ],
  [
    'a removal of one who never was a member',
    THREE_OPEN,
    () => membershipBy(THREE_OPEN, FOUNDER, remove(THREE_OPEN, FOURTH)),
    /no such member/,
  ],
  [
    'a removal of one who was removed',
    REMOVED,
    () => membershipBy(REMOVED, FOUNDER, remove(REMOVED, SECOND)),
    /removed already/,
  ],
  [
    'the last member who leaves',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, leave(OPEN)),
    /last member/,
  ],
  [
    'the only one with a vote who leaves',
    apply(TWO, FOUNDER, role(TWO, SECOND, 'admin')),
    () => {
      const two = apply(TWO, FOUNDER, role(TWO, SECOND, 'admin'));
      return membershipBy(two, FOUNDER, leave(two));
    },
    /nobody would be left who votes/,
  ],
  [
    'the only one who manages, who leaves',
    THREE_OPEN,
    () => membershipBy(THREE_OPEN, FOUNDER, leave(THREE_OPEN)),
    /nobody would be left who manages/,
  ],
  [
    'the last admin without a founder, who leaves',
    HEADLESS,
    () => membershipBy(HEADLESS, SECOND, leave(HEADLESS)),
    /nobody would be left who manages/,
  ],
  [
    'the last admin without a founder, who steps down',
    HEADLESS,
    () => membershipBy(HEADLESS, SECOND, role(HEADLESS, SECOND, 'member')),
    /nobody would be left who manages/,
  ],
  [
    'a role given by an admin, while there is a founder',
    ADMINS,
    () => membershipBy(ADMINS, SECOND, role(ADMINS, FOURTH, 'admin')),
    /only the founder gives and takes roles/,
  ],
  [
    'a role taken from an admin by another',
    ADMINS,
    () => membershipBy(ADMINS, SECOND, role(ADMINS, THIRD, 'member')),
    /only the founder gives and takes roles/,
  ],
  [
    'a role that a plain member gives itself',
    THREE_OPEN,
    () => membershipBy(THREE_OPEN, SECOND, role(THREE_OPEN, SECOND, 'admin')),
    /only the founder gives and takes roles/,
  ],
  [
    'a role taken from the founder',
    ADMINS,
    () => membershipBy(ADMINS, SECOND, role(ADMINS, FOUNDER, 'member')),
    /only the founder gives and takes roles/,
  ],
  [
    'a founder who steps down',
    ADMINS,
    () => membershipBy(ADMINS, FOUNDER, role(ADMINS, FOUNDER, 'member')),
    /the founder stays founder/,
  ],
  [
    'a role for who is no member',
    ADMINS,
    () => membershipBy(ADMINS, FOUNDER, role(ADMINS, person(99), 'admin')),
    /no such member/,
  ],
  [
    'a role that one has',
    ADMINS,
    () => membershipBy(ADMINS, FOUNDER, role(ADMINS, SECOND, 'admin')),
    /has that role already/,
  ],
  [
    'a request for another channel',
    OPEN,
    () =>
      membershipBy(
        OPEN,
        FOUNDER,
        joinBody(OPEN, SECOND, INVITE, { channel: digestOf('other') as string as typeof CHANNEL }),
      ),
    /for another channel/,
  ],
  [
    'a request of a member',
    TWO_OPEN,
    () => membershipBy(TWO_OPEN, FOUNDER, joinBody(TWO_OPEN, SECOND, INVITE)),
    /member already/,
  ],
  [
    'more than MEMBERS_PER_CHANNEL_MAX members',
    full(),
    () => membershipBy(THREE_OPEN, FOUNDER, joinBody(THREE_OPEN, person(999), INVITE)),
    /members, its limit/,
  ],
  [
    'an invitation that never was',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, joinBody(OPEN, SECOND, OTHER_INVITE)),
    /invitation is not open/,
  ],
  [
    'an invitation that is used up',
    TWO,
    () => membershipBy(TWO, FOUNDER, joinBody(TWO, THIRD, INVITE)),
    /invitation is not open/,
  ],
  [
    'an invitation that was revoked',
    apply(OPEN, FOUNDER, { kind: 'revoke', base: 1, key: INVITE.user }),
    () => {
      const revoked = apply(OPEN, FOUNDER, { kind: 'revoke', base: 1, key: INVITE.user });
      return membershipBy(revoked, FOUNDER, joinBody(revoked, SECOND, INVITE));
    },
    /invitation is not open/,
  ],
  [
    'an invitation that has expired',
    invited(founded(), { expires: NOW - 1 }),
    () => {
      const expired = invited(founded(), { expires: NOW - 1 });
      return membershipBy(expired, FOUNDER, joinBody(expired, SECOND, INVITE));
    },
    /has expired/,
  ],
  [
    'a request under an older roster number',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, joinBody(OPEN, SECOND, INVITE, { roster: 0 })),
    /under another roster/,
  ],
  [
    'a request under another roster of this number',
    OPEN,
    () =>
      membershipBy(
        OPEN,
        FOUNDER,
        joinBody(OPEN, SECOND, INVITE, { rosterHash: digestOf('other') }),
      ),
    /under another roster/,
  ],
  [
    'a third member while the second has no vote',
    TWO_OPEN,
    () => membershipBy(TWO_OPEN, FOUNDER, joinBody(TWO_OPEN, THIRD, INVITE)),
    /one member alone votes/,
  ],
  [
    'a vote that the second member gives itself',
    TWO,
    () => membershipBy(TWO, SECOND, { kind: 'vote', ...base(TWO), user: SECOND.user }),
    /only who manages or votes gives a vote/,
  ],
  [
    'a vote for who has one',
    TWO,
    () => membershipBy(TWO, FOUNDER, { kind: 'vote', ...base(TWO), user: FOUNDER.user }),
    /no such member without a vote/,
  ],
  [
    'a vote for who is no member',
    TWO,
    () => membershipBy(TWO, FOUNDER, { kind: 'vote', ...base(TWO), user: THIRD.user }),
    /no such member without a vote/,
  ],
  [
    'relays changed by a plain member',
    TWO,
    () => membershipBy(TWO, SECOND, { kind: 'relays', ...base(TWO), relays: [relayOf(2)] }),
    /only the founder or an admin changes the relays/,
  ],
  [
    'a channel without relays',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, { kind: 'relays', base: 1, relays: [] }),
    /1 to 8 relays/,
  ],
  [
    'a relay without its key',
    OPEN,
    () =>
      membershipBy(OPEN, FOUNDER, { kind: 'relays', base: 1, relays: ['conclave://relay:4400'] }),
    /names no relay key/,
  ],
  [
    'a relay twice',
    OPEN,
    () =>
      membershipBy(OPEN, FOUNDER, {
        kind: 'relays',
        base: 1,
        relays: [relayOf(1), relayOf(1, 200)],
      }),
    /named twice/,
  ],
  [
    'what is no address',
    OPEN,
    () => membershipBy(OPEN, FOUNDER, { kind: 'relays', base: 1, relays: ['relay'] }),
    /is not a relay address/,
  ],
];

const ALL_REFUSALS = [...REFUSALS, ...REFUSED_REPLACEMENTS];

describe('a change is refused:', () => {
  it.each(ALL_REFUSALS)('%s', (_, roster, record, reason) => {
    const before = structuredClone(roster);
    const error = errorOf(() => applyMembership(hash, roster, record()));
    expect(error).toMatchObject({ code: 'bad_membership', message: expect.stringMatching(reason) });
    expect(roster).toStrictEqual(before);
  });

  it('and each reason that roster.ts gives is among these', () => {
    const source = readFileSync(new URL('../../src/core/roster.ts', import.meta.url), 'utf8');
    const given = [...source.matchAll(/\brefuse\(\s*(['"`])(.*?)\1/g)].map((m) => m[2]!);
    expect(given.length).toBeGreaterThan(15);
    const seen = ALL_REFUSALS.map(
      ([, roster, record]) => errorOf(() => applyMembership(hash, roster, record()))!.message,
    );
    const untested = given.filter((reason) => {
      const literal = reason
        .split(/\$\{[^}]*\}/)
        .map((part) => part.replace(/[.*+?^$()|[\]\\]/g, '\\$&'));
      const pattern = new RegExp(`^${literal.join('.*')}$`);
      return !seen.some((message) => pattern.test(message));
    });
    expect(untested).toStrictEqual([]);
  });

  it('a body that is none of its kind', () => {
    const record = membershipBy(OPEN, FOUNDER, inviteBody(OPEN, OTHER_INVITE), { kind: 'vote' });
    expect(codeOf(() => applyMembership(hash, OPEN, record))).toBe('bad_encoding');
  });

  it('a role that there is not', () => {
    const record = membershipBy(ADMINS, FOUNDER, role(ADMINS, FOURTH, 'admin'));
    const body = new Uint8Array(record.body).fill(2, -1);
    const other = membershipBy(ADMINS, FOUNDER, role(ADMINS, FOURTH, 'admin'), { body });
    expect(codeOf(() => applyMembership(hash, ADMINS, record))).toBeUndefined();
    expect(codeOf(() => applyMembership(hash, ADMINS, other))).toBe('bad_encoding');
  });

  it('a join around another statement', () => {
    const body = { ...joinBody(OPEN, SECOND, INVITE), request: new Uint8Array(5) };
    const record = membershipBy(OPEN, FOUNDER, body);
    expect(codeOf(() => applyMembership(hash, OPEN, record))).toBe('bad_encoding');
  });
});
