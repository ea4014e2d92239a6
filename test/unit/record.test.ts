/** Records and their proofs (docs/PROTOCOL.md, sections "Records" and "Batches"). */

import { createHash } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Writer } from '../../src/core/bytes.js';
import {
  RECORD_BODY_BYTES_MAX,
  RECORD_KIND_CHARS_MAX,
  RECORDS_PER_BATCH_MAX,
} from '../../src/core/limits.js';
import {
  batchOf,
  decodeProof,
  decodeRecord,
  encodeProof,
  encodeRecord,
  kindOf,
  provenStatement,
  type RecordFields,
} from '../../src/core/record.js';
import { signedRecords } from '../../src/core/statements.js';
import * as any from './fixtures/arbitraries.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';
import { portableCrypto } from './fixtures/ports.js';

const hash = portableCrypto.sha256;
const encoded = any.recordFields.map((f) => encodeRecord(hash, f));
const decode = (bytes: Uint8Array) => decodeRecord(hash, bytes);
const example = (change: Partial<RecordFields> = {}): RecordFields => ({
  ...fc.sample(any.recordFields, { numRuns: 1, seed: 1 })[0]!,
  kind: 'message',
  ...change,
});

describe('a record', () => {
  it('decodes into what it was made of', () => {
    fc.assert(
      fc.property(encoded, (record) => {
        expect(decode(record.bytes)).toStrictEqual(record);
      }),
    );
  });

  it('tells its kind without being read', () => {
    fc.assert(
      fc.property(encoded, (record) => {
        expect(kindOf(record.bytes)).toBe(record.kind);
        expect(codeOf(() => kindOf(record.bytes.subarray(0, 121)))).toBe('bad_encoding');
      }),
    );
  });

  it('has the digest of its tag and bytes as its identity', () => {
    fc.assert(
      fc.property(encoded, (record) => {
        const sha256 = createHash('sha256').update('conclave/record').update(record.bytes);
        expect(record.digest).toBe(sha256.digest('hex'));
      }),
    );
  });

  it('changes its identity with every field', () => {
    fc.assert(
      fc.property(any.recordFields, any.recordFields, (a, b) => {
        const digest = encodeRecord(hash, a).digest;
        for (const field of Object.keys(a) as (keyof RecordFields)[]) {
          const same =
            a[field] === b[field] || (field === 'body' && Buffer.from(a.body).equals(b.body));
          const other = encodeRecord(hash, { ...a, [field]: b[field] }).digest;
          expect(other === digest, field).toBe(same);
        }
      }),
    );
  });

  it('is refused at every other length', () => {
    refusesOtherLengths(encodeRecord(hash, example()).bytes, decode);
  });

  it('is refused or canonical when damaged', () => {
    staysCanonical(
      encoded.map((r) => r.bytes),
      decode,
      (r) => encodeRecord(hash, r).bytes,
    );
  });

  it('has a body of at most RECORD_BODY_BYTES_MAX bytes', () => {
    const largest = encodeRecord(hash, example({ body: new Uint8Array(RECORD_BODY_BYTES_MAX) }));
    expect(decode(largest.bytes).body).toHaveLength(RECORD_BODY_BYTES_MAX);
    const over = example({ body: new Uint8Array(RECORD_BODY_BYTES_MAX + 1) });
    const error = errorOf(() => encodeRecord(hash, over))!;
    expect([error.code, error.retryable]).toStrictEqual(['record_too_large', false]);
    expect(error.message).toContain(`${RECORD_BODY_BYTES_MAX + 1}`);
    const empty = encodeRecord(hash, example({ body: new Uint8Array(0) })).bytes;
    const w = new Writer().raw(empty.subarray(0, -4)).bytes(over.body);
    expect(codeOf(() => decode(w.done()))).toBe('bad_encoding');
  });

  const longest = 'x'.repeat(RECORD_KIND_CHARS_MAX);
  it.each(['a', 'message', 'x-9', longest])('may be of kind "%s"', (kind) => {
    expect(decode(encodeRecord(hash, example({ kind })).bytes).kind).toBe(kind);
  });

  it.each(['', 'A', '-a', '9a', 'a b', 'a\n', 'é', 'a_b', `${longest}x`])(
    'is never of kind "%s"',
    (kind) => {
      expect(codeOf(() => encodeRecord(hash, example({ kind })))).toBe('bad_record');
      const { bytes } = encodeRecord(hash, example({ kind: 'message' }));
      const at = Buffer.from(bytes).indexOf(new Writer().text('message').done());
      const w = new Writer()
        .raw(bytes.subarray(0, at))
        .text(kind)
        .raw(bytes.subarray(at + 11));
      expect(codeOf(() => decode(w.done()))).toMatch(/^bad_(record|encoding)$/);
    },
  );

  it.each([1, 255])('of version %i is refused', (version) => {
    const bytes = encodeRecord(hash, example()).bytes.slice();
    bytes[0] = version;
    expect(errorOf(() => decode(bytes))).toMatchObject({
      code: 'bad_record',
      message: expect.stringContaining('version'),
    });
  });
});

const batch = any.plain({
  records: fc.array(encoded, { minLength: 1, maxLength: 12 }),
  context: any.plain({ roster: any.u64, rosterHash: any.digest }),
  sig: any.sig,
});

describe('a proof', () => {
  it('leads from each record of a batch to the one statement that its author signs', () => {
    fc.assert(
      fc.property(batch, ({ records, context, sig }) => {
        const { root, proofs } = batchOf(hash, records, context);
        for (const [i, proof] of proofs(sig).entries()) {
          const record = records[i]!;
          const signed = signedRecords(
            { ...context, channel: record.channel },
            root,
            records.length,
          );
          const proven = provenStatement(hash, record, decodeProof(encodeProof(proof)))!;
          expect(proven.by).toBe(record.author);
          expect(bytesToHex(proven.statement)).toBe(bytesToHex(signed));
          expect(proven.sig).toStrictEqual(sig);
        }
      }),
    );
  });

  it('leads another record to another statement, or nowhere', () => {
    fc.assert(
      fc.property(batch, encoded, ({ records, context, sig }, stranger) => {
        const { root, proofs } = batchOf(hash, records, context);
        const statement = signedRecords(
          { ...context, channel: stranger.channel },
          root,
          records.length,
        );
        for (const proof of proofs(sig)) {
          const proven = provenStatement(hash, stranger, proof);
          expect(proven && bytesToHex(proven.statement)).not.toBe(bytesToHex(statement));
        }
      }),
    );
  });

  it('whose path does not fit leads nowhere', () => {
    const records = fc.sample(encoded, { numRuns: 3, seed: 2 });
    const [, , third] = batchOf(hash, records, { roster: 0, rosterHash: example().prev }).proofs(
      new Uint8Array(64),
    );
    expect(third!.path).toHaveLength(1);
    expect(provenStatement(hash, records[2]!, third!)).toBeDefined();
    expect(provenStatement(hash, records[2]!, { ...third!, path: [] })).toBeUndefined();
    expect(provenStatement(hash, records[2]!, { ...third!, index: 0 })).toBeUndefined();
    expect(provenStatement(hash, records[2]!, { ...third!, count: 5 })).toBeUndefined();
  });

  const proof = any.plain({
    roster: any.u64,
    rosterHash: any.digest,
    count: fc.constant(RECORDS_PER_BATCH_MAX),
    index: fc.nat(RECORDS_PER_BATCH_MAX - 1),
    path: fc.array(any.bytesOf(32), { maxLength: 16 }),
    sig: any.sig,
  });

  it('decodes into what it was made of', () => {
    fc.assert(
      fc.property(proof, (p) => {
        expect(decodeProof(encodeProof(p))).toStrictEqual(p);
      }),
    );
  });

  it('is refused at every other length', () => {
    refusesOtherLengths(encodeProof(fc.sample(proof, { numRuns: 1, seed: 3 })[0]!), decodeProof);
  });

  it('is refused or canonical when damaged', () => {
    staysCanonical(proof.map(encodeProof), decodeProof, encodeProof);
  });

  it.each([
    ['in a batch of none', { count: 0, index: 0 }],
    [
      'in a batch of more than RECORDS_PER_BATCH_MAX',
      { count: RECORDS_PER_BATCH_MAX + 1, index: 0 },
    ],
    ['at a place after the last', { count: 5, index: 5 }],
    ['with a path of 17 hashes', { path: Array(17).fill(new Uint8Array(32)) }],
  ])('%s is refused', (_, change) => {
    const [good] = fc.sample(proof, { numRuns: 1, seed: 3 });
    expect(codeOf(() => decodeProof(encodeProof({ ...good!, ...change })))).toBe('bad_encoding');
  });
});
