/**
 * The body of a `message` record, which only members read: a msgpack map
 * `{t: text, n?: name to show}`. A body that is none of ours is shown as a
 * message without text, never refused: its author signed it.
 */

import type { Submission } from '../core/effects.js';
import { ConclaveError } from '../core/errors.js';
import type { Ulid } from '../core/ids.js';
import { NICKNAME_BYTES_MAX, RECORD_BODY_BYTES_MAX } from '../core/limits.js';
import { pack, unpack } from '../core/msgpack.js';
import { checkName, checkText, checkTime } from './input.js';

export interface MessageBody {
  readonly text: string;
  readonly name?: string;
}

export interface MessageInput extends MessageBody {
  /** ms since 1970. */
  readonly time: number;
}

/** Throws `bad_text`, `bad_name`, `bad_time` or `record_too_large`. */
export function messageSubmission(id: Ulid, { text, name, time }: MessageInput): Submission {
  checkText('a message', text);
  checkTime(time);
  if (name !== undefined) checkName('the name shown with a message', name, NICKNAME_BYTES_MAX);
  const body = pack(name === undefined ? { t: text } : { t: text, n: name });
  if (body.length > RECORD_BODY_BYTES_MAX) {
    throw new ConclaveError(
      'record_too_large',
      `a message takes ${body.length} bytes with its name, and may take ${RECORD_BODY_BYTES_MAX}: split it`,
    );
  }
  return { kind: 'message', id, time, body };
}

export function decodeMessageBody(body: Uint8Array): MessageBody | undefined {
  try {
    const { t, n } = unpack(body);
    if (typeof t !== 'string') return undefined;
    return typeof n === 'string' ? { text: t, name: n } : { text: t };
  } catch {
    return undefined;
  }
}
