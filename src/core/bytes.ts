/**
 * Canonical binary encoding of everything that is hashed or signed
 * (docs/PROTOCOL.md, section "Canonical encoding"): fixed-width big-endian
 * integers, fixed-width byte strings, and variable byte strings behind a
 * 4-byte length. One value has exactly one encoding; a reader refuses
 * anything else, trailing bytes included, with `bad_encoding`.
 */

import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import type { ChannelId, Digest, EpochId, SealingPublic, UserId } from './ids.js';
import { hex32, type Ulid, ulidFromBytes, ulidToBytes, unhexInto } from './ids.js';

type Id32 = UserId | ChannelId | Digest | EpochId | SealingPublic;

const utf8Encoder = new TextEncoder();
// Without `ignoreBOM` a byte order mark would vanish: two encodings of one text.
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Uint8Array => utf8Encoder.encode(text);

/** Throws `bad_encoding` on bytes that are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch (cause) {
    throw new ConclaveError('bad_encoding', 'a text is not valid UTF-8', { cause });
  }
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A DataView would keep the lowest bits of a number that is too large. */
function unsigned(value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new ConclaveError('bad_encoding', `${value} is not an integer from 0 to ${max}`);
}

/** Memory that small results share, since a typed array of more than 64 bytes costs a microsecond to make. */
interface Slab {
  readonly bytes: number;
  /** The most that one result may ask for. */
  readonly shareBytesMax: number;
  buffer: Uint8Array;
  /** Where it is free. A writer at work there is its user until it is done. */
  free: number;
  user: Writer | undefined;
}

const slabOf = (bytes: number, shareBytesMax: number): Slab => {
  return { bytes, shareBytesMax, buffer: new Uint8Array(bytes), free: 0, user: undefined };
};

/** What is kept by mistake keeps its slab, so identifiers and statements have a small one. */
const SMALL_SLAB = slabOf(4_096, 512);
/** For what goes to the store, mostly. */
const LARGE_SLAB = slabOf(65_536, 4_096);

export class Writer {
  readonly #slab: Slab | undefined;
  #buffer: Uint8Array;
  #start: number;
  #end: number;

  constructor(capacity = 256) {
    const slab = capacity <= SMALL_SLAB.shareBytesMax ? SMALL_SLAB : LARGE_SLAB;
    if (capacity > slab.shareBytesMax) {
      this.#buffer = new Uint8Array(capacity);
      this.#start = 0;
    } else {
      // A writer that is not done, or never will be, keeps the slab that it has.
      if (slab.user !== undefined || slab.free + capacity > slab.bytes) {
        slab.buffer = new Uint8Array(slab.bytes);
        slab.free = 0;
      }
      slab.user = this;
      this.#slab = slab;
      this.#buffer = slab.buffer;
      this.#start = slab.free;
    }
    this.#end = this.#start;
  }

  #grow(bytes: number): number {
    const at = this.#end;
    if (at + bytes > this.#buffer.length) return this.#move(bytes);
    this.#end = at + bytes;
    return at;
  }

  #move(bytes: number): number {
    const length = this.#end - this.#start;
    const larger = new Uint8Array(Math.max(length * 2, length + bytes));
    larger.set(this.#buffer.subarray(this.#start, this.#end));
    this.#leaveSlab(this.#start);
    this.#buffer = larger;
    this.#start = 0;
    this.#end = length + bytes;
    return length;
  }

  #leaveSlab(free: number): void {
    const slab = this.#slab;
    if (slab?.user !== this) return;
    slab.user = undefined;
    slab.free = free;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#buffer[at] = unsigned(value, 0xff);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    unsigned(value, 0xffff);
    this.#buffer[at] = value >>> 8;
    this.#buffer[at + 1] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#word(at, unsigned(value, 0xffff_ffff));
    return this;
  }

  /** A non-negative safe integer in eight bytes. */
  u64(value: number): this {
    unsigned(value, Number.MAX_SAFE_INTEGER);
    const at = this.#grow(8);
    this.#word(at, Math.floor(value / 0x1_0000_0000));
    this.#word(at + 4, value >>> 0);
    return this;
  }

  #word(at: number, value: number): void {
    const buffer = this.#buffer;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  /** Bytes as they are, with no length in front: the reader knows how many. */
  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** A 32-byte identifier. */
  id(hex: Id32): this {
    const at = this.#grow(32);
    unhexInto(hex, this.#buffer, at);
    return this;
  }

  ulid(text: Ulid): this {
    return this.raw(ulidToBytes(text));
  }

  /** A byte string behind its 4-byte length. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** A UTF-8 text behind its 4-byte length. */
  text(text: string): this {
    return this.bytes(utf8(text));
  }

  /** A list behind its 2-byte count. */
  list<T>(items: readonly T[], write: (item: T) => void): this {
    this.u16(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** The bytes written so far, which may share memory with others; the writer must not be used afterwards. */
  done(): Uint8Array {
    this.#leaveSlab(this.#end);
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Like `done`, in memory of their own: for what is kept for long. */
  kept(): Uint8Array {
    return this.hashed((bytes) => bytes.slice());
  }

  /** The hash of the bytes written so far as an identifier; they are forgotten, the writer must not be used afterwards. */
  hashedId<T extends Id32>(hash: Hash): T {
    const { hex } = hash;
    return hex ? (this.#hashedBy(hex) as T) : hex32<T>(this.#hashedBy(hash));
  }

  #hashedBy<R>(hash: (bytes: Uint8Array) => R): R {
    const digest = hash(this.#buffer.subarray(this.#start, this.#end));
    this.#leaveSlab(this.#start);
    return digest;
  }

  /** The hash of the bytes written so far, which are forgotten; the writer must not be used afterwards. */
  hashed(hash: Hash): Uint8Array {
    return this.#hashedBy(hash);
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) {
      throw new ConclaveError('bad_encoding', 'an encoding ends too early');
    }
    this.#at = at + bytes;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u16(): number {
    const at = this.#take(2);
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  u32(): number {
    return this.#word(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#word(at);
    if (high > 0x1f_ffff) {
      throw new ConclaveError('bad_encoding', 'an integer is larger than 2^53-1');
    }
    return high * 0x1_0000_0000 + this.#word(at + 4);
  }

  #word(at: number): number {
    const bytes = this.#bytes;
    return (
      ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    );
  }

  /** A view of the next `length` bytes, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  id<T extends Id32>(): T {
    return hex32<T>(this.#bytes, this.#take(32));
  }

  ulid(): Ulid {
    return ulidFromBytes(this.#bytes, this.#take(16));
  }

  bytes(max: number): Uint8Array {
    const length = this.u32();
    if (length > max) {
      throw new ConclaveError(
        'bad_encoding',
        `a byte string of ${length} bytes is over its limit of ${max}`,
      );
    }
    return this.raw(length);
  }

  text(maxBytes: number): string {
    return fromUtf8(this.bytes(maxBytes));
  }

  list<T>(max: number, read: () => T): T[] {
    const count = this.u16();
    if (count > max) {
      throw new ConclaveError('bad_encoding', `a list of ${count} is over its limit of ${max}`);
    }
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  /** Throws unless every byte was read. */
  end(): void {
    if (this.#at !== this.#bytes.length) {
      throw new ConclaveError('bad_encoding', 'an encoding has bytes after its end');
    }
  }
}

/** Reads one whole value: `read` must consume every byte. */
export function decodeWhole<T>(bytes: Uint8Array, read: (r: Reader) => T): T {
  const reader = new Reader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}
