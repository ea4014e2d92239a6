/**
 * The `epoch` record: the first entry that a new roster leader places
 * (docs/PROTOCOL.md, section "Epoch records"). Its body is the election's
 * proof, so the log itself says who led when, and why that was right.
 *
 *     body = kind u8 · term u64 · leader 32 · electorate list of 32 · ballots list of (user 32 · sig 64)
 *
 * The same fields, behind the roster under which the election was held, are
 * the proof that travels with a branch, so that committed certificates can be
 * checked by who never followed their epoch:
 *
 *     proof = roster u64 · rosterHash 32 · body
 */

import { decodeWhole, type Reader, Writer } from './bytes.js';
import { type EpochDescriptor, electorateDigest, epochId } from './chain.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, EpochId, UserId } from './ids.js';
import { MEMBERS_PER_CHANNEL_MAX } from './limits.js';
import { isMajority } from './quorum.js';
import { type Ack, encodeStatement, type Signed } from './statements.js';

export interface EpochBody {
  readonly epoch: Pick<EpochDescriptor, 'kind' | 'term' | 'leader' | 'electorate'>;
  readonly ballots: readonly { readonly user: UserId; readonly sig: Uint8Array }[];
}

function writeBody(w: Writer, { epoch, ballots }: EpochBody): Writer {
  w.u8(epoch.kind === 'roster' ? 0 : 1)
    .u64(epoch.term)
    .id(epoch.leader);
  w.list(epoch.electorate, (user) => w.id(user));
  return w.list(ballots, (b) => w.id(b.user).raw(b.sig));
}

export const encodeEpochBody = (body: EpochBody): Uint8Array =>
  writeBody(new Writer(1024), body).done();

function readBody(r: Reader): EpochBody {
  const kind = r.u8();
  if (kind > 1) throw new ConclaveError('bad_encoding', 'an unknown kind of epoch');
  const epoch = {
    kind: kind === 0 ? ('roster' as const) : ('online' as const),
    term: r.u64(),
    leader: r.id<UserId>(),
    electorate: r.list(MEMBERS_PER_CHANNEL_MAX, () => r.id<UserId>()),
  };
  const ballots = r.list(MEMBERS_PER_CHANNEL_MAX, () => ({
    user: r.id<UserId>(),
    sig: r.raw(64),
  }));
  return { epoch, ballots };
}

/** Throws `bad_encoding`. */
export const decodeEpochBody = (bytes: Uint8Array): EpochBody => decodeWhole(bytes, readBody);

/** A leadership with what proves that it was elected. */
export interface ElectionProof {
  readonly id: EpochId;
  readonly epoch: EpochDescriptor;
  readonly ballots: EpochBody['ballots'];
}

export function encodeElectionProof({ epoch, ballots }: ElectionProof): Uint8Array {
  const w = new Writer(1024).u64(epoch.roster).id(epoch.rosterHash);
  return writeBody(w, { epoch, ballots }).done();
}

/** Throws `bad_encoding`. */
export function decodeElectionProof(
  hash: Hash,
  channel: ChannelId,
  bytes: Uint8Array,
): ElectionProof {
  return decodeWhole(bytes, (r) => {
    const context = { channel, roster: r.u64(), rosterHash: r.id<Digest>() };
    const { epoch: body, ballots } = readBody(r);
    const epoch = { ...context, ...body, electorate: [...new Set(body.electorate)].sort() };
    return { id: epochId(hash, epoch), epoch, ballots };
  });
}

/** The ballots as the statements that their voters signed. */
export function ballotSignatures(
  hash: Hash,
  { epoch, ballots }: Omit<ElectionProof, 'id'>,
): Signed[] {
  const { channel, roster, rosterHash, kind, term, leader, electorate } = epoch;
  const statement = encodeStatement({
    tag: 'ballot',
    channel,
    roster,
    rosterHash,
    kind,
    candidate: leader,
    term,
    electorate: electorateDigest(hash, electorate),
  });
  return ballots.map(({ user, sig }) => ({ by: user, statement, sig }));
}

/**
 * Whether these ballots, whose signatures were verified, elect the leader:
 * more than half of all voters in a roster epoch; in an online one more than
 * half of its electorate, which has at least `minOnline` and at most half of
 * the voters.
 */
export function isElected(
  epoch: Pick<EpochDescriptor, 'kind' | 'leader' | 'electorate'>,
  ballots: readonly { readonly user: UserId }[],
  voters: readonly UserId[],
  minOnline: number,
): boolean {
  const all = new Set(voters);
  const electorate = new Set(epoch.electorate);
  if (!electorate.has(epoch.leader) || [...electorate].some((user) => !all.has(user))) return false;
  if (!isElectorate(epoch.kind, electorate.size, all.size, minOnline)) return false;
  const counted = epoch.kind === 'roster' ? all : electorate;
  const cast = new Set(ballots.map((b) => b.user));
  return [...cast].every((user) => counted.has(user)) && isMajority(cast.size, counted.size);
}

/** Whether an acknowledgement is one under this leadership, in all that a certificate of it names. */
export const isAckUnder = ({ id, epoch }: Pick<ElectionProof, 'id' | 'epoch'>, ack: Ack): boolean =>
  ack.epoch === id &&
  ack.kind === epoch.kind &&
  ack.term === epoch.term &&
  ack.roster === epoch.roster &&
  ack.rosterHash === epoch.rosterHash;

/** Whether so many may be an electorate (docs/PROTOCOL.md, section "Elections"). */
export const isElectorate = (
  kind: EpochDescriptor['kind'],
  size: number,
  voters: number,
  minOnline: number,
): boolean =>
  kind === 'roster' ? isMajority(size, voters) : size >= minOnline && !isMajority(size, voters);
