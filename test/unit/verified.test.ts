/** Signatures are verified once, and only what is right is remembered. */

import { describe, expect, it } from 'vitest';
import { hex32, type UserId } from '../../src/core/ids.js';
import type { Signed } from '../../src/core/statements.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import { rememberingCheck } from '../../src/node/verified.js';

const seed = new Uint8Array(32).fill(7);
const by = hex32<UserId>(nativeCrypto.ed25519PublicKey(seed));
const signed = (statement: Uint8Array): Signed => ({
  by,
  statement,
  sig: nativeCrypto.ed25519Sign(seed, statement),
});

function checker() {
  let calls = 0;
  const check = rememberingCheck({
    ed25519Verify: (...args) => {
      calls += 1;
      return nativeCrypto.ed25519Verify(...args);
    },
  });
  return { check: (...all: Signed[]) => check(all), calls: () => calls };
}

const changed = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice();
  copy[0]! ^= 1;
  return copy;
};

describe('a check of signatures', () => {
  it('verifies what is right once', () => {
    const { check, calls } = checker();
    const one = signed(new Uint8Array(100));
    expect(check(one, one)).toStrictEqual([true, true]);
    expect(check({ ...one, statement: one.statement.slice() })).toStrictEqual([true]);
    expect(calls()).toBe(1);
  });

  it('takes nothing for what it remembers but signer, statement and signature together', () => {
    const { check } = checker();
    const one = signed(new Uint8Array(100));
    const other = hex32<UserId>(nativeCrypto.ed25519PublicKey(changed(seed)));
    expect(check(one)).toStrictEqual([true]);
    expect(
      check(
        { ...one, by: other },
        { ...one, statement: changed(one.statement) },
        { ...one, sig: changed(one.sig) },
        {
          ...one,
          sig: one.sig.subarray(0, 63),
          statement: new Uint8Array([one.sig[63]!, ...one.statement]),
        },
      ),
    ).toStrictEqual([false, false, false, false]);
  });

  it('verifies anew what was wrong, and long statements', () => {
    const { check, calls } = checker();
    const long = signed(new Uint8Array(513));
    const wrong = { ...signed(new Uint8Array(9)), statement: new Uint8Array(8) };
    expect(check(long, long, wrong, wrong)).toStrictEqual([true, true, false, false]);
    expect(calls()).toBe(4);
  });

  it('forgets in the end', () => {
    const { check, calls } = checker();
    const many = Array.from({ length: 2_100 }, (_, i) => signed(new Uint8Array([i >> 8, i & 255])));
    for (const one of many) check(one);
    expect(calls()).toBe(2_100);
    check(many[0]!);
    expect(calls()).toBe(2_101);
  });
});
