/** Who is a member and how that changes (docs/PROTOCOL.md, section "Roster"); what is refused is in roster-refusals.test.ts. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelIdOf, encodeGenesis } from '../../src/core/genesis.js';
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
  genesisRoster,
  isLeaderKind,
  isMembership,
  joinSignatures,
  MEMBERSHIP_KINDS,
  type Member,
  type MembershipBody,
  membershipPrev,
  type Role,
  type Roster,
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
  verifies,
} from './fixtures/channel.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';

const SECOND = person(2);
const THIRD = person(3);
const FOURTH = person(4);
const INVITE = person(100);
const OTHER_INVITE = person(101);

const base = (roster: Roster) => ({ base: roster.number });
const memberOf = (roster: Roster, p: Person) => roster.members.get(p.user);
const invited = (roster: Roster, change: { uses?: number; expires?: number } = {}): Roster =>
  apply(roster, FOUNDER, inviteBody(roster, INVITE, change));
const withRole = (roster: Roster, p: Person, role: Role): Roster => {
  const member: Member = { ...memberOf(roster, p)!, role };
  return { ...roster, members: new Map(roster.members).set(p.user, member) };
};

/** Roster 1: the founder and one open invitation. */
const OPEN = invited(founded());

describe('the roster of a genesis', () => {
  it('is number 0, has the founder alone, who votes, and the relays', () => {
    expect(founded()).toStrictEqual({
      channel: CHANNEL,
      number: 0,
      hash: rosterStart(hash, CHANNEL),
      members: new Map([
        [
          FOUNDER.user,
          {
            user: FOUNDER.user,
            name: 'founder',
            role: 'founder',
            votes: true,
            since: 0,
            root: CHANNEL,
          },
        ],
      ]),
      invites: new Map(),
      relays: genesis.relays,
      lastMembership: new Map(),
    });
    expect(voters(founded())).toStrictEqual([FOUNDER.user]);
  });

  it('has another hash in another channel', () => {
    const other = channelIdOf(hash, encodeGenesis({ ...genesis, time: 1 }));
    expect(genesisRoster(hash, other, genesis).hash).not.toBe(founded().hash);
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

  it('can be revoked by its author after the author lost its role', () => {
    const admin = withRole(grown(3), SECOND, 'admin');
    const open = withRole(apply(admin, SECOND, inviteBody(admin, INVITE)), SECOND, 'member');
    const body: MembershipBody = { kind: 'revoke', ...base(open), key: INVITE.user };
    expect(apply(open, SECOND, body).invites.size).toBe(0);
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

it('changes the relays', () => {
  const relays = [relayOf(2), relayOf(1)];
  expect(apply(founded(), FOUNDER, { kind: 'relays', base: 0, relays }).relays).toStrictEqual(
    relays,
  );
});

describe('any sequence of changes', () => {
  const CAST = [1, 2, 3, 4, 5].map(person);
  const KEYS = [100, 101].map(person);
  const change = fc.record({
    kind: fc.constantFrom(...MEMBERSHIP_KINDS),
    author: fc.oneof({ weight: 3, arbitrary: fc.constant(FOUNDER) }, fc.constantFrom(...CAST)),
    whom: fc.constantFrom(...CAST),
    key: fc.constantFrom(...KEYS),
    uses: fc.nat(3),
    base: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1),
  });

  function bodyOf(
    roster: Roster,
    c: typeof change extends fc.Arbitrary<infer T> ? T : never,
  ): MembershipBody {
    const at = { base: roster.number + c.base };
    switch (c.kind) {
      case 'invite':
        return { kind: 'invite', ...at, key: c.key.user, uses: c.uses, expires: 0 };
      case 'revoke':
        return { kind: 'revoke', ...at, key: c.key.user };
      case 'join':
        return { ...joinBody(roster, c.whom, c.key), ...at };
      case 'vote': {
        const waiting = [...roster.members.values()].find((m) => !m.votes);
        return { kind: 'vote', ...at, user: (c.uses > 1 && waiting?.user) || c.whom.user };
      }
      case 'relays':
        return { kind: 'relays', ...at, relays: [relayOf(1 + c.uses)] };
    }
  }

  it('keeps a founder that votes, at most one member without a vote, and then two members', () => {
    let sizeMax = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 120, maxLength: 200 }), (changes) => {
        let roster = founded();
        for (const c of changes) {
          const before = structuredClone(roster);
          let next = roster;
          const code = codeOf(() => {
            next = apply(roster, c.author, bodyOf(roster, c));
          });
          expect(roster).toStrictEqual(before);
          if (code !== undefined) {
            expect(code).toBe('bad_membership');
            continue;
          }
          expect(next.number).toBe(roster.number + 1);
          expect(next.hash).not.toBe(roster.hash);
          expect(next.members.size - roster.members.size).toBe(c.kind === 'join' ? 1 : 0);
          expect(memberOf(next, FOUNDER)).toMatchObject({ role: 'founder', votes: true });
          const waiting = next.members.size - voters(next).length;
          expect(waiting).toBeLessThanOrEqual(next.members.size === 2 ? 1 : 0);
          expect(Math.abs(voters(next).length - voters(roster).length)).toBeLessThanOrEqual(1);
          for (const invite of next.invites.values()) expect(invite.usesLeft).toBeGreaterThan(0);
          roster = next;
        }
        sizeMax = Math.max(sizeMax, roster.members.size);
      }),
      { numRuns: 30 },
    );
    expect(sizeMax).toBeGreaterThan(3);
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
      'epoch',
      'merge',
      'message',
      'toString',
    ];
    expect(kinds.filter(isMembership)).toStrictEqual([...MEMBERSHIP_KINDS]);
    expect(kinds.filter(isLeaderKind)).toStrictEqual(['epoch', 'merge']);
  });
});
