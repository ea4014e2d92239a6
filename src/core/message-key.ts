/**
 * The key of one message, and what it opens to whoever is shown it
 * (docs/PROTOCOL.md, sections "Encryption" and "Portable proofs"):
 *
 *     message key = HChaCha20(body key, the first 16 bytes of the nonce)
 *     commitment  = H(text "conclave/message-key" · version u8 · message key)
 *     body        = key id 16 ‖ nonce 24 ‖ commitment 32
 *                 ‖ ChaCha20-Poly1305(message key, 4 zero bytes ‖ the last 8 of the nonce, plain, header)
 *
 * So a message key opens one body and says nothing of any other; and since the
 * body, which its author signed, commits to the key, it opens to one text, to
 * whoever opens it.
 */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { bytesEqual, Writer } from './bytes.js';
import type { Hash } from './crypto.js';
import { PROTOCOL_VERSION } from './limits.js';
import { type ChannelRecord, headerOf, KEY_EPOCH_SEALED } from './record.js';

export const MESSAGE_KEY_BYTES = 32;
export const KEY_ID_BYTES = 16;
const BODY_NONCE_BYTES = 24;
const BODY_COMMITMENT_BYTES = 32;
const BODY_TAG_BYTES = 16;
/** Of the nonce, those that are in the message key. */
export const KEY_NONCE_BYTES = 16;
const ZERO_BYTES = 4;
const COMMITMENT_AT = KEY_ID_BYTES + BODY_NONCE_BYTES;
/** What stands before the ciphertext. */
export const BODY_PREFIX_BYTES = COMMITMENT_AT + BODY_COMMITMENT_BYTES;

export const commitMessageKey = (hash: Hash, key: Uint8Array): Uint8Array =>
  hash(new Writer(64).text('conclave/message-key').u8(PROTOCOL_VERSION).raw(key).done());

/** Whether a body, of whatever length, commits to this message key. */
export const isCommittedTo = (hash: Hash, body: Uint8Array, key: Uint8Array): boolean =>
  bytesEqual(body.subarray(COMMITMENT_AT, BODY_PREFIX_BYTES), commitMessageKey(hash, key));

/** The nonce of ChaCha20-Poly1305 under the message key. */
export function nonceUnder(nonce: Uint8Array): Uint8Array {
  const rest = new Uint8Array(ZERO_BYTES + BODY_NONCE_BYTES - KEY_NONCE_BYTES);
  rest.set(nonce.subarray(KEY_NONCE_BYTES), ZERO_BYTES);
  return rest;
}

/** The plain body of a record under its message key; undefined where that is not its key. */
export function openDisclosed(
  hash: Hash,
  record: ChannelRecord,
  key: Uint8Array,
): Uint8Array | undefined {
  const { body, keyEpoch } = record;
  if (keyEpoch !== KEY_EPOCH_SEALED || body.length < BODY_PREFIX_BYTES + BODY_TAG_BYTES) {
    return undefined;
  }
  if (!isCommittedTo(hash, body, key)) return undefined;
  const nonce = nonceUnder(body.subarray(KEY_ID_BYTES, COMMITMENT_AT));
  try {
    const opened = chacha20poly1305(key, nonce, headerOf(record));
    return opened.decrypt(body.subarray(BODY_PREFIX_BYTES));
  } catch {
    return undefined;
  }
}
