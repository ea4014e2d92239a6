/**
 * Identities and keys of a link (docs/PROTOCOL.md, section "Keys"). Each end
 * has an Ed25519 identity, a fixed X25519 key bound to it by a signature, and a
 * fresh X25519 key for this link alone. `‖` is concatenation, integers are
 * big-endian, `text` is a 4-byte length and UTF-8, salts are empty:
 *
 *     fixed secret = HKDF(seed, text "conclave/link-fixed", 32)
 *     binding      = Ed25519(text "conclave/link-binding" ‖ version u8 ‖ user 32 ‖ fixed 32)
 *     secrets      = X25519 of fixed·fixed ‖ client fixed·relay fresh
 *                    ‖ client fresh·relay fixed ‖ fresh·fresh           each 32, none all zero
 *     info         = text "conclave/link-keys" ‖ version u8 ‖ client id 32 ‖ relay id 32
 *                    ‖ client fixed 32 ‖ client fresh 32 ‖ relay fixed 32 ‖ relay fresh 32
 *                    ‖ nonces of INFO, SINFO, CNN, 8 each
 *                    ‖ SHA-256(INFO frame ‖ SINFO frame ‖ CNN payload)
 *     keys         = HKDF(secrets, info, 192) = client to relay 64 ‖ relay to client 64 ‖ hide 64
 *     pad n        = HKDF(hide, text "conclave/link-pad" ‖ n u64, 64)
 *     token proof  = HKDF(secrets, salt token, text "conclave/link-token" ‖ version u8
 *                    ‖ client id 32 ‖ relay id 32, 32)
 *
 * Only the two ends can make these keys: fixed·fresh proves each end's fixed
 * secret, so a thief of the relay's seed can't pose as a user to it, and
 * fresh·fresh keeps a link secret from a later thief of both seeds.
 */

import { Writer } from './bytes.js';
import type { Crypto } from './crypto.js';
import { ConclaveError } from './errors.js';
import { hex32, type UserId } from './ids.js';
import { PROTOCOL_VERSION } from './limits.js';
import { type MacKey, toClientKey, toRelayKey } from './seal.js';

const KEY_BYTES = 32;
const MAC_KEY_BYTES = 64;
const NO_SALT = new Uint8Array(0);

export interface Identity {
  readonly user: UserId;
  /** Ed25519 seed, 32 bytes. */
  readonly seed: Uint8Array;
}

export interface LinkIdentity extends Identity {
  /** X25519 public key that follows from the seed. */
  readonly fixed: Uint8Array;
  readonly fixedSecret: Uint8Array;
  /** The user's signature that `fixed` is its key. */
  readonly binding: Uint8Array;
}

function bindingStatement(user: UserId, fixed: Uint8Array): Uint8Array {
  return new Writer().text('conclave/link-binding').u8(PROTOCOL_VERSION).id(user).raw(fixed).done();
}

/** Costs a signature; make it once per identity. */
export function linkIdentity(crypto: Crypto, seed: Uint8Array): LinkIdentity {
  const user = hex32<UserId>(crypto.ed25519PublicKey(seed));
  const label = new Writer().text('conclave/link-fixed').done();
  const fixedSecret = crypto.hkdfSha3_256(seed, NO_SALT, label, KEY_BYTES);
  const fixed = crypto.x25519PublicKey(fixedSecret);
  const binding = crypto.ed25519Sign(seed, bindingStatement(user, fixed));
  return { user, seed, fixed, fixedSecret, binding };
}

/** What a link's end shows of itself. */
export interface LinkPublic {
  readonly id: UserId;
  readonly fixed: Uint8Array;
  readonly fresh: Uint8Array;
}

/** Throws `bad_binding` unless `id` signed that `fixed` is its key. */
export function checkBinding(
  crypto: Crypto,
  peer: { readonly id: UserId; readonly fixed: Uint8Array; readonly binding: Uint8Array },
): void {
  const statement = bindingStatement(peer.id, peer.fixed);
  if (crypto.ed25519Verify(new Writer(KEY_BYTES).id(peer.id).done(), statement, peer.binding)) {
    return;
  }
  throw new ConclaveError('bad_binding', `${peer.id} did not sign the X25519 key it came with`);
}

export interface LinkSecrets {
  readonly fixed: Uint8Array;
  readonly fresh: Uint8Array;
}

/** The four shared secrets, in the order above. Throws `bad_key` when one is all zero. */
export function agreeAsClient(crypto: Crypto, own: LinkSecrets, relay: LinkPublic): Uint8Array {
  return agree(crypto, [
    [own.fixed, relay.fixed],
    [own.fixed, relay.fresh],
    [own.fresh, relay.fixed],
    [own.fresh, relay.fresh],
  ]);
}

export function agreeAsRelay(crypto: Crypto, own: LinkSecrets, client: LinkPublic): Uint8Array {
  return agree(crypto, [
    [own.fixed, client.fixed],
    [own.fresh, client.fixed],
    [own.fixed, client.fresh],
    [own.fresh, client.fresh],
  ]);
}

function agree(crypto: Crypto, pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
  const secrets = new Uint8Array(KEY_BYTES * pairs.length);
  for (const [i, [secret, publicKey]] of pairs.entries()) {
    const shared = crypto.x25519(secret, publicKey);
    if (shared === undefined) {
      throw new ConclaveError('bad_key', "the peer's X25519 key gives an all-zero secret");
    }
    secrets.set(shared, i * KEY_BYTES);
  }
  return secrets;
}

export interface Transcript {
  readonly client: LinkPublic;
  readonly relay: LinkPublic;
  /** 8 bytes each. */
  readonly nonces: {
    readonly info: Uint8Array;
    readonly sinfo: Uint8Array;
    readonly cnn: Uint8Array;
  };
  /** The bytes sent before there was a key. */
  readonly infoFrame: Uint8Array;
  readonly sinfoFrame: Uint8Array;
  readonly cnnPayload: Uint8Array;
}

export function keyInfo(crypto: Crypto, t: Transcript): Uint8Array {
  const sent = new Writer(2_048).raw(t.infoFrame).raw(t.sinfoFrame).raw(t.cnnPayload).done();
  const w = new Writer(512).text('conclave/link-keys').u8(PROTOCOL_VERSION);
  w.id(t.client.id).id(t.relay.id);
  w.raw(t.client.fixed).raw(t.client.fresh).raw(t.relay.fixed).raw(t.relay.fresh);
  w.raw(t.nonces.info).raw(t.nonces.sinfo).raw(t.nonces.cnn);
  return w.raw(crypto.sha256(sent)).done();
}

export interface LinkKeys {
  readonly toRelay: MacKey;
  readonly toClient: MacKey;
  readonly hide: Uint8Array;
}

export function linkKeys(crypto: Crypto, secrets: Uint8Array, info: Uint8Array): LinkKeys {
  const keys = crypto.hkdfSha3_256(secrets, NO_SALT, info, 3 * MAC_KEY_BYTES);
  return {
    toRelay: toRelayKey(keys.slice(0, MAC_KEY_BYTES)),
    toClient: toClientKey(keys.slice(MAC_KEY_BYTES, 2 * MAC_KEY_BYTES)),
    hide: keys.slice(2 * MAC_KEY_BYTES),
  };
}

/**
 * Shows that the client knows the relay's registration token, for this link
 * alone. It takes the link's secrets, so nobody but that relay can check it or
 * try out tokens against it; the token itself never travels.
 */
export function tokenProof(
  crypto: Crypto,
  secrets: Uint8Array,
  token: Uint8Array,
  ids: { readonly client: UserId; readonly relay: UserId },
): Uint8Array {
  const info = new Writer().text('conclave/link-token').u8(PROTOCOL_VERSION);
  info.id(ids.client).id(ids.relay);
  return crypto.hkdfSha3_256(secrets, token, info.done(), KEY_BYTES);
}

/**
 * Hides broadcast key number `number` in CNN_OK, and shows it again: one pad
 * for each number, so a number must never name two keys on one link.
 */
export function hideBroadcastKey(
  crypto: Crypto,
  keys: LinkKeys,
  number: number,
  key: Uint8Array,
): Uint8Array {
  const info = new Writer().text('conclave/link-pad').u64(number).done();
  const pad = crypto.hkdfSha3_256(keys.hide, NO_SALT, info, MAC_KEY_BYTES);
  return key.map((byte, i) => byte ^ pad[i]!);
}
