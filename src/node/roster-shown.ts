/** What a roster says besides its members: who was one, and which invitations are open. */

import type { UserId } from '../core/ids.js';
import { nameIn, type Roster } from '../core/roster.js';
import type { FormerMember, Named, OpenInvite } from './api.js';

export const formerMembers = ({ departed }: Roster): FormerMember[] =>
  [...departed].map(([user, { name, isRemoved: removed, replacedBy }]) => ({
    ...{ user, name, removed },
    ...(replacedBy && { replacedBy }),
  }));

/** Those that are in force at `time`, ms since 1970. */
export function openInvites(roster: Roster, time: number): OpenInvite[] {
  const named = (user: UserId): Named => ({ user, name: nameIn(roster, user) });
  const open = [...roster.invites.values()].filter((o) => o.expires === 0 || o.expires >= time);
  return open.map(({ key, author, usesLeft, expires, invitee, isArchive }) => ({
    ...{ id: key, by: named(author), uses: usesLeft },
    ...(expires > 0 && { expires }),
    ...(invitee && { for: named(invitee) }),
    ...(isArchive && { archive: true as const }),
  }));
}
