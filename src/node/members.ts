/**
 * Who leaves, is removed, or gets a role, as an application asks for it
 * (docs/PROTOCOL.md, section "Roster"). The members' rules decide, on the
 * roster in force when a change is made: these functions say what is wanted,
 * and again when another change came first.
 */

import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type UserId, userId } from '../core/ids.js';
import {
  currentKey,
  GIVEN_ROLES,
  type GivenRole,
  type Member,
  type MembershipBody,
  type Roster,
} from '../core/roster.js';
import type { WaitOptions } from './api.js';
import { decodeReplacing, recoveryChange } from './recovery.js';

/** What they need of a channel. */
export interface MembersHost {
  readonly self: UserId;
  readonly crypto: Crypto;
  roster(): Roster;
  isOnline(user: UserId): boolean;
  /** Makes a change and waits until it is in force and done; false when there is nothing to change. */
  change(make: (roster: Roster) => MembershipBody | null, options: WaitOptions): Promise<boolean>;
}

export async function leave(host: MembersHost, o: WaitOptions): Promise<void> {
  const { self } = host;
  if (!host.roster().members.has(self)) return;
  await host.change(
    (roster) => (someoneManagesBut(roster, self) ? lastVote(host, roster, self) : null),
    o,
  );
  await host.change(
    (roster) => (roster.members.has(self) ? { kind: 'leave', base: roster.number } : null),
    o,
  );
}

const someoneManagesBut = ({ members }: Roster, user: UserId): boolean =>
  [...members.values()].some((m) => m.user !== user && m.role !== 'member');

/**
 * Where nobody else votes, another member gets a vote before one leaves, or its key is replaced:
 * best one that answers, since nothing becomes final without it then, and one that manages.
 */
function lastVote(host: MembersHost, roster: Roster, user: UserId): MembershipBody | null {
  const others = [...roster.members.values()].filter((m) => m.user !== user);
  if (others.length === 0 || others.some((m) => m.votes)) return null;
  const rank = (m: Member): number =>
    (host.isOnline(m.user) ? 2 : 0) + (m.role === 'member' ? 0 : 1);
  const best = others.reduce((a, b) => (rank(b) > rank(a) ? b : a));
  return { kind: 'vote', base: roster.number, user: best.user };
}

export async function remove(host: MembersHost, text: string, o: WaitOptions): Promise<void> {
  const user = userId(text);
  const { members, departed } = host.roster();
  if (!members.has(user) && !departed.has(user)) throw notMember(user);
  // Nobody escapes its removal by a new key.
  await host.change((roster) => {
    const key = currentKey(roster, user);
    const isOut = !roster.members.has(key) && roster.departed.get(key)?.isRemoved === true;
    return isOut ? null : { kind: 'remove', base: roster.number, user: key };
  }, o);
}

/** Returns the new key, once it has the place of the old one; at once where it has it already. */
export async function replace(
  host: MembersHost,
  text: string,
  request: string,
  o: WaitOptions,
): Promise<UserId> {
  const old = userId(text);
  const { asked, body } = decodeReplacing(host.crypto, request);
  if (asked.channel !== host.roster().channel) {
    throw new ConclaveError('bad_replace_request', 'the request is for another channel');
  }
  if (asked.old !== old) {
    throw new ConclaveError(
      'bad_replace_request',
      `the request is for the place of ${asked.old}, not of ${old}: ask for one for that user`,
    );
  }
  const isDone = ({ members, departed }: Roster): boolean =>
    members.has(asked.user) && departed.get(old)?.replacedBy === asked.user;
  if (host.self === old) await host.change((roster) => lastVote(host, roster, old), o);
  await host.change((roster) => (isDone(roster) ? null : { ...body, base: roster.number }), o);
  return asked.user;
}

export async function setRecoveryKey(
  host: MembersHost,
  text: string,
  { previous, ...o }: WaitOptions & { readonly previous?: string },
): Promise<void> {
  const key = userId(text);
  const { self, crypto } = host;
  theMember(host.roster(), self);
  await host.change((roster) => {
    const recovery = roster.members.get(self)?.recovery;
    if (recovery === key) return null;
    return recoveryChange(crypto, roster, self, key, recovery ? previous : undefined);
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
