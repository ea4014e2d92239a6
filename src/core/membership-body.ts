/**
 * Bodies of membership records (docs/PROTOCOL.md, section "Roster"): what each
 * kind says, its bytes, and the signatures inside. Whether a change is allowed
 * is the roster's to say (roster.ts).
 *
 * Bodies start with the roster number that they change (`base` u64) and are
 * valid on that one alone. Fields after it, by kind:
 *
 *     invite   key 32 · uses u16 · expires u64 (0: never) · invitee 32 (zero: anyone)
 *              · archive u8 (0 no, 1 yes)
 *     revoke   key 32
 *     join     request bytes · inviteSig 64 · userSig 64
 *     vote     user 32
 *     relays   list of text
 *     leave    nothing
 *     remove   user 32
 *     role     user 32 · role u8 (0 member, 1 admin)
 *     replace  request bytes · userSig 64 · bySig 64 (zero: nobody's)
 *     recovery request bytes · bySig 64 (zero: nobody's)
 */

import { decodeWhole, Writer } from './bytes.js';
import { ConclaveError } from './errors.js';
import { type UserId, userOrNull, userOrZero } from './ids.js';
import { RELAY_URL_BYTES_MAX, RELAYS_PER_CHANNEL_MAX } from './limits.js';
import type { ChannelRecord } from './record.js';
import {
  decodeAs,
  type JoinRequest,
  type RecoveryChange,
  type ReplaceRequest,
  readFlag,
  type Signed,
} from './statements.js';

/** Roles that a `role` record gives, as they are encoded. */
export const GIVEN_ROLES = ['member', 'admin'] as const;
export type GivenRole = (typeof GIVEN_ROLES)[number];

export const MEMBERSHIP_KINDS = [
  'invite',
  'revoke',
  'join',
  'vote',
  'relays',
  'leave',
  'remove',
  'role',
  'replace',
  'recovery',
] as const;
export type MembershipKind = (typeof MEMBERSHIP_KINDS)[number];

const IS_MEMBERSHIP: ReadonlySet<string> = new Set(MEMBERSHIP_KINDS);

export const isMembership = (kind: string): kind is MembershipKind => IS_MEMBERSHIP.has(kind);

/** Kinds that a leader places itself; they count in seq and hash and are never shown as messages. */
export const isLeaderKind = (kind: string): boolean => kind === 'epoch' || kind === 'merge';

export type MembershipBody =
  | {
      kind: 'invite';
      base: number;
      key: UserId;
      uses: number;
      expires: number;
      invitee: UserId | null;
      isArchive: boolean;
    }
  | { kind: 'revoke'; base: number; key: UserId }
  | { kind: 'join'; base: number; request: Uint8Array; inviteSig: Uint8Array; userSig: Uint8Array }
  | { kind: 'vote'; base: number; user: UserId }
  | { kind: 'relays'; base: number; relays: readonly string[] }
  | { kind: 'leave'; base: number }
  | { kind: 'remove'; base: number; user: UserId }
  | { kind: 'role'; base: number; user: UserId; role: GivenRole }
  | { kind: 'replace'; base: number; request: Uint8Array; userSig: Uint8Array; bySig: Uint8Array }
  | { kind: 'recovery'; base: number; request: Uint8Array; bySig: Uint8Array };

export function encodeMembership(body: MembershipBody): Uint8Array {
  const w = new Writer(256).u64(body.base);
  switch (body.kind) {
    case 'invite':
      return w
        .id(body.key)
        .u16(body.uses)
        .u64(body.expires)
        .id(userOrZero(body.invitee))
        .u8(body.isArchive ? 1 : 0)
        .done();
    case 'revoke':
      return w.id(body.key).done();
    case 'join':
      return w.bytes(body.request).raw(body.inviteSig).raw(body.userSig).done();
    case 'vote':
      return w.id(body.user).done();
    case 'relays':
      return w.list(body.relays, (url) => w.text(url)).done();
    case 'leave':
      return w.done();
    case 'remove':
      return w.id(body.user).done();
    case 'role':
      return w.id(body.user).u8(GIVEN_ROLES.indexOf(body.role)).done();
    case 'replace':
      return w.bytes(body.request).raw(body.userSig).raw(body.bySig).done();
    case 'recovery':
      return w.bytes(body.request).raw(body.bySig).done();
  }
}

const REQUEST_BYTES_MAX = 1_024;

/** Throws `bad_encoding`. */
export function decodeMembership(kind: MembershipKind, bytes: Uint8Array): MembershipBody {
  return decodeWhole(bytes, (r): MembershipBody => {
    const base = r.u64();
    switch (kind) {
      case 'invite':
        return {
          kind,
          base,
          key: r.id<UserId>(),
          uses: r.u16(),
          expires: r.u64(),
          invitee: userOrNull(r.id<UserId>()),
          isArchive: readFlag(r),
        };
      case 'revoke':
        return { kind, base, key: r.id<UserId>() };
      case 'join':
        return {
          kind,
          base,
          request: r.bytes(REQUEST_BYTES_MAX),
          inviteSig: r.raw(64),
          userSig: r.raw(64),
        };
      case 'vote':
        return { kind, base, user: r.id<UserId>() };
      case 'relays':
        return {
          kind,
          base,
          relays: r.list(RELAYS_PER_CHANNEL_MAX, () => r.text(RELAY_URL_BYTES_MAX)),
        };
      case 'leave':
        return { kind, base };
      case 'remove':
        return { kind, base, user: r.id<UserId>() };
      case 'role':
        return { kind, base, user: r.id<UserId>(), role: givenRole(r.u8()) };
      case 'replace':
        return {
          kind,
          base,
          request: r.bytes(REQUEST_BYTES_MAX),
          userSig: r.raw(64),
          bySig: r.raw(64),
        };
      case 'recovery':
        return { kind, base, request: r.bytes(REQUEST_BYTES_MAX), bySig: r.raw(64) };
    }
  });
}

function givenRole(code: number): GivenRole {
  const role = GIVEN_ROLES[code];
  if (role === undefined) throw new ConclaveError('bad_encoding', 'an unknown role');
  return role;
}

/** The two signatures inside a join: the invitation's secret and the joiner's own key, over one request. */
export function joinSignatures(body: MembershipBody & { kind: 'join' }): {
  request: JoinRequest;
  signed: Signed[];
} {
  const request = decodeAs('join', body.request);
  return {
    request,
    signed: [
      { by: request.invite, statement: body.request, sig: body.inviteSig },
      { by: request.user, statement: body.request, sig: body.userSig },
    ],
  };
}

/** Those inside a replacement: the new key's, and the recovery key's where the request names it. */
export function replaceSignatures(body: MembershipBody & { kind: 'replace' }): {
  request: ReplaceRequest;
  signed: Signed[];
} {
  const request = decodeAs('replace', body.request);
  const own = { by: request.user, statement: body.request, sig: body.userSig };
  return { request, signed: [own, ...signedBy(request, body)] };
}

/** That of the recovery key that another one follows. */
export function recoverySignatures(body: MembershipBody & { kind: 'recovery' }): {
  request: RecoveryChange;
  signed: Signed[];
} {
  const request = decodeAs('recovery', body.request);
  return { request, signed: signedBy(request, body) };
}

/** Throws `bad_encoding` for bytes in the place of a signature that nobody gives: they would be anyone's to change. */
function signedBy(
  { by }: { by: UserId | null },
  body: { request: Uint8Array; bySig: Uint8Array },
): Signed[] {
  if (by !== null) return [{ by, statement: body.request, sig: body.bySig }];
  if (body.bySig.every((byte) => byte === 0)) return [];
  throw new ConclaveError('bad_encoding', 'a signature of nobody');
}

/** The signatures inside a membership record's body. Throws `bad_encoding`. */
export function nestedSignatures(record: Pick<ChannelRecord, 'kind' | 'body'>): Signed[] {
  if (!isMembership(record.kind)) return [];
  const body = decodeMembership(record.kind, record.body);
  switch (body.kind) {
    case 'join':
      return joinSignatures(body).signed;
    case 'replace':
      return replaceSignatures(body).signed;
    case 'recovery':
      return recoverySignatures(body).signed;
    default:
      return [];
  }
}

/** Who is no member any more once this record is in force. */
export function departedBy({ kind, author, body }: ChannelRecord): UserId | undefined {
  if (kind === 'leave') return author;
  if (kind !== 'remove' && kind !== 'replace') return undefined;
  const change = decodeMembership(kind, body);
  if (change.kind === 'replace') return replaceSignatures(change).request.old;
  return change.kind === 'remove' ? change.user : undefined;
}

/** Who is a member once this record is in force, and was none before. */
export function enteredBy({ kind, body }: ChannelRecord): UserId | undefined {
  if (kind !== 'join' && kind !== 'replace') return undefined;
  const change = decodeMembership(kind, body);
  if (change.kind === 'join') return joinSignatures(change).request.user;
  return change.kind === 'replace' ? replaceSignatures(change).request.user : undefined;
}
