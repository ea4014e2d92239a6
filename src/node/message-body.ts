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
import type { ChannelRecord } from '../core/record.js';
import type { Bodies } from './bodies.js';
import { BODY_OVERHEAD_BYTES } from './channel-cipher.js';
import { checkName, checkText, checkTime } from './input.js';

export interface MessageBody {
  readonly text: string;
  readonly name?: string;
}

/** What is to be encrypted before it becomes a record. */
export interface PlainSubmission extends Submission {
  readonly body: Uint8Array;
}

/** What the body of a message may have, before it is encrypted. */
const PLAIN_BYTES_MAX = RECORD_BODY_BYTES_MAX - BODY_OVERHEAD_BYTES;

export interface MessageInput extends MessageBody {
  /** ms since 1970. */
  readonly time: number;
}

/** Throws `bad_text`, `bad_name`, `bad_time` or `record_too_large`. */
export function messageSubmission(id: Ulid, { text, name, time }: MessageInput): PlainSubmission {
  checkText('a message', text);
  checkTime(time);
  if (name !== undefined) checkName('the name shown with a message', name, NICKNAME_BYTES_MAX);
  const body = pack(name === undefined ? { t: text } : { t: text, n: name });
  if (body.length > PLAIN_BYTES_MAX) {
    throw new ConclaveError(
      'record_too_large',
      `a message takes ${body.length} bytes with its name, and may take ${PLAIN_BYTES_MAX}: split it`,
    );
  }
  return { kind: 'message', id, time, body };
}

/** What is shown of a message: its text, or why there is none. */
export interface MessageShown {
  readonly name?: string;
  readonly text?: string;
  /** It is encrypted, and this node has not the key. */
  readonly sealed?: true;
  /** It came unencrypted, against the rule: it is not shown. */
  readonly plain?: true;
}

/** Nothing of records of other kinds. */
export function messageIn(record: ChannelRecord, bodies: Pick<Bodies, 'open'>): MessageShown {
  if (record.kind !== 'message') return {};
  const opened = bodies.open(record);
  if (opened.is === 'sealed') return { sealed: true };
  if (opened.is === 'plain') return { plain: true };
  return decodeMessageBody(opened.body) ?? { text: '' };
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
