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
} from '../core/roster.js';
import type { Named } from './api.js';

/** What an entry shows of a record of membership besides its kind; nothing of other records. */
export interface MembershipShown {
  readonly member?: Named;
  readonly role?: GivenRole;
}

export function membershipIn(record: ChannelRecord, roster: Roster): MembershipShown {
  const { kind, author, body } = record;
  if (!isMembership(kind)) return {};
  const change = decodeMembership(kind, body);
  const user = change.kind === 'leave' ? author : whomIn(change);
  return {
    ...(user && { member: { user, name: nameIn(roster, user) } }),
    ...(change.kind === 'role' && { role: change.role }),
  };
}

/** Whom a change names. */
function whomIn(change: MembershipBody): UserId | null {
  switch (change.kind) {
    case 'join':
      return joinSignatures(change).request.user;
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
