/**
 * V0's commands, on a real relay over TCP: each test is named after the
 * sentence of the V0 proposal that it shows (docs/PROTOCOL.md, section "V0
 * conformance").
 */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outgoing } from '../../src/core/commands.js';
import type { Ulid } from '../../src/core/ids.js';
import { nativeCrypto as crypto } from '../../src/node/crypto-native.js';
import { type Relay, type RelayOptions, startRelay } from '../../src/relay/index.js';
import { identity, TestChannel } from './relay-channel.js';
import { TestClient } from './relay-client.js';

const ALICE = identity(1);
const BOB = identity(2);
const CAROL = identity(3);
const MSG_ID = '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid;
const EMPTY = new Uint8Array(0);

let relay: Relay;
let clients: TestClient[];

const start = (options: Partial<RelayOptions> = {}) =>
  startRelay({ host: '127.0.0.1', port: 0, key: new Uint8Array(32).fill(9), crypto, ...options });

async function connect(who = ALICE, name = 'nick'): Promise<TestClient> {
  const client = await TestClient.connect(relay.port, who, name);
  clients.push(client);
  return client;
}

beforeEach(async () => {
  clients = [];
  relay = await start();
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await relay.close();
});

it('works', async () => {
  const a = await connect(ALICE, 'alice');
  const b = await connect(BOB, 'bob');
  const channel = TestChannel.of(ALICE, [BOB, CAROL]);
  a.send({ name: 'CH_ROSTER', payload: channel.announcement() } satisfies Outgoing);
  console.log(await a.next('CH_STATUS'));
  console.log(await b.next('CH_STATUS'));
  a.send({ name: 'PV_MSG', payload: { from: ALICE.user, to: BOB.user, msg_id: MSG_ID, msg: EMPTY } });
  console.log(await b.next('MSG'));
});
