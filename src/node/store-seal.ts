/**
 * How a value lies on disk: 8 bytes of checksum, then the value. The checksum
 * is SHA-256 over the key's length, the key and the value, cut to 8 bytes, so
 * that a changed value, a changed key and a value under another's key are all
 * seen (docs/decisions/0002-store-integrity.md).
 *
 * It guards against accident, not against someone who may write to the disk:
 * what others signed is checked by its signatures.
 */

import { hash } from 'node:crypto';

const TAG_BYTES = 8;
const LENGTH_BYTES = 4;

/** What is hashed is put together here: enough for an entry of the log, larger values get memory of their own. */
const SCRATCH_BYTES = 16_384;
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

const UTF8_BYTES_PER_CHAR_MAX = 3;

/** The bytes to store for `value` under `key`, valid until the next call: to be copied at once. */
export function seal(key: string, value: Uint8Array): Uint8Array {
  const most = TAG_BYTES + LENGTH_BYTES + UTF8_BYTES_PER_CHAR_MAX * key.length + value.length;
  const buffer = most <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(most);
  const keyBytes = buffer.write(key, TAG_BYTES + LENGTH_BYTES);
  buffer.writeUInt32BE(keyBytes, TAG_BYTES);
  const valueAt = TAG_BYTES + LENGTH_BYTES + keyBytes;
  buffer.set(value, valueAt);
  const memory = buffer.buffer;
  const hashed = new Uint8Array(memory, TAG_BYTES, LENGTH_BYTES + keyBytes + value.length);
  const tag = tagOf(hashed);
  // One buffer serves both: the tag overwrites the end of what was hashed before the value.
  for (let i = 0; i < TAG_BYTES; i++) buffer[valueAt - TAG_BYTES + i] = tag.charCodeAt(i);
  return new Uint8Array(memory, valueAt - TAG_BYTES, TAG_BYTES + value.length);
}

/** The value in what is stored under `key`, or undefined if it fails its checksum. */
export function unseal(key: Uint8Array, stored: Uint8Array): Uint8Array | undefined {
  if (stored.length < TAG_BYTES) return undefined;
  const value = stored.subarray(TAG_BYTES);
  const end = LENGTH_BYTES + key.length + value.length;
  const buffer = end <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(end);
  buffer.writeUInt32BE(key.length);
  buffer.set(key, LENGTH_BYTES);
  buffer.set(value, LENGTH_BYTES + key.length);
  const tag = Buffer.from(stored.buffer, stored.byteOffset, TAG_BYTES).toString('latin1');
  if (!tagOf(buffer.subarray(0, end)).startsWith(tag)) return undefined;
  // A plain Uint8Array: a Buffer's slice() shares memory, which surprises.
  return new Uint8Array(value.buffer, value.byteOffset, value.length);
}

/** A character a byte, and more than the tag needs: Node hands out a digest as text in half the time of a buffer. */
const tagOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'binary');
