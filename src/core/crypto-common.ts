/**
 * What the two crypto ports must decide alike (docs/PROTOCOL.md, section
 * "Cryptography"): which 32 bytes are an Ed25519 public key, and how arguments
 * of a wrong length fail. A public key is valid when it is the canonical
 * encoding (RFC 8032, 5.1.3) of a point of the prime-order subgroup other than
 * the identity. Without that rule one signature can verify under several keys,
 * for several messages, or in some libraries only ("Taming the many EdDSAs",
 * Chalkias, Garillot and Nikolaenko, 2020).
 */

import type { EdwardsPoint } from '@noble/curves/abstract/edwards.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { ConclaveError, invariant } from './errors.js';

export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
/** RFC 5869: at most 255 blocks of the hash, here SHA3-256. */
const HKDF_BYTES_MAX = 255 * 32;

/** The point that `bytes` encode; `undefined` unless they do so canonically (y < p, no negative zero). */
export function decodePoint(bytes: Uint8Array): EdwardsPoint | undefined {
  if (bytes.length !== KEY_BYTES) return undefined;
  try {
    return ed25519.Point.fromBytes(bytes, false);
  } catch {
    return undefined;
  }
}

/** True for a point of order exactly L. Costs about as much as a verification: cache the answer. */
export const isPrimeOrder = (point: EdwardsPoint): boolean => !point.is0() && point.isTorsionFree();

/** Throws `bad_key` unless `secret` has the length of an Ed25519 seed or an X25519 secret. */
export function checkSecret(secret: Uint8Array, what: string): void {
  if (secret.length !== KEY_BYTES) {
    throw new ConclaveError(
      'bad_key',
      `${what} must have ${KEY_BYTES} bytes, got ${secret.length}: check where it was read from`,
    );
  }
}

/** Lengths are chosen by conclave, not by a peer, so a wrong one is a bug. */
export function checkHkdfLength(length: number): void {
  invariant(
    Number.isInteger(length) && length >= 0 && length <= HKDF_BYTES_MAX,
    `HKDF-SHA3-256 gives 0 to ${HKDF_BYTES_MAX} bytes, not ${length}`,
  );
}

/**
 * A map that forgets: it holds at most `entriesMax` entries and drops those
 * used longest ago, half of its room at a time (two generations), so that a hit
 * costs one lookup. Whoever floods it with keys only makes it useless.
 */
export class KeyCache<V extends object> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  readonly #generationMax: number;

  constructor(entriesMax: number) {
    this.#generationMax = entriesMax / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old);
    }
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
