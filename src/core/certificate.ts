/**
 * Certificates: proofs, checkable offline, that a prefix of the log is
 * committed or final (docs/PROTOCOL.md, section "Certificates"), and the
 * steps that lead from one roster to the next.
 *
 *     header = epoch 32 · term u64 · roster u64 · digest 32
 *     cert   = kind u8 (0 committed, 1 final, 2 committed in an online epoch) · channel 32 · roster u64 · rosterHash 32 · epoch 32 · term u64 · seq u64
 *            · prevHash 32 · head header · links list of header · acks list of (user 32 · seq u64 · sig 64)
 *     step   = seq u64 · prevHash 32 · headers list of header · record bytes · proof bytes · cert bytes
 *
 * `head` is the entry at the certified seq, which must be of the leadership
 * under which the acknowledgements were given: counting acknowledgements of an
 * older entry would certify what can still be replaced (Raft, section 5.4.2,
 * figure 8). `links` are the headers after it, up to the furthest
 * acknowledgement, since those are cumulative.
 */

import { decodeWhole, type Reader, Writer } from './bytes.js';
import {
  type Chain,
  chainNext,
  chainOver,
  type EpochDescriptor,
  type Header,
  knownNext,
  type Point,
} from './chain.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, EpochId, UserId } from './ids.js';
import { MEMBERS_PER_CHANNEL_MAX, RECORD_BODY_BYTES_MAX, TAIL_ENTRIES_MAX } from './limits.js';
import { isMajority } from './quorum.js';
import { BatchProofs, type ChannelRecord, decodeProof, decodeRecord } from './record.js';
import { applyMembership, minOnline, nestedSignatures, type Roster, voters } from './roster.js';
import { type Context, type EpochKind, encodeStatement, type Signed } from './statements.js';

export interface CertAck {
  readonly user: UserId;
  /** Up to where this member acknowledged, at or after the certified seq. */
  readonly seq: number;
  readonly sig: Uint8Array;
}

export interface Certificate extends Context {
  readonly kind: 'committed' | 'final';
  /** Kind of the epoch whose members acknowledged; a final one is of a roster epoch. */
  readonly epochKind: EpochKind;
  readonly epoch: EpochId;
  readonly term: number;
  readonly seq: number;
  readonly prevHash: Digest;
  readonly head: Header;
  readonly links: readonly Header[];
  readonly acks: readonly CertAck[];
}

export interface RosterStep {
  /** Seq of the membership record. */
  readonly seq: number;
  /** Chain hash before it. */
  readonly prevHash: Digest;
  /** Headers from the membership record up to, not including, the certified entry. */
  readonly headers: readonly Header[];
  readonly record: Uint8Array;
  readonly proof: Uint8Array;
  readonly cert: Uint8Array;
}

export function writeHeader(w: Writer, h: Header): void {
  w.id(h.epoch).u64(h.term).u64(h.roster).id(h.digest);
}

export function readHeader(r: Reader): Header {
  return { epoch: r.id<EpochId>(), term: r.u64(), roster: r.u64(), digest: r.id<Digest>() };
}

export function encodeHeaders(headers: readonly Header[]): Uint8Array {
  const w = new Writer(2 + headers.length * 80);
  return w.list(headers, (h) => writeHeader(w, h)).done();
}

export const decodeHeaders = (bytes: Uint8Array, max: number): Header[] =>
  decodeWhole(bytes, (r) => r.list(max, () => readHeader(r)));

export function encodeCertificate(c: Certificate): Uint8Array {
  const w = new Writer(320 + c.links.length * 80 + c.acks.length * 104);
  w.u8(c.kind === 'final' ? 1 : c.epochKind === 'online' ? 2 : 0)
    .id(c.channel)
    .u64(c.roster)
    .id(c.rosterHash);
  w.id(c.epoch).u64(c.term).u64(c.seq).id(c.prevHash);
  writeHeader(w, c.head);
  w.list(c.links, (h) => writeHeader(w, h));
  return w.list(c.acks, (a) => w.id(a.user).u64(a.seq).raw(a.sig)).done();
}

/** Throws `bad_encoding`. */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  return decodeWhole(bytes, (r) => {
    const kind = r.u8();
    if (kind > 2) throw new ConclaveError('bad_encoding', 'an unknown kind of certificate');
    return {
      kind: kind === 1 ? ('final' as const) : ('committed' as const),
      epochKind: kind === 2 ? ('online' as const) : ('roster' as const),
      channel: r.id<ChannelId>(),
      roster: r.u64(),
      rosterHash: r.id<Digest>(),
      epoch: r.id<EpochId>(),
      term: r.u64(),
      seq: r.u64(),
      prevHash: r.id<Digest>(),
      head: readHeader(r),
      links: r.list(TAIL_ENTRIES_MAX, () => readHeader(r)),
      acks: r.list(MEMBERS_PER_CHANNEL_MAX, () => ({
        user: r.id<UserId>(),
        seq: r.u64(),
        sig: r.raw(64),
      })),
    };
  });
}

export function encodeStep(s: RosterStep): Uint8Array {
  const w = new Writer(1024).u64(s.seq).id(s.prevHash);
  w.list(s.headers, (h) => writeHeader(w, h));
  return w.bytes(s.record).bytes(s.proof).bytes(s.cert).done();
}

const RECORD_BYTES_MAX = RECORD_BODY_BYTES_MAX + 512;
const CERT_BYTES_MAX = 512 + TAIL_ENTRIES_MAX * 80 + MEMBERS_PER_CHANNEL_MAX * 104;

/** Throws `bad_encoding`. */
export function decodeStep(bytes: Uint8Array): RosterStep {
  return decodeWhole(bytes, (r) => ({
    seq: r.u64(),
    prevHash: r.id<Digest>(),
    headers: r.list(TAIL_ENTRIES_MAX, () => readHeader(r)),
    record: r.bytes(RECORD_BYTES_MAX),
    proof: r.bytes(1_024),
    cert: r.bytes(CERT_BYTES_MAX),
  }));
}

function bad(why: string): never {
  throw new ConclaveError('bad_certificate', `a certificate does not hold: ${why}`);
}

/** The point that a certificate certifies. */
export const certifiedPoint = (hash: Hash, c: Certificate): Point => ({
  seq: c.seq,
  hash: chainNext(hash, c.prevHash, c.seq, c.head),
});

/** The acknowledgements of a certificate as the statements that their members signed. */
export function certificateSignatures(hash: Hash, c: Certificate, known?: Chain): Signed[] {
  const hashes = [certifiedPoint(hash, c).hash];
  c.links.forEach((link, i) => {
    const seq = c.seq + i + 1;
    const here = known && knownNext(known, hashes[i]!, seq, link);
    hashes.push(here ?? chainNext(hash, hashes[i]!, seq, link));
  });
  const { channel, roster, rosterHash, epochKind: kind, epoch, term } = c;
  return c.acks.map((ack) => {
    const at = hashes[ack.seq - c.seq];
    if (at === undefined) bad('an acknowledgement lies outside its links');
    return {
      by: ack.user,
      statement: encodeStatement({
        tag: 'ack',
        channel,
        roster,
        rosterHash,
        kind,
        epoch,
        term,
        seq: ack.seq,
        hash: at,
      }),
      sig: ack.sig,
    };
  });
}

/** Whom a certificate of a roster may count: its voters; and how many an online epoch takes. */
export interface Electors {
  readonly channel: ChannelId;
  readonly number: number;
  /** Of the roster. */
  readonly hash: Digest;
  readonly voters: readonly UserId[];
  readonly minOnline: number;
}

export const electorsOf = (roster: Roster): Electors => ({
  channel: roster.channel,
  number: roster.number,
  hash: roster.hash,
  voters: voters(roster),
  minOnline: minOnline(roster),
});

/**
 * What is wrong with a final certificate, its signatures aside; undefined when
 * it is one of more than half of a roster's voters, each counted once, over an
 * entry of its own leadership.
 */
export function finalFlaw(c: Certificate, roster: Electors): string | undefined {
  if (c.kind !== 'final') return 'it is not a final one';
  if (c.channel !== roster.channel) return 'it is of another channel';
  if (c.roster !== roster.number || c.rosterHash !== roster.hash) return 'it is of another roster';
  if (c.head.epoch !== c.epoch || c.head.term !== c.term) {
    return 'the certified entry is not of the leadership that was acknowledged';
  }
  const votes = new Set(roster.voters);
  const counted = new Set<UserId>();
  for (const ack of c.acks) {
    if (!votes.has(ack.user)) return `${ack.user} has no vote`;
    if (counted.has(ack.user)) return `${ack.user} is counted twice`;
    counted.add(ack.user);
  }
  if (!isMajority(counted.size, votes.size))
    return `${counted.size} of ${votes.size} is no majority`;
  return undefined;
}

/** Throws `bad_certificate` where `finalFlaw` finds one. */
export function checkFinalCertificate(c: Certificate, roster: Roster): void {
  const flaw = finalFlaw(c, electorsOf(roster));
  if (flaw !== undefined) bad(flaw);
}

/**
 * What is wrong with a committed certificate, its signatures aside; undefined
 * when more than half of the electorate of the epoch acknowledged an entry of
 * that epoch, each member counted once.
 */
export function committedFlaw(
  c: Certificate,
  id: EpochId,
  epoch: EpochDescriptor,
): string | undefined {
  if (c.kind !== 'committed') return 'it is not one of commitment';
  if (c.channel !== epoch.channel) return 'it is of another channel';
  if (c.epoch !== id || c.term !== epoch.term || c.epochKind !== epoch.kind) {
    return 'it is of another epoch';
  }
  if (c.roster !== epoch.roster || c.rosterHash !== epoch.rosterHash)
    return 'it is of another roster';
  if (c.head.epoch !== c.epoch || c.head.term !== c.term) {
    return 'the certified entry is not of the leadership that was acknowledged';
  }
  const electorate = new Set(epoch.electorate);
  const counted = new Set<UserId>();
  for (const ack of c.acks) {
    if (!electorate.has(ack.user)) return `${ack.user} is not of the electorate`;
    if (counted.has(ack.user)) return `${ack.user} is counted twice`;
    counted.add(ack.user);
  }
  if (!isMajority(counted.size, electorate.size)) {
    return `${counted.size} of ${electorate.size} is no majority`;
  }
  return undefined;
}

/** Throws `bad_certificate` where `committedFlaw` finds one. */
export function checkCommittedCertificate(
  c: Certificate,
  id: EpochId,
  epoch: EpochDescriptor,
): void {
  const flaw = committedFlaw(c, id, epoch);
  if (flaw !== undefined) bad(flaw);
}

/**
 * Checks that a record stands where a step says, before an entry that a final
 * certificate of `roster` certifies. Returns the signatures that remain to be
 * verified. Throws `bad_certificate`, `bad_record` or `bad_encoding`.
 */
export function checkInclusion(
  hash: Hash,
  roster: Roster,
  step: RosterStep,
): {
  record: ChannelRecord;
  header: Header;
  cert: Certificate;
  point: Point;
  signatures: Signed[];
} {
  const cert = decodeCertificate(step.cert);
  checkFinalCertificate(cert, roster);
  const record = decodeRecord(hash, step.record);
  const header = step.headers[0] ?? cert.head;
  if (header.digest !== record.digest) bad('its step names another record');
  if (cert.seq !== step.seq + step.headers.length) bad('its step has a gap');
  const before = chainOver(hash, { seq: step.seq - 1, hash: step.prevHash }, step.headers);
  if (before.hash !== cert.prevHash) bad('its step is of another chain');
  if (record.channel !== roster.channel) bad('its record is of another channel');
  return {
    record,
    header,
    cert,
    point: certifiedPoint(hash, cert),
    signatures: [
      ...recordSignatures(hash, record, step.proof),
      ...certificateSignatures(hash, cert),
    ],
  };
}

/**
 * Checks one roster step against the roster that it changes. Returns the next
 * roster, the certified point and the signatures that remain to be verified.
 * Throws `bad_certificate`, `bad_membership`, `bad_record` or `bad_encoding`.
 */
export function checkStep(
  hash: Hash,
  roster: Roster,
  step: RosterStep,
): { roster: Roster; record: ChannelRecord; point: Point; signatures: Signed[] } {
  const { record, point, signatures } = checkInclusion(hash, roster, step);
  return { roster: applyMembership(hash, roster, record), record, point, signatures };
}

/** The signatures that a record carries: its author's, unless `batches` lists it already, and those inside a membership record. Throws on a bad proof. */
export function recordSignatures(
  hash: Hash,
  record: ChannelRecord,
  proof: Uint8Array,
  batches = new BatchProofs(hash),
): Signed[] {
  const statement = batches.statementOf(record, decodeProof(proof));
  if (statement === undefined) {
    throw new ConclaveError('bad_record', "a record's proof does not lead to its batch");
  }
  const nested = nestedSignatures(record);
  return statement === null ? nested : [statement, ...nested];
}
