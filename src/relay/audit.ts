/**
 * What a relay's operator can look up later (docs/PROTOCOL.md, section "Relay
 * audit"): who connected from where, who was let in or sent away, which limit
 * was hit, which channel was made known, how each connection ended. Ids of users
 * and channels are in it; payloads, names, tokens and secret keys never are.
 * Floods can't fill the disk: lines over the limit are counted, not written.
 */

import { createWriteStream, type WriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { ConclaveError } from '../core/errors.js';
import type { ChannelId, UserId } from '../core/ids.js';
import type { Now, PeerId } from './effects.js';
import { type RelayLimits, rateOf } from './limits.js';
import type { TokenBucket } from './token-bucket.js';

/** Whose connection it is. */
interface OfConnection {
  readonly connection: PeerId;
  /** As the network gives it. */
  readonly address: string;
  readonly user?: UserId;
}

export type Noted =
  | { readonly event: 'connect' | 'auth' }
  /** Proved the token and is on the allow-list now. */
  | { readonly event: 'registered'; readonly user: UserId }
  /** Sent away before it was let in. `limit` is there when it was one. */
  | { readonly event: 'refused'; readonly code: string; readonly limit?: string }
  /** `RATE` or `ERR` was sent, about the command `about`. */
  | { readonly event: 'limit'; readonly limit: string; readonly about: string }
  | { readonly event: 'channel'; readonly channel: ChannelId }
  /** `reason` is an error's code, `disconnected` (DCNN) or `gone`. */
  | { readonly event: 'closed'; readonly reason: string; readonly limit?: string };

/** Takes one line, with its end. */
export type LineSink = (line: string) => void;

/** Events as JSON lines, within the limit. */
export class Audit {
  readonly #write: LineSink;
  readonly #lines: TokenBucket;
  #skipped = 0;

  constructor(write: LineSink, limits: RelayLimits, now: Now) {
    this.#write = write;
    this.#lines = rateOf(limits, 'audit_lines', now.ms);
  }

  note(event: Noted & OfConnection, now: Now): void {
    // One is kept for the line that says how many were not written.
    if (this.#lines.level(now.ms) < 2) {
      this.#skipped++;
      return;
    }
    if (this.#skipped > 0) {
      this.#line({ event: 'skipped', lines: this.#skipped }, now);
      this.#skipped = 0;
    }
    this.#line(event, now);
  }

  #line(fields: object, now: Now): void {
    this.#lines.draw(1, now.ms);
    this.#write(`${JSON.stringify({ time: new Date(now.wallMs).toISOString(), ...fields })}\n`);
  }
}

const PENDING_BYTES_MAX = 1_048_576;

export interface AuditFile {
  write: LineSink;
  /** From now on at that path again, so that the old file can be moved away. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Appends to `path`, which its owner alone may read. A disk that can't keep up,
 * or fails, costs lines and never memory; `onError` is told. Throws
 * `audit_failed` when it can't be opened.
 */
export async function openAuditFile(
  path: string,
  onError: (error: Error) => void,
): Promise<AuditFile> {
  let stream = await openStream(path, onError);
  const ended = (one: WriteStream): Promise<void> =>
    new Promise((resolve) => {
      if (one.destroyed) resolve();
      else one.once('close', resolve).end();
    });
  return {
    write(line) {
      if (stream.writable && stream.writableLength < PENDING_BYTES_MAX) stream.write(line);
    },
    async reopen() {
      const old = stream;
      stream = await openStream(path, onError);
      await ended(old);
    },
    close: () => ended(stream),
  };
}

async function openStream(path: string, onError: (error: Error) => void): Promise<WriteStream> {
  const file = await open(path, 'a', 0o600).catch((cause: Error) => {
    throw new ConclaveError(
      'audit_failed',
      `the audit log ${path} can't be written: ${cause.message}`,
      { cause },
    );
  });
  return createWriteStream(path, { fd: file }).on('error', onError);
}
