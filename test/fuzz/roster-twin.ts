/**
 * The table of section "Roster" in docs/PROTOCOL.md a second time: which change
 * of membership is valid on a roster, and which roster comes of it. Of the
 * product it has the type of a roster alone. Signatures are the caller's to check.
 */

import { createHash } from 'node:crypto';
import type { Digest, SealingPublic, UserId } from '../../src/core/ids.js';
import type { Member, OpenInvite, Role, Roster } from '../../src/core/roster.js';
import { intBytes, intOf, parse, type Tree, textOf } from './grammar.js';
import * as shapes from './shapes.js';

export type Kind = keyof typeof shapes.MEMBERSHIP;

export const KINDS = Object.keys(shapes.MEMBERSHIP) as readonly Kind[];

/** A record, as far as a roster looks at it. */
export interface Change {
  readonly author: UserId;
  readonly kind: string;
  readonly time: number;
  readonly prev: string;
  readonly body: Uint8Array;
  readonly digest: string;
}

const ZERO = '0'.repeat(64);
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const idOf = (tree: Tree): UserId => hexOf(tree.bytes) as UserId;
const orNull = <T extends string>(id: string): T | null => (id === ZERO ? null : (id as T));

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Parts = Pick<Roster, 'number' | 'channel' | 'hash' | 'lastMembership'> & {
  members: Map<UserId, Mutable<Member>>;
  invites: Map<UserId, Mutable<OpenInvite>>;
  departed: Map<UserId, { name: string; since: number; isRemoved: boolean } & Gone>;
  relays: readonly string[];
};
type Gone = { replacedBy: UserId | null; cameBy: readonly UserId[] };

const copyOf = (roster: Roster): Parts => ({
  ...roster,
  members: new Map([...roster.members].map(([user, member]) => [user, { ...member }])),
  invites: new Map([...roster.invites].map(([key, invite]) => [key, { ...invite }])),
  departed: new Map([...roster.departed].map(([user, gone]) => [user, { ...gone }])),
});

/** The next roster, or undefined where the change is not valid on this one. */
export function nextRoster(roster: Roster, change: Change): Roster | undefined {
  const { author, kind, prev, digest } = change;
  const by = roster.members.get(author);
  const body = Object.hasOwn(shapes.MEMBERSHIP, kind)
    ? parse(shapes.MEMBERSHIP[kind as Kind], change.body)?.parts
    : undefined;
  if (!by || !body || intOf(body[0]!) !== roster.number) return undefined;
  if (prev !== (roster.lastMembership.get(author) ?? by.root)) return undefined;
  const next = copyOf(roster);
  const is = { roster, next, by, change, fields: body.slice(1) };
  if (!RULES[kind as Kind](is)) return undefined;
  const number = roster.number + 1;
  return {
    ...roster,
    ...next,
    number,
    hash: hashOf(roster.hash, number, digest),
    readersSince: readersOf(roster) === readersOf(next) ? roster.readersSince : number,
    lastMembership: new Map(roster.lastMembership).set(author, digest as Digest),
  };
}

function hashOf(before: string, number: number, digest: string): Digest {
  const tag = Buffer.from('conclave/roster');
  const parts = [intBytes(BigInt(tag.length), 4), tag, Buffer.from(before, 'hex')];
  const h = createHash('sha256');
  for (const part of [...parts, intBytes(BigInt(number), 8), Buffer.from(digest, 'hex')]) {
    h.update(part);
  }
  return h.digest('hex') as Digest;
}

/** Who left and came back is another reader. */
const readersOf = ({ members }: Pick<Roster, 'members'>): string =>
  [...members.values()]
    .filter(({ sealing }) => sealing !== null)
    .map(({ user, sealing, since }) => `${user} ${sealing} ${since}`)
    .sort()
    .join();

interface Asked {
  readonly roster: Roster;
  /** A copy, for the rule to change. */
  readonly next: Parts;
  readonly by: Member;
  readonly change: Change;
  readonly fields: readonly Tree[];
}
/** Whether the change is valid; it has changed `next` then. */
type Rule = (is: Asked) => boolean;

const manages = ({ role }: { readonly role: Role }): boolean => role !== 'member';
const isHead = ({ roster, by }: Asked): boolean =>
  by.role === 'founder' ||
  (by.role === 'admin' && ![...roster.members.values()].some(({ role }) => role === 'founder'));
const isInUse = ({ roster }: Asked, key: UserId): boolean =>
  roster.members.has(key) || roster.departed.has(key) || roster.invites.has(key);
const wasReplaced = ({ roster }: Asked, user: UserId): boolean =>
  (roster.departed.get(user)?.replacedBy ?? null) !== null;

/** "One who votes and one who manages are left." */
function areLeft({ next }: Asked): boolean {
  const rest = [...next.members.values()];
  return rest.some(({ votes }) => votes) && rest.some(manages);
}

/** "Invitations end …" */
function endInvites({ next }: Asked, user: UserId, used: readonly UserId[] = []): void {
  for (const [key, { author, invitee }] of next.invites) {
    if (author === user || invitee === user || used.includes(key)) next.invites.delete(key);
  }
}

function depart(is: Asked, user: UserId, isRemoved: boolean): boolean {
  const { name, cameBy } = is.next.members.get(user)!;
  is.next.members.delete(user);
  is.next.departed.set(user, {
    ...{ name, since: is.roster.number + 1, isRemoved, replacedBy: null, cameBy },
  });
  endInvites(is, user, isRemoved ? cameBy : []);
  return areLeft(is);
}

const invite: Rule = (is) => {
  const [key, uses, expires, invitee, archive] = is.fields as [Tree, Tree, Tree, Tree, Tree];
  const of = orNull<UserId>(idOf(invitee));
  if (!manages(is.by) || isInUse(is, idOf(key)) || is.roster.invites.size >= 64) return false;
  if (intOf(uses) < 1 || intOf(uses) > 1_000) return false;
  if (of !== null && (is.roster.members.has(of) || intOf(uses) !== 1 || wasReplaced(is, of))) {
    return false;
  }
  is.next.invites.set(idOf(key), {
    ...{ key: idOf(key), author: is.by.user, usesLeft: intOf(uses) },
    ...{ expires: intOf(expires), invitee: of, isArchive: intOf(archive) === 1 },
  });
  return true;
};

const revoke: Rule = (is) => manages(is.by) && is.next.invites.delete(idOf(is.fields[0]!));

const join: Rule = (is) => {
  const { roster, next, change } = is;
  const request = parse(shapes.STATEMENTS.join, is.fields[0]!.bytes);
  if (!request) return false;
  const [, , channel, number, hash, who, name, sealing, by] = request.parts as Tree[];
  if (idOf(channel!) !== (roster.channel as string)) return false;
  if (intOf(number!) !== roster.number || hexOf(hash!.bytes) !== roster.hash) return false;
  const user = idOf(who!);
  const open = next.invites.get(idOf(by!));
  if (!open || roster.members.has(user) || roster.members.size >= 128) return false;
  if (open.expires !== 0 && change.time > open.expires) return false;
  if (open.invitee !== null && open.invitee !== user) return false;
  if (open.isArchive !== (idOf(sealing!) === ZERO)) return false;
  if (roster.departed.get(user)?.isRemoved && open.invitee !== user) return false;
  if (wasReplaced(is, user)) return false;
  const voting = [...roster.members.values()].filter(({ votes }) => votes);
  if (voting.length === 1 && roster.members.size !== 1) return false;
  open.usesLeft -= 1;
  if (open.usesLeft === 0) next.invites.delete(open.key);
  endInvites(is, user);
  const former = next.departed.get(user)?.cameBy ?? [];
  next.departed.delete(user);
  next.members.set(user, {
    ...{ user, name: textOf(name!), role: 'member', votes: roster.members.size !== 1 },
    ...{ sealing: orNull<SealingPublic>(hexOf(sealing!.bytes)), since: roster.number + 1 },
    ...{ root: change.digest as Digest, recovery: null },
    cameBy: [...former.filter((key) => next.invites.has(key)), open.key],
  });
  return true;
};

const vote: Rule = (is) => {
  const member = is.next.members.get(idOf(is.fields[0]!));
  if (!(manages(is.by) || is.by.votes) || !member || member.votes) return false;
  member.votes = true;
  return true;
};

const relays: Rule = (is) => {
  const urls = is.fields[0]!.parts.map(textOf);
  is.next.relays = urls;
  return manages(is.by) && shapes.areRelays(urls);
};

const remove: Rule = (is) => {
  const user = idOf(is.fields[0]!);
  if (!manages(is.by) || is.by.user === user) return false;
  const member = is.roster.members.get(user);
  if (member) {
    if (member.role !== 'member' && (member.role === 'founder' || !isHead(is))) return false;
    return depart(is, user, true);
  }
  const gone = is.next.departed.get(user);
  if (!gone || gone.isRemoved) return false;
  gone.isRemoved = true;
  endInvites(is, user, gone.cameBy);
  return true;
};

const role: Rule = (is) => {
  const member = is.next.members.get(idOf(is.fields[0]!));
  const given: Role = intOf(is.fields[1]!) === 1 ? 'admin' : 'member';
  if (!member || member.role === 'founder' || member.role === given) return false;
  if (given === 'admin' && member.sealing === null) return false;
  const isOwn = member.user === is.by.user && given === 'member';
  if (!isHead(is) && !isOwn) return false;
  member.role = given;
  if (given === 'member') endInvites(is, member.user);
  return areLeft(is);
};

const replace: Rule = (is) => {
  const { roster, next, by: author } = is;
  const request = parse(shapes.STATEMENTS.replace, is.fields[0]!.bytes);
  if (!request) return false;
  const [, , channel, , , oldId, userId, name, sealing, recoveryId, byId] = request.parts as Tree[];
  const [old, user] = [next.members.get(idOf(oldId!)), idOf(userId!)];
  const [recovery, by] = [orNull<UserId>(idOf(recoveryId!)), orNull<UserId>(idOf(byId!))];
  if (by === null && is.fields[2]!.bytes.some((byte) => byte !== 0)) return false;
  if (idOf(channel!) !== (roster.channel as string) || !old || roster.members.size < 2)
    return false;
  if (by === null) {
    if (!manages(author) || author.user === old.user) return false;
    if (old.role !== 'member' && !isHead(is)) return false;
  } else if (by !== old.recovery) return false;
  if (isInUse(is, user)) return false;
  if ((idOf(sealing!) === ZERO) !== (old.sealing === null)) return false;
  if (recovery !== null && (recovery === user || isInUse(is, recovery))) return false;
  if (!depart(is, old.user, true) && ![...next.members.values()].some((m) => m.votes)) return false;
  endInvites(is, user);
  next.departed.get(old.user)!.replacedBy = user;
  next.members.set(user, {
    ...{ user, name: textOf(name!), role: old.role, votes: false, recovery, cameBy: [] },
    ...{ sealing: orNull<SealingPublic>(hexOf(sealing!.bytes)), since: roster.number + 1 },
    root: is.change.digest as Digest,
  });
  return true;
};

const recovery: Rule = (is) => {
  const request = parse(shapes.STATEMENTS.recovery, is.fields[0]!.bytes);
  if (!request) return false;
  const [, , channel, number, hash, user, keyId, byId] = request.parts as Tree[];
  const [key, by] = [idOf(keyId!), orNull<UserId>(idOf(byId!))];
  if (by === null && is.fields[1]!.bytes.some((byte) => byte !== 0)) return false;
  const { roster, by: author } = is;
  if (idOf(channel!) !== (roster.channel as string) || intOf(number!) !== roster.number)
    return false;
  if (hexOf(hash!.bytes) !== roster.hash || idOf(user!) !== author.user) return false;
  if (by !== author.recovery || key === author.recovery) return false;
  if (key === author.user || isInUse(is, key)) return false;
  is.next.members.get(author.user)!.recovery = key;
  return true;
};

const RULES: { readonly [K in Kind]: Rule } = {
  ...{ invite, revoke, join, vote, relays, remove, role, replace, recovery },
  leave: (is) => depart(is, is.by.user, false),
};
