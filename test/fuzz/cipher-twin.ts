/**
 * The ciphers of section "Encryption" of docs/PROTOCOL.md out of Node's own
 * parts, with none of the product's libraries (the product takes ChaCha20-Poly1305
 * from Node too, and xchacha.test.ts compares that with noble's): XChaCha20-Poly1305 (RFC 8439 and
 * draft-irtf-cfrg-xchacha, whose HChaCha20 stands here), and HPKE's base mode
 * (RFC 9180) for X25519, HKDF-SHA256 and AES-256-GCM. Keys and nonces are the
 * caller's, so that a case is the same again.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';
import { intBytes } from './grammar.js';

const TAG_BYTES = 16;
const u16 = (n: number): Uint8Array => intBytes(BigInt(n), 2);
const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

/** HKDF with SHA3-256 and no salt. */
export const hkdf = (secret: Uint8Array, info: Uint8Array, length: number): Buffer =>
  Buffer.from(hkdfSync('sha3-256', secret, new Uint8Array(0), info, length));

const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

/** One quarter round of RFC 8439, section 2.1. */
function quarter(s: Int32Array, a: number, b: number, c: number, d: number): void {
  s[a]! += s[b]!;
  s[d] = rotated(s[d]! ^ s[a]!, 16);
  s[c]! += s[d]!;
  s[b] = rotated(s[b]! ^ s[c]!, 12);
  s[a]! += s[b]!;
  s[d] = rotated(s[d]! ^ s[a]!, 8);
  s[c]! += s[d]!;
  s[b] = rotated(s[b]! ^ s[c]!, 7);
}

const ROUNDS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

function hchacha(key: Uint8Array, nonce: Uint8Array): Buffer {
  const start = Buffer.concat([ascii('expand 32-byte k'), key, nonce]);
  const state = new Int32Array(16).map((_, i) => start.readInt32LE(4 * i));
  for (let i = 0; i < 10; i++) for (const [a, b, c, d] of ROUNDS) quarter(state, a, b, c, d);
  const out = Buffer.alloc(32);
  [0, 1, 2, 3, 12, 13, 14, 15].forEach((word, i) => {
    out.writeInt32LE(state[word]!, 4 * i);
  });
  return out;
}

const CHACHA = 'chacha20-poly1305';
const chachaNonce = (nonce: Uint8Array): Buffer =>
  Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]);

export function xchachaSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  plain: Uint8Array,
): Buffer {
  const subkey = hchacha(key, nonce.subarray(0, 16));
  const cipher = createCipheriv(CHACHA, subkey, chachaNonce(nonce), { authTagLength: TAG_BYTES });
  cipher.setAAD(ad, { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined where it does not open. */
export const xchachaOpen = (
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Buffer | undefined => openUnder(messageKey(key, nonce), nonce, ad, sealed);

/** What ChaCha20-Poly1305 has as its key. */
export const messageKey = (key: Uint8Array, nonce: Uint8Array): Buffer =>
  hchacha(key, nonce.subarray(0, 16));

/** What a body says of the key of its message. */
export const commitmentTo = (key: Uint8Array): Buffer =>
  createHash('sha256')
    .update(intBytes(BigInt('conclave/message-key'.length), 4))
    .update('conclave/message-key')
    .update(Uint8Array.of(0))
    .update(key)
    .digest();

/** The same where what is underneath is known. */
export function openUnder(
  subkey: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const end = sealed.length - TAG_BYTES;
  const open = createDecipheriv(CHACHA, subkey, chachaNonce(nonce), { authTagLength: TAG_BYTES });
  open.setAAD(ad, { plaintextLength: end });
  open.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([open.update(sealed.subarray(0, end)), open.final()]);
  } catch {
    return undefined;
  }
}

// What stands before the 32 bytes of an X25519 key in PKCS #8 and SPKI (RFC 8410).
const PRIVATE_DER = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b656e032100', 'hex');

const privateKey = (bytes: Uint8Array) =>
  createPrivateKey({ key: Buffer.concat([PRIVATE_DER, bytes]), format: 'der', type: 'pkcs8' });

export const x25519Public = (secret: Uint8Array): Buffer =>
  createPublicKey(privateKey(secret)).export({ format: 'der', type: 'spki' }).subarray(-32);

/** Undefined for a key that gives an all-zero secret. */
function shared(secret: Uint8Array, key: Uint8Array): Buffer | undefined {
  const der = Buffer.concat([PUBLIC_DER, key]);
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  try {
    const found = diffieHellman({ privateKey: privateKey(secret), publicKey });
    return found.every((byte) => byte === 0) ? undefined : found;
  } catch {
    return undefined;
  }
}

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer =>
  parts.reduce((h, part) => h.update(part), createHmac('sha256', key)).digest();

const KEM = Buffer.concat([ascii('KEM'), u16(0x0020)]);
const HPKE = Buffer.concat([ascii('HPKE'), u16(0x0020), u16(0x0001), u16(0x0002)]);
const VERSION = ascii('HPKE-v1');

const extract = (suite: Buffer, salt: Uint8Array, label: string, of: Uint8Array): Buffer =>
  hmac(salt, VERSION, suite, ascii(label), of);

/** At most one block: nothing longer is asked for. */
const expand = (suite: Buffer, key: Buffer, label: string, info: Uint8Array, length: number) =>
  hmac(key, u16(length), VERSION, suite, ascii(label), info, Uint8Array.of(1)).subarray(0, length);

const NONE = new Uint8Array(0);

/** Key and nonce of one sealed thing, of what both ends know. */
function scheduled(dh: Buffer, encapsulated: Uint8Array, receiver: Uint8Array, info: Uint8Array) {
  const context = Buffer.concat([encapsulated, receiver]);
  const secret = expand(KEM, extract(KEM, NONE, 'eae_prk', dh), 'shared_secret', context, 32);
  const schedule = Buffer.concat([
    Uint8Array.of(0),
    extract(HPKE, NONE, 'psk_id_hash', NONE),
    extract(HPKE, NONE, 'info_hash', info),
  ]);
  const from = extract(HPKE, secret, 'secret', NONE);
  return {
    key: expand(HPKE, from, 'key', schedule, 32),
    nonce: expand(HPKE, from, 'base_nonce', schedule, 12),
  };
}

/** The encapsulated key, ciphertext and tag. `secret` is the sender's, for this once. */
export function hpkeSeal(
  secret: Uint8Array,
  receiver: Uint8Array,
  info: Uint8Array,
  plain: Uint8Array,
): Buffer {
  const encapsulated = x25519Public(secret);
  const { key, nonce } = scheduled(shared(secret, receiver)!, encapsulated, receiver, info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([encapsulated, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined where it does not open. */
export function hpkeOpen(
  secret: Uint8Array,
  info: Uint8Array,
  sealed: Uint8Array,
): Buffer | undefined {
  const end = sealed.length - TAG_BYTES;
  const encapsulated = sealed.subarray(0, 32);
  const dh = end < 32 ? undefined : shared(secret, encapsulated);
  if (!dh) return undefined;
  const { key, nonce } = scheduled(dh, encapsulated, x25519Public(secret), info);
  const open = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([open.update(sealed.subarray(32, end)), open.final()]);
  } catch {
    return undefined;
  }
}
