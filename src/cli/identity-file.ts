/**
 * What stands in `identity.json`: version 1 has the seed as it is, version 2
 * has it encrypted under a passphrase (sealing.ts); user and name are readable
 * in both.
 *
 *     {"version":1,"user","name","seed"}
 *     {"version":2,"user","name","sealed":{"kdf":{"name":"scrypt","N","r","p","salt"},"cipher":"aes-256-gcm","nonce","box"}}
 *
 * The box is the seed's ciphertext and tag; user, name and scrypt's parameters
 * are its associated data.
 */

import { randomBytes } from 'node:crypto';
import { hex32, type UserId, unhex } from '../core/ids.js';
import { nativeCrypto } from '../native/crypto-native.js';
import {
  type Box,
  CIPHER,
  deriveKey,
  isHex,
  type Kdf,
  kdfOf,
  NONCE_BYTES,
  newKdf,
  openBox,
  sealBox,
  TAG_BYTES,
} from './sealing.js';

export interface Identity {
  readonly user: UserId;
  readonly name: string;
  /** Ed25519 seed, 32 bytes. */
  readonly seed: Uint8Array;
}

export type Owner = Pick<Identity, 'user' | 'name'>;

export const SEED_BYTES = 32;
const PLAIN = 1;
const SEALED = 2;

export const userOf = (seed: Uint8Array): UserId =>
  hex32<UserId>(nativeCrypto.ed25519PublicKey(seed));

interface Sealed {
  readonly kdf: Kdf;
  readonly nonce: string;
  readonly box: string;
}

/** An identity as it was read: with its seed, or with what a passphrase opens. */
export type IdentityFile = Owner &
  ({ readonly seed: Uint8Array; readonly sealed?: undefined } | { readonly sealed: Sealed });

const toText = (content: object): string => `${JSON.stringify(content, null, 2)}\n`;

/** With a passphrase, the seed is encrypted. */
export async function encodeIdentity(
  { user, name, seed }: Identity,
  passphrase: string | undefined,
): Promise<string> {
  if (passphrase === undefined) {
    return toText({ version: PLAIN, user, name, seed: Buffer.from(seed).toString('hex') });
  }
  const kdf = newKdf();
  const nonce = randomBytes(NONCE_BYTES);
  const key = await deriveKey(passphrase, kdf);
  const box = sealBox({ key, nonce, context: contextOf({ user, name }, kdf) }, seed);
  const sealed = { kdf, cipher: CIPHER, nonce: nonce.toString('hex'), box: box.toString('hex') };
  return toText({ version: SEALED, user, name, sealed });
}

const contextOf = ({ user, name }: Owner, { N, r, p, salt }: Kdf): Buffer =>
  Buffer.from(JSON.stringify(['conclave identity', SEALED, user, name, 'scrypt', N, r, p, salt]));

/** Undefined when this is no identity, or one whose seed is another user's. */
export function decodeIdentity(text: string): IdentityFile | undefined {
  try {
    const { version, user, name, seed, sealed } = JSON.parse(text) as Record<string, unknown>;
    if (!isHex(user, 32) || typeof name !== 'string') return undefined;
    const owner: Owner = { user: user as UserId, name };
    if (version === SEALED) {
      const found = sealedOf(sealed);
      return found && { ...owner, sealed: found };
    }
    if (version !== PLAIN || !isHex(seed, SEED_BYTES)) return undefined;
    const bytes = unhex(seed);
    return userOf(bytes) === user ? { ...owner, seed: bytes } : undefined;
  } catch {
    return undefined;
  }
}

function sealedOf(value: unknown): Sealed | undefined {
  const { kdf, cipher, nonce, box } = (value ?? {}) as Record<string, unknown>;
  const found = kdfOf(kdf);
  if (!found || cipher !== CIPHER || !isHex(nonce, NONCE_BYTES)) return undefined;
  return isHex(box, SEED_BYTES + TAG_BYTES) ? { kdf: found, nonce, box } : undefined;
}

/** Undefined when the passphrase does not open it. */
export async function unlock(
  { user, name, sealed }: Owner & { readonly sealed: Sealed },
  passphrase: string,
): Promise<Identity | undefined> {
  const { kdf, nonce, box } = sealed;
  const key = await deriveKey(passphrase, kdf);
  const open: Box = {
    key,
    nonce: Buffer.from(nonce, 'hex'),
    context: contextOf({ user, name }, kdf),
  };
  const seed = openBox(open, Buffer.from(box, 'hex'));
  if (!seed || userOf(seed) !== user) return undefined;
  return { user, name, seed: new Uint8Array(seed) };
}
