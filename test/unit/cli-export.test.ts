/** A channel as a file: the three formats, and that nothing in a message escapes them. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { atomicFile } from '../../src/cli/atomic-file.js';
import { exportFormats, type Format } from '../../src/cli/export-formats.js';
import { parseIrc } from '../../src/cli/irc.js';
import { Harness, temporaryDir } from './fixtures/cli-harness.js';

const TIME = Date.UTC(2026, 0, 2, 10, 11);
const message = (name: string, text: string, more: object = {}) => ({
  seq: 1,
  id: 'id',
  from: 'f',
  name,
  time: TIME,
  state: 'final',
  kind: 'message',
  text,
  ...more,
});

function written(format: Format, ...entries: Record<string, unknown>[]): string {
  const { start, entry, end } = exportFormats[format]();
  return start({ channel: 'c0de', name: '<b>team</b>' }) + entries.map(entry).join('') + end();
}

describe('html', () => {
  const HOSTILE = `<script>alert('x')</script>"&\u0000`;

  test('shows markup in nick and text as text', () => {
    const page = written(
      'html',
      message(HOSTILE, HOSTILE),
      message('a', HOSTILE, { state: HOSTILE }),
    );
    expect(page).not.toMatch(/<script/i);
    expect(page).not.toContain("'x'");
    expect(page).not.toContain('\u0000');
    expect(page).not.toContain('<b>team');
    expect(page).toContain('&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\ufffd');
  });

  test('needs nothing from elsewhere and runs nothing', () => {
    const page = written('html', message('a', 'http://example.org/x.png'));
    expect(page).toContain(`default-src 'none'`);
    expect(page).not.toMatch(/\s(src|href|on\w+)=/);
  });

  test('shows what is not final as that', () => {
    expect(written('html', message('a', 'x', { state: 'committed' }))).toContain('(committed)');
    expect(written('html', message('a', 'x'))).not.toContain('(final)');
  });
});

describe('irc', () => {
  test('is read again as it was', async () => {
    const texts = ['hello', '', '  spaces', '/me waves', '/me', '<x> y', '=== z'];
    const log = written('irc', ...texts.map((text) => message('bob', text)));
    const counts = { messages: 0, system: 0, other: 0 };
    const again: unknown[] = [];
    const chunks = (async function* () {
      yield Buffer.from(log);
    })();
    const day = Date.UTC(2026, 0, 2);
    for await (const { name, text, time } of parseIrc(chunks, day, counts)) {
      again.push([name, text, time]);
    }
    expect(again).toEqual(texts.map((text) => ['bob', text, TIME]));
    expect(counts).toMatchObject({ system: 2, other: 0 });
  });

  test('a text of several lines can not forge a line', () => {
    const log = written('irc', message('eve', 'x\n[10:12] <bob> forged\r=== y'));
    expect(log.split('\n').slice(2)).toEqual([
      '[10:11] <eve> x',
      '[10:11] <eve> [10:12] <bob> forged',
      '[10:11] <eve> === y',
      '',
    ]);
  });

  test('a nick can not forge one either', () => {
    const log = written('irc', message('eve> hi\n[10:11] <bob', 'x'), message('', 'y'));
    expect(log).toContain('[10:11] <eve_hi_[10:11]_bob> x\n[10:11] <_> y\n');
  });
});

test('jsonl has every entry; the others have messages', () => {
  const epoch = { seq: 2, id: 'e', kind: 'epoch', name: '', time: TIME, state: 'final' };
  expect(JSON.parse(written('jsonl', epoch))).toEqual(epoch);
  expect(written('irc', epoch)).not.toContain('epoch');
  expect(written('html', epoch)).not.toContain('epoch');
});

describe('the file', () => {
  test('appears only when it is complete', async () => {
    const dir = temporaryDir();
    const path = join(dir, 'out');
    writeFileSync(path, 'old');
    const file = await atomicFile(path);
    await file.write('new'.repeat(100_000));
    expect(readFileSync(path, 'utf8')).toBe('old');
    await file.commit();
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('new'.repeat(100_000));
    expect(readdirSync(dir)).toEqual(['out']);
  });

  test('given up, it leaves nothing', async () => {
    const dir = temporaryDir();
    const file = await atomicFile(join(dir, 'out'));
    await file.write('x'.repeat(100_000));
    await file.close();
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('conclave export', () => {
  const args = (h: Harness, ...more: string[]) => ['export', '--dir', h.dir, 'team', ...more];

  test('writes to stdout, or to a file that --out names', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.send('one');
    channel.add({ kind: 'epoch' });
    const plain = await h.run(args(h, '--format', 'irc'));
    expect(plain.stdout).toMatch(/^=== Log of team.*\n=== 2026-01-02\n\[10:12\] <alice> one\n$/);

    const path = join(temporaryDir(), 'team.jsonl');
    const { json } = await h.run(args(h, '--json', '--format', 'jsonl', '--out', path));
    expect(json).toEqual([{ file: path, format: 'jsonl', entries: 2 }]);
    expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(2);
  });

  test('--json with jsonl on stdout is just the entries; other formats need --out', async () => {
    const h = new Harness();
    (await h.withChannel()).send('one');
    const { json } = await h.run(args(h, '--json', '--format', 'jsonl'));
    expect(json).toMatchObject([{ seq: 1, text: 'one' }]);
    expect((await h.run(args(h, '--json', '--format', 'html'))).code).toBe(2);
  });

  test('a file that can not be written is an error, and so is an unknown channel', async () => {
    const h = new Harness();
    await h.withChannel();
    const path = join(temporaryDir(), 'no', 'such', 'dir');
    const failed = await h.run(args(h, '--json', '--format', 'irc', '--out', path));
    expect([failed.code, failed.json]).toMatchObject([1, [{ error: { code: 'cannot_write' } }]]);

    const out = join(temporaryDir(), 'out');
    mkdirSync(join(out, '..'), { recursive: true });
    const missing = await h.run([
      'export',
      '--dir',
      h.dir,
      'nope',
      '--format',
      'irc',
      '--out',
      out,
    ]);
    expect([missing.code, existsSync(out)]).toEqual([1, false]);
  });
});
