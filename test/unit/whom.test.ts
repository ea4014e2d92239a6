/** Whom a command means: a name, the beginning of an id, or a whole one, which is nobody's name. */

import { expect, it } from 'vitest';
import {
  theInvitee,
  theKnown,
  theMember,
  theRemoved,
  theUser,
} from '../../src/cli/handlers/whom.js';
import type { Channel, Node } from '../../src/node/index.js';
import { codeOf } from './fixtures/errors.js';

const BOB = 'ab'.repeat(32);
const EVE = '11'.repeat(32);
/** Whoever it is took another's id as its name. */
const eve = { user: EVE, name: BOB, role: 'member' };

function channelOf(members: readonly object[], former: readonly object[] = []): Channel {
  const list = () => members;
  return { members: { list, former: () => former } } as unknown as Channel;
}

const nodeIn = (channel: Channel): Node =>
  ({ user: '22'.repeat(32), channels: () => [channel] }) as unknown as Node;

it('is no member whose name is the id of another', () => {
  const among = channelOf([eve]);
  const node = nodeIn(among);
  expect(theUser(node, BOB)).toBe(BOB);
  expect(theMember(among, BOB, node).user).toBe(BOB);
  expect(theKnown(among, BOB, node)).toBe(BOB);
  const left = channelOf([eve], [{ user: BOB, name: 'bob', removed: false }]);
  expect(theRemoved(left, BOB, nodeIn(left)).user).toBe(BOB);
  const gone = channelOf([], [{ ...eve, removed: true }]);
  expect(theInvitee(gone, BOB, nodeIn(gone))).toBe(BOB);
});

it('is the only one whose name it is, or the beginning of whose id', () => {
  const cat = { user: `11cd${'0'.repeat(60)}`, name: 'cat', role: 'member' };
  const among = channelOf([eve, cat]);
  const node = nodeIn(among);
  expect(theMember(among, 'cat', node).user).toBe(cat.user);
  expect(theMember(among, '11cd', node).user).toBe(cat.user);
  expect(theMember(among, '1111', node).user).toBe(EVE);
  expect(codeOf(() => theMember(among, '11', node))).toMatch(/ambiguous_user|not_member/);
  expect(codeOf(() => theMember(among, 'dog', node))).toBe('not_member');
});
