/**
 * What a channel key does (docs/PROTOCOL.md, section "Encryption"): it encrypts
 * the bodies of records, the channel's name as relays have it, and older keys
 * for those who get it. A key is 32 random bytes, and all it is used for follows
 * from it:
 *
 *     HKDF(secret, text "conclave/channel-key" ‖ version u8 ‖ channel 32, 128)
 *          = commitment 32 ‖ body key 32 ‖ name key 32 ‖ older key 32
 *     key id = the first 16 bytes of the commitment
 *     body   = key id 16 ‖ nonce 24 ‖ commitment 32 ‖ XChaCha20-Poly1305(body key, nonce, plain, header)
 *     name   = key id 16 ‖ nonce 24 ‖ XChaCha20-Poly1305(name key, nonce, name, text "conclave/name" ‖ channel 32)
 *
 * A nonce is 24 random bytes: no state is kept that a restart or a restored
 * backup could put back. The key id commits to the key, and a body to the key of
 * its one message (core/message-key.ts), so no bytes open under two keys.
 */

import { bytesEqual, fromUtf8, utf8, Writer } from '../core/bytes.js';
import type { Crypto, Hash } from '../core/crypto.js';
import { type ChannelId, hex } from '../core/ids.js';
import { PROTOCOL_VERSION } from '../core/limits.js';
import {
  BODY_PREFIX_BYTES,
  commitMessageKey,
  isCommittedTo,
  KEY_ID_BYTES,
} from '../core/message-key.js';
import { type ChannelRecord, headerOf, type SealedBody } from '../core/record.js';
import {
  openUnder,
  sealUnder,
  XCHACHA_NONCE_BYTES,
  XCHACHA_TAG_BYTES,
  xchachaKey,
  xchachaOpen,
  xchachaSeal,
} from '../native/xchacha.js';

export const SECRET_BYTES = 32;
export const COMMITMENT_BYTES = 32;
const KEY_BYTES = 32;
export const NONCE_BYTES = XCHACHA_NONCE_BYTES;
export const TAG_BYTES = XCHACHA_TAG_BYTES;
const PREFIX_BYTES = KEY_ID_BYTES + NONCE_BYTES;
/** How much longer an encrypted name is than a plain one, and an encrypted body. */
const NAME_OVERHEAD_BYTES = PREFIX_BYTES + TAG_BYTES;
export const BODY_OVERHEAD_BYTES = BODY_PREFIX_BYTES + TAG_BYTES;

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
  /** What commits a body to the key of its message. */
  readonly hash: Hash;
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
    ...{ body: part(1), name: part(2), older: part(3), hash: crypto.sha256 },
  };
}

/** A body to submit: encrypted once its record's header is known. */
export const sealedBody = (key: ChannelKey, plain: Uint8Array, random: Random): SealedBody => ({
  length: plain.length + BODY_OVERHEAD_BYTES,
  seal: (header) => sealBody(key, random(NONCE_BYTES), header, plain),
});

function sealBody(
  key: ChannelKey,
  nonce: Uint8Array,
  header: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const messageKey = xchachaKey(key.body, nonce);
  const sealed = new Uint8Array(plain.length + BODY_OVERHEAD_BYTES);
  sealed.set(key.idBytes);
  sealed.set(nonce, KEY_ID_BYTES);
  sealed.set(commitMessageKey(key.hash, messageKey), PREFIX_BYTES);
  sealUnder(messageKey, nonce, header, plain, sealed, BODY_PREFIX_BYTES);
  return sealed;
}

/** Which key an encrypted body, or a name, is under; undefined where it is too short for any. */
export const keyIdOf = (sealed: Uint8Array): KeyId | undefined =>
  sealed.length < NAME_OVERHEAD_BYTES ? undefined : hex(sealed.subarray(0, KEY_ID_BYTES));

const isUnder = ({ idBytes }: ChannelKey, sealed: Uint8Array): boolean =>
  bytesEqual(sealed.subarray(0, KEY_ID_BYTES), idBytes);

const nonceIn = (sealed: Uint8Array): Uint8Array => sealed.subarray(KEY_ID_BYTES, PREFIX_BYTES);

/** The plain body of a record under this key; undefined where it does not open. */
export function openBody(key: ChannelKey, record: ChannelRecord): Uint8Array | undefined {
  const messageKey = messageKeyOf(key, record);
  return messageKey && openWith(messageKey, record);
}

/** The key of this one message; undefined where it is not under this channel key. */
export function messageKeyOf(key: ChannelKey, { body }: ChannelRecord): Uint8Array | undefined {
  if (body.length < BODY_OVERHEAD_BYTES || !isUnder(key, body)) return undefined;
  const messageKey = xchachaKey(key.body, nonceIn(body));
  return isCommittedTo(key.hash, body, messageKey) ? messageKey : undefined;
}

const openWith = (messageKey: Uint8Array, record: ChannelRecord): Uint8Array | undefined => {
  const { body } = record;
  return openUnder(messageKey, nonceIn(body), headerOf(record), body.subarray(BODY_PREFIX_BYTES));
};

const nameAd = (channel: ChannelId): Uint8Array =>
  new Writer().text('conclave/name').id(channel).done();

/** A channel's name as relays may have it. */
export function sealName(key: ChannelKey, name: string, random: Random): Uint8Array {
  const plain = utf8(name);
  const nonce = random(NONCE_BYTES);
  const sealed = new Uint8Array(plain.length + NAME_OVERHEAD_BYTES);
  sealed.set(key.idBytes);
  sealed.set(nonce, KEY_ID_BYTES);
  xchachaSeal(key.name, nonce, nameAd(key.channel), plain, sealed, PREFIX_BYTES);
  return sealed;
}

/** Undefined where it does not open under this key. */
export function openName(key: ChannelKey, sealed: Uint8Array): string | undefined {
  if (sealed.length < NAME_OVERHEAD_BYTES || !isUnder(key, sealed)) return undefined;
  const rest = sealed.subarray(PREFIX_BYTES);
  const plain = xchachaOpen(key.name, nonceIn(sealed), nameAd(key.channel), rest);
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
