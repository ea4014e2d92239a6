/**
 * Nonces of payloads (docs/PROTOCOL.md, section "Nonces"): 8 bytes that are
 * read as a big-endian integer and strictly increase in each direction of a
 * link, over INFO, CNN and all that follows, SINFO, CNN_OK and all that follows.
 * A link's first nonce is any; conclave starts at a random one below 2^63, so
 * that two links of one user hardly ever share one. A replayed or reordered
 * frame is refused with `replayed`. Forwarded payloads carry the nonce of their
 * sender's link to the relay: those are only compared to skip copies.
 */

import { bytesToHex } from '@noble/hashes/utils.js';
import { KeyCache } from './crypto-common.js';
import { ConclaveError } from './errors.js';
import type { UserId } from './ids.js';
import { FORWARDED_REMEMBERED_MAX } from './limits.js';

export const NONCE_BYTES = 8;

const read = (nonce: Uint8Array) => new DataView(nonce.buffer, nonce.byteOffset).getBigUint64(0);

/** Gives the nonces of what this end sends. */
export class NonceSource {
  #next: bigint;

  constructor(random: Uint8Array) {
    this.#next = read(random) >> 1n;
  }

  next(): Uint8Array {
    const nonce = new Uint8Array(NONCE_BYTES);
    new DataView(nonce.buffer).setBigUint64(0, this.#next++);
    return nonce;
  }
}

/** Checks the nonces of what the other end sent. */
export class NonceGuard {
  #last = -1n;

  /** Throws `replayed` unless `nonce` is larger than every one before. */
  check(nonce: Uint8Array, name: string): void {
    const value = read(nonce);
    if (value <= this.#last) {
      throw new ConclaveError('replayed', `a ${name} frame was sent before: its nonce is not new`);
    }
    this.#last = value;
  }
}

/**
 * Knows the latest forwarded payloads of one link again. It only saves work:
 * it forgets, other links have their own, and whatever it lets pass a second
 * time is idempotent. So it compares nonces instead of ordering them: a sender
 * that reconnected may go on lower.
 */
export class ForwardedCopies {
  readonly #seen = new KeyCache<object>(FORWARDED_REMEMBERED_MAX);
  static readonly #present = {};

  /** Throws `replayed` when this payload of `from` came over this link lately. */
  check(from: UserId, nonce: Uint8Array, name: string): void {
    const id = `${from}${bytesToHex(nonce)}`;
    if (this.#seen.get(id) !== undefined) {
      throw new ConclaveError('replayed', `this ${name} of ${from} came over this link before`);
    }
    this.#seen.set(id, ForwardedCopies.#present);
  }
}
