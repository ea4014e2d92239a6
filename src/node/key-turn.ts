/**
 * Whose turn it is to make a key that is missing for all (docs/PROTOCOL.md,
 * section "Encryption"). Nobody coordinates it: all who may leave time to those
 * before them, so that normally one does, and another where that one does not.
 */

import type { UserId } from '../core/ids.js';
import { KEY_PATIENCE_MS, KEY_TURN_MS } from '../core/limits.js';
import type { ChannelView } from '../core/view.js';

type View = Pick<ChannelView, 'state' | 'epoch' | 'leader' | 'online'>;

/**
 * How long this user waits since the key is missing: those of the first group that are online come
 * first, in each group the leader. Null where it is not to make it, and while nothing becomes final.
 */
export function patienceOf(
  user: UserId,
  makers: readonly (readonly UserId[])[] | null,
  { state, epoch, leader, online }: View,
): number | null {
  if (state !== 'healthy' || epoch?.kind !== 'roster') return null;
  const inTurn = (makers ?? []).flatMap((group) => [
    ...group.filter((one) => one === leader),
    ...group.filter((one) => one !== leader && online.includes(one)),
  ]);
  const turn = inTurn.indexOf(user);
  return turn < 0 ? null : KEY_PATIENCE_MS + turn * KEY_TURN_MS;
}
