/** The relay's key on disk. */

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadOrCreateKey } from '../../src/relay/index.js';
import { random } from './relay-client.js';

let dir: string;
const path = () => join(dir, 'relay.key');

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'conclave-relay-'));
});

afterEach(() => rm(dir, { recursive: true }));

describe('loadOrCreateKey', () => {
  it('makes a key once and finds it again', async () => {
    const key = await loadOrCreateKey(join(dir, 'new', 'place'), random);
    expect(key).toHaveLength(32);
    expect(await loadOrCreateKey(join(dir, 'new', 'place'), random)).toEqual(key);
  });

  it('keeps it for its owner alone, and leaves no draft', async () => {
    const key = await loadOrCreateKey(dir, random);
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect(await readFile(path(), 'latin1')).toBe(`${Buffer.from(key).toString('hex')}\n`);
    expect(await readdir(dir)).toEqual(['relay.key']);
  });

  it('gives one key to all that start at once', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => loadOrCreateKey(dir, random)));
    expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1);
  });

  it.each(['', 'not hex', `${'A'.repeat(64)}\n`, 'a'.repeat(63), `${'a'.repeat(64)}\n\n`])(
    'refuses a file that holds %j',
    async (text) => {
      await writeFile(path(), text, { mode: 0o600 });
      await expect(loadOrCreateKey(dir, random)).rejects.toMatchObject({
        code: 'bad_relay_key',
        message: expect.stringContaining(path()),
      });
      expect(await readFile(path(), 'latin1')).toBe(text);
    },
  );

  it('refuses a file that others can read', async () => {
    await loadOrCreateKey(dir, random);
    await chmod(path(), 0o644);
    await expect(loadOrCreateKey(dir, random)).rejects.toMatchObject({
      code: 'relay_key_exposed',
      message: expect.stringContaining('chmod 600'),
    });
  });

  it('says so when the directory can’t be used', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(loadOrCreateKey(join(dir, 'file'), random)).rejects.toMatchObject({
      code: 'relay_dir_failed',
    });
  });
});
