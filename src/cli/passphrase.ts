/**
 * Where a passphrase comes from: a file, or the environment; never an argument,
 * which every process on the machine could read. Of a file the line end at its
 * end does not count. It is taken in NFC, so that the same keys pressed on
 * another system give the same passphrase.
 */

import { readFile } from 'node:fs/promises';
import { ConclaveError } from '../core/errors.js';
import { usageError } from './errors.js';

export const PASSPHRASE_ENV = 'CONCLAVE_PASSPHRASE';
export const NEW_PASSPHRASE_ENV = 'CONCLAVE_NEW_PASSPHRASE';
const PASSPHRASE_BYTES_MAX = 1_024;

/** Reads the passphrase that was given; undefined when none was. */
export type Passphrase = () => Promise<string | undefined>;

export function passphraseFrom(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  variable = PASSPHRASE_ENV,
): Passphrase {
  return async () => {
    if (file !== undefined) return checked(await firstLine(file), file);
    const value = env[variable];
    return value === undefined ? undefined : checked(value, variable);
  };
}

async function firstLine(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new ConclaveError('io', `the passphrase can't be read: ${cause.message}`, { cause });
  });
  return bytes.toString().replace(/\r?\n$/, '');
}

function checked(text: string, where: string): string {
  const passphrase = text.normalize('NFC');
  const bytes = Buffer.byteLength(passphrase);
  if (bytes > 0 && bytes <= PASSPHRASE_BYTES_MAX && !/[\r\n\0\ufffd]/.test(passphrase)) {
    return passphrase;
  }
  throw usageError(
    `${where} holds no passphrase: it must be one line of 1 to ${PASSPHRASE_BYTES_MAX} bytes of UTF-8`,
  );
}
