/** `conclave up` and its control socket: commands go through it, and nothing that is sent to it harms it. */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findSocket, SOCKET_PATH_BYTES_MAX } from '../../src/cli/control-path.js';
import { CALL_LINE_BYTES_MAX, INPUT_CREDIT } from '../../src/cli/control-wire.js';
import { ConclaveError } from '../../src/core/errors.js';
import type { UserId } from '../../src/core/ids.js';
import { Harness, type Running, temporaryDir } from './fixtures/cli-harness.js';

const errorOf = ({ json }: { json: Record<string, unknown>[] }) => json.at(-1)?.error;
const socketOf = (h: Harness): string => join(h.dir, 'control.sock');

async function withUp(h = new Harness()) {
  const channel = await h.withChannel();
  const up = await h.up();
  return { h, channel, up, stop: () => stopped(up) };
}

async function stopped(up: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
  up.interrupt(signal);
  return up.done;
}

/** What the socket answers to these bytes, until it closes. */
function answerTo(path: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path, () => socket.write(bytes));
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

describe('up', () => {
  test('says so first, has a socket of its own, and leaves nothing behind', async () => {
    const { h, up, stop } = await withUp();
    const { user } = h.world.stores.get(h.dir)!;
    expect(up.stdout.json[0]).toEqual({ event: 'up', user });
    const socket = statSync(socketOf(h));
    expect([socket.isSocket(), socket.mode & 0o777]).toEqual([true, 0o600]);
    expect(await stop()).toBe(0);
    expect(up.stdout.json).toContainEqual({ event: 'stopping' });
    expect(readdirSync(h.dir)).toEqual(['identity.json']);
    expect(h.world.stores.get(h.dir)!.openedBy).toBeUndefined();
    expect(h.world.drained.at(-1)).toBe(2_000);
  });

  test('says how its channels are, those made later too', async () => {
    const { h, channel, up, stop } = await withUp();
    await up.stdout.shows('"state":"healthy"');
    channel.held = true;
    channel.changes.notify();
    await up.stdout.shows('"reason":"messages need 3 members online, 1 is"');
    await h.run(['create', '--dir', h.dir, '--relay', 'conclave://x', 'second']);
    await up.stdout.shows('"name":"second"');
    await stop();
  });

  test('takes relay addresses for its run', async () => {
    const h = new Harness();
    await h.withChannel();
    const up = await h.up('--relay', 'conclave://a', '--relay', 'conclave://b');
    expect(h.world.relays.at(-1)).toEqual(['conclave://a', 'conclave://b']);
    await stopped(up);
  });

  test('replaces the socket of a dead process, and any file in its place', async () => {
    const h = new Harness();
    await h.withChannel();
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(`${socketOf(h)}.dead`, resolve));
    const { rename } = await import('node:fs/promises');
    await rename(`${socketOf(h)}.dead`, socketOf(h));
    await new Promise((resolve) => dead.close(resolve));
    expect(existsSync(socketOf(h))).toBe(true);
    expect(await stopped(await h.up())).toBe(0);
    writeFileSync(socketOf(h), 'not a socket');
    expect(await stopped(await h.up())).toBe(0);
  });

  test('is one: a second one fails at once and does not touch the first', async () => {
    const { h, stop } = await withUp();
    const second = await h.run(['up', '--dir', h.dir, '--json']);
    expect([second.code, errorOf(second)]).toMatchObject([1, { code: 'already_up' }]);
    expect((await h.run(['status', '--dir', h.dir, '--json'])).json[0]).toMatchObject({ up: true });
    await stop();
  });

  test('waits for a command that has the store', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    const sending = h.start(['send', '--dir', h.dir, 'team', 'x']);
    while (channel.entries.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const up = h.start(['up', '--dir', h.dir, '--json']);
    channel.held = false;
    expect(await sending.done).toBe(0);
    await up.stdout.shows('"event":"up"');
    expect(await stopped(up)).toBe(0);
  });

  test('commands wait for each other too, and say so when it takes too long', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    let now = 0;
    h.host = { now: () => (now += 1_000) };
    const sending = h.start(['send', '--dir', h.dir, 'team', 'x']);
    while (channel.entries.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = await h.run(['log', '--dir', h.dir, '--json', 'team']);
    expect([second.code, errorOf(second)]).toMatchObject([1, { code: 'store_locked' }]);
    channel.held = false;
    await sending.done;
    expect((await h.run(['log', '--dir', h.dir, '--json', 'team'])).json).toHaveLength(1);
  });

  test('stopped while it waits for the store, it ends as it does later', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    const sending = h.start(['send', '--dir', h.dir, 'team', 'x']);
    while (channel.entries.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await stopped(h.start(['up', '--dir', h.dir]))).toBe(0);
    channel.held = false;
    await sending.done;
  });

  test('a store that fails when it is stopped is a failure', async () => {
    const { h, stop } = await withUp();
    h.world.stores.get(h.dir)!.openedBy!.close = () =>
      Promise.reject(new ConclaveError('store_failed', 'the disk is full'));
    expect(await stop()).toBe(1);
  });

  test('in a directory with a path too long for a socket', async () => {
    const h = new Harness(join(temporaryDir(), 'd'.repeat(SOCKET_PATH_BYTES_MAX)));
    const { stop } = await withUp(h);
    const path = (await findSocket(h.dir))!;
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(SOCKET_PATH_BYTES_MAX);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await h.run(['status', '--dir', h.dir, '--json'])).json[0]).toMatchObject({ up: true });
    await stop();
    expect(readdirSync(h.dir)).toEqual(['identity.json']);
    expect(existsSync(dirname(path))).toBe(false);
  });

  test('with such a path, after a crash', async () => {
    const h = new Harness(join(temporaryDir(), 'd'.repeat(SOCKET_PATH_BYTES_MAX)));
    await h.withChannel();
    const left = join(tmpdir(), 'conclave-left-by-test', 'control.sock');
    mkdirSync(dirname(left), { recursive: true });
    writeFileSync(left, '');
    writeFileSync(join(h.dir, 'control.path'), left);
    expect((await h.run(['status', '--dir', h.dir, '--json'])).json[0]).toMatchObject({
      up: false,
    });
    await stopped(await h.up());
    expect(existsSync(dirname(left))).toBe(false);
  });

  test('a pointer to somewhere else is not followed', async () => {
    const h = new Harness(join(temporaryDir(), 'd'.repeat(SOCKET_PATH_BYTES_MAX)));
    await h.withChannel();
    const precious = join(temporaryDir('other-'), 'precious');
    writeFileSync(precious, 'x');
    writeFileSync(join(h.dir, 'control.path'), precious);
    await stopped(await h.up());
    expect(readFileSync(precious, 'utf8')).toBe('x');
  });
});

describe('commands, while the node is up', () => {
  test('each one gives what it gives alone', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    for (const text of ['a', 'b']) channel.send(text);
    const commands = [
      ['log', 'team', '--from', '2'],
      ['tail', 'team'],
      ['relays', 'team', 'remove', 'conclave://nope'],
      ['inbox'],
      ['verify'],
      ['export', 'team', '--format', 'jsonl'],
      ['status', 'nope'],
      ['log', '0'.repeat(64)],
    ];
    const all = async () => {
      const results: unknown[] = [];
      for (const [name, ...rest] of commands) {
        const { code, json } = await h.run([name!, '--dir', h.dir, '--json', ...rest]);
        results.push([code, json]);
      }
      return JSON.stringify(results)
        .replaceAll('"connected":true', '"connected":false')
        .replaceAll(',"filesChecked":false', '');
    };
    const alone = await all();
    channel.urls.push('conclave://key@127.0.0.1:1');
    const up = await h.up();
    const through = await all();
    await stopped(up);
    expect(through).toBe(alone);
  });

  test('status and members know who is online', async () => {
    const { h, stop } = await withUp();
    const status = await h.run(['status', '--dir', h.dir, '--json', 'team']);
    expect(status.json[0]).toMatchObject({ state: 'healthy', online: [expect.any(String)] });
    const members = await h.run(['members', '--dir', h.dir, '--json', 'team']);
    expect(members.json[0]).toMatchObject({ online: true });
    await stop();
  });

  test('who is a member, and as what, is changed through it', async () => {
    const { h, channel, stop } = await withUp();
    const user = 'b0b'.padEnd(64, '0') as UserId;
    channel.others.push({ user, name: 'bob', role: 'member', online: true, leads: null });
    const at = { channel: channel.id, user, name: 'bob' };
    const run = async (...argv: string[]) =>
      (await h.run([...argv, '--dir', h.dir, '--json'])).json;
    expect(await run('role', 'team', 'bob', 'admin')).toEqual([{ ...at, role: 'admin' }]);
    expect(channel.others[0]).toMatchObject({ role: 'admin' });
    expect(await run('remove', 'team', 'bob')).toEqual([at]);
    expect(await run('remove', 'team', 'bob')).toMatchObject([{ error: { code: 'not_member' } }]);
    const [{ invite }] = (await run('invite', 'team', '--for', user)) as [{ invite: string }];
    expect(invite).toContain(`"for":"${user}"`);
    expect(await run('leave', 'team')).toEqual([{ channel: channel.id }]);
    expect(channel.removed).toBe(true);
    await stop();
  });

  test('send - streams both ways, far more than the credit', async () => {
    const { h, channel, stop } = await withUp();
    const lines = Array.from({ length: 20 * INPUT_CREDIT + 7 }, (_, i) => `line ${i}`);
    const { code, json } = await h.run(['send', '--dir', h.dir, '--json', 'team', '-'], {
      input: lines.join('\n'),
    });
    expect(code).toBe(0);
    expect(channel.entries.map(({ text }) => text)).toEqual(lines);
    expect(json.map(({ seq }) => seq)).toEqual(lines.map((_, i) => i + 1));
    await stop();
  });

  test('the longest message fits, whatever it consists of', async () => {
    const { h, channel, stop } = await withUp();
    const text = '\u0001'.repeat(65_000);
    const { code } = await h.run(['send', '--dir', h.dir, 'team', '-'], { input: text });
    expect([code, channel.entries[0]!.text === text]).toEqual([0, true]);
    await stop();
  });

  test('what stdin fails with is reported after what was sent', async () => {
    const { h, channel, stop } = await withUp();
    const result = await h.run(['send', '--dir', h.dir, '--json', 'team', '-'], {
      input: `a\n${'x'.repeat(100_000)}\nb\n`,
    });
    expect(result.code).toBe(1);
    expect(result.json).toMatchObject([{ seq: 1 }, { error: { code: 'line_too_long' } }]);
    expect(channel.entries.map(({ text }) => text)).toEqual(['a']);
    await stop();
  });

  test('import', async () => {
    const { h, channel, stop } = await withUp();
    const path = join(h.dir, '2010-01-31.log');
    writeFileSync(path, Array.from({ length: 500 }, (_, i) => `[10:00] <a> ${i}\n`).join(''));
    const argv = ['import', '--dir', h.dir, '--json', 'team', '--irc', path];
    expect((await h.run(argv)).json).toMatchObject([{ imported: 500, skipped: 0 }]);
    expect((await h.run(argv)).json).toMatchObject([{ imported: 0, skipped: 500 }]);
    expect(channel.entries).toHaveLength(500);
    rmSync(path);
    await stop();
  });

  test('a message that waits says why, also through the socket', async () => {
    const { h, channel, stop } = await withUp();
    channel.held = true;
    const sending = h.start(['send', '--dir', h.dir, 'team', 'x']);
    await sending.stderr.shows('waiting: messages need 3 members online, 1 is');
    channel.held = false;
    expect(await sending.done).toBe(0);
    await stop();
  });

  test('a command that goes away stops its handler', async () => {
    const { h, channel, stop } = await withUp();
    channel.held = true;
    const sending = h.start(['send', '--dir', h.dir, 'team', '-']);
    sending.stdin.write('a\n');
    while (channel.entries.length === 0) await new Promise((resolve) => setImmediate(resolve));
    sending.interrupt();
    expect(await sending.done).toBe(130);
    const following = h.start(['tail', '--dir', h.dir, 'team', '--follow']);
    await following.stdout.shows('a (queued)');
    following.interrupt();
    expect(await following.done).toBe(0);
    expect(await stop()).toBe(0);
  });

  test('are told when the node shuts down, and it does not wait for them', async () => {
    const { h, channel, stop } = await withUp();
    channel.held = true;
    const sending = h.start(['send', '--dir', h.dir, '--json', 'team', 'x']);
    const following = h.start(['tail', '--dir', h.dir, '--json', 'team', '--follow']);
    await following.stdout.shows('"queued"');
    expect(await stop()).toBe(0);
    expect([await sending.done, await following.done]).toEqual([1, 1]);
    for (const { stdout } of [sending, following]) {
      expect(errorOf(stdout)).toMatchObject({ code: 'closed' });
    }
  });

  test('fifty at once', async () => {
    const { h, channel, stop } = await withUp();
    const texts = Array.from({ length: 50 }, (_, i) => `text ${i}`);
    const results = await Promise.all(
      texts.map((text) => h.run(['send', '--dir', h.dir, 'team', text])),
    );
    expect(results.map(({ code }) => code)).toEqual(texts.map(() => 0));
    expect(channel.entries.map(({ text }) => text).sort()).toEqual([...texts].sort());
    await stop();
  });
});

describe('what is no command', () => {
  test.each([
    ['no JSON', 'GET / HTTP/1.1\n', 'bad_request'],
    ['bytes', Buffer.from([0xff, 0x00, 0x0a]), 'bad_request'],
    ['a list', '[]\n', 'bad_request'],
    ['null', 'null\n', 'bad_request'],
    ['an object of another kind', '{}\n', 'bad_request'],
    ['an unknown command', '{"call":"nope"}\n', 'unknown_command'],
    ['the name of an inherited property', '{"call":"constructor"}\n', 'unknown_command'],
    ['a call without arguments', '{"call":"send"}\n', 'bad_request'],
    ['a call with a text for arguments', '{"call":"log","args":"x"}\n', 'bad_request'],
    ['arguments of wrong types', '{"call":"log","args":{"channel":1}}\n', 'bad_request'],
    ['input before a call', `${'{"in":1}\n'.repeat(INPUT_CREDIT + 1)}`, 'bad_request'],
    ['a second call', '{"call":"inbox","args":{"follow":true}}\n{"call":"inbox"}\n', 'bad_request'],
    [
      'input without credit',
      `{"call":"inbox","args":{"follow":true}}\n${'{"in":1}\n'.repeat(INPUT_CREDIT + 1)}`,
      'bad_request',
    ],
    [
      'input after its end',
      '{"call":"inbox","args":{"follow":true}}\n{"end":true}\n{"in":1}\n',
      'bad_request',
    ],
    ['a line without end', 'x'.repeat(CALL_LINE_BYTES_MAX + 1), 'line_too_long'],
  ])('%s gets an error, and the node goes on', async (_, bytes, code) => {
    const { h, stop } = await withUp();
    const answer = await answerTo(socketOf(h), bytes);
    expect(JSON.parse(answer)).toMatchObject({ error: { code } });
    expect((await h.run(['status', '--dir', h.dir, '--json'])).json[0]).toMatchObject({ up: true });
    expect(await stop()).toBe(0);
  });

  test('a connection that says nothing does not keep the node up', async () => {
    const { h, stop } = await withUp();
    const silent = connect(socketOf(h));
    await new Promise((resolve) => silent.once('connect', resolve));
    silent.on('error', () => {});
    silent.pause();
    expect(await stop()).toBe(0);
    silent.destroy();
  });

  test('a command that does not read what it asked for slows its handler, nothing else', async () => {
    const { h, channel, stop } = await withUp();
    for (let i = 0; i < 2_000; i++) channel.add({ text: 'x'.repeat(10_000) });
    let read = 0;
    const { read: all } = channel;
    channel.read = async function* (options) {
      for await (const event of all.call(channel, options)) {
        read++;
        yield event;
      }
    };
    const slow = connect(socketOf(h));
    slow.pause();
    slow.write(`{"call":"log","args":{"channel":"${channel.id}"}}\n`);
    while (read === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await h.run(['status', '--dir', h.dir, '--json'])).code).toBe(0);
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBeLessThan(500);
    expect(await stop()).toBe(0);
    slow.destroy();
  });
});
