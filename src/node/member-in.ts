/** Whom a record of membership is about, by name, and what role it gives, for readers. */

import type { UserId } from '../core/ids.js';
import type { ChannelRecord } from '../core/record.js';
import {
  decodeMembership,
  type GivenRole,
  isMembership,
  joinSignatures,
  type MembershipBody,
  nameIn,
  type Roster,
  replaceSignatures,
} from '../core/roster.js';
import type { Named } from './api.js';

/** What an entry shows of a record of membership besides its kind; nothing of other records. */
export interface MembershipShown {
  readonly member?: Named;
  readonly replacement?: Named;
  readonly role?: GivenRole;
}

export function membershipIn(record: ChannelRecord, roster: Roster): MembershipShown {
  const { kind, author, body } = record;
  if (!isMembership(kind)) return {};
  const change = decodeMembership(kind, body);
  const user = change.kind === 'leave' ? author : whomIn(change);
  const named = (who: UserId): Named => ({ user: who, name: nameIn(roster, who) });
  const entered = change.kind === 'replace' ? replaceSignatures(change).request.user : null;
  return {
    ...(user && { member: named(user) }),
    ...(entered && { replacement: named(entered) }),
    ...(change.kind === 'role' && { role: change.role }),
  };
}

/** Whom a change names. */
function whomIn(change: MembershipBody): UserId | null {
  switch (change.kind) {
    case 'join':
      return joinSignatures(change).request.user;
    case 'replace':
      return replaceSignatures(change).request.old;
    case 'invite':
      return change.invitee;
    case 'vote':
    case 'remove':
    case 'role':
      return change.user;
    default:
      return null;
  }
}
