/**
 * Every canonical value: what is signed, hashed or stored. What the decoder
 * accepts is exactly what the slow reader of grammar.ts accepts, it encodes to
 * the same bytes again, and takes memory in proportion to them.
 */

import {
  decodeCertificate,
  decodeHeaders,
  decodeStep,
  encodeCertificate,
  encodeHeaders,
  encodeStep,
} from '../../../src/core/certificate.js';
import {
  decodeElectionProof,
  decodeEpochBody,
  type ElectionProof,
  encodeElectionProof,
  encodeEpochBody,
} from '../../../src/core/epoch-record.js';
import { decodeGenesis, encodeGenesis } from '../../../src/core/genesis.js';
import type { ChannelId } from '../../../src/core/ids.js';
import {
  decodeConviction,
  decodeEntry,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodePoint,
  decodeRawEntry,
  decodeRun,
  decodeSigned,
  decodeStoredGenesis,
  encodeConviction,
  encodeEntry,
  encodeFinal,
  encodeHardState,
  encodeOffer,
  encodePoint,
  encodeRun,
  encodeSigned,
  encodeStoredGenesis,
  type RawPlace,
} from '../../../src/core/layout.js';
import { decodeMergeBody, encodeMergeBody } from '../../../src/core/merge-record.js';
import { decodePortableProof, encodePortableProof } from '../../../src/core/portable-proof.js';
import { decodePrivate, encodePrivate } from '../../../src/core/private-statements.js';
import {
  type ChannelRecord,
  decodeProof,
  decodeRecord,
  encodeProof,
  encodeRecord,
} from '../../../src/core/record.js';
import { decodeMembership, encodeMembership, MEMBERSHIP_KINDS } from '../../../src/core/roster.js';
import { decodeAs, decodeStatement, encodeStatement } from '../../../src/core/statements.js';
import { bootsOf, encodeBoots } from '../../../src/core/store-boots.js';
import { nativeCrypto } from '../../../src/native/crypto-native.js';
import { decodeKeys, encodeKeys } from '../../../src/node/keys-record.js';
import type { Dice } from '../dice.js';
import { parse, type Shape, type Tree } from '../grammar.js';
import { someBytes } from '../mutations.js';
import * as shapes from '../shapes.js';
import { must, mustBeBounded, same, type Target, typed } from '../target.js';

const hash = nativeCrypto.sha256;
const CHANNEL = '7'.repeat(64) as ChannelId;

interface Codec<T> {
  readonly what: string;
  readonly shape: Shape;
  readonly decode: (bytes: Uint8Array) => T;
  readonly encode: (value: T) => Uint8Array;
  readonly codes?: readonly string[];
  readonly share?: number;
  /** Where a value has several encodings that are all accepted, what they have in common. */
  readonly isCanonical?: (tree: Tree) => boolean;
}

const encodeRecordOf = (record: ChannelRecord): Uint8Array => encodeRecord(hash, record).bytes;

/** `encodeRun` takes records as they are in memory; of those it writes the bytes alone. */
const encodeRawRun = (places: readonly RawPlace[]): Uint8Array =>
  encodeRun(
    places.map(({ header, hash: at, record, proof }) => ({
      ...{ header, hash: at },
      offer: { record: { bytes: record } as ChannelRecord, proof },
    })),
  );

/** The electorate of a proof is a set: any order and repetition of it is taken. */
function hasSortedElectorate(tree: Tree): boolean {
  const electorate = tree.parts[5]!.parts.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
  return electorate.every((user, i) => i === 0 || electorate[i - 1]! < user);
}

/** A run of no places says of no leadership anything: no encoder writes one. */
const hasItems = (tree: Tree): boolean => tree.parts.at(-1)!.parts.length > 0;

const codec = <T>(c: Codec<T>): Codec<T> => c;
const RECORD_CODES = ['bad_encoding', 'bad_record'];

const CODECS = {
  header: codec({
    what: 'lists of headers',
    shape: shapes.headers,
    decode: (b) => decodeHeaders(b, 1_024),
    encode: encodeHeaders,
  }),
  record: codec({
    what: 'records',
    shape: shapes.record,
    decode: (b) => decodeRecord(hash, b),
    encode: encodeRecordOf,
    codes: RECORD_CODES,
    share: 40,
  }),
  proof: codec({
    what: 'proofs of records',
    shape: shapes.proof,
    decode: decodeProof,
    encode: encodeProof,
  }),
  certificate: codec({
    what: 'certificates',
    shape: shapes.certificate,
    decode: decodeCertificate,
    encode: encodeCertificate,
    share: 40,
  }),
  step: codec({
    what: 'steps of the roster',
    shape: shapes.step,
    decode: decodeStep,
    encode: encodeStep,
  }),
  'epoch-body': codec({
    what: 'bodies of epoch records',
    shape: shapes.epochBody,
    decode: decodeEpochBody,
    encode: encodeEpochBody,
  }),
  election: codec<ElectionProof>({
    what: 'proofs of an election',
    shape: shapes.electionProof,
    decode: (b) => decodeElectionProof(hash, CHANNEL, b),
    encode: encodeElectionProof,
    isCanonical: hasSortedElectorate,
  }),
  'merge-body': codec({
    what: 'bodies of merge records',
    shape: shapes.mergeBody,
    decode: decodeMergeBody,
    encode: encodeMergeBody,
  }),
  genesis: codec({
    what: 'geneses',
    shape: shapes.genesis,
    decode: decodeGenesis,
    encode: encodeGenesis,
    codes: ['bad_encoding', 'bad_genesis', 'bad_relay_url'],
  }),
  statement: codec({
    what: 'signed statements of every kind',
    shape: shapes.anyStatement,
    decode: (b) => decodeStatement(b),
    encode: encodeStatement,
    share: 60,
  }),
  entry: codec({
    what: 'entries of the log in the store',
    shape: shapes.entry,
    decode: (b) => decodeEntry(hash, b),
    encode: encodeEntry,
    codes: RECORD_CODES,
  }),
  'raw-entry': codec({
    what: 'the same, their records not read',
    shape: shapes.rawEntry,
    decode: decodeRawEntry,
    encode: (e) =>
      encodeEntry({ ...e, record: { bytes: e.record } as ChannelRecord, proof: e.proof }),
  }),
  offer: codec({
    what: 'records in the outbox and the pool',
    shape: shapes.offer,
    decode: (b) => decodeOffer(hash, b),
    encode: encodeOffer,
    codes: RECORD_CODES,
  }),
  run: codec({
    what: 'runs of places of a branch',
    shape: shapes.run,
    decode: decodeRun,
    encode: encodeRawRun,
    isCanonical: hasItems,
  }),
  'hard-state': codec({
    what: 'promises of a voter',
    shape: shapes.hardState,
    decode: decodeHardState,
    encode: encodeHardState,
  }),
  point: codec({
    what: 'points of a chain',
    shape: shapes.point,
    decode: decodePoint,
    encode: encodePoint,
    share: 5,
  }),
  final: codec({
    what: 'the final point',
    shape: shapes.final,
    decode: decodeFinal,
    encode: encodeFinal,
  }),
  'stored-genesis': codec({
    what: 'the genesis in the store',
    shape: shapes.storedGenesis,
    decode: decodeStoredGenesis,
    encode: encodeStoredGenesis,
  }),
  proposal: codec({
    what: 'the kept proposal of a leader',
    shape: shapes.signedPropose,
    decode: (b) => {
      const { statement, sig } = decodeSigned(b);
      return { propose: decodeAs('propose', statement), sig };
    },
    encode: ({ propose, sig }) => encodeSigned(encodeStatement(propose), sig),
    share: 10,
  }),
  conviction: codec({
    what: 'proofs of misbehaviour in the store',
    shape: shapes.conviction,
    decode: decodeConviction,
    encode: encodeConviction,
    share: 10,
  }),
  'portable-proof': codec({
    what: 'portable proofs, nothing of them checked',
    shape: shapes.portableProof,
    decode: decodePortableProof,
    encode: encodePortableProof,
    codes: ['bad_encoding', 'bad_proof', 'proof_version', 'proof_too_large'],
    share: 40,
  }),
  'keys-body': codec({
    what: 'bodies of keys records',
    shape: shapes.keysBody,
    decode: decodeKeys,
    encode: encodeKeys,
  }),
  'private-statement': codec({
    what: 'private messages as their authors sign them',
    shape: shapes.privateMessage,
    decode: decodePrivate,
    encode: encodePrivate,
  }),
  boots: codec({
    what: 'the boots of a store',
    shape: shapes.storeBoots,
    decode: (b) => bootsOf(b, undefined),
    encode: encodeBoots,
    share: 10,
  }),
} as const;

const SHARE_USUAL = 20;

function targetOf<T>(name: string, c: Codec<T>): Target {
  const codes = c.codes ?? ['bad_encoding'];
  return {
    name,
    what: c.what,
    share: c.share ?? SHARE_USUAL,
    make: (d: Dice, seen) => someBytes(d, c.shape, seen),
    check(input) {
      const decoded = typed(() => c.decode(input), codes);
      const tree = parse(c.shape, input);
      must(decoded || !tree, 'refused, though the specification allows it');
      if (!decoded) return false;
      must(tree, 'accepted, though the specification forbids it');
      mustBeBounded(decoded.value, input);
      if (c.isCanonical && !c.isCanonical(tree)) return true;
      must(same(c.encode(decoded.value), input), 'it encodes to other bytes than it came from');
      return true;
    },
  };
}

const membershipTargets = MEMBERSHIP_KINDS.map((kind) =>
  targetOf(`${kind}-body`, {
    what: `bodies of ${kind} records`,
    shape: shapes.MEMBERSHIP[kind],
    decode: (b) => decodeMembership(kind, b),
    encode: encodeMembership,
    share: 10,
  }),
);

export const STORED_TARGETS: readonly Target[] = [
  ...Object.entries(CODECS).map(([name, c]) => targetOf(name, c as Codec<unknown>)),
  ...membershipTargets,
];
