/**
 * Posting many messages, each at most once over restarts (api.ts,
 * `importFrom`). How far a source was read goes to disk in one batch with the
 * records made of it, so a crash at any moment neither loses nor repeats one.
 *
 *     node/import/<channel>/<digest of the source's name>     index of the next message u64
 */

import { decodeWhole, utf8, Writer } from '../core/bytes.js';
import type { Hash } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, hex32, type Ulid } from '../core/ids.js';
import type { Store, StoreOp } from '../core/store.js';
import type { WaitOptions } from './api.js';
import { type MessageInput, messageSubmission, type PlainSubmission } from './message-body.js';
import { aborted, type Changes } from './wait.js';

const BATCH_MESSAGES = 256;
const BATCH_BYTES = 262_144;
/** Messages skipped between two reports of progress. */
const SKIPPED_PER_REPORT = 1_024;

export interface ImportMessage extends MessageInput {
  readonly index: number;
}

export interface ImportPorts {
  readonly channel: ChannelId;
  readonly store: Store;
  readonly hash: Hash;
  readonly changes: Changes;
  ulid(): Ulid;
  submit(
    submissions: readonly PlainSubmission[],
    also: readonly Required<StoreOp>[],
  ): Promise<void>;
}

export interface ImportOptions extends WaitOptions {
  readonly onProgress?: (done: number) => void;
}

export async function importMessages(
  ports: ImportPorts,
  source: string,
  messages: AsyncIterable<ImportMessage>,
  { signal, onProgress = () => {} }: ImportOptions,
): Promise<{ imported: number; skipped: number }> {
  const key = `node/import/${ports.channel}/${hex32(ports.hash(utf8(source)))}`;
  const stored = await ports.store.get(key);
  let next = stored ? decodeWhole(stored, (r) => r.u64()) : 0;
  const first = next;
  let imported = 0;
  let skipped = 0;
  let batch: PlainSubmission[] = [];
  let bytes = 0;

  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    const value = new Writer(8).u64(next).done();
    await whenRoom(ports, () => ports.submit(batch, [{ key, value }]), signal);
    imported += batch.length;
    batch = [];
    bytes = 0;
    onProgress(imported + skipped);
  };

  for await (const message of messages) {
    if (signal?.aborted) throw aborted(signal);
    const { index } = message;
    if (index < first) {
      skipped += 1;
      if (skipped % SKIPPED_PER_REPORT === 0) onProgress(skipped);
      continue;
    }
    if (!Number.isSafeInteger(index) || index < next) throw badIndex(index, next);
    const submission = messageSubmission(ports.ulid(), message);
    if (bytes + submission.body.length > BATCH_BYTES) await flush();
    next = index + 1;
    batch.push(submission);
    bytes += submission.body.length;
    if (batch.length >= BATCH_MESSAGES) await flush();
  }
  await flush();
  onProgress(imported + skipped);
  return { imported, skipped };
}

/** Tries again whenever the outbox may have room. */
async function whenRoom(
  { changes }: ImportPorts,
  attempt: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    const seen = changes.version;
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConclaveError && error.code === 'outbox_full')) throw error;
      await changes.next(seen, signal);
    }
  }
}

const badIndex = (index: number, next: number): ConclaveError =>
  new ConclaveError(
    'bad_index',
    `the message to import has index ${index}, after ${next - 1}: indexes must be whole numbers and ascend`,
  );
