/** XChaCha20-Poly1305 on OpenSSL gives what noble's does, bit for bit, and opens nothing else. */

import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex } from '../../src/core/ids.js';
import { xchachaOpen, xchachaSeal } from '../../src/native/xchacha.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const some = fc.uint8Array({ maxLength: 1_000, size: 'max' });
const CASE = [bytes(32), bytes(24), some, some] as const;

function sealed(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plain: Uint8Array): Uint8Array {
  const into = new Uint8Array(3 + plain.length + 16);
  xchachaSeal(key, nonce, ad, plain, into, 3);
  expect(hex(into.subarray(0, 3))).toBe('000000');
  return into.subarray(3);
}

test('the vector of draft-irtf-cfrg-xchacha-03, A.3.1', () => {
  const plain = new TextEncoder().encode(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
  const nonce = Uint8Array.from({ length: 24 }, (_, i) => 0x40 + i);
  const out = sealed(key, nonce, hexToBytes('50515253c0c1c2c3c4c5c6c7'), plain);
  expect(hex(out.subarray(0, 16))).toBe('bd6d179d3e83d43b9576579493c0e939');
  expect(hex(out.subarray(-16))).toBe('c0875924c1c7987947deafd8780acf49');
});

describe('both', () => {
  test('seal to the same bytes, and open them', () => {
    fc.assert(
      fc.property(...CASE, (key, nonce, ad, plain) => {
        const out = sealed(key, nonce, ad, plain);
        expect(hex(out)).toBe(hex(xchacha20poly1305(key, nonce, ad).encrypt(plain)));
        expect(hex(xchachaOpen(key, nonce, ad, out)!)).toBe(hex(plain));
      }),
    );
  });

  test('open from the middle of a buffer, whatever it is aligned to', () => {
    const all = Uint8Array.from({ length: 300 }, (_, i) => i);
    for (let at = 0; at < 8; at++) {
      const [key, nonce] = [all.subarray(at, at + 32), all.subarray(40 + at, 64 + at)];
      const out = sealed(key, nonce, all.subarray(at), all.subarray(at, at + 77));
      const copy = xchacha20poly1305(key.slice(), nonce.slice(), all.slice(at));
      expect(hex(out)).toBe(hex(copy.encrypt(all.slice(at, at + 77))));
    }
  });
});

test('nothing opens with a bit of it changed, cut, or under another key, nonce or header', () => {
  fc.assert(
    fc.property(...CASE, fc.nat(), (key, nonce, ad, plain, at) => {
      const out = sealed(key, nonce, ad, plain);
      const changed = (of: Uint8Array): Uint8Array => {
        const copy = of.slice();
        copy[at % copy.length]! ^= 1 << (at % 8);
        return copy;
      };
      expect(xchachaOpen(key, nonce, ad, changed(out))).toBeUndefined();
      expect(xchachaOpen(changed(key), nonce, ad, out)).toBeUndefined();
      expect(xchachaOpen(key, changed(nonce), ad, out)).toBeUndefined();
      expect(xchachaOpen(key, nonce, Uint8Array.of(...ad, 0), out)).toBeUndefined();
      expect(xchachaOpen(key, nonce, ad, out.subarray(1))).toBeUndefined();
      expect(xchachaOpen(key, nonce, ad, out.subarray(0, at % out.length))).toBeUndefined();
    }),
  );
});
