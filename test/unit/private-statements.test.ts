/**
 * What two users sign to each other, against test/vectors/private.json with both
 * crypto ports, and against bytes that somebody changed. The vectors were made
 * without the core.
 */

import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { coreVectors } from '../../scripts/make-core-vectors.js';
import type { Digest, Ulid, UserId } from '../../src/core/ids.js';
import { PRIVATE_PLAIN_BYTES_MAX, PRIVATE_PLAIN_BYTES_MIN } from '../../src/core/limits.js';
import {
  decodePrivate,
  encodePrivate,
  gapStatement,
  isPadded,
  type PrivateStatement,
  padPrivate,
  privateDigest,
  receiptStatement,
  sealInfo,
  unpadPrivate,
} from '../../src/core/private-statements.js';
import { readSealingKey, sealingSecret, showSealingKey } from '../../src/core/sealing-key.js';
import { codeOf } from './fixtures/errors.js';
import { PORTS } from './fixtures/ports.js';

const file = new URL('../vectors/private.json', import.meta.url);
const vectors: ReturnType<typeof coreVectors>['private'] = JSON.parse(readFileSync(file, 'utf8'));
type Message = (typeof vectors.messages)[number];

function statementOf({ message: m }: Message): PrivateStatement {
  const { byte, length } = m.body;
  const body = new Uint8Array(length).fill(Number.parseInt(byte || '0', 16));
  return { ...(m as unknown as PrivateStatement), body };
}

describe.each(PORTS)('with the $name port', (crypto) => {
  it.each(vectors.messages)('a message: $what', (vector) => {
    const statement = statementOf(vector);
    const bytes = encodePrivate(statement);
    const sig = hexToBytes(vector.sig);
    expect(decodePrivate(bytes)).toStrictEqual(statement);
    expect(privateDigest(crypto.sha256, statement)).toBe(vector.digest);
    expect(crypto.ed25519Verify(hexToBytes(statement.from), bytes, sig)).toBe(true);
    const plain = padPrivate(bytes, sig);
    expect({ length: plain.length, digest: bytesToHex(crypto.sha256(plain)) }).toStrictEqual(
      vector.plain,
    );
    expect(unpadPrivate(plain)).toStrictEqual({ statement, bytes, sig });
    expect(bytesToHex(sealInfo(statement))).toBe(vector.info);
  });

  it.each(vectors.messages)('its receipt and its gap: $what', (vector) => {
    const statement = statementOf(vector);
    const digest = vector.digest as Digest;
    const { receipt, gap } = vector;
    const said = [
      [receiptStatement(statement, digest), receipt],
      [gapStatement(statement, digest, gap.have as Digest), gap],
    ] as const;
    for (const [bytes, expected] of said) {
      expect(bytesToHex(bytes)).toBe(expected.statement);
      const sig = hexToBytes(expected.sig);
      expect(crypto.ed25519Verify(hexToBytes(statement.to), bytes, sig)).toBe(true);
      expect(crypto.ed25519Verify(hexToBytes(statement.from), bytes, sig)).toBe(false);
    }
  });

  it.each(vectors.sealing_keys)('the sealing key of $name', ({ seed, user, secret, shown }) => {
    const identity = { user: user as UserId, seed: hexToBytes(seed) };
    expect(bytesToHex(sealingSecret(crypto, identity.seed))).toBe(secret);
    expect(bytesToHex(showSealingKey(crypto, identity))).toBe(shown);
    expect(bytesToHex(readSealingKey(crypto, identity.user, hexToBytes(shown)))).toBe(
      shown.slice(0, 64),
    );
  });
});

const some: PrivateStatement = {
  ...{ from: 'a1'.repeat(32) as UserId, to: 'b2'.repeat(32) as UserId },
  ...{ id: '01HF0000000000000000000001' as Ulid, boot: '01HF0000000000000000000002' as Ulid },
  ...{ n: 3, prev: 'c3'.repeat(32) as Digest, body: new Uint8Array(40).fill(9) },
};

describe('what is sealed', () => {
  const bytes = encodePrivate(some);
  const plain = padPrivate(bytes, new Uint8Array(64).fill(1));

  it('has one of a few sizes, the smallest that fits', () => {
    const sizes = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 66_048];
    for (let length = 0; length <= 70_000; length++) {
      expect(isPadded(length)).toBe(sizes.includes(length));
    }
    fc.assert(
      fc.property(fc.nat(65_536), (length) => {
        const message = encodePrivate({ ...some, body: new Uint8Array(length) });
        const padded = padPrivate(message, new Uint8Array(64)).length;
        const content = message.length + 68;
        expect(sizes.find((size) => size >= content)).toBe(padded);
      }),
    );
    expect([PRIVATE_PLAIN_BYTES_MIN, PRIVATE_PLAIN_BYTES_MAX]).toEqual([sizes[0], sizes.at(-1)]);
  });

  it('is refused where it is cut, longer, or not zero behind its content', () => {
    const bad = [
      plain.slice(0, -1),
      plain.slice(0, 300),
      new Uint8Array(0),
      new Uint8Array(512).fill(0xff),
      new Uint8Array([...plain, 0]),
      new Uint8Array([...plain, ...new Uint8Array(512)]),
      plain.map((byte, i) => (i === 511 ? 1 : byte)),
      plain.map((byte, i) => (i === bytes.length + 68 ? 1 : byte)),
    ];
    for (const each of bad) expect(codeOf(() => unpadPrivate(each))).toBe('bad_encoding');
  });

  it('of any bytes is a message or a typed error', () => {
    const message = fc.uint8Array({ maxLength: 600 });
    fc.assert(
      fc.property(message, fc.nat(600), fc.nat(255), (random, at, byte) => {
        const changed = plain.map((b, i) => (i === at ? byte : b));
        for (const each of [random, changed]) {
          expect([undefined, 'bad_encoding']).toContain(codeOf(() => unpadPrivate(each)));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('statements', () => {
  it('differ where anything differs, and from each other', () => {
    const other = { from: some.to, to: some.from, id: some.boot };
    const digests = ['d4', 'e5'].map((d) => d.repeat(32) as Digest) as [Digest, Digest];
    const all = [some, { ...some, ...other }].flatMap((ref) => [
      ...[{ ...ref, n: 4 }, { ...ref, prev: digests[0] }, ref].map((m) => encodePrivate(m)),
      ...digests.map((digest) => receiptStatement(ref, digest)),
      gapStatement(ref, digests[0], digests[1]),
      gapStatement(ref, digests[1], digests[0]),
      sealInfo(ref),
    ]);
    expect(new Set(all.map(bytesToHex)).size).toBe(all.length);
  });

  it('of another version or tag are no messages', () => {
    const bytes = encodePrivate(some);
    for (const at of [10, 28]) {
      const changed = bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
      expect(codeOf(() => decodePrivate(changed))).toBe('bad_encoding');
    }
  });
});
