/**
 * What a command and `conclave up` say to each other over the control socket:
 * JSON, an object a line. The command sends one `call`, then its input if it
 * has any; the node answers with results and ends with `done` or `error`.
 *
 *     command → node   {"call", "args"}   {"in": item} …   {"end": true}
 *     node → command   {"out": result}   {"progress"}   {"more": n}   {"done": true} | {"error"}
 *
 * Input flows on credit: `INPUT_CREDIT` items at first, and as many more as the
 * node says it has used up. So the node always reads its socket, sees at once
 * when the command is gone, and holds no more than the credit.
 */

import { ConclaveError } from '../core/errors.js';

/** A line to the node: room for the longest message as JSON, all escapes. */
export const CALL_LINE_BYTES_MAX = 524_288;
/** A line from the node: room for the longest status or report. */
export const REPLY_LINE_BYTES_MAX = 8_388_608;
export const INPUT_CREDIT = 64;
export const CONNECTIONS_MAX = 512;

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

export const toWireError = ({ code, message, retryable }: ConclaveError): WireError => ({
  code,
  message,
  retryable,
});

export function fromWireError(value: unknown): ConclaveError {
  const { code, message, retryable } = (value ?? {}) as Partial<Record<string, unknown>>;
  return new ConclaveError(
    typeof code === 'string' ? code : 'internal',
    typeof message === 'string' ? message : 'no reason given',
    { retryable: retryable === true },
  );
}

/** Throws `bad_request` for anything but a JSON object. */
export function parseLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Reported below, like every other line that is no object.
  }
  throw new ConclaveError('bad_request', 'a line on the control socket is not a JSON object');
}
