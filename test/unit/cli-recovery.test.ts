/**
 * `recovery-key`, `recover` and `replace` as a user runs them: processes, a real
 * relay, and a thief who runs the old key on (docs/SECURITY.md, section "A lost
 * or stolen key").
 */

import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChannelId } from '../../src/core/ids.js';
import { linkIdentity } from '../../src/core/keys.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { makeRecoveryKey } from '../../src/node/index.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import { finish, json, relay, type Spawned, start } from './fixtures/cli-processes.js';
import { LyingRelay } from './lying-relay.js';
import { TestClient } from './relay-client.js';

/** A relay that nobody runs, with the key of one that somebody does. */
const nowhere = (url: string): string => url.replace(/@.*$/, '@127.0.0.1:9');

async function up(dir: string, ...more: string[]): Promise<Spawned> {
  const process = start('up', '--dir', dir, '--json', ...more);
  await process.stdout.shows('"event":"up"');
  return process;
}

async function stop({ child, closed }: Spawned): Promise<void> {
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
}

/** What is wrong with the arguments themselves. */
const MALFORMED = ['usage', 'bad_replace_request'];

/** The error that a command ends with, as `--json` shows it. */
async function errorOf(...argv: string[]): Promise<{ code: string; message: string }> {
  const { code, stdout } = await finish(...argv, '--json');
  const { error } = JSON.parse(stdout.trim().split('\n').at(-1)!);
  expect(code, stdout).toBe(MALFORMED.includes(error.code) ? 2 : 1);
  return error;
}

const textsOf = async (dir: string): Promise<string[]> => {
  const { lines } = await finish('log', '--dir', dir, '--json', 'team');
  return lines.map((line) => JSON.parse(line).text).filter((text) => text !== undefined);
};

const membersOf = async (dir: string): Promise<Record<string, unknown>[]> => {
  const { lines } = await finish('members', '--dir', dir, '--json', 'team');
  return lines.map((line) => JSON.parse(line));
};

interface Team {
  /** Directories. `ann` is the founder's. */
  readonly ann: string;
  readonly bob: string;
  readonly cat: string;
  /** One that has an identity and is in no channel. */
  readonly fresh: string;
  /** A directory for recovery keys. */
  readonly usb: string;
  readonly channel: ChannelId;
  /** Ids. */
  readonly users: { readonly [name: string]: string };
}

/** ann and cat are up; bob has joined, and is not. */
async function team(...relays: string[]): Promise<Team> {
  const root = temporaryDir();
  const [ann, bob, cat, fresh] = ['ann', 'bob', 'cat', 'fresh'].map((name) => join(root, name)) as [
    string,
    string,
    string,
    string,
  ];
  const users: { [name: string]: string } = {};
  const dirs = { ann, bob, cat, 'bob anew': fresh };
  await Promise.all(
    Object.entries(dirs).map(async ([name, dir]) => {
      users[name] = (await json('init', '--dir', dir, '--name', name)).user as string;
    }),
  );
  await Promise.all([up(ann), up(cat)]);
  const named = relays.flatMap((url) => ['--relay', url]);
  const made = await json(
    'create',
    '--dir',
    ann,
    ...named,
    '--min-online',
    '1',
    '--few',
    'always',
    'team',
  );
  const { invite } = await json('invite', '--dir', ann, '--uses', '2', 'team');
  await json('join', '--dir', cat, invite as string);
  await json('join', '--dir', bob, invite as string);
  const usb = temporaryDir('conclave-usb-');
  return { ann, bob, cat, fresh, usb, users, channel: made.channel as ChannelId };
}

describe('each command', () => {
  const COMMANDS = {
    'recovery-key': ['<channel>', '<file>', '--old', '--dir', '--timeout'],
    recover: ['<channel>', '<user>', '--recovery-key', '--dir'],
    replace: ['<channel>', '<user>', '<request>', '--dir', '--timeout'],
  };

  test('explains itself, and is in the list', async () => {
    const [general, ...each] = await Promise.all([
      finish('--help'),
      ...Object.keys(COMMANDS).map((name) => finish(name, '--help')),
    ]);
    for (const [i, [name, words]] of Object.entries(COMMANDS).entries()) {
      const { code, stdout, stderr } = each[i]!;
      expect([code, stderr]).toEqual([0, '']);
      for (const word of words) expect(stdout).toContain(word);
      expect(stdout).toContain(`conclave ${name} --dir`);
      expect(general!.stdout).toMatch(new RegExp(`^ +${name} `, 'm'));
    }
  });

  test('without its arguments is wrong usage', async () => {
    const each = await Promise.all(Object.keys(COMMANDS).map((name) => finish(name, '--json')));
    for (const { code, stdout } of each) {
      expect([code, JSON.parse(stdout).error.code]).toEqual([2, 'usage']);
    }
  });
});

test('a user with a recovery key comes back under a new key, and the thief is out', async () => {
  const { url } = await relay();
  const { ann, bob, cat, fresh, usb, users, channel } = await team(url);
  const file = join(usb, 'bob.recovery');
  const old = users.bob!;
  await json('send', '--dir', bob, 'team', 'from the first bob', '--until', 'final');
  expect(await json('recovery-key', '--dir', bob, 'team', file)).toEqual({
    channel,
    user: old,
    key: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const secret = readFileSync(file, 'utf8').trim();
  expect(await membersOf(ann)).toContainEqual(
    expect.objectContaining({ user: old, recoverable: true }),
  );

  // A thief copies bob's disk; he has a new device, and the file.
  const thief = join(temporaryDir(), 'thief');
  cpSync(bob, thief, { recursive: true });
  const withKey = ['--recovery-key', file];
  const { request } = await json('recover', '--dir', fresh, channel, old, ...withKey);
  expect(request).toMatch(/^conclave-replace\./);
  expect(request).not.toContain(secret);
  const replaced = await json('replace', '--dir', cat, 'team', 'bob', request as string);
  expect(replaced).toEqual({ channel, user: old, name: 'bob', invite: expect.any(String) });
  await json('join', '--dir', fresh, replaced.invite as string);
  await json('send', '--dir', fresh, 'team', 'from the new one', '--until', 'final');

  // By the command, which the relay tells that it is out …
  const sent = await errorOf('send', '--dir', thief, 'team', 'from the thief', '--until', 'final');
  expect(sent.code).toBe('removed');
  const again = await errorOf('send', '--dir', thief, 'team', 'and again');
  expect(again).toMatchObject({
    code: 'removed',
    message: expect.stringMatching(
      /not a member of the channel: another key has its place, [0-9a-f]{8}: cat \([0-9a-f]{8}\) made it so, 20/,
    ),
  });
  const out = (await finish('status', '--dir', thief, 'team')).stdout;
  expect(out).toMatch(/removed +another key has its place.*cat/);
  expect((await finish('log', '--dir', thief, 'team')).stdout).toMatch(
    /--- this node is not in the channel any more: another key has its place/,
  );
  // … and by hand.
  const port = Number(new URL(url).port);
  const { seed } = JSON.parse(readFileSync(join(thief, 'identity.json'), 'utf8'));
  const hands = await TestClient.connect(port, linkIdentity(crypto, Buffer.from(seed, 'hex')));
  onTestFinished(() => hands.destroy());
  expect(hands.user).toBe(old);
  hands.send({
    name: 'CH_COMMIT',
    payload: { id: channel, from: hands.user, cert: new Uint8Array(1) },
  });
  expect(await hands.next('ERR')).toMatchObject({ code: 'not_member', about: 'CH_COMMIT' });

  for (const dir of [ann, cat, fresh]) {
    expect(await textsOf(dir)).toEqual(['from the first bob', 'from the new one']);
  }
  expect(await membersOf(cat)).toContainEqual(
    expect.objectContaining({ user: users['bob anew'], role: 'member', replaces: [old] }),
  );
  expect((await finish('log', '--dir', cat, 'team')).stdout).toMatch(/bob.*bob anew/);
}, 120_000);

test('what the old key signs is refused by members too, through a relay that lets all pass', async () => {
  const { url } = await relay();
  const lets = await LyingRelay.start();
  onTestFinished(() => lets.stop());
  const { ann, bob, cat, fresh, users, channel } = await team(url, lets.url);
  const old = users.bob!;
  lets.carries = () => true;
  const thief = await up(bob, '--relay', nowhere(url));
  // What is written so is taken while the key is a member's.
  await json('send', '--dir', bob, 'team', 'before', '--until', 'final');

  // From now on the thief hears nothing of what it could learn that it is out.
  lets.carries = ({ to }) => to !== old;
  const { request } = await json('recover', '--dir', fresh, channel, old);
  const replaced = await json('replace', '--dir', ann, 'team', 'bob', request as string);
  const waiting = new Set([users.ann!, users.cat!]);
  const haveAll = new Promise<void>((resolve) => {
    lets.carried = ({ says, from, to }) => {
      // It offers its message, or places it itself, once it takes itself for alone.
      if (says && from === old) waiting.delete(to);
      if (waiting.size === 0) resolve();
    };
  });
  start('send', '--dir', bob, 'team', 'from the thief');
  await haveAll;

  await json('join', '--dir', fresh, replaced.invite as string);
  await json('send', '--dir', fresh, 'team', 'from the new one', '--until', 'final');
  for (const dir of [ann, cat, fresh]) {
    expect(await textsOf(dir)).toEqual(['before', 'from the new one']);
  }
  await stop(thief);
}, 120_000);

test('what is wrong is said, with what to do', async () => {
  const { url } = await relay();
  const { ann, bob, cat, fresh, usb, users, channel } = await team(url);
  const [none, kept, other, wrong] = ['none', 'kept', 'other', 'wrong'].map((name) =>
    join(usb, name),
  ) as [string, string, string, string];
  writeFileSync(wrong, makeRecoveryKey().secret);
  const old = users.bob!;
  await Promise.all([up(bob), up(fresh)]);
  await json('recovery-key', '--dir', bob, 'team', kept);
  // They run at once, and each makes its file until it is refused.
  const registers = (file: string) => ['recovery-key', '--dir', bob, 'team', `${other}-${file}`];
  const recovers = ['recover', '--dir', fresh, channel, old];
  const refusals: [argv: string[], code: string, message: RegExp][] = [
    [registers('a'), 'not_allowed', /signature of the one before.*give its file with --old$/],
    [
      [...registers('b'), '--old', wrong],
      'not_allowed',
      /what --old gives is not the one that you have$/,
    ],
    [['recovery-key', '--dir', bob, 'nope', `${other}-c`], 'no_channel', /no channel "nope"/],
    [
      [...registers('d'), '--old', none],
      'no_recovery_key',
      /there is no file .*: name the recovery key/,
    ],
    [[...recovers, '--recovery-key', none], 'no_recovery_key', /there is no file/],
    [[...recovers, '--recovery-key', join(ann, 'identity.json')], 'bad_recovery_key', /give all/],
    [
      ['recover', '--dir', fresh, 'team', old],
      'usage',
      /"team" is not the whole id of a channel.*"conclave status"/,
    ],
    [
      ['recover', '--dir', fresh, channel, 'bob'],
      'usage',
      /"bob" is not the whole id of a user.*"conclave members"/,
    ],
    [['recover', '--dir', bob, 'team', 'nobody'], 'not_member', /conclave members --former/],
    [['recover', '--dir', bob, channel, old], 'same_user', /conclave init/],
  ];
  await Promise.all(
    refusals.map(async ([argv, code, message]) => {
      const error = await errorOf(...argv);
      expect(error, argv.join(' ')).toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }),
  );
  expect(
    [none, ...['a', 'b', 'c', 'd'].map((file) => `${other}-${file}`)].map((path) =>
      existsSync(path),
    ),
  ).toEqual(Array(5).fill(false));

  await json(...registers('e'), '--old', kept);
  const [unsigned, past] = (await Promise.all([
    json(...recovers),
    json(...recovers, '--recovery-key', kept),
  ])) as { request: string }[] as [{ request: string }, { request: string }];
  const replacing = (dir: string, whom: string, request: string) =>
    errorOf('replace', '--dir', dir, 'team', whom, request);
  const [plain, changed, part, another, nobody] = await Promise.all([
    replacing(cat, 'bob', unsigned.request),
    replacing(cat, 'bob', past.request),
    replacing(ann, 'bob', unsigned.request.slice(0, -2)),
    replacing(ann, 'cat', unsigned.request),
    replacing(ann, 'dan', unsigned.request),
  ]);
  expect(plain).toMatchObject({
    code: 'not_allowed',
    message: expect.stringMatching(/recovery key/),
  });
  expect(changed).toMatchObject({
    code: 'not_allowed',
    message: expect.stringMatching(/not the member's recovery key/),
  });
  expect(part).toMatchObject({
    code: 'bad_replace_request',
    message: expect.stringMatching(/not a whole request/),
  });
  expect(another).toMatchObject({
    code: 'bad_replace_request',
    message: expect.stringMatching(/place of .*, not of/),
  });
  expect(nobody).toMatchObject({ code: 'not_member' });
  expect((await membersOf(ann)).map(({ user }) => user)).toContain(old);
}, 120_000);
