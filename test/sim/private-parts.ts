/**
 * What private messages need of a node, without one: a store, cheap keys, and
 * sealing that tells as real sealing does whom and what something is for, but
 * hides nothing. All of it is a function of what it is given.
 */

import type { Crypto } from '../../src/core/crypto.js';
import { ConclaveError } from '../../src/core/errors.js';
import { type Ulid, type UserId, unhex } from '../../src/core/ids.js';
import { readSealingKey, showSealingKey } from '../../src/core/sealing-key.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import type { PrivateParts, Sealing } from '../../src/node/private-parts.js';

const { sha256 } = nativeCrypto;
const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const signature = (key: Uint8Array, statement: Uint8Array): Uint8Array => {
  const half = sha256(join(key, statement));
  return join(half, half);
};

/** A user's seed is its id, so anyone could sign for anyone: nobody here does. */
export const CHEAP: Crypto = {
  ...nativeCrypto,
  ed25519Sign: signature,
  ed25519Verify: (key, statement, sig) => Buffer.compare(signature(key, statement), sig) === 0,
  hkdfSha3_256: sha256,
  x25519PublicKey: sha256,
};

const TAG_BYTES = 16;
const tagOf = (key: Uint8Array, info: Uint8Array, plain: Uint8Array): Uint8Array =>
  sha256(join(key, sha256(info), plain)).slice(0, TAG_BYTES);

export function cheapSealing(user: UserId): Sealing {
  const shown = showSealingKey(CHEAP, { user, seed: unhex(user) });
  const own = readSealingKey(CHEAP, user, shown);
  return {
    shown,
    seal: async (key, info, plain) => join(key, plain, tagOf(key, info, plain)),
    open: async (info, sealed) => {
      const key = sealed.subarray(0, own.length);
      const plain = sealed.slice(own.length, -TAG_BYTES);
      const isGood = Buffer.compare(tagOf(key, info, plain), sealed.subarray(-TAG_BYTES)) === 0;
      if (isGood && Buffer.compare(key, own) === 0) return plain;
      throw new ConclaveError('bad_seal', 'it is not sealed for this');
    },
  };
}

/** Without a timer of its own: a run drives it. */
export const cheapParts = (
  user: UserId,
  boot: Ulid,
  rest: Pick<PrivateParts, 'store' | 'clock' | 'ulid' | 'links' | 'fail'>,
): PrivateParts => ({
  ...{ user, boot, offline: true, crypto: CHEAP, sealing: cheapSealing(user) },
  ...rest,
  log: { debug: () => {} },
  sign: (statement) => CHEAP.ed25519Sign(unhex(user), statement),
  isOnline: () => false,
  checkOpen: () => {},
});
