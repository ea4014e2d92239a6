/**
 * A store that can't go on, or is gone: what to do about it, by the commands to type. The
 * identity stays, so the other members take the node for who it was, and for one
 * that lost its memory (docs/PROTOCOL.md, "Lost memory").
 */

import { ConclaveError } from '../core/errors.js';

const DAMAGED = new Set(['store_damaged', 'store_corrupt', 'store_rolled_back', 'verify_failed']);

/** Does `work` on the store in `dir`; its errors about the store say what to type. */
export async function advising<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isMissing = error instanceof ConclaveError && error.code === 'store_missing';
    if (!(error instanceof ConclaveError) || !(isMissing || DAMAGED.has(error.code))) throw error;
    const { code, message, retryable } = error;
    if (message.includes(ANEW)) throw error;
    const steps = [...(isMissing ? [] : [`rm -r ${dir}/store`]), ...stepsIn(dir)];
    const mend = isMissing ? '' : `\nFirst try "conclave doctor --dir ${dir} --repair".`;
    throw new ConclaveError(code, `${message}${mend}\n${ANEW}\n  ${steps.join('\n  ')}`, {
      retryable,
      cause: error,
    });
  }
}

const ANEW = 'To begin anew with an empty store (what nobody else has is lost then):';

const stepsIn = (dir: string): string[] => [
  `conclave init --dir ${dir}           which keeps the identity`,
  `conclave join --dir ${dir} INVITE    for each channel; a member makes INVITE with "conclave invite"`,
];
