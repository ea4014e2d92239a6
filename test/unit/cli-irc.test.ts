/** IRC logs: what each line becomes, with the dirt of real ones; files, compressed or not. */

import { appendFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type IrcCounts, type IrcMessage, parseIrc } from '../../src/cli/irc.js';
import { openIrcFile } from '../../src/cli/irc-file.js';
import { NICKNAME_BYTES_MAX, RECORD_BODY_BYTES_MAX } from '../../src/core/limits.js';
import { temporaryDir } from './fixtures/cli-harness.js';

const DAY = Date.UTC(2008, 6, 3);
const signal = new AbortController().signal;

async function parse(...chunks: (string | Uint8Array)[]) {
  const counts: IrcCounts = { messages: 0, system: 0, other: 0 };
  const messages: IrcMessage[] = [];
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
  for await (const message of parseIrc(bytes(), DAY, counts)) messages.push(message);
  return { messages, counts };
}

const said = ({ messages }: Awaited<ReturnType<typeof parse>>) =>
  messages.map(({ name, text }) => [name, text]);

describe('lines', () => {
  test.each([
    ['[09:43] <drcode> hello', 'drcode', 'hello'],
    ['[09:43] <drcode>', 'drcode', ''],
    ['[09:43] <drcode> ', 'drcode', ''],
    ['[09:43] <drcode>   two spaces more', 'drcode', '  two spaces more'],
    ['[09:43] <a|b[`]^> <b> not a nick', 'a|b[`]^', '<b> not a nick'],
    ['[09:43] <bob> === a rule', 'bob', '=== a rule'],
    ['[09:43]  * carl waves', 'carl', '/me waves'],
    ['[09:43]  * carl  waves twice', 'carl', '/me  waves twice'],
    ['[09:43]  * carl', 'carl', '/me'],
    ['[09:43]  * carl ', 'carl', '/me'],
    ['[09:43:59] <dora> with seconds', 'dora', 'with seconds'],
    ['[09:43] <eve> \u0002bold\u0008\u001b[2J', 'eve', '\u0002bold\u0008\u001b[2J'],
    ['[09:43] <frank> a\u2028b', 'frank', 'a\u2028b'],
  ])('%j is a message', async (line, name, text) => {
    const { messages, counts } = await parse(`${line}\n`);
    expect(messages).toEqual([{ index: 65_536, name, text, time: DAY + (9 * 60 + 43) * 60_000 }]);
    expect(counts).toEqual({ messages: 1, system: 0, other: 0 });
  });

  test.each(['=== bob [n=bob@example] has joined #x', '===', '=== bob is now known as rob'])(
    '%j is a system line',
    async (line) => {
      expect((await parse(line)).counts).toEqual({ messages: 0, system: 1, other: 0 });
    },
  );

  test.each([
    '',
    'no clock at all',
    '[05:12] -bot:#x- a notice',
    '[01:09] (bob/#x) another client',
    '[24:00] <bob> no such hour',
    '[09:60] <bob> no such minute',
    '[9:43] <bob> one digit',
    '[09:43] <> nobody',
  ])('%j is neither, and counted', async (line) => {
    expect((await parse(`${line}\n`)).counts).toEqual({ messages: 0, system: 0, other: 1 });
  });

  test('a repeated line is a message each time, with its own index', async () => {
    const { messages } = await parse('[10:00] <a> x\n[10:00] <a> x\n');
    expect(messages.map(({ index }) => index)).toEqual([65_536, 131_072]);
  });

  test('CRLF, a byte order mark and a missing last line break', async () => {
    const found = await parse('\ufeff[10:00] <a> x\r\n[10:01] <b> y');
    expect(said(found)).toEqual([
      ['a', 'x'],
      ['b', 'y'],
    ]);
  });

  test('bytes that are not UTF-8 become U+FFFD, also over a chunk border', async () => {
    const found = await parse(
      '[10:00] <a> \xe9',
      Buffer.from([0xff, 0xc3]),
      Buffer.from([0xa9, 0x0a]),
    );
    expect(said(found)).toEqual([['a', 'é\ufffdé']]);
  });

  test('a nick too long for a name is cut at a character', async () => {
    const [message] = (await parse(`[10:00] <${'ü'.repeat(40)}> x`)).messages;
    expect(message!.name).toBe('ü'.repeat(NICKNAME_BYTES_MAX / 2));
  });
});

describe('times', () => {
  const minutes = async (...clocks: string[]): Promise<number[]> => {
    const { messages } = await parse(clocks.map((clock) => `[${clock}] <a> x\n`).join(''));
    return messages.map(({ time }) => (time - DAY) / 60_000);
  };

  test('a clock that goes back by hours has passed midnight', async () => {
    expect(await minutes('23:59', '00:00', '12:00', '00:10')).toEqual([1_439, 1_440, 2_160, 2_890]);
  });

  test('a clock that is set back has not', async () => {
    expect(await minutes('10:05', '10:03', '02:59', '02:00')).toEqual([605, 603, 1_619, 1_560]);
  });
});

describe('long lines', () => {
  test('become several messages that hold everything, each fit for a record', async () => {
    const text = `${'🙂'.repeat(30_000)}end`;
    const { messages, counts } = await parse(`[10:00] <a> ${text}\n[10:01] <b> y\n`);
    const long = messages.slice(0, -1);
    expect(long.length).toBeGreaterThan(2);
    expect(long.map((message) => message.text).join('')).toBe(text);
    for (const message of long) {
      expect(message.name).toBe('a');
      expect(message.text.isWellFormed()).toBe(true);
      expect(Buffer.byteLength(message.text)).toBeLessThan(RECORD_BODY_BYTES_MAX - 1_024);
    }
    const indices = messages.map(({ index }) => index);
    expect(indices).toEqual([...indices].sort((a, b) => a - b));
    expect(new Set(indices).size).toBe(messages.length);
    expect(counts.messages).toBe(messages.length);
  });

  test('of no known kind are one line of no known kind', async () => {
    expect((await parse('x'.repeat(100_000))).counts).toEqual({ messages: 0, system: 0, other: 1 });
  });

  test('that never end are not held', async () => {
    const counts: IrcCounts = { messages: 0, system: 0, other: 0 };
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('[10:00] <a> ');
      for (;;) yield Buffer.alloc(10_000, 0x61);
    }
    let units = 0;
    for await (const { text } of parseIrc(endless(), DAY, counts)) {
      units += text.length;
      if (units > 1_000_000) break;
    }
    expect(counts.messages).toBeGreaterThan(50);
  });
});

test('the result does not depend on how the bytes arrive', async () => {
  const line = fc.oneof(
    fc.constant('[23:58]  * a waves'),
    fc.constant('=== x'),
    fc.constant('\r'),
    fc.string({ unit: 'binary' }).map((text) => `[00:01] <b> ${text}`),
    fc.string(),
  );
  const logs = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join('\n')));
  await fc.assert(
    fc.asyncProperty(logs, fc.array(fc.nat(40), { maxLength: 20 }), async (log, sizes) => {
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(log.subarray(at, at + size));
        at += size;
      }
      chunks.push(log.subarray(at));
      expect(await parse(...chunks)).toEqual(await parse(log));
    }),
    { numRuns: 300 },
  );
});

describe('files', () => {
  const LOG = '[10:00] <a> x\n=== y\n[10:01]  * b waves\n';
  const write = (name: string, content: string | Buffer): string => {
    const path = join(temporaryDir(), name);
    writeFileSync(path, content);
    return path;
  };
  const read = async (path: string) => {
    const file = await openIrcFile(path, signal);
    const messages: IrcMessage[] = [];
    for await (const message of file.messages(signal)) messages.push(message);
    return { file, messages };
  };

  test('plain and compressed are the same, whatever they are called', async () => {
    const plain = await read(write('2008-07-03.log', LOG));
    const packed = await read(write('2008-07-03.train', gzipSync(LOG)));
    const halves = Buffer.concat([gzipSync(LOG.slice(0, 9)), gzipSync(LOG.slice(9))]);
    const inTwo = await read(write('x-2008-07-03-y.gz', halves));
    for (const { file, messages } of [packed, inTwo]) {
      expect(messages).toEqual(plain.messages);
      expect(file.hash).toBe(plain.file.hash);
    }
    expect(plain.file.counts).toEqual({ messages: 2, system: 1, other: 0 });
    expect(plain.messages[0]!.time).toBe(DAY + 600 * 60_000);
    expect(plain.file.dayInName).toBe(true);
  });

  test('without a date in the name, the day of the last change', async () => {
    const path = write('chat-2008-02-31-1234567.log', LOG);
    utimesSync(path, 0, Date.UTC(2011, 4, 6, 23, 30) / 1_000);
    const { file } = await read(path);
    expect([file.day_ms, file.dayInName]).toEqual([Date.UTC(2011, 4, 6), false]);
  });

  test('what is appended while it is imported is left for another time', async () => {
    const path = write('2008-07-03.log', LOG);
    const file = await openIrcFile(path, signal);
    appendFileSync(path, '[10:02] <c> late\n');
    const names: string[] = [];
    for await (const { name } of file.messages(signal)) names.push(name);
    expect(names).toEqual(['a', 'b']);
  });

  test('what is changed while it is imported is an error', async () => {
    const path = write('2008-07-03.log', LOG);
    const file = await openIrcFile(path, signal);
    writeFileSync(path, LOG.replace('x', 'z'));
    const reading = (async () => {
      for await (const _ of file.messages(signal));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'file_changed' });
  });

  test('an empty file has no messages', async () => {
    expect((await read(write('2008-07-03.log', ''))).messages).toEqual([]);
  });

  test.each([
    ['that does not exist', undefined],
    ['that is cut off', gzipSync(LOG.repeat(100)).subarray(0, 60)],
    ['that is damaged', Buffer.concat([gzipSync(LOG).subarray(0, 12), Buffer.alloc(40, 7)])],
  ])('a file %s is an error with its name', async (_, content) => {
    const path = content ? write('2008-07-03.gz', content) : join(temporaryDir(), '2008-07-03.gz');
    const opening = openIrcFile(path, signal);
    await expect(opening).rejects.toMatchObject({ code: 'bad_file' });
    await expect(opening).rejects.toThrow(path);
  });

  test('a directory is an error', async () => {
    const opening = openIrcFile(temporaryDir(), signal);
    await expect(opening).rejects.toMatchObject({ code: 'bad_file' });
  });
});
