/**
 * The core against test/vectors/{records,statements,chain,genesis,ballots,
 * certificates,merges,proofs}.json, with both crypto ports. The vectors were made without
 * the core: scripts/make-core-vectors.ts encodes everything a second time.
 */

import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import { coreVectors } from '../../scripts/make-core-vectors.js';
import {
  type Certificate,
  certificateSignatures,
  certifiedPoint,
  checkCommittedCertificate,
  checkFinalCertificate,
  checkStep,
  decodeCertificate,
  decodeStep,
  encodeCertificate,
  encodeStep,
} from '../../src/core/certificate.js';
import {
  branchStart,
  chainNext,
  chainStart,
  type EpochDescriptor,
  electorateDigest,
  epochId,
} from '../../src/core/chain.js';
import { checkPortableProof, type Verifier } from '../../src/core/check-proof.js';
import type { Crypto } from '../../src/core/crypto.js';
import {
  ballotSignatures,
  decodeElectionProof,
  decodeEpochBody,
  encodeElectionProof,
  encodeEpochBody,
} from '../../src/core/epoch-record.js';
import {
  channelIdOf,
  commitName,
  decodeGenesis,
  encodeGenesis,
  type Genesis,
} from '../../src/core/genesis.js';
import type { ChannelId, Digest, EpochId, UserId } from '../../src/core/ids.js';
import { decodeMergeBody, encodeMergeBody, type MergeBody } from '../../src/core/merge-record.js';
import { merkleTree } from '../../src/core/merkle.js';
import { decodePortableProof, encodePortableProof } from '../../src/core/portable-proof.js';
import {
  batchOf,
  decodeProof,
  decodeRecord,
  encodeProof,
  encodeRecord,
  provenStatement,
  type RecordFields,
} from '../../src/core/record.js';
import { genesisRoster, type Roster, rosterStart } from '../../src/core/roster.js';
import {
  decodeStatement,
  encodeStatement,
  type Signed,
  type Statement,
  signedRecords,
} from '../../src/core/statements.js';
import { armour, checkProof } from '../../src/node/proof-file.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { PORTS } from './fixtures/ports.js';

type Vectors = ReturnType<typeof coreVectors>;

const read = <N extends keyof Vectors>(name: N): Vectors[N] =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));

const records = read('records');
const statements = read('statements');
const chain = read('chain');
const genesis = read('genesis');
const ballots = read('ballots');
const certificates = read('certificates');
const merges = read('merges');
const proofs = read('proofs');

const hex = hexToBytes;
const bytesIn = (crypto: Crypto, s: { by: string; bytes: string; sig: string }): boolean =>
  crypto.ed25519Verify(hex(s.by), hex(s.bytes), hex(s.sig));
const holds = (crypto: Crypto, signed: readonly Signed[]): boolean =>
  signed.every((s) => crypto.ed25519Verify(hex(s.by), s.statement, s.sig));

describe('the files', () => {
  const made = coreVectors();
  it.each(Object.keys(made) as (keyof Vectors)[])('%s.json is what the script makes', (name) => {
    expect(read(name)).toStrictEqual(JSON.parse(JSON.stringify(made[name])));
  });
});

describe.each(PORTS)('with the $name port', (crypto) => {
  const hash = crypto.sha256;

  describe('records.json', () => {
    const fieldsOf = (fields: object): RecordFields => {
      const plain = fields as Omit<RecordFields, 'body'> & { body: string };
      return { ...plain, body: hex(plain.body) };
    };

    it.each(records.keys)('key of $name', ({ seed, user }) => {
      expect(bytesToHex(crypto.ed25519PublicKey(hex(seed)))).toBe(user);
    });

    it.each(records.records)('record: $what', ({ fields, bytes, digest }) => {
      const encoded = encodeRecord(hash, fieldsOf(fields));
      expect([bytesToHex(encoded.bytes), encoded.digest]).toStrictEqual([bytes, digest]);
      expect(decodeRecord(hash, hex(bytes))).toStrictEqual(encoded);
    });

    it.each(records.refused_records)('refused: $what', ({ bytes }) => {
      expect(['bad_encoding', 'bad_record']).toContain(
        codeOf(() => decodeRecord(hash, hex(bytes))),
      );
    });

    it.each(records.batches)('batch: $what', (batch) => {
      const context = batch as unknown as {
        channel: ChannelId;
        roster: number;
        rosterHash: Digest;
      };
      const { root } = merkleTree(hash, batch.digests.map(hex));
      expect(bytesToHex(root)).toBe(batch.root);
      expect(bytesToHex(signedRecords(context, root, batch.digests.length))).toBe(batch.statement);
      expect(bytesIn(crypto, { by: batch.author, bytes: batch.statement, sig: batch.sig })).toBe(
        true,
      );
      for (const { index, record, path, proof } of batch.proven) {
        const decoded = decodeProof(hex(proof));
        expect(decoded.index).toBe(index);
        expect(decoded.path.map(bytesToHex)).toStrictEqual(path);
        expect(bytesToHex(encodeProof(decoded))).toBe(proof);
        const of = decodeRecord(hash, hex(record));
        expect(of.digest).toBe(batch.digests[index]);
        const proven = provenStatement(hash, of, decoded)!;
        expect(bytesToHex(proven.statement)).toBe(batch.statement);
        expect(proven.by).toBe(batch.author);
        expect(holds(crypto, [proven])).toBe(true);
      }
    });

    it.each(records.batches.filter((b) => b.proven.length === b.digests.length))(
      'proofs of a whole batch: $what',
      (batch) => {
        const all = batch.proven.map((p) => decodeRecord(hash, hex(p.record)));
        const context = { roster: batch.roster as number, rosterHash: batch.rosterHash as Digest };
        const { proofs } = batchOf(hash, all, context);
        const encoded = proofs(hex(batch.sig)).map((p) => bytesToHex(encodeProof(p)));
        expect(encoded).toStrictEqual(batch.proven.map((p) => p.proof));
      },
    );

    it.each(records.refused_proofs)('refused proof: $what', ({ breaks, record, proof }) => {
      const found = (): string => {
        const proven = provenStatement(
          hash,
          decodeRecord(hash, hex(record)),
          decodeProof(hex(proof)),
        );
        if (proven === undefined) return 'path';
        return holds(crypto, [proven]) ? 'nothing' : 'signature';
      };
      if (breaks === 'encoding') expect(codeOf(found)).toBe('bad_encoding');
      else expect(found()).toBe(breaks);
    });
  });

  describe('statements.json', () => {
    it.each(statements.statements)('$tag: $what', ({ tag, fields, bytes, by, sig }) => {
      const statement = { tag, ...fields } as unknown as Statement;
      expect(bytesToHex(encodeStatement(statement))).toBe(bytes);
      expect(decodeStatement(hex(bytes))).toStrictEqual(statement);
      expect(bytesIn(crypto, { by, bytes, sig })).toBe(true);
      expect(bytesToHex(crypto.ed25519Sign(hex(statements.keys[0]!.seed), hex(bytes)))).toBe(sig);
    });

    it.each(statements.refused)('refused: $what', ({ bytes }) => {
      expect(codeOf(() => decodeStatement(hex(bytes)))).toBe('bad_encoding');
    });
  });

  describe('chain.json', () => {
    it.each(chain.chains)('chain: $what', ({ channel, start, entries }) => {
      let at = chainStart(hash, channel as ChannelId);
      expect(at).toBe(start);
      for (const entry of entries) {
        at = chainNext(hash, at, entry.seq, entry.header as never);
        expect(at).toBe(entry.hash);
      }
    });

    it.each(chain.branches)('branch: $what', ({ epoch, start, entries }) => {
      let at = branchStart(hash, epoch as EpochId);
      expect(at).toBe(start);
      for (const entry of entries) {
        at = chainNext(hash, at, entry.seq, entry.header as never);
        expect(at).toBe(entry.hash);
      }
    });

    it.each(chain.electorates)('electorate: $what', ({ electorate, digest }) => {
      expect(electorateDigest(hash, electorate as UserId[])).toBe(digest);
    });

    it.each(chain.epochs)('epoch: $what', ({ fields, electorate_digest, id }) => {
      const epoch = fields as unknown as EpochDescriptor;
      expect(electorateDigest(hash, epoch.electorate)).toBe(electorate_digest);
      expect(epochId(hash, epoch)).toBe(id);
    });

    it('rosters start where the channel says', () => {
      for (const { channel, start } of chain.rosters) {
        expect(rosterStart(hash, channel as ChannelId)).toBe(start);
      }
    });
  });

  describe('genesis.json', () => {
    const genesisOf = (fields: object): Genesis => {
      const plain = fields as Omit<Genesis, 'salt'> & { salt: string };
      return { ...plain, salt: hex(plain.salt) };
    };

    it.each(genesis.geneses)('genesis: $what', ({ fields, bytes, sig, channel }) => {
      const plain = genesisOf(fields);
      expect(bytesToHex(encodeGenesis(plain))).toBe(bytes);
      expect(decodeGenesis(hex(bytes))).toStrictEqual(plain);
      expect(bytesIn(crypto, { by: plain.founder, bytes, sig })).toBe(true);
      expect(channelIdOf(hash, hex(bytes))).toBe(channel);
    });

    it.each(genesis.names)('name: "$name"', ({ salt, name, commitment }) => {
      expect(commitName(hash, hex(salt), name)).toBe(commitment);
    });

    it.each(genesis.refused)('refused: $what', ({ bytes }) => {
      const code = codeOf(() => decodeGenesis(hex(bytes)));
      expect(['bad_encoding', 'bad_genesis', 'bad_relay_url']).toContain(code);
    });
  });

  describe.each(ballots.elections)('ballots.json: $what', (election) => {
    const candidate = election.prevote.fields.candidate as UserId;
    const electorate = election.electorate as UserId[];

    it('has the statements of one candidacy', () => {
      const digest = electorateDigest(hash, electorate);
      expect(digest).toBe(election.electorate_digest);
      const candidacy = election.prevote.fields as never as Statement;
      const ballot = election.ballot.fields as never as Statement;
      const made = (tag: string, fields: object) =>
        bytesToHex(encodeStatement({ ...fields, tag } as Statement));
      expect(made('prevote', candidacy)).toBe(election.prevote.statement);
      expect(made('grant', candidacy)).toBe(election.grant.statement);
      expect(made('lead', { ...candidacy, electorate: digest })).toBe(election.lead.statement);
      expect(made('ballot', ballot)).toBe(election.ballot.statement);
    });

    it('has good signatures', () => {
      const by = (user: string, s: { statement: string; sig: string }) =>
        bytesIn(crypto, { by: user, bytes: s.statement, sig: s.sig });
      expect(by(candidate, election.prevote)).toBe(true);
      expect(by(candidate, election.lead)).toBe(true);
      for (const { statement, signatures } of [election.grant, election.ballot]) {
        for (const { user, sig } of signatures) expect(by(user, { statement, sig })).toBe(true);
      }
    });

    it('has an epoch that its record proves', () => {
      const { fields, id, record_body } = election.epoch;
      const epoch = fields as unknown as EpochDescriptor;
      expect(epochId(hash, epoch)).toBe(id);
      const { kind, term, leader } = epoch;
      const votes = election.ballot.signatures.map((b) => ({
        user: b.user as UserId,
        sig: hex(b.sig),
      }));
      const body = { epoch: { kind, term, leader, electorate }, ballots: votes };
      expect(bytesToHex(encodeEpochBody(body))).toBe(record_body);
      expect(decodeEpochBody(hex(record_body))).toStrictEqual(body);
    });

    it('has a proof that shows it to who never followed it', () => {
      const { fields, id, proof } = election.epoch;
      const epoch = fields as unknown as EpochDescriptor;
      const votes = election.ballot.signatures.map((b) => ({
        user: b.user as UserId,
        sig: hex(b.sig),
      }));
      const elected = { id: id as EpochId, epoch, ballots: votes };
      expect(bytesToHex(encodeElectionProof(elected))).toBe(proof);
      expect(decodeElectionProof(hash, epoch.channel, hex(proof))).toStrictEqual(elected);
      const signed = ballotSignatures(hash, elected);
      for (const { statement } of signed) {
        expect(bytesToHex(statement)).toBe(election.ballot.statement);
      }
      expect(signed.map((s) => s.by)).toStrictEqual(votes.map((v) => v.user));
      expect(holds(crypto, signed)).toBe(true);
    });

    it.each(election.refused_ballots)('counts no ballot $what', ({ user, signed, by, sig }) => {
      expect(bytesIn(crypto, { by, bytes: signed, sig })).toBe(true);
      expect(bytesIn(crypto, { by: user, bytes: election.ballot.statement, sig })).toBe(false);
    });
  });

  describe('proofs.json', () => {
    const verifier: Verifier = {
      sha256: hash,
      isValid: ({ by, statement, sig }) => crypto.ed25519Verify(hex(by), statement, sig),
    };
    /** The rule of `breaks` that a message of the checker names. */
    const RULES: readonly (readonly [RegExp, string])[] = [
      [/a signature of/, 'signature'],
      [/a certificate does not hold|order of the log/, 'certificate'],
      [/newer conclave/, 'version'],
      [/an encoding|no proof of conclave/, 'encoding'],
      [/its key does not open the message/, 'disclosure'],
    ];

    it.each(proofs.valid)('valid: $what', ({ bytes, shown }) => {
      const proven = checkPortableProof(verifier, hex(bytes));
      if (proven.proves !== 'final') throw new Error(`it proves ${proven.proves}`);
      const { channel, seq, record, author, certificate } = proven;
      expect({ channel, seq, digest: record.digest, author: author.user }).toStrictEqual({
        channel: shown.channel,
        seq: shown.seq,
        digest: shown.digest,
        author: shown.author,
      });
      expect(certificate).toMatchObject(shown.certified);
      expect(bytesToHex(encodePortableProof(decodePortableProof(hex(bytes))))).toBe(bytes);
      const checked = checkProof(armour(hex(bytes)), crypto);
      expect('text' in checked ? checked.text : null).toBe(shown.text);
    });

    it('the text file', () => {
      expect(armour(hex(proofs.valid[0]!.bytes))).toBe(proofs.armoured);
    });

    it.each(proofs.refused)('refused: $what', ({ bytes, breaks }) => {
      const error = errorOf(() => checkPortableProof(verifier, hex(bytes)))!;
      expect(RULES.find(([message]) => message.test(error.message))?.[1], error.message).toBe(
        breaks,
      );
      expect(['bad_proof', 'proof_version']).toContain(error.code);
    });
  });

  describe('certificates.json', () => {
    /** The rule of `breaks` that a message of the core names. */
    const RULES: readonly (readonly [RegExp, string])[] = [
      [/not a final one/, 'kind'],
      [/not one of commitment/, 'kind'],
      [/of another epoch/, 'epoch'],
      [/of another channel/, 'channel'],
      [/of another roster/, 'roster'],
      [/is no majority/, 'majority'],
      [/is counted twice/, 'twice'],
      [/has no vote/, 'vote'],
      [/not of the electorate/, 'electorate'],
      [/not of the leadership/, 'leadership'],
      [/outside its links/, 'links'],
    ];

    const rosterNamed = (name: string): Roster => {
      const { channel, number, hash, members } =
        certificates.rosters[name as keyof typeof certificates.rosters];
      const all = members.map((m) => [m.user, m] as const);
      const policy = { minOnline: 3, few: 'archive' };
      return { channel, number, hash, policy, members: new Map(all) } as unknown as Roster;
    };

    const brokenRule = (bytes: Uint8Array, check: (cert: Certificate) => void): string => {
      try {
        const cert = decodeCertificate(bytes);
        check(cert);
        return holds(crypto, certificateSignatures(hash, cert)) ? 'nothing' : 'signature';
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        if (code === 'bad_encoding') return 'encoding';
        return RULES.find(([pattern]) => pattern.test(message))?.[1] ?? message;
      }
    };

    const finalFor = (roster: string) => (cert: Certificate) =>
      checkFinalCertificate(cert, rosterNamed(roster));

    const committedFor = (election: string) => (cert: Certificate) => {
      const { id, fields } =
        certificates.elections[election as keyof typeof certificates.elections];
      checkCommittedCertificate(cert, id as EpochId, fields as unknown as EpochDescriptor);
    };

    type Valid = (typeof certificates.valid)[number] | (typeof certificates.committed)[number];

    const isWhatItSays = ({ fields, bytes, point, statements }: Valid): void => {
      const { acks, ...rest } = fields as unknown as Certificate;
      const plain = {
        ...rest,
        acks: acks.map((a) => ({ ...a, sig: hex(a.sig as unknown as string) })),
      };
      expect(bytesToHex(encodeCertificate(plain))).toBe(bytes);
      expect(decodeCertificate(hex(bytes))).toStrictEqual(plain);
      expect(certifiedPoint(hash, plain)).toStrictEqual(point);
      const signed = certificateSignatures(hash, plain);
      expect(signed.map((s) => bytesToHex(s.statement))).toStrictEqual(statements);
      expect(signed.map((s) => s.by)).toStrictEqual(acks.map((a) => a.user));
    };

    it.each(certificates.valid)('valid: $what', (valid) => {
      isWhatItSays(valid);
      expect(brokenRule(hex(valid.bytes), finalFor(valid.roster))).toBe('nothing');
    });

    it.each(certificates.refused)('refused: $what', ({ roster, breaks, bytes }) => {
      expect(brokenRule(hex(bytes), finalFor(roster))).toBe(breaks);
    });

    it.each(certificates.committed)('committed: $what', (valid) => {
      isWhatItSays(valid);
      expect(brokenRule(hex(valid.bytes), committedFor(valid.election))).toBe('nothing');
    });

    it.each(certificates.refused_committed)(
      'not committed: $what',
      ({ election, breaks, bytes }) => {
        expect(brokenRule(hex(bytes), committedFor(election))).toBe(breaks);
      },
    );

    const { channel } = certificates;
    const id = channel.id as ChannelId;
    const founded = genesisRoster(hash, id, decodeGenesis(hex(channel.genesis)));
    const plainRoster = (r: Roster) => ({
      number: r.number,
      hash: r.hash,
      members: [...r.members.values()],
      invites: [...r.invites.values()],
      relays: [...r.relays],
      departed: [...r.departed].map(([user, { since, isRemoved, replacedBy, cameBy }]) => ({
        ...{ user, since, isRemoved, replacedBy, cameBy },
      })),
      readersSince: r.readersSince,
    });

    /** The roster after the first `count` steps. */
    const rosterAfter = (count: number): Roster =>
      channel.steps
        .slice(0, count)
        .reduce((roster, s) => checkStep(hash, roster, decodeStep(hex(s.step))).roster, founded);

    it('starts with its genesis', () => {
      expect(channelIdOf(hash, hex(channel.genesis))).toBe(id);
      expect(plainRoster(founded)).toStrictEqual(channel.roster);
    });

    it.each(channel.steps.map((s, i) => ({ ...s, i })))(
      'step: $what',
      ({ step, roster, point, i }) => {
        const checked = checkStep(hash, rosterAfter(i), decodeStep(hex(step)));
        expect(plainRoster(checked.roster)).toStrictEqual(roster);
        expect(checked.point).toStrictEqual(point);
        expect(holds(crypto, checked.signatures)).toBe(true);
        expect(bytesToHex(encodeStep(decodeStep(hex(step))))).toBe(step);
      },
    );

    it.each(certificates.refused_steps)('refused step: $what', ({ breaks, after, step }) => {
      const roster = rosterAfter(after);
      const check = () => checkStep(hash, roster, decodeStep(hex(step)));
      if (breaks === 'signature') expect(holds(crypto, check().signatures)).toBe(false);
      else expect(codeOf(check)).toBe(`bad_${breaks}`);
    });
  });

  describe('merges.json', () => {
    it.each(merges.bodies)('a body $what', ({ fields, bytes }) => {
      const branches = (fields.branches as { warrant: string }[]).map((b) => ({
        ...b,
        warrant: hex(b.warrant),
      }));
      const body = { ...fields, branches } as unknown as MergeBody;
      expect(bytesToHex(encodeMergeBody(body))).toBe(bytes);
      expect(decodeMergeBody(hex(bytes))).toStrictEqual(body);
    });

    it.each(merges.refused)('refused: $what', ({ bytes }) => {
      expect(codeOf(() => decodeMergeBody(hex(bytes)))).toBe('bad_encoding');
    });
  });
});
