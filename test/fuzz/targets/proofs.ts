/**
 * What proves something: paths to the root of a batch, certificates, elections.
 * Each against a second check that follows the document's words.
 */

import {
  certificateSignatures,
  checkFinalCertificate,
  decodeCertificate,
  encodeCertificate,
} from '../../../src/core/certificate.js';
import { chainNext, type Header } from '../../../src/core/chain.js';
import { decodeEpochBody, isElected } from '../../../src/core/epoch-record.js';
import type { Digest, UserId } from '../../../src/core/ids.js';
import {
  BatchProofs,
  batchOf,
  decodeProof,
  decodeRecord,
  encodeProof,
  provenStatement,
  type RecordProof,
} from '../../../src/core/record.js';
import { voters } from '../../../src/core/roster.js';
import { signedRecords } from '../../../src/core/statements.js';
import {
  certificateOf,
  digestOf,
  epochOf,
  grown,
  hash,
  person,
  recordBy,
} from '../../unit/fixtures/channel.js';
import { mutate } from '../../unit/mutate.js';
import type { Dice } from '../dice.js';
import { bytes, generate, list, parse, row, type Shape, type Tree, write } from '../grammar.js';
import { someBytes } from '../mutations.js';
import { hexOf, rootOf } from '../proof-twin.js';
import * as shapes from '../shapes.js';
import { must, mustEqual, same, type Target, typed } from '../target.js';

const DECODES = ['bad_encoding', 'bad_record'];
const recordBytes = bytes(70_000);
const proofBytes = bytes(2_000);
const pairShape = row(recordBytes, proofBytes);
const batchShape = list(300, pairShape);

function someBatch(d: Dice): { record: Uint8Array; proof: Uint8Array }[] {
  const author = person(1 + d.int(3));
  const count = d.oneIn(20) ? 1 + d.int(64) : 1 + d.int(9);
  const records = Array.from({ length: count }, (_, i) =>
    recordBy(author, { n: i + 1, body: d.bytes(d.int(4)) }),
  );
  const context = { roster: d.int(2), rosterHash: digestOf('roster') };
  const proofs = batchOf(hash, records, context).proofs(new Uint8Array(64).fill(d.int(2)));
  return records.map((record, i) => ({ record: record.bytes, proof: encodeProof(proofs[i]!) }));
}

const NOTHING = new Uint8Array(0);

const pairBytes = (pairs: readonly { record: Uint8Array; proof: Uint8Array }[]): Uint8Array => {
  const leaf = (shape: Shape, b: Uint8Array): Tree => ({ shape, bytes: b, parts: [] });
  const parts = pairs.map(({ record, proof }) => ({
    ...leaf(pairShape, NOTHING),
    parts: [leaf(recordBytes, record), leaf(proofBytes, proof)],
  }));
  return write({ ...leaf(batchShape, NOTHING), parts });
};

const batch: Target = {
  name: 'batch',
  what: 'records with proofs of one batch or several, some of another record or place',
  share: 10,
  make(d) {
    const pairs = d.oneIn(3) ? [...someBatch(d), ...someBatch(d)] : someBatch(d);
    const asked = pairs.filter(() => !d.oneIn(3));
    if (d.oneIn(2)) asked.reverse();
    for (const pair of asked) {
      if (!d.oneIn(6)) continue;
      if (d.oneIn(3)) pair.proof = d.pick(pairs).proof;
      else if (d.oneIn(2)) pair.proof = someBytes(d, shapes.proof, [pair.proof]);
      else pair.proof = mutate(d, pair.proof, d.pick(pairs).proof);
    }
    return pairBytes(asked);
  },
  check(input) {
    const tree = parse(batchShape, input);
    if (!tree) return false;
    const listed: { key: string; root: string }[] = [];
    const proofs = new BatchProofs(countingHash);
    hashed = 0;
    let proven = 0;
    for (const { parts } of tree.parts) {
      const record = typed(() => decodeRecord(hash, parts[0]!.bytes), DECODES);
      const proof = typed(() => decodeProof(parts[1]!.bytes), DECODES);
      if (!record || !proof) continue;
      if (checkProof(proofs, listed, record.value, proof.value)) proven += 1;
    }
    must(hashed <= 40 * input.length, `${input.length} bytes of proofs cost ${hashed} of hashing`);
    return proven > 0;
  },
};

let hashed = 0;
const countingHash = (data: Uint8Array): Uint8Array => {
  hashed += data.length;
  return hash(data);
};

function checkProof(
  proofs: BatchProofs,
  listed: { key: string; root: string }[],
  record: ReturnType<typeof decodeRecord>,
  proof: RecordProof,
): boolean {
  const { index, count, path, roster, rosterHash, sig } = proof;
  const root = rootOf(Buffer.from(record.digest, 'hex'), index, count, path);
  const expected =
    root &&
    signedRecords({ channel: record.channel, roster, rosterHash }, new Uint8Array(root), count);
  const alone = provenStatement(hash, record, proof);
  mustEqual(alone?.statement, expected, 'a path leads elsewhere than RFC 9162 says');
  const found = proofs.statementOf(record, proof);
  const key = [record.author, roster, rosterHash, count, hexOf(sig)].join();
  if (found) {
    must(expected && same(found.statement, expected), 'a batch proves what its path does not');
    must(found.by === record.author && same(found.sig, sig), "another's signature");
    listed.push({ key, root: hexOf(root!) });
  } else if (found === null) {
    must(expected, 'a record counts as proven whose path does not fit');
    const isListed = listed.some((l) => l.key === key && l.root === hexOf(root!));
    must(isListed, 'a record counts as proven by a signature that nobody listed');
  } else must(!expected, 'a good path was refused');
  return expected !== undefined;
}

export const MEMBERS_MAX = 7;
export const ROSTERS = Array.from({ length: MEMBERS_MAX }, (_, i) => grown(i + 1));
const EPOCH = epochOf('epoch');

export const headerOf = (n: number): Header => ({
  epoch: EPOCH,
  term: 3,
  roster: 2,
  digest: digestOf(`record ${n}`),
});

/** A certificate by some of a roster's members, with real signatures: it costs, so few are made. */
const CERTIFICATES = ROSTERS.map((roster, i) =>
  [1, 2, 3].map((links) =>
    encodeCertificate(
      certificateOf(roster, {
        seq: 5,
        prevHash: digestOf('before'),
        headers: Array.from({ length: links }, (_, n) => headerOf(n)),
        acks: Array.from({ length: i + 1 }, (_, n) => ({ by: person(n + 1), ahead: n % links })),
      }),
    ),
  ),
);

const certificate: Target = {
  name: 'certificate-check',
  what: 'certificates against a roster: who counts, and what each signed',
  share: 40,
  make(d) {
    const size = d.int(MEMBERS_MAX);
    const seen = CERTIFICATES[size]!;
    const of = d.oneIn(8) ? CERTIFICATES[d.int(MEMBERS_MAX)]! : seen;
    const cert = d.oneIn(6) ? d.pick(of) : damagedCertificate(d, d.pick(of));
    return new Uint8Array(Buffer.concat([Uint8Array.of(size), cert]));
  },
  check(input) {
    const roster = ROSTERS[(input[0] ?? 0) % MEMBERS_MAX]!;
    const decoded = typed(() => decodeCertificate(input.subarray(1)), ['bad_encoding']);
    if (!decoded) return false;
    const c = decoded.value;
    const isFinal =
      typed(() => checkFinalCertificate(c, roster), ['bad_certificate']) !== undefined;
    const counted = new Set(c.acks.map((ack) => ack.user));
    const all = voters(roster);
    const expected =
      c.kind === 'final' &&
      c.channel === roster.channel &&
      c.roster === roster.number &&
      c.rosterHash === roster.hash &&
      c.head.epoch === c.epoch &&
      c.head.term === c.term &&
      counted.size === c.acks.length &&
      [...counted].every((user) => all.includes(user)) &&
      2 * counted.size > all.length;
    must(isFinal === expected, `a certificate is ${isFinal ? 'taken' : 'refused'}`);
    const signed = typed(() => certificateSignatures(hash, c), ['bad_certificate', 'bad_encoding']);
    const isWithin = c.acks.every(({ seq }) => seq >= c.seq && seq <= c.seq + c.links.length);
    const areCountable = c.seq + c.links.length <= Number.MAX_SAFE_INTEGER;
    must(
      (signed !== undefined) === (isWithin && areCountable),
      'an acknowledgement outside of the links',
    );
    if (signed) checkAcks(c, signed.value);
    return isFinal;
  },
};

/** Items doubled, gone, or of other members; or anything. */
export function damagedCertificate(d: Dice, good: Uint8Array): Uint8Array {
  const tree = parse(shapes.certificate, good);
  if (!tree || d.oneIn(2)) return someBytes(d, shapes.certificate, [good]);
  const acks = tree.parts.at(-1)!.parts;
  for (let i = d.int(3); i >= 0; i--) {
    if (acks.length === 0) break;
    if (d.oneIn(3)) acks.splice(d.int(acks.length), 1);
    else if (d.oneIn(2)) acks.push(d.pick(acks));
    else {
      const ack = d.pick(acks);
      const user = {
        ...ack.parts[0]!,
        bytes: new Uint8Array(Buffer.from(person(1 + d.int(9)).user, 'hex')),
      };
      acks[acks.indexOf(ack)] = { ...ack, parts: [user, ...ack.parts.slice(1)] };
    }
  }
  return write(tree);
}

function checkAcks(
  c: ReturnType<typeof decodeCertificate>,
  signed: ReturnType<typeof certificateSignatures>,
): void {
  const at: Digest[] = [chainNext(hash, c.prevHash, c.seq, c.head)];
  for (const link of c.links) at.push(chainNext(hash, at.at(-1)!, c.seq + at.length, link));
  c.acks.forEach((ack, i) => {
    const tree = parse(shapes.STATEMENTS.ack, signed[i]!.statement)!;
    const [hashPart, seqPart] = [tree.parts.at(-1)!, tree.parts.at(-2)!];
    must(hexOf(hashPart.bytes) === at[ack.seq - c.seq], 'an acknowledgement of another chain');
    must(Buffer.from(seqPart.bytes).readBigUInt64BE() === BigInt(ack.seq), 'of another place');
    must(signed[i]!.by === ack.user && same(signed[i]!.sig, ack.sig), "another's signature");
  });
}

const election: Target = {
  name: 'election-check',
  what: 'elections: electorate and ballots against the voters',
  share: 20,
  make(d) {
    const size = d.int(MEMBERS_MAX);
    const users = Array.from({ length: size + 1 }, (_, i) => person(i + 1).user);
    const some = (): string[] => users.filter(() => !d.oneIn(3));
    const u = (user: string): Uint8Array => new Uint8Array(Buffer.from(user, 'hex'));
    const tree = generate(d, shapes.epochBody);
    const [kind, , leader, electorate, ballots] = tree.parts as [Tree, Tree, Tree, Tree, Tree];
    kind.bytes = Uint8Array.of(d.int(2));
    leader.bytes = u(d.pick(users));
    const leaf = (user: string): Tree => ({ ...leader, bytes: u(user) });
    electorate.parts = some().map(leaf);
    const sig = generate(d, shapes.epochBody).parts[4]!.shape;
    const rowShape = (sig as { of: Shape & { is: 'row' } }).of;
    ballots.parts = some().map((user) => ({
      ...{ shape: rowShape, bytes: new Uint8Array(0) },
      parts: [leaf(user), { shape: rowShape.parts[1]!, bytes: new Uint8Array(64), parts: [] }],
    }));
    if (d.oneIn(4)) electorate.parts.push(leaf(person(20 + d.int(2)).user));
    if (d.oneIn(4)) ballots.parts.push(...ballots.parts);
    const body = write(tree);
    const isBad = d.oneIn(6);
    const bad = isBad ? someBytes(d, shapes.epochBody, [body]) : body;
    return new Uint8Array(Buffer.concat([Uint8Array.of(size, 1 + d.int(4)), bad]));
  },
  check(input) {
    const all = voters(ROSTERS[(input[0] ?? 0) % MEMBERS_MAX]!);
    const minOnline = input[1] ?? 0;
    const decoded = typed(() => decodeEpochBody(input.subarray(2)), ['bad_encoding']);
    if (!decoded) return false;
    const { epoch, ballots } = decoded.value;
    const found = isElected(epoch, ballots, all, minOnline);
    must(
      found === isElectedSlowly(epoch, ballots, all, minOnline),
      `an election is ${found ? '' : 'not '}taken`,
    );
    return found;
  },
};

/** The table of section "Epochs", line by line. */
function isElectedSlowly(
  { kind, leader, electorate }: { kind: string; leader: UserId; electorate: readonly UserId[] },
  ballots: readonly { user: UserId }[],
  all: readonly UserId[],
  minOnline: number,
): boolean {
  const e = all.filter((user) => electorate.includes(user)).length;
  if (electorate.some((user) => !all.includes(user)) || !electorate.includes(leader)) return false;
  if (kind === 'roster' && !(2 * e > all.length)) return false;
  if (kind === 'online' && (2 * e > all.length || e < minOnline)) return false;
  const among = kind === 'roster' ? all : all.filter((user) => electorate.includes(user));
  if (ballots.some(({ user }) => !among.includes(user))) return false;
  const cast = among.filter((user) => ballots.some((b) => b.user === user)).length;
  return 2 * cast > among.length;
}

export const PROOF_TARGETS: readonly Target[] = [batch, certificate, election];
