/**
 * Signatures and public keys that implementations of Ed25519 disagree about,
 * each made to break as few rules as it can, for `make-crypto-vectors.ts`.
 * Everything is derived from names, nothing from randomness.
 *
 * `judge` decides each of them with noble's point arithmetic alone, rule by
 * rule, and so says which check an implementation lacks when it accepts one.
 */

import type { EdwardsPoint } from '@noble/curves/abstract/edwards.js';
import { ed25519, ed25519ph } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, equalBytes, numberToBytesLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';

const { Point } = ed25519;
const { Fn } = Point;
const L = Fn.ORDER;
const P = Point.Fp.ORDER;
const B = Point.BASE;

/** The rules of verification; RULES in make-crypto-vectors.ts says what each demands. */
export type Rule = 'length' | 'key_encoding' | 'key_order' | 'r_encoding' | 's_range' | 'equation';

export interface VerifyCase {
  name: string;
  public_key: string;
  message: string;
  signature: string;
  valid: boolean;
  /** Every rule that this input breaks. */
  breaks: Rule[];
  /** What the cofactored equation 8·S·B = 8·R + 8·k·A says; null where a point does not decode. */
  cofactored: boolean | null;
}

interface KeyCase {
  name: string;
  public_key: string;
  valid: boolean;
  breaks: Rule[];
}

// ---------------------------------------------------------------- judging

/** The point that 32 bytes mean when y is reduced mod p and a negative zero is let pass. */
function decodeLax(bytes: Uint8Array): EdwardsPoint | undefined {
  try {
    return Point.fromBytes(bytes, true);
  } catch {
    return undefined;
  }
}

const isCanonical = (point: EdwardsPoint | undefined, bytes: Uint8Array): boolean =>
  point !== undefined && equalBytes(point.toBytes(), bytes);

const hasPrimeOrder = (point: EdwardsPoint): boolean => !point.is0() && point.isTorsionFree();

function judgeKey(key: Uint8Array): Rule[] {
  const point = decodeLax(key);
  const breaks: Rule[] = isCanonical(point, key) ? [] : ['key_encoding'];
  if (point !== undefined && !hasPrimeOrder(point)) breaks.push('key_order');
  return breaks;
}

const challenge = (r: Uint8Array, key: Uint8Array, message: Uint8Array): bigint =>
  Fn.create(bytesToNumberLE(sha512(concatBytes(r, key, message))));

/** Which rules of verification these break: none where the signature is valid. */
export function judge(key: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  if (key.length !== 32 || signature.length !== 64) {
    return { breaks: ['length'] satisfies Rule[], cofactored: null };
  }
  const breaks = judgeKey(key);
  const rBytes = signature.subarray(0, 32);
  const s = bytesToNumberLE(signature.subarray(32));
  const a = decodeLax(key);
  const r = decodeLax(rBytes);
  if (!isCanonical(r, rBytes)) breaks.push('r_encoding');
  if (s >= L) breaks.push('s_range');
  if (a === undefined || r === undefined) return { breaks, cofactored: null };
  const k = challenge(rBytes, key, message);
  const rest = B.multiplyUnsafe(s % L).subtract(r.add(a.multiplyUnsafe(k)));
  if (!rest.is0()) breaks.push('equation');
  return { breaks, cofactored: rest.clearCofactor().is0() };
}

/** Makes a case; throws when it does not break exactly the rules that it is meant to. */
function verifyCase(
  name: string,
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  ...breaks: Rule[]
): VerifyCase {
  const found = judge(key, message, signature);
  if (found.breaks.join() !== breaks.join()) {
    throw new Error(`"${name}" breaks [${found.breaks}], not [${breaks}]`);
  }
  return {
    name,
    public_key: bytesToHex(key),
    message: bytesToHex(message),
    signature: bytesToHex(signature),
    valid: breaks.length === 0,
    ...found,
  };
}

// ---------------------------------------------------------------- making

const text = (s: string): Uint8Array => utf8ToBytes(`conclave hostile: ${s}`);
const scalar = (name: string): bigint => Fn.create(bytesToNumberLE(sha512(text(name))));
const bytes32 = (n: bigint): Uint8Array => numberToBytesLE(n, 32);
const pair = (r: Uint8Array, s: bigint): Uint8Array => concatBytes(r, bytes32(s));

/** RFC 8032's encoding of (±x, y), canonical or not: y is written as it is given. */
function encode(y: bigint, negative: boolean): Uint8Array {
  const bytes = bytes32(y);
  if (negative) bytes[31]! |= 0x80;
  return bytes;
}

/** A point of order exactly 8: L times a point outside the prime-order subgroup. */
function torsionGenerator(): EdwardsPoint {
  for (let y = 2n; ; y++) {
    const point = decodeLax(bytes32(y));
    if (point === undefined) continue;
    const torsion = point.multiplyUnsafe(L - 1n).add(point);
    if (!torsion.double().double().is0()) return torsion;
  }
}

const T8 = torsionGenerator();
const T4 = T8.double();
const T2 = T4.double();
const TORSION: readonly (readonly [string, EdwardsPoint])[] = [
  ['2', T2],
  ['4', T4],
  ['8', T8],
];

/** All encodings of the eight points of small order: eight canonical, six not. */
function smallOrderEncodings(): (readonly [string, Uint8Array, boolean])[] {
  const multiples = Array.from({ length: 8 }, (_, i) =>
    i === 0 ? Point.ZERO : T8.multiplyUnsafe(BigInt(i)),
  );
  const canonical = multiples.map((point, i) => {
    const order = [1, 8, 4, 8, 2, 8, 4, 8][i];
    return [`order ${order}, ${i} times the generator`, point.toBytes(), true] as const;
  });
  return [
    ...canonical,
    ['order 1, y = 1, negative zero', encode(1n, true), false],
    ['order 1, y = p + 1', encode(P + 1n, false), false],
    ['order 1, y = p + 1, negative zero', encode(P + 1n, true), false],
    ['order 2, y = p - 1, negative zero', encode(P - 1n, true), false],
    ['order 4, y = p', encode(P, false), false],
    ['order 4, y = p, negative', encode(P, true), false],
  ];
}

/**
 * Signs with secret scalar `a` under the public key bytes `key`, with R = r·B +
 * `shift(k)`; messages `name 0`, `name 1` … are tried until `wanted(k)`.
 */
function forge(
  name: string,
  key: Uint8Array,
  a: bigint,
  wanted: (k: bigint) => boolean,
  rEncoding?: Uint8Array,
  shift: EdwardsPoint = Point.ZERO,
) {
  const r = rEncoding === undefined ? scalar(`${name}, nonce`) : 0n;
  const rBytes = rEncoding ?? B.multiplyUnsafe(r).add(shift).toBytes();
  for (let i = 0; ; i++) {
    const message = text(`${name} ${i}`);
    const k = challenge(rBytes, key, message);
    if (wanted(k)) return { message, signature: pair(rBytes, Fn.create(r + k * a)) };
  }
}

const always = () => true;
const SECRET = scalar('signer');
const SIGNER = B.multiplyUnsafe(SECRET);
const KEY = SIGNER.toBytes();

function smallOrderKeys(): VerifyCase[] {
  const cases = smallOrderEncodings().map(([what, key, canonical]) => {
    const name = `small-order key: ${what}`;
    const point = decodeLax(key)!;
    const { message, signature } = forge(name, key, 0n, (k) => point.multiplyUnsafe(k).is0());
    const breaks: Rule[] = canonical ? ['key_order'] : ['key_encoding', 'key_order'];
    return verifyCase(name, key, message, signature, ...breaks);
  });
  const identity = Point.ZERO.toBytes();
  return [
    ...cases,
    verifyCase(
      'small-order key: identity, R the identity and S = 0, which signs everything',
      identity,
      text('anything'),
      pair(identity, 0n),
      'key_order',
    ),
    verifyCase(
      'small-order key: identity, R the identity and S = L',
      identity,
      text('anything'),
      pair(identity, L),
      'key_order',
      's_range',
    ),
  ];
}

function mixedOrderKeys(): VerifyCase[] {
  return TORSION.flatMap(([order, torsion]) => {
    const key = SIGNER.add(torsion).toBytes();
    const vanishes = (k: bigint) => torsion.multiplyUnsafe(k).is0();
    const exact = `mixed-order key: signer + order ${order}, both equations hold`;
    const loose = `mixed-order key: signer + order ${order}, only the cofactored equation holds`;
    const a = forge(exact, key, SECRET, vanishes);
    const b = forge(loose, key, SECRET, (k) => !vanishes(k));
    return [
      verifyCase(exact, key, a.message, a.signature, 'key_order'),
      verifyCase(loose, key, b.message, b.signature, 'key_order', 'equation'),
    ];
  });
}

/** R carries torsion that k·A takes away again: the cofactorless equation holds exactly. */
function mixedOrderKeyAndR(): VerifyCase {
  const name = 'mixed-order key and R, torsion cancels, both equations hold';
  const key = SIGNER.add(T8).toBytes();
  const cancels = (k: bigint) => T8.multiplyUnsafe(k).equals(T8.negate());
  const { message, signature } = forge(name, key, SECRET, cancels, undefined, T8);
  return verifyCase(name, key, message, signature, 'key_order');
}

function hostileR(): VerifyCase[] {
  const mixed = TORSION.map(([order, torsion]) => {
    const name = `mixed-order R: nonce + order ${order}, only the cofactored equation holds`;
    const { message, signature } = forge(name, KEY, SECRET, always, undefined, torsion);
    return verifyCase(name, KEY, message, signature, 'equation');
  });
  const small = TORSION.map(([order, torsion]) => {
    const name = `small-order R: order ${order}, only the cofactored equation holds`;
    const { message, signature } = forge(name, KEY, SECRET, always, torsion.toBytes());
    return verifyCase(name, KEY, message, signature, 'equation');
  });
  const loose = smallOrderEncodings()
    .filter(([what, , canonical]) => what.startsWith('order 1') && !canonical)
    .map(([what, encoding]) => {
      const name = `non-canonical R: ${what}, both equations hold on the decoded point`;
      const { message, signature } = forge(name, KEY, SECRET, always, encoding);
      return verifyCase(name, KEY, message, signature, 'r_encoding');
    });
  const identity = 'R is the identity, canonical: allowed';
  const allowed = forge(identity, KEY, SECRET, always, Point.ZERO.toBytes());
  const off = pair(offCurve(), 1n);
  return [
    ...mixed,
    ...small,
    ...loose,
    verifyCase('R is no point', KEY, text('no point'), off, 'r_encoding'),
    verifyCase(identity, KEY, allowed.message, allowed.signature),
  ];
}

/** The smallest y that no point of the curve has. */
function offCurve(): Uint8Array {
  for (let y = 2n; ; y++) if (decodeLax(bytes32(y)) === undefined) return bytes32(y);
}

function hostileS(): VerifyCase[] {
  const { message, signature } = forge('S out of range', KEY, SECRET, always);
  const r = signature.subarray(0, 32);
  const s = bytesToNumberLE(signature.subarray(32));
  const plus = (n: bigint) => verifyCase(`S + ${n}·L`, KEY, message, pair(r, s + n * L), 's_range');
  return [
    verifyCase('the signature that the next three are made from', KEY, message, signature),
    ...[1n, 2n, 14n].map(plus),
    verifyCase('S = L', KEY, message, pair(r, L), 's_range', 'equation'),
    verifyCase('S = L - 1', KEY, message, pair(r, L - 1n), 'equation'),
    verifyCase('S = 0', KEY, message, pair(r, 0n), 'equation'),
    verifyCase('S = 2^256 - 1', KEY, message, pair(r, 2n ** 256n - 1n), 's_range', 'equation'),
  ];
}

function wrongLengths(): VerifyCase[] {
  const { message, signature } = forge('wrong length', KEY, SECRET, always);
  const resized = (bytes: Uint8Array, length: number): Uint8Array => {
    const out = new Uint8Array(length);
    out.set(bytes.subarray(0, length));
    return out;
  };
  return [
    ...[0, 32, 63, 65, 128].map((n) =>
      verifyCase(`signature of ${n} bytes`, KEY, message, resized(signature, n), 'length'),
    ),
    ...[0, 31, 33, 64].map((n) =>
      verifyCase(`public key of ${n} bytes`, resized(KEY, n), message, signature, 'length'),
    ),
  ];
}

/** Not hostile to any library, only wrong. */
function plainlyWrong(): VerifyCase[] {
  const seed = sha512(text('seed')).slice(0, 32);
  const key = ed25519.getPublicKey(seed);
  const message = text('a message');
  const empty = new Uint8Array(0);
  const good = ed25519.sign(message, seed);
  const flip = (bytes: Uint8Array, at: number, mask: number): Uint8Array => {
    const out = bytes.slice();
    out[at]! ^= mask;
    return out;
  };
  const swapped = concatBytes(good.subarray(32), good.subarray(0, 32));
  return [
    verifyCase('a message', key, message, good),
    verifyCase('the empty message', key, empty, ed25519.sign(empty, seed)),
    verifyCase('another message', key, flip(message, 0, 1), good, 'equation'),
    verifyCase('a good signature on the empty message', key, empty, good, 'equation'),
    verifyCase('another key', KEY, message, good, 'equation'),
    verifyCase('negated key', flip(key, 31, 0x80), message, good, 'equation'),
    verifyCase('negated R', key, message, flip(good, 31, 0x80), 'equation'),
    verifyCase('lowest bit of S flipped', key, message, flip(good, 32, 1), 'equation'),
    verifyCase('R and S swapped', key, message, swapped, 'r_encoding'),
    verifyCase('Ed25519ph, not Ed25519', key, message, ed25519ph.sign(message, seed), 'equation'),
    verifyCase(
      'all zero bytes',
      new Uint8Array(32),
      message,
      new Uint8Array(64),
      'key_order',
      'equation',
    ),
    verifyCase('key is no point', offCurve(), message, good, 'key_encoding'),
  ];
}

export const hostileVerifyCases = (): VerifyCase[] => [
  ...plainlyWrong(),
  ...wrongLengths(),
  ...smallOrderKeys(),
  ...mixedOrderKeys(),
  mixedOrderKeyAndR(),
  ...hostileR(),
  ...hostileS(),
];

/**
 * Public keys alone, since nobody can sign for most non-canonical ones. Only y < 19 can be
 * written as y + p as well, and it turns out that none of those has prime order.
 */
export function publicKeyCases(): KeyCase[] {
  const keyCase = (name: string, key: Uint8Array): KeyCase => {
    const breaks = judgeKey(key);
    return { name, public_key: bytesToHex(key), valid: breaks.length === 0, breaks };
  };
  const small = smallOrderEncodings().map(([what, key]) => keyCase(`small order: ${what}`, key));
  const mixed = TORSION.map(([order, torsion]) =>
    keyCase(`mixed order: signer + order ${order}`, SIGNER.add(torsion).toBytes()),
  );
  const unreduced = Array.from({ length: 19 }, (_, y) => BigInt(y)).flatMap((y) =>
    [false, true].flatMap((negative) => [
      keyCase(`y = ${y}${negative ? ', negative' : ''}`, encode(y, negative)),
      keyCase(`y = p + ${y}${negative ? ', negative' : ''}`, encode(P + y, negative)),
    ]),
  );
  return [
    keyCase('the base point', B.toBytes()),
    keyCase('its negative', B.negate().toBytes()),
    keyCase('the signer of the hostile signatures', KEY),
    ...small,
    ...mixed,
    ...unreduced,
    keyCase('all bits set', new Uint8Array(32).fill(0xff)),
  ];
}
