/** `conclave prove` and `conclave check-proof`: files, stdin, JSON, and how they fail. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Harness, temporaryDir } from './fixtures/cli-harness.js';

const { armoured, valid } = JSON.parse(
  readFileSync(new URL('../vectors/proofs.json', import.meta.url), 'utf8'),
) as { armoured: string; valid: { shown: { channel: string; digest: string; author: string } }[] };
const { channel, digest, author } = valid[0]!.shown;

async function withProof(): Promise<Harness> {
  const h = new Harness();
  (await h.withChannel()).proof = armoured;
  return h;
}

function fileWith(text: string): string {
  const path = join(temporaryDir(), 'a.proof');
  writeFileSync(path, text);
  return path;
}

const errorOf = ({ json }: { json: Record<string, unknown>[] }) => json.at(-1)?.error;

test('a proof goes to stdout, as JSON too, or to a file', async () => {
  const h = await withProof();
  const prove = ['prove', '--dir', h.dir, 'team', 'ID'];
  expect((await h.run(prove)).stdout).toBe(armoured);
  expect((await h.run([...prove, '--json'])).json).toMatchObject([{ id: 'ID', proof: armoured }]);
  const file = join(h.dir, 'a.proof');
  const { stdout } = await h.run([...prove, '--out', file]);
  expect(stdout).toBe(`${file}: check it with "conclave check-proof FILE"\n`);
  expect(readFileSync(file, 'utf8')).toBe(armoured);
  const told = await h.run([...prove, '--out', file, '--json']);
  expect(told.json).toEqual([{ channel: expect.anything(), id: 'ID', file }]);
});

test('what is not there is not proven, and no file appears', async () => {
  const h = new Harness();
  await h.withChannel();
  const file = join(h.dir, 'b.proof');
  const run = await h.run(['prove', '--dir', h.dir, 'team', 'ID', '--out', file, '--json']);
  expect([run.code, errorOf(run)]).toMatchObject([1, { code: 'no_message' }]);
  expect(() => readFileSync(file)).toThrow('ENOENT');
});

test('what a proof shows, for people and as JSON', async () => {
  const h = new Harness();
  const file = fileWith(armoured);
  const { stdout, code } = await h.run(['check-proof', file]);
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    'this is final  "hello"',
    `  author     alice, ${author}`,
    '  time       2023-11-14 22:13:20, as the author says',
    `  channel    ${channel}, founded by alice (${author.slice(0, 8)})`,
    '  place      2 in the log of the channel',
    `  message    01HF0000000000000000000900, digest ${digest}`,
    `  certified  by alice (${author.slice(0, 8)}): 1 of 1 voters of roster 0, term 1`,
    '',
  ]);
  const { json } = await h.run(['check-proof', file, '--json']);
  expect(json).toMatchObject([
    { ok: true, proves: 'final', channel, seq: 2, digest, from: author, text: 'hello' },
  ]);
});

test('of the channel that one knows', async () => {
  const h = new Harness();
  const file = fileWith(armoured);
  expect((await h.run(['check-proof', file, '--channel', channel])).code).toBe(0);
  const other = await h.run(['check-proof', file, '--channel', 'ab'.repeat(32), '--json']);
  expect([other.code, errorOf(other)]).toMatchObject([1, { code: 'other_channel' }]);
  expect((await h.run(['check-proof', file, '--channel', 'team'])).code).toBe(2);
});

test('from stdin', async () => {
  const run = await new Harness().run(['check-proof', '-'], { input: armoured });
  expect(run.stdout).toContain('this is final');
});

test.each([
  [
    'a changed letter',
    armoured.replace(/[a-z](?=.{200,}-----END)/s, (c) => (c === 'x' ? 'y' : 'x')),
  ],
  ['a text that is none', 'hello'],
  ['an empty file', ''],
])('no proof: %s', async (_, text) => {
  const run = await new Harness().run(['check-proof', fileWith(text), '--json']);
  expect([run.code, errorOf(run)]).toMatchObject([1, { code: 'bad_proof' }]);
});

test('a file that is not there, and one that is too long', async () => {
  const h = new Harness();
  const none = await h.run(['check-proof', join(h.dir, 'none'), '--json']);
  expect([none.code, errorOf(none)]).toMatchObject([1, { code: 'cannot_read' }]);
  const directory = await h.run(['check-proof', h.dir, '--json']);
  expect([directory.code, errorOf(directory)]).toMatchObject([1, { code: 'cannot_read' }]);
  const long = await h.run(['check-proof', fileWith('x'.repeat(7_000_000)), '--json']);
  expect([long.code, errorOf(long)]).toMatchObject([1, { code: 'proof_too_large' }]);
});
