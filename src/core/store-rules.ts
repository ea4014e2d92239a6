/**
 * What every implementation of the store port shares: which keys are allowed,
 * the order of keys, and the errors (docs/ARCHITECTURE.md, "Store"). One copy,
 * so that a program tested on one store meets no surprise on another.
 *
 * A key is non-empty well-formed text and starts with no NUL: keys that start
 * with NUL belong to the store itself and no caller ever sees them. Keys are
 * ordered by the bytes of their UTF-8 form, which is the order of code points.
 */

import { ConclaveError } from './errors.js';
import type { RangeOptions, StoreOp } from './store.js';

const STORE_KEY_CHARS_MAX = 512;
/** Below every key of a caller, above every key of the store itself. */
export const STORE_KEY_FIRST = '\u0001';

export function checkKey(key: string): void {
  if (typeof key !== 'string') throw badKey(key, 'is not text');
  if (key === '') throw badKey(key, 'is empty');
  if (key.length > STORE_KEY_CHARS_MAX) {
    throw badKey(key, `has ${key.length} characters, more than ${STORE_KEY_CHARS_MAX}`);
  }
  if (key < STORE_KEY_FIRST) throw badKey(key, 'starts with NUL, which the store keeps for itself');
  if (!key.isWellFormed()) throw badKey(key, 'is not well-formed text (a lone surrogate)');
}

export function checkOps(ops: readonly StoreOp[]): void {
  for (const { key, value } of ops) {
    checkKey(key);
    if (value !== undefined && !(value instanceof Uint8Array)) {
      throw new ConclaveError(
        'store_bad_value',
        `the value for key ${JSON.stringify(key)} is not a Uint8Array: encode it before writing`,
      );
    }
  }
}

/** Checks a range and raises its lower bound above the store's own keys. */
export function checkRange(options: RangeOptions): RangeOptions {
  const { gte, lt, limit } = options;
  for (const bound of [gte, lt]) {
    if (typeof bound !== 'string') throw badKey(bound, 'is not text, and bounds a range');
    if (!bound.isWellFormed()) throw badKey(bound, 'is not well-formed text');
  }
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new ConclaveError(
      'store_bad_limit',
      `the limit of a range must be a whole number from 0, got ${limit}`,
    );
  }
  return gte < STORE_KEY_FIRST ? { ...options, gte: STORE_KEY_FIRST } : options;
}

/** Bytewise order of the keys' UTF-8 forms: negative when `a` comes first. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** UTF-16 puts surrogates (code points from 0x10000) below 0xe000–0xffff; UTF-8 above. */
function codePointRank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}

function badKey(key: unknown, why: string): ConclaveError {
  const shown = JSON.stringify(String(key).slice(0, 80));
  return new ConclaveError('store_bad_key', `the store key ${shown} ${why}`);
}

export function storeClosed(): ConclaveError {
  return new ConclaveError('store_closed', 'the store is closed: open it again to use it');
}

export function storeFailed(cause: unknown): ConclaveError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ConclaveError(
    'store_failed',
    `a write to the store failed (${why}). What is on disk is uncertain, so this store answers ` +
      'nothing more: make room or mend the disk, then close and open it again',
    { cause },
  );
}

export function storeCorrupt(what: string, cause?: unknown): ConclaveError {
  return new ConclaveError(
    'store_corrupt',
    `${what} in the store does not match its checksum: the disk, memory or a program changed it. ` +
      'Run "conclave doctor", then restore a backup, or remove the store and fetch the channel ' +
      'again from its other members',
    { cause },
  );
}
