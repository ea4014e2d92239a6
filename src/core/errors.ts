/**
 * Typed errors. Every failure that leaves conclave is a `ConclaveError` with a
 * stable `code` that programs may switch on, a `retryable` flag that says
 * whether the same call may succeed later, and a message that says what
 * happened, to what, and what to do. Codes are never renamed.
 */

export interface ErrorOptions {
  /** True when the same call may succeed later without a change by the caller. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

export class ConclaveError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ConclaveError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Throws `ConclaveError('internal', …)`: a bug in conclave itself, never the caller's fault. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ConclaveError('internal', `internal invariant broken: ${message}`);
}
