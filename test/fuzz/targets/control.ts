/**
 * The control socket: a node's side, over a real socket, with whatever a
 * command may send it; and a command's side, with whatever a node may answer.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setImmediate as breathe } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { callControl } from '../../../src/cli/control-client.js';
import { type ControlServer, serveControl } from '../../../src/cli/control-server.js';
import { INPUT_CREDIT, parseLine } from '../../../src/cli/control-wire.js';
import type { Handler } from '../../../src/cli/io.js';
import { LineSplitter } from '../../../src/cli/lines.js';
import { ConclaveError } from '../../../src/core/errors.js';
import { mutate } from '../../unit/mutate.js';
import { type Dice, inputDice } from '../dice.js';
import { must, mustEqual, refusal, type Target, typed } from '../target.js';

const LINE_MAX = 256;

function* cut(input: Uint8Array): Generator<Buffer> {
  const d = inputDice(input);
  const most = d.pick([1, 5, 60, 4_000]);
  for (let at = 0; at < input.length; ) {
    const size = 1 + d.int(most);
    yield Buffer.from(input.subarray(at, at + size));
    at += size;
  }
}

const lines: Target = {
  name: 'control-lines',
  what: 'lines of JSON, in any chunks',
  share: 30,
  make(d) {
    const some = Array.from({ length: 1 + d.int(4) }, () => someRequest(d));
    const text = some.join(d.oneIn(8) ? '\r\n' : '\n') + (d.oneIn(3) ? '' : '\n');
    const long = d.oneIn(8) ? 'x'.repeat(LINE_MAX - 2 + d.int(5)) : '';
    const bytes = new Uint8Array(Buffer.from(long + text));
    return d.oneIn(3) ? mutate(d, bytes, bytes) : bytes;
  },
  check(input) {
    const expected = readSlowly(Buffer.from(input));
    const splitter = new LineSplitter(LINE_MAX);
    const found: string[] = [];
    let tooLong = false;
    for (const chunk of cut(input)) {
      const pushed = typed(() => {
        for (const line of splitter.push(chunk)) found.push(line);
      }, ['line_too_long']);
      if (pushed) continue;
      tooLong = true;
      break;
    }
    mustEqual({ found, tooLong }, expected, 'lines were cut in another way');
    return found.filter(isRequest).length > 0;
  },
};

/** Lines up to the first that is too long, the last one too if it is that. */
function readSlowly(input: Buffer): { found: string[]; tooLong: boolean } {
  const found: string[] = [];
  for (let at = 0; ; ) {
    const end = input.indexOf(0x0a, at);
    const line = input.subarray(at, end === -1 ? undefined : end);
    if (line.length > LINE_MAX) return { found, tooLong: true };
    if (end === -1) return { found, tooLong: false };
    found.push(line.subarray(0, line.at(-1) === 0x0d ? -1 : undefined).toString('utf8'));
    at = end + 1;
  }
}

function isRequest(line: string): boolean {
  const found = typed(() => parseLine(line), ['bad_request']);
  let expected = false;
  try {
    const value: unknown = JSON.parse(line);
    expected = Object(value) === value && !Array.isArray(value);
  } catch {
    // No JSON: refused.
  }
  must(
    (found !== undefined) === expected,
    `the line ${JSON.stringify(line)} is ${found ? 'taken' : 'refused'}`,
  );
  return expected;
}

const CALLS = ['echo', 'count', 'fail', 'none', '__proto__', 'toString'];
const VALUES = [
  '1',
  '"a"',
  'null',
  '{}',
  '[]',
  'true',
  '{"toString":0,"valueOf":0}',
  '1e400',
  '"\\ud800"',
];
const KEYS = ['call', 'args', 'in', 'end', '__proto__', 'toString', 'error', 'out'];

function someRequest(d: Dice): string {
  switch (d.int(6)) {
    case 0:
      return `{"call":"${d.pick(CALLS)}","args":${d.pick(VALUES)}}`;
    case 1:
      return `{"call":"${d.pick(CALLS)}"}`;
    case 2:
      return `{"in":${d.pick(VALUES)}}`;
    case 3:
      return `{"end":${d.oneIn(4) ? d.pick(VALUES) : 'true'}}`;
    case 4:
      return `{${Array.from({ length: d.int(4) }, () => `"${d.pick(KEYS)}":${d.pick(VALUES)}`).join()}}`;
    default:
      return d.oneIn(2) ? d.pick(VALUES) : '['.repeat(d.int(200));
  }
}

const handlers: Record<string, Handler> = {
  async echo(_node, args, io) {
    await io.emit({ args: `${JSON.stringify(args)}` });
  },
  async count(_node, _args, io) {
    let items = 0;
    for await (const _ of io.input()) items += 1;
    await io.emit({ items });
  },
  async fail() {
    throw new ConclaveError('bad_text', 'no');
  },
};

interface Served {
  readonly server: ControlServer;
  readonly path: string;
}
let served: Promise<Served> | undefined;

/** One node's socket, in a directory that goes with the process. */
async function serve(): Promise<Served> {
  const dir = mkdtempSync(join(tmpdir(), 'conclave-fuzz-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  // A worker thread can't set the process's mask; the directory is private anyway.
  if (!isMainThread) process.umask = () => 0o022;
  const nothing = (): void => {};
  const options = { dir, node: {}, handlers, log: { warn: nothing, error: nothing } };
  const server = await serveControl(options as unknown as Parameters<typeof serveControl>[0]);
  return { server, path: join(dir, 'control.sock') };
}

export async function closeControl(): Promise<void> {
  const found = await served;
  served = undefined;
  await found?.server.close();
}

type Course = 'waits' | 'ends';

/** Whether the node has anything to say of these lines: a call, or that one is out of place. */
function courseOf(lines: readonly string[]): Course {
  let [inputs, isEnded] = [0, false];
  for (const line of lines) {
    if (!isRequest(line)) return 'ends';
    const message = JSON.parse(line);
    if ('in' in message) {
      inputs += 1;
      if (isEnded || inputs > INPUT_CREDIT) return 'ends';
    } else if (message.end === true) isEnded = true;
    else return 'ends';
  }
  return 'waits';
}

/** What the node answers to these bytes until it closes the connection, or has nothing to say of them. */
function answerTo(path: string, input: Buffer): Promise<string> {
  const whole =
    input.at(-1) === 0x0a || input.length === 0 ? input : Buffer.concat([input, NEWLINE]);
  const course = courseOf(whole.toString('utf8').split('\n').slice(0, -1).map(withoutReturn));
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path, () => {
      for (const chunk of cut(whole)) socket.write(chunk);
      if (course === 'waits') socket.end();
      else socket.write(END);
    });
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') resolve(answer);
      else reject(error);
    });
    socket.on('close', () => resolve(answer));
  });
}

const NEWLINE = Buffer.from('\n');
const END = '{"end":true}\n';
const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);

const ANSWER_CODES = new Set([
  ...['bad_request', 'bad_text', 'line_too_long', 'unknown_command', 'aborted', 'closed'],
]);

const server: Target = {
  name: 'control-server',
  what: "the node's side of the control socket, over a real socket",
  share: 3,
  make(d) {
    if (d.oneIn(2)) {
      const items = Array.from({ length: d.int(4) }, () => `{"in":${d.pick(VALUES)}}\n`).join('');
      return new Uint8Array(Buffer.from(`{"call":"${d.pick(CALLS)}","args":{}}\n${items}`));
    }
    const requests = Array.from({ length: d.int(5) }, () => someRequest(d));
    if (d.oneIn(6))
      requests.push(...Array.from({ length: INPUT_CREDIT + d.int(3) }, () => '{"in":1}'));
    const call = d.oneIn(3) ? '' : `{"call":"${d.pick(CALLS)}","args":{}}\n`;
    const bytes = new Uint8Array(Buffer.from(`${call}${requests.join('\n')}\n`));
    return d.oneIn(4) ? mutate(d, bytes, bytes) : bytes;
  },
  async check(input) {
    served ??= serve();
    const { path } = await served;
    const answer = await answerTo(path, Buffer.from(input));
    const replies = answer
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    for (const reply of replies) checkReply(reply);
    const ends = replies.filter((reply) => reply.done !== undefined || reply.error !== undefined);
    must(
      ends.length <= 1 && (ends.length === 0 || replies.at(-1) === ends[0]),
      `answers behind the end: ${answer}`,
    );
    return ends[0]?.done === true;
  },
};

function checkReply(reply: { error?: { code?: unknown } }): void {
  const { code } = reply.error ?? {};
  must(
    reply.error === undefined || ANSWER_CODES.has(String(code)),
    `the node answers ${JSON.stringify(reply)}`,
  );
}

const REPLIES = [
  ...['{"done":true}', '{"error":{"code":"x","message":"y","retryable":true}}', '{"error":null}'],
  ...['{"out":{"a":1}}', '{"progress":{"done":1}}', '{"more":32}', '{"more":-1}', '{"more":1e999}'],
];
const FIELDS = ['code', 'message', 'retryable', '__proto__', 'toString'];

function someReply(d: Dice): string {
  if (d.oneIn(3)) return d.pick(REPLIES.slice(4));
  if (d.oneIn(3)) return d.pick(REPLIES);
  if (d.oneIn(2)) return someRequest(d);
  const fields = Array.from(
    { length: 1 + d.int(3) },
    () => `"${d.pick(FIELDS)}":${d.pick(VALUES)}`,
  );
  return `{"error":{${fields.join()}}}`;
}

async function* someInput(): AsyncGenerator<unknown> {
  for (let i = 0; i < 3; i++) yield i;
}

const client: Target = {
  name: 'control-client',
  what: "a command's side of the control socket: any answer of a node",
  share: 6,
  make(d) {
    const bytes = new Uint8Array(
      Buffer.from(`${Array.from({ length: 1 + d.int(4) }, () => someReply(d)).join('\n')}\n`),
    );
    return d.oneIn(4) ? mutate(d, bytes, bytes) : bytes;
  },
  async check(input) {
    const chunks = [...cut(input)];
    const socket = new Duplex({
      read() {
        this.push(chunks.shift() ?? null);
      },
      write: (_chunk, _encoding, done) => done(),
    });
    const io = {
      emit: () => breathe(),
      progress: () => {},
      signal: new AbortController().signal,
      input: someInput(),
    };
    try {
      await callControl(socket as Socket, 'echo', {}, io as Parameters<typeof callControl>[3]);
      return true;
    } catch (error) {
      must(error instanceof ConclaveError, `a command ends with ${error}`);
      refusal(error, [error.code]);
      must(
        typeof error.code === 'string' && typeof error.message === 'string',
        'an error without a code',
      );
      return false;
    }
  },
};

export const CONTROL_TARGETS: readonly Target[] = [lines, server, client];
