/**
 * `up --archive` as a user runs it: two people and an archive, each a process
 * over a real relay (docs/decisions/0027-archives.md).
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { levelStore } from '../../src/node/index.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import { finish, json, relay, type Spawned, start } from './fixtures/cli-processes.js';

const NAME = 'of-ships-and-sealing-wax';
const TEXTS = [
  'the walrus waits for a third',
  'the carpenter has come',
  'one of two is away',
  'the archive was started anew',
  'and now the other one is away',
] as const;

async function up(dir: string, ...more: string[]): Promise<Spawned> {
  const process = start('up', '--dir', dir, '--json', ...more);
  await process.stdout.shows('"event":"up"');
  return process;
}

async function stop({ child, closed, stderr }: Spawned): Promise<void> {
  child.kill('SIGTERM');
  expect([await closed, stderr.text]).toEqual([0, '']);
}

const says = (dir: string, text: string) =>
  json('send', '--dir', dir, NAME, text, '--until', 'final');

async function textsOf(dir: string, channel: string): Promise<string[]> {
  const { lines } = await finish('log', '--dir', dir, '--json', channel);
  return lines.map((line) => JSON.parse(line).text).filter((text) => text !== undefined);
}

/** All files below a directory, and all values of the store there, which files may hold compressed. */
async function bytesIn(dir: string): Promise<Buffer> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((f) =>
    f.isFile(),
  );
  const parts = files.map((file) => readFileSync(join(file.parentPath, file.name)));
  const store = await levelStore(join(dir, 'store'), { create: false })();
  const all = store.range({ gte: '', lt: '\uffff' });
  for await (const [key, value] of all) parts.push(Buffer.from(key), Buffer.from(value));
  await store.close();
  return Buffer.concat(parts);
}

test('two people and an archive: either goes on without the other, and it reads nothing', async () => {
  const root = temporaryDir();
  const [ann, bob, keeper] = ['ann', 'bob', 'keeper'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  const { url } = await relay();
  for (const dir of [ann, bob, keeper]) await json('init', '--dir', dir);
  const annUp = await up(ann);
  const made = await json('create', '--dir', ann, '--relay', url, '--min-online', '2', NAME);
  expect(made.warnings).toEqual([expect.stringContaining('conclave invite --archive')]);
  const channel = made.channel as string;
  const { invite } = await json('invite', '--dir', ann, NAME);
  let bobUp = await up(bob);
  await json('join', '--dir', bob, invite as string);

  // Two people alone wait.
  const early = await finish('send', '--dir', ann, '--json', NAME, TEXTS[0], '--timeout', '1');
  expect([early.code, JSON.parse(early.lines.at(-1)!)]).toMatchObject([
    1,
    {
      error: {
        code: 'timeout',
        message: expect.stringContaining('need 3 members online (2 with an archive), have 2'),
      },
    },
  ]);

  const { invite: forArchive } = await json('invite', '--dir', ann, '--archive', NAME);
  const refused = await finish('join', '--dir', bob, '--json', forArchive as string);
  expect(JSON.parse(refused.lines.at(-1)!)).toMatchObject({
    error: { code: 'invite_for_archive' },
  });
  let keeperUp = await up(keeper, '--archive');
  expect(keeperUp.stdout.json[0]).toMatchObject({ event: 'up', archive: true });
  await json('join', '--dir', keeper, forArchive as string);
  await says(bob, TEXTS[1]);
  const mayNot = await finish('send', '--dir', keeper, '--json', channel, 'x');
  expect(JSON.parse(mayNot.lines.at(-1)!)).toMatchObject({ error: { code: 'no_key' } });

  // One goes, the other commits with the archive, which is started anew in between.
  await stop(bobUp);
  await says(ann, TEXTS[2]);
  await stop(keeperUp);
  keeperUp = await up(keeper, '--archive');
  await says(ann, TEXTS[3]);
  expect(await json('status', '--dir', keeper, channel)).toMatchObject({ archive: true, name: '' });

  // The other comes back, and has all that it missed from the archive alone.
  await stop(annUp);
  bobUp = await up(bob);
  await says(bob, TEXTS[4]);
  expect(await textsOf(bob, NAME)).toEqual(TEXTS);
  expect(await textsOf(keeper, channel)).toEqual([]);
  await stop(bobUp);
  await stop(keeperUp);

  expect(await json('verify', '--dir', keeper)).toMatchObject({ ok: true, channel });
  const [kept, own] = [await bytesIn(keeper), await bytesIn(bob)];
  expect(kept.includes(channel) && own.includes(NAME)).toBe(true);
  for (const text of [NAME, ...TEXTS]) expect(kept.includes(text), text).toBe(false);
}, 120_000);
