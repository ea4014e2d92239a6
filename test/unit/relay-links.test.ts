/**
 * The relay's links without a network: deadlines, limits and hostile bytes, on
 * a clock that the test moves.
 */

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Payload } from '../../src/core/commands.js';
import { HANDSHAKE_PAYLOAD_BYTES_MAX } from '../../src/core/limits.js';
import { ClientLink } from '../../src/core/link.js';
import { nativeCrypto as crypto } from '../../src/native/crypto-native.js';
import { HANDSHAKE_FREE_BYTES, RELAY_TIMING } from '../../src/relay/limits.js';
import { identity, TestChannel } from './relay-channel.js';
import { random } from './relay-client.js';
import {
  ALICE,
  BOB,
  Client,
  codes,
  connect,
  errorsTo,
  feed,
  lab,
  message,
  NOW_S,
  newRelay,
  now,
  open,
  pump,
} from './relay-lab.js';

beforeEach(() => newRelay());

describe('deadlines', () => {
  it('a connection that brings no valid CNN in time ends, whatever else it sent', () => {
    const silent = open();
    const started = new Client(ALICE);
    feed(started.peer, started.link.start(NOW_S));
    lab.ms = RELAY_TIMING.cnn_ms - 1;
    lab.links.sweep(now());
    expect(lab.ended.size).toBe(0);
    lab.ms = RELAY_TIMING.cnn_ms;
    lab.links.sweep(now());
    expect([...lab.ended].sort()).toEqual([silent, started.peer]);
    expect(errorsTo(silent)).toEqual(['cnn_timeout']);
    expect(lab.links.connectionCount).toBe(0);
  });

  it('a client that stays silent ends, one that says KALIVE does not', () => {
    const [alice, bob] = [connect(ALICE), connect(BOB)];
    lab.ms = 179_999;
    lab.links.sweep(now());
    alice.send({ name: 'KALIVE', payload: {} });
    lab.ms = 180_000;
    lab.links.sweep(now());
    pump();
    expect(codes(bob)).toEqual(['timeout']);
    expect(lab.ended).toEqual(new Set([bob.peer]));
    expect(alice.all('KALIVE')).toHaveLength(1);
    expect(lab.links.hub.userCount).toBe(1);
  });
});

describe('rates', () => {
  it('over the burst comes RATE once, frames still pass; a burst later ERR and the end', () => {
    newRelay({ frames_burst: 10, frames_per_s: 10 });
    const alice = connect();
    for (let i = 0; i < 20; i++) alice.send({ name: 'KALIVE', payload: {} });
    pump();
    expect(alice.all('KALIVE')).toHaveLength(20);
    expect(alice.all('RATE')).toEqual([
      expect.objectContaining({ about: 'KALIVE', retry_ms: 600 }),
    ]);
    alice.send({ name: 'KALIVE', payload: {} });
    pump();
    expect(codes(alice)).toEqual(['rate']);
    expect(lab.ended).toEqual(new Set([alice.peer]));
    expect(lab.links.counters.endings.get('rate')).toBe(1);
  });

  it('who waits as RATE says goes on', () => {
    newRelay({ frames_burst: 10, frames_per_s: 10 });
    const alice = connect();
    for (let sent = 0; sent < 100; sent++) {
      alice.send({ name: 'KALIVE', payload: {} });
      pump();
      for (const { payload } of alice.came.splice(0)) {
        lab.ms += (payload as Partial<Payload<'RATE'>>).retry_ms ?? 0;
      }
    }
    expect(lab.ms).toBeGreaterThan(5_000);
    expect(lab.ended.size).toBe(0);
  });

  it('bytes are limited as frames are', () => {
    newRelay({ bytes_burst: 10_000, bytes_per_s: 1_000 });
    const alice = connect();
    const frames = Array.from({ length: 3 }, () => alice.link.send(message(7_000), NOW_S));
    feed(alice.peer, frames[0]!);
    pump();
    expect(alice.all('RATE')).toEqual([]);
    feed(alice.peer, frames[1]!);
    pump();
    expect(alice.all('RATE')).toEqual([expect.objectContaining({ about: '' })]);
    feed(alice.peer, frames[2]!);
    pump();
    expect(codes(alice)).toContain('rate');
  });
});

describe('connections', () => {
  it('over the limit are not taken', () => {
    newRelay({ connections_max: 2 });
    connect(ALICE);
    open();
    expect(lab.links.open(now())).toBeUndefined();
    expect(lab.links.counters.endings.get('full')).toBe(1);
  });

  it('that dally make room for those that come after', () => {
    newRelay({ unauthenticated_max: 2 });
    const alice = connect(ALICE);
    const dallying = [open(), open()];
    const bob = connect(BOB);
    expect(bob.isConnected).toBe(true);
    expect([...lab.ended]).toEqual([dallying[0]]);
    expect(errorsTo(dallying[0]!)).toEqual(['busy']);
    expect(alice.isConnected).toBe(true);
  });

  it('are charged for a handshake when they have sent more than an INFO', () => {
    newRelay({ handshakes_burst: 1, handshakes_per_s: 1 });
    for (let i = 0; i < 10; i++) {
      const garbage = open();
      feed(garbage, random(5_000));
      expect(lab.ended.has(garbage)).toBe(true);
      feed(
        open(),
        new ClientLink({ crypto, identity: ALICE, name: '', random, relayKey: undefined }).start(1),
      );
    }
    expect(connect(ALICE).isConnected).toBe(true);
    const bob = connect(BOB);
    expect(bob.isConnected).toBe(false);
    expect(bob.error).toMatchObject({
      code: 'relay_refused',
      retryable: true,
      cause: { code: 'busy' },
    });
    lab.ms += 1_000;
    expect(connect(BOB).isConnected).toBe(true);
  });

  it('may send little before CNN', () => {
    const client = new Client(ALICE);
    feed(client.peer, client.link.start(NOW_S));
    lab.written.get(client.peer)!.length = 0;
    feed(client.peer, new TextEncoder().encode(`CNN\n${HANDSHAKE_PAYLOAD_BYTES_MAX + 1}\n`));
    expect(errorsTo(client.peer)).toEqual(['frame_too_large']);
  });

  it('of one user: the newer replaces the older, which learns why', () => {
    const older = connect(ALICE);
    const newer = connect(ALICE);
    expect(codes(older)).toEqual(['replaced']);
    expect(lab.ended).toEqual(new Set([older.peer]));
    newer.send({ name: 'KALIVE', payload: {} });
    pump();
    expect(newer.all('KALIVE')).toHaveLength(1);
    lab.links.gone(older.peer, now());
    expect(lab.links.hub.userCount).toBe(1);
  });
});

describe('incomplete frames', () => {
  it('of all connections together are bounded: who holds more than a share goes', () => {
    newRelay({ receive_buffer_total_bytes_max: 30_000 });
    const many = [1, 2, 3].map((n) => connect(identity(n)));
    const head = new TextEncoder().encode(`CH_MSG\n60000\n${'0'.repeat(128)}\n`);
    for (const client of many) feed(client.peer, head);
    feed(many[0]!.peer, new Uint8Array(5_000));
    feed(many[1]!.peer, new Uint8Array(20_000));
    expect(lab.ended.size).toBe(0);
    feed(many[2]!.peer, new Uint8Array(9_000));
    expect(lab.ended.size).toBe(0);
    feed(many[2]!.peer, new Uint8Array(9_000));
    pump();
    expect(lab.ended).toEqual(new Set([many[2]!.peer]));
    expect(codes(many[2]!)).toEqual(['busy']);
  });

  it('that were completed are not counted', () => {
    newRelay({ receive_buffer_total_bytes_max: 1_000 });
    const alice = connect(ALICE);
    for (let i = 0; i < 20; i++) {
      const frame = alice.link.send(message(700), NOW_S);
      feed(alice.peer, frame.subarray(0, 500));
      feed(alice.peer, frame.subarray(500));
    }
    expect(lab.ended.size).toBe(0);
  });
});

describe('a slow receiver', () => {
  it('is told why, ends, and the others learn that it is gone', () => {
    const [alice, bob] = [connect(ALICE), connect(BOB)];
    const channel = TestChannel.of(ALICE, [BOB]);
    alice.send({ name: 'CH_ROSTER', payload: channel.announcement() });
    lab.links.tooSlow(bob.peer, 9_999_999, 'send_buffer_bytes_max', now());
    pump();
    expect(codes(bob)).toEqual(['slow']);
    expect(lab.ended).toEqual(new Set([bob.peer]));
    expect(alice.all('UDCNN').map((u) => u.id)).toEqual([BOB.user]);
  });
});

describe('draining', () => {
  it('tells everyone, connected or not, and tells nobody of the others', () => {
    const [alice, bob] = [connect(ALICE), connect(BOB)];
    const channel = TestChannel.of(ALICE, [BOB]);
    alice.send({ name: 'CH_ROSTER', payload: channel.announcement() });
    const early = open();
    lab.links.drain(now());
    pump();
    expect(codes(alice)).toEqual(['closing']);
    expect(codes(bob)).toEqual(['closing']);
    expect(errorsTo(early)).toEqual(['closing']);
    expect(alice.all('UDCNN')).toEqual([]);
    expect(lab.ended.size).toBe(3);
    expect(lab.links.connectionCount).toBe(0);
  });
});

describe('hostile bytes', () => {
  it('before CNN lead to a typed ERR and the end, or to waiting; never to anything else', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 600 }), { maxLength: 4 }),
        (chunks) => {
          newRelay();
          const peer = open();
          for (const chunk of chunks) feed(peer, chunk);
          const errors = errorsTo(peer);
          expect(errors.length).toBe(lab.ended.has(peer) ? 1 : 0);
          for (const code of errors) expect(code).toMatch(/^[a-z_]+$/);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('in the middle of a good link end that link alone', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (at, flip, cut) => {
        newRelay();
        const [alice, bob] = [connect(ALICE), connect(BOB)];
        const frame = alice.link.send(message(40), NOW_S);
        frame[at % frame.length]! ^= flip;
        feed(alice.peer, frame.subarray(0, cut % frame.length));
        feed(alice.peer, frame.subarray(cut % frame.length));
        feed(alice.peer, alice.link.send(message(1), NOW_S));
        pump();
        expect(bob.all('MSG')).toEqual([]);
        expect(codes(alice).length).toBeLessThanOrEqual(1);
        bob.send({ name: 'KALIVE', payload: {} });
        pump();
        expect(bob.all('KALIVE')).toHaveLength(1);
      }),
      { numRuns: 100 },
    );
  });

  it('garbage shows itself before it costs a handshake', () => {
    newRelay({ handshakes_burst: 0 });
    const peer = open();
    feed(peer, new Uint8Array(HANDSHAKE_FREE_BYTES * 4).fill(0xff));
    expect(errorsTo(peer)).toEqual(['bad_frame']);
  });
});
