/**
 * The crypto port (docs/PROTOCOL.md, section "Cryptography"). Two
 * implementations pass the same vectors: `portableCrypto` (noble, runs
 * anywhere) and `nativeCrypto` (node:crypto, in src/node). All functions are
 * synchronous and allocate their result; none keeps a reference to its input.
 * A seed or secret that has not 32 bytes throws `bad_key`.
 *
 * Verification follows one rule everywhere, because a disagreement would be a
 * fork: cofactorless, canonical encodings only (S < L, y < p), and public keys
 * must be points of the prime-order subgroup other than the identity.
 */

export interface Hash {
  (data: Uint8Array): Uint8Array;
  /** The same in lowercase hex, where that costs less than bytes made into text. */
  readonly hex?: (data: Uint8Array) => string;
}

export interface Crypto {
  readonly name: string;
  /** SHA-256 (FIPS 180-4), 32 bytes. */
  readonly sha256: Hash;
  /** HMAC-SHA3-512 (FIPS 198-1, FIPS 202) over the concatenation of `parts`, 64 bytes. */
  hmacSha3_512(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array;
  /** HKDF (RFC 5869) with SHA3-256, `length` bytes: 0 to 8,160, else it throws `internal`. */
  hkdfSha3_256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** Ed25519 public key (RFC 8032) of a 32-byte seed. */
  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  /** Ed25519 signature (RFC 8032), 64 bytes. */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /** True only for a valid signature under the rule above; never throws on hostile input. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** X25519 public key (RFC 7748) of a 32-byte secret. */
  x25519PublicKey(secret: Uint8Array): Uint8Array;
  /** X25519 shared secret; `undefined` when it is all zero or `publicKey` has not 32 bytes. */
  x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** Constant-time comparison; false when lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}
