/** The command as a process, with a real relay and real nodes: exit codes, signals, pipes, sockets. */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { builtCli } from './fixtures/built-cli.js';
import { Collected, temporaryDir } from './fixtures/cli-harness.js';
import { finish, json, relay, start } from './fixtures/cli-processes.js';
import { realCli } from './fixtures/real-cli.js';
import { FIRST, SECOND } from './fixtures/tls-certificates.js';

/** A relay that nobody runs. */
const NOBODY = `conclave://${'ab'.repeat(32)}@127.0.0.1:9`;

describe('exit codes', () => {
  test('0 for help, 2 for wrong usage, 1 for a failure', async () => {
    const [help, usage, failure] = await Promise.all([
      finish('--help'),
      finish('nope', '--json'),
      finish('log', '--dir', join(temporaryDir(), 'none'), 'x'),
    ]);
    expect([help.code, usage.code, failure.code]).toEqual([0, 2, 1]);
    expect(help.stdout).toContain('Usage: conclave');
    expect(JSON.parse(usage.stdout)).toMatchObject({ error: { code: 'usage' } });
    expect(failure.stderr).toMatch(/^conclave: there is no identity in .*conclave init/);
  });
});

test('what is malformed is wrong usage, in each command; what does not fit what is there has failed', async () => {
  const dir = join(temporaryDir(), 'ann');
  const at = (name: string, ...more: string[]): string[] => [name, '--dir', dir, ...more];
  const made = (...more: string[]): string[] => at('create', '--relay', NOBODY, ...more);
  await realCli(at('init', '--name', 'ann'));
  await realCli(made('team', '--min-online', '1', '--few', 'always'));
  const outcomes: [argv: string[], code: number, error: string][] = [
    [at('create', '--relay', 'here', 'x'), 2, 'bad_relay_url'],
    [made('x', '--relay', NOBODY), 2, 'bad_relays'],
    [made('x', '--min-online', '1'), 2, 'bad_policy'],
    [made('x'.repeat(300)), 2, 'bad_name'],
    [at('explain', 'team', 'nope'), 2, 'bad_id'],
    [at('explain', 'team', `01HZ${'0'.repeat(22)}`), 1, 'no_message'],
    [at('prove', 'team', 'nope'), 2, 'bad_id'],
    [at('join', 'nope'), 2, 'bad_invite'],
    [at('invite', 'team', '--revoke', 'nope'), 2, 'bad_invite'],
    [at('invite', 'team', '--revoke', 'abcd'), 1, 'invite_not_open'],
    [at('replace', 'team', 'ann', 'nope'), 2, 'bad_replace_request'],
    [at('replace', 'team', 'bob', 'nope'), 1, 'not_member'],
    [at('recover', 'team', 'nope'), 1, 'not_member'],
    [at('relays', 'team', 'add', 'here'), 2, 'bad_relay_url'],
    [at('relays', 'team', 'remove', NOBODY), 1, 'not_allowed'],
    [at('relays', 'team', '--relay', 'here'), 2, 'bad_relay_url'],
    [at('up', '--relay', 'here'), 2, 'bad_relay_url'],
    [at('dm', 'ann', 'hi'), 2, 'bad_user'],
    [at('dm', 'bob', 'hi'), 1, 'not_member'],
    [at('status', 'nope'), 1, 'no_channel'],
    [['check-proof', 'x', '--channel', 'team'], 2, 'usage'],
    [['relay', '--listen', '127.0.0.1:0', '--limit', 'nope=1'], 2, 'bad_limit'],
  ];
  for (const [argv, code, error] of outcomes) {
    const run = await realCli(argv);
    expect([run.code, run.json.at(-1)], argv.join(' ')).toMatchObject([
      code,
      { error: { code: error } },
    ]);
  }
});

test('a channel of one, from its making to its verification', async () => {
  const dir = join(temporaryDir(), 'alice');
  const { url, process: running } = await relay();
  await json('init', '--dir', dir, '--name', 'alice');
  const made = ['--relay', url, '--min-online', '1', '--few', 'always', 'team'];
  const { channel } = await json('create', '--dir', dir, ...made);
  expect(await json('send', '--dir', dir, 'team', 'alone', '--until', 'final')).toMatchObject({
    state: 'final',
  });

  let up = start('up', '--dir', dir, '--json');
  await up.stdout.shows('"event":"up"');
  const socket = join(dir, 'control.sock');
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  await json('send', '--dir', dir, 'team', 'through the socket');
  up.child.kill('SIGKILL');
  expect(await up.closed).toBe('SIGKILL');
  expect(existsSync(socket)).toBe(true);

  expect(await json('status', '--dir', dir, 'team')).toMatchObject({ channel, state: 'offline' });
  up = start('up', '--dir', dir, '--json');
  await up.stdout.shows('"event":"up"');
  await json('send', '--dir', dir, 'team', 'after the crash', '--until', 'final');
  up.child.kill('SIGTERM');
  expect(await up.closed).toBe(0);
  expect(existsSync(socket)).toBe(false);
  expect(up.stderr.text).toBe('');

  const log = await finish('log', '--dir', dir, '--json', 'team');
  const texts = log.lines.map((line) => JSON.parse(line).text).filter((text) => text !== undefined);
  expect(texts).toEqual(['alone', 'through the socket', 'after the crash']);
  expect(await json('verify', '--dir', dir)).toMatchObject({ ok: true, channel, entries: 3 });
  running.child.kill('SIGTERM');
  expect(await running.closed).toBe(0);
});

test('a store that is gone is an error, and no empty one; so is an identity that is gone', async () => {
  const dir = temporaryDir();
  await json('init', '--dir', dir);
  expect(await json('verify', '--dir', dir)).toMatchObject({ ok: true, entries: 0 });
  await json('create', '--dir', dir, '--relay', NOBODY, 'team');
  renameSync(join(dir, 'identity.json'), join(dir, 'gone'));
  const other = await finish('init', '--dir', dir, '--json');
  expect([other.code, other.lines.map((line) => JSON.parse(line))]).toMatchObject([
    1,
    [{ error: { code: 'exists' } }],
  ]);
  renameSync(join(dir, 'gone'), join(dir, 'identity.json'));
  rmSync(join(dir, 'store'), { recursive: true });
  const status = await finish('status', '--dir', dir, '--json');
  expect([status.code, status.lines.map((line) => JSON.parse(line))]).toMatchObject([
    1,
    [{ error: { code: 'store_missing' } }],
  ]);
});

test('a relay that is down is named, with the reason, by all who need it', async () => {
  const [ann, bob] = [temporaryDir(), temporaryDir()];
  const { url, process: running } = await relay();
  await json('init', '--dir', ann);
  await json('init', '--dir', bob);
  const made = ['--relay', url, '--min-online', '1', '--few', 'always', 'team'];
  expect(await json('create', '--dir', ann, ...made)).not.toHaveProperty('warnings');
  const { invite } = await json('invite', '--dir', ann, 'team');
  running.child.kill('SIGTERM');
  expect(await running.closed).toBe(0);

  const why = `no relay answers: ${url} (connect ECONNREFUSED`;
  const created = await finish('create', '--dir', ann, ...made, '--json');
  expect(JSON.parse(created.lines[0]!).warnings).toEqual([
    expect.stringContaining(why),
    expect.stringContaining('another channel of that name'),
  ]);
  const joined = await finish('join', '--dir', bob, '--timeout', '4', invite as string);
  expect([joined.code, joined.stderr]).toEqual([1, expect.stringContaining(`not done after 4 s`)]);
  expect(joined.stderr.split(why)).toHaveLength(3);
  const up = start('up', '--dir', ann);
  await up.stdout.shows(why);
  const { stdout } = await finish('status', '--dir', ann);
  expect(stdout).toContain(`cut off       ${why}`);
  expect(up.stderr.text).toBe('');
}, 60_000);

/** The commands that an error tells to type. */
const toldCommands = (stderr: string): string[][] =>
  [...stderr.matchAll(/^ {2}conclave (.*?)(?: {3,}.*)?$/gm)].map(([, line]) => line!.split(/ +/));

test('a damaged store: what the error says to type brings the channel back', async () => {
  const [ann, bob] = [join(temporaryDir(), 'ann'), join(temporaryDir(), 'bob')];
  const { url } = await relay();
  const { user } = await json('init', '--dir', bob, '--name', 'bob');
  await json('init', '--dir', ann, '--name', 'ann');
  const up = start('up', '--dir', ann, '--json');
  await up.stdout.shows('"event":"up"');
  await json(
    'create',
    '--dir',
    ann,
    '--relay',
    url,
    '--min-online',
    '1',
    '--few',
    'always',
    'team',
  );
  const { invite } = await json('invite', '--dir', ann, '--uses', '2', 'team');
  await json('join', '--dir', bob, invite as string);
  await json('send', '--dir', ann, 'team', 'kept by ann');

  rmSync(join(bob, 'store', 'mark'));
  const damaged = await finish('log', '--dir', bob, 'team');
  expect(damaged.code).toBe(1);
  expect(damaged.stderr).toContain(`\n  rm -r ${join(bob, 'store')}\n`);
  rmSync(join(bob, 'store'), { recursive: true });
  const missing = await finish('log', '--dir', bob, 'team');
  expect(toldCommands(missing.stderr)).toEqual(toldCommands(damaged.stderr));
  const [init, join_] = toldCommands(missing.stderr);
  expect(await json(...init!)).toEqual({ user });
  await json(...join_!.map((word) => (word === 'INVITE' ? (invite as string) : word)));

  const log = await finish('log', '--dir', bob, '--json', 'team');
  expect(log.lines.map((line) => JSON.parse(line).text)).toContain('kept by ann');
  const members = await finish('members', '--dir', ann, '--json', 'team');
  expect(members.lines).toHaveLength(2);
}, 60_000);

test('init under what no directory can be made in is an error', async () => {
  const file = join(temporaryDir(), 'file');
  writeFileSync(file, '');
  for (const above of [file, '/proc/nowhere']) {
    const { code, stderr } = await finish('init', '--dir', join(above, 'sub', 'dir'));
    expect([code, stderr]).toEqual([1, expect.stringContaining("can't be made")]);
  }
});

test('two channels in a row: a one-shot command finds the store free again', async () => {
  const dir = temporaryDir();
  await json('init', '--dir', dir);
  const create = (name: string) => finish('create', '--dir', dir, '--relay', NOBODY, name);
  const results = await Promise.all([create('one'), create('two')]);
  expect(results.map(({ code }) => code)).toEqual([0, 0]);
  const status = await json('status', '--dir', dir);
  expect(status.channels).toHaveLength(2);
});

test('a signal ends what waits, and the reader is told why', async () => {
  const dir = temporaryDir();
  await json('init', '--dir', dir);
  await json('create', '--dir', dir, '--relay', NOBODY, 'team');
  const sending = start('send', '--dir', dir, '--json', 'team', 'x');
  await sending.stderr.shows('waiting: ');
  sending.child.kill('SIGINT');
  expect(await sending.closed).toBe(130);
  expect(sending.stdout.json).toMatchObject([{ error: { code: 'interrupted' } }]);
  expect(await json('status', '--dir', dir, 'team')).toMatchObject({ queued: 1 });
});

test('a pipe whose reader leaves ends it quietly', async () => {
  const dir = temporaryDir();
  const { url } = await relay();
  await json('init', '--dir', dir);
  await json(
    'create',
    '--dir',
    dir,
    '--relay',
    url,
    '--min-online',
    '1',
    '--few',
    'always',
    'team',
  );
  const sending = start('send', '--dir', dir, '--json', 'team', '-');
  const line = `${'x'.repeat(2_000)}\n`;
  sending.child.stdin!.end(line.repeat(500));
  expect(await sending.closed).toBe(0);
  expect(sending.stdout.lines).toHaveLength(500);

  const log = start('log', '--dir', dir, 'team');
  log.child.stdout!.once('data', () => log.child.stdout!.destroy());
  expect(await log.closed).toBe(0);
  expect(log.stderr.text).toBe('');
});

test('a demo that is interrupted twice leaves nothing behind', async () => {
  const tmp = temporaryDir();
  const env = { ...process.env, TMPDIR: tmp };
  const demo = spawn(process.execPath, [builtCli(), 'demo'], { env });
  onTestFinished(() => void demo.kill('SIGKILL'));
  const stdout = new Collected();
  demo.stdout.pipe(stdout);
  const closed = new Promise((resolve) => demo.on('close', resolve));
  await stdout.shows('relay-1 listens');
  expect(readdirSync(tmp)).toEqual([expect.stringMatching(/^conclave-demo-/)]);
  demo.kill('SIGINT');
  demo.kill('SIGTERM');
  expect([130, 143]).toContain(await closed);
  expect(readdirSync(tmp)).toEqual([]);
}, 60_000);

test('SIGHUP makes a relay with files read them again; one without them stops', async () => {
  const dir = temporaryDir();
  const [cert, key, audit] = ['relay.crt', 'relay.key', 'audit'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const put = (certificate: { cert: string; key: string }): void => {
    writeFileSync(cert, certificate.cert);
    writeFileSync(key, certificate.key);
  };
  put(FIRST);
  const tls = ['--tls-cert', cert, '--tls-key', key, '--audit', audit];
  const running = start('relay', '--listen', '127.0.0.1:0', '--json', '--verbose', ...tls);
  await running.stdout.shows('\n');
  expect(running.stdout.json[0]!.url).toMatch(/\?via=tls$/);
  renameSync(audit, `${audit}.1`);
  put(SECOND);
  running.child.kill('SIGHUP');
  await running.stderr.shows('relay reloaded its files');
  expect(existsSync(audit)).toBe(true);
  writeFileSync(key, FIRST.key);
  running.child.kill('SIGHUP');
  await running.stderr.shows('goes on with the files that it had');
  running.child.kill('SIGTERM');
  expect(await running.closed).toBe(0);
  expect(running.stdout.json).toHaveLength(1);

  const { process: plain } = await relay();
  plain.child.kill('SIGHUP');
  expect(await plain.closed).toBe(0);
});
