/**
 * What two users sign to each other (docs/PROTOCOL.md, section "Private
 * messages"). Integers are big-endian, see bytes.ts; the tags differ from all
 * others that are signed:
 *
 *     message = text "conclave/private-message" ‖ version u8 ‖ from 32 ‖ to 32 ‖ id 16
 *               ‖ boot 16 ‖ n u64 ‖ prev 32 ‖ body bytes          signed by `from`
 *     digest  = SHA-256(message)
 *     receipt = text "conclave/private-receipt" ‖ version u8 ‖ from 32 ‖ to 32 ‖ id 16
 *               ‖ digest 32                                        signed by `to`
 *     gap     = text "conclave/private-gap" ‖ version u8 ‖ from 32 ‖ to 32 ‖ id 16
 *               ‖ digest 32 ‖ have 32                              signed by `to`
 *     plain   = message bytes ‖ sig 64 ‖ zeros
 *     info    = text "conclave/private-seal" ‖ version u8 ‖ from 32 ‖ to 32 ‖ id 16
 *
 * `from` wrote the message and `to` is its receiver, in all of them. `prev` is
 * the digest of the last message before it from the same to the same, zero for
 * the first, so that one signature vouches for all before it; `n` counts them
 * in one boot. `plain` is sealed under `info`; its length is one of a few.
 */

import { decodeWhole, Reader, Writer } from './bytes.js';
import type { Hash } from './crypto.js';
import { SIGNATURE_BYTES } from './crypto-common.js';
import { ConclaveError } from './errors.js';
import type { Digest, Ulid, UserId } from './ids.js';
import {
  PRIVATE_BODY_BYTES_MAX,
  PRIVATE_PLAIN_BYTES_MAX,
  PRIVATE_PLAIN_BYTES_MIN,
  PROTOCOL_VERSION,
} from './limits.js';

/** From whom to whom, and under which name of its author's. */
export interface PrivateRef {
  readonly from: UserId;
  readonly to: UserId;
  readonly id: Ulid;
}

export interface PrivateStatement extends PrivateRef {
  readonly boot: Ulid;
  /** 1, 2, 3 … from this user to that one in this boot. */
  readonly n: number;
  readonly prev: Digest;
  readonly body: Uint8Array;
}

export interface SignedPrivate {
  readonly statement: PrivateStatement;
  readonly bytes: Uint8Array;
  readonly sig: Uint8Array;
}

const MESSAGE = 'conclave/private-message';

const begin = (tag: string, { from, to, id }: PrivateRef, capacity = 256): Writer =>
  new Writer(capacity).text(tag).u8(PROTOCOL_VERSION).id(from).id(to).ulid(id);

export function encodePrivate(m: PrivateStatement): Uint8Array {
  const w = begin(MESSAGE, m, 256 + m.body.length);
  return w.ulid(m.boot).u64(m.n).id(m.prev).bytes(m.body).done();
}

/** Throws `bad_encoding`. */
export const decodePrivate = (bytes: Uint8Array): PrivateStatement =>
  decodeWhole(bytes, (r) => {
    if (r.text(MESSAGE.length) !== MESSAGE || r.u8() !== PROTOCOL_VERSION) {
      throw new ConclaveError('bad_encoding', 'not a private message of this version');
    }
    const ref = { from: r.id<UserId>(), to: r.id<UserId>(), id: r.ulid() };
    const place = { boot: r.ulid(), n: r.u64(), prev: r.id<Digest>() };
    return { ...ref, ...place, body: r.bytes(PRIVATE_BODY_BYTES_MAX) };
  });

export const privateDigest = (hash: Hash, m: PrivateStatement): Digest =>
  new Writer(256 + m.body.length).raw(encodePrivate(m)).hashedId<Digest>(hash);

/** What `ref.to` signs once it holds the message. */
export const receiptStatement = (ref: PrivateRef, digest: Digest): Uint8Array =>
  begin('conclave/private-receipt', ref).id(digest).done();

/** What `ref.to` signs when it lacks the message before: the last that it has is `have`. */
export const gapStatement = (ref: PrivateRef, digest: Digest, have: Digest): Uint8Array =>
  begin('conclave/private-gap', ref).id(digest).id(have).done();

/** What the sealed bytes are bound to. */
export const sealInfo = (ref: PrivateRef): Uint8Array => begin('conclave/private-seal', ref).done();

/** 512, 1,024, 2,048 … bytes, and at the end the most that there may be. */
function paddedBytes(length: number): number {
  let padded = PRIVATE_PLAIN_BYTES_MIN;
  while (padded < length) padded *= 2;
  return Math.min(padded, PRIVATE_PLAIN_BYTES_MAX);
}

/** Whether anything that is padded has this length: all else need not be opened. */
export const isPadded = (length: number): boolean =>
  length <= PRIVATE_PLAIN_BYTES_MAX && length === paddedBytes(length);

/** What is sealed. */
export function padPrivate(bytes: Uint8Array, sig: Uint8Array): Uint8Array {
  const length = 4 + bytes.length + sig.length;
  const padded = new Uint8Array(paddedBytes(length));
  padded.set(new Writer(length).bytes(bytes).raw(sig).done());
  return padded;
}

/** What was sealed; whose it is, and whether the signature is good, has to be checked. Throws `bad_encoding`. */
export function unpadPrivate(plain: Uint8Array): SignedPrivate {
  const r = new Reader(plain);
  const bytes = r.bytes(PRIVATE_PLAIN_BYTES_MAX);
  const sig = r.raw(SIGNATURE_BYTES);
  const length = 4 + bytes.length + sig.length;
  const isExact = plain.length === paddedBytes(length);
  if (!isExact || plain.subarray(length).some((byte) => byte !== 0)) {
    throw new ConclaveError('bad_encoding', 'a private message is not padded as it must be');
  }
  return { statement: decodePrivate(bytes), bytes, sig };
}
