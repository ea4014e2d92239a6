/**
 * What a channel key does (docs/PROTOCOL.md, section "Encryption"): it encrypts
 * the bodies of records, the channel's name as relays have it, and older keys
 * for those who get it. A key is 32 random bytes, and all it is used for follows
 * from it:
 *
 *     HKDF(secret, text "conclave/channel-key" ‖ version u8 ‖ channel 32, 128)
 *          = commitment 32 ‖ body key 32 ‖ name key 32 ‖ older key 32
 *     key id = the first 16 bytes of the commitment
 *     body   = key id 16 ‖ nonce 24 ‖ XChaCha20-Poly1305(body key, nonce, plain, header)
 *     name   = key id 16 ‖ nonce 24 ‖ XChaCha20-Poly1305(name key, nonce, name, text "conclave/name" ‖ channel 32)
 *
 * A nonce is 24 random bytes: no state is kept that a restart or a restored
 * backup could put back. The key id commits to the key: who wants bytes that open
 * under two keys has to compute 2^64 of them, until two have one id.
 */

import { bytesEqual, fromUtf8, utf8, Writer } from '../core/bytes.js';
import type { Crypto } from '../core/crypto.js';
import { type ChannelId, hex } from '../core/ids.js';
import { PROTOCOL_VERSION } from '../core/limits.js';
import { type ChannelRecord, headerOf, type SealedBody } from '../core/record.js';
import {
  XCHACHA_NONCE_BYTES,
  XCHACHA_TAG_BYTES,
  xchachaOpen,
  xchachaSeal,
} from '../native/xchacha.js';

export const SECRET_BYTES = 32;
export const COMMITMENT_BYTES = 32;
const KEY_BYTES = 32;
export const KEY_ID_BYTES = 16;
export const NONCE_BYTES = XCHACHA_NONCE_BYTES;
export const TAG_BYTES = XCHACHA_TAG_BYTES;
const PREFIX_BYTES = KEY_ID_BYTES + NONCE_BYTES;
/** How much longer an encrypted body is than a plain one. */
export const BODY_OVERHEAD_BYTES = PREFIX_BYTES + TAG_BYTES;

export type Random = (bytes: number) => Uint8Array;
/** The first 16 bytes of a key's commitment, in hex. */
export type KeyId = string;

export interface ChannelKey {
  readonly id: KeyId;
  readonly idBytes: Uint8Array;
  readonly channel: ChannelId;
  readonly secret: Uint8Array;
  readonly commitment: Uint8Array;
  readonly body: Uint8Array;
  readonly name: Uint8Array;
  readonly older: Uint8Array;
}

const NO_SALT = new Uint8Array(0);

export function channelKey(crypto: Crypto, channel: ChannelId, secret: Uint8Array): ChannelKey {
  const info = new Writer().text('conclave/channel-key').u8(PROTOCOL_VERSION).id(channel).done();
  const all = crypto.hkdfSha3_256(secret, NO_SALT, info, COMMITMENT_BYTES + 3 * KEY_BYTES);
  const part = (n: number): Uint8Array => all.slice(n * KEY_BYTES, (n + 1) * KEY_BYTES);
  const commitment = part(0);
  const idBytes = commitment.slice(0, KEY_ID_BYTES);
  const id = hex(idBytes);
  return {
    ...{ id, idBytes, channel, secret, commitment },
    ...{ body: part(1), name: part(2), older: part(3) },
  };
}

/** A body to submit: encrypted once its record's header is known. */
export const sealedBody = (key: ChannelKey, plain: Uint8Array, random: Random): SealedBody => ({
  length: plain.length + BODY_OVERHEAD_BYTES,
  seal: (header) => sealWith(key.body, key.idBytes, random(NONCE_BYTES), header, plain),
});

function sealWith(
  key: Uint8Array,
  idBytes: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const sealed = new Uint8Array(plain.length + BODY_OVERHEAD_BYTES);
  sealed.set(idBytes);
  sealed.set(nonce, KEY_ID_BYTES);
  xchachaSeal(key, nonce, ad, plain, sealed, PREFIX_BYTES);
  return sealed;
}

/** Which key an encrypted body, or a name, is under; undefined where it is too short for any. */
export const keyIdOf = (sealed: Uint8Array): KeyId | undefined =>
  sealed.length < BODY_OVERHEAD_BYTES ? undefined : hex(sealed.subarray(0, KEY_ID_BYTES));

/** The plain body of a record under this key; undefined where it does not open. */
export const openBody = (key: ChannelKey, record: ChannelRecord): Uint8Array | undefined =>
  openWith(key.body, key, headerOf(record), record.body);

function openWith(
  cipherKey: Uint8Array,
  { idBytes }: ChannelKey,
  ad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < BODY_OVERHEAD_BYTES) return undefined;
  if (!bytesEqual(sealed.subarray(0, KEY_ID_BYTES), idBytes)) return undefined;
  const nonce = sealed.subarray(KEY_ID_BYTES, PREFIX_BYTES);
  return xchachaOpen(cipherKey, nonce, ad, sealed.subarray(PREFIX_BYTES));
}

const nameAd = (channel: ChannelId): Uint8Array =>
  new Writer().text('conclave/name').id(channel).done();

/** A channel's name as relays may have it. */
export const sealName = (key: ChannelKey, name: string, random: Random): Uint8Array =>
  sealWith(key.name, key.idBytes, random(NONCE_BYTES), nameAd(key.channel), utf8(name));

/** Undefined where it does not open under this key. */
export function openName(key: ChannelKey, sealed: Uint8Array): string | undefined {
  const plain = openWith(key.name, key, nameAd(key.channel), sealed);
  try {
    return plain && fromUtf8(plain);
  } catch {
    return undefined;
  }
}

/** Older keys' secrets for who has this key: nonce 24 ‖ ciphertext of all, one behind the other. */
export function sealOlder(
  key: ChannelKey,
  older: readonly Uint8Array[],
  ad: Uint8Array,
  random: Random,
): Uint8Array {
  if (older.length === 0) return new Uint8Array(0);
  const plain = new Uint8Array(older.length * SECRET_BYTES);
  for (const [i, secret] of older.entries()) plain.set(secret, i * SECRET_BYTES);
  const nonce = random(NONCE_BYTES);
  const sealed = new Uint8Array(NONCE_BYTES + plain.length + TAG_BYTES);
  sealed.set(nonce);
  xchachaSeal(key.older, nonce, ad, plain, sealed, NONCE_BYTES);
  return sealed;
}

/** None where the bytes do not open: a maker that wrote something else gives nothing. */
export function openOlder(key: ChannelKey, sealed: Uint8Array, ad: Uint8Array): Uint8Array[] {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return [];
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const plain = xchachaOpen(key.older, nonce, ad, sealed.subarray(NONCE_BYTES));
  if (!plain) return [];
  const count = Math.floor(plain.length / SECRET_BYTES);
  return Array.from({ length: count }, (_, i) =>
    plain.slice(i * SECRET_BYTES, (i + 1) * SECRET_BYTES),
  );
}
