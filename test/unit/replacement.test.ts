/** A member's key is lost or stolen (docs/PROTOCOL.md, section "Replaced keys"); what is refused is in roster-refusals.test.ts. */

import { describe, expect, it } from 'vitest';
import {
  applyMembership,
  checkJoinRequest,
  currentKey,
  departedBy,
  type encodeMembership,
  enteredBy,
  joinSignatures,
  nameIn,
  nestedSignatures,
  type Roster,
  voters,
} from '../../src/core/roster.js';
import { standsIn } from '../../src/core/standing.js';
import {
  apply,
  FOUNDER,
  grown,
  hash,
  inviteBody,
  joinBody,
  membershipBy,
  NOW,
  type Person,
  person,
  proofOf,
  recordBy,
  sealingOf,
  verifies,
} from './fixtures/channel.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import {
  ADMINS,
  FOURTH,
  INVITE,
  NEW,
  OTHER_RECOVERY,
  RECOVERY,
  REPLACED,
  recoveryBody,
  replaceBody,
  roleBody,
  SECOND,
  THIRD,
  voteBody,
} from './fixtures/replacements.js';

const memberOf = (roster: Roster, p: Person) => roster.members.get(p.user);

describe('a member whose key is replaced', () => {
  it('is out for good, and the new key is what it was, but for its vote', () => {
    const record = membershipBy(ADMINS, FOUNDER, replaceBody(ADMINS, FOURTH, null));
    const next = applyMembership(hash, ADMINS, record);
    expect(memberOf(next, FOURTH)).toBeUndefined();
    expect(memberOf(next, NEW)).toStrictEqual({
      ...{ user: NEW.user, name: 'anew', role: 'member', sealing: sealingOf(NEW), votes: false },
      ...{ since: next.number, root: record.digest, recovery: null, cameBy: [] },
    });
    expect(next.departed).toStrictEqual(
      new Map([
        [
          FOURTH.user,
          {
            ...{ name: 'joiner', since: next.number, isRemoved: true, replacedBy: NEW.user },
            cameBy: memberOf(ADMINS, FOURTH)!.cameBy,
          },
        ],
      ]),
    );
    // Its vote is given to it in another change: majorities of neighbouring rosters meet.
    expect(voters(next)).toStrictEqual(voters(ADMINS).filter((user) => user !== FOURTH.user));
    const voting = apply(next, SECOND, voteBody(next, NEW));
    expect(voters(voting)).toHaveLength(voters(ADMINS).length);
    expect(next.readersSince).toBe(next.number);
    expect([departedBy(record), enteredBy(record)]).toStrictEqual([FOURTH.user, NEW.user]);
    // What it wrote is shown under the name that it had.
    expect([nameIn(next, FOURTH.user), nameIn(next, NEW.user)]).toStrictEqual(['joiner', 'anew']);
  });

  it('never comes back: by no invitation, not by one that names it', () => {
    const open = apply(REPLACED, FOUNDER, inviteBody(REPLACED, INVITE));
    const back = joinBody(open, FOURTH, INVITE);
    expect(errorOf(() => apply(open, FOUNDER, back))?.message).toMatch(/replaced by another key/);
    const { request } = joinSignatures(back);
    expect(codeOf(() => checkJoinRequest(open, request, NOW))).toBe('bad_membership');
  });

  it('has no standing any more, also for what it signs under the new roster; the new one has', () => {
    const old = recordBy(FOURTH);
    const fresh = recordBy(NEW);
    const held = (who: Person, record: typeof old, roster: Roster) => ({
      ...{ record, proof: proofOf(who, record, roster) },
    });
    expect(standsIn(ADMINS, held(FOURTH, old, ADMINS))).toBe(true);
    expect(standsIn(REPLACED, held(FOURTH, old, ADMINS))).toBe(false);
    expect(standsIn(REPLACED, held(FOURTH, old, REPLACED))).toBe(false);
    expect(standsIn(REPLACED, held(NEW, fresh, REPLACED))).toBe(true);
    expect(standsIn(REPLACED, held(NEW, fresh, ADMINS))).toBe(false);
  });

  it('loses the invitations that it made, and the new one those that name it', () => {
    const open = apply(ADMINS, SECOND, inviteBody(ADMINS, INVITE));
    const other = apply(open, FOUNDER, inviteBody(open, person(101)));
    const named = inviteBody(other, person(102), { invitee: NEW.user });
    const three = apply(other, FOUNDER, named);
    const next = apply(three, FOUNDER, replaceBody(three, SECOND, null));
    expect([...next.invites.keys()]).toStrictEqual([person(101).user]);
  });

  it('loses the invitation that it came by: a thief knows it', () => {
    const open = apply(ADMINS, FOUNDER, inviteBody(ADMINS, INVITE, { uses: 5 }));
    const five = apply(open, FOUNDER, joinBody(open, person(5), INVITE));
    expect(five.invites.size).toBe(1);
    expect(apply(five, FOUNDER, replaceBody(five, person(5), null)).invites.size).toBe(0);
  });

  it('may be the second of two, without a vote: so is the new one, and nothing waits for it', () => {
    const two = grown(2);
    const next = apply(two, FOUNDER, replaceBody(two, SECOND, null));
    expect(memberOf(next, NEW)).toMatchObject({ votes: false });
    expect(voters(next)).toStrictEqual([FOUNDER.user]);
  });

  it('may not be the only one who votes', () => {
    const two = apply(grown(2), FOUNDER, recoveryBody(grown(2), FOUNDER, RECOVERY));
    const alone = replaceBody(two, FOUNDER, RECOVERY);
    expect(errorOf(() => apply(two, SECOND, alone))?.message).toMatch(/another gets a vote first/);
    const both = apply(two, FOUNDER, voteBody(two, SECOND));
    const next = apply(both, SECOND, { ...alone, base: both.number });
    expect(memberOf(next, NEW)).toMatchObject({ role: 'founder', votes: false });
    expect(voters(next)).toStrictEqual([SECOND.user]);
  });

  it('may be replaced again, and its first key leads to the last', () => {
    const again = apply(REPLACED, FOUNDER, replaceBody(REPLACED, NEW, null, { next: person(51) }));
    expect(currentKey(again, FOURTH.user)).toBe(person(51).user);
    expect(currentKey(again, NEW.user)).toBe(person(51).user);
    expect(currentKey(again, FOUNDER.user)).toBe(FOUNDER.user);
  });
});

describe('who may replace a key', () => {
  it('an admin that of a plain member, the founder that of an admin', () => {
    const byAdmin = apply(ADMINS, THIRD, replaceBody(ADMINS, FOURTH, null));
    expect(memberOf(byAdmin, NEW)?.role).toBe('member');
    const byFounder = apply(ADMINS, FOUNDER, replaceBody(ADMINS, SECOND, null));
    expect(memberOf(byFounder, NEW)?.role).toBe('admin');
  });

  it('any admin that of another once there is no founder', () => {
    const alone = apply(ADMINS, FOUNDER, { kind: 'leave', base: ADMINS.number });
    const next = apply(alone, THIRD, replaceBody(alone, SECOND, null));
    expect(memberOf(next, NEW)?.role).toBe('admin');
  });

  it("the recovery key its own member's, whoever proposes it: also the founder's", () => {
    for (const author of [FOURTH, SECOND]) {
      const next = apply(ADMINS, author, replaceBody(ADMINS, SECOND, RECOVERY));
      expect(memberOf(next, NEW)?.role).toBe('admin');
    }
    const moved = apply(ADMINS, FOURTH, replaceBody(ADMINS, FOUNDER, OTHER_RECOVERY));
    expect(memberOf(moved, NEW)?.role).toBe('founder');
    // It decides as founder from then on.
    const role = apply(moved, NEW, roleBody(moved, SECOND, 'member'));
    expect(memberOf(role, SECOND)?.role).toBe('member');
  });
});

describe('a recovery key', () => {
  it('is there once its member registers it, and goes with the key that is replaced', () => {
    expect(memberOf(ADMINS, SECOND)?.recovery).toBe(RECOVERY.user);
    expect(ADMINS.readersSince).toBe(grown(4).readersSince);
    const next = apply(ADMINS, SECOND, replaceBody(ADMINS, SECOND, RECOVERY));
    expect(memberOf(next, NEW)?.recovery).toBeNull();
    const kept = replaceBody(ADMINS, SECOND, RECOVERY, { recovery: RECOVERY.user });
    expect(memberOf(apply(ADMINS, SECOND, kept), NEW)?.recovery).toBe(RECOVERY.user);
  });

  it('changes with the signature of the one before', () => {
    const next = apply(ADMINS, SECOND, recoveryBody(ADMINS, SECOND, OTHER_RECOVERY, RECOVERY));
    expect(memberOf(next, SECOND)?.recovery).toBe(OTHER_RECOVERY.user);
    const old = replaceBody(next, SECOND, RECOVERY);
    expect(errorOf(() => apply(next, SECOND, old))?.message).toMatch(/not the member's recovery/);
  });

  it('signs for one roster: what it signed before does not bring an older key back', () => {
    const there = recoveryBody(ADMINS, SECOND, person(302), RECOVERY);
    let roster = apply(ADMINS, SECOND, there);
    roster = apply(roster, SECOND, recoveryBody(roster, SECOND, RECOVERY, person(302)));
    const again = { ...there, base: roster.number };
    expect(errorOf(() => apply(roster, SECOND, again))?.message).toMatch(/under another roster/);
  });
});

describe('the signatures inside', () => {
  const record = (body: Parameters<typeof encodeMembership>[0]) =>
    membershipBy(ADMINS, FOUNDER, body);

  it("are the new key's, and the recovery key's where it decides", () => {
    const byAdmin = nestedSignatures(record(replaceBody(ADMINS, FOURTH, null)));
    expect(byAdmin.map((s) => s.by)).toStrictEqual([NEW.user]);
    const byKey = nestedSignatures(record(replaceBody(ADMINS, SECOND, RECOVERY)));
    expect(byKey.map((s) => s.by)).toStrictEqual([NEW.user, RECOVERY.user]);
    expect(verifies([...byAdmin, ...byKey])).toBe(true);
  });

  it("are of a recovery key the one before's, where there is one", () => {
    expect(nestedSignatures(record(recoveryBody(ADMINS, FOURTH, RECOVERY)))).toStrictEqual([]);
    const changed = nestedSignatures(record(recoveryBody(ADMINS, SECOND, person(302), RECOVERY)));
    expect(changed.map((s) => s.by)).toStrictEqual([RECOVERY.user]);
    expect(verifies(changed)).toBe(true);
  });

  it('do not verify when they are swapped, or of another request', () => {
    const body = replaceBody(ADMINS, SECOND, RECOVERY);
    const swapped = { ...body, userSig: body.bySig, bySig: body.userSig };
    expect(nestedSignatures(record(swapped)).map((s) => verifies([s]))).toStrictEqual([
      false,
      false,
    ]);
    const other = { ...body, request: replaceBody(ADMINS, FOURTH, RECOVERY).request };
    expect(verifies(nestedSignatures(record(other)))).toBe(false);
  });

  it.each([replaceBody(ADMINS, FOURTH, null), recoveryBody(ADMINS, FOURTH, RECOVERY)])(
    'have no bytes where nobody signs: $kind',
    (body) => {
      const bySig = new Uint8Array(64).fill(1, 63);
      expect(codeOf(() => nestedSignatures(record({ ...body, bySig })))).toBe('bad_encoding');
      expect(codeOf(() => applyMembership(hash, ADMINS, record({ ...body, bySig })))).toBe(
        'bad_encoding',
      );
    },
  );
});
