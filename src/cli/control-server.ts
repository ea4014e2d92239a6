/**
 * `conclave up`'s side of the control socket: runs handlers for commands in
 * other processes. The socket is the owner's alone (mode 0600). A bad line gets
 * an error and the connection is closed; a command that goes away aborts its
 * handler; a command that reads slowly slows its handler and nothing else.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { ConclaveError } from '../core/errors.js';
import type { Node } from '../node/api.js';
import { claimSocket, releaseSocket } from './control-path.js';
import {
  CALL_LINE_BYTES_MAX,
  CONNECTIONS_MAX,
  INPUT_CREDIT,
  parseLine,
  toWireError,
} from './control-wire.js';
import { aborted, asConclaveError } from './errors.js';
import type { Args, Handler, Io } from './io.js';
import { LineSplitter } from './lines.js';
import { Writer } from './writer.js';

/** How long a command is waited for that was told that the node shuts down. */
const GOODBYE_MS = 500;

export interface ControlOptions {
  readonly dir: string;
  readonly node: Node;
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly log: Logger;
  /** Called after each call, as when channels may have been added. */
  readonly afterCall?: () => void;
}

export interface ControlServer {
  /** Ends the calls with `closed`, and removes the socket. */
  close(): Promise<void>;
}

/** The caller has the store of `dir` open, so no live process can own its socket. */
export async function serveControl(options: ControlOptions): Promise<ControlServer> {
  const { dir, log } = options;
  const calls = new Map<Socket, { close(error: ConclaveError): Promise<void> }>();
  const server = createServer((socket) => {
    const call = new Call(socket, options);
    calls.set(socket, call);
    socket.on('close', () => calls.delete(socket));
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on('drop', () => log.warn('too many connections to the control socket'));
  await listen(server, await claimSocket(dir));
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const error = new ConclaveError(
        'closed',
        `the node on ${dir} is shutting down; what it took in is kept and goes out when it is up again`,
        { retryable: true },
      );
      await Promise.all([...calls.values()].map((call) => call.close(error)));
      await closed;
      await releaseSocket(dir);
    },
  };
}

/** `listen` binds before it returns, so the mask covers the socket's creation. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => resolve());
    } finally {
      process.umask(mask);
    }
  });
}

/** One connection: one call. */
class Call {
  readonly #socket: Socket;
  readonly #options: ControlOptions;
  readonly #writer: Writer;
  readonly #abort = new AbortController();
  readonly #lines = new LineSplitter(CALL_LINE_BYTES_MAX);
  readonly #input = new InputQueue((n) => this.#send({ more: n }));
  #running: Promise<void> | undefined;

  constructor(socket: Socket, options: ControlOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#writer = new Writer(socket);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('close', () => this.#stop(new ConclaveError('aborted', 'the command went away')));
  }

  /** Says why, waits until the command has heard it, but not for ever. */
  async close(error: ConclaveError): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    const deadline = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    this.#stop(error);
    if (!this.#running) void this.#finish({ error: toWireError(error) });
    await Promise.all([this.#running, gone]);
    clearTimeout(deadline);
  }

  #stop(error: ConclaveError): void {
    this.#abort.abort(error);
    this.#input.end(error);
  }

  #read(chunk: Buffer): void {
    if (this.#abort.signal.aborted) return;
    try {
      for (const line of this.#lines.push(chunk)) this.#take(parseLine(line));
    } catch (error) {
      const failure = asConclaveError(error);
      this.#options.log.warn({ code: failure.code }, failure.message);
      this.#stop(failure);
      if (!this.#running) void this.#finish({ error: toWireError(failure) });
    }
  }

  #take(message: Readonly<Record<string, unknown>>): void {
    if ('in' in message) this.#input.push(message.in);
    else if (message.end === true) this.#input.end();
    else if (typeof message.call === 'string' && !this.#running) {
      this.#running = this.#run(message.call, message.args);
    } else throw new ConclaveError('bad_request', 'a line on the control socket is out of place');
  }

  async #run(name: string, args: unknown): Promise<void> {
    const { node, handlers, log, afterCall } = this.#options;
    const { signal } = this.#abort;
    const io: Io = {
      emit: (out) => this.#emit(out),
      progress: (progress) => this.#hint({ progress }),
      input: () => this.#input,
      signal,
      up: true,
    };
    try {
      const handler = Object.hasOwn(handlers, name) ? handlers[name]! : unknownCall(name);
      await handler(node, (args ?? {}) as Args, io);
      await this.#finish({ done: true });
    } catch (error) {
      const failure = signal.aborted ? aborted(signal) : asConclaveError(error);
      if (failure.code === 'internal') log.error({ err: error, call: name }, 'a command failed');
      await this.#finish({ error: toWireError(failure) });
    } finally {
      afterCall?.();
    }
  }

  async #emit(out: unknown): Promise<void> {
    await this.#send({ out });
    if (this.#abort.signal.aborted) throw aborted(this.#abort.signal);
  }

  /** For what may be left out when the command does not keep up. */
  #hint(reply: object): void {
    if (this.#socket.writableLength === 0) this.#send(reply).catch(() => {});
  }

  async #send(reply: object): Promise<void> {
    await this.#writer.write(`${JSON.stringify(reply)}\n`);
  }

  async #finish(reply: object): Promise<void> {
    await this.#send(reply).catch(() => {});
    this.#socket.end();
  }
}

const unknownCall = (name: string): never => {
  throw new ConclaveError(
    'unknown_command',
    `the running node does not know "${name.slice(0, 40)}": restart "conclave up" with this version`,
  );
};

/** What the command sent and the handler has not taken yet: never more than the credit. */
class InputQueue implements AsyncIterable<unknown> {
  readonly #grant: (more: number) => Promise<void>;
  #items: unknown[] = [];
  #used = 0;
  #ended: { error?: ConclaveError } | undefined;
  #wake: () => void = () => {};

  constructor(grant: (more: number) => Promise<void>) {
    this.#grant = grant;
  }

  push(item: unknown): void {
    if (this.#ended) throw new ConclaveError('bad_request', 'input after its end');
    if (this.#items.length >= INPUT_CREDIT) {
      throw new ConclaveError('bad_request', 'more input than was asked for');
    }
    this.#items.push(item);
    this.#wake();
  }

  end(error?: ConclaveError): void {
    if (error) this.#items = [];
    if (error || !this.#ended) this.#ended = error ? { error } : {};
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (;;) {
      if (this.#items.length > 0) {
        const item = this.#items.shift();
        this.#used++;
        if (this.#used === INPUT_CREDIT / 2) {
          this.#used = 0;
          await this.#grant(INPUT_CREDIT / 2);
        }
        yield item;
      } else if (this.#ended) {
        if (this.#ended.error) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
