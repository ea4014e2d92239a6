/** Who is a member and how that changes (docs/PROTOCOL.md, section "Roster"); what is refused is in roster-refusals.test.ts. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelIdOf, encodeGenesis } from '../../src/core/genesis.js';
import type { UserId } from '../../src/core/ids.js';
import {
  INVITE_USES_MAX,
  OPEN_INVITES_MAX,
  RELAY_URL_BYTES_MAX,
  RELAYS_PER_CHANNEL_MAX,
} from '../../src/core/limits.js';
import {
  applyMembership,
  checkJoinRequest,
  decodeMembership,
  encodeMembership,
  type GivenRole,
  genesisRoster,
  isArchive,
  isLeaderKind,
  isMembership,
  joinSignatures,
  MEMBERSHIP_KINDS,
  type Member,
  type MembershipBody,
  membershipPrev,
  nameIn,
  type Role,
  type Roster,
  readers,
  rosterStart,
  voters,
} from '../../src/core/roster.js';
import * as any from './fixtures/arbitraries.js';
import {
  admit,
  apply,
  CHANNEL,
  FOUNDER,
  founded,
  genesis,
  grown,
  hash,
  inviteBody,
  joinBody,
  membershipBy,
  NOW,
  type Person,
  person,
  relayOf,
  sealingOf,
  verifies,
} from './fixtures/channel.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';
import { RECOVERY, recoveryBody, replaceBody } from './fixtures/replacements.js';

const SECOND = person(2);
const THIRD = person(3);
const FOURTH = person(4);
const INVITE = person(100);
const OTHER_INVITE = person(101);

const base = (roster: Roster) => ({ base: roster.number });
const memberOf = (roster: Roster, p: Person) => roster.members.get(p.user);
const invited = (roster: Roster, change: Parameters<typeof inviteBody>[2] = {}): Roster =>
  apply(roster, FOUNDER, inviteBody(roster, INVITE, change));
const leaveBody = (roster: Roster): MembershipBody => ({ kind: 'leave', ...base(roster) });
const removeBody = (roster: Roster, p: Person): MembershipBody => ({
  kind: 'remove',
  ...base(roster),
  user: p.user,
});
const roleBody = (roster: Roster, p: Person, role: GivenRole): MembershipBody => ({
  kind: 'role',
  ...base(roster),
  user: p.user,
  role,
});
const withRole = (roster: Roster, p: Person, role: Role): Roster => {
  const member: Member = { ...memberOf(roster, p)!, role };
  return { ...roster, members: new Map(roster.members).set(p.user, member) };
};

/** What is kept of one of `grown(3)` that is none any more. */
const gone = (p: Person) => ({
  ...{ name: 'joiner', replacedBy: null, cameBy: memberOf(grown(3), p)!.cameBy },
});

/** Roster 1: the founder and one open invitation. */
const OPEN = invited(founded());

describe('the roster of a genesis', () => {
  it('is number 0, has the founder alone, who votes, and the relays', () => {
    expect(founded()).toStrictEqual({
      channel: CHANNEL,
      policy: { minOnline: 3, few: 'archive' },
      number: 0,
      hash: rosterStart(hash, CHANNEL),
      members: new Map([
        [
          FOUNDER.user,
          {
            user: FOUNDER.user,
            name: 'founder',
            role: 'founder',
            sealing: sealingOf(FOUNDER),
            votes: true,
            since: 0,
            root: CHANNEL,
            recovery: null,
            cameBy: [],
          },
        ],
      ]),
      invites: new Map(),
      relays: genesis.relays,
      departed: new Map(),
      readersSince: 0,
      lastMembership: new Map(),
    });
    expect(voters(founded())).toStrictEqual([FOUNDER.user]);
  });

  it('has another hash in another channel', () => {
    const other = channelIdOf(hash, encodeGenesis({ ...genesis, time: 1 }));
    expect(genesisRoster(hash, other, genesis).hash).not.toBe(founded().hash);
  });
});

describe('the readers of a roster', () => {
  const two = apply(OPEN, FOUNDER, joinBody(OPEN, SECOND, INVITE));

  it('change with a join, and with a departure', () => {
    expect(OPEN.readersSince).toBe(0);
    expect(two.readersSince).toBe(2);
    expect(readers(two).map((m) => m.user)).toStrictEqual([FOUNDER.user, SECOND.user]);
    const left = apply(two, SECOND, leaveBody(two));
    expect(left.readersSince).toBe(3);
  });

  it('are others once one of them left and came back', () => {
    const left = apply(two, SECOND, leaveBody(two));
    const open = invited(left);
    const back = apply(open, FOUNDER, joinBody(open, SECOND, INVITE));
    expect(back.readersSince).toBe(5);
  });

  it('stay the same with a vote, a role, relays, invitations, and one that holds no keys', () => {
    const voting = apply(two, FOUNDER, { kind: 'vote', ...base(two), user: SECOND.user });
    const admin = apply(voting, FOUNDER, roleBody(voting, SECOND, 'admin'));
    const open = invited(admin, { isArchive: true });
    const archive = apply(open, FOUNDER, joinBody(open, THIRD, INVITE, { sealing: null }));
    expect(archive.members.size).toBe(3);
    expect(archive.readersSince).toBe(2);
    expect(readers(archive)).toHaveLength(2);
  });
});

describe('growth from one founder', () => {
  it('goes founder, second without a vote, its vote, third with a vote', () => {
    const one = invited(founded(), { uses: 9 });
    const two = apply(one, FOUNDER, joinBody(one, SECOND, INVITE, { name: 'zweite' }));
    expect(voters(two)).toStrictEqual([FOUNDER.user]);
    expect(memberOf(two, SECOND)).toMatchObject({ name: 'zweite', role: 'member', votes: false });

    const voting = apply(two, FOUNDER, { kind: 'vote', ...base(two), user: SECOND.user });
    expect(voters(voting)).toStrictEqual([FOUNDER.user, SECOND.user].sort());
    expect(memberOf(voting, SECOND)).toStrictEqual({ ...memberOf(two, SECOND), votes: true });

    const three = apply(voting, FOUNDER, joinBody(voting, THIRD, INVITE));
    expect(voters(three)).toStrictEqual([FOUNDER.user, SECOND.user, THIRD.user].sort());
    const four = apply(three, FOUNDER, joinBody(three, FOURTH, INVITE));
    expect(memberOf(four, FOURTH)?.votes).toBe(true);
  });

  it('notes since which roster someone is a member, and its join as its root', () => {
    const one = invited(founded());
    const join = membershipBy(one, FOUNDER, joinBody(one, SECOND, INVITE));
    const two = applyMembership(hash, one, join);
    expect(memberOf(two, SECOND)).toMatchObject({ since: two.number, root: join.digest });
  });

  it('lets a plain member admit who was invited', () => {
    const three = invited(grown(3));
    const four = apply(three, SECOND, joinBody(three, FOURTH, INVITE));
    expect(memberOf(four, FOURTH)).toMatchObject({ role: 'member', votes: true });
  });
});

describe('a roster', () => {
  it('is numbered and hashed one by one, and leaves the one before it as it was', () => {
    const before = founded();
    const after = invited(before);
    expect(before).toStrictEqual(founded());
    expect(after.number).toBe(1);
    expect(after.hash).not.toBe(before.hash);
    const again = applyMembership(
      hash,
      before,
      membershipBy(before, FOUNDER, inviteBody(before, INVITE), { time: NOW + 1 }),
    );
    expect(again.hash).not.toBe(after.hash);
  });

  it('takes the next record of an author behind its last, and of others behind their root', () => {
    const record = membershipBy(founded(), FOUNDER, inviteBody(founded(), INVITE));
    const one = applyMembership(hash, founded(), record);
    expect(membershipPrev(founded(), FOUNDER.user)).toBe(CHANNEL);
    expect(membershipPrev(one, FOUNDER.user)).toBe(record.digest);
    expect(membershipPrev(one, SECOND.user)).toBeUndefined();
    const two = apply(one, FOUNDER, joinBody(one, SECOND, INVITE));
    expect(membershipPrev(two, SECOND.user)).toBe(memberOf(two, SECOND)!.root);
  });
});

describe('an invitation', () => {
  it('can be used as often as it says', () => {
    let roster = invited(admit(founded(), SECOND), { uses: 3 });
    roster = apply(roster, FOUNDER, { kind: 'vote', ...base(roster), user: SECOND.user });
    for (const [i, left] of [2, 1].entries()) {
      roster = apply(roster, FOUNDER, joinBody(roster, person(10 + i), INVITE));
      expect(roster.invites.get(INVITE.user)?.usesLeft).toBe(left);
    }
    roster = apply(roster, FOUNDER, joinBody(roster, person(12), INVITE));
    expect(roster.invites.has(INVITE.user)).toBe(false);
    expect(roster.members.size).toBe(5);
  });

  it('holds until the millisecond at which it expires, and for ever when that is 0', () => {
    const roster = invited(founded(), { expires: NOW });
    const join = (r: Roster, time: number) =>
      applyMembership(hash, r, membershipBy(r, FOUNDER, joinBody(r, SECOND, INVITE), { time }));
    expect(join(roster, NOW).members.size).toBe(2);
    expect(errorOf(() => join(roster, NOW + 1))?.message).toMatch(/expired/);
    expect(join(invited(founded()), Number.MAX_SAFE_INTEGER).members.size).toBe(2);
  });

  it('can be revoked by its author or who manages the channel, and then be made anew', () => {
    const roster = invited(withRole(grown(3), SECOND, 'admin'));
    const body: MembershipBody = { kind: 'revoke', ...base(roster), key: INVITE.user };
    for (const author of [FOUNDER, SECOND]) {
      const revoked = apply(roster, author, body);
      expect(revoked.invites.size).toBe(0);
      expect(invited(revoked).invites.get(INVITE.user)?.usesLeft).toBe(1);
    }
  });

  it('ends when its author loses the role, is removed or leaves; those of others stay', () => {
    const admin = invited(withRole(grown(3), SECOND, 'admin'));
    const open = apply(admin, SECOND, inviteBody(admin, OTHER_INVITE));
    expect(open.invites.size).toBe(2);
    const after = [
      apply(open, FOUNDER, roleBody(open, SECOND, 'member')),
      apply(open, SECOND, roleBody(open, SECOND, 'member')),
      apply(open, FOUNDER, removeBody(open, SECOND)),
      apply(open, SECOND, leaveBody(open)),
    ];
    for (const { invites } of after) expect([...invites.keys()]).toStrictEqual([INVITE.user]);
    const promoted = apply(open, FOUNDER, roleBody(open, THIRD, 'admin'));
    expect(promoted.invites.size).toBe(2);
  });

  it('for one user lets in that one alone, and ends once it is in', () => {
    const three = invited(grown(3), { invitee: FOURTH.user });
    const again = apply(three, FOUNDER, inviteBody(three, OTHER_INVITE, { invitee: FOURTH.user }));
    const four = apply(again, FOUNDER, joinBody(again, FOURTH, OTHER_INVITE));
    expect(memberOf(four, FOURTH)).toMatchObject({ role: 'member', votes: true });
    expect(four.invites.size).toBe(0);
    const other = joinBody(again, person(5), INVITE);
    expect(errorOf(() => apply(again, FOUNDER, other))?.message).toMatch(/for another user/);
  });

  it('may have the largest number of uses, and the channel the largest number of them', () => {
    let roster = founded();
    for (let n = 0; n < OPEN_INVITES_MAX; n++) {
      roster = apply(
        roster,
        FOUNDER,
        inviteBody(roster, person(200 + n), { uses: INVITE_USES_MAX }),
      );
    }
    expect(roster.invites.size).toBe(OPEN_INVITES_MAX);
  });
});

describe('a member who leaves', () => {
  const three = invited(grown(3), { uses: 5 });
  const left = apply(three, SECOND, leaveBody(three));

  it('is none any more, and no longer votes', () => {
    expect([...left.members.keys()]).toStrictEqual([FOUNDER.user, THIRD.user]);
    expect(voters(left)).toStrictEqual([FOUNDER.user, THIRD.user].sort());
    expect(left.departed).toStrictEqual(
      new Map([[SECOND.user, { ...gone(SECOND), since: left.number, isRemoved: false }]]),
    );
  });

  it('may come back with any invitation, and is new then', () => {
    const back = apply(left, THIRD, joinBody(left, SECOND, INVITE, { name: 'again' }));
    expect(memberOf(back, SECOND)).toMatchObject({ name: 'again', since: back.number });
    expect(memberOf(back, SECOND)?.root).not.toBe(memberOf(three, SECOND)?.root);
    expect(back.departed.size).toBe(0);
  });

  it('and is removed at the same time stays out: the removal holds behind the leave too', () => {
    const banned = apply(left, FOUNDER, removeBody(left, SECOND));
    expect(banned.members).toStrictEqual(left.members);
    expect(banned.departed.get(SECOND.user)).toStrictEqual({
      ...left.departed.get(SECOND.user),
      isRemoved: true,
    });
    const back = () => apply(banned, THIRD, joinBody(banned, SECOND, INVITE));
    expect(errorOf(back)?.message).toMatch(/was removed/);
  });

  it('may be the founder, where an admin stays: then admins decide over admins', () => {
    const two = apply(grown(3), FOUNDER, roleBody(grown(3), SECOND, 'admin'));
    const alone = apply(two, FOUNDER, leaveBody(two));
    expect(memberOf(alone, FOUNDER)).toBeUndefined();
    expect([FOUNDER, SECOND, FOURTH].map((p) => nameIn(alone, p.user))).toStrictEqual([
      ...['founder', 'joiner', ''],
    ]);
    const more = apply(alone, SECOND, roleBody(alone, THIRD, 'admin'));
    const removed = apply(more, THIRD, removeBody(more, SECOND));
    expect([...removed.members.values()].map((m) => m.role)).toStrictEqual(['admin']);
    const demoted = apply(more, SECOND, roleBody(more, THIRD, 'member'));
    expect(memberOf(demoted, THIRD)?.role).toBe('member');
  });

  it('may be the founder of two, after the second got its vote', () => {
    let two = apply(grown(2), FOUNDER, roleBody(grown(2), SECOND, 'admin'));
    const refused = errorOf(() => apply(two, FOUNDER, leaveBody(two)));
    expect(refused?.message).toMatch(/nobody would be left who votes/);
    two = apply(two, FOUNDER, { kind: 'vote', ...base(two), user: SECOND.user });
    expect(voters(apply(two, FOUNDER, leaveBody(two)))).toStrictEqual([SECOND.user]);
  });
});

describe('a member who is removed', () => {
  const three = invited(grown(3), { uses: 5 });
  const removed = apply(three, FOUNDER, removeBody(three, SECOND));

  it('is none any more, and no longer votes', () => {
    expect(voters(removed)).toStrictEqual([FOUNDER.user, THIRD.user].sort());
    expect(removed.departed).toStrictEqual(
      new Map([[SECOND.user, { ...gone(SECOND), since: removed.number, isRemoved: true }]]),
    );
  });

  it('comes back only with an invitation that names it, made after the removal', () => {
    const any = () => apply(removed, FOUNDER, joinBody(removed, SECOND, INVITE));
    expect(errorOf(any)?.message).toMatch(/was removed/);
    const named = apply(
      removed,
      FOUNDER,
      inviteBody(removed, OTHER_INVITE, { invitee: SECOND.user }),
    );
    const back = apply(named, FOUNDER, joinBody(named, SECOND, OTHER_INVITE));
    expect(memberOf(back, SECOND)).toMatchObject({ since: back.number, votes: true });
    expect(back.departed.size).toBe(0);
    const again = apply(back, FOUNDER, removeBody(back, SECOND));
    expect(errorOf(() => apply(again, FOUNDER, joinBody(again, SECOND, INVITE)))).toBeDefined();
  });

  it('takes with it the invitations that named it while it was gone', () => {
    const left = apply(three, SECOND, leaveBody(three));
    const named = apply(left, FOUNDER, inviteBody(left, OTHER_INVITE, { invitee: SECOND.user }));
    const banned = apply(named, FOUNDER, removeBody(named, SECOND));
    expect([...banned.invites.keys()]).toStrictEqual([INVITE.user]);
  });

  it('takes with it the invitation that it came by, also once it left; who leaves does not', () => {
    const open = apply(grown(3), FOUNDER, inviteBody(grown(3), INVITE, { uses: 5 }));
    const four = apply(open, FOUNDER, joinBody(open, FOURTH, INVITE));
    const other = apply(four, FOUNDER, inviteBody(four, OTHER_INVITE));
    const keysOf = (roster: Roster) => [...roster.invites.keys()];
    const removed = apply(other, FOUNDER, removeBody(other, FOURTH));
    expect(keysOf(removed)).toStrictEqual([OTHER_INVITE.user]);
    const left = apply(other, FOURTH, leaveBody(other));
    expect(keysOf(left)).toStrictEqual([INVITE.user, OTHER_INVITE.user]);
    expect(keysOf(apply(left, FOUNDER, removeBody(left, FOURTH)))).toStrictEqual([
      OTHER_INVITE.user,
    ]);
  });

  it('takes with it also the invitation that it came by an earlier time', () => {
    const open = apply(grown(3), FOUNDER, inviteBody(grown(3), INVITE, { uses: 5 }));
    const four = apply(open, FOUNDER, joinBody(open, FOURTH, INVITE));
    const left = apply(four, FOURTH, leaveBody(four));
    const other = apply(left, FOUNDER, inviteBody(left, OTHER_INVITE));
    const back = apply(other, FOUNDER, joinBody(other, FOURTH, OTHER_INVITE));
    expect(memberOf(back, FOURTH)?.cameBy).toStrictEqual([INVITE.user, OTHER_INVITE.user]);
    expect(apply(back, FOUNDER, removeBody(back, FOURTH)).invites.size).toBe(0);
  });

  it('may be a plain member for an admin, and anyone else for the founder', () => {
    const admin = withRole(withRole(grown(4), SECOND, 'admin'), THIRD, 'admin');
    expect(apply(admin, SECOND, removeBody(admin, FOURTH)).members.size).toBe(3);
    expect(apply(admin, FOUNDER, removeBody(admin, SECOND)).members.size).toBe(3);
  });

  it('may be the second without a vote', () => {
    const one = apply(grown(2), FOUNDER, removeBody(grown(2), SECOND));
    expect(voters(one)).toStrictEqual([FOUNDER.user]);
    const next = invited(one);
    const two = apply(next, FOUNDER, joinBody(next, THIRD, INVITE));
    expect(memberOf(two, THIRD)?.votes).toBe(false);
  });
});

describe('a role', () => {
  it('is given and taken by the founder, and laid down by who has it', () => {
    const three = grown(3);
    const admin = apply(three, FOUNDER, roleBody(three, SECOND, 'admin'));
    expect(memberOf(admin, SECOND)).toStrictEqual({ ...memberOf(three, SECOND), role: 'admin' });
    for (const author of [FOUNDER, SECOND]) {
      const plain = apply(admin, author, roleBody(admin, SECOND, 'member'));
      expect(plain.members).toStrictEqual(three.members);
    }
  });

  it('of an admin lets it invite, revoke, remove, change the relays and give a vote', () => {
    const admin = withRole(grown(2), SECOND, 'admin');
    const bodies: MembershipBody[] = [
      inviteBody(admin, INVITE),
      { kind: 'relays', ...base(admin), relays: [relayOf(2)] },
      { kind: 'vote', ...base(admin), user: SECOND.user },
    ];
    for (const body of bodies) expect(apply(admin, SECOND, body).number).toBe(admin.number + 1);
  });
});

it('changes the relays', () => {
  const relays = [relayOf(2), relayOf(1)];
  expect(apply(founded(), FOUNDER, { kind: 'relays', base: 0, relays }).relays).toStrictEqual(
    relays,
  );
});

describe('any sequence of changes', () => {
  const CAST = [1, 2, 3, 4, 5, 6, 7].map(person);
  const KEYS = [100, 101].map(person);
  // What makes a roster grow is drawn more often than what makes it shrink.
  const often = ['invite', 'join', 'vote', 'role'] as const;
  const change = fc.record({
    kind: fc.constantFrom(...MEMBERSHIP_KINDS, ...often, ...often),
    author: fc.option(fc.constantFrom(...CAST), { freq: 1 }),
    whom: fc.constantFrom(...CAST),
    key: fc.constantFrom(...KEYS),
    uses: fc.nat(3),
    isFor: fc.boolean(),
    base: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1),
  });
  type Drawn = typeof change extends fc.Arbitrary<infer T> ? T : never;

  /** Whom was drawn, or else the first who manages. */
  const authorOf = (roster: Roster, { author }: Drawn): Person =>
    author ??
    [...CAST, ...KEYS].find((p) => /founder|admin/.test(memberOf(roster, p)?.role ?? ''))!;

  function bodyOf(roster: Roster, c: Drawn): MembershipBody {
    const at = { base: roster.number + c.base };
    const user = c.whom.user;
    switch (c.kind) {
      case 'invite': {
        const one = c.isFor ? { uses: 1, invitee: user } : { uses: c.uses, invitee: null };
        const isArchive = c.key === KEYS[1];
        return { kind: 'invite', ...at, key: c.key.user, expires: 0, isArchive, ...one };
      }
      case 'revoke':
        return { kind: 'revoke', ...at, key: c.key.user };
      case 'join':
        return {
          ...joinBody(roster, c.whom, c.key, c.key === KEYS[1] ? { sealing: null } : {}),
          ...at,
        };
      case 'vote': {
        const waiting = [...roster.members.values()].find((m) => !m.votes);
        return { kind: 'vote', ...at, user: (c.uses > 1 && waiting?.user) || user };
      }
      case 'relays':
        return { kind: 'relays', ...at, relays: [relayOf(1 + c.uses)] };
      case 'leave':
        return { kind: 'leave', ...at };
      case 'remove':
        return { kind: 'remove', ...at, user };
      case 'role':
        return { kind: 'role', ...at, user, role: c.isFor ? 'admin' : 'member' };
      case 'replace': {
        const next = CAST.find((p) => !roster.members.has(p.user)) ?? c.key;
        return { ...replaceBody(roster, c.whom, c.isFor ? RECOVERY : null, { next }), ...at };
      }
      case 'recovery':
        return { ...recoveryBody(roster, authorOf(roster, c), RECOVERY), ...at };
    }
  }

  const GROWS: Readonly<Partial<Record<string, number>>> = { join: 1, leave: -1, remove: -1 };

  /** What holds of every roster, however it came about. */
  function expectSound(roster: Roster): void {
    const members = [...roster.members.values()];
    expect(voters(roster).length).toBeGreaterThan(0);
    expect(members.some((m) => m.role !== 'member')).toBe(true);
    expect(members.filter((m) => m.role === 'founder').length).toBeLessThanOrEqual(1);
    expect(members.filter(isArchive).every((m) => m.role === 'member')).toBe(true);
    for (const invite of roster.invites.values()) {
      expect(invite.usesLeft).toBeGreaterThan(0);
      expect(roster.members.get(invite.author)?.role).toMatch(/founder|admin/);
      if (invite.invitee !== null) expect(roster.members.has(invite.invitee)).toBe(false);
    }
    for (const user of roster.departed.keys()) expect(roster.members.has(user)).toBe(false);
  }

  /** What one change may do to who is in, who is out, and who votes. */
  function expectStep(before: Roster, c: Drawn, next: Roster): void {
    expect(next.number).toBe(before.number + 1);
    expect(next.hash).not.toBe(before.hash);
    const grown = next.members.size - before.members.size;
    const wasGone = c.kind === 'remove' && before.departed.has(c.whom.user);
    expect(grown).toBe(wasGone ? 0 : (GROWS[c.kind] ?? 0));
    const kept = voters(next).filter((user) => voters(before).includes(user));
    const changed = voters(next).length + voters(before).length - 2 * kept.length;
    // So majorities of neighbouring rosters have somebody in common.
    expect(changed).toBeLessThanOrEqual(1);
    if (c.kind === 'join') {
      expect(voters(next).length).toBe(before.members.size === 1 ? 1 : voters(before).length + 1);
    }
    const isOut = (user: UserId, roster: Roster) => roster.departed.get(user)?.isRemoved === true;
    for (const user of before.departed.keys()) {
      if (!isOut(user, before) || isOut(user, next)) continue;
      expect([...before.invites.values()].some((i) => i.invitee === user)).toBe(true);
    }
  }

  it('leaves who votes and who manages, changes one vote at most, and leaves a ban a ban', () => {
    const seen = { most: 0, withoutFounder: 0, removed: 0, back: 0, replaced: 0 };
    fc.assert(
      fc.property(fc.array(change, { minLength: 120, maxLength: 200 }), (changes) => {
        let roster = founded();
        for (const c of changes) {
          const before = structuredClone(roster);
          let next = roster;
          const code = codeOf(() => {
            next = apply(roster, authorOf(roster, c), bodyOf(roster, c));
          });
          expect(roster).toStrictEqual(before);
          if (code !== undefined) {
            expect(code).toBe('bad_membership');
            continue;
          }
          expectStep(roster, c, next);
          expectSound(next);
          seen.most = Math.max(seen.most, next.members.size);
          if (!next.members.has(FOUNDER.user)) seen.withoutFounder += 1;
          if (c.kind === 'remove') seen.removed += 1;
          if (c.kind === 'replace') seen.replaced += 1;
          if (c.kind === 'join' && roster.departed.has(c.whom.user)) seen.back += 1;
          roster = next;
        }
      }),
      { numRuns: 60 },
    );
    // It says something only where it saw these.
    expect(seen.most).toBeGreaterThan(3);
    expect(Math.min(seen.withoutFounder, seen.removed, seen.back, seen.replaced)).toBeGreaterThan(
      0,
    );
  });
});

describe('checkJoinRequest', () => {
  it('takes a request under an older roster: the asker is behind, and is told by pages', () => {
    const { request } = joinSignatures(joinBody(OPEN, SECOND, INVITE, { roster: 0 }));
    expect(codeOf(() => checkJoinRequest(OPEN, request, NOW))).toBeUndefined();
  });
});

describe('joinSignatures', () => {
  it("gives the invitation's and the joiner's signature over one request", () => {
    const body = joinBody(OPEN, SECOND, INVITE);
    const { request, signed } = joinSignatures(body);
    expect(request).toMatchObject({ tag: 'join', user: SECOND.user, invite: INVITE.user });
    expect(signed.map((s) => s.by)).toStrictEqual([INVITE.user, SECOND.user]);
    expect(verifies(signed)).toBe(true);
    const swapped = { ...body, inviteSig: body.userSig, userSig: body.inviteSig };
    expect(joinSignatures(swapped).signed.map((s) => verifies([s]))).toStrictEqual([false, false]);
  });
});

describe('membership bodies', () => {
  const text = any.text(RELAY_URL_BYTES_MAX);
  const body: fc.Arbitrary<MembershipBody> = fc.oneof(
    any.plain({
      kind: fc.constant('invite' as const),
      base: any.u64,
      key: any.user,
      uses: fc.nat(0xffff),
      expires: any.u64,
      invitee: fc.option(any.user.filter((user) => !/^0+$/.test(user))),
      isArchive: fc.boolean(),
    }),
    any.plain({ kind: fc.constant('revoke' as const), base: any.u64, key: any.user }),
    any.plain({
      kind: fc.constant('join' as const),
      base: any.u64,
      request: fc.uint8Array({ maxLength: 300 }),
      inviteSig: any.sig,
      userSig: any.sig,
    }),
    any.plain({ kind: fc.constant('vote' as const), base: any.u64, user: any.user }),
    any.plain({
      kind: fc.constant('relays' as const),
      base: any.u64,
      relays: fc.array(text, { maxLength: RELAYS_PER_CHANNEL_MAX }),
    }),
    any.plain({ kind: fc.constant('leave' as const), base: any.u64 }),
    any.plain({ kind: fc.constant('remove' as const), base: any.u64, user: any.user }),
    any.plain({
      kind: fc.constant('role' as const),
      base: any.u64,
      user: any.user,
      role: fc.constantFrom('member' as const, 'admin' as const),
    }),
    any.plain({
      kind: fc.constant('replace' as const),
      base: any.u64,
      request: fc.uint8Array({ maxLength: 300 }),
      userSig: any.sig,
      bySig: any.sig,
    }),
    any.plain({
      kind: fc.constant('recovery' as const),
      base: any.u64,
      request: fc.uint8Array({ maxLength: 300 }),
      bySig: any.sig,
    }),
  );

  it('decode into what they were made of', () => {
    fc.assert(
      fc.property(body, (b) => {
        expect(decodeMembership(b.kind, encodeMembership(b))).toStrictEqual(b);
      }),
    );
  });

  it.each(MEMBERSHIP_KINDS)(
    '%s: refused at every other length, refused or canonical when damaged',
    (kind) => {
      const bodies = body.filter((b) => b.kind === kind).map(encodeMembership);
      const decode = (bytes: Uint8Array) => decodeMembership(kind, bytes);
      refusesOtherLengths(fc.sample(bodies, { numRuns: 1, seed: 5 })[0]!, decode);
      staysCanonical(bodies, decode, encodeMembership);
    },
  );

  it.each<[string, MembershipBody]>([
    ['relays', { kind: 'relays', base: 0, relays: Array(RELAYS_PER_CHANNEL_MAX + 1).fill('x') }],
    [
      'bytes in an address',
      { kind: 'relays', base: 0, relays: ['x'.repeat(RELAY_URL_BYTES_MAX + 1)] },
    ],
    ['bytes in a request', { ...joinBody(OPEN, SECOND, INVITE), request: new Uint8Array(1_025) }],
  ])('are refused with too many %s', (_, b) => {
    expect(codeOf(() => decodeMembership(b.kind, encodeMembership(b)))).toBe('bad_encoding');
  });

  it('an invitation whose uses fit no field is never encoded as one with fewer', () => {
    const body = inviteBody(OPEN, OTHER_INVITE, { uses: 65_537 });
    expect(codeOf(() => encodeMembership(body))).toBe('bad_encoding');
  });
});

describe('kinds', () => {
  it('are of membership, of leaders, or neither', () => {
    const kinds = [
      'invite',
      'revoke',
      'join',
      'vote',
      'relays',
      'leave',
      'remove',
      'role',
      'replace',
      'recovery',
      'epoch',
      'merge',
      'message',
      'toString',
    ];
    expect(kinds.filter(isMembership)).toStrictEqual([...MEMBERSHIP_KINDS]);
    expect(kinds.filter(isLeaderKind)).toStrictEqual(['epoch', 'merge']);
  });
});
