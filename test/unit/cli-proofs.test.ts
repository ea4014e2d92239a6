/** `conclave prove` and `conclave check-proof`: files, stdin, JSON, and how they fail. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { armour } from '../../src/node/proof-file.js';
import { Harness, temporaryDir } from './fixtures/cli-harness.js';

const { armoured, valid } = JSON.parse(
  readFileSync(new URL('../vectors/proofs.json', import.meta.url), 'utf8'),
) as {
  armoured: string;
  valid: {
    bytes: string;
    shown: { channel: string; digest: string; author: string; text: string | null };
  }[];
};
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
  const shows =
    'It shows the text of this message to whoever has it; --without-text leaves it encrypted\n';
  expect(await h.run(prove)).toMatchObject({ stdout: armoured, stderr: shows });
  expect((await h.run([...prove, '--json'])).json).toMatchObject([
    { id: 'ID', showsText: true, proof: armoured },
  ]);
  const file = join(h.dir, 'a.proof');
  const { stdout } = await h.run([...prove, '--out', file]);
  expect(stdout).toBe(`${file}: check it with "conclave check-proof FILE"\n${shows}`);
  expect(readFileSync(file, 'utf8')).toBe(armoured);
  writeFileSync(file, 'not a proof');
  const there = await h.run([...prove, '--out', file, '--json']);
  expect([there.code, errorOf(there)]).toMatchObject([1, { code: 'exists' }]);
  expect(readFileSync(file, 'utf8')).toBe('not a proof');
  const told = await h.run([...prove, '--out', file, '--force', '--json']);
  expect(told.json).toEqual([{ channel: expect.anything(), id: 'ID', showsText: true, file }]);
  expect(readFileSync(file, 'utf8')).toBe(armoured);
});

test('a proof that leaves the text encrypted says so, when it is made and when it is checked', async () => {
  const h = new Harness();
  const channel = await h.withChannel();
  const { bytes } = valid.find(({ shown }) => shown.text === null)!;
  channel.proof = armour(Uint8Array.from(Buffer.from(bytes, 'hex')));
  const prove = ['prove', '--dir', h.dir, 'team', 'ID'];
  const silent = await h.run(prove);
  expect(silent.stderr).toMatch(/does not show the text: there is none, or this node has no key/);
  const asked = await h.run([...prove, '--without-text']);
  expect([asked.stderr, channel.asked]).toEqual(['It does not show the text\n', { text: false }]);
  const { stdout } = await h.run(['check-proof', '-'], { input: asked.stdout });
  expect(stdout).toMatch(/^this is final {2}a message, whose text the proof does not show\n/);
  const both = await h.run([
    'prove',
    '--dir',
    h.dir,
    'team',
    '--misbehaviour',
    'x',
    '--without-text',
  ]);
  expect(both.code).toBe(2);
});

test('a proof that opens the message shows its text', async () => {
  const { bytes } = valid.findLast(({ shown }) => shown.text === 'hello')!;
  const input = armour(Uint8Array.from(Buffer.from(bytes, 'hex')));
  const { stdout } = await new Harness().run(['check-proof', '-'], { input });
  expect(stdout).toMatch(/^this is final {2}"hello"\n/);
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
