/**
 * Branded identifiers. Inside the core every 32-byte identifier is a lowercase
 * hex string (usable as a map key); on the wire, in signed statements and in
 * the store it is raw bytes. A function cannot be handed the wrong kind.
 */

import { ConclaveError } from './errors.js';

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Ed25519 public key of one user on one device, 64 hex digits. */
export type UserId = Brand<string, 'UserId'>;
/** Hash of a channel's genesis, 64 hex digits. */
export type ChannelId = Brand<string, 'ChannelId'>;
/** SHA-256 digest of a record, a chain position or a roster, 64 hex digits. */
export type Digest = Brand<string, 'Digest'>;
/** Identifier of one leadership, 64 hex digits. */
export type EpochId = Brand<string, 'EpochId'>;
/** X25519 public key to which a member's channel keys are sealed, 64 hex digits. */
export type SealingPublic = Brand<string, 'SealingPublic'>;
/** A ULID in its text form, 26 characters of Crockford's base 32. */
export type Ulid = Brand<string, 'Ulid'>;
/** Milliseconds since 1970 (wall clock) or since some fixed start (monotonic). */
export type Millis = number;

const HEX_32 = /^[0-9a-f]{64}$/;

/** Whether a text is an id as they are written: 64 lower-case hex digits. */
export const isId = (text: string): boolean => HEX_32.test(text);

function parse32(text: string, what: string): string {
  if (!isId(text)) {
    throw new ConclaveError(
      'bad_id',
      `${what} must be 64 lowercase hex digits, got "${text.slice(0, 80)}"`,
    );
  }
  return text;
}

export const userId = (text: string): UserId => parse32(text, 'a user id') as UserId;
export const channelId = (text: string): ChannelId => parse32(text, 'a channel id') as ChannelId;

const HEX_VALUE = new Uint8Array(128);
for (let i = 0; i < 16; i++) HEX_VALUE[i.toString(16).charCodeAt(0)] = i;

const HEX_CODE = new Uint8Array(16);
for (let i = 0; i < 16; i++) HEX_CODE[i] = i.toString(16).charCodeAt(0);
const latin1 = new TextDecoder('latin1');

/** Lowercase hex of any bytes. */
export function hex(bytes: Uint8Array): string {
  const codes = new Uint8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    codes[2 * i] = HEX_CODE[bytes[i]! >>> 4]!;
    codes[2 * i + 1] = HEX_CODE[bytes[i]! & 15]!;
  }
  return latin1.decode(codes);
}

const SEEN_MAX = 4_096;

/**
 * Texts of identifiers seen lately: most come again and again, so a look is
 * cheaper than making the text anew, and one string for all is cheap to compare.
 */
function remembering(idBytes: number, make: (bytes: Uint8Array) => string) {
  const bytesOf = new Uint8Array(SEEN_MAX * idBytes);
  const textOf = new Array<string | undefined>(SEEN_MAX).fill(undefined);
  return (bytes: Uint8Array, at: number): string => {
    const end = at + idBytes;
    if (end > bytes.length) return make(bytes.subarray(at));
    const place = (bytes[end - 2]! | (bytes[end - 1]! << 8)) & (SEEN_MAX - 1);
    const seen = place * idBytes;
    let same = 0;
    while (same < idBytes && bytesOf[seen + same] === bytes[at + same]) same += 1;
    const known = same === idBytes ? textOf[place] : undefined;
    if (known !== undefined) return known;
    const text = make(bytes.subarray(at, end));
    for (let i = 0; i < idBytes; i++) bytesOf[seen + i] = bytes[at + i]!;
    textOf[place] = text;
    return text;
  };
}

const hexRemembered = remembering(32, hex);

/** Hex of 32 raw bytes from `at` on under the brand that the caller's type asks for. */
export const hex32 = <T extends UserId | ChannelId | Digest | EpochId | SealingPublic>(
  bytes: Uint8Array,
  at = 0,
): T => hexRemembered(bytes, at) as T;

/** Writes the bytes of an identifier, whose form its brand vouches for, to `out` at `at`. */
export function unhexInto(hex: string, out: Uint8Array, at: number): void {
  for (let i = 0; i < hex.length; i += 2) {
    out[at + (i >> 1)] = (HEX_VALUE[hex.charCodeAt(i)]! << 4) | HEX_VALUE[hex.charCodeAt(i + 1)]!;
  }
}

export function unhex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length >> 1);
  unhexInto(hex, bytes, 0);
  return bytes;
}

export const ZERO_DIGEST = '0'.repeat(64) as Digest;
const NO_SEALING_KEY = ZERO_DIGEST as string as SealingPublic;

/** As it is encoded: 32 zero bytes for who holds no keys. */
export const sealingOrZero = (key: SealingPublic | null): SealingPublic => key ?? NO_SEALING_KEY;
export const sealingOrNull = (key: SealingPublic): SealingPublic | null =>
  key === NO_SEALING_KEY ? null : key;

const NO_USER = ZERO_DIGEST as string as UserId;

/** As it is encoded where there may be none: 32 zero bytes. */
export const userOrZero = (user: UserId | null): UserId => user ?? NO_USER;
export const userOrNull = (user: UserId): UserId | null => (user === NO_USER ? null : user);

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CROCKFORD_VALUE = new Uint8Array(128).fill(255);
for (let i = 0; i < 32; i++) CROCKFORD_VALUE[CROCKFORD.charCodeAt(i)] = i;
const ULID_CHARS = 26;
const ULID_BYTES = 16;

function ulidText(bytes: Uint8Array): string {
  // 26 digits of 5 bits hold 130 bits: two zero bits come first.
  const codes = new Uint8Array(ULID_CHARS);
  let at = 0;
  let held = 0;
  let bits = 2;
  for (let i = 0; i < ULID_BYTES; i++) {
    held = (held << 8) | bytes[i]!;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      codes[at++] = CROCKFORD.charCodeAt((held >>> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return latin1.decode(codes);
}

const ulidRemembered = remembering(ULID_BYTES, ulidText);

/** 16 raw bytes of a ULID, from `at` on → its 26-character text (github.com/ulid/spec). */
export const ulidFromBytes = (bytes: Uint8Array, at = 0): Ulid => ulidRemembered(bytes, at) as Ulid;

/** When a ULID was made, by its maker's clock: ms since 1970. */
export function ulidTime(ulid: Ulid): Millis {
  const bytes = ulidToBytes(ulid);
  return (
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) * 65_536 + bytes[4]! * 256 + bytes[5]!
  );
}

/** The 26-character text of a ULID → its 16 raw bytes. Throws `bad_id`. */
export function ulidToBytes(text: string): Uint8Array {
  const out = new Uint8Array(ULID_BYTES);
  let held = 0;
  let bits = -2;
  let at = 0;
  // 26 digits hold 128 bits only while the first is at most 7.
  let bad = text.length !== ULID_CHARS || text[0]! > '7';
  for (let i = 0; i < ULID_CHARS && !bad; i++) {
    const digit = CROCKFORD_VALUE[text.charCodeAt(i)] ?? 255;
    bad = digit > 31;
    held = ((held << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = held >>> bits;
    }
  }
  if (bad) throw new ConclaveError('bad_id', `"${text.slice(0, 40)}" is not a ULID`);
  return out;
}
