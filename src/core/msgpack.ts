/**
 * Payloads as msgpack (docs/PROTOCOL.md, section "Payloads"). A payload is one
 * map with text keys; its values are nil, booleans, integers, floats, texts,
 * byte strings, lists and maps. Byte strings are views of the payload.
 *
 * msgpackr decodes, but not before the bytes were checked, since some of its
 * extensions can't be turned off: on their own they build records with
 * `new Function`, cycles, regular expressions and errors. Refused with
 * `bad_payload`: extensions, a key that is no text, is `__proto__` or comes
 * twice (readers could disagree about `from`), texts that are not UTF-8, bytes missing or
 * left over, and more depth, items or keys than limits.ts allows.
 */

import { Packr } from 'msgpackr/pack';
import { bytesEqual, Writer } from './bytes.js';
import { ConclaveError } from './errors.js';
import {
  PAYLOAD_DEPTH_MAX,
  PAYLOAD_ITEMS_MAX,
  PAYLOAD_KEY_BYTES_MAX,
  PAYLOAD_MAP_KEYS_MAX,
} from './limits.js';

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true });
const utf8Decoder = new TextDecoder('utf-8', { fatal: true });

/** A plain view, since a Buffer's `slice` and serialization differ. */
const plain = (b: Uint8Array) => new Uint8Array(b.buffer, b.byteOffset, b.byteLength);

export const pack = (payload: object): Uint8Array => plain(packr.pack(payload));

const PROTO = new TextEncoder().encode('__proto__');

/** Throws `bad_payload`. */
export function unpack(payload: Uint8Array): { [field: string]: unknown } {
  const { marked } = new PayloadCheck(payload).run();
  return packr.unpack(marked.length === 0 ? plain(payload) : markedTwice(payload, marked));
}

const MARK = Uint8Array.of(0xef, 0xbb, 0xbf);
/** msgpackr drops a byte order mark that begins a text of more bytes than this, and keeps it in a shorter one. */
const MARK_KEPT_BYTES_MAX = 64;

/** Where a text that msgpackr would take its mark from has its head, its content and its end. */
interface MarkedText {
  readonly head: number;
  readonly start: number;
  readonly end: number;
}

/** The payload with one more mark in each of these texts, for msgpackr to drop. */
function markedTwice(payload: Uint8Array, texts: readonly MarkedText[]): Uint8Array {
  const w = new Writer(payload.length + 8 * texts.length);
  let from = 0;
  for (const { head, start, end } of texts) {
    w.raw(payload.subarray(from, head)).u8(TEXT_32);
    w.u32(end - start + MARK.length).raw(MARK);
    from = start;
  }
  return w.raw(payload.subarray(from)).kept();
}

function refuse(message: string): never {
  throw new ConclaveError('bad_payload', `the payload ${message}`);
}

/** Head of a text behind a size of 4 bytes. */
const TEXT_32 = 219;

/** Bytes that follow the head of a scalar. */
const SCALAR_BYTES: { readonly [head: number]: number } = {
  192: 0, // nil
  194: 0, // false
  195: 0, // true
  202: 4, // float 32
  203: 8, // float 64
  204: 1, // uint 8, 16, 32, 64
  205: 2,
  206: 4,
  207: 8,
  208: 1, // int 8, 16, 32, 64
  209: 2,
  210: 4,
  211: 8,
};

/** What else may come, with the bytes of the size that follows its head. */
const SIZED: { readonly [head: number]: readonly ['bin' | 'text' | 'list' | 'map', number] } = {
  196: ['bin', 1],
  197: ['bin', 2],
  198: ['bin', 4],
  217: ['text', 1],
  218: ['text', 2],
  219: ['text', 4],
  220: ['list', 2],
  221: ['list', 4],
  222: ['map', 2],
  223: ['map', 4],
};

/** Walks over one payload without decoding it. Heads are those of the msgpack specification. */
class PayloadCheck {
  readonly #bytes: Uint8Array;
  #at = 0;
  #items = 0;
  readonly #marked: MarkedText[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  run(): { readonly marked: readonly MarkedText[] } {
    const head = this.#bytes[0] ?? refuse('is empty');
    const isMap = (head & 0xf0) === 0x80 || head === 0xde || head === 0xdf;
    if (!isMap) refuse('must be a map');
    this.#value(1);
    if (this.#at !== this.#bytes.length) refuse('has bytes after its end');
    return { marked: this.#marked };
  }

  /** Steps over `bytes`, returns where they start. */
  #skip(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#bytes.length - at) refuse('ends too early');
    this.#at = at + bytes;
    return at;
  }

  #size(bytes: number): number {
    const at = this.#skip(bytes);
    let size = 0;
    for (let i = 0; i < bytes; i++) size = size * 256 + this.#bytes[at + i]!;
    return size;
  }

  #value(depth: number): void {
    if (++this.#items > PAYLOAD_ITEMS_MAX) refuse(`has more than ${PAYLOAD_ITEMS_MAX} items`);
    const at = this.#skip(1);
    const head = this.#bytes[at]!;
    if (head < 0x80 || head >= 0xe0) return; // small integers
    if (head < 0x90) this.#map(head & 0x0f, depth);
    else if (head < 0xa0) this.#list(head & 0x0f, depth);
    else if (head < 0xc0) this.#text(head & 0x1f);
    else this.#longer(at, head, depth);
  }

  #longer(at: number, head: number, depth: number): void {
    const scalarBytes = SCALAR_BYTES[head];
    const [type, sizeBytes] = SIZED[head] ?? [];
    if (scalarBytes !== undefined) this.#skip(scalarBytes);
    else if (sizeBytes === undefined) refuse(`has a value of a type that is not allowed: ${head}`);
    else if (type === 'bin') this.#skip(this.#size(sizeBytes));
    else if (type === 'text') this.#longText(at, this.#size(sizeBytes));
    else if (type === 'list') this.#list(this.#size(sizeBytes), depth);
    else this.#map(this.#size(sizeBytes), depth);
  }

  #longText(head: number, bytes: number): void {
    this.#text(bytes);
    const start = this.#at - bytes;
    if (bytes <= MARK_KEPT_BYTES_MAX || this.#bytes[start] !== MARK[0]) return;
    if (bytesEqual(this.#bytes.subarray(start, start + MARK.length), MARK)) {
      this.#marked.push({ head, start, end: this.#at });
    }
  }

  #text(bytes: number): void {
    const start = this.#skip(bytes);
    for (let i = start; i < this.#at; i++) {
      if (this.#bytes[i]! < 0x80) continue;
      try {
        utf8Decoder.decode(this.#bytes.subarray(i, this.#at));
        return;
      } catch {
        refuse('has a text that is not UTF-8');
      }
    }
  }

  #list(count: number, depth: number): void {
    if (depth > PAYLOAD_DEPTH_MAX) refuse(`is nested more than ${PAYLOAD_DEPTH_MAX} deep`);
    for (let i = 0; i < count; i++) this.#value(depth + 1);
  }

  #map(count: number, depth: number): void {
    if (depth > PAYLOAD_DEPTH_MAX) refuse(`is nested more than ${PAYLOAD_DEPTH_MAX} deep`);
    if (count > PAYLOAD_MAP_KEYS_MAX) refuse(`has a map of more than ${PAYLOAD_MAP_KEYS_MAX} keys`);
    const keys: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      for (const other of keys) if (bytesEqual(key, other)) refuse('has a key twice in one map');
      keys.push(key);
      this.#value(depth + 1);
    }
  }

  #key(): Uint8Array {
    this.#items++;
    const head = this.#bytes[this.#skip(1)]!;
    const short = (head & 0xe0) === 0xa0;
    if (!short && head !== 0xd9) refuse('has a map whose keys are not short texts');
    const bytes = short ? head & 0x1f : this.#size(1);
    if (bytes > PAYLOAD_KEY_BYTES_MAX) refuse(`has a key of over ${PAYLOAD_KEY_BYTES_MAX} bytes`);
    this.#text(bytes);
    const key = this.#bytes.subarray(this.#at - bytes, this.#at);
    if (bytesEqual(key, PROTO))
      refuse('has the key "__proto__", which some decoders take for another');
    return key;
  }
}
