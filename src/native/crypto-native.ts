/**
 * The crypto port on node:crypto, about ten times as fast as the portable one
 * and what nodes and relays run on. It gives the same answers, bit for bit
 * (test/vectors/crypto.json): OpenSSL's Ed25519 check is cofactorless, requires
 * S < L and compares R as bytes, but it accepts non-canonical, small-order and
 * mixed-order public keys, so the check of the key is `core/crypto-common.ts`.
 * Specified in docs/PROTOCOL.md, section "Cryptography".
 *
 * Public keys and seeds are remembered as KeyObjects in bounded caches; X25519
 * secrets are not, since links use a fresh one each and must be able to forget.
 */

import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import type { Crypto } from '../core/crypto.js';
import {
  checkHkdfLength,
  checkSecret,
  decodePoint,
  isPrimeOrder,
  KEY_BYTES,
  KeyCache,
  SIGNATURE_BYTES,
} from '../core/crypto-common.js';

/** Public keys whose check and KeyObject are remembered. */
const NATIVE_PUBLIC_KEYS_MAX = 4_096;
/** Seeds whose KeyObject is remembered: one is usual, tests hold several users in one process. */
const NATIVE_SEEDS_MAX = 64;
const SHA3_256_BYTES = 32;

type Curve = 'Ed25519' | 'X25519';

/** A Buffer over the same bytes. */
const view = (b: Uint8Array): Buffer => Buffer.from(b.buffer, b.byteOffset, b.byteLength);
/** A plain Uint8Array, since Buffer's `slice` and serializations differ from it. */
const plain = (b: Buffer): Uint8Array => new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
/** Digests come as 'binary' strings: copying one takes half the time of an external ArrayBuffer. */
function fromBinary(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
const cacheKey = (b: Uint8Array): string => view(b).toString('latin1');
const base64url = (b: Uint8Array): string => view(b).toString('base64url');

// JWK, because OpenSSL 3.0 takes 15 times as long over DER.
const importPublic = (crv: Curve, key: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv, x: base64url(key) }, format: 'jwk' });

/** Node derives the public half from `d` and wants `x` only to be there. */
const importPrivate = (crv: Curve, secret: Uint8Array): KeyObject =>
  createPrivateKey({ key: { kty: 'OKP', crv, d: base64url(secret), x: '' }, format: 'jwk' });

const exportPublic = (key: KeyObject): Uint8Array =>
  new Uint8Array(Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url'));

interface Seed {
  readonly key: KeyObject;
  readonly publicKey: Uint8Array;
}
const seeds = new KeyCache<Seed>(NATIVE_SEEDS_MAX);

function importSeed(seed: Uint8Array): Seed {
  checkSecret(seed, 'an Ed25519 seed');
  const id = cacheKey(seed);
  const known = seeds.get(id);
  if (known !== undefined) return known;
  const key = importPrivate('Ed25519', seed);
  const imported = { key, publicKey: exportPublic(key) };
  seeds.set(id, imported);
  return imported;
}

/** `key` is absent when the public key is refused. */
const publicKeys = new KeyCache<{ readonly key?: KeyObject }>(NATIVE_PUBLIC_KEYS_MAX);

function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const id = cacheKey(publicKey);
  const known = publicKeys.get(id);
  if (known === undefined) return verifyUnknownKey(id, publicKey, message, signature);
  return known.key !== undefined && verify(null, message, known.key, signature);
}

/**
 * The costly check of the key's order comes last and only for a signature that
 * is right otherwise: forged ones under ever new keys cost little, and never
 * push a good key out of the cache.
 */
function verifyUnknownKey(
  id: string,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const point = decodePoint(publicKey);
  if (point === undefined) return false;
  const key = importPublic('Ed25519', publicKey);
  if (!verify(null, message, key, signature)) return false;
  const valid = isPrimeOrder(point);
  publicKeys.set(id, valid ? { key } : {});
  return valid;
}

function x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  checkSecret(secret, 'an X25519 secret');
  if (publicKey.length !== KEY_BYTES) return undefined;
  const keys = {
    privateKey: importPrivate('X25519', secret),
    publicKey: importPublic('X25519', publicKey),
  };
  try {
    return plain(diffieHellman(keys));
  } catch {
    return undefined; // Both keys are well formed, so this is OpenSSL refusing an all-zero result.
  }
}

function hmac(algorithm: string, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac(algorithm, key);
  for (const part of parts) mac.update(part);
  return fromBinary(mac.digest('binary'));
}

/** RFC 5869 by hand: `hkdfSync` refuses an info of more than 1,024 bytes, a transcript is longer. */
function hkdfSha3_256(
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  checkHkdfLength(length);
  const blocks = Math.ceil(length / SHA3_256_BYTES);
  const prk = hmac('sha3-256', salt, [ikm]);
  const output = new Uint8Array(blocks * SHA3_256_BYTES);
  let block: Uint8Array = new Uint8Array(0);
  for (let i = 0; i < blocks; i++) {
    block = hmac('sha3-256', prk, [block, info, Uint8Array.of(i + 1)]);
    output.set(block, i * SHA3_256_BYTES);
  }
  return output.slice(0, length);
}

export const nativeCrypto: Crypto = {
  name: 'native',
  // The one-shot `hash` takes half the time of `createHash` on short inputs.
  sha256: Object.assign((data: Uint8Array) => fromBinary(hash('sha256', data, 'binary')), {
    hex: (data: Uint8Array) => hash('sha256', data, 'hex'),
  }),
  hmacSha3_512: (key, parts) => hmac('sha3-512', key, parts),
  hkdfSha3_256,
  ed25519PublicKey: (seed) => importSeed(seed).publicKey.slice(),
  ed25519Sign: (seed, message) => plain(sign(null, message, importSeed(seed).key)),
  ed25519Verify,
  x25519PublicKey(secret) {
    checkSecret(secret, 'an X25519 secret');
    return exportPublic(importPrivate('X25519', secret));
  },
  x25519,
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
