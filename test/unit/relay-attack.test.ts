/**
 * A relay under attack: what one user, and one network address, may take of it,
 * whatever connections they use for that, and that RATE and ERR say which limit
 * it was (docs/PROTOCOL.md, section "Relay limits"). On a clock that the test moves.
 */

import { beforeEach, describe, expect, it, test } from 'vitest';
import type { Outgoing } from '../../src/core/commands.js';
import { FrameParser } from '../../src/core/frame.js';
import { unpack } from '../../src/core/msgpack.js';
import { Accounts } from '../../src/relay/accounts.js';
import { networkOf } from '../../src/relay/address.js';
import { Backlog } from '../../src/relay/backlog.js';
import type { PeerId } from '../../src/relay/effects.js';
import { RELAY_LIMITS, RELAY_TIMING } from '../../src/relay/limits.js';
import { Turns } from '../../src/relay/turns.js';
import { identity, TestChannel } from './relay-channel.js';
import {
  ALICE,
  BOB,
  type Client,
  connect,
  errorsTo,
  feed,
  lab,
  newRelay,
  now,
  open,
  pump,
} from './relay-lab.js';

const HERE = '192.0.2.1';
const ELSEWHERE = '192.0.2.2';
const KALIVE: Outgoing = { name: 'KALIVE', payload: {} };
const FRAME_HEAD = new TextEncoder().encode(`CH_MSG\n60000\n${'0'.repeat(128)}\n`);

/** Codes and limits of the ERRs, and `RATE` and limits. */
const limitsOf = (client: Client): string[] =>
  client.came.flatMap(({ name, payload }) => {
    const { code, limit } = payload as { code?: string; limit?: string };
    return name === 'ERR' || name === 'RATE' ? [`${code ?? name} ${limit}`] : [];
  });

/** The same for a connection that is none of a client. */
function limitsTo(peer: PeerId): string[] {
  const parser = new FrameParser({ payloadBytesMax: 65_536 });
  return lab.written
    .get(peer)!
    .flatMap((bytes) => parser.push(bytes))
    .filter(({ name }) => name === 'ERR')
    .map(({ payload }) => unpack(payload))
    .map(({ code, limit }) => `${code} ${limit}`);
}

function sendMany(client: Client, count: number): void {
  for (let i = 0; i < count; i++) client.send(KALIVE);
  pump();
}

beforeEach(() => newRelay());

describe('a network address', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    [undefined, 'unknown'],
  ])('%s counts as %s', (remote, network) => {
    expect(networkOf(remote)).toBe(network);
  });
});

describe('an address', () => {
  it('has so many connections, and others have theirs', () => {
    newRelay({ address_connections_max: 2 });
    connect(identity(1), HERE);
    connect(identity(2), HERE);
    expect(limitsTo(open(HERE))).toEqual(['busy address_connections_max']);
    expect(connect(identity(3), ELSEWHERE).isConnected).toBe(true);
    lab.links.gone(1, now());
    expect(connect(identity(4), HERE).isConnected).toBe(true);
  });

  it('opens so many a second, before anything is done for them; others go on', () => {
    newRelay({ address_handshakes_burst: 3, address_handshakes_per_s: 1 });
    for (let i = 0; i < 3; i++) open(HERE);
    expect(limitsTo(open(HERE))).toEqual(['busy address_handshakes_per_s']);
    expect(connect(ALICE, ELSEWHERE).isConnected).toBe(true);
    lab.ms += 1_000;
    expect(connect(BOB, HERE).isConnected).toBe(true);
  });

  it('that goes on regardless is not even told, which costs the relay least', () => {
    newRelay({
      address_handshakes_burst: 1,
      address_handshakes_per_s: 1,
      address_refusals_burst: 2,
    });
    open(HERE);
    expect([open(HERE), open(HERE)].flatMap(errorsTo)).toEqual(['busy', 'busy']);
    expect(lab.links.open(now(), { address: HERE })).toBeUndefined();
    expect(lab.links.open(now(), { address: ELSEWHERE })).toBeDefined();
    expect(lab.links.connectionCount).toBe(2);
    expect(lab.links.counters.endings.get('refused')).toBe(1);
  });

  it('of IPv6 is its /64', () => {
    newRelay({ address_handshakes_burst: 1, address_handshakes_per_s: 1 });
    expect(errorsTo(open('2001:db8:1:2::1'))).toEqual([]);
    expect(errorsTo(open('2001:db8:1:2::2'))).toEqual(['busy']);
    expect(errorsTo(open('2001:db8:1:3::1'))).toEqual([]);
  });

  it('that dallies makes room for itself, not others for it', () => {
    newRelay({ address_unauthenticated_max: 2 });
    const other = open(ELSEWHERE);
    const [first, second] = [open(HERE), open(HERE)];
    open(HERE);
    expect([...lab.ended]).toEqual([first]);
    expect(limitsTo(first)).toEqual(['busy address_unauthenticated_max']);
    expect(lab.ended.has(other) || lab.ended.has(second)).toBe(false);
  });

  it('shares frames among its users: RATE names it, and who took more than a share goes', () => {
    newRelay({ address_frames_burst: 10, address_frames_per_s: 1 });
    const [greedy, modest] = [connect(identity(1), HERE), connect(identity(2), HERE)];
    const other = connect(identity(3), ELSEWHERE);
    sendMany(greedy, 12);
    expect(limitsOf(greedy)).toEqual(['RATE address_frames_per_s']);
    sendMany(greedy, 8);
    sendMany(modest, 1);
    expect(lab.ended.size).toBe(0);
    sendMany(greedy, 1);
    expect(limitsOf(greedy).at(-1)).toBe('rate address_frames_per_s');
    expect(limitsOf(modest)).toEqual(['RATE address_frames_per_s']);
    expect(lab.ended).toEqual(new Set([greedy.peer]));
    sendMany(other, 9);
    expect(limitsOf(other)).toEqual([]);
  });

  it('shares bytes likewise', () => {
    newRelay({ address_bytes_burst: 5_000, address_bytes_per_s: 1 });
    const [first, second] = [connect(identity(1), HERE), connect(identity(2), HERE)];
    sendMany(first, 20);
    sendMany(second, 20);
    expect(limitsOf(second)).toEqual(['RATE address_bytes_per_s']);
  });

  it('has a budget for work, and for channels, of its own', () => {
    newRelay({ address_work_burst: 19, address_work_per_s: 1 });
    const announce = (who: typeof ALICE, salt: number, address: string): string[] => {
      const client = connect(who, address);
      const channel = TestChannel.of(who, [], salt);
      client.send({ name: 'CH_ROSTER', payload: channel.announcement() });
      pump();
      return limitsOf(client);
    };
    expect(announce(identity(1), 1, HERE)).toEqual([]);
    expect(announce(identity(2), 2, HERE)).toEqual(['RATE address_work_per_s']);
    expect(announce(identity(3), 3, ELSEWHERE)).toEqual([]);
    newRelay({ address_channels_burst: 1, address_channels_per_s: 1 });
    expect(announce(identity(1), 1, HERE)).toEqual([]);
    expect(announce(identity(2), 2, HERE)).toEqual(['full address_channels_per_s']);
    expect(announce(identity(3), 3, ELSEWHERE)).toEqual([]);
  });
});

describe('a user', () => {
  it('that connects again finds its budgets as it left them', () => {
    newRelay({ user_frames_burst: 10, user_frames_per_s: 1 });
    sendMany(connect(ALICE, HERE), 10);
    const again = connect(ALICE, ELSEWHERE);
    sendMany(again, 1);
    expect(limitsOf(again)).toEqual(['RATE user_frames_per_s']);
    sendMany(again, 10);
    expect(limitsOf(again)).toEqual(['RATE user_frames_per_s', 'rate user_frames_per_s']);
    const third = connect(ALICE, HERE);
    lab.ms += 30_000;
    sendMany(third, 1);
    expect(limitsOf(third)).toEqual([]);
  });

  it('has one budget for bytes, work and channels', () => {
    newRelay({ user_bytes_burst: 1_000, user_bytes_per_s: 1 });
    sendMany(connect(ALICE), 5);
    const again = connect(ALICE);
    sendMany(again, 1);
    expect(limitsOf(again)).toEqual(['RATE user_bytes_per_s']);

    const announce = (salt: number): string[] => {
      const client = connect(ALICE);
      const payload = TestChannel.of(ALICE, [], salt).announcement();
      client.send({ name: 'CH_ROSTER', payload });
      pump();
      return limitsOf(client);
    };
    newRelay({ user_work_burst: 19, user_work_per_s: 1 });
    expect([announce(1), announce(2)]).toEqual([[], ['RATE user_work_per_s']]);
    newRelay({ user_channels_burst: 1, user_channels_per_s: 1 });
    expect([announce(1), announce(2)]).toEqual([[], ['full user_channels_per_s']]);
    newRelay({ channels_announced_max: 0 });
    expect(announce(1)).toEqual(['full channels_announced_max']);
  });

  it('connects so often, since others are told each time', () => {
    newRelay({ user_handshakes_burst: 2, user_handshakes_per_s: 1 });
    connect(ALICE);
    const second = connect(ALICE);
    const third = connect(ALICE);
    expect(limitsOf(third)).toEqual(['busy user_handshakes_per_s']);
    expect(lab.ended.has(second.peer)).toBe(false);
    expect(lab.links.hub.userCount).toBe(1);
    expect(connect(BOB).isConnected).toBe(true);
    lab.ms += 1_000;
    connect(ALICE);
    expect(limitsOf(second)).toEqual(['replaced undefined']);
  });
});

describe('what is remembered', () => {
  it('is forgotten once it makes no difference, and bounded before that', () => {
    const accounts = new Accounts('user', { ...RELAY_LIMITS, idle_accounts_max: 2 });
    const use = (key: string, peer: PeerId): void => {
      const account = accounts.hold(key, peer, 0);
      account.frames.draw(20_000, 0);
      accounts.release(account, peer);
    };
    for (const [i, key] of ['a', 'b', 'c'].entries()) use(key, i);
    expect(accounts.size).toBe(2);
    accounts.sweep(999);
    expect(accounts.size).toBe(2);
    const held = accounts.hold('b', 9, 999);
    accounts.sweep(1_000);
    expect(accounts.size).toBe(1);
    accounts.release(held, 9);
    accounts.sweep(1_000);
    expect(accounts.size).toBe(0);
  });

  it('counts no connection twice', () => {
    const accounts = new Accounts('address', RELAY_LIMITS);
    const account = accounts.hold(HERE, 1, 0);
    accounts.hold(HERE, 2, 0);
    accounts.release(account, 1);
    accounts.release(account, 1);
    expect([...account.peers]).toEqual([2]);
    accounts.sweep(0);
    expect(accounts.size).toBe(1);
  });
});

describe('slow loris', () => {
  it('before CNN: a byte now and then does not help', () => {
    const peer = open(HERE);
    for (const byte of new TextEncoder().encode('INFO\n99\n0')) {
      feed(peer, Uint8Array.of(byte));
      lab.ms += RELAY_TIMING.cnn_ms / 10;
      lab.links.sweep(now());
    }
    expect(lab.ended.size).toBe(0);
    lab.ms = RELAY_TIMING.cnn_ms;
    lab.links.sweep(now());
    expect(limitsTo(peer)).toEqual(['cnn_timeout cnn_ms']);
  });

  it('after CNN: a frame must end in time, however often a byte of it comes', () => {
    const [slow, good] = [connect(ALICE), connect(BOB)];
    feed(slow.peer, FRAME_HEAD);
    const { frame_ms } = RELAY_TIMING;
    for (let i = 1; i < 60; i++) {
      lab.ms = (i * frame_ms) / 60;
      feed(slow.peer, Uint8Array.of(0));
      good.send(KALIVE);
      lab.links.sweep(now());
    }
    expect(lab.ended.size).toBe(0);
    lab.ms = frame_ms;
    lab.links.sweep(now());
    pump();
    expect(limitsOf(slow)).toEqual(['frame_timeout frame_ms']);
    expect(lab.ended).toEqual(new Set([slow.peer]));
  });

  it('after CNN: a frame that begins with the end of another is timed from there', () => {
    const client = connect(ALICE);
    const { frame_ms } = RELAY_TIMING;
    const next = client.link.send(KALIVE, 1);
    feed(client.peer, next.subarray(0, 1));
    lab.ms = frame_ms - 1;
    const last = client.link.send(KALIVE, 1);
    feed(client.peer, Uint8Array.of(...next.subarray(1), ...last.subarray(0, 1)));
    lab.ms = frame_ms + 1;
    lab.links.sweep(now());
    expect(lab.ended.size).toBe(0);
    lab.ms = 2 * frame_ms - 1;
    lab.links.sweep(now());
    expect(lab.ended).toEqual(new Set([client.peer]));
  });
});

describe('a receiver that takes nothing', () => {
  it('is given up only while something waits, and since it last took something', () => {
    const backlog = new Backlog(0);
    backlog.measure(0, 500, 10_000);
    expect(backlog.stalledSinceMs).toBe(10_000);
    backlog.measure(800, 800, 20_000);
    backlog.measure(900, 100, 30_000);
    expect(backlog.stalledSinceMs).toBe(20_000);
    backlog.measure(899, 0, 40_000);
    expect(backlog.stalledSinceMs).toBe(40_000);
    backlog.measure(1_899, 1_000, 50_000);
    expect(backlog.stalledSinceMs).toBe(40_000);
    backlog.measure(1_899, 1, 60_000);
    expect(backlog.stalledSinceMs).toBe(60_000);
    backlog.measure(0, 0, 70_000);
    backlog.measure(0, 0, 80_000);
    expect(backlog.stalledSinceMs).toBe(80_000);
  });
});

describe('turns', () => {
  const CREDIT = 300;

  /** Peers from 100 on are strangers, one flow together. */
  function turnsOf(costs: (peer: PeerId, bytes: number) => number = (_, bytes) => bytes) {
    const handled: PeerId[] = [];
    const turns = new Turns({
      pieceBytes: 100,
      credit: CREDIT,
      flowOf: (peer) => (peer >= 100 ? 0 : peer),
      handle: (peer, piece) => {
        handled.push(peer);
        return costs(peer, piece.length);
      },
    });
    const runAll = (): void => {
      while (!turns.isEmpty) turns.run();
    };
    return { turns, handled, runAll };
  }
  const bytes = (count: number) => new Uint8Array(count);

  it('are not needed by one alone', () => {
    const { turns, handled } = turnsOf();
    expect(turns.add(1, bytes(100))).toBe(true);
    expect(handled).toEqual([1]);
    expect(turns.isEmpty).toBe(true);
  });

  it('are not needed by one that sends little, however many pour in what they can', () => {
    const { turns, handled } = turnsOf();
    for (let peer = 1; peer <= 50; peer++) turns.add(peer, bytes(10_000));
    // What they stood ahead for being new is soon used up.
    for (let i = 0; i < (50 * CREDIT) / 100; i++) turns.run();
    for (let i = 0; i < 1_250; i++) {
      if (i % 7 > 0) turns.run();
      else expect([turns.add(60, bytes(10)), handled.at(-1)]).toEqual([true, 60]);
    }
  });

  it('do not let one that pauses gain more than its credit by that', () => {
    const { turns, handled, runAll } = turnsOf();
    turns.add(1, bytes(10));
    turns.add(2, bytes(10_000));
    runAll();
    turns.add(2, bytes(10_000));
    turns.add(1, bytes(10_000));
    const from = handled.length;
    for (let i = 0; i < 50; i++) turns.run();
    const mine = handled.slice(from).filter((peer) => peer === 1).length;
    expect(mine).toBeLessThanOrEqual(25 + CREDIT / 100);
    expect(mine).toBeGreaterThanOrEqual(25);
  });

  it('come as often to each that asks for them', () => {
    const { turns, handled } = turnsOf();
    for (let peer = 1; peer <= 4; peer++) turns.add(peer, bytes(10_000));
    for (let i = 0; i < 200; i++) turns.run();
    for (let peer = 1; peer <= 4; peer++) {
      const count = handled.filter((one) => one === peer).length;
      expect(Math.abs(count - 50)).toBeLessThanOrEqual(1);
    }
  });

  it('cost what the work cost, not what the bytes are', () => {
    const { turns, handled } = turnsOf((peer, n) => (peer === 1 ? 9 * n : n));
    turns.add(1, bytes(10_000));
    turns.add(2, bytes(10_000));
    for (let i = 0; i < 50; i++) turns.run();
    expect(handled.filter((one) => one === 1).length).toBeLessThanOrEqual(9);
  });

  it('are the same for all strangers together as for one user', () => {
    const { turns, handled } = turnsOf();
    for (let peer = 100; peer < 150; peer++) turns.add(peer, bytes(1_000));
    turns.add(1, bytes(2_000));
    const from = handled.length;
    for (let i = 0; i < 20; i++) turns.run();
    expect(handled.slice(from).filter((peer) => peer === 1).length).toBeGreaterThanOrEqual(9);
  });

  it('keep the order of a connection, and forget one that ended', () => {
    const { turns, handled, runAll } = turnsOf();
    turns.add(1, bytes(300));
    turns.add(2, bytes(300));
    expect(turns.waitingBytes).toBe(400);
    turns.drop(2);
    expect(turns.waitingBytes).toBe(200);
    turns.drop(3);
    runAll();
    expect(handled).toEqual([1, 2, 1, 1]);
    expect(turns.waitingBytes).toBe(0);
  });
});

describe('the audit log', () => {
  it('has a line for each thing that happens to a connection', () => {
    newRelay({
      address_handshakes_burst: 2,
      address_handshakes_per_s: 1,
      frames_burst: 1,
      frames_per_s: 1,
    });
    const alice = connect(ALICE, HERE);
    sendMany(alice, 3);
    feed(open(HERE), new Uint8Array(10));
    open(HERE);
    const told = lab.audited.map(({ event, connection, limit, code, reason }) =>
      [event, connection, limit ?? code ?? reason].filter((part) => part !== undefined).join(' '),
    );
    expect(told).toEqual([
      'connect 1',
      'auth 1',
      'limit 1 frames_per_s',
      'closed 1 frames_per_s',
      'connect 2',
      'refused 2 bad_frame',
      'connect 3',
      'refused 3 address_handshakes_per_s',
    ]);
  });
});

describe('what does not wait for a turn', () => {
  it('is so much for each address, and nothing before CNN', () => {
    newRelay({ address_prompt_burst: 100, address_prompt_per_s: 10 });
    const [first, second] = [connect(identity(1), HERE), connect(identity(2), HERE)];
    const other = connect(identity(3), ELSEWHERE);
    const level = (peer: PeerId) => lab.links.promptOf(peer)?.level(now().ms);
    lab.links.promptOf(first.peer)!.draw(150, now().ms);
    expect([first, second, other].map(({ peer }) => level(peer))).toEqual([-50, -50, 100]);
    lab.ms += 6_000;
    expect(level(second.peer)).toBe(10);
    expect(lab.links.promptOf(open(ELSEWHERE))).toBeUndefined();
  });
});
