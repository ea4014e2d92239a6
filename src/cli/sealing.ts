/**
 * What a passphrase encrypts (docs/SECURITY.md, "At rest"): a key comes from it
 * by scrypt (RFC 7914), with a fresh salt for everything that is encrypted, and
 * under that key AES-256-GCM. So no key is used for two things, and a nonce
 * need only differ within one.
 *
 * The parameters of scrypt stand with what was encrypted, so that later
 * versions may raise them; read back they are bounded, since a hostile file
 * could name gigabytes.
 */

import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';

/** 128 MiB and some tenths of a second: what OWASP recommends for scrypt (N 2^17, r 8, p 1). */
const COST = { N: 131_072, r: 8, p: 1 } as const;
const COST_N_MIN = 16_384;
/** 256 MiB. */
const COST_N_MAX = 262_144;
const PARALLEL_MAX = 4;
const SALT_BYTES = 32;
export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const CIPHER = 'aes-256-gcm';

/** How a key comes from a passphrase. */
export interface Kdf {
  readonly name: 'scrypt';
  readonly N: number;
  readonly r: number;
  readonly p: number;
  /** Hex. */
  readonly salt: string;
}

export const newKdf = (): Kdf => ({
  name: 'scrypt',
  ...COST,
  salt: randomBytes(SALT_BYTES).toString('hex'),
});

const isWithin = (value: unknown, min: number, max: number): value is number =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max;

export const isHex = (value: unknown, bytes: number): value is string =>
  typeof value === 'string' && value.length === 2 * bytes && /^[0-9a-f]*$/.test(value);

/** What was read, if it names a cost that is worth paying. */
export function kdfOf(value: unknown): Kdf | undefined {
  const { name, N, r, p, salt } = (value ?? {}) as Record<string, unknown>;
  if (name !== 'scrypt' || r !== COST.r || !isHex(salt, SALT_BYTES)) return undefined;
  if (!isWithin(N, COST_N_MIN, COST_N_MAX) || Math.log2(N) % 1 !== 0) return undefined;
  return isWithin(p, 1, PARALLEL_MAX) ? { name, N, r, p, salt } : undefined;
}

export function deriveKey(passphrase: string, kdf: Kdf, bytes = KEY_BYTES): Promise<Buffer> {
  const { N, r, p, salt } = kdf;
  const maxmem = 2 * 128 * N * r;
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, 'hex'), bytes, { N, r, p, maxmem }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

export interface Box {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** What is not encrypted and must not change. */
  readonly context: Uint8Array;
}

/** Ciphertext, and behind it the tag. */
export function sealBox({ key, nonce, context }: Box, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(context);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined when it is not what was sealed with this key, nonce and context. */
export function openBox({ key, nonce, context }: Box, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}
