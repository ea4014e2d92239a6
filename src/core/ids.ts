/**
 * Branded identifiers. Inside the core every 32-byte identifier is a lowercase
 * hex string (usable as a map key); on the wire, in signed statements and in
 * the store it is raw bytes. A function cannot be handed the wrong kind.
 */

import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
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
/** A ULID in its text form, 26 characters of Crockford's base 32. */
export type Ulid = Brand<string, 'Ulid'>;
/** Milliseconds since 1970 (wall clock) or since some fixed start (monotonic). */
export type Millis = number;

const HEX_32 = /^[0-9a-f]{64}$/;

function parse32(text: string, what: string): string {
  if (!HEX_32.test(text)) {
    throw new ConclaveError(
      'bad_id',
      `${what} must be 64 lowercase hex digits, got "${text.slice(0, 80)}"`,
    );
  }
  return text;
}

export const userId = (text: string): UserId => parse32(text, 'a user id') as UserId;
export const channelId = (text: string): ChannelId => parse32(text, 'a channel id') as ChannelId;

/** Hex of 32 raw bytes under the brand that the caller's type asks for. */
export const hex32 = <T extends UserId | ChannelId | Digest | EpochId>(bytes: Uint8Array): T =>
  bytesToHex(bytes) as T;

export const unhex = (hex: string): Uint8Array => hexToBytes(hex);

export const ZERO_DIGEST = '0'.repeat(64) as Digest;
export const ZERO_EPOCH = '0'.repeat(64) as EpochId;

/** 26 digits of 5 bits hold 128 bits only while the first is at most 7. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CROCKFORD_VALUE = new Map([...CROCKFORD].map((c, i) => [c, i]));

/** 16 raw bytes of a ULID → its 26-character text (github.com/ulid/spec). */
export function ulidFromBytes(bytes: Uint8Array): Ulid {
  let value = 0n;
  for (const b of bytes) value = (value << 8n) | BigInt(b);
  let out = '';
  for (let i = 0; i < 26; i++) {
    out = CROCKFORD[Number(value & 31n)] + out;
    value >>= 5n;
  }
  return out as Ulid;
}

/** The 26-character text of a ULID → its 16 raw bytes. Throws `bad_id`. */
export function ulidToBytes(text: string): Uint8Array {
  if (!ULID.test(text)) {
    throw new ConclaveError('bad_id', `"${text.slice(0, 80)}" is not a ULID`);
  }
  let value = 0n;
  for (const c of text) value = (value << 5n) | BigInt(CROCKFORD_VALUE.get(c)!);
  const out = new Uint8Array(16);
  for (let i = 15; i >= 0; i--) {
    out[i] = Number(value & 255n);
    value >>= 8n;
  }
  return out;
}
