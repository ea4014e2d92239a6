/**
 * What both ends of a link decide alike (docs/PROTOCOL.md, section "Links"):
 * the errors for frames that come at the wrong time, and the check of the
 * version, which comes before the rest of the schema because another version
 * may have another one.
 */

import { ConclaveError } from './errors.js';
import { PROTOCOL_VERSION } from './limits.js';
import { integer, object } from './schema.js';

export type RandomBytes = (bytes: number) => Uint8Array;

export const unknown = (name: string): ConclaveError =>
  new ConclaveError('unknown_command', `there is no command "${name}" in this version`);

export const unexpected = (name: string): ConclaveError =>
  new ConclaveError('unexpected_command', `${name} can't be sent by this end, or not now`);

const versioned = object({ protocol_version: integer() });

/** Throws `protocol_version`. */
export function checkVersion(payload: unknown, peer: string): void {
  const { protocol_version: version } = versioned.decode(payload, '');
  if (version === PROTOCOL_VERSION) return;
  throw new ConclaveError(
    'protocol_version',
    `${peer} speaks version ${version} of the protocol, this end ${PROTOCOL_VERSION}: use versions of conclave that agree`,
  );
}

/** The typed error that a frame caused; anything else is a bug and goes on up. */
export function frameError(cause: unknown): ConclaveError {
  if (cause instanceof ConclaveError) return cause;
  throw cause;
}
