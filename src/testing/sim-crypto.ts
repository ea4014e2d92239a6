/**
 * Hashes and signatures for a run. `fast` ones cost a twentieth of real ones
 * and serve as well there: nobody in a run looks for collisions, and only
 * `sign` knows the secrets, of which a node is handed its own alone. `real`
 * ones are production's.
 */

import { utf8 } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import { hex32, type UserId, unhex } from '../core/ids.js';
import type { Signed } from '../core/statements.js';
import { nativeCrypto } from '../native/crypto-native.js';
import { hashText } from './prng.js';

export type CryptoKind = 'fast' | 'real';

export interface SimCrypto {
  readonly kind: CryptoKind;
  readonly sha256: Hash;
  /** The user of this name, whose key `sign` knows from now on. */
  userOf(name: string): UserId;
  /** Callers check that the key is theirs to use. */
  sign(user: UserId, statement: Uint8Array): Uint8Array;
  isValid(signed: Signed): boolean;
}

export const simCrypto = (kind: CryptoKind): SimCrypto =>
  kind === 'real' ? realCrypto() : fastCrypto();

function realCrypto(): SimCrypto {
  const seeds = new Map<UserId, Uint8Array>();
  return {
    kind: 'real',
    sha256: nativeCrypto.sha256,
    userOf(name) {
      const seed = nativeCrypto.sha256(utf8(name));
      const user = hex32<UserId>(nativeCrypto.ed25519PublicKey(seed));
      seeds.set(user, seed);
      return user;
    },
    sign: (user, statement) => nativeCrypto.ed25519Sign(seeds.get(user)!, statement),
    isValid: ({ by, statement, sig }) => nativeCrypto.ed25519Verify(unhex(by), statement, sig),
  };
}

/** As real ones; 16 bytes depend on the statement and the key, the others are zero. */
const SIGNATURE_BYTES = 64;
const START = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const;
const LANES = 4;
type Lanes = readonly [number, number, number, number];

function fastCrypto(): SimCrypto {
  const secrets = new Map<UserId, Lanes>();
  const secretOf = (user: UserId): Lanes => {
    const known = secrets.get(user);
    if (known) return known;
    const lane = (i: number): number => hashText(`secret ${i} ${user}`);
    const secret: Lanes = [lane(0), lane(1), lane(2), lane(3)];
    secrets.set(user, secret);
    return secret;
  };
  return {
    kind: 'fast',
    sha256: fastHash,
    userOf: (name) => hex32(fastHash(utf8(name))),
    sign(user, statement) {
      const sig = new Uint8Array(SIGNATURE_BYTES);
      mix(secretOf(user), statement);
      for (let i = 0; i < LANES; i++) put(sig, i * 4, mixed[i]!);
      return sig;
    },
    isValid({ by, statement, sig }) {
      if (sig.length !== SIGNATURE_BYTES) return false;
      mix(secretOf(by), statement);
      for (let i = 0; i < LANES; i++) if (word(sig, i * 4) !== mixed[i]) return false;
      return true;
    },
  };
}

export const fastHash: Hash = (data) => {
  mix(START, data);
  let a = mixed[0]!;
  let b = mixed[1]!;
  let c = mixed[2]!;
  let d = mixed[3]!;
  const out = new Uint8Array(32);
  for (let i = 0; i < out.length; i += BLOCK_BYTES) {
    a = finish(a + b);
    b = finish(b + c);
    c = finish(c + d);
    d = finish(d + a);
    put(out, i, a);
    put(out, i + 4, b);
    put(out, i + 8, c);
    put(out, i + 12, d);
  }
  return out;
};

const rotl = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const BLOCK_BYTES = 16;
const tail = new Uint8Array(BLOCK_BYTES);
/** What `mix` found last. */
const mixed = new Int32Array(LANES);

/** In the way of MurmurHash3 (x86, 128 bits), keyed by its four starting words; leaves its four words in `mixed`. */
function mix(start: Lanes, data: Uint8Array): void {
  let [a, b, c, d] = start;
  const whole = data.length & ~(BLOCK_BYTES - 1);
  tail.fill(0);
  for (let i = whole; i < data.length; i++) tail[i - whole] = data[i]!;
  for (let i = 0; i <= whole; i += BLOCK_BYTES) {
    const block = i < whole ? data : tail;
    const at = i < whole ? i : 0;
    a ^= Math.imul(rotl(Math.imul(word(block, at), 0x239b961b), 15), 0xab0e9789);
    a = (Math.imul(rotl(a, 19) + b, 5) + 0x561ccd1b) | 0;
    b ^= Math.imul(rotl(Math.imul(word(block, at + 4), 0xab0e9789), 16), 0x38b34ae5);
    b = (Math.imul(rotl(b, 17) + c, 5) + 0x0bcaa747) | 0;
    c ^= Math.imul(rotl(Math.imul(word(block, at + 8), 0x38b34ae5), 17), 0xa1e38b93);
    c = (Math.imul(rotl(c, 15) + d, 5) + 0x96cd1c35) | 0;
    d ^= Math.imul(rotl(Math.imul(word(block, at + 12), 0xa1e38b93), 18), 0x239b961b);
    d = (Math.imul(rotl(d, 13) + a, 5) + 0x32ac3b17) | 0;
  }
  a ^= data.length;
  a = (a + b + c + d) | 0;
  b = finish(b + a);
  c = finish(c + a);
  d = finish(d + a);
  mixed[0] = finish(a + b + c + d);
  mixed[1] = b;
  mixed[2] = c;
  mixed[3] = d;
}

const word = (data: Uint8Array, at: number): number =>
  data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);

function put(out: Uint8Array, at: number, word: number): void {
  out[at] = word;
  out[at + 1] = word >>> 8;
  out[at + 2] = word >>> 16;
  out[at + 3] = word >>> 24;
}
