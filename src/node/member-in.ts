/** Whom a record of membership is about, by name, for readers. */

import type { ChannelRecord } from '../core/record.js';
import { decodeMembership, joinSignatures, type Roster } from '../core/roster.js';
import type { Named } from './api.js';

/** `{ member }` of a 'join' and a 'vote', nothing of other records. */
export function memberIn(
  { kind, body }: ChannelRecord,
  roster: Roster,
): { member: Named } | undefined {
  if (kind !== 'join' && kind !== 'vote') return undefined;
  const change = decodeMembership(kind, body);
  const user =
    change.kind === 'join'
      ? joinSignatures(change).request.user
      : change.kind === 'vote'
        ? change.user
        : undefined;
  return user && { member: { user, name: roster.members.get(user)?.name ?? '' } };
}
