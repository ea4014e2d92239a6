/** The backup file: what is written is read back; whatever byte changes, or is missing, is seen. */

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Manifest, openBackup, writeBackup } from '../../src/cli/backup-file.js';
import type { UserId } from '../../src/core/ids.js';
import { temporaryDir } from './fixtures/cli-harness.js';

const manifest: Manifest = {
  made: 1_700_000_000_000,
  user: 'ab'.repeat(32) as UserId,
  name: 'ann',
  identity: '{}',
};
const PAGES = [Buffer.from('one page'), Buffer.alloc(300, 7), Buffer.alloc(0)];

async function write(path: string, passphrase?: string, force = false): Promise<void> {
  await writeBackup(path, {
    ...{ passphrase, force, manifest },
    pages: async (take) => {
      for (const page of PAGES) await take(page);
    },
    onProgress: () => {},
  });
}

async function read(path: string, passphrase?: string) {
  const backup = await openBackup(path, async () => passphrase);
  try {
    const pages: Buffer[] = [];
    for await (const page of backup.pages()) pages.push(Buffer.from(page));
    return { manifest: backup.manifest, encrypted: backup.encrypted, pages };
  } finally {
    await backup.close();
  }
}

const codeOf = (path: string, passphrase?: string): Promise<string> =>
  read(path, passphrase).then(
    () => 'read',
    (error: { code?: string }) => error.code ?? String(error),
  );

describe('a backup file', () => {
  test('without a passphrase, for its owner alone, never over another', async () => {
    const dir = temporaryDir();
    const path = join(dir, 'backup');
    await write(path);
    expect(await read(path)).toEqual({ manifest, encrypted: false, pages: PAGES });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(write(path)).rejects.toMatchObject({ code: 'exists' });
    await write(path, undefined, true);
    expect(readdirSync(dir)).toEqual(['backup']);
  });

  test('one that fails leaves what was there', async () => {
    const dir = temporaryDir();
    const path = join(dir, 'backup');
    writeFileSync(path, 'before');
    const pages = async (take: (page: Uint8Array) => Promise<void>): Promise<void> => {
      await take(PAGES[0]!);
      throw new Error('the disk is full');
    };
    const failing = { passphrase: undefined, force: true, manifest, pages, onProgress: () => {} };
    await expect(writeBackup(path, failing)).rejects.toThrow('the disk is full');
    expect([readdirSync(dir), readFileSync(path, 'utf8')]).toEqual([['backup'], 'before']);
  });

  test('with one, nothing of it is readable, and no other opens it', async () => {
    const path = join(temporaryDir(), 'backup');
    await write(path, 'secret');
    expect(await read(path, 'secret')).toEqual({ manifest, encrypted: true, pages: PAGES });
    expect(await codeOf(path)).toBe('passphrase_needed');
    expect(await codeOf(path, 'Secret')).toBe('passphrase_wrong');
    const bytes = readFileSync(path);
    for (const plain of ['one page', 'ann', manifest.user]) {
      expect(bytes.includes(plain)).toBe(false);
    }
  });

  test('any byte that changes, is cut off or added is seen', { timeout: 120_000 }, async () => {
    const path = join(temporaryDir(), 'backup');
    await write(path);
    const whole = readFileSync(path);
    const seen = new Set<string>();
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1 << (at % 8);
      writeFileSync(path, changed);
      const code = await codeOf(path);
      expect(code, `byte ${at}`).not.toBe('read');
      seen.add(code);
      writeFileSync(path, whole.subarray(0, at));
      expect(await codeOf(path), `cut at ${at}`).toMatch(/backup_damaged|not_a_backup/);
    }
    expect([...seen].sort()).toEqual(['backup_damaged', 'backup_newer', 'not_a_backup']);
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
    expect(await codeOf(path)).toBe('backup_damaged');
    writeFileSync(path, Buffer.concat([whole, whole.subarray(-20)]));
    expect(await codeOf(path)).toBe('backup_damaged');
  });

  test('so it is under a passphrase', { timeout: 120_000 }, async () => {
    const path = join(temporaryDir(), 'backup');
    await write(path, 'secret');
    const whole = readFileSync(path);
    const body = whole.indexOf('}\n') + 2;
    // In the header each look costs a derivation; what follows it is all looked at.
    const positions = [20, 40, 70, body - 6, body, body + 3, body + 4, whole.length - 1];
    for (const at of positions) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1;
      writeFileSync(path, changed);
      expect(await codeOf(path, 'secret'), `byte ${at}`).toMatch(/backup_damaged|passphrase_wrong/);
    }
    writeFileSync(path, whole.subarray(0, -20));
    expect(await codeOf(path, 'secret')).toBe('backup_damaged');
  });
});
