/**
 * Both crypto ports under keys, signatures and points that are made to be
 * disagreed about (docs/PROTOCOL.md, section "Cryptography"): small order,
 * torsion, encodings that are not canonical, S beyond L. Each is judged by
 * point arithmetic, rule by rule, and the ports must both say what comes out.
 */

import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkEd25519,
  checkX25519,
  type Ed25519Vectors,
  type X25519Vectors,
} from '../../scripts/check-wycheproof.js';
import { judge } from '../../scripts/hostile-ed25519.js';
import { cryptoVectors } from '../../scripts/make-crypto-vectors.js';
import type { Crypto } from '../../src/core/crypto.js';
import { nativeCrypto, PORTS } from './fixtures/ports.js';

const { Point } = ed25519;
const L = Point.Fn.ORDER;
const P = Point.Fp.ORDER;
const Q = 2n ** 255n - 19n;
const vectors = cryptoVectors();
const T8 = Point.fromHex(
  vectors.ed25519_public_key.cases.find((c) => c.name.includes('order 8'))!.public_key,
);

const scalar = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(0n, 1n, L - 1n) },
  { weight: 4, arbitrary: fc.bigInt({ min: 1n, max: L - 1n }) },
);
const torsion = fc.oneof(fc.constant(0), fc.nat(7));
const form = fc.oneof(
  { weight: 4, arbitrary: fc.constant('canonical' as const) },
  { weight: 1, arbitrary: fc.constantFrom('y + p' as const, 'other sign' as const) },
);
const point = fc.record({ scalar, torsion, form });

/** The encoding of scalar·B + torsion·T8, or one that is not canonical where there is one. */
function encoded({
  scalar: s,
  torsion: t,
  form: f,
}: {
  scalar: bigint;
  torsion: number;
  form: string;
}) {
  const sum = Point.BASE.multiplyUnsafe(s).add(T8.multiplyUnsafe(BigInt(t)));
  const bytes = sum.toBytes();
  const y = sum.toAffine().y;
  if (f === 'y + p' && y < 19n) {
    const larger = numberToBytesLE(y + P, 32);
    larger[31]! |= bytes[31]! & 0x80;
    return larger;
  }
  if (f === 'other sign') bytes[31]! ^= 0x80;
  return bytes;
}

/** S makes the equation hold in the prime-order subgroup, whatever else is odd. */
const hostile = fc
  .record({
    key: point,
    r: point,
    message: fc.uint8Array({ maxLength: 40 }),
    times: fc.oneof(fc.constant(0), fc.nat(15)),
  })
  .map(({ key, r, message, times }) => {
    const [publicKey, rBytes] = [encoded(key), encoded(r)];
    const hash = sha512(Buffer.concat([rBytes, publicKey, message]));
    const s = (r.scalar + Point.Fn.create(bytesToNumberLE(hash)) * key.scalar) % L;
    const sum = s + BigInt(times) * L;
    const signature = new Uint8Array(64);
    signature.set(rBytes);
    signature.set(numberToBytesLE(sum < 2n ** 256n ? sum : s, 32), 32);
    return { publicKey, message, signature };
  });

function agreed<T>(ask: (crypto: Crypto) => T): T {
  const [portable, native] = PORTS.map(ask);
  expect(native).toStrictEqual(portable);
  return native as T;
}

describe('Ed25519', () => {
  it('signatures whose S fits, under any key and R: both ports judge by all rules', () => {
    const broken = new Map<string, number>();
    const property = fc.property(hostile, ({ publicKey, message, signature }) => {
      const { breaks } = judge(publicKey, message, signature);
      broken.set(breaks.join(), (broken.get(breaks.join()) ?? 0) + 1);
      const verify = (crypto: Crypto) => crypto.ed25519Verify(publicKey, message, signature);
      expect(agreed(verify)).toBe(breaks.length === 0);
      // Again: the ports remember keys.
      expect(agreed(verify)).toBe(breaks.length === 0);
    });
    fc.assert(property, { numRuns: 400 });
    // Else the rules were never put to the test alone.
    for (const rule of ['', 'key_order', 's_range', 'equation']) {
      expect(broken.get(rule) ?? 0, rule || 'valid').toBeGreaterThan(0);
    }
  });

  it('agree on random bytes in the place of each part', () => {
    const part = fc.constantFrom('publicKey' as const, 'signature' as const);
    const noise = fc.uint8Array({ minLength: 64, maxLength: 64 });
    const property = fc.property(hostile, part, noise, (good, where, bytes) => {
      const bad = { ...good, [where]: bytes.subarray(0, good[where].length) };
      const { breaks } = judge(bad.publicKey, bad.message, bad.signature);
      const verify = (c: Crypto) => c.ed25519Verify(bad.publicKey, bad.message, bad.signature);
      expect(agreed(verify)).toBe(breaks.length === 0);
    });
    fc.assert(property, { numRuns: 200 });
  });
});

/** RFC 7748, section 5, in plain arithmetic; undefined where the result is zero. */
function ladder(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  const mod = (n: bigint): bigint => ((n % Q) + Q) % Q;
  const k = (bytesToNumberLE(secret) & ~7n & (2n ** 254n - 1n)) | (2n ** 254n);
  const u = mod(bytesToNumberLE(publicKey) & (2n ** 255n - 1n));
  let [x2, z2, x3, z3] = [1n, 0n, u, 1n];
  for (let bit = 254n; bit >= 0n; bit--) {
    const swap = ((k >> bit) & 1n) === 1n;
    if (swap) [x2, z2, x3, z3] = [x3, z3, x2, z2];
    const [a, b, c, d] = [mod(x2 + z2), mod(x2 - z2), mod(x3 + z3), mod(x3 - z3)];
    const [da, cb, aa, bb] = [mod(d * a), mod(c * b), mod(a * a), mod(b * b)];
    const e = mod(aa - bb);
    [x3, z3] = [mod((da + cb) ** 2n), mod(u * mod((da - cb) ** 2n))];
    [x2, z2] = [mod(aa * bb), mod(e * mod(aa + 121_665n * e))];
    if (swap) [x2, z2, x3, z3] = [x3, z3, x2, z2];
  }
  let [inverse, base] = [1n, z2];
  for (let power = Q - 2n; power > 0n; power >>= 1n) {
    if (power & 1n) inverse = mod(inverse * base);
    base = mod(base * base);
  }
  const shared = mod(x2 * inverse);
  return shared === 0n ? undefined : numberToBytesLE(shared, 32);
}

describe('X25519', () => {
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const ORDER_8 = [
    325606250916557431795983626356110631294008115727848805560023387167927233504n,
    39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  ];
  /** Of small order, on the curve and its twist, at the borders of p, and with the bit that is ignored. */
  const special = fc
    .record({
      value: fc.constantFrom(
        0n,
        1n,
        2n,
        9n,
        ...ORDER_8,
        Q - 2n,
        Q - 1n,
        Q,
        Q + 1n,
        Q + 2n,
        Q + 18n,
      ),
      high: fc.boolean(),
    })
    .map(({ value, high }) => numberToBytesLE(value + (high ? 2n ** 255n : 0n), 32));

  it('any public key: both ports do what RFC 7748 says, and refuse zero', () => {
    let refused = 0;
    const property = fc.property(bytes32, fc.oneof(special, bytes32), (secret, publicKey) => {
      const expected = ladder(secret, publicKey);
      if (!expected) refused += 1;
      expect(agreed((crypto) => crypto.x25519(secret, publicKey))).toStrictEqual(expected);
    });
    fc.assert(property, { numRuns: 200 });
    expect(refused).toBeGreaterThan(0);
  });
});

describe('scripts/check-wycheproof.ts', () => {
  const asCase = (tcId: number, valid: boolean) => ({
    ...{ tcId, comment: '', flags: [] },
    result: valid ? ('valid' as const) : ('invalid' as const),
  });
  const signatures: Ed25519Vectors = {
    testGroups: vectors.ed25519_verify.cases.map((c, i) => ({
      publicKey: { pk: c.public_key },
      tests: [{ ...asCase(i, c.valid), msg: c.message, sig: c.signature }],
    })),
  };
  const shared: X25519Vectors = {
    testGroups: [
      {
        tests: vectors.x25519.cases
          .filter((c) => c.public_key.length === 64)
          .map((c, i) => ({
            ...asCase(i, c.shared !== null),
            ...{ public: c.public_key, private: c.secret, shared: c.shared ?? '00'.repeat(32) },
          })),
      },
    ],
  };

  it('finds nothing wrong with the ports on vectors of our own in that form', () => {
    expect(checkEd25519(signatures).wrong).toStrictEqual([]);
    expect(checkX25519(shared).wrong).toStrictEqual([]);
    expect(checkX25519(shared).accepted).toBeGreaterThan(0);
  });

  it('finds a port that takes every signature, and one that gives zero', () => {
    const yes = { ...nativeCrypto, ed25519Verify: () => true };
    const zero = { ...nativeCrypto, x25519: () => new Uint8Array(32) };
    const invalid = vectors.ed25519_verify.cases.filter((c) => !c.valid).length;
    expect(checkEd25519(signatures, [yes]).wrong).toHaveLength(invalid);
    expect(checkX25519(shared, [zero]).wrong).toHaveLength(shared.testGroups[0]!.tests.length);
  });
});
