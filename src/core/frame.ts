/**
 * The frame codec (docs/PROTOCOL.md, section "Frames"). On the wire:
 *
 *     NAME \n LEN \n SIG \n PAYLOAD
 *
 *     NAME      1 to 16 of A-Z and _
 *     LEN       decimal, 1 or more, no sign, no leading zero, at most the limit
 *     SIG       128 lowercase hex digits (what they are: seal.ts)
 *     PAYLOAD   LEN bytes, one msgpack map (msgpack.ts)
 *
 * A frame has exactly one encoding. The parser takes any chunking, refuses at
 * the first wrong byte, allocates no more than twice what it was sent, and never
 * holds more than one frame. A payload that lies whole in one chunk is a view of it.
 */

import { ConclaveError, invariant } from './errors.js';
import { FRAME_NAME_CHARS_MAX, FRAME_SIG_HEX_CHARS } from './limits.js';

export interface Frame {
  readonly name: string;
  readonly payload: Uint8Array;
  /** 64 raw bytes. */
  readonly sig: Uint8Array;
}

const SIG_BYTES = FRAME_SIG_HEX_CHARS / 2;
/** The first piece of a payload that came in several; each further growth doubles it. */
const PAYLOAD_PIECE_BYTES = 1_024;
const NO_BYTES = new Uint8Array(0);
const NEWLINE = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
const UNDERSCORE = 0x5f;

const isNameByte = (byte: number) => (byte >= 0x41 && byte <= 0x5a) || byte === UNDERSCORE;

/** Value of each byte as a lowercase hex digit, or -1. */
const HEX_VALUE = new Int8Array(256).fill(-1);
const HEX_DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
HEX_DIGITS.forEach((digit, value) => {
  HEX_VALUE[digit] = value;
});

type Part = 'name' | 'length' | 'sig' | 'payload';

/**
 * Takes bytes with `feed` and gives frames with `next`; `push` does both.
 * After an error it refuses everything.
 */
export class FrameParser {
  /** May be changed between two frames; applies from the next LEN on. */
  payloadBytesMax: number;

  #chunk: Uint8Array = NO_BYTES;
  #at = 0;
  #error: ConclaveError | undefined;

  // The frame being read. `#count` is what the current part has so far.
  #part: Part = 'name';
  #count = 0;
  #name = '';
  #length = 0;
  #sig: Uint8Array = NO_BYTES;
  /** Holds the first `#count` bytes of a payload that came in several chunks. */
  #payload: Uint8Array = NO_BYTES;

  constructor(options: { readonly payloadBytesMax: number }) {
    this.payloadBytesMax = options.payloadBytesMax;
  }

  /** Why the parser refuses everything, once it does. */
  get error(): ConclaveError | undefined {
    return this.#error;
  }

  /** Bytes that are held for a frame whose end has not come yet. */
  get bufferedBytes(): number {
    return this.#payload.length;
  }

  /** Whether a frame has begun whose end has not come yet. */
  get isMidFrame(): boolean {
    return this.#part !== 'name' || this.#name !== '';
  }

  /**
   * The frames that end in this chunk. Throws at the first wrong byte, unless
   * frames were complete before it: then it returns those, `error` is set, and
   * the next call throws.
   */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    this.feed(chunk);
    try {
      for (let frame = this.next(); frame !== undefined; frame = this.next()) frames.push(frame);
    } catch (error) {
      if (frames.length === 0) throw error;
    }
    return frames;
  }

  /** Hands over the next chunk, once `next` has used up the one before. */
  feed(chunk: Uint8Array): void {
    if (this.#error) throw this.#error;
    invariant(this.#at === this.#chunk.length, 'a chunk was fed before the last one was read');
    // A plain view, since the `slice` and the serialization of a Buffer differ.
    this.#chunk = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#at = 0;
  }

  /** The next complete frame; `undefined` when more bytes are needed. Throws at the first wrong byte. */
  next(): Frame | undefined {
    if (this.#error) throw this.#error;
    while (this.#at < this.#chunk.length) {
      if (this.#part === 'name') this.#readNameByte(this.#chunk[this.#at++]!);
      else if (this.#part === 'length') this.#readLengthByte(this.#chunk[this.#at++]!);
      else if (this.#part === 'sig') this.#readSig();
      else return this.#readPayload();
    }
    this.#dropChunk();
    return undefined;
  }

  #dropChunk(): void {
    this.#chunk = NO_BYTES;
    this.#at = 0;
  }

  #refuse(code: string, message: string): never {
    this.#dropChunk();
    this.#payload = NO_BYTES;
    this.#error = new ConclaveError(code, message);
    throw this.#error;
  }

  #begin(part: Part): void {
    this.#part = part;
    this.#count = 0;
  }

  #readNameByte(byte: number): void {
    if (isNameByte(byte) && this.#name.length < FRAME_NAME_CHARS_MAX) {
      this.#name += String.fromCharCode(byte);
    } else if (byte === NEWLINE && this.#name.length > 0) {
      this.#length = 0;
      this.#begin('length');
    } else {
      this.#refuse('bad_frame', `a frame's name must be 1 to ${FRAME_NAME_CHARS_MAX} of A-Z and _`);
    }
  }

  #readLengthByte(byte: number): void {
    if (byte >= ZERO && byte <= NINE && !(byte === ZERO && this.#count === 0)) {
      this.#count++;
      this.#length = this.#length * 10 + (byte - ZERO);
      if (this.#length > this.payloadBytesMax) {
        this.#refuse(
          'frame_too_large',
          `the payload of ${this.#name} is over the limit of ${this.payloadBytesMax} bytes`,
        );
      }
    } else if (byte === NEWLINE && this.#count > 0) {
      this.#sig = new Uint8Array(SIG_BYTES);
      this.#begin('sig');
    } else {
      this.#refuse('bad_frame', `the length of ${this.#name} must be decimal, from 1`);
    }
  }

  /** Most of a header is its signature, so it is read as a run of bytes. */
  #readSig(): void {
    const end = Math.min(this.#chunk.length, this.#at + FRAME_SIG_HEX_CHARS - this.#count);
    while (this.#at < end) {
      const digit = HEX_VALUE[this.#chunk[this.#at++]!]!;
      if (digit < 0) this.#refuseSig();
      const i = this.#count++ >> 1;
      this.#sig[i] = (this.#sig[i]! << 4) | digit;
    }
    if (this.#count < FRAME_SIG_HEX_CHARS || this.#at === this.#chunk.length) return;
    if (this.#chunk[this.#at++] !== NEWLINE) this.#refuseSig();
    this.#begin('payload');
  }

  #refuseSig(): never {
    this.#refuse(
      'bad_frame',
      `the signature of ${this.#name} must be ${FRAME_SIG_HEX_CHARS} lowercase hex digits`,
    );
  }

  #readPayload(): Frame | undefined {
    const wanted = this.#length - this.#count;
    const bytes = this.#chunk.subarray(this.#at, this.#at + wanted);
    this.#at += bytes.length;
    if (this.#count === 0 && bytes.length === wanted) return this.#finish(bytes);
    this.#keep(bytes);
    if (bytes.length < wanted) {
      this.#dropChunk();
      return undefined;
    }
    return this.#finish(this.#payload);
  }

  /** Grows with what has come, not with what LEN promises. */
  #keep(bytes: Uint8Array): void {
    const count = this.#count + bytes.length;
    if (count > this.#payload.length) {
      const capacity = Math.max(count, 2 * this.#payload.length, PAYLOAD_PIECE_BYTES);
      const larger = new Uint8Array(Math.min(capacity, this.#length));
      larger.set(this.#payload.subarray(0, this.#count));
      this.#payload = larger;
    }
    this.#payload.set(bytes, this.#count);
    this.#count = count;
  }

  #finish(payload: Uint8Array): Frame {
    const frame = { name: this.#name, payload, sig: this.#sig };
    this.#name = '';
    this.#payload = NO_BYTES;
    this.#begin('name');
    return frame;
  }
}

function writeAscii(target: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
}

/** One buffer with the whole frame. */
export function encodeFrame(name: string, payload: Uint8Array, sig: Uint8Array): Uint8Array {
  invariant(sig.length === SIG_BYTES, `a frame's signature has ${SIG_BYTES} bytes`);
  const head = `${name}\n${payload.length}\n`;
  const frame = new Uint8Array(head.length + FRAME_SIG_HEX_CHARS + 1 + payload.length);
  writeAscii(frame, 0, head);
  let at = head.length;
  for (const byte of sig) {
    frame[at++] = HEX_DIGITS[byte >> 4]!;
    frame[at++] = HEX_DIGITS[byte & 15]!;
  }
  frame[at++] = NEWLINE;
  frame.set(payload, at);
  return frame;
}
