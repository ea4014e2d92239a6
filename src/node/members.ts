/**
 * Who leaves, is removed, or gets a role, as an application asks for it
 * (docs/PROTOCOL.md, section "Roster"). The members' rules decide, on the
 * roster in force when a change is made: these functions say what is wanted,
 * and again when another change came first.
 */

import { ConclaveError } from '../core/errors.js';
import { type UserId, userId } from '../core/ids.js';
import {
  GIVEN_ROLES,
  type GivenRole,
  type Member,
  type MembershipBody,
  type Roster,
} from '../core/roster.js';
import type { WaitOptions } from './api.js';

/** What they need of a channel. */
export interface MembersHost {
  readonly self: UserId;
  roster(): Roster;
  /** Makes a change and waits until it is in force and done; false when there is nothing to change. */
  change(make: (roster: Roster) => MembershipBody | null, options: WaitOptions): Promise<boolean>;
}

export async function leave(host: MembersHost, o: WaitOptions): Promise<void> {
  const { self } = host;
  if (!host.roster().members.has(self)) return;
  await host.change((roster) => lastVote(roster, self), o);
  await host.change(
    (roster) => (roster.members.has(self) ? { kind: 'leave', base: roster.number } : null),
    o,
  );
}

/** Of two members the second may have no vote yet: it gets one before the first leaves. */
function lastVote({ members, number }: Roster, self: UserId): MembershipBody | null {
  const others = [...members.values()].filter((m) => m.user !== self);
  const waiting = others.find((m) => !m.votes);
  const mayLeave = others.some((m) => m.role !== 'member');
  if (!waiting || !mayLeave || others.some((m) => m.votes)) return null;
  return { kind: 'vote', base: number, user: waiting.user };
}

export async function remove(host: MembersHost, text: string, o: WaitOptions): Promise<void> {
  const user = userId(text);
  const { members, departed } = host.roster();
  if (!members.has(user) && !departed.has(user)) throw notMember(user);
  await host.change((roster) => {
    const isOut = !roster.members.has(user) && roster.departed.get(user)?.isRemoved === true;
    return isOut ? null : { kind: 'remove', base: roster.number, user };
  }, o);
}

export async function setRole(
  host: MembersHost,
  text: string,
  role: GivenRole,
  o: WaitOptions,
): Promise<void> {
  const user = userId(text);
  if (!GIVEN_ROLES.includes(role)) {
    throw new ConclaveError('bad_role', `a role that can be given is ${GIVEN_ROLES.join(' or ')}`);
  }
  theMember(host.roster(), user);
  const made = await host.change((roster) => {
    const member = roster.members.get(user);
    if (!member || member.role === role) return null;
    return { kind: 'role', base: roster.number, user, role };
  }, o);
  if (!made) theMember(host.roster(), user);
}

/** Throws `not_member`. */
function theMember({ members }: Roster, user: UserId): Member {
  const member = members.get(user);
  if (!member) throw notMember(user);
  return member;
}

const notMember = (user: UserId): ConclaveError =>
  new ConclaveError(
    'not_member',
    `${user} is no member of the channel; "conclave members" shows who is`,
  );
