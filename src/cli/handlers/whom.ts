/** Whom a text names: a whole id, or where only one member fits, its name or the beginning of its id. */

import { ConclaveError } from '../../core/errors.js';
import { isId, type UserId } from '../../core/ids.js';
import type { Channel, MemberInfo, Node } from '../../node/api.js';

type Member = Pick<MemberInfo, 'user' | 'name'>;

/** The beginning of an id: shorter ones fit somebody by chance. */
const PREFIX = /^[0-9a-f]{4,63}$/;
const SHOWN_CHARS = 16;
const SHOWN_MAX = 5;

/** Of one channel, or anybody by the whole id. Throws `not_member` and `ambiguous_user`. */
export function theMember(channel: Channel, wanted: string, node: Node): Member {
  const hint = `no member of the channel fits "${wanted}": "conclave members" shows who is in it`;
  return memberAmong(channel.members.list(), wanted, node.user, hint);
}

/** A member, else one who left: a removal keeps it out. */
export function theRemoved(channel: Channel, wanted: string, node: Node): Member {
  const left = channel.members.former().filter(({ removed }) => !removed);
  const isAmong = (all: readonly Member[]): boolean => fitting(all, wanted).length > 0;
  if (isAmong(channel.members.list()) || !isAmong(left)) return theMember(channel, wanted, node);
  return memberAmong(left, wanted, node.user, '');
}

/** Whom an invitation is to be for: one who was a member, or anybody by the whole id. */
export function theInvitee(channel: Channel, wanted: string, node: Node): UserId {
  const former = channel.members.former().filter(({ replacedBy }) => replacedBy === undefined);
  if (fitting(former, wanted).length === 0) {
    const [member] = fitting(channel.members.list(), wanted);
    if (member) {
      const who = `${member.name} (${member.user.slice(0, SHOWN_CHARS)})`;
      throw new ConclaveError('already_member', `${who} is a member, and needs no invitation`);
    }
  }
  const hint =
    `nobody who was a member of the channel fits "${wanted}": "conclave members --former" shows who was. ` +
    'Of anybody else give the whole id, which "conclave init" printed there';
  return memberAmong(former, wanted, node.user, hint).user;
}

/** One who is or was a member, or anybody by the whole id. */
export function theKnown(channel: Channel, wanted: string, node: Node): UserId {
  const { members } = channel;
  const hint = `nobody who is or was a member of the channel fits "${wanted}": "conclave members --former" shows them`;
  return memberAmong([...members.list(), ...members.former()], wanted, node.user, hint).user;
}

/** Of any channel that this node is in, or anybody by the whole id. */
export function theUser(node: Node, wanted: string): UserId {
  const all = new Map<UserId, Member>();
  for (const channel of node.channels()) {
    for (const member of channel.members.list()) {
      if (!all.get(member.user)?.name) all.set(member.user, member);
    }
  }
  const hint = `no member of this node's channels fits "${wanted}": give the whole id, which "conclave init" printed there`;
  return memberAmong([...all.values()], wanted, node.user, hint).user;
}

function memberAmong(
  all: readonly Member[],
  wanted: string,
  self: UserId,
  noneFits: string,
): Member {
  const fits = fitting(all, wanted);
  if (fits.length === 1) return fits[0]!;
  if (fits.length > 1) {
    const shown = fits.slice(0, SHOWN_MAX).map(({ user, name }) => {
      const own = user === self ? ', this node' : '';
      return `${name} (${user.slice(0, SHOWN_CHARS)}${own})`;
    });
    const more = fits.length > SHOWN_MAX ? `, and ${fits.length - SHOWN_MAX} more` : '';
    throw new ConclaveError(
      'ambiguous_user',
      `${fits.length} members fit "${wanted}": ${shown.join(', ')}${more}. Give more of the id`,
    );
  }
  if (isId(wanted)) return { user: wanted as UserId, name: '' };
  throw new ConclaveError('not_member', noneFits);
}

/** What looks like a whole id is one, and never a name: names are their owners' to choose. */
function fitting(all: readonly Member[], wanted: string): Member[] {
  const exact = all.filter(({ user }) => user === wanted);
  if (exact.length > 0 || isId(wanted)) return exact;
  return all.filter(({ user, name }) => name === wanted || isPrefix(wanted, user));
}

const isPrefix = (wanted: string, user: string): boolean =>
  PREFIX.test(wanted) && user.startsWith(wanted);
