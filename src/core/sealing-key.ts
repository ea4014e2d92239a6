/**
 * The key under which a user is written to in private (docs/PROTOCOL.md,
 * section "Keys"): an X25519 key pair that follows from the identity's
 * seed, and the identity's signature that the key is its own. It is never the
 * fixed key of links, so that a flaw in one use says nothing of the other.
 *
 *     secret    = HKDF(seed, text "conclave/sealing-secret", 32)
 *     statement = text "conclave/sealing-key" ‖ version u8 ‖ user 32 ‖ key 32
 *     shown as  = key 32 ‖ Ed25519(statement) 64
 */

import { Writer } from './bytes.js';
import type { Crypto } from './crypto.js';
import { KEY_BYTES, SIGNATURE_BYTES } from './crypto-common.js';
import { ConclaveError } from './errors.js';
import type { UserId } from './ids.js';
import type { Identity } from './keys.js';
import { PROTOCOL_VERSION } from './limits.js';

const NO_SALT = new Uint8Array(0);

/** What a user shows of its sealing key. */
export const SHOWN_KEY_BYTES = KEY_BYTES + SIGNATURE_BYTES;

export function sealingSecret(crypto: Crypto, seed: Uint8Array): Uint8Array {
  const label = new Writer().text('conclave/sealing-secret').done();
  return crypto.hkdfSha3_256(seed, NO_SALT, label, KEY_BYTES);
}

const statement = (user: UserId, key: Uint8Array): Uint8Array =>
  new Writer().text('conclave/sealing-key').u8(PROTOCOL_VERSION).id(user).raw(key).done();

/** The user's sealing key with its signature. Costs a signature; make it once per identity. */
export function showSealingKey(crypto: Crypto, { user, seed }: Identity): Uint8Array {
  const key = crypto.x25519PublicKey(sealingSecret(crypto, seed));
  const sig = crypto.ed25519Sign(seed, statement(user, key));
  return new Writer(SHOWN_KEY_BYTES).raw(key).raw(sig).kept();
}

/** The sealing key in what `user` showed. Throws `bad_sealing_key` unless `user` signed it. */
export function readSealingKey(
  crypto: Pick<Crypto, 'ed25519Verify'>,
  user: UserId,
  shown: Uint8Array,
): Uint8Array {
  const key = shown.slice(0, KEY_BYTES);
  if (shown.length === SHOWN_KEY_BYTES) {
    const id = new Writer(KEY_BYTES).id(user).done();
    if (crypto.ed25519Verify(id, statement(user, key), shown.subarray(KEY_BYTES))) return key;
  }
  throw new ConclaveError('bad_sealing_key', `${user} did not sign the sealing key that came`);
}
