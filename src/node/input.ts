/** Checks of what an application passes in, each with a typed error that says what is wrong with what. */

import { utf8 } from '../core/bytes.js';
import { ConclaveError } from '../core/errors.js';

/** Well-formed, so that what is stored is what was passed. Throws `bad_text`. */
export function checkText(what: string, text: string): void {
  if (typeof text === 'string' && text.isWellFormed()) return;
  throw new ConclaveError('bad_text', `${what} must be a text without lone surrogates`);
}

/** Throws `bad_name`. */
export function checkName(what: string, name: string, bytesMax: number): void {
  if (typeof name === 'string' && name.isWellFormed() && utf8(name).length <= bytesMax) return;
  throw new ConclaveError('bad_name', `${what} must be a text of at most ${bytesMax} bytes`);
}

/** Throws `bad_time`. */
export function checkTime(time: number): void {
  if (Number.isSafeInteger(time) && time >= 0) return;
  throw new ConclaveError('bad_time', `${time} is no time in whole milliseconds since 1970`);
}

/** Throws an error with `code` unless `value` is a whole number in the range. */
export function checkWhole(
  code: string,
  what: string,
  value: number,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
  throw new ConclaveError(code, `${what} must be a whole number ${range}, got ${value}`);
}
