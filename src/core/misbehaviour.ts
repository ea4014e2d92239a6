/**
 * Proofs of misbehaviour (docs/PROTOCOL.md, section "Misbehaviour"): two
 * statements under one key that nobody signs who follows the protocol. They
 * need no roster and no log: whoever knows the key knows whom they convict.
 *
 *     misbehaviour = channel 32 · offence u8 · offender 32 · two sides
 *
 *     0 records          side = record bytes · proof bytes
 *     1 ballots          side = statement bytes · sig 64
 *     2 proposals        seq u64 · side = hash 32 · headers list of header · statement bytes · sig 64
 *     3 acknowledgements the same
 *
 * In 2 and 3 the headers lead from `hash` at `seq`, which differ, to a point
 * that the statement names: so one leader proposed, or one member acknowledged
 * under one leadership, two chains. The sides are in the order of their bytes.
 */

import { type Reader, Writer } from './bytes.js';
import { readHeader, writeHeader } from './certificate.js';
import { chainOver, type Header, type Point } from './chain.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, UserId } from './ids.js';
import { RECORD_BODY_BYTES_MAX, TAIL_ENTRIES_MAX } from './limits.js';
import {
  decodeProof,
  decodeRecord,
  provenStatement,
  recordDigest,
  signedUnder,
  ZERO_BOOT,
} from './record.js';
import { decodeAs, type Signed } from './statements.js';

export const OFFENCES = ['records', 'ballots', 'proposals', 'acknowledgements'] as const;
export type Offence = (typeof OFFENCES)[number];

export interface RecordSide {
  readonly record: Uint8Array;
  readonly proof: Uint8Array;
}
export interface StatementSide {
  readonly statement: Uint8Array;
  readonly sig: Uint8Array;
}
/** A signed point, and how it lies behind the place where the two sides differ. */
export interface PlaceSide extends StatementSide {
  readonly hash: Digest;
  readonly headers: readonly Header[];
}

export interface Convicted {
  readonly channel: ChannelId;
  readonly offender: UserId;
}
export type Misbehaviour = Convicted &
  (
    | { readonly offence: 'records'; readonly sides: readonly [RecordSide, RecordSide] }
    | { readonly offence: 'ballots'; readonly sides: readonly [StatementSide, StatementSide] }
    | {
        readonly offence: 'proposals' | 'acknowledgements';
        readonly seq: number;
        readonly sides: readonly [PlaceSide, PlaceSide];
      }
  );

const RECORD_BYTES_MAX = RECORD_BODY_BYTES_MAX + 512;
const STATEMENT_BYTES_MAX = 512;

function writeSide(w: Writer, m: Misbehaviour, side: Misbehaviour['sides'][number]): Writer {
  if (m.offence === 'records') {
    const { record, proof } = side as RecordSide;
    return w.bytes(record).bytes(proof);
  }
  if (m.offence !== 'ballots') {
    const { hash, headers } = side as PlaceSide;
    w.id(hash).list(headers, (header) => writeHeader(w, header));
  }
  const { statement, sig } = side as StatementSide;
  return w.bytes(statement).raw(sig);
}

const sideBytes = (m: Misbehaviour, side: Misbehaviour['sides'][number]): Uint8Array =>
  writeSide(new Writer(1_024), m, side).kept();

function compare(a: Uint8Array, b: Uint8Array): number {
  const { length } = a;
  for (let i = 0; i < length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return length - b.length;
}

/** In whatever order the sides are given. */
export function writeMisbehaviour(w: Writer, m: Misbehaviour): Writer {
  w.id(m.channel).u8(OFFENCES.indexOf(m.offence)).id(m.offender);
  if ('seq' in m) w.u64(m.seq);
  const [one, other] = m.sides.map((side) => sideBytes(m, side)).sort(compare);
  return w.raw(one!).raw(other!);
}

/** Throws `bad_encoding` or `bad_proof`. */
export function readMisbehaviour(r: Reader): Misbehaviour {
  const channel = r.id<ChannelId>();
  const offence = OFFENCES[r.u8()];
  if (offence === undefined) throw new ConclaveError('bad_encoding', 'an unknown offence');
  const convicted = { channel, offender: r.id<UserId>() };
  const m = readSides(r, convicted, offence);
  const [one, other] = m.sides.map((side) => sideBytes(m, side));
  if (compare(one!, other!) >= 0) bad('its two sides are not in order');
  return m;
}

function readSides(r: Reader, convicted: Convicted, offence: Offence): Misbehaviour {
  if (offence === 'records') {
    const side = (): RecordSide => ({ record: r.bytes(RECORD_BYTES_MAX), proof: r.bytes(1_024) });
    return { ...convicted, offence, sides: [side(), side()] };
  }
  const signed = (): StatementSide => ({ statement: r.bytes(STATEMENT_BYTES_MAX), sig: r.raw(64) });
  if (offence === 'ballots') return { ...convicted, offence, sides: [signed(), signed()] };
  const seq = r.u64();
  const side = (): PlaceSide => ({
    hash: r.id<Digest>(),
    headers: r.list(TAIL_ENTRIES_MAX, () => readHeader(r)),
    ...signed(),
  });
  return { ...convicted, offence, seq, sides: [side(), side()] };
}

/** The records that contradict each other. */
export const disputedIn = (hash: Hash, m: Misbehaviour): Digest[] =>
  m.offence === 'records' ? m.sides.map(({ record }) => recordDigest(hash, record)) : [];

/** The newer of the rosters under which the two sides were signed. */
export const rosterOfOffence = (m: Misbehaviour): number => Math.max(...rostersOf(m));

function rostersOf(m: Misbehaviour): number[] {
  if (m.offence === 'records') return m.sides.map(({ proof }) => signedUnder(proof));
  const tag = { ballots: 'ballot', proposals: 'propose', acknowledgements: 'ack' } as const;
  return m.sides.map(({ statement }) => decodeAs(tag[m.offence], statement).roster);
}

function bad(why: string): never {
  throw new ConclaveError('bad_proof', `it convicts nobody: ${why}`);
}

/**
 * Checks that the two sides contradict each other; returns the signatures that
 * remain to be verified. Throws `bad_proof`, `bad_encoding` or `bad_record`.
 */
export function checkMisbehaviour(hash: Hash, m: Misbehaviour): Signed[] {
  switch (m.offence) {
    case 'records':
      return checkRecords(hash, m, m.sides);
    case 'ballots':
      return checkBallots(m, m.sides);
    default:
      return checkPlaces(hash, m, m.seq, m.sides);
  }
}

/** One author never uses a counter of one boot twice. */
function checkRecords(
  hash: Hash,
  { channel, offender }: Convicted,
  sides: readonly [RecordSide, RecordSide],
): Signed[] {
  const records = sides.map(({ record }) => decodeRecord(hash, record));
  const [one, other] = records as [(typeof records)[0], (typeof records)[0]];
  for (const record of records) {
    if (record.channel !== channel) bad('a record is of another channel');
    if (record.author !== offender) bad('a record is of another author');
  }
  if (one.boot !== other.boot || one.n !== other.n) bad('the records have different counters');
  if (one.boot === ZERO_BOOT) bad('what a leader places has no counter');
  if (one.digest === other.digest) bad('it is one record twice');
  return sides.map(({ proof }, i) => {
    const signed = provenStatement(hash, records[i]!, decodeProof(proof));
    return signed ?? bad("a record's proof does not lead to its batch");
  });
}

const signatures = (
  { offender }: Convicted,
  sides: readonly [StatementSide, StatementSide],
): Signed[] => sides.map(({ statement, sig }) => ({ by: offender, statement, sig }));

/** One voter gives one ballot for each kind and term. */
function checkBallots(
  convicted: Convicted,
  sides: readonly [StatementSide, StatementSide],
): Signed[] {
  const [one, other] = [
    decodeAs('ballot', sides[0].statement),
    decodeAs('ballot', sides[1].statement),
  ];
  if ([one, other].some((b) => b.channel !== convicted.channel))
    bad('a ballot is of another channel');
  if (one.kind !== other.kind || one.term !== other.term) bad('the ballots are of different terms');
  if (one.candidate === other.candidate && one.electorate === other.electorate) {
    bad('the ballots are for the same candidate');
  }
  return signatures(convicted, sides);
}

/** Under one leadership there is one chain: its leader proposes, and a member acknowledges, no two. */
function checkPlaces(
  hash: Hash,
  { channel, offence, offender }: Misbehaviour,
  seq: number,
  sides: readonly [PlaceSide, PlaceSide],
): Signed[] {
  const tag = offence === 'proposals' ? 'propose' : 'ack';
  const said = sides.map(({ statement }) => decodeAs<'propose' | 'ack'>(tag, statement));
  if (said.some((s) => s.channel !== channel)) bad('a statement is of another channel');
  if (said[0]!.epoch !== said[1]!.epoch) bad('the statements are of different leaderships');
  if (sides[0].hash === sides[1].hash) bad('the statements agree');
  sides.forEach(({ hash: at, headers }, i) => {
    const end = chainOver(hash, { seq, hash: at }, headers);
    if (!pointsOf(said[i]!).some((p) => p.seq === end.seq && p.hash === end.hash)) {
      bad('the headers do not lead to what was signed');
    }
  });
  return signatures({ channel, offender }, sides);
}

/** The points of a chain that a statement names. */
function pointsOf(said: ReturnType<typeof decodeAs<'propose' | 'ack'>>): Point[] {
  if (said.tag === 'ack') return [said];
  return [
    { seq: said.baseSeq, hash: said.baseHash },
    { seq: said.tipSeq, hash: said.tipHash },
  ];
}
