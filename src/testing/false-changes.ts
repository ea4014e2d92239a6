/**
 * Changes of membership that nobody may make true: what is signed inside them
 * is not by those whom they name, or their author may not ask for them
 * (docs/PROTOCOL.md, section "Roster"). For members that misbehave.
 */

import type { Hash } from '../core/crypto.js';
import type { Digest, SealingPublic, UserId } from '../core/ids.js';
import { hex32 } from '../core/ids.js';
import { type MembershipBody, type Roster, rosterStart } from '../core/roster.js';
import { encodeStatement } from '../core/statements.js';
import { below, chance, type Draw, pick } from './prng.js';

const NAME = 'nobody';

/** By `self`, which is a member and knows no key but its own. */
export function falseChange(
  draw: Draw,
  hash: Hash,
  roster: Roster,
  self: UserId,
  sign: (statement: Uint8Array) => Uint8Array,
): MembershipBody {
  const base = roster.number;
  const others = [...roster.members.values()].filter(({ user }) => user !== self);
  const victim = others.length > 0 ? pick(draw, others) : undefined;
  const makers = [() => falseJoin(draw, roster, sign)];
  if (victim) makers.push(() => falseReplacement(draw, hash, roster, victim.user, sign));
  if (victim && roster.members.get(self)?.role === 'member') {
    makers.push(
      () => ({ kind: 'remove', base, user: victim.user }),
      () => ({ kind: 'role', base, user: self, role: 'admin' }),
    );
  }
  return pick(draw, makers)();
}

const nobody = (draw: Draw): UserId =>
  hex32(Uint8Array.from({ length: 32 }, () => below(draw, 256)));

/** Somebody comes in by an open invitation, which nobody gave to it, as what it is for or not. */
function falseJoin(
  draw: Draw,
  { channel, number, hash, invites }: Roster,
  sign: (statement: Uint8Array) => Uint8Array,
): MembershipBody {
  const open = [...invites.values()];
  const invite = open.length > 0 ? pick(draw, open).key : nobody(draw);
  const sealing = chance(draw, 0.5) ? null : (nobody(draw) as string as SealingPublic);
  const request = encodeStatement({
    ...{ tag: 'join', channel, roster: number, rosterHash: hash },
    ...{ user: nobody(draw), name: NAME, sealing, invite },
    ...{ seq: 0, hash: channel as string as Digest },
  });
  return { kind: 'join', base: number, request, inviteSig: sign(request), userSig: sign(request) };
}

/** Another key in the place of a member's, with a signature of its recovery key that is none. */
function falseReplacement(
  draw: Draw,
  hash: Hash,
  { channel, number, members }: Roster,
  old: UserId,
  sign: (statement: Uint8Array) => Uint8Array,
): MembershipBody {
  const { recovery = null, sealing = null } = members.get(old) ?? {};
  const request = encodeStatement({
    ...{ tag: 'replace', channel, roster: 0, rosterHash: rosterStart(hash, channel) },
    ...{ old, user: nobody(draw), name: NAME, sealing, recovery: null },
    by: recovery ?? nobody(draw),
  });
  return { kind: 'replace', base: number, request, userSig: sign(request), bySig: sign(request) };
}
