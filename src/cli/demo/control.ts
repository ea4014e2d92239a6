/** Calls to a node that is up, as the other commands make them: over its control socket. */

import { ConclaveError } from '../../core/errors.js';
import { callControl, connectControl } from '../control-client.js';
import type { Args } from '../io.js';
import type { Json } from '../output.js';

interface Call {
  readonly args: Args;
  readonly input?: AsyncIterable<unknown>;
  readonly signal: AbortSignal;
  readonly seen?: (result: Json) => void;
}

/** The results. Throws `not_up` when no node is up on `dir`, `node_gone` when it goes away. */
export async function callNode(dir: string, name: string, call: Call): Promise<Json[]> {
  const { args, input, signal, seen } = call;
  const socket = await connectControl(dir);
  if (!socket) throw new ConclaveError('not_up', `no node is up on ${dir}`, { retryable: true });
  const results: Json[] = [];
  await callControl(socket, name, args, {
    emit: async (result) => {
      if (seen) seen(result);
      else results.push(result);
    },
    progress: () => {},
    signal,
    ...(input && { input }),
  });
  return results;
}
