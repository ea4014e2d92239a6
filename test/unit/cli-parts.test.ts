/** The small parts of the command line: arguments, lines, pipelines, times, safe text, progress. */

import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { commandFirst } from '../../src/cli/arguments.js';
import { readLines } from '../../src/cli/lines.js';
import { mapInOrder } from '../../src/cli/pipeline.js';
import { printable } from '../../src/cli/printable.js';
import { progressLine } from '../../src/cli/progress.js';
import { formatTime, parseExpiry, parseSeconds, utcDay } from '../../src/cli/when.js';
import { OutputClosed, Writer } from '../../src/cli/writer.js';
import { codeOf } from './fixtures/errors.js';

const signal = new AbortController().signal;

describe('options before the command', () => {
  const takesValue = (option: string): boolean => ['--dir', '--until'].includes(option);
  const arrange = (...argv: string[]) => commandFirst(argv, takesValue);

  test('the command comes first, the rest keeps its order', () => {
    const { argv, command } = arrange(
      '--dir',
      'd',
      '--json',
      'send',
      'team',
      '--until',
      'final',
      'x',
    );
    expect(argv).toEqual(['send', '--dir', 'd', '--json', 'team', '--until', 'final', 'x']);
    expect(command).toBe('send');
  });

  test('a value that looks like a command or an option is a value', () => {
    const { argv, json } = arrange('--dir', 'send', '--until', '--json', 'log', 'team');
    expect(argv).toEqual(['log', '--dir', 'send', '--until', '--json', 'team']);
    expect(json).toBe(false);
  });

  test('what is behind "--" is no option', () => {
    expect(arrange('send', 'team', '--', '--json').json).toBe(false);
    expect(arrange('--verbose', 'send').verbose).toBe(true);
  });
});

describe('lines', () => {
  const lines = async (chunks: (string | Buffer)[], bytesMax = 100): Promise<string[]> => {
    const found: string[] = [];
    for await (const line of readLines(Readable.from(chunks), bytesMax, signal)) found.push(line);
    return found;
  };

  test('on any chunking, with and without a last line break', async () => {
    const text = 'one\r\n\nzwölf\nlast';
    for (let size = 1; size < 8; size++) {
      const bytes = Buffer.from(text);
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(await lines(chunks)).toEqual(['one', '', 'zwölf', 'last']);
    }
    expect(await lines(['a\n'])).toEqual(['a']);
    expect(await lines([])).toEqual([]);
  });

  test('bytes that are not UTF-8 become U+FFFD', async () => {
    expect(await lines([Buffer.from([0x61, 0xff, 0x62, 0x0a])])).toEqual(['a\ufffdb']);
  });

  test('a line that never ends is refused at the limit, not held', async () => {
    let produced = 0;
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(64, ++produced && 0x61);
      })(),
    );
    const reading = readLines(endless, 1_000, signal).next();
    await expect(reading).rejects.toMatchObject({ code: 'line_too_long' });
    expect(produced).toBeLessThan(1_000);
  });

  test('an abort ends the wait for a line', async () => {
    const stop = new AbortController();
    const next = readLines(new PassThrough(), 100, stop.signal).next();
    stop.abort();
    await expect(next).rejects.toThrow();
  });
});

describe('mapInOrder', () => {
  const window = (items: number, bytes = Number.POSITIVE_INFINITY) => ({
    items,
    bytes,
    bytesOf: (item: number) => item,
  });
  const collect = async <T>(source: AsyncIterable<T>): Promise<T[]> => {
    const all: T[] = [];
    for await (const one of source) all.push(one);
    return all;
  };
  async function* upTo(n: number): AsyncGenerator<number> {
    for (let i = 1; i <= n; i++) yield i;
  }

  test('results come in the order of the items, whatever finishes first', async () => {
    const done = mapInOrder(upTo(20), window(8), signal, async (n) => {
      for (let turns = 20 - n; turns > 0; turns--) await Promise.resolve();
      return n;
    });
    expect(await collect(done)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test.each([
    ['items', window(3), 3],
    ['bytes', window(100, 6), 3],
  ])('no more is under way than the window has %s', async (_, limits, expected) => {
    const finish: (() => void)[] = [];
    let started = 0;
    const results = mapInOrder(upTo(50), limits, signal, (n) => {
      started++;
      return new Promise<number>((resolve) => finish.push(() => resolve(n)));
    });
    const first = results.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(started).toBe(expected);
    finish[0]!();
    expect((await first).value).toBe(1);
    await results.return(undefined);
  });

  test('results are given out while the source is idle', async () => {
    async function* idle(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => {});
    }
    const results = mapInOrder(idle(), window(8), signal, async (n) => n);
    expect((await results.next()).value).toBe(1);
    await results.return(undefined);
  });

  test('a failed source comes after the results of what was before it', async () => {
    async function* failing(): AsyncGenerator<number> {
      yield 1;
      yield 2;
      throw new Error('the source');
    }
    const results = mapInOrder(failing(), window(8), signal, async (n) => n * 10);
    expect([(await results.next()).value, (await results.next()).value]).toEqual([10, 20]);
    await expect(results.next()).rejects.toThrow('the source');
  });

  test('an abort ends it at once, whatever is under way', async () => {
    const stop = new AbortController();
    const results = mapInOrder(upTo(3), window(8), stop.signal, () => new Promise(() => {}));
    const first = results.next();
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
  });

  test('a failed item fails in its turn', async () => {
    const results = mapInOrder(upTo(3), window(8), signal, async (n) => {
      if (n === 2) throw new Error('the second');
      return n;
    });
    expect((await results.next()).value).toBe(1);
    await expect(results.next()).rejects.toThrow('the second');
  });
});

describe('times', () => {
  const now = Date.UTC(2026, 0, 2, 10, 0);

  test.each([
    ['30m', now + 1_800_000],
    ['12h', now + 43_200_000],
    ['7d', now + 604_800_000],
    ['2w', now + 1_209_600_000],
    ['2026-03-01', Date.UTC(2026, 2, 1)],
    ['2026-03-01T12:30Z', Date.UTC(2026, 2, 1, 12, 30)],
    ['2026-03-01T12:30+02:00', Date.UTC(2026, 2, 1, 10, 30)],
  ])('%s is a time', (text, at) => {
    expect(parseExpiry(text, now)).toBe(at);
  });

  test.each(['', '7', '-7d', '7y', '1.5h', '2026-02-30', '2026-03-01T12:30', 'soon', '2026-13-01'])(
    '"%s" is no time',
    (text) => expect(codeOf(() => parseExpiry(text, now))).toBe('usage'),
  );

  test.each(['0s', '2025-12-31', '2026-01-02'])('%s is past', (text) => {
    expect(() => parseExpiry(text, now)).toThrow('not in the future');
  });

  test('seconds', () => {
    expect(parseSeconds('2.5')).toBe(2.5);
    for (const text of ['0', '-1', '1e3', '', '99999999', 'x']) {
      expect(codeOf(() => parseSeconds(text))).toBe('usage');
    }
  });

  test('days and minutes are UTC; impossible ones are told apart', () => {
    expect(utcDay('2008-02-29')).toBe(Date.UTC(2008, 1, 29));
    expect(utcDay('2007-02-29')).toBeUndefined();
    expect(formatTime(now)).toBe('2026-01-02 10:00');
    expect(formatTime(Number.MAX_SAFE_INTEGER)).toBe('?');
  });
});

describe('printable', () => {
  test('no escape sequence, line break or direction override gets through', () => {
    const hostile = '\u001b[2Jx\r\ny\u009b31m\u202eevil\u2066\u007f\u2028\ud800';
    const shown = printable(hostile);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e\u2066\ud800]/);
    expect(shown).toContain('evil');
  });

  test('other text is as it was', () => {
    const text = 'zwölf 漢字 🙂 – "x" <b>';
    expect(printable(text)).toBe(text);
  });
});

describe('progress', () => {
  const shown = (terminal: boolean) => {
    let now = 0;
    let text = '';
    const line = progressLine({ terminal, now: () => now, write: (part) => (text += part) });
    return { line, at: (ms: number) => (now = ms), text: () => text };
  };

  test('on a terminal, one line that is written over and taken away', () => {
    const { line, at, text } = shown(true);
    line.show({ what: 'entries', done: 1, total: 4 });
    line.show({ what: 'entries', done: 2, total: 4 });
    at(1_000);
    line.show({ what: 'entries', done: 3, total: 4 });
    line.clear();
    expect(text()).toBe(
      '\r\u001b[Kentries: 1 of 4 (25 %)\r\u001b[Kentries: 3 of 4 (75 %)\r\u001b[K',
    );
  });

  test('elsewhere, a line every few seconds, and none for what is short', () => {
    const { line, at, text } = shown(false);
    line.show({ what: 'entries', done: 1 });
    at(6_000);
    line.show({ what: 'entries', done: 1_234 });
    line.show({ what: 'entries', done: 1_235 });
    expect(text()).toBe('entries: 1,234\n');
  });

  test('what is waited for is said once, and made safe', () => {
    const { line, text } = shown(false);
    line.show({ waiting: 'bob\u001b[2J' });
    line.show({ waiting: 'bob\u001b[2J' });
    expect(text()).toBe('waiting: bob␛[2J\n');
  });
});

describe('Writer', () => {
  test('waits for a slow reader', async () => {
    const stream = new PassThrough({ highWaterMark: 10 });
    const writer = new Writer(stream);
    let written = false;
    const writing = writer.write('x'.repeat(100)).then(() => {
      written = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toBe(false);
    stream.resume();
    await writing;
  });

  test('a reader that goes away ends a write that waits, and all later ones', async () => {
    const stream = new PassThrough({ highWaterMark: 1 });
    let told = 0;
    const writer = new Writer(stream, () => told++);
    const writing = writer.write('xx');
    stream.destroy(Object.assign(new Error('gone'), { code: 'EPIPE' }));
    await expect(writing).rejects.toThrow(OutputClosed);
    await expect(writer.write('y')).rejects.toThrow(OutputClosed);
    expect(told).toBe(1);
    await writer.flush();
  });
});
