/**
 * The body of a `message` record, which only members read: a msgpack map
 * `{t: text, n?: name to show}`. A body that is none of ours is shown as a
 * message without text, never refused: its author signed it.
 */

import { pack, unpack } from '../core/msgpack.js';

export interface MessageBody {
  readonly text: string;
  readonly name?: string;
}

export const encodeMessageBody = (m: MessageBody): Uint8Array =>
  pack(m.name === undefined ? { t: m.text } : { t: m.text, n: m.name });

export function decodeMessageBody(body: Uint8Array): MessageBody | undefined {
  try {
    const { t, n } = unpack(body);
    if (typeof t !== 'string') return undefined;
    return typeof n === 'string' ? { text: t, name: n } : { text: t };
  } catch {
    return undefined;
  }
}
