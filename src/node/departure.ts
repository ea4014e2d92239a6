/**
 * How this node's user went: by whom, when, and whether another key has its
 * place (docs/PROTOCOL.md, section "Roster"). The step to the first roster
 * without it says so, which a node learns with the roster.
 */

import { decodeStep } from '../core/certificate.js';
import type { ChannelState } from '../core/channel-state.js';
import type { Hash } from '../core/crypto.js';
import type { UserId } from '../core/ids.js';
import { decodeRecord } from '../core/record.js';
import { type Departed, nameIn } from '../core/roster.js';
import type { Store } from '../core/store.js';
import type { Departure } from './api.js';

type Known = Pick<ChannelState, 'roster' | 'keys'>;

/** Undefined of a member, and of who never was one. */
export const departedFrom = (
  { roster: { members, departed } }: Known,
  user: UserId,
): Departed | undefined => (members.has(user) ? undefined : departed.get(user));

export async function departureOf(
  store: Pick<Store, 'get'>,
  hash: Hash,
  st: Known,
  user: UserId,
): Promise<Departure | undefined> {
  const gone = departedFrom(st, user);
  const step = gone && (await store.get(st.keys.step(gone.since)));
  if (!step) return undefined;
  const { kind, author, time } = decodeRecord(hash, decodeStep(step).record);
  const by = { user: author, name: nameIn(st.roster, author) };
  const { replacedBy } = gone;
  if (replacedBy) return { how: 'replaced', by, time, replacedBy };
  return { how: kind === 'leave' ? 'left' : 'removed', by, time };
}
