/**
 * The roster: who is a member, who votes, which invitations are open, which
 * relays the channel uses (docs/PROTOCOL.md, section "Roster"). A pure fold
 * over membership records: `applyMembership(roster, record)` gives the next
 * roster or says why the record is not valid on this one.
 *
 *     roster hash(0) = H("conclave/roster" · channel)
 *     roster hash(k) = H("conclave/roster" · hash(k-1) · k u64 · digest of the membership record)
 *
 * What the records say is in membership-body.ts.
 */

import { Writer } from './bytes.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { Genesis } from './genesis.js';
import type { ChannelId, Digest, SealingPublic, UserId } from './ids.js';
import { hex32 } from './ids.js';
import {
  INVITE_USES_MAX,
  MEMBERS_PER_CHANNEL_MAX,
  MIN_ONLINE_DEFAULT,
  OPEN_INVITES_MAX,
} from './limits.js';
import {
  decodeMembership,
  isMembership,
  joinSignatures,
  type MembershipBody,
  recoverySignatures,
  replaceSignatures,
} from './membership-body.js';
import type { ChannelRecord } from './record.js';
import { checkRelays } from './relay-url.js';
import type { JoinRequest } from './statements.js';

export {
  decodeMembership,
  departedBy,
  encodeMembership,
  enteredBy,
  GIVEN_ROLES,
  type GivenRole,
  isLeaderKind,
  isMembership,
  joinSignatures,
  MEMBERSHIP_KINDS,
  type MembershipBody,
  type MembershipKind,
  nestedSignatures,
  recoverySignatures,
  replaceSignatures,
} from './membership-body.js';

export type Role = 'founder' | 'admin' | 'member';

export interface Member {
  readonly user: UserId;
  readonly name: string;
  readonly role: Role;
  /** To which channel keys are sealed for it; null for an archive, which stores and never reads. */
  readonly sealing: SealingPublic | null;
  /** False for the second member until the third joins, and for a key that replaced another until it is given a vote. */
  readonly votes: boolean;
  /** Roster number from which on this is a member. */
  readonly since: number;
  /** `prev` of this member's first message: the record that made it one, or the channel id for the founder. */
  readonly root: Digest;
  /** Public half of the key that may put another key in its place; null while there is none. */
  readonly recovery: UserId | null;
  /** The invitations that it joined with, those of former times as far as they are open; none of the founder, or a key that replaced another. */
  readonly cameBy: readonly UserId[];
}

export interface OpenInvite {
  /** Ed25519 public key of the invitation's secret. */
  readonly key: UserId;
  readonly author: UserId;
  readonly usesLeft: number;
  /** ms since 1970; 0: never. */
  readonly expires: number;
  /** The one user that it is for, no member; null: anyone who was not removed. */
  readonly invitee: UserId | null;
  /** Who joins with it is an archive; else it is none. */
  readonly isArchive: boolean;
}

/** One who was a member and is none any more. */
export interface Departed {
  readonly name: string;
  /** The first roster without it. */
  readonly since: number;
  /** It was removed: only an invitation that names it brings it back. Else it left. */
  readonly isRemoved: boolean;
  /** The key that took its place: then it was removed, and nothing brings it back. */
  readonly replacedBy: UserId | null;
  /** The invitations that it had joined with: they end with its removal. */
  readonly cameBy: readonly UserId[];
}

export interface Roster {
  readonly channel: ChannelId;
  /** What the genesis says, for `minOnline`. */
  readonly policy: Pick<Genesis, 'minOnline' | 'few'>;
  readonly number: number;
  readonly hash: Digest;
  readonly members: ReadonlyMap<UserId, Member>;
  readonly invites: ReadonlyMap<UserId, OpenInvite>;
  readonly relays: readonly string[];
  readonly departed: ReadonlyMap<UserId, Departed>;
  /** The number of the first roster with these readers: channel keys of rosters before it are over. */
  readonly readersSince: number;
  /** Last final membership record of each author: `prev` of its next one. */
  readonly lastMembership: ReadonlyMap<UserId, Digest>;
}

/** Hash of roster 0, which the channel's id alone defines. */
export const rosterStart = (hash: Hash, channel: ChannelId): Digest =>
  hex32(hash(new Writer(64).text('conclave/roster').id(channel).done()));

export function genesisRoster(hash: Hash, channel: ChannelId, genesis: Genesis): Roster {
  const root = channel as string as Digest;
  const founder: Member = {
    user: genesis.founder,
    name: genesis.founderName,
    role: 'founder',
    sealing: genesis.founderSealing,
    votes: true,
    since: 0,
    root,
    recovery: null,
    cameBy: [],
  };
  return {
    channel,
    policy: { minOnline: genesis.minOnline, few: genesis.few },
    number: 0,
    hash: rosterStart(hash, channel),
    members: new Map([[founder.user, founder]]),
    invites: new Map(),
    relays: genesis.relays,
    departed: new Map(),
    readersSince: 0,
    lastMembership: new Map(),
  };
}

const knownVoters = new WeakMap<Roster, readonly UserId[]>();

/** Who votes under a roster, sorted. A roster is never changed, only replaced. */
export function voters(roster: Roster): readonly UserId[] {
  const known = knownVoters.get(roster);
  if (known) return known;
  const users = [...roster.members.values()].filter((m) => m.votes).map((m) => m.user);
  users.sort();
  knownVoters.set(roster, users);
  return users;
}

/** The name of who is or was a member, else nothing. */
export const nameIn = ({ members, departed }: Roster, user: UserId): string =>
  (members.get(user) ?? departed.get(user))?.name ?? '';

const mayManage = (member: Member): boolean => member.role !== 'member';

/** Whether a member gives roles, and removes who manages: the founder; once none is left, every admin. */
const isHead = ({ members }: Roster, { role }: Member): boolean =>
  role === 'founder' ||
  (role === 'admin' && ![...members.values()].some((m) => m.role === 'founder'));

/** What the next membership record of `author` must name as `prev`. */
export function membershipPrev(roster: Roster, author: UserId): Digest | undefined {
  return roster.lastMembership.get(author) ?? roster.members.get(author)?.root;
}

function refuse(why: string): never {
  throw new ConclaveError('bad_membership', why);
}

/**
 * The roster after `record`, whose signatures were verified. Throws
 * `bad_membership` when the record is not valid on this roster.
 */
export function applyMembership(hash: Hash, roster: Roster, record: ChannelRecord): Roster {
  if (!isMembership(record.kind)) refuse(`a record of kind ${record.kind} changes no membership`);
  const author = roster.members.get(record.author);
  if (!author) refuse('its author is not a member');
  if (record.prev !== membershipPrev(roster, record.author)) {
    refuse("its prev is not its author's last final membership record");
  }
  const body = decodeMembership(record.kind, record.body);
  if (body.base !== roster.number) {
    refuse(`it changes roster ${body.base}, the roster in force is ${roster.number}`);
  }
  const number = roster.number + 1;
  const w = new Writer(160).text('conclave/roster').id(roster.hash).u64(number).id(record.digest);
  const next = {
    ...roster,
    ...changed(roster, author, record, body),
    number,
    hash: hex32<Digest>(hash(w.done())),
  };
  return {
    ...next,
    readersSince: haveSameReaders(roster, next) ? roster.readersSince : number,
    lastMembership: new Map(roster.lastMembership).set(record.author, record.digest),
  };
}

/** Whether a member stores, acknowledges, votes and serves, and reads nothing. */
export const isArchive = ({ sealing }: Pick<Member, 'sealing'>): boolean => sealing === null;

export function isArchiveIn({ members }: Pick<Roster, 'members'>, user: UserId): boolean {
  const member = members.get(user);
  return member !== undefined && isArchive(member);
}

/** Who holds channel keys. */
export const readers = ({ members }: Pick<Roster, 'members'>): Member[] =>
  [...members.values()].filter((m) => !isArchive(m));

/**
 * How many members must be online under a roster for messages to be placed, and
 * must be the electorate of an online epoch: as the genesis says, but fewer than
 * three only while an archive is a member, unless the genesis says `always`.
 */
export function minOnline({ policy, members }: Pick<Roster, 'policy' | 'members'>): number {
  if (policy.few === 'always' || policy.minOnline >= MIN_ONLINE_DEFAULT) return policy.minOnline;
  return [...members.values()].some(isArchive) ? policy.minOnline : MIN_ONLINE_DEFAULT;
}

/** Whether a key that was made for one roster is for exactly the readers of the next. */
function haveSameReaders(before: Roster, after: Pick<Roster, 'members'>): boolean {
  if (before.members === after.members) return true;
  const now = readers(after);
  const isSame = ({ user, sealing, since }: Member): boolean => {
    const was = before.members.get(user);
    return was?.sealing === sealing && was.since === since;
  };
  return now.length === readers(before).length && now.every(isSame);
}

type Change = Partial<Pick<Roster, 'members' | 'invites' | 'relays' | 'departed'>>;

function changed(
  roster: Roster,
  author: Member,
  record: ChannelRecord,
  body: MembershipBody,
): Change {
  switch (body.kind) {
    case 'invite':
      return invited(roster, author, body);
    case 'revoke':
      return revoked(roster, author, body.key);
    case 'join':
      return joined(roster, record, body);
    case 'vote':
      return granted(roster, author, body.user);
    case 'relays':
      if (!mayManage(author)) refuse('only the founder or an admin changes the relays');
      try {
        checkRelays(body.relays);
      } catch (error) {
        refuse((error as Error).message);
      }
      return { relays: body.relays };
    case 'leave':
      return without(roster, author, false);
    case 'remove':
      return removed(roster, author, body.user);
    case 'role':
      return given(roster, author, body);
    case 'replace':
      return replaced(roster, author, record, body);
    case 'recovery':
      return recoverable(roster, author, body);
  }
}

/** A removal of one who left keeps it out: else a member could run from its removal, and come back. */
function removed(roster: Roster, author: Member, user: UserId): Change {
  if (!mayManage(author)) refuse('only the founder or an admin removes');
  if (author.user === user) refuse('nobody removes itself: it leaves');
  const member = roster.members.get(user);
  if (member) {
    if (mayManage(member) && !isHead(roster, author)) {
      refuse('only the founder removes an admin, and nobody the founder');
    }
    return without(roster, member, true);
  }
  const gone = roster.departed.get(user);
  if (!gone) refuse('there is no such member');
  if (gone.isRemoved) refuse('it was removed already');
  const departed = new Map(roster.departed).set(user, { ...gone, isRemoved: true });
  return { departed, invites: invitesWithout(roster, user, gone.cameBy) };
}

function given(
  roster: Roster,
  author: Member,
  { user, role }: MembershipBody & { kind: 'role' },
): Change {
  const member = roster.members.get(user);
  if (!member) refuse('there is no such member');
  if (member.role === role) refuse('it has that role already');
  if (role !== 'member' && isArchive(member)) refuse('an archive manages nothing');
  const stepsDown = author.user === user && role === 'member';
  if (!isHead(roster, author) && !stepsDown) refuse('only the founder gives and takes roles');
  if (member.role === 'founder') refuse('the founder stays founder');
  const members = new Map(roster.members).set(user, { ...member, role });
  checkRest(members);
  return { members, invites: role === 'member' ? invitesWithout(roster, user) : roster.invites };
}

/** The roster without a member. */
function without(roster: Roster, { user, name, cameBy }: Member, isRemoved: boolean): Change {
  const members = new Map(roster.members);
  members.delete(user);
  checkRest(members);
  const gone = { name, since: roster.number + 1, isRemoved, replacedBy: null, cameBy };
  const departed = new Map(roster.departed).set(user, gone);
  return { members, departed, invites: invitesWithout(roster, user, isRemoved ? cameBy : []) };
}

/**
 * A new key in the place of an old one, with its role. The old one is out as if
 * removed, and for good. Its vote goes with it, and the new one gets its own in
 * another change: one that took a voter and gave another would leave majorities
 * before and after it that have nobody in common.
 */
function replaced(
  roster: Roster,
  author: Member,
  record: ChannelRecord,
  body: MembershipBody & { kind: 'replace' },
): Change {
  const { request } = replaceSignatures(body);
  if (request.channel !== roster.channel) refuse('the request is for another channel');
  const old = roster.members.get(request.old);
  if (!old) refuse('there is no such member');
  if (roster.members.size === 1)
    refuse('it is the only member: nobody who holds the log would be left');
  checkMayReplace(roster, author, old, request.by);
  const { user, name, sealing, recovery } = request;
  if (isInUse(roster, user)) refuse('the new key is in use');
  if (isArchive(request) !== isArchive(old)) {
    refuse(`its place is that of ${isArchive(old) ? 'an archive' : 'one who reads'}`);
  }
  if (recovery !== null) checkRecovery(roster, user, recovery);
  const since = roster.number + 1;
  const member: Member = {
    ...{ user, name, role: old.role, sealing, votes: false, since },
    ...{ root: record.digest, recovery, cameBy: [] },
  };
  const members = new Map(roster.members);
  members.delete(old.user);
  members.set(user, member);
  checkRest(members);
  const { cameBy } = old;
  const gone = { name: old.name, since, isRemoved: true, replacedBy: user, cameBy };
  const departed = new Map(roster.departed).set(old.user, gone);
  const invites = invitesWithout({ invites: invitesWithout(roster, old.user, cameBy) }, user);
  return { members, departed, invites };
}

/** The member's own recovery key may, whoever proposes it; else who may remove it, and never it itself. */
function checkMayReplace(roster: Roster, author: Member, old: Member, by: UserId | null): void {
  if (by !== null) {
    if (by !== old.recovery) refuse("what signs the replacement is not the member's recovery key");
    return;
  }
  if (author.user === old.user) refuse('nobody replaces itself without its recovery key');
  if (!mayManage(author)) {
    refuse("only the founder, an admin or the member's recovery key replaces its key");
  }
  if (mayManage(old) && !isHead(roster, author)) {
    refuse(
      "only the founder or its recovery key replaces an admin's key, and only that the founder's",
    );
  }
}

/** The first recovery key is its member's to choose, another one needs the signature of the one before. */
function recoverable(
  roster: Roster,
  author: Member,
  body: MembershipBody & { kind: 'recovery' },
): Change {
  const { request } = recoverySignatures(body);
  if (
    request.channel !== roster.channel ||
    request.roster !== roster.number ||
    request.rosterHash !== roster.hash
  ) {
    refuse('the recovery key was chosen under another roster');
  }
  if (request.user !== author.user) refuse('a recovery key is registered by its own member alone');
  if (request.by !== author.recovery) {
    refuse('a recovery key changes with the signature of the one before alone');
  }
  if (request.key === author.recovery) refuse('it is the recovery key already');
  checkRecovery(roster, author.user, request.key);
  const members = new Map(roster.members).set(author.user, { ...author, recovery: request.key });
  return { members };
}

function checkRecovery(roster: Roster, user: UserId, key: UserId): void {
  if (key === user || isInUse(roster, key)) refuse('a recovery key is no key that is in use');
}

/** Whether a key is a member's, a former member's or an invitation's. */
const isInUse = ({ invites, members, departed }: Roster, key: UserId): boolean =>
  [invites, members, departed].some((known) => known.has(key));

/** No change of membership may be the last that is possible. */
function checkRest(members: Roster['members']): void {
  const rest = [...members.values()];
  if (rest.length === 0) refuse('it is the last member, and a channel has one at least');
  if (!rest.some(mayManage))
    refuse('nobody would be left who manages: make another an admin first');
  if (!rest.some((m) => m.votes))
    refuse('nobody would be left who votes: another gets a vote first');
}

/**
 * The open invitations that are neither of a user nor for it, nor `used`: whoever
 * is removed knows the secret of those that it came by, and would come back by
 * one of them under another name.
 */
const invitesWithout = (
  { invites }: Pick<Roster, 'invites'>,
  user: UserId,
  used: readonly UserId[] = [],
): Roster['invites'] =>
  new Map(
    [...invites].filter(
      ([key, { author, invitee }]) => author !== user && invitee !== user && !used.includes(key),
    ),
  );

function invited(
  roster: Roster,
  author: Member,
  body: MembershipBody & { kind: 'invite' },
): Change {
  if (!mayManage(author)) refuse('only the founder or an admin invites');
  if (isInUse(roster, body.key)) refuse('its key is in use');
  if (body.uses < 1 || body.uses > INVITE_USES_MAX) refuse(`uses must be 1 to ${INVITE_USES_MAX}`);
  if (roster.invites.size >= OPEN_INVITES_MAX)
    refuse(`${OPEN_INVITES_MAX} invitations are open already`);
  const { key, uses, expires, invitee: of, isArchive } = body;
  if (of !== null && (uses !== 1 || roster.members.has(of))) {
    refuse('an invitation for one user is for one who is no member, and has one use');
  }
  if (of !== null && wasReplaced(roster, of)) refuse('its invitee was replaced by another key');
  const invite = { key, author: author.user, usesLeft: uses, expires, invitee: of, isArchive };
  return { invites: new Map(roster.invites).set(body.key, invite) };
}

function revoked(roster: Roster, author: Member, key: UserId): Change {
  if (!mayManage(author)) refuse('only the founder or an admin revokes');
  const invite = roster.invites.get(key);
  if (!invite) refuse('there is no such open invitation');
  const invites = new Map(roster.invites);
  invites.delete(key);
  return { invites };
}

function joined(
  roster: Roster,
  record: ChannelRecord,
  body: MembershipBody & { kind: 'join' },
): Change {
  const { request } = joinSignatures(body);
  checkJoinRequest(roster, request, record.time);
  if (request.roster !== roster.number || request.rosterHash !== roster.hash) {
    refuse('the request was made under another roster');
  }
  const invite = roster.invites.get(request.invite)!;
  const invites = new Map(invitesWithout(roster, request.user));
  if (invite.usesLeft > 1) invites.set(invite.key, { ...invite, usesLeft: invite.usesLeft - 1 });
  else invites.delete(invite.key);
  if (roster.members.size > 1 && voters(roster).length === 1) {
    refuse('one member alone votes: another gets a vote first');
  }
  const former = roster.departed.get(request.user)?.cameBy ?? [];
  const member: Member = {
    user: request.user,
    name: request.name,
    role: 'member',
    sealing: request.sealing,
    votes: roster.members.size > 1,
    since: roster.number + 1,
    root: record.digest,
    recovery: null,
    cameBy: [...former.filter((key) => invites.has(key)), invite.key],
  };
  const departed = new Map(roster.departed);
  departed.delete(member.user);
  return { members: new Map(roster.members).set(member.user, member), invites, departed };
}

/** Who was a member and does not know that it is none asks with its own key, to be shown that. */
export const departedIn = (roster: Roster, request: JoinRequest): Departed | undefined =>
  request.channel === roster.channel && request.invite === request.user
    ? roster.departed.get(request.user)
    : undefined;

const wasReplaced = ({ departed }: Roster, user: UserId): boolean =>
  (departed.get(user)?.replacedBy ?? null) !== null;

/** The key that has the place of `user` now: its own, or that of the last one that replaced it. */
export function currentKey({ departed }: Pick<Roster, 'departed'>, user: UserId): UserId {
  let key = user;
  for (let next: UserId | null | undefined = key; next; next = departed.get(key)?.replacedBy) {
    key = next;
  }
  return key;
}

/** The keys that had the place of `user` before it, first to last. */
export function keysBefore({ departed }: Pick<Roster, 'departed'>, user: UserId): UserId[] {
  const keys: UserId[] = [];
  for (let of: UserId | undefined = user; of; ) {
    const at: UserId = of;
    of = [...departed].find(([, { replacedBy }]) => replacedBy === at)?.[0];
    if (of) keys.unshift(of);
  }
  return keys;
}

const NOT_OPEN =
  'the invitation is not open: it was used up or revoked, ended when somebody who came by it was removed, or was never final';

/** Throws `bad_membership` unless `request` may be admitted on this roster at `time` (ms since 1970). */
export function checkJoinRequest(roster: Roster, request: JoinRequest, time: number): void {
  if (request.channel !== roster.channel) refuse('the request is for another channel');
  if (roster.members.has(request.user)) refuse('the user is a member already');
  if (roster.members.size >= MEMBERS_PER_CHANNEL_MAX) {
    refuse(`the channel has ${MEMBERS_PER_CHANNEL_MAX} members, its limit`);
  }
  if (wasReplaced(roster, request.user)) refuse('the user was replaced by another key');
  const invite = roster.invites.get(request.invite);
  if (roster.departed.get(request.user)?.isRemoved && !invite?.invitee) {
    refuse('the user was removed: only an invitation that names it brings it back');
  }
  if (!invite) refuse(NOT_OPEN);
  if (invite.expires !== 0 && time > invite.expires) refuse('the invitation has expired');
  if (invite.invitee !== null && invite.invitee !== request.user) {
    refuse('the invitation is for another user');
  }
  if (invite.isArchive !== isArchive(request)) {
    refuse(`the invitation is for ${invite.isArchive ? 'an archive' : 'one who reads'}`);
  }
}

function granted(roster: Roster, author: Member, user: UserId): Change {
  if (!mayManage(author) && !author.votes) refuse('only who manages or votes gives a vote');
  const member = roster.members.get(user);
  if (!member || member.votes) refuse('there is no such member without a vote');
  return { members: new Map(roster.members).set(user, { ...member, votes: true }) };
}
