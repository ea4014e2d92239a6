/**
 * An operator's files of who may use a relay (docs/PROTOCOL.md, section
 * "Registration"): the allow-list, a user's id a line, and the registration
 * token. Empty lines and what follows a `#` mean nothing.
 */

import { appendFile, readFile } from 'node:fs/promises';
import { ConclaveError } from '../core/errors.js';
import { type UserId, userId } from '../core/ids.js';

/** A shorter one could be found by trying. */
export const TOKEN_BYTES_MIN = 16;
export const TOKEN_BYTES_MAX = 256;

const read = (file: string, what: string): Promise<string> =>
  readFile(file, 'utf8').catch((cause: Error) => {
    throw new ConclaveError('bad_access', `the ${what} can't be read: ${cause.message}`, { cause });
  });

const withoutComment = (line: string): string => line.replace(/#.*/, '').trim();

/** Throws `bad_access`, which says which line is wrong. */
export async function readAllowed(file: string): Promise<UserId[]> {
  const lines = (await read(file, 'allow-list')).split('\n').map(withoutComment);
  return lines.flatMap((line, i) => {
    if (line === '') return [];
    try {
      return [userId(line)];
    } catch (cause) {
      throw new ConclaveError(
        'bad_access',
        `line ${i + 1} of ${file} is no user: give the id of 64 hex digits that "conclave init" prints`,
        { cause },
      );
    }
  });
}

/** On a line of its own, whatever the file ends with. */
export const appendAllowed = (file: string, user: UserId): Promise<void> =>
  appendFile(file, `\n${user}\n`, { mode: 0o600 });

/** Throws `bad_access`. */
export async function readToken(file: string): Promise<Uint8Array> {
  const token = new TextEncoder().encode((await read(file, 'registration token')).trim());
  if (token.length >= TOKEN_BYTES_MIN && token.length <= TOKEN_BYTES_MAX) return token;
  throw new ConclaveError(
    'bad_access',
    `the token in ${file} has ${token.length} bytes: give ${TOKEN_BYTES_MIN} to ${TOKEN_BYTES_MAX}, as "openssl rand -hex 16" prints them`,
  );
}
