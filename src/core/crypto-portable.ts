/**
 * The crypto port on noble: pure JavaScript, runs wherever the core does, and
 * is the reference that `nativeCrypto` is compared with. Constant-time as far
 * as JavaScript allows, which is not far: prefer the native port where there is
 * one. Specified in docs/PROTOCOL.md, section "Cryptography"; known answers and
 * hostile inputs in test/vectors/crypto.json.
 */

import type { EdwardsPoint } from '@noble/curves/abstract/edwards.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, equalBytes } from '@noble/curves/utils.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { sha3_256, sha3_512 } from '@noble/hashes/sha3.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Crypto } from './crypto.js';
import {
  checkHkdfLength,
  checkSecret,
  decodePoint,
  isPrimeOrder,
  KEY_BYTES,
  KeyCache,
  SIGNATURE_BYTES,
} from './crypto-common.js';

/** Public keys whose check and decoded point are remembered. */
const PORTABLE_PUBLIC_KEYS_MAX = 1_024;

const { Point } = ed25519;
const { Fn } = Point;

/** `point` is absent when the key is refused. */
const publicKeys = new KeyCache<{ readonly point?: EdwardsPoint }>(PORTABLE_PUBLIC_KEYS_MAX);

function publicPoint(publicKey: Uint8Array): EdwardsPoint | undefined {
  const id = bytesToHex(publicKey);
  const known = publicKeys.get(id);
  if (known !== undefined) return known.point;
  const point = decodePoint(publicKey);
  const valid = point !== undefined && isPrimeOrder(point);
  publicKeys.set(id, valid ? { point } : {});
  return valid ? point : undefined;
}

/** k = SHA-512(R ‖ A ‖ M) mod L. */
function challenge(r: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint {
  const digest = sha512.create().update(r).update(publicKey).update(message).digest();
  return Fn.create(bytesToNumberLE(digest));
}

/**
 * noble's own `verify` is cofactored in both of its modes, so the cofactorless
 * check is made here: R must be the encoding of S·B − k·A. Comparing bytes
 * requires a canonical R as well, as an encoding that is computed is canonical.
 */
function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const r = signature.subarray(0, 32);
  const s = bytesToNumberLE(signature.subarray(32));
  if (s >= Fn.ORDER) return false;
  const a = publicPoint(publicKey);
  if (a === undefined) return false;
  const kA = a.multiplyUnsafe(challenge(r, publicKey, message));
  return equalBytes(Point.BASE.multiplyUnsafe(s).subtract(kA).toBytes(), r);
}

function sharedSecret(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  checkSecret(secret, 'an X25519 secret');
  if (publicKey.length !== KEY_BYTES) return undefined;
  try {
    return x25519.getSharedSecret(secret, publicKey);
  } catch {
    return undefined; // Both lengths are right, so this is noble refusing a small-order point.
  }
}

export const portableCrypto: Crypto = {
  name: 'portable',
  sha256,
  hmacSha3_512(key, parts) {
    const mac = hmac.create(sha3_512, key);
    for (const part of parts) mac.update(part);
    return mac.digest();
  },
  hkdfSha3_256(ikm, salt, info, length) {
    checkHkdfLength(length);
    return hkdf(sha3_256, ikm, salt, info, length);
  },
  ed25519PublicKey(seed) {
    checkSecret(seed, 'an Ed25519 seed');
    return ed25519.getPublicKey(seed);
  },
  ed25519Sign(seed, message) {
    checkSecret(seed, 'an Ed25519 seed');
    return ed25519.sign(message, seed);
  },
  ed25519Verify: verify,
  x25519PublicKey(secret) {
    checkSecret(secret, 'an X25519 secret');
    return x25519.getPublicKey(secret);
  },
  x25519: sharedSecret,
  equal: equalBytes,
};
