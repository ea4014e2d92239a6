/** What comes off the wire: frames in any chunks, payloads, and every command. */

import { isDeepStrictEqual } from 'node:util';
import {
  COMMANDS,
  type CommandName,
  decodeCommand,
  encodePayload,
} from '../../../src/core/commands.js';
import { encodeFrame, FrameParser } from '../../../src/core/frame.js';
import { pack, unpack } from '../../../src/core/msgpack.js';
import { anyValue, mutate, mutateValue } from '../../unit/mutate.js';
import { type Dice, inputDice } from '../dice.js';
import type { Type } from '../documented-schema.js';
import { fits, someValue } from '../documented-values.js';
import { readPayload, writeValue } from '../msgpack-twin.js';
import { bytesHeld, must, mustBeBounded, refusal, same, type Target, typed } from '../target.js';

const FRAME_LIMIT = 2_048;
const HEADER_BYTES = 16 + 1 + 4 + 1 + 128 + 1;
const NO_BYTES = new Uint8Array(0);
const concat = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

interface Parsed {
  readonly frames: Uint8Array;
  readonly count: number;
  readonly error: string;
}

/** What section "Frames" says of a stream, read as one text. */
function readSlowly(stream: Uint8Array): Parsed {
  const text = Buffer.from(stream).toString('latin1');
  let at = 0;
  let count = 0;
  const done = (error = ''): Parsed => ({ frames: stream.subarray(0, at), count, error });
  for (;;) {
    const rest = text.slice(at, at + HEADER_BYTES);
    const name = /^[A-Z_]{0,16}/.exec(rest)![0];
    const afterName = rest.slice(name.length);
    if (afterName === '') return done();
    if (name === '' || afterName[0] !== '\n') return done('bad_frame');
    const digits = /^[1-9]?[0-9]*/.exec(afterName.slice(1))![0];
    if (afterName[1] === '0') return done('bad_frame');
    if (Number(digits) > FRAME_LIMIT) return done('frame_too_large');
    const afterDigits = afterName.slice(1 + digits.length);
    if (afterDigits === '') return done();
    if (digits === '' || afterDigits[0] !== '\n') return done('bad_frame');
    const sig = /^[0-9a-f]{0,128}/.exec(afterDigits.slice(1))![0];
    const afterSig = afterDigits.slice(1 + sig.length);
    if (afterSig === '') return done();
    if (sig.length < 128 || afterSig[0] !== '\n') return done('bad_frame');
    const end = at + name.length + 1 + digits.length + 1 + 128 + 1 + Number(digits);
    if (end > text.length) return done();
    at = end;
    count += 1;
  }
}

function readInChunks(stream: Uint8Array, chunks: Iterable<Uint8Array>): Parsed {
  const parser = new FrameParser({ payloadBytesMax: FRAME_LIMIT });
  const frames: Uint8Array[] = [];
  let fed = 0;
  for (const chunk of chunks) {
    fed += chunk.length;
    try {
      for (const f of parser.push(chunk)) frames.push(encodeFrame(f.name, f.payload, f.sig));
    } catch (error) {
      refusal(error, ['bad_frame', 'frame_too_large']);
      break;
    }
    const held = parser.bufferedBytes;
    must(held <= FRAME_LIMIT && held <= 2 * fed + 1_024, `${held} bytes are held of ${fed}`);
  }
  must(fed === stream.length || parser.error, 'the rest of the stream was never looked at');
  return { frames: concat(...frames), count: frames.length, error: parser.error?.code ?? '' };
}

function* cut(d: Dice, bytes: Uint8Array): Generator<Uint8Array> {
  const most = d.pick([1, 3, 40, 700]);
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + d.int(most);
    yield bytes.slice(at, at + size);
    at += size;
    if (d.oneIn(20)) yield NO_BYTES;
  }
}

const NAMES = ['INFO', 'CH_MSG', 'A', '_', 'A'.repeat(16)];
const HEX = Buffer.from('0123456789abcdef').toString();
const BAD_NAMES = ['', 'a', 'A'.repeat(17), 'A B', 'Á', 'INFO\r', '\n'];
const BAD_LENGTHS = [
  '',
  '0',
  '01',
  '+1',
  '-1',
  ' 1',
  '1e3',
  '2048',
  '2049',
  '99999999999999999999',
  '1.0',
];

function someFrame(d: Dice): Uint8Array {
  const payload = d.bytes(d.oneIn(20) ? FRAME_LIMIT + d.int(3) - 1 : 1 + d.int(60));
  const name = d.oneIn(20) ? d.pick(BAD_NAMES) : d.pick(NAMES);
  const length = d.oneIn(20) ? d.pick(BAD_LENGTHS) : `${payload.length}`;
  const chars = d.oneIn(20) ? 127 + d.int(3) : 128;
  let sig = Array.from({ length: chars }, () => HEX[d.int(16)]).join('');
  if (d.oneIn(30)) sig = sig.toUpperCase();
  return concat(Buffer.from(`${name}\n${length}\n${sig}\n`, 'latin1'), payload);
}

const frame: Target = {
  name: 'frame',
  what: 'streams of frames, in any chunks',
  share: 40,
  make(d, seen) {
    if (d.oneIn(20)) return d.bytes(d.int(400));
    const some = (): Uint8Array => (seen.length > 0 && d.oneIn(3) ? d.pick(seen) : someFrame(d));
    const stream = concat(...Array.from({ length: 1 + d.int(3) }, some));
    return d.oneIn(3) ? stream : mutate(d, stream, some());
  },
  check(input) {
    const expected = readSlowly(input);
    for (const chunks of [[input, NO_BYTES], cut(inputDice(input), input)]) {
      const found = readInChunks(input, chunks);
      must(
        found.error === expected.error,
        `${found.error || 'nothing'} for ${expected.error || 'nothing'}`,
      );
      must(
        found.count === expected.count && same(found.frames, expected.frames),
        'other frames than the stream has',
      );
    }
    return expected.count > 0;
  },
};

/** What the product reads must be what the specification says, value for value. */
function readPayloadTwice(payload: Uint8Array): object | undefined {
  const read = typed(() => unpack(payload), ['bad_payload']);
  const expected = readPayload(payload);
  must(read || !expected, 'a payload was refused that the specification allows');
  if (!read) return undefined;
  must(expected, 'a payload was accepted that the specification forbids');
  must(
    isDeepStrictEqual(plain(read.value), plain(expected)),
    'a payload was read as another value',
  );
  mustBeBounded(read.value, payload, 40);
  return read.value;
}

/** Without the difference between a number and a bigint of the same value, which readers of msgpack choose. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return { int: `${value}` };
  if (typeof value === 'number' && Number.isInteger(value)) {
    return { int: Object.is(value, -0) ? '-0' : `${BigInt(value)}` };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (typeof value !== 'object' || value === null) return value;
  return new Map(
    Object.entries(value)
      .map(([key, item]) => [key, plain(item)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const someMap = (d: Dice): object =>
  Object.fromEntries(Array.from({ length: d.int(6) }, (_, i) => [`k${i}`, anyValue(d)]));

const payload: Target = {
  name: 'payload',
  what: 'payloads as msgpack',
  share: 90,
  make(d, seen) {
    if (seen.length > 0 && d.oneIn(3)) return mutate(d, d.pick(seen), d.pick(seen));
    const bytes = writeValue(d, someMap(d), { oneIn: d.pick([0, 8, 20]) });
    return d.oneIn(4) ? mutate(d, bytes, bytes) : bytes;
  },
  check: (input) => readPayloadTwice(input) !== undefined,
};

const COMMAND_NAMES = Object.keys(COMMANDS) as CommandName[];

/** The first byte of an input says which command it is. */
export const commandInput = (name: string, bytes: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(COMMAND_NAMES.indexOf(name as CommandName)), bytes);

export const commandOf = (input: Uint8Array): CommandName =>
  COMMAND_NAMES[(input[0] ?? 0) % COMMAND_NAMES.length]!;

/** An item of a list of alike ones may take so much more than its frame. */
const ALIKE_BYTES = 648;
const HELD_PER_BYTE = 40;

const alikeItems = (value: unknown): number => {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0;
  return Object.entries(value).reduce((sum, [key, item]) => {
    const isAlike = (key === 'records' || key === 'proofs') && Array.isArray(item);
    return sum + (isAlike ? item.length : alikeItems(item));
  }, 0);
};

export function commandTarget(schemas: { readonly [name: string]: Type }): Target {
  return {
    name: 'command',
    what: 'payloads of every command, against the schemas that docs/PROTOCOL.md has',
    share: 160,
    make(d, seen) {
      if (seen.length > 0 && d.oneIn(3)) return damagedCommand(d, seen);
      const name = d.pick(COMMAND_NAMES);
      let value = someValue(d, schemas[name]!);
      if (d.oneIn(4)) value = mutateValue(d, value);
      return commandInput(name, writeValue(d, value, { oneIn: d.oneIn(4) ? 20 : 0 }));
    },
    check(input) {
      const name = commandOf(input);
      const value = readPayloadTwice(input.subarray(1));
      if (value === undefined) return false;
      const decoded = typed(() => decodeCommand(name, value), ['bad_payload']);
      const isDocumented = fits(schemas[name]!, value);
      must(decoded || !isDocumented, `a ${name} was refused that the document allows`);
      if (!decoded) return false;
      must(isDocumented, `a ${name} was accepted that the document forbids`);
      const held = bytesHeld(decoded.value);
      const most = HELD_PER_BYTE * input.length + ALIKE_BYTES * alikeItems(decoded.value) + 2_048;
      must(held <= most, `${input.length} bytes of a ${name} take ${held}`);
      const sent = pack(encodePayload(name, decoded.value.payload));
      const again = typed(() => decodeCommand(name, unpack(sent)), []);
      must(
        again && isDeepStrictEqual(again.value, decoded.value),
        `a ${name} changed on its way through`,
      );
      return true;
    },
  };
}

/** Traffic with a field, or bytes, changed; now and then under another command's name. */
function damagedCommand(d: Dice, seen: readonly Uint8Array[]): Uint8Array {
  const good = d.pick(seen);
  const name = d.oneIn(20) ? d.pick(COMMAND_NAMES) : commandOf(good);
  const bytes = good.subarray(1);
  if (d.oneIn(3)) return commandInput(name, mutate(d, bytes, d.pick(seen).subarray(1)));
  const value = mutateValue(d, unpack(bytes));
  return commandInput(name, writeValue(d, value, { oneIn: 0 }));
}

export const WIRE_TARGETS: readonly Target[] = [frame, payload];
