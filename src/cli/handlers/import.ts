/**
 * `import`: posts messages that another program wrote, each at most once over
 * restarts: `source` and the message's `index` say which ones are known.
 */

import { ConclaveError } from '../../core/errors.js';
import type { Channel } from '../../node/api.js';
import { type Handler, type Io, integer, oneOf, optional, text } from '../io.js';
import { saying, theChannel } from './shared.js';

interface ImportMessage {
  readonly index: number;
  readonly text: string;
  readonly name: string;
  readonly time: number;
}

export const importMessages: Handler = async (node, args, io) => {
  const channel = theChannel(node, args);
  const until = oneOf(args, 'until', 'stored', 'committed');
  const total = optional(integer, args, 'total');
  const what = 'messages imported';
  const onProgress = (done: number): void =>
    io.progress({ what, done, ...(total !== undefined && { total }) });
  const options = { signal: io.signal, onProgress };
  const { imported, skipped } = await channel.importFrom(
    text(args, 'source'),
    messages(io),
    options,
  );
  if (until === 'committed') await saying(io, channel, nothingPending(channel, io));
  const { queued } = channel.currentStatus();
  await io.emit({ imported, skipped, queued });
};

async function* messages(io: Io): AsyncGenerator<ImportMessage> {
  for await (const item of io.input()) {
    const { index, text, name, time } = (item ?? {}) as Record<string, unknown>;
    const whole = Number.isSafeInteger(index) && Number.isSafeInteger(time);
    if (!whole || typeof text !== 'string' || typeof name !== 'string') {
      throw new ConclaveError(
        'bad_request',
        'a message to import lacks its index, time, name or text',
      );
    }
    yield { index: index as number, text, name, time: time as number };
  }
}

/** Resolves once no message of this node's own waits to be committed. */
async function nothingPending(channel: Channel, io: Io): Promise<void> {
  for await (const { queued, sent } of channel.status({ signal: io.signal })) {
    if (queued + sent === 0) return;
    io.progress({ what: 'messages not committed yet', done: queued + sent });
  }
}
