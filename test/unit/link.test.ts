/**
 * A link that is up (docs/PROTOCOL.md, sections "Links", "Nonces" and
 * "Signatures of frames"): commands both ways, what is refused alone, and what
 * ends the link. Opening one is in handshake.test.ts.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import type { ClientLink, LinkEvent } from '../../src/core/client-link.js';
import { COMMANDS, type Outgoing } from '../../src/core/commands.js';
import type { ChannelId } from '../../src/core/ids.js';
import { pack } from '../../src/core/msgpack.js';
import { type RelayEvent, routeOf } from '../../src/core/relay-link.js';
import { broadcastKey, sealBroadcast, sealFrame } from '../../src/core/seal.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import {
  ALICE,
  BOB,
  broadcastOf,
  codeOf,
  concat,
  connected,
  handClient,
  handRelay,
  NOW_S,
  newClient,
  newRelay,
  nonce,
  outcomes,
  parse,
  payloadOf,
  sent,
} from './wire-helpers.js';

const CHANNEL = 'c'.repeat(64) as ChannelId;
const ACK: Outgoing = {
  name: 'ACK_CH_MSG',
  payload: { id: CHANNEL, from: ALICE.user, s: utf8('statement'), sig: new Uint8Array(64) },
};
const KALIVE: Outgoing = { name: 'KALIVE', payload: {} };
const key1 = broadcastOf(1).key;

/** What a relay makes of a forwarded command. */
function forward(event: RelayEvent | undefined): Uint8Array {
  if (event?.type !== 'command') throw new Error(`expected a command, got ${event?.type}`);
  const { as } = COMMANDS[event.name];
  return sealBroadcast(nativeCrypto, key1, as ?? event.name, event.raw);
}

describe('commands', () => {
  it('reach the relay decoded, with their bytes as they came', () => {
    const { client, relay } = connected();
    const frame = client.send(ACK, NOW_S + 0.9);
    const [event] = relay.receive(frame, NOW_S);
    expect(event).toMatchObject({
      type: 'command',
      name: 'ACK_CH_MSG',
      payload: { timestamp: NOW_S, s: utf8('statement') },
      raw: parse(frame).payload,
    });
  });

  it('go on to every client as one frame with the same payload', () => {
    const alice = connected();
    const bob = connected({ client: { identity: BOB, seed: 50 } });
    const [event] = alice.relay.receive(alice.client.send(ACK, NOW_S), NOW_S);
    const frame = forward(event);
    expect(parse(frame).payload).toStrictEqual((event as { raw: Uint8Array }).raw);
    for (const { client } of [alice, bob]) {
      expect(client.receive(frame, NOW_S)).toMatchObject([
        {
          type: 'command',
          command: { name: 'CH_MSG_ACK', payload: { from: ALICE.user, id: CHANNEL } },
        },
      ]);
    }
  });

  it('are sent one after the other, without waiting for a response', () => {
    const { client, relay } = connected();
    const asked: Outgoing[] = [
      { name: 'LST_USR', payload: {} },
      { name: 'CH_LST', payload: {} },
      { name: 'KALIVE', payload: {} },
      ACK,
    ];
    const stream = concat(...asked.map((command) => client.send(command, NOW_S)));
    expect(relay.receive(stream, NOW_S)).toMatchObject(
      asked.map(({ name }) => ({ type: 'command', name })),
    );
  });

  it('of the relay itself reach the client', () => {
    const { client, relay } = connected();
    const ucnn = { id: BOB.user, name: 'bob' };
    const events = client.receive(relay.send({ name: 'UCNN', payload: ucnn }, NOW_S), NOW_S);
    expect(events).toMatchObject([{ type: 'command', command: { name: 'UCNN', payload: ucnn } }]);
  });

  it('come out the same for any chunking of both streams', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 });
    const one = session([100_000]);
    fc.assert(
      fc.property(sizes, (s) => {
        expect(session(s)).toStrictEqual(one);
      }),
      { numRuns: 30 },
    );
  });

  it('that are forwarded need only their route checked by the relay', () => {
    const { client, relay } = connected();
    const [event] = relay.receive(client.send(ACK, NOW_S), NOW_S);
    const { payload } = event as { payload: unknown };
    expect(routeOf(payload)).toStrictEqual({ from: ALICE.user, id: CHANNEL });
    expect(codeOf(() => routeOf({ ...(payload as object), from: 'alice' }))).toBe('bad_payload');
    expect(codeOf(() => routeOf({ ...(payload as object), to: new Uint8Array(31) }))).toBe(
      'bad_payload',
    );
    expect(codeOf(() => routeOf({}))).toBe('bad_payload');
  });

  it("over the relay's limit are not sent, with an error that says the limit", () => {
    const { client } = connected({ info: { payload_bytes_max: 2_000 } });
    const big: Outgoing = {
      name: 'PV_MSG',
      payload: {
        from: ALICE.user,
        to: BOB.user,
        msg_id: '0'.repeat(26) as never,
        msg: new Uint8Array(2_000),
      },
    };
    expect(codeOf(() => client.send(big, NOW_S))).toBe('frame_too_large');
    expect(codeOf(() => client.send(KALIVE, NOW_S))).toBe('nothing thrown');
  });
});

describe('the size of payloads', () => {
  it("is up to the relay's limit at the client, once SINFO said it", () => {
    const client = newClient();
    const { cnnOk, seal } = handRelay(client, { payload_bytes_max: 2_000 });
    const kalive = (filler: number, at: number) =>
      seal!('KALIVE', { nonce: nonce(at), timestamp: 1, filler: new Uint8Array(filler) });
    const events = client.receive(
      concat(cnnOk!(1, 201), kalive(1_900, 202), kalive(2_000, 203)),
      NOW_S,
    );
    expect(outcomes(events)).toStrictEqual(['connected', 'command', 'error frame_too_large']);
  });
});

/** A session of both ends whose streams are cut into chunks of the given sizes; every event, in order. */
function session(sizes: readonly number[]) {
  const client = newClient();
  const relay = newRelay();
  const toClient: LinkEvent[] = [];
  const toRelay: RelayEvent[] = [];
  let i = 0;
  const cut = (bytes: Uint8Array, each: (chunk: Uint8Array) => void) => {
    for (let at = 0; at < bytes.length; ) {
      const size = sizes[i++ % sizes.length]!;
      each(bytes.subarray(at, at + size));
      at += size;
    }
  };
  const up = (bytes: Uint8Array) => {
    const from = toRelay.length;
    cut(bytes, (chunk) => toRelay.push(...relay.receive(chunk, NOW_S)));
    return toRelay.slice(from);
  };
  const down = (bytes: Uint8Array) => {
    const from = toClient.length;
    cut(bytes, (chunk) => toClient.push(...client.receive(chunk, NOW_S)));
    return toClient.slice(from);
  };
  const cnnOk = sent(up(sent(down(sent(up(client.start(NOW_S)))))));
  const kalive = relay.send(KALIVE, NOW_S);
  down(concat(cnnOk, kalive));
  const events = up(concat(client.send(ACK, NOW_S), client.send(KALIVE, NOW_S)));
  down(forward(events[0]));
  return { toClient, toRelay };
}

describe('what a relay refuses alone, and goes on', () => {
  it('an unknown command', () => {
    const relay = newRelay();
    const { seal } = handClient(relay);
    const frames = concat(
      seal('FUTURE', { nonce: nonce(102) }),
      seal('KALIVE', { nonce: nonce(103) }),
    );
    expect(relay.receive(frames, NOW_S)).toMatchObject([
      { type: 'refused', name: 'FUTURE', error: { code: 'unknown_command' } },
      { type: 'command', name: 'KALIVE' },
    ]);
  });

  const notForClients = Object.entries(COMMANDS).filter(
    ([, c]) => c.from === 'relay' || c.key === 'open',
  );

  it.each(notForClients)('%s, which a client may not send, or not now', (name) => {
    const relay = newRelay();
    const { seal } = handClient(relay);
    const frames = concat(seal(name, { nonce: nonce(102) }), seal('KALIVE', { nonce: nonce(103) }));
    expect(outcomes(relay.receive(frames, NOW_S))).toStrictEqual([
      'refused unexpected_command',
      'command',
    ]);
  });
});

describe('what ends the link at the relay', () => {
  const cases: [string, string, (h: ReturnType<typeof handClient>) => Uint8Array][] = [
    [
      'a frame under another key',
      'bad_mac',
      (h) =>
        sealFrame(
          nativeCrypto,
          { ...h.keys.toRelay, key: h.keys.toClient.key },
          'KALIVE',
          payloadOf('KALIVE', { nonce: nonce(102) }),
        ),
    ],
    [
      'a frame of the other direction',
      'bad_mac',
      (h) =>
        sealFrame(
          nativeCrypto,
          { ...h.keys.toRelay, direction: 2 },
          'KALIVE',
          payloadOf('KALIVE', { nonce: nonce(102) }),
        ),
    ],
    [
      'a frame under the broadcast key',
      'bad_mac',
      () => sealBroadcast(nativeCrypto, key1, 'CH_MSG', payloadOf('KALIVE', { nonce: nonce(102) })),
    ],
    ['a nonce that came before', 'replayed', (h) => h.seal('KALIVE', { nonce: nonce(101) })],
    ['no nonce', 'bad_payload', (h) => h.seal('KALIVE', {})],
    [
      'a nonce of nine bytes',
      'bad_payload',
      (h) => h.seal('KALIVE', { nonce: new Uint8Array(9).fill(255) }),
    ],
    ['a payload that is no map', 'bad_payload', (h) => h.seal('KALIVE', [nonce(102)])],
    ['bytes that are no frame', 'bad_frame', () => utf8('GET / HTTP/1.1\r\n')],
  ];

  it.each(cases)('%s', (_, code, make) => {
    const relay = newRelay();
    const hand = handClient(relay);
    expect(outcomes(relay.receive(make(hand), NOW_S))).toStrictEqual([`error ${code}`]);
    expect(relay.receive(hand.seal('KALIVE', { nonce: nonce(900) }), NOW_S)).toStrictEqual([]);
  });

  it('a payload over its limit', () => {
    const relay = newRelay({ info: { payload_bytes_max: 2_000 } });
    const { seal } = handClient(relay);
    const frames = concat(
      seal('KALIVE', { nonce: nonce(102), filler: new Uint8Array(1_900) }),
      seal('KALIVE', { nonce: nonce(103), filler: new Uint8Array(2_000) }),
    );
    expect(outcomes(relay.receive(frames, NOW_S))).toStrictEqual([
      'command',
      'error frame_too_large',
    ]);
  });

  it('a flipped bit anywhere in a frame', () => {
    const survived: number[] = [];
    const { length } = connected().client.send(ACK, NOW_S);
    for (let i = 0; i < length; i++) {
      const { client, relay } = connected();
      const frame = client.send(ACK, NOW_S).map((byte, at) => (at === i ? byte ^ 1 : byte));
      // A LEN that grew makes the relay wait: the next frame shows it.
      const events = relay.receive(concat(frame, client.send(KALIVE, NOW_S)), NOW_S);
      if (events.length !== 1 || events[0]!.type !== 'error') survived.push(i);
    }
    expect(survived).toStrictEqual([]);
  });

  it('still lets the relay sign an ERR that the client can check', () => {
    const { client, relay } = connected();
    relay.receive(utf8('!'), NOW_S);
    const err = { code: 'bad_frame', about: '', message: 'not a frame' };
    expect(client.receive(relay.send({ name: 'ERR', payload: err }, NOW_S), NOW_S)).toMatchObject([
      { type: 'command', command: { name: 'ERR', payload: err } },
    ]);
  });
});

describe('nonces', () => {
  it('refuse a frame of the client that is replayed', () => {
    const { client, relay } = connected();
    const frame = client.send(KALIVE, NOW_S);
    expect(outcomes(relay.receive(concat(frame, frame), NOW_S))).toStrictEqual([
      'command',
      'error replayed',
    ]);
  });

  it('refuse frames of the client that are reordered, and allow gaps', () => {
    const { client, relay } = connected();
    const [a, b, c] = [1, 2, 3].map(() => client.send(KALIVE, NOW_S));
    expect(outcomes(relay.receive(concat(a!, c!, b!), NOW_S))).toStrictEqual([
      'command',
      'command',
      'error replayed',
    ]);
  });

  it('refuse a frame of the relay that is replayed', () => {
    const { client, relay } = connected();
    const frame = relay.send(KALIVE, NOW_S);
    expect(outcomes(client.receive(concat(frame, frame), NOW_S))).toStrictEqual([
      'command',
      'error replayed',
    ]);
  });

  it('compare as unsigned integers of 64 bits', () => {
    const relay = newRelay();
    const { seal } = handClient(relay);
    const values = [
      '00000000000000ff',
      '0000000000000100',
      '7fffffffffffffff',
      '8000000000000000',
      'ffffffffffffffff',
    ];
    const frames = values.map((hex) =>
      seal('KALIVE', { nonce: new Uint8Array(Buffer.from(hex, 'hex')) }),
    );
    expect(outcomes(relay.receive(concat(...frames), NOW_S))).toStrictEqual(
      values.map(() => 'command'),
    );
  });

  it('of forwarded payloads only skip copies, and never end the link', () => {
    const { client } = connected();
    const frame = (n: number) =>
      sealBroadcast(
        nativeCrypto,
        key1,
        'BEACON',
        payloadOf('BEACON', {
          nonce: nonce(n),
          from: BOB.user,
          s: utf8('s'),
          sig: new Uint8Array(64),
        }),
      );
    const events = client.receive(concat(frame(500), frame(500), frame(501), frame(7)), NOW_S);
    expect(outcomes(events)).toStrictEqual(['command', 'refused replayed', 'command', 'command']);
  });

  it('of two senders are apart', () => {
    const { client } = connected();
    const frame = (from: string) =>
      sealBroadcast(
        nativeCrypto,
        key1,
        'BEACON',
        payloadOf('BEACON', { nonce: nonce(1), from, s: utf8('s'), sig: new Uint8Array(64) }),
      );
    expect(
      outcomes(client.receive(concat(frame(BOB.user), frame(ALICE.user)), NOW_S)),
    ).toStrictEqual(['command', 'command']);
  });
});

describe('frames of another session or end', () => {
  it('of the same user never verify', () => {
    const first = connected();
    const second = connected({ seed: 60, client: { seed: 61 } });
    expect(outcomes(second.relay.receive(first.client.send(KALIVE, NOW_S), NOW_S))).toStrictEqual([
      'error bad_mac',
    ]);
    expect(outcomes(second.client.receive(first.relay.send(KALIVE, NOW_S), NOW_S))).toStrictEqual([
      'error bad_mac',
    ]);
  });

  it('never verify when they are sent back', () => {
    const s = connected();
    expect(outcomes(s.relay.receive(s.relay.send(KALIVE, NOW_S), NOW_S))).toStrictEqual([
      'error bad_mac',
    ]);
    expect(outcomes(s.client.receive(s.client.send(KALIVE, NOW_S), NOW_S))).toStrictEqual([
      'error bad_mac',
    ]);
  });
});

describe('what a client refuses alone, and goes on', () => {
  const goesOn = (
    client: ClientLink,
    seal: (name: string, fields: object) => Uint8Array,
    frame: Uint8Array,
  ) =>
    outcomes(
      client.receive(concat(frame, seal('KALIVE', { nonce: nonce(900), timestamp: NOW_S })), NOW_S),
    );
  const up = () => {
    const client = newClient();
    const { seal, cnnOk } = handRelay(client);
    client.receive(cnnOk!(1, 201), NOW_S);
    return { client, seal: seal! };
  };
  const rubbish: [string, string, Uint8Array][] = [
    [
      "a member's payload with a field missing",
      'bad_payload',
      sealBroadcast(nativeCrypto, key1, 'BEACON', payloadOf('KALIVE', { nonce: nonce(1) })),
    ],
    [
      "a member's payload that is no msgpack",
      'bad_payload',
      sealBroadcast(nativeCrypto, key1, 'CH_MSG', utf8('\x83rubbish')),
    ],
    [
      "a member's payload that is no map",
      'bad_payload',
      sealBroadcast(nativeCrypto, key1, 'CH_MSG', pack([1, 2])),
    ],
    [
      'an unknown command',
      'unknown_command',
      sealBroadcast(nativeCrypto, key1, 'CH_FUTURE', pack({})),
    ],
    [
      'a command that only clients send',
      'unexpected_command',
      sealBroadcast(nativeCrypto, key1, 'CH_LEAD', pack({})),
    ],
    [
      'SINFO, whose time is over',
      'unexpected_command',
      sealBroadcast(nativeCrypto, key1, 'SINFO', pack({})),
    ],
  ];

  it.each(rubbish)('%s', (_, code, frame) => {
    const { client, seal } = up();
    expect(goesOn(client, seal, frame)).toStrictEqual([`refused ${code}`, 'command']);
  });
});

describe('what ends the link at the client', () => {
  const cases: [string, string, (h: ReturnType<typeof handRelay>) => Uint8Array][] = [
    [
      'a forwarded command that is not under the broadcast key',
      'bad_mac',
      () => sealBroadcast(nativeCrypto, broadcastOf(2).key, 'CH_MSG', pack({})),
    ],
    ['a forwarded command under the link key', 'bad_mac', (h) => h.seal!('CH_MSG', {})],
    [
      "the relay's own command under the broadcast key, which every client has",
      'bad_mac',
      () =>
        sealBroadcast(
          nativeCrypto,
          key1,
          'UCNN',
          payloadOf('UCNN', { nonce: nonce(300), id: BOB.user, name: 'bob' }),
        ),
    ],
    [
      "the relay's own command with a wrong payload",
      'bad_payload',
      (h) => h.seal!('UCNN', { nonce: nonce(300), timestamp: 1, id: 'bob', name: 'bob' }),
    ],
    [
      'a nonce of the relay that came before',
      'replayed',
      (h) => h.seal!('KALIVE', { nonce: nonce(200), timestamp: 1 }),
    ],
    ['bytes that are no frame', 'bad_frame', () => utf8('HTTP/1.1 400 Bad Request')],
  ];

  it.each(cases)('%s', (_, code, make) => {
    const client = newClient();
    const hand = handRelay(client);
    client.receive(hand.cnnOk!(1, 201), NOW_S);
    expect(outcomes(client.receive(make(hand), NOW_S))).toStrictEqual([`error ${code}`]);
    expect(
      client.receive(hand.seal!('KALIVE', { nonce: nonce(900), timestamp: 1 }), NOW_S),
    ).toStrictEqual([]);
    expect(codeOf(() => client.send(KALIVE, NOW_S))).toBe('not_connected');
  });

  it('a forwarded command before CNN_OK', () => {
    const client = newClient();
    handRelay(client);
    const frame = sealBroadcast(nativeCrypto, key1, 'CH_MSG', pack({}));
    expect(outcomes(client.receive(frame, NOW_S))).toStrictEqual(['error unexpected_command']);
  });

  it('anything before INFO was sent', () => {
    const { frames } = connected();
    expect(outcomes(newClient().receive(frames.sinfo, NOW_S))).toStrictEqual([
      'error unexpected_command',
    ]);
  });
});

describe('a new broadcast key', () => {
  function rekeyed() {
    let number = 1;
    const s = connected({ broadcast: () => broadcastOf(number) });
    number = 2;
    return { ...s, cnnOk: s.relay.rekey(NOW_S) };
  }
  const beacon = (number: number) =>
    sealFrame(
      nativeCrypto,
      broadcastKey(broadcastOf(number).key),
      'BEACON',
      payloadOf('BEACON', {
        nonce: nonce(number),
        from: BOB.user,
        s: utf8('s'),
        sig: new Uint8Array(64),
      }),
    );

  it('replaces the old one from the next frame on', () => {
    const { client, cnnOk } = rekeyed();
    const events = client.receive(concat(beacon(1), cnnOk, beacon(2)), NOW_S);
    expect(outcomes(events)).toStrictEqual(['command', 'command']);
    expect(outcomes(client.receive(beacon(1), NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it('is not given out under a number that was used on the link', () => {
    const { relay } = rekeyed();
    expect(codeOf(() => relay.rekey(NOW_S))).toBe('internal');
  });

  it('is not taken under a number that was used on the link', () => {
    const client = newClient();
    const { cnnOk } = handRelay(client);
    client.receive(cnnOk!(2, 201), NOW_S);
    expect(outcomes(client.receive(cnnOk!(2, 202), NOW_S))).toStrictEqual(['error replayed']);
  });
});
