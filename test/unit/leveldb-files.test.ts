/** The parts that read LevelDB's own files: the tables' checksums and the sync of older logs. */

import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkTable, crc32c, INCOMPLETE } from '../../src/node/leveldb-table.js';
import { syncOlderLogs } from '../../src/node/store-files.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'conclave-table-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true });
});

describe('crc32c', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  test.each([
    ['RFC 3720: 32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['RFC 3720: 32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['RFC 3720: 32 incrementing bytes', ascending, 0x46dd794e],
    ['RFC 3720: 32 decrementing bytes', ascending.toReversed(), 0x113fdb5c],
    ['the usual check value, of 9 bytes', Buffer.from('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(0), 0],
  ])('%s', (_, bytes, crc) => {
    expect(crc32c(bytes)).toBe(crc);
  });
});

describe('checkTable', () => {
  /** A table that LevelDB wrote, of several blocks. */
  async function table(): Promise<Buffer> {
    const level = new ClassicLevel<string, string>(dir, { compression: false });
    for (let i = 0; i < 200; i++) await level.put(`key/${i}`, 'x'.repeat(100));
    await level.compactRange('', '~');
    await level.close();
    const name = (await readdir(dir)).find((one) => one.endsWith('.ldb'))!;
    return readFile(join(dir, name));
  }

  test('finds a whole table whole, and every flipped byte but those of the padding', async () => {
    const whole = await table();
    expect(checkTable(whole)).toEqual([]);
    const unseen: number[] = [];
    for (let place = 0; place < whole.length; place++) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged[place]! ^ 0x41, place);
      const found = checkTable(damaged);
      if (found !== INCOMPLETE && found.length === 0) unseen.push(place);
    }
    const footer = whole.length - 48;
    expect(unseen.length).toBeLessThan(40);
    for (const place of unseen) {
      expect(place).toBeGreaterThanOrEqual(footer);
      expect(whole[place]).toBe(0);
    }
  });

  test('says where a table is damaged, and up to which key', async () => {
    const damaged = await table();
    damaged.fill(0, 0, 10);
    damaged.fill(0, 5_000, 5_010);
    expect(checkTable(damaged)).toEqual([
      { offset: 0, bytes: expect.any(Number), what: expect.stringMatching(/keys up to "key/) },
      {
        offset: expect.any(Number),
        bytes: expect.any(Number),
        what: expect.stringMatching(/keys/),
      },
    ]);
  });

  test('of a file without its end says that it is incomplete, whatever is left', async () => {
    const whole = await table();
    for (const length of [0, 1, 47, 48, 1_000, whole.length - 1]) {
      expect(checkTable(whole.subarray(0, length))).toBe(INCOMPLETE);
    }
  });
});

test('syncOlderLogs syncs every log but the newest', async () => {
  await mkdir(join(dir, 'leveldb'));
  const names = ['000009.log', '000010.log', '000100.log', 'MANIFEST-000001', 'LOG'];
  for (const name of names) await writeFile(join(dir, 'leveldb', name), name);
  const handle = await open(join(dir, 'leveldb/LOG'));
  const synced: string[] = [];
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  vi.spyOn(prototype, 'sync').mockImplementation(async function (this: typeof handle) {
    synced.push(await this.readFile('utf8'));
  });
  await handle.close();
  await syncOlderLogs(dir);
  expect(synced).toEqual(['000009.log', '000010.log']);
});
