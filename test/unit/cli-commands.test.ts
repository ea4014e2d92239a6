/** Each command, without a node that is up: shapes of results, errors and exit codes. */

import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';
import { ConclaveError } from '../../src/core/errors.js';
import type { ChannelId, Digest, Ulid, UserId } from '../../src/core/ids.js';
import { Harness, temporaryDir } from './fixtures/cli-harness.js';

const HEX_32 = /^[0-9a-f]{64}$/;
const URL = 'conclave://key@127.0.0.1:1';
const errorOf = ({ json }: { json: Record<string, unknown>[] }) => json.at(-1)?.error;

describe('usage', () => {
  const program = buildProgram({
    version: '0',
    write: () => {},
    complain: () => {},
    cli: () => {
      throw new Error('no command runs');
    },
  });

  test('the commands of this version, and no others', () => {
    expect(program.commands.map((command) => command.name()).sort()).toEqual(
      [
        ...[
          'relay',
          'init',
          'passphrase',
          'create',
          'invite',
          'join',
          'up',
          'relays',
          'send',
          'tail',
          'log',
        ],
        ...['leave', 'remove', 'role', 'rotate', 'recovery-key', 'recover', 'replace'],
        ...[
          'status',
          'members',
          'explain',
          'prove',
          'check-proof',
          'dm',
          'inbox',
          'verify',
          'backup',
          'restore',
          'doctor',
          'import',
          'export',
          'sim',
          'demo',
        ],
      ].sort(),
    );
  });

  test('an option takes a value in every command that has it, or in none', () => {
    const arity = new Map<string, boolean>();
    for (const { long, required } of program.commands.flatMap(({ options }) => options)) {
      expect(arity.get(long!) ?? required).toBe(required);
      arity.set(long!, required);
    }
  });

  test.each(program.commands.map((command) => command.name()))(
    '%s --help explains it with an example',
    async (name) => {
      const { code, stdout, stderr } = await new Harness().run([name, '--help']);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(new RegExp(`^Usage: conclave ${name} `));
      expect(stdout).toMatch(new RegExp(`\\nExample:\\n +.*conclave ${name}`));
    },
  );

  test.each([
    [[], 'say what to do'],
    [['nope'], "unknown command 'nope'"],
    [['stat', '--dir', 'd'], 'Did you mean status?'],
    [['log', 'team'], "required option '--dir <dir>' not specified"],
    [['log', '--dir', 'd'], "missing required argument 'channel'"],
    [['log', '--dir', 'd', 'team', 'x'], 'too many arguments'],
    [['log', '--dir', 'd', 'team', '--nope'], "unknown option '--nope'"],
    [['log', '--dir', 'd', 'team', '--limit', 'x'], 'whole number from 1'],
    [['log', '--dir', 'd', 'team', '--from', '-1'], 'whole number from 0'],
    [['log', 'team', '--nope'], "unknown option '--nope'"],
    [['log', '--dir', '--nope', 'team', 'x'], 'too many arguments'],
    [['help', 'bogus'], "unknown command 'bogus'"],
    [['send', '--dir', 'd', 'team', '-hi'], 'goes after "--"'],
    [['send', '--dir', 'd', 'team', ' '], 'the message is empty'],
    [['dm', '--dir', 'd', 'ab', ''], 'the message is empty'],
    [
      ['send', '--dir', 'd', 'team', 'x', '--until', 'sent'],
      'Allowed choices are committed, final',
    ],
    [['send', '--dir', 'd', 'team', 'x', '--timeout', '0'], 'is no timeout'],
    [['create', '--dir', 'd', 'team'], 'a channel needs a relay'],
    [['invite', '--dir', 'd', 'team', '--expires', 'soon'], '"soon" is no time'],
    [['invite', '--dir', 'd', 'team', '--expires', '7d', '--revoke', 'x'], 'goes without'],
    [['invite', '--dir', 'd', 'team', '--for', 'ab', '--revoke', 'x'], 'goes without'],
    [['invite', '--dir', 'd', 'team', '--list', '--revoke', 'x'], 'goes without'],
    [['invite', '--dir', 'd', 'team', '--list', '--uses', '2'], 'goes without'],
    [['invite', '--dir', 'd', 'team', '--for', 'ab', '--uses', '2'], 'has one use'],
    [['leave', '--dir', 'd'], "missing required argument 'channel'"],
    [['remove', '--dir', 'd', 'team'], "missing required argument 'user'"],
    [['role', '--dir', 'd', 'team', 'bob', 'founder'], 'say "admin" or "member"'],
    [['relays', '--dir', 'd', 'team', 'drop', URL], '"drop" is not known here'],
    [['relays', '--dir', 'd', 'team', 'add'], 'say which: add URL'],
    [['relay', '--listen', '7420'], 'HOST:PORT'],
    [['relay', '--listen', '127.0.0.1:70000'], 'HOST:PORT'],
    [['export', '--dir', 'd', 'team'], "required option '--format <format>'"],
    [['import', '--dir', 'd', 'team'], "required option '--irc <file>'"],
    [['init', '--dir', 'd', '--name', ' x'], "can't be a name"],
    [['init', '--dir', 'd', '--name', 'ü'.repeat(33)], "can't be a name"],
  ])('%j is wrong usage', async (argv, message) => {
    const plain = await new Harness().run(argv);
    expect([plain.code, plain.stdout]).toEqual([2, '']);
    expect(plain.stderr).toContain(message);
    const { code, json, stderr } = await new Harness().run([...argv, '--json']);
    expect([code, stderr, json.length]).toEqual([2, '', 1]);
    expect(errorOf({ json })).toMatchObject({ code: 'usage' });
  });

  test('help and version are JSON under --json', async () => {
    for (const argv of [['--help'], ['--version'], ['send', '--help']]) {
      const { code, json } = await new Harness().run([...argv, '--json']);
      expect([code, json.length]).toEqual([0, 1]);
    }
  });

  test('options may stand anywhere', async () => {
    const h = new Harness();
    (await h.withChannel()).send('hi');
    const { dir } = h;
    const expected = (await h.run(['log', 'team', '--dir', dir, '--limit', '1', '--json'])).json;
    expect(expected).toHaveLength(1);
    for (const argv of [
      ['--dir', dir, '--limit', '1', '--json', 'log', 'team'],
      ['--json', 'log', '--limit=1', 'team', `--dir=${dir}`],
      ['--limit', '1', 'log', '--json', '--dir', dir, 'team'],
    ]) {
      expect((await h.run(argv)).json).toEqual(expected);
    }
  });
});

describe('init', () => {
  test('makes an identity that only its owner reads, and says what to do next', async () => {
    const h = new Harness(join(temporaryDir(), 'new', 'dir'));
    const { code, stdout } = await h.run(['init', '--dir', h.dir, '--name', 'alice']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^alice {2}[0-9a-f]{64}\nNext: conclave create/);
    expect(statSync(join(h.dir, 'identity.json')).mode & 0o777).toBe(0o600);
    expect(statSync(h.dir).mode & 0o777).toBe(0o700);
  });

  test('never replaces one', async () => {
    const h = new Harness();
    const [{ user }] = (await h.run(['init', '--dir', h.dir, '--json'])).json as [{ user: string }];
    expect(user).toMatch(HEX_32);
    const before = readFileSync(join(h.dir, 'identity.json'), 'utf8');
    const again = await h.run(['init', '--dir', h.dir, '--json']);
    expect([again.code, errorOf(again)]).toMatchObject([1, { code: 'exists' }]);
    expect(readFileSync(join(h.dir, 'identity.json'), 'utf8')).toBe(before);
  });

  test('where the store is gone, keeps the identity and makes a store', async () => {
    const h = new Harness();
    const [{ user }] = (await h.run(['init', '--dir', h.dir, '--name', 'alice', '--json']))
      .json as [{ user: string }];
    const made: string[] = [];
    h.host = {
      hasStore: async () => false,
      createStore: async (dir) => void made.push(dir),
    };
    const renamed = await h.run(['init', '--dir', h.dir, '--name', 'bob', '--json']);
    expect([renamed.code, made]).toEqual([2, []]);
    const { code, stdout } = await h.run(['init', '--dir', h.dir]);
    expect([code, made]).toEqual([0, [h.dir]]);
    expect(stdout).toMatch(new RegExp(`^alice {2}${user}\nThe identity was kept`));
  });

  test('without an identity, or with a damaged one, other commands say so', async () => {
    const h = new Harness();
    const missing = await h.run(['status', '--dir', h.dir, '--json']);
    expect([missing.code, errorOf(missing)]).toMatchObject([1, { code: 'no_identity' }]);
    const told = async (dir: string) => (await h.run(['verify', '--dir', dir])).stderr;
    expect(await told(h.dir)).toContain(`run "conclave init --dir ${h.dir}" first`);
    const file = join(h.dir, 'file');
    writeFileSync(file, '');
    expect(await told(h.dir)).toContain('which holds other files: name the directory of a node');
    expect(await told(file)).toContain(`${file} is no directory: name the directory of a node`);
    await h.run(['init', '--dir', h.dir]);
    const path = join(h.dir, 'identity.json');
    const text = readFileSync(path, 'utf8');
    for (const broken of ['', '{}', 'null', text.replace('"version": 1', '"version": 2')]) {
      writeFileSync(path, broken);
      expect(errorOf(await h.run(['status', '--dir', h.dir, '--json']))).toMatchObject({
        code: 'bad_identity',
      });
    }
    const digit = /"user": "(.)/.exec(text)![1] === '0' ? '1' : '0';
    writeFileSync(path, text.replace(/("user": ").(.*)/, `$1${digit}$2`));
    const other = await h.run(['status', '--dir', h.dir, '--json']);
    expect(errorOf(other)).toMatchObject({ code: 'bad_identity' });
  });
});

describe('channels', () => {
  test('create', async () => {
    const h = new Harness();
    await h.run(['init', '--dir', h.dir]);
    const argv = ['create', '--dir', h.dir, '--json', '--relay', URL, 'team', '--relay', `${URL}2`];
    const { code, json } = await h.run([...argv, '--min-online', '2', '--quorum', 'roster']);
    expect([code, json.length]).toEqual([0, 1]);
    expect(json[0]!.channel).toMatch(HEX_32);
    const { signal: _, ...created } = h.world.created[0]!;
    expect(created).toEqual({
      name: 'team',
      relays: [URL, `${URL}2`],
      minOnline: 2,
      quorum: 'roster',
    });
  });

  test('invite, with uses and an end; revoke', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const before = Date.now();
    const argv = ['invite', '--dir', h.dir, '--json', 'team'];
    const { json } = await h.run([...argv, '--uses', '5', '--expires', '7d']);
    const invite = json[0]!.invite as string;
    const asked = JSON.parse(invite.replace('conclave-invite.', ''));
    expect(asked).toMatchObject({ channel: channel.id, uses: 5 });
    expect(asked.expires - before).toBeGreaterThanOrEqual(7 * 86_400_000);
    expect((await h.run([...argv, '--revoke', invite])).json).toEqual([{ revoked: invite }]);
    expect(channel.invites).toEqual([]);
  });

  test('an option that must be given has no default', async () => {
    const { stdout } = await new Harness().run(['create', '--help']);
    expect(stdout).toMatch(/--relay <url> +required: /);
    expect(stdout).not.toContain('[]');
  });

  test('what takes long says what it waits for, and gives up after --timeout', async () => {
    const h = new Harness();
    (await h.withChannel()).held = true;
    const running = h.start(['invite', '--dir', h.dir, 'team']);
    await running.stderr.shows('waiting: messages need 3 members online, 1 is');
    running.interrupt();
    expect(await running.done).toBe(130);
    const late = await h.run(['invite', '--dir', h.dir, '--json', 'team', '--timeout', '0.05']);
    expect([late.code, errorOf(late)]).toMatchObject([1, { code: 'timeout' }]);
  });

  test('join, which can give up too', async () => {
    const h = new Harness();
    await h.run(['init', '--dir', h.dir]);
    const { json } = await h.run(['join', '--dir', h.dir, '--json', 'conclave-invite.x']);
    expect(json[0]!.channel).toMatch(HEX_32);
    const argv = ['join', '--dir', h.dir, '--json', 'nobody-answers', '--timeout', '0.05'];
    expect(errorOf(await h.run(argv))).toMatchObject({ code: 'timeout' });
  });

  test('relays: list, add, remove, and an address of this node alone', async () => {
    const h = new Harness();
    await h.withChannel();
    const argv = ['relays', '--dir', h.dir, '--json', 'team'];
    expect((await h.run(argv)).json).toEqual([{ url: URL, connected: false }]);
    expect((await h.run([...argv, 'add', 'conclave://b'])).json).toMatchObject([
      { url: URL },
      { url: 'conclave://b' },
    ]);
    expect((await h.run([...argv, 'remove', URL])).json).toMatchObject([{ url: 'conclave://b' }]);
    await h.run([...argv, '--relay', 'conclave://key@127.0.0.1:2']);
    expect(h.world.stores.get(h.dir)!.overrides).toEqual(['conclave://key@127.0.0.1:2']);
  });

  test('a channel is named by its id or, if only one fits, the beginning of that or its name', async () => {
    const h = new Harness();
    const { id } = await h.withChannel();
    const status = async (channel: string) => h.run(['status', '--dir', h.dir, '--json', channel]);
    expect((await status(id)).json[0]!.channel).toBe(id);
    expect((await status('team')).json[0]!.channel).toBe(id);
    expect(errorOf(await status('nope'))).toMatchObject({ code: 'no_channel' });
    expect(errorOf(await status('0'.repeat(64)))).toMatchObject({ code: 'no_channel' });
    expect((await status(id.slice(0, 4))).json[0]!.channel).toBe(id);
    expect(errorOf(await status(id.slice(0, 3)))).toMatchObject({ code: 'no_channel' });
    await h.run(['create', '--dir', h.dir, '--relay', URL, 'team']);
    const short = id.slice(0, 16);
    for (const both of ['team', id.slice(0, 8)]) {
      expect(errorOf(await status(both))).toEqual({
        code: 'ambiguous',
        message: `2 channels fit "${both}": team (${short}), team (${short}). Give more of the id`,
      });
    }
    expect((await status(id.slice(0, 63))).json[0]!.channel).toBe(id);
    // Who founds a channel does not choose what another's id means.
    await h.run(['create', '--dir', h.dir, '--relay', URL, id.slice(0, 63)]);
    expect(errorOf(await status(id.slice(0, 63)))).toMatchObject({ code: 'ambiguous' });
    expect((await status(id)).json[0]!.channel).toBe(id);
  });
});

describe('send', () => {
  const argv = (h: Harness, ...more: string[]) => [
    'send',
    '--dir',
    h.dir,
    '--json',
    'team',
    ...more,
  ];

  test('one message', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const { code, json } = await h.run(argv(h, 'hello, all'));
    expect([code, json]).toEqual([0, [{ id: channel.entries[0]!.id, state: 'final', seq: 1 }]]);
    expect(channel.entries[0]!.text).toBe('hello, all');
  });

  test('a text that begins with "-", after "--"', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    await h.run(['--json', 'send', '--dir', h.dir, 'team', '--', '--json']);
    expect(channel.entries[0]!.text).toBe('--json');
  });

  test('lines of stdin, without the blank ones, results in their order', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const lines = Array.from({ length: 10_000 }, (_, i) => ` line ${i}`);
    const { code, json } = await h.run(argv(h, '-'), { input: `\n${lines.join('\n \n')}\n\t\n` });
    expect(code).toBe(0);
    expect(channel.entries.map(({ text }) => text)).toEqual(lines);
    expect(json.map(({ id }) => id)).toEqual(channel.entries.map(({ id }) => id));
  });

  test('each message goes out when it comes, not when stdin ends', async () => {
    const h = new Harness();
    await h.withChannel();
    const running = h.start(argv(h, '-'));
    running.stdin.write('one\n');
    await running.stdout.shows('"seq":1');
    running.stdin.end('two\n');
    expect(await running.done).toBe(0);
    expect(running.stdout.json).toHaveLength(2);
  });

  test('many under way are bounded', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    let produced = 0;
    const stdin = new PassThrough();
    const feed = (): void => {
      while (produced < 100_000 && stdin.write(`${++produced}\n`));
    };
    stdin.on('drain', feed);
    const running = h.start(argv(h, '-'), { stdin });
    feed();
    while (channel.entries.length < 4_096) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(channel.entries.length).toBe(4_096);
    expect(produced).toBeLessThan(20_000);
    running.interrupt();
    expect(await running.done).toBe(130);
  });

  test('a timeout leaves the messages queued and says so', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    const { code, json } = await h.run(argv(h, '-', '--timeout', '0.05'), { input: 'a\nb\n' });
    expect(code).toBe(1);
    const { code: errorCode, message } = errorOf({ json }) as { code: string; message: string };
    expect(errorCode).toBe('timeout');
    expect(message).toMatch(/need 3 members online.*stays queued.*conclave up/);
    expect(channel.entries.map(({ state }) => state)).toEqual(['queued', 'queued']);
  });

  test('a removed member fails at once', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.removed = true;
    const result = await h.run(argv(h, 'x', '--timeout', '60'));
    expect([result.code, errorOf(result)]).toMatchObject([1, { code: 'removed' }]);
  });

  test('a line that is too long is an error; what was before it goes out', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const result = await h.run(argv(h, '-'), { input: `a\n${'x'.repeat(100_000)}\nb\n` });
    expect([result.code, errorOf(result)]).toMatchObject([1, { code: 'line_too_long' }]);
    expect(channel.entries.map(({ text }) => text)).toEqual(['a']);
    expect(result.json[0]).toMatchObject({ seq: 1 });
  });

  test('drains when it is done, and when it is interrupted', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    await h.run(argv(h, 'x'));
    expect(h.world.drained.at(-1)).toBe(2_000);
    channel.held = true;
    const running = h.start(argv(h, 'y'));
    while (channel.entries.length < 2) await new Promise((resolve) => setImmediate(resolve));
    running.interrupt('SIGTERM');
    expect(await running.done).toBe(143);
    expect(errorOf(running.stdout)).toMatchObject({ code: 'interrupted' });
    expect(h.world.stores.get(h.dir)!.openedBy).toBeUndefined();
  });
});

describe('reading', () => {
  test('log: everything, from a place, a number of entries', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    for (const text of ['a', 'b', 'c']) channel.send(text);
    channel.add({ kind: 'epoch' });
    const log = async (...more: string[]) =>
      (await h.run(['log', '--dir', h.dir, '--json', 'team', ...more])).json;
    const all = await log();
    const { digest: _, ...first } = channel.entries[0]!;
    expect(all[0]).toEqual(first);
    expect(all.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(Object.keys(all[3]!)).toEqual([
      'seq',
      'id',
      'from',
      'name',
      'time',
      'state',
      'kind',
      'epoch',
    ]);
    expect(await log('--from', '3')).toEqual(all.slice(2));
    expect(await log('--limit', '2')).toEqual(all.slice(-2));
  });

  test('log for people: time, nick, text, and the state of what is not final', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.send('one');
    channel.held = true;
    channel.add({ text: 'two\n[2026-01-01 00:00] bob: forged\u001b[2J', name: 'e\u001bve' });
    const { stdout } = await h.run(['log', '--dir', h.dir, 'team']);
    expect(stdout).toBe(
      '[2026-01-02 10:12] alice: one\n' +
        '[2026-01-02 10:13] e␛ve: two␊[2026-01-01 00:00] bob: forged␛[2J (queued)\n',
    );
  });

  test('what an online epoch committed is marked as that', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const epoch = (kind: 'online' | 'roster') => ({ epoch: { term: 4, kind } });
    channel.add({ text: 'one', state: 'committed', ...epoch('online') });
    channel.add({ text: 'two', state: 'committed', ...epoch('roster') });
    const { stdout } = await h.run(['log', '--dir', h.dir, 'team']);
    expect(stdout.split('\n').map((line) => line.split('alice: ')[1])).toEqual([
      'one (committed, online epoch)',
      'two (committed)',
      undefined,
    ]);
    const { json } = await h.run(['log', '--dir', h.dir, '--json', 'team']);
    expect(json.map((line) => line.epoch)).toEqual([
      { term: 4, kind: 'online' },
      { term: 4, kind: 'roster' },
    ]);
  });

  test('colours only on a terminal that wants them', async () => {
    const h = new Harness();
    (await h.withChannel()).send('one');
    const log = async (options: object) =>
      (await h.run(['log', '--dir', h.dir, 'team'], options)).stdout;
    expect(await log({ terminal: true })).toContain('\u001b[');
    expect(await log({ terminal: true, env: { NO_COLOR: '1' } })).not.toContain('\u001b[');
    expect(await log({ terminal: true, env: { TERM: 'dumb' } })).not.toContain('\u001b[');
    expect(await log({})).not.toContain('\u001b[');
  });

  test('tail --follow: entries again when their state grows, until it is stopped', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.send('one');
    const running = h.start(['tail', '--dir', h.dir, '--json', 'team', '--follow']);
    await running.stdout.shows('"one"');
    channel.held = true;
    channel.send('two');
    await running.stdout.shows('"queued"');
    channel.held = false;
    await running.stdout.shows(/"seq":2/);
    running.interrupt();
    expect(await running.done).toBe(0);
    expect(running.stdout.json.map(({ text, state }) => [text, state])).toEqual([
      ['one', 'final'],
      ['two', 'queued'],
      ['two', 'final'],
    ]);
  });

  test('tail for people shows an entry once', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    const running = h.start(['tail', '--dir', h.dir, 'team', '--follow']);
    channel.send('one');
    await running.stdout.shows('one (queued)');
    channel.held = false;
    channel.send('two');
    await running.stdout.shows('two');
    running.interrupt();
    await running.done;
    expect(running.stdout.text.match(/one/g)).toHaveLength(1);
  });

  /** Two messages, and what readers are told of them. */
  async function merged(h: Harness) {
    const channel = await h.withChannel();
    const [one, two] = ['one', 'two'].map((text) => channel.add({ text, from: LEADER }));
    const branches = [
      { kind: 'online', term: 4, leader: LEADER, entries: 1 },
      { kind: 'roster', term: 3, leader: LEADER, entries: 1 },
    ] as const;
    const places = { seq: 7, by: LEADER, entries: 2, first: 8, last: 9, branches };
    channel.news.push(
      { type: 'moved', entry: two!, after: one!, cursor: '' },
      { type: 'moved', entry: one!, after: null, cursor: '' },
      { type: 'merged', ...places, cursor: '' },
    );
    return { one: one!, two: two!, places };
  }
  const LEADER = 'ab'.repeat(32) as UserId;

  test('log and tail tell what moved, and what was merged', async () => {
    const h = new Harness();
    const { one, two, places } = await merged(h);
    for (const command of ['log', 'tail']) {
      const { json } = await h.run([command, '--dir', h.dir, '--json', 'team']);
      expect(json.slice(2)).toEqual([
        { event: 'moved', id: two.id, after: one.id },
        { event: 'moved', id: one.id, after: null },
        {
          ...{ event: 'merged', ...places },
          branches: places.branches.map((one) => ({ ...one, leaderName: 'abababab' })),
        },
      ]);
    }
  });

  test('a merge comes before what it brought, with the names of its leaders', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const branches = [{ kind: 'online', term: 4, leader: LEADER, entries: 1 }] as const;
    channel.add({ kind: 'merge', merge: { entries: 1, branches } });
    channel.add({ text: 'one' });
    for (const command of ['log', 'tail']) {
      const { stdout } = await h.run([command, '--dir', h.dir, 'team']);
      expect(stdout.split('\n')).toEqual([
        '--- alice merged 1 message of online term 4 under abababab: in the log at 2',
        '[2026-01-02 10:13] alice: one',
        '',
      ]);
    }
    const { json } = await h.run([
      'log',
      '--dir',
      h.dir,
      '--json',
      'team',
      '--limit',
      '1',
      '--from',
      '1',
    ]);
    expect(json).toMatchObject([
      { kind: 'merge', merge: { branches: [{ leaderName: 'abababab' }] } },
    ]);
  });

  test('log --limit counts what is shown', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    for (const kind of ['epoch', 'vote']) channel.add({ kind });
    for (const text of ['a', 'b', 'c']) channel.send(text);
    const log = async (...more: string[]): Promise<string[]> => {
      const { stdout } = await h.run(['log', '--dir', h.dir, 'team', '--limit', '2', ...more]);
      return stdout.trimEnd().split('\n');
    };
    expect((await log()).map((line) => line.at(-1))).toEqual(['b', 'c']);
    expect((await log('--json')).map((line) => JSON.parse(line).seq)).toEqual([4, 5]);
    expect((await log('--from', '1')).map((line) => line.at(-1))).toEqual(['a', 'b']);
    expect(await log('--long', '--from', '1')).toEqual([
      expect.stringMatching(/alice leads$/),
      expect.stringMatching(/has a vote now$/),
    ]);
    for (let i = 0; i < 20; i++) channel.add({ kind: 'epoch' });
    expect((await log()).map((line) => line.at(-1))).toEqual(['b', 'c']);
    channel.held = true;
    channel.send('d');
    expect(await log()).toEqual([
      expect.stringMatching(/c$/),
      expect.stringMatching(/d \(queued\)$/),
    ]);
    const { stdout } = await h.run(['log', '--dir', h.dir, 'team', '--limit', '99']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(4);
  });

  test('an export has the entries alone', async () => {
    const h = new Harness();
    await merged(h);
    const { stdout } = await h.run(['export', '--dir', h.dir, 'team', '--format', 'jsonl']);
    expect(stdout.trim().split('\n')).toHaveLength(2);
  });

  test('a reader that goes away ends it quietly', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    for (let i = 0; i < 100; i++) channel.send('x'.repeat(1_000));
    let taken = 0;
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        taken++;
        done(taken > 2 ? Object.assign(new Error('gone'), { code: 'EPIPE' }) : null);
      },
    });
    const { code, stderr } = await h.run(['tail', '--dir', h.dir, 'team', '--follow'], { stdout });
    expect([code, stderr]).toEqual([0, '']);
    expect(h.world.stores.get(h.dir)!.openedBy).toBeUndefined();
  });
});

test('a relay does not settle in the directory of a node', async () => {
  const h = new Harness();
  await h.run(['init', '--dir', h.dir]);
  const { code, stderr } = await h.run(['relay', '--dir', h.dir]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('is the directory of a node')]);
});

test('create warns of a channel of the same name', async () => {
  const h = new Harness();
  await h.withChannel();
  const create = ['create', '--dir', h.dir, '--relay', URL, 'team'];
  const { code, stdout } = await h.run(create);
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/\nwarning: .* of that name: .* the id/),
  ]);
  const { json } = await h.run([...create, '--json']);
  expect(json).toEqual([{ channel: expect.any(String), warnings: [expect.any(String)] }]);
});

describe('reports', () => {
  test('status of the node and of a channel, when no node is up', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.send('x');
    const { user } = h.world.stores.get(h.dir)!;
    const expected = {
      ...{ channel: channel.id, name: 'team', relays: [{ url: URL, connected: false }] },
      ...{ members: 1, minOnline: 1, online: [], leader: null, leaderName: null },
      ...{ epoch: { term: 1, kind: 'roster' } },
      ...{ state: 'offline', waiting: null, queued: 0, sent: 0, committed: 0, final: 1 },
      head: `${'0'.repeat(63)}1`,
      misbehaved: [],
    };
    const one = await h.run(['status', '--dir', h.dir, '--json', 'team']);
    expect(one.json).toEqual([expected]);
    const all = await h.run(['status', '--dir', h.dir, '--json']);
    expect(all.json).toEqual([{ user, name: 'alice', up: false, channels: [expected] }]);
    expect((await h.run(['status', '--dir', h.dir])).stdout).toMatch(/not up\n\nteam {2}offline\n/);
  });

  const other = (start: string, name: string) => ({
    ...{ user: start.padEnd(64, '0') as UserId, name, role: 'member' as const },
    ...{ online: true, leads: null },
  });
  const bob = other('b0b1', 'bob');
  const cat = other('b0b2', 'cat');

  test('remove and role take an id, the beginning of one, or a name', async () => {
    for (const wanted of ['bob', 'b0b1', bob.user]) {
      const h = new Harness();
      const channel = await h.withChannel();
      channel.others.push(bob, cat);
      const at = { channel: channel.id, user: bob.user, name: 'bob' };
      const role = await h.run(['role', '--dir', h.dir, '--json', 'team', wanted, 'admin']);
      expect([role.code, role.json]).toEqual([0, [{ ...at, role: 'admin' }]]);
      expect(channel.others[0]).toMatchObject({ name: 'bob', role: 'admin' });
      const plain = await h.run(['members', '--dir', h.dir, 'team']);
      expect(plain.stdout).toMatch(/bob +admin/);
      const removed = await h.run(['remove', '--dir', h.dir, '--json', 'team', wanted]);
      expect([removed.code, removed.json]).toEqual([0, [at]]);
      expect(channel.others).toEqual([cat]);
    }
  });

  test('who leaves too few for messages is told, and status says so when nobody is up', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.others.push(bob, cat);
    channel.minOnline = 3;
    const plain = (await h.run(['status', '--dir', h.dir, 'team'])).stdout;
    expect(plain).toMatch(/members +3, 0 online\n/);
    const remove = ['remove', '--dir', h.dir, 'team'];
    const { json } = await h.run([...remove, 'bob', '--json']);
    const warning = (those: string, needed: string): string =>
      `${those}, and messages need 3 online: none is placed until ${needed}. "conclave invite" invites them`;
    expect(json[0]!.warnings).toEqual([warning('2 members are left', 'another one joins')]);
    const { stdout } = await h.run([...remove, 'cat']);
    expect(stdout).toBe(
      `removed cat (b0b20000)\nwarning: ${warning('1 member is left', '2 more join')}\n`,
    );
    const alone = (await h.run(['status', '--dir', h.dir, 'team'])).stdout;
    expect(alone).toMatch(/members +1, 0 online; messages need 3 members online\n/);
    expect((await h.run(['leave', '--dir', h.dir, 'team'])).stdout).toMatch(
      /^left team\nwarning: /,
    );
  });

  test('remove tells of open invitations, which can be listed, and revoked by their ids', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.others.push(bob);
    const by = { user: cat.user, name: 'cat' };
    const id = (start: string) => start.padEnd(64, '0') as UserId;
    const expires = Date.UTC(2030, 0, 31);
    const open = [
      { id: id('ab01'), by, uses: 1 },
      { id: id('ab02'), by, uses: 4, expires },
    ];
    const named = { id: id('ab03'), by, uses: 1, for: { user: id('da'), name: 'dan' } };
    channel.open.push(...open, named);
    const removed = await h.run(['remove', '--dir', h.dir, 'team', 'bob']);
    const revoke = `conclave invite --dir ${h.dir} team --revoke`;
    expect(removed.stdout.split('\n')).toEqual([
      'removed bob (b0b10000)',
      'warning: 2 invitations are open: who has one can join, under a new identity too. To end it:',
      `  by cat (b0b20000), 1 use left: ${revoke} ab010000`,
      `  by cat (b0b20000), 4 uses left, until 2030-01-31 00:00: ${revoke} ab020000`,
      '',
    ]);
    const list = ['invite', '--dir', h.dir, 'team', '--list'];
    expect((await h.run([...list, '--json'])).json).toEqual([...open, named]);
    expect((await h.run(list)).stdout.split('\n')[2]).toBe(
      'ab030000  by cat (b0b20000), 1 use left, for dan (da000000) alone',
    );
    const revokes = (which: string) =>
      h.run(['invite', '--dir', h.dir, 'team', '--json', '--revoke', which]);
    expect(errorOf(await revokes('ab00'))).toMatchObject({ code: 'invite_not_open' });
    expect((await revokes('ab010000')).json).toEqual([{ revoked: 'ab010000' }]);
    expect(channel.open.map((one) => one.id)).toEqual([id('ab02'), id('ab03')]);
    channel.open.push({ ...named, id: id('ab02ff') });
    expect(errorOf(await revokes('ab02'))).toMatchObject({ code: 'ambiguous' });
  });

  test('who was a member is shown, invited back and kept out by name', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const gone = (start: string, name: string, removed: boolean, replacedBy?: UserId) => ({
      ...{ user: start.padEnd(64, '0') as UserId, name, removed },
      ...(replacedBy && { replacedBy }),
    });
    const dan = gone('da01', 'dan', true);
    const eve = gone('ef01', 'eve', false);
    const old = gone('b0b0', 'bob', true, bob.user);
    channel.others.push(bob);
    channel.gone.push(dan, eve, old);
    const members = ['members', '--dir', h.dir, 'team'];
    expect((await h.run([...members, '--json'])).json).toHaveLength(2);
    const all = (await h.run([...members, '--former', '--json'])).json;
    expect(all.slice(2)).toEqual([dan, eve, old].map((one) => ({ ...one, former: true })));
    expect((await h.run([...members, '--former'])).stdout.split('\n').slice(2)).toEqual([
      `- dan                  removed  ${dan.user}`,
      `- eve                  left     ${eve.user}`,
      `- bob                  replaced ${old.user}  (by b0b10000)`,
      '',
    ]);
    const invite = (whom: string) =>
      h.run(['invite', '--dir', h.dir, 'team', '--json', '--for', whom]);
    for (const whom of ['dan', 'da01', dan.user]) {
      const { json } = await invite(whom);
      expect(json[0]!.for).toEqual({ user: dan.user, name: 'dan' });
      expect(json[0]!.invite).toContain(dan.user);
    }
    const stranger = 'ab'.repeat(32);
    expect((await invite(stranger)).json[0]!.for).toEqual({ user: stranger, name: '' });
    expect(errorOf(await invite('bob'))).toEqual({
      code: 'already_member',
      message: 'bob (b0b1000000000000) is a member, and needs no invitation',
    });
    expect(errorOf(await invite('nobody'))).toMatchObject({
      code: 'not_member',
      message: expect.stringContaining('"conclave members --former" shows who was'),
    });
    await h.run(['remove', '--dir', h.dir, 'team', 'eve']);
    expect(channel.gone.find(({ name }) => name === 'eve')!.removed).toBe(true);
  });

  test('recovery-key keeps its file where the key may be registered yet, and says how to use it', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const file = join(h.dir, 'ann.recovery');
    const argv = ['recovery-key', '--dir', h.dir, 'team', file];
    channel.held = true;
    const late = await h.run([...argv, '--timeout', '0.05', '--json']);
    expect(errorOf(late)).toEqual({
      code: 'timeout',
      message: expect.stringMatching(
        /ann\.recovery may be registered yet: keep it, and run the same/,
      ),
    });
    const kept = readFileSync(file, 'utf8');
    channel.held = false;
    const { stdout } = await h.run(argv);
    const { user } = JSON.parse(readFileSync(join(h.dir, 'identity.json'), 'utf8'));
    expect(stdout).toContain(
      `conclave recover --dir NEW ${channel.id} ${user} --recovery-key ${file}\n`,
    );
    expect(readFileSync(file, 'utf8')).toBe(kept);
  });

  test('rotate makes a new key', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const rotated = await h.run(['rotate', '--dir', h.dir, '--json', 'team']);
    expect([rotated.code, rotated.json]).toEqual([0, [{ channel: channel.id }]]);
    expect((await h.run(['rotate', '--dir', h.dir, 'team'])).stdout).toBe('team has a new key\n');
    expect(channel.rotations).toBe(2);
  });

  test('log and tail say what can not be read, and tell it again once it can', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    await channel.send('later').stored;
    const [{ text: _, ...entry }] = channel.entries as [(typeof channel.entries)[0]];
    channel.entries.splice(0, 1, { ...entry, sealed: true });
    channel.news.push({ type: 'opened', entry: { ...entry, text: 'later' }, cursor: '' });
    const { json } = await h.run(['log', '--dir', h.dir, '--json', 'team']);
    expect(json).toMatchObject([{ sealed: true }, { event: 'opened', text: 'later' }]);
    expect(json[0]).not.toHaveProperty('text');
    const { stdout } = await h.run(['log', '--dir', h.dir, 'team']);
    expect(stdout).toMatch(/wrote something that this node has no key for\n.*: later/);
  });

  test('remove and role change nothing where it is not clear whom', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const namesake = other('c0ffee', 'bob');
    const liar = other('d00d', cat.user);
    channel.others.push(bob, cat, namesake, liar);
    const wrong: [string, string, RegExp][] = [
      ['bob', 'ambiguous_user', /2 members fit "bob": bob \(b0b10{12}\), bob \(c0ffee0{10}\)/],
      ['b0b', 'not_member', /no member of the channel fits "b0b"/],
      ['B0B1', 'not_member', /fits "B0B1"/],
      ['dan', 'not_member', /"conclave members" shows who/],
      ['ab'.repeat(32), 'not_member', /no member/],
    ];
    for (const [wanted, code, message] of wrong) {
      const asked = [
        ['remove', '--dir', h.dir, '--json', 'team', wanted],
        ['role', '--dir', h.dir, '--json', 'team', wanted, 'admin'],
      ];
      for (const argv of asked) {
        const result = await h.run(argv);
        expect(result.code).toBe(1);
        expect(errorOf(result)).toMatchObject({ code, message: expect.stringMatching(message) });
      }
    }
    channel.others.push(other('b0b1ff', 'eve'));
    expect(
      errorOf(await h.run(['remove', '--dir', h.dir, '--json', 'team', 'b0b1'])),
    ).toMatchObject({ code: 'ambiguous_user' });
    expect(channel.others).toHaveLength(5);
    // Nobody takes another's place by its name.
    await h.run(['remove', '--dir', h.dir, 'team', cat.user]);
    expect(channel.others.map((one) => one.name)).toEqual(['bob', 'bob', cat.user, 'eve']);
  });

  test('leave, and what people are told of all three', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.others.push(bob);
    const role = await h.run(['role', '--dir', h.dir, 'team', 'bob', 'member']);
    expect(role.stdout).toBe('bob (b0b10000) is a plain member\n');
    const removed = await h.run(['remove', '--dir', h.dir, 'team', 'bob']);
    expect(removed.stdout).toBe('removed bob (b0b10000)\n');
    const left = await h.run(['leave', '--dir', h.dir, 'team']);
    expect([left.code, left.stdout]).toEqual([0, 'left team\n']);
    const status = await h.run(['status', '--dir', h.dir, '--json', 'team']);
    expect(status.json[0]).toMatchObject({ state: 'removed' });
  });

  test('remove that is not done in time says what it waits for', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.others.push(bob);
    channel.held = true;
    const result = await h.run([
      ...['remove', '--dir', h.dir, '--json', '--timeout', '0.05', 'team', 'bob'],
    ]);
    expect(errorOf(result)).toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/may still come into force later.*need 3 members online/),
    });
  });

  test('members', async () => {
    const h = new Harness();
    await h.withChannel();
    const { user } = h.world.stores.get(h.dir)!;
    const { json } = await h.run(['members', '--dir', h.dir, '--json', 'team']);
    expect(json).toEqual([{ user, name: 'alice', role: 'founder', online: false, leads: null }]);
  });

  const report = (ok: boolean) => ({
    channel: 'c0'.repeat(32) as ChannelId,
    ok,
    entries: 7,
    final: 6,
    head: 'ab'.repeat(32) as Digest,
    problems: ok ? [] : [{ where: 'entry 3', what: 'a wrong signature' }],
  });

  test('verify: fine', async () => {
    const h = new Harness();
    await h.withChannel();
    const none = await h.run(['verify', '--dir', h.dir, '--json']);
    expect([none.code, none.json]).toMatchObject([0, [{ ok: true, entries: 0, final: 0 }]]);
    const empty = await h.run(['verify', '--dir', h.dir]);
    expect(empty.stdout).toBe('ok  there are no channels\n');
    h.world.stores.get(h.dir)!.reports = [{ ...report(true), name: 'team' }];
    const { code, json } = await h.run(['verify', '--dir', h.dir, '--json']);
    expect([code, json]).toEqual([0, [{ ...report(true), name: 'team' }]]);
    const { stdout } = await h.run(['verify', '--dir', h.dir]);
    expect(stdout).toMatch(
      /^ok {2}channel team \(c0c0c0c0\): 7 messages, 6 of them final, head abab/,
    );
  });

  test('verify: a channel that does not verify', async () => {
    const h = new Harness();
    await h.withChannel();
    h.world.stores.get(h.dir)!.reports = [report(true), report(false)];
    const { code, json } = await h.run(['verify', '--dir', h.dir, '--json']);
    expect([code, json.slice(0, 2)]).toEqual([1, [report(true), report(false)]]);
    expect(errorOf({ json })).toMatchObject({
      code: 'verify_failed',
      message: expect.stringContaining('entry 3: a wrong signature'),
    });
    const plain = await h.run(['verify', '--dir', h.dir]);
    expect(plain.stdout).toContain('BROKEN');
    expect(plain.stderr.match(/restore a backup/gi)).toHaveLength(1);
  });

  test('verify: damaged files, and a store that does not open', async () => {
    const h = new Harness();
    await h.withChannel();
    h.problems = [{ where: '000005.ldb', what: 'a block is damaged' }];
    const damaged = await h.run(['verify', '--dir', h.dir, '--json']);
    expect(damaged.code).toBe(1);
    expect(damaged.json).toMatchObject([
      { ok: false, problems: h.problems },
      { error: { code: 'verify_failed' } },
    ]);
    const whole = `the store in ${join(h.dir, 'store')} is damaged: its mark is missing. Restore a backup`;
    h.problems = [{ where: 'store_damaged', what: whole }];
    const { stderr } = await h.run(['verify', '--dir', h.dir]);
    expect(stderr).toMatch(`conclave: ${whole}\n`);
    h.problems = [];
    h.host = {
      verifyStore: () => Promise.reject(new ConclaveError('store_foreign', 'its mark is missing')),
    };
    const closed = await h.run(['verify', '--dir', h.dir, '--json']);
    expect([closed.code, errorOf(closed)]).toMatchObject([1, { code: 'store_foreign' }]);
  });

  test('verify: damaged files and channels, each named', async () => {
    const h = new Harness();
    await h.withChannel();
    const problems = [{ where: 'node/boot', what: 'an encoding ends too early' }];
    h.host = {
      verifyStore: async () => ({ ok: false, problems, channels: [report(true)] }),
    };
    const { code, json } = await h.run(['verify', '--dir', h.dir, '--json']);
    expect([code, json.slice(0, 2)]).toEqual([1, [{ ok: false, problems }, report(true)]]);
    expect(errorOf({ json })).toMatchObject({ code: 'verify_failed' });
  });

  test('verify: one channel, by its name', async () => {
    const h = new Harness();
    const { id } = await h.withChannel();
    const mine = { ...report(true), channel: id };
    h.world.stores.get(h.dir)!.reports = [report(true), mine];
    const one = await h.run(['verify', '--dir', h.dir, '--json', 'team']);
    expect(one.json).toEqual([mine]);
    const other = await h.run(['verify', '--dir', h.dir, '--json', 'nope']);
    expect([other.code, errorOf(other)]).toMatchObject([1, { code: 'no_channel' }]);
  });

  test('verify: by the node that is up', async () => {
    const h = new Harness();
    await h.withChannel();
    h.world.stores.get(h.dir)!.reports = [report(true)];
    const up = await h.up();
    h.host = { verifyStore: () => Promise.reject(new Error('the store is open')) };
    const { code, json } = await h.run(['verify', '--dir', h.dir, '--json']);
    expect([code, json]).toEqual([0, [{ ...report(true), filesChecked: false }]]);
    const { stdout } = await h.run(['verify', '--dir', h.dir]);
    expect(stdout).toMatch(/^ok, files not checked while the node is up {2}channel c0c0/);
    up.interrupt();
    await up.done;
  });
});

describe('private messages', () => {
  const USER = '0b'.repeat(32);

  test('dm and inbox', async () => {
    const h = new Harness();
    await h.withChannel();
    const { json } = await h.run(['dm', '--dir', h.dir, '--json', USER, 'psst']);
    const [message] = h.world.stores.get(h.dir)!.inbox;
    expect(json).toEqual([message]);
    expect(Object.keys(json[0]!)).toEqual(['id', 'from', 'to', 'time', 'state', 'text', 'digest']);
    expect((await h.run(['inbox', '--dir', h.dir, '--json'])).json).toEqual([message]);
    expect((await h.run(['inbox', '--dir', h.dir, '--json', USER])).json).toEqual([message]);
    expect((await h.run(['inbox', '--dir', h.dir, '--json', '0'.repeat(64)])).json).toEqual([]);
  });

  test('who has a name in a channel is named, with the id that the name has not', async () => {
    const h = new Harness();
    await h.withChannel();
    const { user, inbox } = h.world.stores.get(h.dir)!;
    inbox.push({
      ...{ id: ULID, from: user, to: user, time: 0 },
      state: 'received',
      text: 'psst',
      digest: '0d'.repeat(32) as Digest,
    });
    const { json } = await h.run(['inbox', '--dir', h.dir, '--json']);
    expect(json).toMatchObject([{ from: user, name: 'alice' }]);
    const { stdout } = await h.run(['inbox', '--dir', h.dir]);
    expect(stdout).toContain(` from alice (${user.slice(0, 8)}): psst`);
  });
  const ULID = '01HZX3M5Q9V8T2K4B6N7P0R1SC' as Ulid;

  test('one that is not delivered in time stays queued', async () => {
    const h = new Harness();
    await h.withChannel();
    const argv = ['dm', '--dir', h.dir, '--json', USER, 'psst', '--until', 'delivered'];
    const late = await h.run([...argv, '--timeout', '0.05']);
    expect([late.code, errorOf(late)]).toMatchObject([1, { code: 'timeout' }]);
    expect(errorOf(late)).toMatchObject({
      message: expect.stringMatching(
        /not delivered yet \(the receiver is away\)\. It stays queued/,
      ),
    });
  });

  test('one that is to be stored waits for nobody', async () => {
    const h = new Harness();
    await h.withChannel();
    const stored = await h.run(['dm', '--dir', h.dir, '--json', USER, 'psst', '--until', 'stored']);
    expect([stored.code, stored.json]).toMatchObject([0, [{ to: USER, text: 'psst' }]]);
  });

  test('a member of any channel is found by its name or the beginning of its id', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const user = 'b0b1'.padEnd(64, '0') as UserId;
    channel.others.push({ user, name: 'bob', role: 'member', online: true, leads: null });
    for (const wanted of ['bob', 'b0b1', user]) {
      const { json } = await h.run(['dm', '--dir', h.dir, '--json', wanted, 'psst']);
      expect(json).toMatchObject([{ to: user, name: 'bob' }]);
    }
    expect((await h.run(['inbox', '--dir', h.dir, '--json', 'bob'])).json.length).toBe(3);
    const unknown = await h.run(['dm', '--dir', h.dir, '--json', 'eve', 'psst']);
    expect([unknown.code, errorOf(unknown)]).toMatchObject([1, { code: 'not_member' }]);
    expect(errorOf(unknown)).toMatchObject({
      message: expect.stringMatching(/no member of this node's channels fits "eve"/),
    });
  });

  test('inbox --follow goes on until it is stopped', async () => {
    const h = new Harness();
    await h.withChannel();
    const running = h.start(['inbox', '--dir', h.dir, '--follow']);
    running.interrupt();
    expect(await running.done).toBe(0);
  });
});

describe('import', () => {
  const LOG = '[10:00] <a> x\n=== y\n\n[10:01]  * b waves\n[10:01]  * b waves\n';
  const file = (name: string, content = LOG): string => {
    const path = join(temporaryDir(), name);
    writeFileSync(path, content);
    return path;
  };

  test('posts messages once, with nick and time, and counts the rest', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const path = file('2010-01-31.log');
    const argv = ['import', '--dir', h.dir, '--json', 'team', '--irc', path];
    const counts = { file: path, system: 1, other: 1, queued: 0 };
    expect((await h.run(argv)).json).toEqual([{ ...counts, imported: 3, skipped: 0 }]);
    expect(channel.entries.map(({ name, text, time }) => [name, text, time])).toEqual([
      ['a', 'x', Date.UTC(2010, 0, 31, 10, 0)],
      ['b', '/me waves', Date.UTC(2010, 0, 31, 10, 1)],
      ['b', '/me waves', Date.UTC(2010, 0, 31, 10, 1)],
    ]);
    expect((await h.run(argv)).json).toEqual([{ ...counts, imported: 0, skipped: 3 }]);
    expect(channel.entries).toHaveLength(3);
  });

  test('several files, by --irc and as a shell lists them', async () => {
    const h = new Harness();
    await h.withChannel();
    const paths = ['2010-01-01', '2010-01-02', '2010-01-03'].map((day) =>
      file(day, `${LOG}${day}`),
    );
    const [a, b, c] = paths as [string, string, string];
    const twice = ['import', '--dir', h.dir, '--json', '--irc', a, 'team', '--irc', b];
    expect((await h.run(twice)).json.map(({ file }) => file)).toEqual([a, b]);
    const listed = ['import', '--dir', h.dir, '--json', 'team', '--irc', a, b, c];
    expect((await h.run(listed)).json.map(({ imported }) => imported)).toEqual([0, 0, 3]);
  });

  test('says which day it takes when the name has none', async () => {
    const h = new Harness();
    await h.withChannel();
    const { stderr } = await h.run(['import', '--dir', h.dir, 'team', '--irc', file('chat.log')]);
    expect(stderr).toMatch(/chat\.log: no date in the name.*: \d{4}-\d{2}-\d{2}\n/);
  });

  test('can wait until everything is committed', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    channel.held = true;
    const path = file('2010-01-31.log');
    const running = h.start(
      ['import', '--dir', h.dir, 'team', '--irc', path, '--until', 'committed'],
      { terminal: true },
    );
    await running.stderr.shows('messages not committed yet: 3');
    channel.held = false;
    expect(await running.done).toBe(0);
  });

  test('a file that can not be read is an error before anything is posted', async () => {
    const h = new Harness();
    const channel = await h.withChannel();
    const missing = join(h.dir, 'nope');
    const result = await h.run(['import', '--dir', h.dir, '--json', 'team', '--irc', missing]);
    expect([result.code, errorOf(result)]).toMatchObject([1, { code: 'bad_file' }]);
    expect(channel.entries).toEqual([]);
  });
});

describe('relay', () => {
  test('says its URL first, and drains when it is stopped', async () => {
    const h = new Harness();
    const asked: object[] = [];
    let closed = 0;
    h.host = {
      startRelay: async (options) => {
        const { log: _, ...rest } = options;
        asked.push(rest);
        return {
          url: 'conclave://k@[::1]:9',
          metricsPort: 8,
          reload: async () => {},
          close: async () => void closed++,
        };
      },
    };
    const running = h.start(['relay', '--json', '--listen', '[::1]:0', '--metrics', 'localhost:0']);
    await running.stdout.shows('listening');
    expect(closed).toBe(0);
    running.interrupt('SIGTERM');
    expect(await running.done).toBe(0);
    expect(closed).toBe(1);
    expect(asked).toEqual([{ host: '::1', port: 0, metrics: { host: 'localhost', port: 0 } }]);
    expect(running.stdout.json).toEqual([
      { event: 'listening', url: 'conclave://k@[::1]:9', metrics: 'http://localhost:8/metrics' },
    ]);
  });
});

describe('failures', () => {
  test('an unexpected one is reported as that, in one line of JSON', async () => {
    const h = new Harness();
    await h.withChannel();
    h.host = { openNode: () => Promise.reject(new TypeError('x is not a function')) };
    const result = await h.run(['log', '--dir', h.dir, '--json', 'team']);
    expect([result.code, errorOf(result)]).toMatchObject([1, { code: 'internal' }]);
    expect(result.stderr).toContain('x is not a function');
  });

  test('a message from elsewhere can not control the terminal', async () => {
    const h = new Harness();
    await h.withChannel();
    const { stderr } = await h.run(['log', '--dir', h.dir, 'x\u001b[2J']);
    expect(stderr).toContain('x␛[2J');
  });
});
