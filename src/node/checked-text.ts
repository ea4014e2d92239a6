/**
 * Bytes as a text to hand over, as people copy it: a word that says what it
 * is, a dot, and the base64url of the bytes and a checksum, so that half of it
 * is not taken for the whole.
 *
 *     text = word · '.' · base64url(version u8 · fields · checksum 4)
 */

import { base64urlnopad } from '@scure/base';
import { decodeWhole, type Reader, Writer } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import { PROTOCOL_VERSION } from '../core/limits.js';

const CHECKSUM_BYTES = 4;

export function encodeChecked(hash: Hash, word: string, write: (w: Writer) => Writer): string {
  const body = write(new Writer(512).u8(PROTOCOL_VERSION)).done();
  const whole = new Writer(body.length + CHECKSUM_BYTES).raw(body);
  return `${word}.${base64urlnopad.encode(whole.raw(hash(body).subarray(0, CHECKSUM_BYTES)).done())}`;
}

/** Throws, some error, for what is not the whole of such a text. */
export function decodeChecked<T>(
  hash: Hash,
  word: string,
  text: string,
  read: (r: Reader) => T,
): T {
  const trimmed = text.trim();
  if (!trimmed.startsWith(`${word}.`)) throw new Error('wrong prefix');
  const whole = base64urlnopad.decode(trimmed.slice(word.length + 1));
  const body = whole.subarray(0, -CHECKSUM_BYTES);
  const checksum = whole.subarray(-CHECKSUM_BYTES);
  const expected = hash(body).subarray(0, CHECKSUM_BYTES);
  if (!expected.every((b, i) => b === checksum[i])) throw new Error('wrong checksum');
  return decodeWhole(body, (r) => {
    if (r.u8() !== PROTOCOL_VERSION) throw new Error('another version');
    return read(r);
  });
}
