/** The identity under a passphrase: made, opened, changed, removed; what a hostile file may cost; modes. */

import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeIdentity } from '../../src/cli/identity-file.js';
import { passphraseFrom } from '../../src/cli/passphrase.js';
import { kdfOf, newKdf, openBox, sealBox } from '../../src/cli/sealing.js';
import { type Finished, Harness, temporaryDir } from './fixtures/cli-harness.js';

const errorOf = ({ json }: Finished) => json.at(-1)?.error as { code: string } | undefined;
const identityIn = (dir: string): string => readFileSync(join(dir, 'identity.json'), 'utf8');

function secret(dir: string, name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

describe('an identity under a passphrase', () => {
  test('is made so, opens with it alone, and changes it', { timeout: 60_000 }, async () => {
    const h = new Harness(join(temporaryDir(), 'alice'));
    const files = temporaryDir();
    const good = secret(files, 'good', 'correct horse\n');
    const bad = secret(files, 'bad', 'correct house');
    const init = await h.run(['init', '--dir', h.dir, '--json', '--passphrase-file', good]);
    expect(init.json).toMatchObject([{ encrypted: true }]);
    const text = identityIn(h.dir);
    expect(JSON.parse(text)).toMatchObject({
      version: 2,
      user: init.json[0]!.user,
      sealed: { kdf: { name: 'scrypt', N: 131_072, r: 8, p: 1 }, cipher: 'aes-256-gcm' },
    });
    expect(text).not.toContain('seed');

    const status = ['status', '--dir', h.dir, '--json'];
    expect(errorOf(await h.run(status))).toMatchObject({ code: 'passphrase_needed' });
    const wrong = await h.run([...status, '--passphrase-file', bad]);
    expect([wrong.code, errorOf(wrong)?.code]).toEqual([1, 'passphrase_wrong']);
    const env = { CONCLAVE_PASSPHRASE: 'correct horse' };
    expect((await h.run(status, { env })).code).toBe(0);
    expect(errorOf(await h.run([...status, '--passphrase-file', bad], { env }))?.code).toBe(
      'passphrase_wrong',
    );

    const change = ['passphrase', '--dir', h.dir, '--json'];
    expect(errorOf(await h.run([...change, '--remove']))?.code).toBe('passphrase_needed');
    expect(errorOf(await h.run(change, { env }))?.code).toBe('usage');
    const changed = await h.run(change, {
      env: { ...env, CONCLAVE_NEW_PASSPHRASE: 'battery staple' },
    });
    expect(changed.json).toEqual([{ user: init.json[0]!.user, encrypted: true }]);
    expect(errorOf(await h.run(status, { env }))?.code).toBe('passphrase_wrong');
    const removed = await h.run([...change, '--remove'], {
      env: { CONCLAVE_PASSPHRASE: 'battery staple' },
    });
    expect(removed.json).toMatchObject([{ encrypted: false }]);
    expect((await h.run(status)).code).toBe(0);
    expect(decodeIdentity(identityIn(h.dir))?.user).toBe(init.json[0]!.user);
    expect(statSync(join(h.dir, 'identity.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(h.dir)).toEqual(['identity.json']);
  });

  test('through a node that is up, none is needed', { timeout: 30_000 }, async () => {
    const h = new Harness();
    const env = { CONCLAVE_PASSPHRASE: 'x' };
    await h.run(['init', '--dir', h.dir], { env });
    const up = h.start(['up', '--dir', h.dir, '--json'], { env });
    await up.stdout.shows('"event":"up"');
    expect((await h.run(['status', '--dir', h.dir])).code).toBe(0);
    expect((await h.run(['verify', '--dir', h.dir])).code).toBe(0);
    up.interrupt();
    expect(await up.done).toBe(0);
    // What needs to know only whose store it is asks for none either.
    expect((await h.run(['verify', '--dir', h.dir])).code).toBe(0);
  });

  test('another name or user in the file does not open', { timeout: 30_000 }, async () => {
    const h = new Harness();
    const env = { CONCLAVE_PASSPHRASE: 'x' };
    await h.run(['init', '--dir', h.dir, '--name', 'alice'], { env });
    const path = join(h.dir, 'identity.json');
    const text = identityIn(h.dir);
    for (const changed of [
      text.replace('"alice"', '"mallory"'),
      text.replace(/"user": "../, '"user": "00'),
      text.replace('"N": 131072', '"N": 65536'),
    ]) {
      writeFileSync(path, changed);
      const { json } = await h.run(['status', '--dir', h.dir, '--json'], { env });
      expect(json.at(-1)).toMatchObject({ error: { code: 'passphrase_wrong' } });
    }
  });
});

describe('where a passphrase comes from', () => {
  test.each(['', '\n', 'two\nlines', 'a\0b', 'x'.repeat(1_025), '\ufffd'])(
    'not %j',
    async (text) => {
      const file = secret(temporaryDir(), 'secret', text);
      await expect(passphraseFrom(file, {})()).rejects.toMatchObject({ code: 'usage' });
      const env = { CONCLAVE_PASSPHRASE: text };
      if (text !== '\n') {
        await expect(passphraseFrom(undefined, env)()).rejects.toMatchObject({ code: 'usage' });
      }
    },
  );

  test('one line of a file, in one form; the file before the environment', async () => {
    const env = { CONCLAVE_PASSPHRASE: 'from the environment' };
    const file = secret(temporaryDir(), 'secret', 'cafe\u0301 \r\n');
    expect(await passphraseFrom(file, env)()).toBe('caf\u00e9 ');
    expect(await passphraseFrom(undefined, env)()).toBe('from the environment');
    expect(await passphraseFrom(undefined, {})()).toBeUndefined();
    await expect(passphraseFrom(`${file}x`, env)()).rejects.toMatchObject({ code: 'io' });
  });
});

describe('sealing', () => {
  test('costs are bounded before anything is computed', () => {
    const kdf = newKdf();
    expect(kdfOf(kdf)).toEqual(kdf);
    expect(kdfOf({ ...kdf, N: 262_144, p: 4 })).toBeDefined();
    for (const hostile of [
      { N: 524_288 },
      { N: 2 ** 40 },
      { N: 131_073 },
      { N: 8_192 },
      { N: '131072' },
      { r: 16 },
      { p: 5 },
      { p: 0 },
      { salt: '00' },
      { salt: undefined },
      { name: 'argon2id' },
    ]) {
      expect(kdfOf({ ...kdf, ...hostile }), JSON.stringify(hostile)).toBeUndefined();
    }
    expect(kdfOf(null)).toBeUndefined();
  });

  test('a box opens only as it was sealed', () => {
    const box = { key: Buffer.alloc(32, 1), nonce: Buffer.alloc(12), context: Buffer.from('c') };
    const sealed = sealBox(box, Buffer.from('secret'));
    expect(openBox(box, sealed)?.toString()).toBe('secret');
    for (let i = 0; i < sealed.length; i++) {
      const flipped = Buffer.from(sealed);
      flipped[i]! ^= 1;
      expect(openBox(box, flipped)).toBeUndefined();
    }
    expect(openBox({ ...box, context: Buffer.from('d') }, sealed)).toBeUndefined();
    expect(openBox({ ...box, nonce: Buffer.alloc(12, 1) }, sealed)).toBeUndefined();
    expect(openBox(box, sealed.subarray(0, 15))).toBeUndefined();
  });
});

describe('modes', () => {
  test('an empty directory becomes private, another one is warned about', async () => {
    const empty = new Harness(join(temporaryDir(), 'empty'));
    mkdirSync(empty.dir, { mode: 0o755 });
    await empty.run(['init', '--dir', empty.dir]);
    expect(statSync(empty.dir).mode & 0o777).toBe(0o700);
    expect((await empty.run(['status', '--dir', empty.dir])).stderr).toBe('');

    chmodSync(join(empty.dir, 'identity.json'), 0o644);
    const open = await empty.run(['status', '--dir', empty.dir, '--json']);
    expect(open.code).toBe(0);
    expect(open.stderr).toMatch(/^warning: .*identity\.json is open to others \(mode 644\): chmod/);
  });

  test('a directory that lets others in to an open store', async () => {
    const h = new Harness();
    await h.run(['init', '--dir', h.dir]);
    mkdirSync(join(h.dir, 'store'), { mode: 0o755 });
    expect((await h.run(['status', '--dir', h.dir])).stderr).toBe('');
    chmodSync(h.dir, 0o755);
    expect((await h.run(['status', '--dir', h.dir])).stderr).toMatch(/store is open to others/);
    chmodSync(join(h.dir, 'store'), 0o700);
    expect((await h.run(['status', '--dir', h.dir])).stderr).toBe('');
  });
});
