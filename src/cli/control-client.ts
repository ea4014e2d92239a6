/**
 * A command's side of the control socket of `conclave up`: one connection a
 * call. A socket that nobody listens on counts as no socket.
 */

import { connect, type Socket } from 'node:net';
import { ConclaveError } from '../core/errors.js';
import { findSocket } from './control-path.js';
import { fromWireError, INPUT_CREDIT, parseLine, REPLY_LINE_BYTES_MAX } from './control-wire.js';
import { aborted } from './errors.js';
import type { Args, CallIo } from './io.js';
import { LineSplitter } from './lines.js';
import type { Json } from './output.js';
import type { Progress } from './progress.js';
import { Writer } from './writer.js';

const NOBODY_LISTENS = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR']);

/** A connection to the node that is up on `dir`, or undefined when none is. */
export async function connectControl(dir: string): Promise<Socket | undefined> {
  const path = await findSocket(dir);
  if (path === undefined) return undefined;
  const socket = connect(path);
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    // It stays, so that a connection lost before its use is no uncaught error.
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (NOBODY_LISTENS.has(cause.code ?? '')) resolve(undefined);
      else {
        const message = `the node that is up on ${dir} can't be reached (${cause.code}): is it another user's?`;
        reject(new ConclaveError('control_failed', message, { retryable: true, cause }));
      }
    });
  });
}

/** Runs `name` in the node; resolves when it is done, rejects with its error. Uses up the socket. */
export async function callControl(
  socket: Socket,
  name: string,
  args: Args,
  io: CallIo,
): Promise<void> {
  const destroy = (): void => void socket.destroy();
  const writer = new Writer(socket);
  io.signal.addEventListener('abort', destroy);
  try {
    const input = new InputPump(writer, io.input);
    await writer.write(`${JSON.stringify({ call: name, args })}\n`).catch((error) => {
      throw lost(error);
    });
    input.start();
    await readReplies(socket, input, io);
    if (input.failure) throw input.failure.error;
  } catch (error) {
    throw io.signal.aborted ? aborted(io.signal) : asLost(error);
  } finally {
    io.signal.removeEventListener('abort', destroy);
    socket.destroy();
  }
}

async function readReplies(socket: Socket, input: InputPump, io: CallIo): Promise<void> {
  const lines = new LineSplitter(REPLY_LINE_BYTES_MAX);
  for await (const chunk of socket) {
    for (const line of lines.push(chunk)) {
      const reply = parseLine(line);
      if ('out' in reply) await io.emit(reply.out as Json);
      else if ('progress' in reply) io.progress(reply.progress as Progress);
      else if (typeof reply.more === 'number') input.grant(reply.more);
      else if (reply.done === true) return;
      else throw fromWireError(reply.error);
    }
  }
  throw lost();
}

const lost = (cause?: unknown): ConclaveError =>
  new ConclaveError(
    'node_gone',
    'the node that was up on this directory went away before the command was done; what it took in is kept. Run the command again',
    { retryable: true, cause },
  );

function asLost(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNRESET' || code === 'EPIPE' ? lost(error) : error;
}

/** Sends the input, as fast as the node grants credit. */
class InputPump {
  readonly #writer: Writer;
  readonly #input: AsyncIterable<unknown> | undefined;
  #credit = INPUT_CREDIT;
  #wake: () => void = () => {};
  /** Why the input could not be read to its end; what came before it was sent. */
  failure: { readonly error: unknown } | undefined;

  constructor(writer: Writer, input: AsyncIterable<unknown> | undefined) {
    this.#writer = writer;
    this.#input = input;
  }

  grant(more: number): void {
    this.#credit += more;
    this.#wake();
  }

  start(): void {
    if (!this.#input) return;
    // A write that fails is seen by the reader of the replies.
    this.#send(this.#input).catch(() => {});
  }

  async #send(input: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const item of input) {
        await this.#hasCredit();
        this.#credit--;
        await this.#writer.write(`${JSON.stringify({ in: item })}\n`);
      }
    } catch (error) {
      this.failure = { error };
    }
    await this.#writer.write('{"end":true}\n');
  }

  async #hasCredit(): Promise<void> {
    while (this.#credit === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
