/**
 * Signed statements (docs/PROTOCOL.md, section "Signed statements"). What is
 * signed is the statement's bytes, exactly as they travel:
 *
 *     statement = tag text · version u8 · context · fields
 *     context   = channel 32 · roster u64 · rosterHash 32      (all but beacons)
 *
 * so that no statement means anything in another kind, version, channel or
 * roster. Integers are big-endian, see bytes.ts. Fields by tag:
 *
 *     beacon    user 32 · boot 16 · counter u64 · batches u64 · before list of (boot 16 · batches u64) · heard list of (user 32 · boot 16 · counter u64)
 *     records   root 32 · count u16
 *     prevote   kind u8 · candidate 32 · round 16 · term u64 · lastTerm u64 · lastSeq u64
 *     grant     the same fields, signed by the voter
 *     lead      kind u8 · candidate 32 · round 16 · term u64 · lastTerm u64 · lastSeq u64 · electorate digest 32
 *     ballot    kind u8 · candidate 32 · term u64 · electorate digest 32
 *     beat      epoch 32 · term u64 · beat u64 · echo 16
 *     propose   kind u8 · epoch 32 · term u64 · beat u64 · baseSeq u64 · baseHash 32 · tipSeq u64 · tipHash 32 · finalSeq u64 · quiet u8
 *     ack       kind u8 · epoch 32 · term u64 · seq u64 · hash 32
 *     recall    round 16 · term u64 · onlineTerm u64
 *     report    round 16 · term u64 · promised u64 · onlineTerm u64 · onlinePromised u64 · lastTerm u64 · lastSeq u64 · lastHash 32
 *     join      user 32 · name text · sealing 32 · invite 32 · seq u64 · hash 32
 *     replace   old 32 · user 32 · name text · sealing 32 · recovery 32 · by 32
 *     recovery  user 32 · key 32 · by 32
 */

import { bytesEqual, decodeWhole, type Reader, utf8, Writer } from './bytes.js';
import { ConclaveError } from './errors.js';
import {
  type ChannelId,
  type Digest,
  type EpochId,
  type SealingPublic,
  sealingOrNull,
  sealingOrZero,
  type Ulid,
  type UserId,
  userOrNull,
  userOrZero,
} from './ids.js';
import { BEACON_HEARD_MAX, BOOTS_KEPT, NICKNAME_BYTES_MAX, PROTOCOL_VERSION } from './limits.js';
import { type BootBatches, readBootBatches, writeBoots } from './store-boots.js';

/** A statement with who signed it. `sig` is empty until the driver has signed. */
export interface Signed {
  readonly by: UserId;
  readonly statement: Uint8Array;
  sig: Uint8Array;
}

/** What every statement but a beacon starts with. */
export interface Context {
  readonly channel: ChannelId;
  readonly roster: number;
  readonly rosterHash: Digest;
}

export type EpochKind = 'roster' | 'online';

interface Candidacy {
  readonly kind: EpochKind;
  readonly candidate: UserId;
  /** Fresh for each attempt. */
  readonly round: Ulid;
  readonly term: number;
  readonly lastTerm: number;
  readonly lastSeq: number;
}

export interface HeardBeacon {
  readonly user: UserId;
  readonly boot: Ulid;
  readonly counter: number;
}

export interface Beacon extends HeardBeacon {
  readonly tag: 'beacon';
  /** Batches made durable in this boot, and in those before (store-boots.ts). */
  readonly batches: number;
  readonly before: readonly BootBatches[];
  readonly heard: readonly HeardBeacon[];
}

export interface Prevote extends Context, Candidacy {
  readonly tag: 'prevote';
}
export interface Grant extends Context, Candidacy {
  readonly tag: 'grant';
}
export interface Lead extends Context, Candidacy {
  readonly tag: 'lead';
  readonly electorate: Digest;
}
export interface Ballot extends Context {
  readonly tag: 'ballot';
  readonly kind: EpochKind;
  readonly candidate: UserId;
  readonly term: number;
  readonly electorate: Digest;
}
export interface Beat extends Context {
  readonly tag: 'beat';
  readonly epoch: EpochId;
  readonly term: number;
  readonly beat: number;
  /** The asker's challenge; zero when nobody asked. */
  readonly echo: Ulid;
}
export interface Propose extends Context {
  readonly tag: 'propose';
  readonly kind: EpochKind;
  readonly epoch: EpochId;
  readonly term: number;
  readonly beat: number;
  readonly baseSeq: number;
  readonly baseHash: Digest;
  readonly tipSeq: number;
  readonly tipHash: Digest;
  /** The leader's final point. */
  readonly finalSeq: number;
  /** The leader falls quiet after this; its beacon speaks for it. */
  readonly quiet: boolean;
}
export interface Ack extends Context {
  readonly tag: 'ack';
  /** An acknowledgement in an online epoch never counts towards a final certificate. */
  readonly kind: EpochKind;
  /** The leadership under which this is said. */
  readonly epoch: EpochId;
  readonly term: number;
  readonly seq: number;
  readonly hash: Digest;
}
/** A node that lost memory asks what it may have forgotten. */
export interface Recall extends Context {
  readonly tag: 'recall';
  /** Fresh for each attempt. */
  readonly round: Ulid;
  /** The highest terms of roster and online epochs that it knows of. */
  readonly term: number;
  readonly onlineTerm: number;
}
export interface Report extends Context {
  readonly tag: 'report';
  readonly round: Ulid;
  /** The highest term in which the voter voted or followed, and what it promised, for roster and online epochs. */
  readonly term: number;
  readonly promised: number;
  readonly onlineTerm: number;
  readonly onlinePromised: number;
  readonly lastTerm: number;
  readonly lastSeq: number;
  readonly lastHash: Digest;
}
export interface JoinRequest extends Context {
  readonly tag: 'join';
  readonly user: UserId;
  readonly name: string;
  /** As of a member (roster.ts). */
  readonly sealing: SealingPublic | null;
  /** Public key that belongs to the invitation's secret. */
  readonly invite: UserId;
  /** The final point that the joiner holds. */
  readonly seq: number;
  readonly hash: Digest;
}

/** A new key of a user asks for the place of its old one. Its context is that of roster 0. */
export interface ReplaceRequest extends Context {
  readonly tag: 'replace';
  readonly old: UserId;
  readonly user: UserId;
  readonly name: string;
  /** As of a member (roster.ts), and so is `recovery`, which is the new member's. */
  readonly sealing: SealingPublic | null;
  readonly recovery: UserId | null;
  /** The old one's recovery key, where that signs too; null where somebody who manages decides. */
  readonly by: UserId | null;
}
/** A member registers its recovery key, or another one. */
export interface RecoveryChange extends Context {
  readonly tag: 'recovery';
  readonly user: UserId;
  readonly key: UserId;
  /** The recovery key that it has, which signs this; null where it has none. */
  readonly by: UserId | null;
}

export type Statement =
  | Beacon
  | Prevote
  | Grant
  | Lead
  | Ballot
  | Beat
  | Propose
  | Ack
  | Recall
  | Report
  | JoinRequest
  | ReplaceRequest
  | RecoveryChange;

const KINDS: readonly EpochKind[] = ['roster', 'online'];

const TAGS = {
  beacon: utf8('conclave/beacon'),
  records: utf8('conclave/records'),
  prevote: utf8('conclave/prevote'),
  grant: utf8('conclave/grant'),
  lead: utf8('conclave/lead'),
  ballot: utf8('conclave/ballot'),
  beat: utf8('conclave/beat'),
  propose: utf8('conclave/propose'),
  ack: utf8('conclave/ack'),
  recall: utf8('conclave/recall'),
  report: utf8('conclave/report'),
  join: utf8('conclave/join'),
  replace: utf8('conclave/replace'),
  recovery: utf8('conclave/recovery'),
} as const;

function begin(tag: keyof typeof TAGS, context?: Context): Writer {
  const w = new Writer(256).bytes(TAGS[tag]).u8(PROTOCOL_VERSION);
  if (context) w.id(context.channel).u64(context.roster).id(context.rosterHash);
  return w;
}

function candidacy(w: Writer, c: Candidacy): Writer {
  return w
    .u8(KINDS.indexOf(c.kind))
    .id(c.candidate)
    .ulid(c.round)
    .u64(c.term)
    .u64(c.lastTerm)
    .u64(c.lastSeq);
}

/** The statement by which an author signs a batch of records. */
export function signedRecords(context: Context, root: Uint8Array, count: number): Uint8Array {
  return begin('records', context).raw(root).u16(count).done();
}

export function encodeStatement(s: Statement): Uint8Array {
  switch (s.tag) {
    case 'beacon': {
      const w = begin(s.tag).id(s.user).ulid(s.boot).u64(s.counter).u64(s.batches);
      writeBoots(w, s.before);
      return w.list(s.heard, (h) => w.id(h.user).ulid(h.boot).u64(h.counter)).done();
    }
    case 'prevote':
    case 'grant':
      return candidacy(begin(s.tag, s), s).done();
    case 'lead':
      return candidacy(begin(s.tag, s), s).id(s.electorate).done();
    case 'ballot':
      return begin(s.tag, s)
        .u8(KINDS.indexOf(s.kind))
        .id(s.candidate)
        .u64(s.term)
        .id(s.electorate)
        .done();
    case 'beat':
      return begin(s.tag, s).id(s.epoch).u64(s.term).u64(s.beat).ulid(s.echo).done();
    case 'propose':
      return begin(s.tag, s)
        .u8(KINDS.indexOf(s.kind))
        .id(s.epoch)
        .u64(s.term)
        .u64(s.beat)
        .u64(s.baseSeq)
        .id(s.baseHash)
        .u64(s.tipSeq)
        .id(s.tipHash)
        .u64(s.finalSeq)
        .u8(s.quiet ? 1 : 0)
        .done();
    case 'ack':
      return begin(s.tag, s)
        .u8(KINDS.indexOf(s.kind))
        .id(s.epoch)
        .u64(s.term)
        .u64(s.seq)
        .id(s.hash)
        .done();
    case 'recall':
      return begin(s.tag, s).ulid(s.round).u64(s.term).u64(s.onlineTerm).done();
    case 'report':
      return begin(s.tag, s)
        .ulid(s.round)
        .u64(s.term)
        .u64(s.promised)
        .u64(s.onlineTerm)
        .u64(s.onlinePromised)
        .u64(s.lastTerm)
        .u64(s.lastSeq)
        .id(s.lastHash)
        .done();
    case 'join':
      return begin(s.tag, s)
        .id(s.user)
        .text(s.name)
        .id(sealingOrZero(s.sealing))
        .id(s.invite)
        .u64(s.seq)
        .id(s.hash)
        .done();
    case 'replace':
      return begin(s.tag, s)
        .id(s.old)
        .id(s.user)
        .text(s.name)
        .id(sealingOrZero(s.sealing))
        .id(userOrZero(s.recovery))
        .id(userOrZero(s.by))
        .done();
    case 'recovery':
      return begin(s.tag, s).id(s.user).id(s.key).id(userOrZero(s.by)).done();
  }
}

function readKind(r: Reader): EpochKind {
  const kind = KINDS[r.u8()];
  if (kind === undefined) throw new ConclaveError('bad_encoding', 'an unknown kind of epoch');
  return kind;
}

function readCandidacy(r: Reader): Candidacy {
  return {
    kind: readKind(r),
    candidate: r.id<UserId>(),
    round: r.ulid(),
    term: r.u64(),
    lastTerm: r.u64(),
    lastSeq: r.u64(),
  };
}

export function readFlag(r: Reader): boolean {
  const flag = r.u8();
  if (flag > 1) throw new ConclaveError('bad_encoding', 'a flag that is neither 0 nor 1');
  return flag === 1;
}

function readContext(r: Reader): Context {
  return { channel: r.id<ChannelId>(), roster: r.u64(), rosterHash: r.id<Digest>() };
}

function readFields(tag: string, r: Reader): Statement {
  if (tag === 'beacon') {
    const heard = (): HeardBeacon => ({ user: r.id<UserId>(), boot: r.ulid(), counter: r.u64() });
    const { user, boot, counter } = heard();
    const batches = r.u64();
    const before = r.list(BOOTS_KEPT, () => readBootBatches(r));
    const others = r.list(BEACON_HEARD_MAX, heard);
    return { tag, user, boot, counter, batches, before, heard: others };
  }
  const { channel, roster, rosterHash } = readContext(r);
  switch (tag) {
    case 'prevote':
    case 'grant':
      return { tag, channel, roster, rosterHash, ...readCandidacy(r) };
    case 'lead':
      return { tag, channel, roster, rosterHash, ...readCandidacy(r), electorate: r.id<Digest>() };
    case 'ballot':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        kind: readKind(r),
        candidate: r.id<UserId>(),
        term: r.u64(),
        electorate: r.id<Digest>(),
      };
    case 'beat':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        epoch: r.id<EpochId>(),
        term: r.u64(),
        beat: r.u64(),
        echo: r.ulid(),
      };
    case 'propose':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        kind: readKind(r),
        epoch: r.id<EpochId>(),
        term: r.u64(),
        beat: r.u64(),
        baseSeq: r.u64(),
        baseHash: r.id<Digest>(),
        tipSeq: r.u64(),
        tipHash: r.id<Digest>(),
        finalSeq: r.u64(),
        quiet: readFlag(r),
      };
    case 'ack':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        kind: readKind(r),
        epoch: r.id<EpochId>(),
        term: r.u64(),
        seq: r.u64(),
        hash: r.id<Digest>(),
      };
    case 'recall':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        round: r.ulid(),
        term: r.u64(),
        onlineTerm: r.u64(),
      };
    case 'report':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        round: r.ulid(),
        term: r.u64(),
        promised: r.u64(),
        onlineTerm: r.u64(),
        onlinePromised: r.u64(),
        lastTerm: r.u64(),
        lastSeq: r.u64(),
        lastHash: r.id<Digest>(),
      };
    case 'join':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        user: r.id<UserId>(),
        name: r.text(NICKNAME_BYTES_MAX),
        sealing: sealingOrNull(r.id<SealingPublic>()),
        invite: r.id<UserId>(),
        seq: r.u64(),
        hash: r.id<Digest>(),
      };
    case 'replace':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        old: r.id<UserId>(),
        user: r.id<UserId>(),
        name: r.text(NICKNAME_BYTES_MAX),
        sealing: sealingOrNull(r.id<SealingPublic>()),
        recovery: userOrNull(r.id<UserId>()),
        by: userOrNull(r.id<UserId>()),
      };
    case 'recovery':
      return {
        tag,
        channel,
        roster,
        rosterHash,
        user: r.id<UserId>(),
        key: r.id<UserId>(),
        by: userOrNull(r.id<UserId>()),
      };
    default:
      throw new ConclaveError('bad_encoding', 'a statement of an unknown kind');
  }
}

/** The kind of statement that starts with these bytes; most often it is the `likely` one. */
function tagOf(bytes: Uint8Array, likely: Statement['tag'] | undefined): string {
  if (likely && bytesEqual(TAGS[likely], bytes)) return likely;
  for (const tag in TAGS) if (bytesEqual(TAGS[tag as keyof typeof TAGS], bytes)) return tag;
  throw new ConclaveError('bad_encoding', 'a statement of an unknown kind');
}

/** Throws `bad_encoding`. */
export function decodeStatement(bytes: Uint8Array, likely?: Statement['tag']): Statement {
  return decodeWhole(bytes, (r) => {
    const tag = tagOf(r.bytes(32), likely);
    if (r.u8() !== PROTOCOL_VERSION) {
      throw new ConclaveError('bad_encoding', 'a statement of another protocol version');
    }
    return readFields(tag, r);
  });
}

/** Like `decodeStatement`, for a place where only one kind may stand. */
export function decodeAs<T extends Statement['tag']>(
  tag: T,
  bytes: Uint8Array,
): Extract<Statement, { tag: T }> {
  const statement = decodeStatement(bytes, tag);
  if (statement.tag !== tag) {
    throw new ConclaveError('bad_encoding', `a ${statement.tag} statement where a ${tag} belongs`);
  }
  return statement as Extract<Statement, { tag: T }>;
}
