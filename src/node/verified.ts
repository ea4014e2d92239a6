/**
 * Signatures that were verified lately, so that none is verified twice: what
 * is forwarded comes over each relay, and a certificate repeats
 * acknowledgements. Only what is right is remembered, by signer, statement and
 * signature together, so nobody can make this node take what it would refuse.
 */

import type { Crypto } from '../core/crypto.js';
import { unhex } from '../core/ids.js';
import type { Signed } from '../core/statements.js';
import { RecentSet } from './recent-set.js';

/** So many are remembered at least, twice as many at most: up to 2 MiB. */
const REMEMBERED = 1_024;
/** Longer ones, beacons of who hears very many, are not worth the memory. */
const STATEMENT_BYTES_MAX = 512;

const latin1 = (b: Uint8Array): string =>
  Buffer.from(b.buffer, b.byteOffset, b.byteLength).toString('latin1');

/** A check of signatures that remembers what it found right. */
export function rememberingCheck(
  crypto: Pick<Crypto, 'ed25519Verify'>,
): (signed: readonly Signed[]) => boolean[] {
  const right = new RecentSet<string>(REMEMBERED);
  const isRight = ({ by, statement, sig }: Signed): boolean => {
    const isShort = statement.length <= STATEMENT_BYTES_MAX;
    const key = isShort ? `${by} ${sig.length} ${latin1(sig)}${latin1(statement)}` : '';
    if (isShort && right.has(key)) return true;
    const verified = crypto.ed25519Verify(unhex(by), statement, sig);
    if (verified && isShort) right.add(key);
    return verified;
  };
  return (signed) => {
    const verdicts = signed.map(isRight);
    right.trim();
    return verdicts;
  };
}
