/**
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) on OpenSSL's ChaCha20-Poly1305
 * (RFC 8439): HChaCha20 makes a key of the first 16 bytes of the nonce, the other
 * eight are the nonce under it. It gives the same bytes as noble's, which does all
 * of it in JavaScript, in a part of the time (docs/PROTOCOL.md, section
 * "Encryption"; test/unit/xchacha.test.ts compares the two).
 */

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { hchacha } from '@noble/ciphers/chacha.js';
import { KEY_NONCE_BYTES, nonceUnder } from '../core/message-key.js';

export const XCHACHA_NONCE_BYTES = 24;
export const XCHACHA_TAG_BYTES = 16;

const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: XCHACHA_TAG_BYTES } as const;
/** The ASCII text "expand 32-byte k", as little-endian words. */
const SIGMA = Uint32Array.from([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);

/** A copy of bytes as words, whatever they are aligned to. */
const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.slice().buffer);

/** The key under which ChaCha20-Poly1305 seals: of the key and the first 16 bytes of the nonce. */
export function xchachaKey(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const out = new Uint32Array(8);
  hchacha(SIGMA, words(key), words(nonce.subarray(0, KEY_NONCE_BYTES)), out);
  return new Uint8Array(out.buffer);
}

/** Writes ciphertext and tag, 16 bytes more than the plain text, into `into` from `at` on. */
export function xchachaSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  plain: Uint8Array,
  into: Uint8Array,
  at: number,
): void {
  sealUnder(xchachaKey(key, nonce), nonce, ad, plain, into, at);
}

/** The same, for whoever has the key underneath already. */
export function sealUnder(
  under: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  plain: Uint8Array,
  into: Uint8Array,
  at: number,
): void {
  const cipher = createCipheriv(CIPHER, under, nonceUnder(nonce), OPTIONS);
  cipher.setAAD(ad, { plaintextLength: plain.length });
  into.set(cipher.update(plain), at);
  cipher.final();
  into.set(cipher.getAuthTag(), at + plain.length);
}

/** The plain text; undefined where the tag does not fit. */
export const xchachaOpen = (
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined => openUnder(xchachaKey(key, nonce), nonce, ad, sealed);

/** The same, for whoever has the key underneath already. */
export function openUnder(
  under: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const length = sealed.length - XCHACHA_TAG_BYTES;
  if (length < 0) return undefined;
  const decipher = createDecipheriv(CIPHER, under, nonceUnder(nonce), OPTIONS);
  decipher.setAAD(ad, { plaintextLength: length });
  decipher.setAuthTag(sealed.subarray(length));
  const plain = new Uint8Array(decipher.update(sealed.subarray(0, length)));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plain;
}
