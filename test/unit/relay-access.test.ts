/**
 * Who may use a relay, and what its operator can look up: allow-list and token
 * in files, registration, the audit log (docs/PROTOCOL.md, sections "Relay
 * registration" and "Relay audit").
 */

import { chmod, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ulid } from '../../src/core/ids.js';
import { Audit } from '../../src/relay/audit.js';
import { RELAY_LIMITS, type Relay, type RelayOptions, startRelay } from '../../src/relay/index.js';
import { temporaryDir } from './fixtures/cli-harness.js';
import { Cluster, seed, statusWhen } from './node-cluster.js';
import { identity, TestChannel } from './relay-channel.js';
import { TestClient } from './relay-client.js';

const [ALICE, BOB, CAROL] = [identity(1), identity(2), identity(3)];
const TOKEN = 'an operator made this up';
const HOST = '127.0.0.1';

let dir: string;
let relay: Relay;
let clients: TestClient[];

const path = (name: string): string => join(dir, name);
const put = (name: string, text: string): Promise<void> => writeFile(path(name), text);

async function start(options: Partial<RelayOptions>): Promise<void> {
  relay = await startRelay({ host: HOST, port: 0, key: seed(), ...options });
}

async function connect(who = ALICE): Promise<TestClient> {
  const client = await TestClient.connect(relay.port, who);
  clients.push(client);
  await client.fence();
  return client;
}

async function refused(who = ALICE): Promise<string> {
  const client = await TestClient.connect(relay.port, who);
  clients.push(client);
  return (await client.next('ERR')).code;
}

beforeEach(() => {
  dir = temporaryDir();
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await relay?.close();
});

describe('an allow-list in a file', () => {
  it('lets its users in and nobody else', async () => {
    await put('allow', `# friends\n${ALICE.user}  # alice\n\n${BOB.user}\n`);
    await start({ allowFile: path('allow') });
    await connect(ALICE);
    await connect(BOB);
    expect(await refused(CAROL)).toBe('not_allowed');
  });

  it('that changed is read again: who is off it is disconnected, the others stay', async () => {
    await put('allow', `${ALICE.user}\n${BOB.user}\n`);
    await start({ allowFile: path('allow') });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    await put('allow', `${ALICE.user}\n${CAROL.user}\n`);
    await relay.reload();
    expect(await bob.next('ERR')).toMatchObject({ code: 'not_allowed' });
    await connect(CAROL);
    await alice.fence();
  });

  it('with a line that is no user is refused, and names the line', async () => {
    await put('allow', `${ALICE.user}\nalice\n`);
    await expect(start({ allowFile: path('allow') })).rejects.toMatchObject({
      code: 'bad_access',
      message: expect.stringContaining(`line 2 of ${path('allow')}`),
    });
    await put('allow', ALICE.user);
    await start({ allowFile: path('allow') });
    await put('allow', 'alice');
    await expect(relay.reload()).rejects.toMatchObject({ code: 'bad_access' });
    await connect(ALICE);
  });
});

describe('a registration token', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = new Cluster();
    await put('token', `${TOKEN}\n`);
  });
  afterEach(() => cluster.stop());

  const isIn = async (token: string | undefined, own = seed()): Promise<string> => {
    const [, key] = /^conclave:\/\/([0-9a-f]+)@/.exec(relay.url)!;
    const relayTokens = token === undefined ? {} : { [key!]: token };
    const node = await cluster.node('ann', { seed: own, relayTokens });
    const channel = await node.create({
      name: 'team',
      relays: [relay.url],
      minOnline: 1,
      few: 'always',
    });
    // Who is sent away sees the handshake succeed first: what comes after a KALIVE counts.
    const { relays } = await statusWhen(channel, ({ relays: [one] }) =>
      token === TOKEN ? one!.connected : one!.problem !== undefined,
    );
    return relays[0]!.problem?.code ?? 'in';
  };

  it('lets in who proves it, and nobody else', async () => {
    await start({ tokenFile: path('token') });
    expect(await isIn(TOKEN)).toBe('in');
    expect(await isIn('a wrong token, as long')).toBe('not_allowed');
    expect(await isIn(undefined)).toBe('not_allowed');
  });

  it('is needed once where there is a list, which keeps who came with it', async () => {
    await put('allow', ALICE.user);
    await start({ tokenFile: path('token'), allowFile: path('allow') });
    const own = seed();
    expect(await isIn(TOKEN, own)).toBe('in');
    await cluster.stop();
    await relay.close();
    const lines = (await readFile(path('allow'), 'utf8')).split('\n').filter((line) => line);
    expect(lines).toHaveLength(2);
    await start({ allowFile: path('allow') });
    const node = await cluster.node('ann', { seed: own });
    expect(lines).toEqual([ALICE.user, node.user]);
    const channel = await node.create({
      name: 'team',
      relays: [relay.url],
      minOnline: 1,
      few: 'always',
    });
    await statusWhen(channel, ({ relays: [one] }) => one!.connected);
  });

  it('that is short is refused', async () => {
    await put('token', 'letmein');
    await expect(start({ tokenFile: path('token') })).rejects.toMatchObject({
      code: 'bad_access',
      message: expect.stringContaining('7 bytes'),
    });
  });
});

describe('the audit log', () => {
  interface Line {
    readonly event: string;
    readonly [field: string]: unknown;
  }
  const linesOf = async (name: string): Promise<Line[]> =>
    (await readFile(path(name), 'utf8'))
      .split('\n')
      .filter((line) => line)
      .map((line) => JSON.parse(line) as Line);

  it('says who came from where, what they hit and how it ended, and nothing that they sent', async () => {
    await put('token', TOKEN);
    await start({
      auditFile: path('audit'),
      limits: { channels_announced_max: 1 },
    });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    const channel = TestChannel.of(ALICE, [BOB]);
    alice.send({ name: 'CH_ROSTER', payload: channel.announcement() });
    alice.send({ name: 'CH_ROSTER', payload: TestChannel.of(ALICE, [], 2).announcement() });
    const msg = new TextEncoder().encode('a secret that nobody should log');
    const payload = {
      from: ALICE.user,
      to: BOB.user,
      msg_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid,
      msg,
    };
    alice.send({ name: 'PV_MSG', payload });
    await bob.next('MSG');
    alice.send({ name: 'DCNN', payload: {} });
    await alice.closed();
    await relay.close();
    const lines = await linesOf('audit');
    const of = (who: typeof ALICE) =>
      lines.filter(({ user }) => user === who.user).map(({ event }) => event);
    expect(of(ALICE)).toEqual(['auth', 'channel', 'limit', 'closed']);
    expect(of(BOB)).toEqual(['auth', 'closed']);
    expect(lines).toContainEqual(
      expect.objectContaining({
        ...{ event: 'limit', limit: 'channels_announced_max', about: 'CH_ROSTER' },
        ...{ address: HOST, connection: 1, time: expect.stringMatching(/^\d{4}-.*Z$/) },
      }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'channel', channel: channel.id }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'closed', reason: 'disconnected', user: ALICE.user }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'closed', reason: 'closing', user: BOB.user }),
    );
    const text = JSON.stringify(lines);
    for (const hidden of ['secret', Buffer.from(msg).toString('hex'), 'nick', TOKEN]) {
      expect(text).not.toContain(hidden);
    }
    if (process.platform !== 'win32') expect((await stat(path('audit'))).mode & 0o777).toBe(0o600);
  });

  it('goes on at its path after it was moved away', async () => {
    await start({ auditFile: path('audit') });
    await connect(ALICE);
    await rename(path('audit'), path('audit.1'));
    await relay.reload();
    await connect(BOB);
    await relay.close();
    const users = async (name: string) =>
      (await linesOf(name)).filter(({ event }) => event === 'auth').map(({ user }) => user);
    expect(await users('audit.1')).toEqual([ALICE.user]);
    expect(await users('audit')).toEqual([BOB.user]);
  });

  it('does not fill the disk: lines over the limit are counted', () => {
    const lines: Line[] = [];
    const now = { ms: 0, wallMs: 1_700_000_000_000 };
    const limits = { ...RELAY_LIMITS, audit_lines_burst: 10, audit_lines_per_s: 1 };
    const audit = new Audit((line) => lines.push(JSON.parse(line)), limits, now);
    const note = (ms: number) =>
      audit.note({ event: 'connect', connection: 1, address: HOST }, { ...now, ms });
    for (let i = 0; i < 1_000; i++) note(0);
    expect(lines).toHaveLength(9);
    note(1_000);
    expect(lines.slice(9).map(({ event, lines: skipped }) => [event, skipped])).toEqual([
      ['skipped', 991],
      ['connect', undefined],
    ]);
  });

  it('that can not be written is a clear error', async () => {
    if (process.getuid?.() !== 0) await chmod(dir, 0o500);
    await expect(start({ auditFile: join(dir, 'absent', 'audit') })).rejects.toMatchObject({
      code: 'audit_failed',
      message: expect.stringContaining('absent'),
    });
  });
});
