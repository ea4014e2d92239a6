/**
 * HPKE (RFC 9180), base mode: bytes that only the holder of one X25519 key can
 * read. DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, by the library
 * `hpke` over WebCrypto, in Node and browsers alike (docs/decisions/0025-hpke.md;
 * docs/PROTOCOL.md, section "Keys").
 *
 *     sealed = encapsulated key 32 ‖ ciphertext ‖ tag 16
 *
 * Each call makes a fresh key of its own, so no nonce ever repeats. Base mode
 * says nothing about who sealed: what is inside has to be signed. `info` binds
 * the bytes to their purpose: they open under the same only. A key that gives
 * an all-zero secret is refused on both sides.
 */

import {
  AEAD_AES_256_GCM,
  CipherSuite,
  type CryptoKey,
  KDF_HKDF_SHA256,
  KEM_DHKEM_X25519_HKDF_SHA256,
  type KeyPair,
} from 'hpke';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import type { Identity } from '../core/keys.js';
import { SEALED_OVERHEAD_BYTES } from '../core/limits.js';
import { sealingSecret, showSealingKey } from '../core/sealing-key.js';
import type { Sealing } from './private-parts.js';

export { SEALED_OVERHEAD_BYTES };

const ENCAPSULATED_BYTES = 32;

const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);

/** Opens what was sealed to `publicKey`. */
export interface SealingKey {
  readonly publicKey: Uint8Array;
  readonly pair: KeyPair<CryptoKey>;
}

/** The sealing key of the identity with this seed. */
export const sealingKey = (crypto: Crypto, seed: Uint8Array): Promise<SealingKey> =>
  sealingKeyOf(crypto, sealingSecret(crypto, seed));

export async function sealingKeyOf(crypto: Crypto, secret: Uint8Array): Promise<SealingKey> {
  const publicKey = crypto.x25519PublicKey(secret);
  const [publicHalf, privateHalf] = await Promise.all([
    suite.DeserializePublicKey(publicKey),
    suite.DeserializePrivateKey(secret, false),
  ]);
  return { publicKey, pair: { publicKey: publicHalf, privateKey: privateHalf } };
}

/** Throws `bad_key` when `publicKey` is none that can be sealed to. */
export async function seal(
  publicKey: Uint8Array,
  info: Uint8Array,
  plain: Uint8Array,
): Promise<Uint8Array> {
  const sealed = await encapsulate(publicKey, info, plain);
  const bytes = new Uint8Array(ENCAPSULATED_BYTES + sealed.ciphertext.length);
  bytes.set(sealed.encapsulatedSecret);
  bytes.set(sealed.ciphertext, ENCAPSULATED_BYTES);
  return bytes;
}

async function encapsulate(publicKey: Uint8Array, info: Uint8Array, plain: Uint8Array) {
  try {
    const key = await suite.DeserializePublicKey(publicKey);
    return await suite.Seal(key, plain, { info });
  } catch (cause) {
    const message = 'nothing can be sealed to this X25519 key: ask its owner for a good one';
    throw new ConclaveError('bad_key', message, { cause });
  }
}

/** Throws `bad_seal` unless `sealed` was made for this key and `info`, and is whole. */
export async function open(
  key: SealingKey,
  info: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  try {
    if (sealed.length < SEALED_OVERHEAD_BYTES) throw new RangeError('too short');
    const encapsulated = sealed.subarray(0, ENCAPSULATED_BYTES);
    return await suite.Open(key.pair, encapsulated, sealed.subarray(ENCAPSULATED_BYTES), { info });
  } catch (cause) {
    const message = 'sealed bytes do not open: they are not for this key and purpose, or damaged';
    throw new ConclaveError('bad_seal', message, { cause });
  }
}

/** What an identity seals and opens with. */
export async function sealingOf(crypto: Crypto, identity: Identity): Promise<Sealing> {
  const key = await sealingKey(crypto, identity.seed);
  return {
    shown: showSealingKey(crypto, identity),
    seal,
    open: (info, sealed) => open(key, info, sealed),
  };
}
