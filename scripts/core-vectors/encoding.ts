/**
 * The canonical encoding a second time, from the wire tables of
 * docs/PROTOCOL.md and node:crypto alone, so that the vectors that
 * make-core-vectors.ts writes can judge the core. Slow and plain: an encoding
 * is a string of hex digits, and a structure is a table of its fields.
 */

import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';

export type Hex = string;

const unsigned = (bytes: number) => (value: unknown) =>
  BigInt(value as number)
    .toString(16)
    .padStart(bytes * 2, '0');
export const u8 = unsigned(1);
export const u16 = unsigned(2);
export const u32 = unsigned(4);
export const u64 = unsigned(8);

export const utf8 = (text: string): Hex => Buffer.from(text, 'utf8').toString('hex');
/** A byte string behind its 4-byte length. */
export const bytes = (value: Hex): Hex => u32(value.length / 2) + value;
export const text = (value: string): Hex => bytes(utf8(value));
/** A list behind its 2-byte count. */
export const list = <T>(items: readonly T[], encode: (item: T) => Hex): Hex =>
  u16(items.length) + items.map(encode).join('');

export const sha256 = (input: Hex): Hex =>
  createHash('sha256').update(Buffer.from(input, 'hex')).digest('hex');

/** 26 digits of Crockford's base 32 → 16 bytes. */
export function ulid(value: string): Hex {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const number = [...value].reduce((sum, c) => sum * 32n + BigInt(digits.indexOf(c)), 0n);
  return number.toString(16).padStart(32, '0');
}

// Keys

/** PKCS #8 and SPKI of an Ed25519 key (RFC 8410), up to the 32 bytes of the key. */
const PKCS8 = '302e020100300506032b657004220420';
const SPKI_BYTES = 12;

export interface Actor {
  readonly name: string;
  readonly seed: Hex;
  readonly user: Hex;
}

const privateKey = (seed: Hex) =>
  createPrivateKey({ key: Buffer.from(PKCS8 + seed, 'hex'), format: 'der', type: 'pkcs8' });

export function actor(name: string, number: number): Actor {
  const seed = u8(number).repeat(32);
  const spki = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
  return { name, seed, user: spki.subarray(SPKI_BYTES).toString('hex') };
}

export const signed = (by: Actor, message: Hex): Hex =>
  sign(null, Buffer.from(message, 'hex'), privateKey(by.seed)).toString('hex');

// Structures

/** How a field of each type of the wire tables is encoded. */
const TYPES = {
  u8,
  u16,
  u32,
  u64,
  text,
  bytes,
  ulid,
  /** 16, 32 or 64 bytes as they are. */
  raw: (value: Hex) => value,
  /** Zeros for who holds no keys. */
  sealing: (value: Hex | null) => value ?? '00'.repeat(32),
  /** Zeros for nobody. */
  someone: (value: Hex | null) => value ?? '00'.repeat(32),
  flag: (value: boolean) => (value ? '01' : '00'),
  kind: (value: string) => ({ roster: '00', online: '01' })[value],
  few: (value: string) => ({ archive: '00', always: '01' })[value],
  quorum: (value: string) => ({ online: '00', roster: '01' })[value],
  history: (value: string) => ({ all: '00', joined: '01' })[value],
  role: (value: string) => ({ member: '00', admin: '01' })[value],
  texts: (value: string[]) => list(value, text),
  ids: (value: Hex[]) => list(value, (id) => id),
  boots: (value: Fields[]) => list(value, (b) => encode('boot ulid, batches u64', b)),
  heard: (value: Fields[]) => list(value, (h) => encode('user raw, boot ulid, counter u64', h)),
  header: (value: Fields) => encode(HEADER, value),
  headers: (value: Fields[]) => list(value, (h) => encode(HEADER, h)),
  acks: (value: Fields[]) => list(value, (a) => encode('user raw, seq u64, sig raw', a)),
  ballots: (value: Fields[]) => list(value, (b) => encode('user raw, sig raw', b)),
  branches: (value: Fields[]) =>
    list(value, (b) =>
      encode('epoch raw, kind kind, term u64, leader raw, entries u16, warrant bytes', b),
    ),
} as { readonly [type: string]: (value: never) => Hex };

const HEADER = 'epoch raw, term u64, roster u64, digest raw';

export type Fields = { readonly [field: string]: unknown };

/** Encodes `fields` as `table` says: names and types in the order of the wire. */
export function encode(table: string, fields: Fields): Hex {
  const parts = table.split(', ').map((column) => {
    const [name, type] = column.split(' ') as [string, string];
    if (fields[name] === undefined) throw new Error(`${name} is missing for "${table}"`);
    return TYPES[type]!(fields[name] as never);
  });
  return parts.join('');
}

const VERSION = '00';
const CONTEXT = 'channel raw, roster u64, rosterHash raw';
const CANDIDACY =
  'kind kind, candidate raw, round ulid, term u64, lastTerm u64, lastSeq u64' as const;

const STATEMENTS: { readonly [tag: string]: string } = {
  beacon: 'user raw, boot ulid, counter u64, batches u64, before boots, heard heard',
  records: `${CONTEXT}, root raw, count u16`,
  prevote: `${CONTEXT}, ${CANDIDACY}`,
  grant: `${CONTEXT}, ${CANDIDACY}`,
  lead: `${CONTEXT}, ${CANDIDACY}, electorate raw`,
  ballot: `${CONTEXT}, kind kind, candidate raw, term u64, electorate raw`,
  beat: `${CONTEXT}, epoch raw, term u64, beat u64, echo ulid`,
  propose: `${CONTEXT}, kind kind, epoch raw, term u64, beat u64, baseSeq u64, baseHash raw, tipSeq u64, tipHash raw, finalSeq u64, quiet flag`,
  ack: `${CONTEXT}, kind kind, epoch raw, term u64, seq u64, hash raw`,
  recall: `${CONTEXT}, round ulid, term u64, onlineTerm u64`,
  report: `${CONTEXT}, round ulid, term u64, promised u64, onlineTerm u64, onlinePromised u64, lastTerm u64, lastSeq u64, lastHash raw`,
  join: `${CONTEXT}, user raw, name text, sealing sealing, invite raw, seq u64, hash raw`,
  replace: `${CONTEXT}, old raw, user raw, name text, sealing sealing, recovery someone, by someone`,
  recovery: `${CONTEXT}, user raw, key raw, by someone`,
};

export const statement = (tag: string, fields: Fields): Hex =>
  text(`conclave/${tag}`) + VERSION + encode(STATEMENTS[tag]!, fields);

export const record = (fields: Fields): Hex =>
  VERSION +
  encode(
    'channel raw, author raw, boot ulid, n u64, prev raw, kind text, id ulid, time u64, keyEpoch u32, body bytes',
    fields,
  );

/** The tag of a record's digest has no length in front. */
export const recordDigest = (record: Hex): Hex => sha256(utf8('conclave/record') + record);

export const genesis = (fields: Fields): Hex =>
  text('conclave/genesis') +
  VERSION +
  encode(
    'founder raw, founderName text, founderSealing sealing, nameCommitment raw, salt raw, time u64, minOnline u8, few few, quorum quorum, history history, relays texts',
    fields,
  );

export const channelId = (genesis: Hex): Hex => sha256(text('conclave/channel') + bytes(genesis));

export const nameCommitment = (salt: Hex, name: string): Hex =>
  sha256(text('conclave/name') + salt + text(name));

export const chainStart = (channel: Hex): Hex => sha256(text('conclave/chain') + channel);

export const chainNext = (previous: Hex, seq: number, header: Fields): Hex =>
  sha256(text('conclave/chain') + previous + u64(seq) + encode(HEADER, header));

/** The digest of members in ascending order of their ids. */
export const electorateDigest = (electorate: readonly Hex[]): Hex =>
  sha256(text('conclave/electorate') + list([...electorate].sort(), (id) => id));

export const epochId = (fields: Fields & { electorate: readonly Hex[] }): Hex =>
  sha256(
    text('conclave/epoch') +
      encode('channel raw, kind kind, term u64, leader raw, roster u64, rosterHash raw', fields) +
      electorateDigest(fields.electorate),
  );

export const epochBody = (fields: Fields): Hex =>
  encode('kind kind, term u64, leader raw, electorate ids, ballots ballots', fields);

/** Hash at seq 0 of the chain of an online epoch. */
export const branchStart = (epoch: Hex): Hex => sha256(text('conclave/branch') + epoch);

export const electionProof = (fields: Fields): Hex =>
  encode('roster u64, rosterHash raw', fields) + epochBody(fields);

export const mergeBody = (fields: Fields): Hex => encode('entries u16, branches branches', fields);

export const rosterStart = (channel: Hex): Hex => sha256(text('conclave/roster') + channel);

export const rosterNext = (previous: Hex, number: number, digest: Hex): Hex =>
  sha256(text('conclave/roster') + previous + u64(number) + digest);

const MEMBERSHIP: { readonly [kind: string]: string } = {
  invite: 'base u64, key raw, uses u16, expires u64, invitee raw, isArchive flag',
  revoke: 'base u64, key raw',
  join: 'base u64, request bytes, inviteSig raw, userSig raw',
  vote: 'base u64, user raw',
  relays: 'base u64, relays texts',
  leave: 'base u64',
  remove: 'base u64, user raw',
  role: 'base u64, user raw, role role',
  replace: 'base u64, request bytes, userSig raw, bySig raw',
  recovery: 'base u64, request bytes, bySig raw',
};

export const membershipBody = (kind: string, fields: Fields): Hex =>
  encode(MEMBERSHIP[kind]!, fields);

/** By what it certifies, and the kind of the epoch that was acknowledged. */
const CERTIFICATES: { readonly [kinds: string]: Hex } = {
  'committed roster': '00',
  'final roster': '01',
  'committed online': '02',
};

export const certificate = (fields: Fields): Hex =>
  CERTIFICATES[`${fields.kind} ${fields.epochKind}`] +
  encode(
    `${CONTEXT}, epoch raw, term u64, seq u64, prevHash raw, head header, links headers, acks acks`,
    fields,
  );

export const step = (fields: Fields): Hex =>
  encode('seq u64, prevHash raw, headers headers, record bytes, proof bytes, cert bytes', fields);

// Merkle trees (RFC 6962, section 2.1), with the digests of records as leaves

const split = (count: number): number => 2 ** Math.floor(Math.log2(count - 1));

export function merkleRoot(digests: readonly Hex[]): Hex {
  if (digests.length === 1) return sha256(`00${digests[0]}`);
  const k = split(digests.length);
  return sha256(`01${merkleRoot(digests.slice(0, k))}${merkleRoot(digests.slice(k))}`);
}

/** The hashes beside the way from leaf `index` up to the root. */
export function merklePath(digests: readonly Hex[], index: number): Hex[] {
  if (digests.length === 1) return [];
  const k = split(digests.length);
  const [left, right] = [digests.slice(0, k), digests.slice(k)];
  return index < k
    ? [...merklePath(left, index), merkleRoot(right)]
    : [...merklePath(right, index - k), merkleRoot(left)];
}

export const proof = (fields: Fields): Hex =>
  encode('roster u64, rosterHash raw, count u16, index u16, path ids, sig raw', fields);
