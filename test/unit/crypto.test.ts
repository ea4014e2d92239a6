/**
 * The two crypto ports against test/vectors/crypto.json and against each other
 * (docs/PROTOCOL.md, section "Cryptography"). A disagreement between them would
 * be a fork of the log.
 */

import { verify as opensslVerify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cryptoVectors } from '../../scripts/make-crypto-vectors.js';
import type { Crypto } from '../../src/core/crypto.js';
import { decodePoint, isPrimeOrder, KeyCache } from '../../src/core/crypto-common.js';
import { portableCrypto } from '../../src/core/crypto-portable.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';

const file = new URL('../vectors/crypto.json', import.meta.url);
const vectors: ReturnType<typeof cryptoVectors> = JSON.parse(readFileSync(file, 'utf8'));
const ports: readonly Crypto[] = [portableCrypto, nativeCrypto];

const hex = hexToBytes;
const verifyHex = (crypto: Crypto, c: { public_key: string; message: string; signature: string }) =>
  crypto.ed25519Verify(hex(c.public_key), hex(c.message), hex(c.signature));

/** Both ports' answer, which must be one; as hex where it is bytes. */
function agreed<T>(ask: (crypto: Crypto) => T): T {
  const [portable, native] = ports.map(ask);
  expect(native).toStrictEqual(portable);
  return native as T;
}

describe('test/vectors/crypto.json', () => {
  it('is what scripts/make-crypto-vectors.ts makes', () => {
    expect(vectors).toStrictEqual(cryptoVectors());
  });

  it('has, for every rule of verification, an input that breaks this rule alone', () => {
    const alone = vectors.ed25519_verify.cases.filter((c) => c.breaks.length === 1);
    const rules = new Set(alone.map((c) => c.breaks[0]));
    expect([...rules].sort()).toStrictEqual(Object.keys(vectors.ed25519_verify.rules).sort());
  });

  const rejected = vectors.ed25519_verify.cases.filter(
    (c) => !c.breaks.includes('length') && !c.valid,
  );

  it('has inputs that noble alone accepts: what the portable port adds is tested', () => {
    const accepted = rejected.filter((c) =>
      ed25519.verify(hex(c.signature), hex(c.message), hex(c.public_key)),
    );
    const broken = new Set(accepted.flatMap((c) => c.breaks));
    expect([...broken].sort()).toStrictEqual([
      'equation',
      'key_encoding',
      'key_order',
      'r_encoding',
    ]);
  });

  it('has inputs that OpenSSL alone accepts, all with a bad key: what the native port adds', () => {
    const accepted = rejected.filter((c) => {
      const x = Buffer.from(c.public_key, 'hex').toString('base64url');
      const key = { key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' } as const;
      return opensslVerify(null, hex(c.message), key, hex(c.signature));
    });
    expect(accepted).not.toHaveLength(0);
    expect(accepted.filter((c) => !c.breaks.includes('key_order'))).toStrictEqual([]);
  });
});

describe.each(ports)('$name port', (crypto) => {
  it.each(vectors.sha256.cases)('sha256: $name', (c) => {
    expect(bytesToHex(crypto.sha256(hex(c.message)))).toBe(c.digest);
  });

  it.each(vectors.hmac_sha3_512.cases)('hmacSha3_512: $name', (c) => {
    expect(bytesToHex(crypto.hmacSha3_512(hex(c.key), c.parts.map(hex)))).toBe(c.mac);
  });

  it.each(vectors.hkdf_sha3_256.cases)('hkdfSha3_256: $name', (c) => {
    const okm = crypto.hkdfSha3_256(hex(c.ikm), hex(c.salt), hex(c.info), c.length);
    expect(bytesToHex(okm)).toBe(c.okm);
  });

  it.each(vectors.ed25519_sign.cases)('ed25519Sign: $name', (c) => {
    expect(bytesToHex(crypto.ed25519PublicKey(hex(c.seed)))).toBe(c.public_key);
    expect(bytesToHex(crypto.ed25519Sign(hex(c.seed), hex(c.message)))).toBe(c.signature);
  });

  it.each(vectors.ed25519_verify.cases)('ed25519Verify is $valid: $name', (c) => {
    expect(verifyHex(crypto, c)).toBe(c.valid);
    // The second time the key may come from the cache.
    expect(verifyHex(crypto, c)).toBe(c.valid);
  });

  it.each(vectors.x25519_public_key.cases)('x25519PublicKey: $name', (c) => {
    expect(bytesToHex(crypto.x25519PublicKey(hex(c.secret)))).toBe(c.public_key);
  });

  it.each(vectors.x25519.cases)('x25519: $name', (c) => {
    const shared = crypto.x25519(hex(c.secret), hex(c.public_key));
    expect(shared === undefined ? null : bytesToHex(shared)).toBe(c.shared);
  });

  it.each(vectors.x25519_iterated.cases)('x25519 iterated: $name', (c) => {
    let k: Uint8Array = hex(`09${'00'.repeat(31)}`);
    let u = k;
    for (let i = 0; i < c.iterations; i++) [k, u] = [crypto.x25519(k, u)!, k];
    expect(bytesToHex(k)).toBe(c.result);
  });

  it('compares bytes', () => {
    const a = hex('00112233');
    expect(crypto.equal(a, hex('00112233'))).toBe(true);
    expect(crypto.equal(a, hex('00112232'))).toBe(false);
    expect(crypto.equal(a, hex('80112233'))).toBe(false);
    expect(crypto.equal(a, hex('001122'))).toBe(false);
    expect(crypto.equal(a, hex(''))).toBe(false);
    expect(crypto.equal(hex(''), hex(''))).toBe(true);
  });

  it.each([0, 31, 33, 64])('refuses a secret of %i bytes with bad_key', (length) => {
    const secret = new Uint8Array(length);
    const badKey = expect.objectContaining({ code: 'bad_key', retryable: false });
    expect(() => crypto.ed25519PublicKey(secret)).toThrow(badKey);
    expect(() => crypto.ed25519Sign(secret, new Uint8Array(1))).toThrow(badKey);
    expect(() => crypto.x25519PublicKey(secret)).toThrow(badKey);
    expect(() => crypto.x25519(secret, new Uint8Array(32).fill(9))).toThrow(badKey);
  });

  it('gives 0 to 8,160 bytes of HKDF and refuses any other length', () => {
    const one = new Uint8Array(1);
    expect(crypto.hkdfSha3_256(one, one, one, 8_160)).toHaveLength(8_160);
    for (const length of [8_161, -1, 1.5, Number.NaN]) {
      const internal = expect.objectContaining({ code: 'internal' });
      expect(() => crypto.hkdfSha3_256(one, one, one, length)).toThrow(internal);
    }
  });

  it('keeps no reference to its input and returns bytes of its own', () => {
    const seed = new Uint8Array(32).fill(1);
    const message = hex('0102');
    const key = crypto.ed25519PublicKey(seed);
    const signature = crypto.ed25519Sign(seed, message);
    expect(crypto.ed25519Verify(key, message, signature)).toBe(true);

    seed.fill(2);
    const otherKey = crypto.ed25519PublicKey(seed);
    expect(otherKey).not.toStrictEqual(key);
    const before = otherKey.slice();
    otherKey.fill(0);
    expect(crypto.ed25519PublicKey(seed)).toStrictEqual(before);

    key.set(before);
    expect(crypto.ed25519Verify(key, message, signature)).toBe(false);
    expect(crypto.ed25519Verify(key, message, crypto.ed25519Sign(seed, message))).toBe(true);
  });

  it('takes views into larger buffers, and returns plain arrays with a buffer of their own', () => {
    const around = new Uint8Array(200).fill(7);
    const at = (offset: number, bytes: Uint8Array): Uint8Array => {
      around.set(bytes, offset);
      return around.subarray(offset, offset + bytes.length);
    };
    const c = vectors.ed25519_sign.cases[2]!;
    const seed = at(1, hex(c.seed));
    const message = at(40, hex(c.message));
    const outputs = [
      crypto.sha256(message),
      crypto.hmacSha3_512(seed, [message]),
      crypto.hkdfSha3_256(seed, message, message, 40),
      crypto.ed25519PublicKey(seed),
      crypto.ed25519Sign(seed, message),
      crypto.x25519PublicKey(seed),
      crypto.x25519(seed, crypto.x25519PublicKey(seed))!,
    ];
    for (const output of outputs) {
      expect(Object.getPrototypeOf(output)).toBe(Uint8Array.prototype);
      expect(output.buffer.byteLength).toBe(output.length);
    }
    expect(bytesToHex(outputs[4]!)).toBe(c.signature);
    const key = at(60, hex(c.public_key));
    expect(crypto.ed25519Verify(key, message, at(100, hex(c.signature)))).toBe(true);
  });
});

describe('public keys', () => {
  it.each(vectors.ed25519_public_key.cases)('$name: $valid', (c) => {
    const point = decodePoint(hex(c.public_key));
    expect(point === undefined).toBe(c.breaks.includes('key_encoding'));
    expect(point !== undefined && isPrimeOrder(point)).toBe(c.valid);
  });
});

describe('KeyCache', () => {
  const entry = (n: number) => ({ n });

  it('never holds more than its bound', () => {
    const cache = new KeyCache<object>(8);
    for (let i = 0; i < 100; i++) {
      cache.set(`${i}`, entry(i));
      cache.get(`${i - 3}`);
      expect(cache.size).toBeLessThanOrEqual(8);
    }
  });

  it('keeps what is used and forgets what is not', () => {
    const cache = new KeyCache<object>(8);
    cache.set('used', entry(1));
    cache.set('unused', entry(2));
    for (let i = 0; i < 100; i++) {
      cache.set(`${i}`, entry(i));
      expect(cache.get('used')).toStrictEqual(entry(1));
    }
    expect(cache.get('unused')).toBeUndefined();
  });
});

describe('both ports', () => {
  // Few signers, so that most keys are known to the caches, as in a channel.
  const seeds = Array.from({ length: 6 }, (_, i) => new Uint8Array(32).fill(i + 100));
  const anySeed = fc.constantFrom(...seeds);
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const T8 = ed25519.Point.fromHex(
    vectors.ed25519_public_key.cases.find((c) => c.name.includes('order 8'))!.public_key,
  );
  const L = ed25519.Point.Fn.ORDER;

  const signed = fc.record({ seed: anySeed, message: bytes(300) }).map(({ seed, message }) => ({
    key: nativeCrypto.ed25519PublicKey(seed),
    message,
    signature: nativeCrypto.ed25519Sign(seed, message),
  }));
  interface Signed {
    readonly key: Uint8Array;
    readonly message: Uint8Array;
    readonly signature: Uint8Array;
  }
  const verifyBoth = ({ key, message, signature }: Signed): boolean =>
    agreed((crypto) => crypto.ed25519Verify(key, message, signature));

  it('make the same keys and signatures, and verify each other', () => {
    const property = fc.property(bytes32, bytes(300), (seed, message) => {
      const key = agreed((crypto) => crypto.ed25519PublicKey(seed));
      const signature = agreed((crypto) => crypto.ed25519Sign(seed, message));
      expect(verifyBoth({ key, message, signature })).toBe(true);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('refuse a signature with any bit of it, its key or its message flipped', () => {
    const part = fc.constantFrom('key', 'message', 'signature');
    const property = fc.property(signed, part, fc.nat(), (good, where, bit) => {
      const flipped = good[where].slice();
      fc.pre(flipped.length > 0);
      const at = bit % (flipped.length * 8);
      flipped[at >> 3]! ^= 1 << (at & 7);
      expect(verifyBoth({ ...good, [where]: flipped })).toBe(false);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('refuse torsion added to the key or to R, and multiples of L added to S', () => {
    const torsion = (encoded: Uint8Array, n: number) =>
      ed25519.Point.fromBytes(encoded)
        .add(T8.multiplyUnsafe(BigInt(n)))
        .toBytes();
    const property = fc.property(
      signed,
      fc.nat(7),
      fc.nat(7),
      fc.nat(14),
      (good, onKey, onR, l) => {
        const s = bytesToNumberLE(good.signature.subarray(32)) + BigInt(l) * L;
        const signature = new Uint8Array(64);
        signature.set(torsion(good.signature.subarray(0, 32), onR));
        signature.set(numberToBytesLE(s, 32), 32);
        const key = torsion(good.key, onKey);
        expect(verifyBoth({ ...good, key, signature })).toBe(onKey + onR + l === 0);
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  it('refuse arbitrary bytes without throwing', () => {
    const mostly = (length: number) =>
      fc.oneof(fc.uint8Array({ minLength: length, maxLength: length }), bytes(100));
    const property = fc.property(mostly(32), bytes(100), mostly(64), (key, message, signature) => {
      expect(verifyBoth({ key, message, signature })).toBe(false);
      const secret = seeds[0]!;
      agreed((crypto) => crypto.x25519(secret, key));
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('agree on hashes, MACs and derived keys', () => {
    const property = fc.property(
      bytes(200),
      fc.array(bytes(200), { maxLength: 5 }),
      fc.nat(200),
      (a, parts, length) => {
        agreed((crypto) => crypto.sha256(a));
        agreed((crypto) => crypto.hmacSha3_512(a, parts));
        agreed((crypto) => crypto.hkdfSha3_256(parts[0] ?? a, a, parts[1] ?? a, length));
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it('agree on X25519', () => {
    const property = fc.property(bytes32, bytes32, (a, b) => {
      const ours = agreed((crypto) => crypto.x25519PublicKey(a));
      const theirs = agreed((crypto) => crypto.x25519PublicKey(b));
      const shared = agreed((crypto) => crypto.x25519(a, theirs));
      expect(shared).toHaveLength(32);
      expect(nativeCrypto.x25519(b, ours)).toStrictEqual(shared);
    });
    fc.assert(property, { numRuns: 50 });
  });
});
