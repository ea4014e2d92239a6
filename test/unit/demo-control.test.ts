/** Calls from the demo to a node: what it sees when the node is not there, or goes away. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { callControl, connectControl } from '../../src/cli/control-client.js';
import { claimSocket } from '../../src/cli/control-path.js';
import { callNode } from '../../src/cli/demo/control.js';
import { isAway } from '../../src/cli/demo/reader.js';

const { signal } = new AbortController();

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'conclave-control-'));
});

afterEach(() => rm(dir, { recursive: true }));

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error) => error,
  );

it('a node that is not up is away', async () => {
  const error = await failure(callNode(dir, 'status', { args: {}, signal }));
  expect(error).toMatchObject({ code: 'not_up', retryable: true });
  expect(isAway(error)).toBe(true);
});

it('a node that dies after the connection and before the call is away', async () => {
  const server = createServer((socket) => socket.destroy());
  server.listen(await claimSocket(dir));
  await once(server, 'listening');
  const socket = await connectControl(dir);
  socket!.resume();
  await once(socket!, 'close');
  const io = { emit: async () => {}, progress: () => {}, signal };
  const error = await failure(callControl(socket!, 'status', {}, io));
  expect(error).toMatchObject({ code: 'node_gone', retryable: true });
  expect(isAway(error)).toBe(true);
  server.close();
});

it('a node that dies during the call is away', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.destroy());
  });
  server.listen(await claimSocket(dir));
  await once(server, 'listening');
  const error = await failure(callNode(dir, 'status', { args: {}, signal }));
  expect(error).toMatchObject({ code: 'node_gone', retryable: true });
  server.close();
});
