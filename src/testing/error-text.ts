/** An error of a simulated node as text: what it says, and where, without the paths of this machine. */

import { ConclaveError } from '../core/errors.js';

const FRAMES = 6;

/** The message and the innermost frames of our own code; of an internal error, those of its cause. */
export function errorText(error: unknown): string {
  const cause = error instanceof ConclaveError && error.cause ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const frames = (cause.stack ?? '').split('\n').flatMap((line) => {
    const [, where, place] =
      /^ +at (?:(?:async )?(.*?) )?\(?\S*\/(?:src|dist)\/(.*?)\)?$/.exec(line) ?? [];
    return place === undefined ? [] : [`    at ${where ?? 'the top'} (${place})`];
  });
  return [`${cause.name}: ${cause.message}`, ...frames.slice(0, FRAMES)].join('\n');
}
