/**
 * The relay on real sockets: receivers that don't read, floods of garbage,
 * draining, metrics. Nothing here depends on how fast anything is.
 */

import { connect as connectTcp, type Socket } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outgoing } from '../../src/core/commands.js';
import type { Ulid } from '../../src/core/ids.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { type Relay, type RelayOptions, startRelay } from '../../src/relay/index.js';
import { identity, TestChannel } from './relay-channel.js';
import { random, TestClient } from './relay-client.js';

const [ALICE, BOB, CAROL] = [identity(1), identity(2), identity(3)];
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid;
const KiB = 1_024;
const HOST = '127.0.0.1';

let relay: Relay;
let clients: TestClient[] = [];
let logged: { msg: string; [field: string]: unknown }[] = [];

const log = pino({ level: 'debug' }, { write: (line) => logged.push(JSON.parse(line)) });

async function start(options: Partial<RelayOptions> = {}): Promise<void> {
  const key = new Uint8Array(32).fill(9);
  relay = await startRelay({ host: HOST, port: 0, key, crypto, log, ...options });
}

async function connect(who = ALICE): Promise<TestClient> {
  const client = await TestClient.connect(relay.port, who);
  clients.push(client);
  return client;
}

const message = (from: TestClient, to: TestClient, bytes: number): Outgoing => ({
  name: 'PV_MSG',
  payload: { from: from.user, to: to.user, msg_id: ULID, msg: new Uint8Array(bytes) },
});

beforeEach(() => {
  clients = [];
  logged = [];
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await relay.close();
});

describe('a slow receiver', () => {
  it('is dropped with a typed reason, the others go on, and it may come back', async () => {
    await start({ limits: { send_buffer_bytes_max: 256 * KiB } });
    const [alice, bob, carol] = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
    const channel = TestChannel.of(ALICE, [BOB, CAROL]);
    alice.send({ name: 'CH_ROSTER', payload: channel.announcement() });
    await bob.next('CH_STATUS');

    bob.socket.pause();
    const commit: Outgoing = {
      name: 'CH_COMMIT',
      payload: { id: channel.id, from: alice.user, cert: new Uint8Array(64 * KiB) },
    };
    let sent = 0;
    while (!alice.came.some((command) => command.name === 'UDCNN')) {
      alice.send(commit);
      sent++;
      await carol.next('CH_MSG_COMMIT');
      await alice.fence();
    }
    expect((await alice.next('UDCNN')).id).toBe(BOB.user);
    alice.send(commit);
    await carol.next('CH_MSG_COMMIT');
    expect(logged).toContainEqual(
      expect.objectContaining({ msg: 'slow receiver dropped', user: BOB.user }),
    );

    bob.socket.resume();
    const again = await connect(BOB);
    alice.send(message(alice, again, 1));
    await again.next('MSG');
    expect(sent).toBeGreaterThan(4);
  });

  it('that wakes up in time reads everything and then why it was dropped', async () => {
    await start({
      limits: { send_buffer_bytes_max: 256 * KiB },
      timing: { linger_ms: 600_000 },
    });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    bob.socket.pause();
    let sent = 0;
    while (!alice.came.some((command) => command.name === 'UDCNN' || command.name === 'ERR')) {
      alice.send(message(alice, bob, 64 * KiB));
      sent++;
      await alice.fence();
    }
    bob.socket.resume();
    expect(await bob.next('ERR')).toMatchObject({ code: 'slow' });
    await bob.closed();
    const came = bob.came.filter((command) => command.name === 'MSG').length;
    expect(came).toBeGreaterThan(0);
    expect(came).toBeLessThanOrEqual(sent);
  });
});

describe('garbage', () => {
  it('in a flood of connections does not disturb a good pair', async () => {
    await start({ limits: { unauthenticated_max: 16 } });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    const flood = Array.from({ length: 200 }, () => connectTcp({ port: relay.port, host: HOST }));
    const gone = flood.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const [i, socket] of flood.entries()) pour(socket, i);

    for (let i = 0; i < 200; i++) {
      alice.send(message(alice, bob, i));
      bob.send(message(bob, alice, i));
    }
    for (let i = 0; i < 200; i++) {
      expect((await bob.next('MSG')).msg).toHaveLength(i);
      expect((await alice.next('MSG')).msg).toHaveLength(i);
    }
    const carol = await connect(CAROL);
    await carol.fence();
    for (const socket of flood) socket.destroy();
    await Promise.all(gone);
    await alice.fence();
    expect(alice.came).toEqual([]);
  });

  /** Each in its own way: noise, silence, a good start, a frame without end, many small pieces. */
  function pour(socket: Socket, i: number): void {
    socket.on('error', () => {});
    socket.resume();
    const kind = i % 5;
    if (kind === 0) socket.write(random(64 * KiB));
    if (kind === 2) socket.write(`INFO\n20\n${'0'.repeat(128)}\n${'x'.repeat(20)}`);
    if (kind === 3) socket.write(`CNN\n1000\n${'0'.repeat(128)}\n${'x'.repeat(900)}`);
    if (kind === 4) for (const byte of random(64)) socket.write(Uint8Array.of(byte));
  }
});

describe('one user, two connections', () => {
  it('the newer replaces the older, which is told', async () => {
    await start();
    const older = await connect(ALICE);
    const newer = await connect(ALICE);
    expect(await older.next('ERR')).toMatchObject({ code: 'replaced' });
    await older.closed();
    await newer.fence();
  });
});

describe('closing', () => {
  it('tells everyone, lets them take what was sent before, and ends', async () => {
    await start();
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    for (let i = 0; i < 50; i++) alice.send(message(alice, bob, 10 * KiB));
    await alice.fence();
    await relay.close();
    expect(await alice.next('ERR')).toMatchObject({ code: 'closing' });
    expect(await bob.next('ERR')).toMatchObject({ code: 'closing' });
    await Promise.all([alice.closed(), bob.closed()]);
    expect(bob.came.filter((command) => command.name === 'MSG')).toHaveLength(50);
    await expect(TestClient.connect(relay.port, CAROL)).rejects.toMatchObject({ code: 'closed' });
  });

  it('does not wait for ever for who does not read', async () => {
    await start({ timing: { drain_ms: 20, linger_ms: 600_000 } });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    bob.socket.pause();
    for (let i = 0; i < 100; i++) alice.send(message(alice, bob, 64 * KiB));
    await alice.fence();
    await relay.close();
    bob.socket.resume();
    await Promise.all([alice.closed(), bob.closed()]);
  });

  it('a second time does no harm', async () => {
    await start();
    await Promise.all([relay.close(), relay.close()]);
  });
});

describe('metrics', () => {
  const get = (path: string, method = 'GET') =>
    fetch(`http://${HOST}:${relay.metricsPort}${path}`, { method });

  beforeEach(() => start({ metrics: { host: HOST, port: 0 } }));

  it('count what happens', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    alice.send(message(alice, bob, 1));
    await bob.next('MSG');
    alice.send({
      name: 'CH_COMMIT',
      payload: { id: ALICE.user as never, from: ALICE.user, cert: new Uint8Array(1) },
    });
    await alice.next('ERR');
    const response = await get('/metrics');
    const text = await response.text();
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(text).toMatch(/^conclave_relay_connections 2$/m);
    expect(text).toMatch(/^conclave_relay_users 2$/m);
    expect(text).toMatch(/^conclave_relay_channels 0$/m);
    expect(text).toMatch(/^conclave_relay_received_frames_total 2$/m);
    expect(text).toMatch(/^conclave_relay_errors_total\{code="no_channel"\} 1$/m);
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(await (await get('/metrics')).text()).toMatch(
      /^conclave_relay_received_frames_total 2$/m,
    );
  });

  it('come with a health check', async () => {
    const response = await get('/healthz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok' });
  });

  it('serve nothing else', async () => {
    expect((await get('/')).status).toBe(404);
    expect((await get('/metrics', 'POST')).status).toBe(405);
  });

  it('belong to one relay', async () => {
    await connect(ALICE);
    const other = await startRelay({
      host: HOST,
      port: 0,
      key: new Uint8Array(32),
      crypto,
      metrics: { host: HOST, port: 0 },
    });
    const text = await (await fetch(`http://${HOST}:${other.metricsPort}/metrics`)).text();
    await other.close();
    expect(text).toMatch(/^conclave_relay_users 0$/m);
  });
});

describe('starting', () => {
  beforeEach(() => start());

  it('says where it is and under which key', () => {
    const key = Buffer.from(crypto.ed25519PublicKey(new Uint8Array(32).fill(9))).toString('hex');
    expect(relay.url).toBe(`conclave://${key}@127.0.0.1:${relay.port}`);
    expect(relay.metricsPort).toBeUndefined();
  });

  it('on a port in use is a clear error', async () => {
    const options = { host: HOST, port: relay.port, key: new Uint8Array(32), crypto };
    await expect(startRelay(options)).rejects.toMatchObject({
      code: 'listen_failed',
      message: expect.stringContaining(`${HOST}:${relay.port}`),
    });
  });

  it('with metrics on a port in use leaves nothing behind', async () => {
    const metrics = { host: HOST, port: relay.port };
    const options = { host: HOST, port: 0, key: new Uint8Array(32), crypto, metrics };
    await expect(startRelay(options)).rejects.toMatchObject({ code: 'listen_failed' });
  });

  it('with a payload limit below a record’s is refused', async () => {
    const limits = { payload_bytes_max: 1_024 };
    const options = { host: HOST, port: 0, key: new Uint8Array(32), crypto, limits };
    await expect(startRelay(options)).rejects.toMatchObject({ code: 'bad_limit' });
  });

  it('with a seed of a wrong length is refused', async () => {
    const options = { host: HOST, port: 0, key: new Uint8Array(31), crypto };
    await expect(startRelay(options)).rejects.toMatchObject({ code: 'bad_key' });
  });

  it('without what it needs says what that is', async () => {
    const whole = { host: HOST, port: 0, key: new Uint8Array(32), crypto };
    for (const missing of ['host', 'port', 'key'] as const) {
      const { [missing]: _, ...options } = whole;
      await expect(startRelay(options as typeof whole)).rejects.toMatchObject({
        code: 'bad_options',
        message: expect.stringContaining(`"${missing}" must be`),
      });
    }
  });

  it('logs no payload', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    const msg = new TextEncoder().encode('a secret that nobody should log');
    const payload = { from: ALICE.user, to: BOB.user, msg_id: ULID, msg };
    alice.send({ name: 'PV_MSG', payload });
    await bob.next('MSG');
    const text = JSON.stringify(logged);
    expect(text).toContain('client connected');
    expect(text).not.toContain('secret');
    expect(text).not.toContain(Buffer.from(msg).toString('hex'));
  });
});

describe('a peer that vanished', () => {
  it('holds what is meant for it for `write_ms`, though its connection seems to stand', async () => {
    let passedMs = 0;
    const clock = () => ({ ms: performance.now() + passedMs, wallMs: Date.now() });
    await start({ clock, timing: { sweep_ms: 5, timeout_s: 86_400 } });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    bob.socket.pause();
    const waiting = async (): Promise<number> => {
      await alice.fence();
      return alice.socket.bytesWritten;
    };
    // More than the system's buffers take, and less than the relay holds for one.
    for (let i = 0; i < 120; i++) alice.send(message(alice, bob, 60 * KiB));
    await waiting();
    passedMs = 59_000;
    await alice.fence();
    expect(alice.came.filter(({ name }) => name === 'UDCNN')).toEqual([]);
    passedMs = 125_000;
    expect(await alice.next('UDCNN')).toMatchObject({ id: BOB.user });
    expect(logged).toContainEqual(
      expect.objectContaining({ msg: 'slow receiver dropped', limit: 'write_ms' }),
    );
  });
});

describe('those sent away', () => {
  it('are cut off when too many of them linger', async () => {
    await start({
      limits: { lingering_max: 1, address_handshakes_burst: 1, address_handshakes_per_s: 1 },
      timing: { linger_ms: 600_000 },
    });
    await connect(ALICE);
    // Half open for good: they end when the relay cuts them off, and not before.
    const refused = Array.from({ length: 3 }, () =>
      connectTcp({ port: relay.port, host: HOST, allowHalfOpen: true }),
    );
    const closed = refused.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of refused) socket.on('error', () => {}).resume();
    // Only what is sent to a connection that is no more shows that.
    const sending = setInterval(() => {
      for (const socket of refused) if (!socket.destroyed) socket.write('x');
    }, 10);
    await Promise.race(closed);
    clearInterval(sending);
    for (const socket of refused) socket.destroy();
  });
});
