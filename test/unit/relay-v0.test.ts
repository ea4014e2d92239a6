/**
 * V0's commands, on a real relay over TCP: each test is named after the
 * sentence of the V0 proposal that it shows (docs/PROTOCOL.md, section "V0
 * conformance").
 */

import { connect as connectTcp } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Body, encodePayload, type Outgoing } from '../../src/core/commands.js';
import { type Frame, FrameParser } from '../../src/core/frame.js';
import { type Digest, type EpochId, type Ulid, unhex } from '../../src/core/ids.js';
import { PROTOCOL_VERSION } from '../../src/core/limits.js';
import { ClientLink } from '../../src/core/link.js';
import { pack, unpack } from '../../src/core/msgpack.js';
import { OPEN_TO_RELAY, sealFrame } from '../../src/core/seal.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { type Relay, type RelayOptions, startRelay } from '../../src/relay/index.js';
import { identity, TestChannel } from './relay-channel.js';
import { random, TestClient } from './relay-client.js';

const ALICE = identity(1);
const BOB = identity(2);
const CAROL = identity(3);
const DAVE = identity(4);
const ULID = '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid;
const DIGEST = 'd'.repeat(64) as Digest;
const EPOCH = 'e'.repeat(64) as EpochId;
const SIG = new Uint8Array(64);
const BYTES = new Uint8Array([7, 7, 7]);
const SIGNED = { s: BYTES, sig: SIG };
const POINT = { seq: 0, hash: DIGEST };

let relay: Relay;
let clients: TestClient[] = [];
const clock = { ms: 0, wallMs: 1_700_000_000_000 };

async function start(options: Partial<RelayOptions> = {}): Promise<void> {
  relay = await startRelay({
    host: '127.0.0.1',
    port: 0,
    key: new Uint8Array(32).fill(9),
    crypto,
    clock: () => ({ ...clock }),
    timing: { sweep_ms: 5 },
    ...options,
  });
}

async function restart(options: Partial<RelayOptions>): Promise<void> {
  await relay.close();
  await start(options);
}

async function connect(who = ALICE, name = 'nick'): Promise<TestClient> {
  const client = await TestClient.connect(relay.port, who, name);
  clients.push(client);
  return client;
}

/** Alice, Bob and Carol, connected, in a channel that the relay knows. */
async function members(): Promise<{
  channel: TestChannel;
  alice: TestClient;
  bob: TestClient;
  carol: TestClient;
}> {
  const channel = TestChannel.of(ALICE, [BOB, CAROL]);
  const [alice, bob, carol] = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
  alice.send({ name: 'CH_ROSTER', payload: channel.announcement() });
  for (const client of [alice, bob, carol]) await client.next('CH_STATUS');
  return { channel, alice, bob, carol };
}

/** A connection that speaks no protocol: the frames that come, until it ends. */
async function listenTo(bytes?: Uint8Array): Promise<Frame[]> {
  const socket = connectTcp({ port: relay.port, host: '127.0.0.1' });
  const parser = new FrameParser({ payloadBytesMax: 65_536 });
  const frames: Frame[] = [];
  socket.on('data', (chunk) => frames.push(...parser.push(chunk)));
  if (bytes) socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return frames;
}

const without = ({ timestamp, nonce, ...rest }: Record<string, unknown>) => rest;

beforeEach(async () => {
  clock.ms = 0;
  clients = [];
  await start();
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await relay.close();
});

describe('V0, Intro', () => {
  it('"the client must send a CNN command in the first z seconds or the server will disconnect the client"', async () => {
    const ended = listenTo();
    const alice = await connect();
    clock.ms += 10_000;
    const [err] = await ended;
    expect(err!.name).toBe('ERR');
    expect(unpack(err!.payload)).toMatchObject({ code: 'cnn_timeout' });
    await alice.fence();
  });

  it('"the client must send a KALIVE command every x amount of minutes to keep the connection open"', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    clock.ms += 100_000;
    await alice.fence();
    clock.ms += 100_000;
    expect(await bob.next('ERR')).toMatchObject({ code: 'timeout' });
    await bob.closed();
    await alice.fence();
  });

  it('"this amount of time may change, depending on the server configuration"', async () => {
    await restart({ timing: { timeout_s: 7, sweep_ms: 5 } });
    const alice = await connect();
    expect(alice.info.timeout_s).toBe(7);
    clock.ms += 7_000;
    expect(await alice.next('ERR')).toMatchObject({ code: 'timeout' });
  });
});

describe('V0, Basics, client to server', () => {
  it('CNN: "First commands sent after the initial connection with the server"', async () => {
    const nonce = new Uint8Array(8);
    const payload = pack(encodePayload('LST_USR', { timestamp: 1, nonce }));
    const [err] = await listenTo(sealFrame(crypto, OPEN_TO_RELAY, 'LST_USR', payload));
    expect(err!.name).toBe('ERR');
    expect(unpack(err!.payload)).toMatchObject({ code: 'unexpected_command', about: 'LST_USR' });
  });

  it('CNN: "It will disconnect the client, if the validation fails"', async () => {
    const link = new ClientLink({ crypto, identity: ALICE, name: '', random, relayKey: undefined });
    const socket = connectTcp({ port: relay.port, host: '127.0.0.1' });
    const parser = new FrameParser({ payloadBytesMax: 65_536 });
    const came: string[] = [];
    socket.write(link.start(1));
    socket.on('data', (chunk) => {
      for (const event of link.receive(chunk, 1)) {
        if (event.type !== 'send') continue;
        const forged = event.bytes.slice();
        forged[forged.length - 1]! ^= 1;
        socket.write(forged);
      }
      for (const { name, payload } of parser.push(chunk)) {
        came.push(name === 'ERR' ? `ERR ${unpack(payload).code}` : name);
      }
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(came).toEqual(['SINFO', 'ERR bad_mac']);
  });

  it('KALIVE: "Empty payload, should be sent every x amount of time, to keep the connection open if no other message was sent"', async () => {
    const alice = await connect();
    for (let i = 0; i < 4; i++) {
      clock.ms += 179_000;
      alice.send({ name: 'KALIVE', payload: {} });
      expect(without(await alice.next('KALIVE'))).toEqual({});
    }
    for (let i = 0; i < 4; i++) {
      clock.ms += 179_000;
      alice.send({ name: 'LST_USR', payload: {} });
      await alice.next('USR_LST');
    }
  });

  it('DCNN: "Ask the server to terminate the connection"', async () => {
    const alice = await connect();
    alice.send({ name: 'DCNN', payload: {} });
    await alice.closed();
    expect(alice.came).toEqual([]);
  });

  it('INFO: "Ask for a command with the server configuration"', async () => {
    await restart({ name: 'my relay' });
    const alice = await connect();
    expect(alice.info.server_name).toBe('my relay');
  });
});

describe('V0, Basics, server to client', () => {
  it('SINFO: "Current server configuration, this is the minimal payload"', async () => {
    const { info } = await connect();
    expect(info).toMatchObject({
      protocol_version: PROTOCOL_VERSION,
      server_name: expect.any(String),
      version: expect.any(String),
      timeout_s: 180,
      cnn_s: 10,
      payload_bytes_max: 1_048_576,
    });
    expect(relay.url).toBe(`conclave://${info.id}@127.0.0.1:${relay.port}`);
  });

  it('UCNN: "A user was just connected to the server"', async () => {
    const { bob, carol } = await members();
    const alice = await connect(ALICE, 'alice again');
    for (const client of [bob, carol]) {
      expect(without(await client.next('UCNN'))).toEqual({ id: ALICE.user, name: 'alice again' });
    }
    expect(await alice.all('UCNN')).toEqual([]);
  });

  it('UDCNN: "A user was disconnected to the server"', async () => {
    const { alice, bob, carol } = await members();
    alice.destroy();
    for (const client of [bob, carol]) {
      expect(without(await client.next('UDCNN'))).toEqual({ id: ALICE.user, name: 'nick' });
    }
  });
});

describe('V0, Users, client to server', () => {
  it('LST_USR: "Request a command from the server with the current connected user list"', async () => {
    const { alice, carol } = await members();
    carol.destroy();
    await alice.next('UDCNN');
    alice.send({ name: 'LST_USR', payload: {} });
    const { users } = await alice.next('USR_LST');
    expect(users.filter((u) => u.status === 'online').map((u) => u.id)).toEqual([
      ALICE.user,
      BOB.user,
    ]);
  });

  it('CNN_USR: "Request a handshake message to be sent to a user"', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    const payload = { from: ALICE.user, to: BOB.user, data: BYTES };
    alice.send({ name: 'CNN_USR', payload });
    expect(without(await bob.next('USR_HSK'))).toEqual(payload);
  });

  it('PV_MSG: "Send a message to a connected user"', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    const payload = { from: ALICE.user, to: BOB.user, msg_id: ULID, msg: BYTES };
    alice.send({ name: 'PV_MSG', payload });
    expect(without(await bob.next('MSG'))).toEqual(payload);

    bob.destroy();
    await alice.next('UDCNN');
    alice.send({ name: 'PV_MSG', payload });
    expect(await alice.next('ERR')).toMatchObject({ code: 'not_connected', about: 'PV_MSG' });
  });

  it('ACK_MSG: "Confirm that the a message has received"', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    const payload = { from: BOB.user, to: ALICE.user, msg_id: ULID, sig: new Uint8Array(64) };
    bob.send({ name: 'ACK_MSG', payload });
    expect(without(await alice.next('MSG_ACK'))).toEqual(payload);
  });
});

describe('V0, Users, server to client', () => {
  it('USR_HSK: "Inform the necessary information to start a private chat with an user"', async () => {
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    alice.send({ name: 'CNN_USR', payload: { from: ALICE.user, to: BOB.user, data: BYTES } });
    expect((await bob.next('USR_HSK')).data).toEqual(BYTES);
  });

  it('USR_ADD: "The client may receive this message when a new user is added to the server"', async () => {
    await restart({ allow: [ALICE.user, BOB.user] });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    relay.allow(CAROL.user);
    for (const client of [alice, bob]) {
      const added = without(await client.next('USR_ADD'));
      expect(added).toEqual({ id: CAROL.user, status: 'offline', name: '' });
    }
    await connect(CAROL);
  });

  it('USR_ADD: "The server will not send this message if the user was not connected when the action occurred"', async () => {
    await restart({ allow: [ALICE.user] });
    relay.allow(BOB.user);
    const alice = await connect(ALICE);
    expect(await alice.all('USR_ADD')).toEqual([]);
  });

  it('USR_RMD: "The client may receive this message when a new user is removed from the server"', async () => {
    await restart({ allow: [ALICE.user, BOB.user] });
    const [alice, bob] = [await connect(ALICE), await connect(BOB)];
    relay.disallow(BOB.user);
    expect(without(await alice.next('USR_RMD'))).toEqual({ id: BOB.user });
    expect(await bob.next('ERR')).toMatchObject({ code: 'not_allowed' });
    await bob.closed();
  });

  it('USR_RMD: "The server will not send this message if the user was not connected when the action occurred"', async () => {
    await restart({ allow: [ALICE.user, BOB.user] });
    relay.disallow(BOB.user);
    const alice = await connect(ALICE);
    expect(await alice.all('USR_RMD')).toEqual([]);
  });

  it('USR_LST: "Inform list of current known users"', async () => {
    const { alice, carol } = await members();
    await connect(DAVE, 'a stranger');
    carol.destroy();
    await alice.next('UDCNN');
    alice.send({ name: 'LST_USR', payload: {} });
    expect((await alice.next('USR_LST')).users).toEqual([
      { id: ALICE.user, status: 'online', name: 'nick' },
      { id: BOB.user, status: 'online', name: 'nick' },
      { id: CAROL.user, status: 'offline', name: 'newcomer' },
    ]);
  });

  it('MSG: "Add a message to a private chat"', async () => {
    const [alice, bob, carol] = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
    const payload = { from: ALICE.user, to: BOB.user, msg_id: ULID, msg: BYTES };
    alice.send({ name: 'PV_MSG', payload });
    expect(without(await bob.next('MSG'))).toEqual(payload);
    expect(await carol.all('MSG')).toEqual([]);
  });

  it('MSG_ACK: "Confirms that a private message was received"', async () => {
    const [alice, bob, carol] = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
    const payload = { from: BOB.user, to: ALICE.user, msg_id: ULID, sig: new Uint8Array(64) };
    bob.send({ name: 'ACK_MSG', payload });
    expect((await alice.next('MSG_ACK')).msg_id).toBe(ULID);
    expect(await carol.all('MSG_ACK')).toEqual([]);
  });
});

/** Alice sends; every other member gets it under `as`, untouched, and Alice does not. */
async function expectForwarded(
  as: Outgoing['name'],
  make: (common: { id: TestChannel['id']; from: typeof ALICE.user }) => Outgoing,
): Promise<void> {
  const { channel, alice, bob, carol } = await members();
  const sent = make({ id: channel.id, from: ALICE.user });
  alice.send(sent);
  for (const client of [bob, carol]) {
    expect(without(await client.next(as))).toEqual({ ...sent.payload });
  }
  expect(await alice.all(as)).toEqual([]);
}

/** Alice sends to Bob; only Bob gets it. */
async function expectDirected(
  as: Outgoing['name'],
  make: (common: {
    id: TestChannel['id'];
    from: typeof ALICE.user;
    to: typeof BOB.user;
  }) => Outgoing,
): Promise<void> {
  const { channel, alice, bob, carol } = await members();
  const sent = make({ id: channel.id, from: ALICE.user, to: BOB.user });
  alice.send(sent);
  expect(without(await bob.next(as))).toEqual({ ...sent.payload });
  expect(await carol.all(as)).toEqual([]);
}

describe('V0, Channels, client to server', () => {
  it('CH_LST: "Request a message with a list of available channels"', async () => {
    const { channel, alice } = await members();
    const stranger = await connect(DAVE);
    alice.send({ name: 'CH_LST', payload: {} });
    expect((await alice.next('LST_CH')).channels.map((c) => c.id)).toEqual([channel.id]);
    stranger.send({ name: 'CH_LST', payload: {} });
    expect((await stranger.next('LST_CH')).channels).toEqual([]);
  });

  it('CH_PULL: "Request a message with an updated message history"', () =>
    expectDirected('CH_PULL', (common) => ({
      name: 'CH_PULL',
      payload: { ...common, anchor: [POINT], want: [DIGEST] },
    })));

  it('CH_MERGE: "Send a list of missing committed messages to the server"', () =>
    expectForwarded('CH_MERGE', (common) => ({
      name: 'CH_MERGE',
      payload: {
        ...common,
        epoch: EPOCH,
        proof: BYTES,
        anchor: POINT,
        headers: BYTES,
        records: [],
        proofs: [],
        cert: BYTES,
        tip: 1,
      },
    })));

  it('CH_MSG: "Send a message to a channel"', () =>
    expectForwarded('CH_MSG', (common) => ({
      name: 'CH_MSG',
      payload: { ...common, each: { records: [BYTES], proofs: [BYTES] } },
    })));

  it('ACK_CH_MSG: "Inform that a message has been received"', () =>
    expectDirected('CH_MSG_ACK', (common) => ({
      name: 'ACK_CH_MSG',
      payload: { ...common, ...SIGNED },
    })));

  it('CH_COMMIT: "Inform that the message should be saved on the channel history"', () =>
    expectForwarded('CH_MSG_COMMIT', (common) => ({
      name: 'CH_COMMIT',
      payload: { ...common, cert: BYTES },
    })));

  it('CH_LEAD: "Request that the server send a vote request to the current users"', () =>
    expectForwarded('CH_VOTE', (common) => ({
      name: 'CH_LEAD',
      payload: {
        ...common,
        election: 3,
        user: ALICE.user,
        request: { ...SIGNED, electorate: [ALICE.user], grants: [] },
      },
    })));

  it('CH_VOTE: "Request that the server inform your vote in the current election"', () =>
    expectDirected('CH_VOTE', (common) => ({
      name: 'CH_VOTE',
      payload: { ...common, election: 3, user: BOB.user, ballot: SIGNED },
    })));

  it('CH_ACK_REQ: "at least one more user that was involved in the commit of the missed messages, should confirm that this message existed"', () =>
    expectForwarded('CH_MSG_CONFIRM', (common) => ({
      name: 'CH_ACK_REQ',
      payload: { ...common, users: [BOB.user], epoch: EPOCH, seq: 1, message: DIGEST },
    })));
});

describe('V0, Channels, server to client', () => {
  const elected = (id: TestChannel['id']): Body<'CH_ELECTED'> => ({
    id,
    from: ALICE.user,
    election: 1,
    leader: ALICE.user,
    kind: 'roster',
    ...SIGNED,
    electorate: [],
    ballots: [],
  });

  it('LST_CH: "Inform list of current known channels"', async () => {
    const { channel, alice, bob, carol } = await members();
    const ask = async () => {
      bob.send({ name: 'CH_LST', payload: {} });
      return (await bob.next('LST_CH')).channels;
    };
    const entry = { id: channel.id, name: channel.announcement().name };
    expect(await ask()).toEqual([{ ...entry, status: 'waiting' }]);
    alice.send({ name: 'CH_ELECTED', payload: elected(channel.id) });
    await bob.next('CH_ELECTED');
    expect(await ask()).toEqual([{ ...entry, leader: ALICE.user, status: 'healthy' }]);
    carol.destroy();
    await bob.next('UDCNN');
    expect(await ask()).toEqual([{ ...entry, leader: ALICE.user, status: 'waiting' }]);
  });

  it('CH_UJOIN: "This message is received when someone joins a channel"', async () => {
    const { channel, alice, bob } = await members();
    const known = channel.roster.number;
    channel.admit(DAVE);
    alice.send({ name: 'CH_ROSTER', payload: channel.announcement(known) });
    for (const client of [alice, bob]) {
      const joined = without(await client.next('CH_UJOIN'));
      expect(joined).toEqual({ channel: channel.id, user: DAVE.user });
    }
  });

  it('CH_UJOIN: "You can receive this message with your own Id"', async () => {
    const { channel, alice } = await members();
    const dave = await connect(DAVE);
    const known = channel.roster.number;
    channel.admit(DAVE);
    alice.send({ name: 'CH_ROSTER', payload: channel.announcement(known) });
    expect((await dave.next('CH_UJOIN')).user).toBe(DAVE.user);
    expect((await dave.next('CH_STATUS')).roster).toBe(channel.roster.number);
  });

  it('CH_STATUS: "The client can expect to receive this message sometime after the connection is established"', async () => {
    const { channel, alice } = await members();
    alice.send({ name: 'CH_ELECTED', payload: elected(channel.id) });
    await alice.fence();
    const bob = await connect(BOB);
    expect(without(await bob.next('CH_STATUS'))).toEqual({
      id: channel.id,
      name: channel.announcement().name,
      leader: ALICE.user,
      roster: channel.roster.number,
      online: expect.arrayContaining([ALICE.user, BOB.user, CAROL.user]),
    });
  });

  it('CH_APPEND: "Update the channel chat history, with a list of messages from a known anchor point"', () =>
    expectDirected('CH_APPEND', (common) => ({
      name: 'CH_APPEND',
      payload: { ...common, anchor: POINT, headers: BYTES, records: [], proofs: [], final: 0 },
    })));

  it('CH_MSG: "Receveid when a message was sent to a channel"', () =>
    expectForwarded('CH_MSG', (common) => ({
      name: 'CH_MSG',
      payload: {
        ...common,
        batch: { author: ALICE.user, roster: 5, roster_hash: DIGEST, sig: SIG, records: [BYTES] },
      },
    })));

  it('CH_MSG_ACK: "Received when another user was acknowledge a message"', () =>
    expectForwarded('CH_MSG_ACK', (common) => ({
      name: 'ACK_CH_MSG',
      payload: { ...common, ...SIGNED },
    })));

  it('CH_MSG_COMMIT: "Receveid when a majority of user already acknowledge the message"', () =>
    expectDirected('CH_MSG_COMMIT', (common) => ({
      name: 'CH_COMMIT',
      payload: { ...common, cert: BYTES },
    })));

  it('CH_MSG_CONFIRM: "Receveid when the leader needs a confirmation that a message was sent"', () =>
    expectForwarded('CH_MSG_CONFIRM', (common) => ({
      name: 'CH_ACK_REQ',
      payload: { ...common, users: [], epoch: EPOCH, seq: 9, message: DIGEST },
    })));

  it('CH_ELECTED: "Receveid when a election was finished"', () =>
    expectForwarded('CH_ELECTED', ({ id }) => ({ name: 'CH_ELECTED', payload: elected(id) })));

  it('CH_VOTE: "Receveid when somenone want you to vote for him, in a new election"', () =>
    expectForwarded('CH_VOTE', (common) => ({
      name: 'CH_LEAD',
      payload: {
        ...common,
        election: 4,
        user: ALICE.user,
        request: { ...SIGNED, electorate: [], grants: [] },
      },
    })));
});

describe('what this version adds, in the same way', () => {
  it.each([
    ['CH_PREVOTE', { ...SIGNED }],
    ['CH_PROPOSE', { ...SIGNED, headers: BYTES }],
  ] as const)('%s goes to the other members', (name, fields) =>
    expectForwarded(name, (common) => ({ name, payload: { ...common, ...fields } }) as Outgoing),
  );

  it('CH_GRANT goes to the candidate', () =>
    expectDirected('CH_GRANT', (common) => ({
      name: 'CH_GRANT',
      payload: { ...common, round: ULID, sig: SIG, kind: 'roster', term: 1, roster: 5 },
    })));

  it('BEACON goes to everyone who shares a known channel with the sender', async () => {
    const { alice, bob, carol } = await members();
    const stranger = await connect(DAVE);
    alice.send({ name: 'BEACON', payload: { from: ALICE.user, ...SIGNED } });
    for (const client of [bob, carol]) {
      expect(without(await client.next('BEACON'))).toEqual({ from: ALICE.user, ...SIGNED });
    }
    expect(await stranger.all('BEACON')).toEqual([]);
    expect(await alice.all('BEACON')).toEqual([]);
  });

  it('a forwarded payload is the sender’s bytes, untouched', async () => {
    const { alice, bob } = await members();
    const frame = alice.frame({
      name: 'PV_MSG',
      payload: { from: ALICE.user, to: BOB.user, msg_id: ULID, msg: BYTES },
    });
    const [sent] = new FrameParser({ payloadBytesMax: 65_536 }).push(frame);
    const parser = new FrameParser({ payloadBytesMax: 65_536 });
    const came = new Promise<Frame>((resolve) => {
      bob.socket.on('data', (chunk) => {
        for (const frame of parser.push(chunk)) resolve(frame);
      });
    });
    alice.socket.write(frame);
    const forwarded = await came;
    expect(forwarded.name).toBe('MSG');
    expect(forwarded.payload).toEqual(sent!.payload);
    expect(unpack(forwarded.payload).from).toEqual(unhex(ALICE.user));
  });
});
