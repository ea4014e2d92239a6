/**
 * The certificate and key that a relay's socket is served with (docs/PROTOCOL.md,
 * section "TLS"). TLS hides from the path who talks to whom; who the relay is
 * follows from its own key, inside, so any certificate will do.
 */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { ConclaveError } from '../core/errors.js';

export interface TlsFiles {
  /** PEM: the relay's certificate, and those above it. */
  readonly certFile: string;
  /** PEM, without a passphrase. */
  readonly keyFile: string;
}

export interface TlsCredentials {
  readonly context: SecureContext;
  /** SHA-256 of the relay's certificate, as `SINFO` names it. */
  readonly certificate: Uint8Array;
  readonly validTo: Date;
}

const bad = (message: string, cause?: unknown) => new ConclaveError('bad_tls', message, { cause });

const read = (file: string, what: string): Promise<Buffer> =>
  readFile(file).catch((cause: Error) => {
    throw bad(`the TLS ${what} can't be read: ${cause.message}`, cause);
  });

/** Runs what only throws for one reason, and says that instead. */
function attempt<T>(work: () => T, message: string): T {
  try {
    return work();
  } catch (cause) {
    throw bad(`${message} (${(cause as Error).message})`, cause);
  }
}

/** Throws `bad_tls`, which says which file is wrong and how. */
export async function loadTls({ certFile, keyFile }: TlsFiles): Promise<TlsCredentials> {
  const cert = await read(certFile, 'certificate');
  const key = await read(keyFile, 'key');
  const x509 = attempt(
    () => new X509Certificate(cert),
    `${certFile} holds no certificate: give the file that begins with -----BEGIN CERTIFICATE-----`,
  );
  const secret = attempt(
    () => createPrivateKey(key),
    `${keyFile} holds no private key that can be read: give a PEM file without a passphrase`,
  );
  if (!x509.checkPrivateKey(secret)) {
    throw bad(`the key in ${keyFile} is not the one of the certificate in ${certFile}`);
  }
  // No renegotiation, which a client could ask for again and again.
  const options = { cert, key, minVersion: 'TLSv1.3' } as const;
  const context = attempt(
    () => createSecureContext(options),
    `${certFile} and ${keyFile} can't be used`,
  );
  return {
    context,
    certificate: new Uint8Array(createHash('sha256').update(x509.raw).digest()),
    validTo: new Date(x509.validTo),
  };
}
