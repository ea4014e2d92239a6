/**
 * The frame codec (docs/PROTOCOL.md, section "Frames"): any chunking gives the
 * same frames, the first wrong byte is refused, nothing is held beyond a frame.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../src/core/bytes.js';
import { encodeFrame, type Frame, FrameParser } from '../../src/core/frame.js';

const LIMIT = 4_096;
const SIG = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
const SIG_HEX = Buffer.from(SIG).toString('hex');
const parser = () => new FrameParser({ payloadBytesMax: LIMIT });
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'nothing thrown';
};

const frames = fc.array(
  fc.record<Frame>(
    {
      name: fc.stringMatching(/^[A-Z_]{1,16}$/),
      payload: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      sig: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 8 },
);
const encode = ({ name, payload, sig }: Frame) => encodeFrame(name, payload, sig);

/** Cuts `bytes` into chunks of the given sizes, used round and round. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe('encodeFrame', () => {
  it('writes NAME, LEN, SIG and PAYLOAD', () => {
    const bytes = encodeFrame('CH_MSG', utf8('payload'), SIG);
    expect(fromUtf8(bytes)).toBe(`CH_MSG\n7\n${SIG_HEX}\npayload`);
  });
});

describe('FrameParser', () => {
  it('gives the same frames for any chunking', () => {
    fc.assert(
      fc.property(
        frames,
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
        (list, sizes) => {
          const p = parser();
          const parsed = cut(concat(...list.map(encode)), sizes).flatMap((chunk) => p.push(chunk));
          expect(parsed).toStrictEqual(list);
          expect(p.bufferedBytes).toBe(0);
        },
      ),
    );
  });

  it('takes a stream byte by byte, and empty chunks', () => {
    const bytes = concat(encodeFrame('A', utf8('x'), SIG), encodeFrame('B_', utf8('yz'), SIG));
    const p = parser();
    const names: string[] = [];
    for (const byte of bytes) {
      names.push(
        ...p.push(Uint8Array.of(byte)).map((f) => f.name),
        ...p.push(new Uint8Array(0)).map((f) => f.name),
      );
    }
    expect(names).toStrictEqual(['A', 'B_']);
  });

  it('gives a view of the chunk for a payload that lies whole in it', () => {
    const bytes = encodeFrame('A', utf8('payload'), SIG);
    const [frame] = parser().push(bytes);
    expect(frame!.payload.buffer).toBe(bytes.buffer);
  });

  it('gives plain Uint8Arrays for a Buffer', () => {
    const [frame] = parser().push(Buffer.from(encodeFrame('A', utf8('payload'), SIG)));
    expect(frame!.payload.constructor).toBe(Uint8Array);
  });

  it('accepts a payload of exactly the limit', () => {
    const payload = new Uint8Array(LIMIT);
    expect(parser().push(encodeFrame('A', payload, SIG))).toHaveLength(1);
  });

  it('takes a new limit from the next frame on', () => {
    const p = parser();
    p.feed(
      concat(encodeFrame('A', utf8('x'), SIG), encodeFrame('B', new Uint8Array(LIMIT + 1), SIG)),
    );
    expect(p.next()!.name).toBe('A');
    p.payloadBytesMax = LIMIT + 1;
    expect(p.next()!.name).toBe('B');
    expect(p.next()).toBeUndefined();
  });

  /** Text up to the first wrong byte, that byte, the code. */
  const wrong: [string, string, string, string][] = [
    ['an empty name', '', '\n', 'bad_frame'],
    ['a lowercase name', '', 'a', 'bad_frame'],
    ['a digit in a name', 'CH', '1', 'bad_frame'],
    ['a space before a name', '', ' ', 'bad_frame'],
    ['a name of 17', 'A'.repeat(16), 'A', 'bad_frame'],
    ['a name that ends in \\r\\n', 'INFO', '\r', 'bad_frame'],
    ['an empty length', 'A\n', '\n', 'bad_frame'],
    ['a length of zero', 'A\n', '0', 'bad_frame'],
    ['a leading zero', 'A\n', '0', 'bad_frame'],
    ['a sign', 'A\n', '+', 'bad_frame'],
    ['a negative length', 'A\n', '-', 'bad_frame'],
    ['a hexadecimal length', 'A\n1', 'x', 'bad_frame'],
    ['a fraction', 'A\n1', '.', 'bad_frame'],
    ['an exponent', 'A\n1', 'e', 'bad_frame'],
    ['a length over the limit', 'A\n409', '7', 'frame_too_large'],
    ['a length with one digit too many', 'A\n4096', '0', 'frame_too_large'],
    ['an uppercase signature', `A\n1\n${'0'.repeat(127)}`, 'A', 'bad_frame'],
    ['a signature with a wrong digit first', 'A\n1\n', 'g', 'bad_frame'],
    ['a signature of 127 digits', `A\n1\n${'0'.repeat(127)}`, '\n', 'bad_frame'],
    ['a signature of 129 digits', `A\n1\n${'0'.repeat(128)}`, '0', 'bad_frame'],
  ];

  it.each(wrong)('refuses %s, at its first wrong byte', (_, good, byte, expected) => {
    const p = parser();
    expect(p.push(utf8(good))).toStrictEqual([]);
    expect(code(() => p.push(utf8(byte)))).toBe(expected);
    expect(p.error?.code).toBe(expected);
    expect(code(() => p.next())).toBe(expected);
    expect(code(() => p.push(encodeFrame('A', utf8('x'), SIG)))).toBe(expected);
  });

  it('refuses every byte that is wrong in its place, and only those', () => {
    const good = `B_\n10\n${'7f'.repeat(64)}\n`;
    const allowed = [/[A-Z_]/, /[A-Z_\n]/, /[A-Z_\n]/, /[1-9]/, /[0-9\n]/, /[0-9\n]/];
    for (let i = 0; i < good.length; i++) {
      const pattern = allowed[i] ?? (i === good.length - 1 ? /\n/ : /[0-9a-f]/);
      for (let byte = 0; byte < 256; byte++) {
        const p = parser();
        p.push(utf8(good.slice(0, i)));
        const refused = code(() => p.push(Uint8Array.of(byte))) !== 'nothing thrown';
        expect([i, byte, refused]).toStrictEqual([
          i,
          byte,
          !pattern.test(String.fromCharCode(byte)),
        ]);
      }
    }
  });

  it('still gives the frames that were complete before a wrong byte in the same chunk', () => {
    const p = parser();
    const given = p.push(
      concat(encodeFrame('A', utf8('x'), SIG), encodeFrame('B', utf8('y'), SIG), utf8('C\nx')),
    );
    expect(given.map((f) => f.name)).toStrictEqual(['A', 'B']);
    expect(p.error?.code).toBe('bad_frame');
    expect(code(() => p.push(utf8('A')))).toBe('bad_frame');
  });

  it('gives the same frames before a wrong byte for any chunking', () => {
    fc.assert(
      fc.property(
        frames,
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
        (list, sizes) => {
          const p = parser();
          const parsed: Frame[] = [];
          for (const chunk of cut(concat(...list.map(encode), utf8('!')), sizes)) {
            try {
              parsed.push(...p.push(chunk));
            } catch {
              break;
            }
          }
          expect(parsed).toStrictEqual(list);
          expect(p.error?.code).toBe('bad_frame');
        },
      ),
    );
  });

  it('allocates what came, not what LEN promises', () => {
    const p = new FrameParser({ payloadBytesMax: 1_000_000 });
    p.push(utf8(`A\n1000000\n${SIG_HEX}\n`));
    expect(p.bufferedBytes).toBe(0);
    const most: number[] = [];
    for (let sent = 1; sent < 1_000_000; sent += 997) {
      p.push(new Uint8Array(sent === 1 ? 1 : 997));
      most.push(p.bufferedBytes / Math.max(sent, 512));
    }
    expect(Math.max(...most)).toBeLessThanOrEqual(2);
    expect(p.bufferedBytes).toBeLessThanOrEqual(1_000_000);
  });

  it('holds nothing after an error', () => {
    const p = parser();
    p.push(concat(utf8(`A\n1000\n${SIG_HEX}\n`), new Uint8Array(999)));
    expect(p.bufferedBytes).toBeGreaterThanOrEqual(999);
    expect(p.push(Uint8Array.of(0))).toHaveLength(1);
    expect(code(() => p.push(Uint8Array.of(0)))).toBe('bad_frame');
    expect(p.bufferedBytes).toBe(0);
  });

  it('copies each byte of a payload in many small chunks a bounded number of times', () => {
    const length = 1_000_000;
    const p = new FrameParser({ payloadBytesMax: length });
    p.push(utf8(`A\n${length}\n${SIG_HEX}\n`));
    let growths = 0;
    let last = 0;
    let given: Frame[] = [];
    for (let i = 0; i < length; i += 100) {
      given = p.push(new Uint8Array(100).fill(i / 100));
      if (p.bufferedBytes !== last) growths++;
      last = p.bufferedBytes;
    }
    expect(given).toHaveLength(1);
    expect(given[0]!.payload.every((byte, i) => byte === (Math.floor(i / 100) & 255))).toBe(true);
    expect(growths).toBeLessThan(16);
  });
});
