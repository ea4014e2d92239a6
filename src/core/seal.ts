/**
 * The MAC of a frame (docs/PROTOCOL.md, section "Signatures of frames"):
 *
 *     SIG = HMAC-SHA3-512(key, direction ‖ NAME ‖ \n ‖ LEN ‖ \n ‖ PAYLOAD)
 *
 * `direction` is one byte: 1 client to relay, 2 relay to client, 3 broadcast.
 * NAME and LEN hold no newline, so no two frames have one input. Each key is
 * used in one direction; the byte makes that hold even if two were equal.
 *
 * The open key is public: under it SIG is a checksum, and anybody on the path
 * can make such a frame. That is enough for INFO and SINFO, because every byte
 * of both goes into the keys (keys.ts): whoever changed one ends up with other
 * keys than its peer, and CNN or CNN_OK fails. An ERR under it says only that
 * the relay wants no link, which anybody on the path can bring about as well.
 */

import { utf8 } from './bytes.js';
import type { Crypto } from './crypto.js';
import { ConclaveError } from './errors.js';
import { encodeFrame, type Frame } from './frame.js';

const DIRECTION = { toRelay: 1, toClient: 2, broadcast: 3 } as const;

/** A key and the only direction in which it is used. */
export interface MacKey {
  readonly direction: (typeof DIRECTION)[keyof typeof DIRECTION];
  readonly key: Uint8Array;
}

export const toRelayKey = (key: Uint8Array): MacKey => ({ direction: DIRECTION.toRelay, key });
export const toClientKey = (key: Uint8Array): MacKey => ({ direction: DIRECTION.toClient, key });
export const broadcastKey = (key: Uint8Array): MacKey => ({ direction: DIRECTION.broadcast, key });

const OPEN_KEY = utf8('conclave/open');
export const OPEN_TO_RELAY = toRelayKey(OPEN_KEY);
export const OPEN_TO_CLIENT = toClientKey(OPEN_KEY);

export function frameMac(
  crypto: Crypto,
  { direction, key }: MacKey,
  name: string,
  payload: Uint8Array,
): Uint8Array {
  const head = utf8(`${String.fromCharCode(direction)}${name}\n${payload.length}\n`);
  return crypto.hmacSha3_512(key, [head, payload]);
}

export function sealFrame(
  crypto: Crypto,
  key: MacKey,
  name: string,
  payload: Uint8Array,
): Uint8Array {
  return encodeFrame(name, payload, frameMac(crypto, key, name, payload));
}

/** One frame under the broadcast key, the same bytes for every receiver. */
export function sealBroadcast(
  crypto: Crypto,
  key: Uint8Array,
  name: string,
  payload: Uint8Array,
): Uint8Array {
  return sealFrame(crypto, broadcastKey(key), name, payload);
}

/** Throws `bad_mac` unless the frame is under `key`. */
export function checkFrame(crypto: Crypto, key: MacKey, frame: Frame): void {
  if (crypto.equal(frame.sig, frameMac(crypto, key, frame.name, frame.payload))) return;
  throw new ConclaveError(
    'bad_mac',
    `a ${frame.name} frame is not signed with this link's key: it was changed on the way, or sent by somebody else`,
  );
}
