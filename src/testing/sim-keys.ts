/**
 * Signatures for the simulator: cheap, and as unforgeable there as real ones,
 * since only `signAs` knows the secrets and nodes are handed theirs alone. A
 * signature over another statement, or by another key, does not verify.
 */

import type { UserId } from '../core/ids.js';
import type { Signed } from '../core/statements.js';
import { hashText } from './prng.js';

const SIGNATURE_BYTES = 64;
/** Lanes of 32 bits that depend on the statement; the rest of a signature is zero. */
const LANES = 2;

const secrets = new Map<UserId, readonly number[]>();

function secretOf(user: UserId): readonly number[] {
  let secret = secrets.get(user);
  if (!secret) {
    if (secrets.size > 4_096) secrets.clear();
    secret = Array.from({ length: LANES }, (_, i) => hashText(`secret ${i} ${user}`));
    secrets.set(user, secret);
  }
  return secret;
}

function tag(user: UserId, statement: Uint8Array): [number, number] {
  const [a0, b0] = secretOf(user) as [number, number];
  let a = a0;
  let b = b0;
  for (let i = 0; i < statement.length; i++) {
    const byte = statement[i]!;
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 15);
  }
  return [a >>> 0, (b ^ (a >>> 7)) >>> 0];
}

/** The signature of `user`. Callers check that the key is theirs to use. */
export function signAs(user: UserId, statement: Uint8Array): Uint8Array {
  const sig = new Uint8Array(SIGNATURE_BYTES);
  const view = new DataView(sig.buffer);
  tag(user, statement).forEach((lane, i) => {
    view.setUint32(i * 4, lane);
  });
  return sig;
}

export function isValid({ by, statement, sig }: Signed): boolean {
  if (sig.length !== SIGNATURE_BYTES) return false;
  const view = new DataView(sig.buffer, sig.byteOffset, sig.byteLength);
  const [a, b] = tag(by, statement);
  return view.getUint32(0) === a && view.getUint32(4) === b;
}
