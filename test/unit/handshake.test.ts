/**
 * Opening a link (docs/PROTOCOL.md, sections "Links" and "Keys"): both ends end
 * up proven with the same keys, or neither is connected.
 */

import { hexToBytes } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import { ClientLink, type LinkEvent } from '../../src/core/client-link.js';
import { portableCrypto } from '../../src/core/crypto-portable.js';
import { encodeFrame } from '../../src/core/frame.js';
import { hideBroadcastKey, keyInfo, linkIdentity, linkKeys } from '../../src/core/keys.js';
import { HANDSHAKE_PAYLOAD_BYTES_MAX, PROTOCOL_VERSION } from '../../src/core/limits.js';
import type { RelayEvent } from '../../src/core/relay-link.js';
import { OPEN_TO_CLIENT, OPEN_TO_RELAY, sealFrame } from '../../src/core/seal.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import {
  ALICE,
  BOB,
  broadcastOf,
  codeOf,
  connected,
  handClient,
  handRelay,
  INFO,
  NOW_S,
  newClient,
  newRelay,
  nonce,
  OTHER_RELAY,
  outcomes,
  parse,
  payloadOf,
  RELAY,
  randomFrom,
  sent,
  types,
} from './wire-helpers.js';

const ports = [
  ['native', nativeCrypto],
  ['portable', portableCrypto],
] as const;

describe('linkIdentity', () => {
  it('gives the same keys from a seed with both ports', () => {
    const seed = randomFrom(1)(32);
    expect(linkIdentity(portableCrypto, seed)).toStrictEqual(linkIdentity(nativeCrypto, seed));
  });

  it('never shows the seed as the X25519 secret', () => {
    expect(ALICE.fixedSecret).not.toStrictEqual(ALICE.seed);
  });
});

describe('a handshake', () => {
  for (const [a, clientCrypto] of ports) {
    for (const [b, relayCrypto] of ports) {
      it(`connects a ${a} client to a ${b} relay, each proven to the other`, () => {
        const s = connected({ crypto: relayCrypto, client: { crypto: clientCrypto } });
        expect(s.relayEvents.slice(1)).toStrictEqual([
          { type: 'connected', user: ALICE.user, name: 'alice', hasToken: false },
        ]);
        expect(s.clientEvents).toMatchObject([
          {
            type: 'connected',
            relay: RELAY.user,
            info: { ...INFO, protocol_version: PROTOCOL_VERSION },
          },
        ]);
      });
    }
  }

  it('connects to the relay that the address pins', () => {
    const client = newClient({ relayKey: RELAY });
    expect(outcomes(handRelay(client).events)).toStrictEqual(['send']);
  });

  it('keeps nothing of a chunk, whose memory the caller may use again', () => {
    const client = newClient();
    const relay = newRelay();
    const wiped = <E extends LinkEvent | RelayEvent>(
      end: { receive(chunk: Uint8Array, nowS: number): E[] },
      bytes: Uint8Array,
    ): Uint8Array => {
      const chunk = bytes.slice();
      const answer = sent(end.receive(chunk, NOW_S));
      chunk.fill(0);
      return answer;
    };
    const cnnOk = wiped(relay, wiped(client, wiped(relay, client.start(NOW_S))));
    expect(client.receive(cnnOk, NOW_S)).toMatchObject([
      { type: 'connected', info: { id: RELAY.user, fixed: RELAY.fixed } },
    ]);
  });

  it('refuses another relay than the address pins, and says so', () => {
    const client = newClient({ relayKey: OTHER_RELAY });
    const { events } = handRelay(client);
    expect(outcomes(events)).toStrictEqual(['error relay_key_changed']);
    expect(events[0]).toMatchObject({ error: { message: expect.stringContaining(RELAY.user) } });
  });

  it('is the same for a relay and a user with one seed', () => {
    const s = connected({ identity: ALICE });
    expect(types(s.clientEvents)).toStrictEqual(['connected']);
  });

  it('gives different keys each time, for the same two ends', () => {
    const a = handClient(newRelay({ seed: 1 })).keys;
    const b = handClient(newRelay({ seed: 2 })).keys;
    expect(a.toRelay.key).not.toStrictEqual(b.toRelay.key);
    expect(a.toClient.key).not.toStrictEqual(b.toClient.key);
    expect(a.hide).not.toStrictEqual(b.hide);
  });

  it('refuses a nickname that the relay would refuse', () => {
    const named = (name: string) => () =>
      new ClientLink({
        crypto: nativeCrypto,
        identity: ALICE,
        name,
        random: randomFrom(1),
        relayKey: undefined,
      });
    expect(codeOf(named('x'.repeat(65)))).toBe('bad_payload');
    expect(codeOf(named('x'.repeat(64)))).toBe('nothing thrown');
  });
});

/** `bytes` with one bit of byte `i` flipped. */
const flipped = (bytes: Uint8Array, i: number, bit = 1): Uint8Array =>
  bytes.map((byte, at) => (at === i ? byte ^ bit : byte));

/**
 * Runs a handshake in which `tamper` may change each frame on its way, and
 * says which end was connected.
 */
function handshakeThrough(tamper: (name: string, frame: Uint8Array) => Uint8Array): string[] {
  const client = newClient();
  const relay = newRelay();
  const sinfo = relay.receive(tamper('INFO', client.start(NOW_S)), NOW_S);
  const cnn = client.receive(tamper('SINFO', sent(sinfo)), NOW_S);
  const relayEvents = relay.receive(tamper('CNN', sent(cnn)), NOW_S);
  const clientEvents = client.receive(tamper('CNN_OK', sent(relayEvents)), NOW_S);
  return [
    ...(types(relayEvents).includes('connected') ? ['relay'] : []),
    ...(types(clientEvents).includes('connected') ? ['client'] : []),
  ];
}

describe('a handshake that somebody changes on its way', () => {
  const { frames } = connected();
  const stages = [
    ['INFO', frames.info, []],
    ['SINFO', frames.sinfo, []],
    ['CNN', frames.cnn, []],
    ['CNN_OK', frames.cnnOk, ['relay']],
  ] as const;

  it('connects both ends when nothing is changed', () => {
    expect(handshakeThrough((_, frame) => frame)).toStrictEqual(['relay', 'client']);
  });

  it.each(stages)('fails for any flipped byte of %s', (name, frame, mayConnect) => {
    const survived: number[] = [];
    for (let i = 0; i < frame.length; i++) {
      const done = handshakeThrough((at, bytes) => (at === name ? flipped(bytes, i) : bytes));
      if (JSON.stringify(done) !== JSON.stringify(mayConnect)) survived.push(i);
    }
    expect(survived).toStrictEqual([]);
  });

  it.each([
    ['INFO', frames.info, OPEN_TO_RELAY],
    ['SINFO', frames.sinfo, OPEN_TO_CLIENT],
  ] as const)(
    'fails for any flipped byte of %s even when its checksum is made anew',
    (name, frame, key) => {
      const { payload } = parse(frame);
      const survived: number[] = [];
      for (let i = 0; i < payload.length; i++) {
        const forged = sealFrame(nativeCrypto, key, name, flipped(payload, i));
        if (handshakeThrough((at, bytes) => (at === name ? forged : bytes)).length > 0)
          survived.push(i);
      }
      expect(survived).toStrictEqual([]);
    },
  );

  it('fails when anything is sent between the frames of the handshake', () => {
    const extra = sealFrame(
      nativeCrypto,
      OPEN_TO_RELAY,
      'KALIVE',
      payloadOf('KALIVE', { nonce: nonce(1) }),
    );
    const relay = newRelay();
    const client = newClient();
    relay.receive(client.start(NOW_S), NOW_S);
    expect(outcomes(relay.receive(extra, NOW_S))).toStrictEqual(['error unexpected_command']);
  });
});

describe('a handshake with somebody who poses as another', () => {
  const thief = (of: typeof ALICE) => ({ ...of, fixedSecret: randomFrom(99)(32) });

  it('fails for a client that has the public half of a user only', () => {
    const s = connected({ client: { identity: thief(ALICE) } });
    expect(outcomes(s.relayEvents)).toStrictEqual(['error bad_mac']);
    expect(types(s.clientEvents)).toStrictEqual([]);
  });

  it('fails for a relay that has the public half of a relay only', () => {
    const client = newClient();
    const s = { relay: newRelay({ identity: thief(RELAY) }) };
    const cnn = sent(client.receive(sent(s.relay.receive(client.start(NOW_S), NOW_S)), NOW_S));
    expect(outcomes(s.relay.receive(cnn, NOW_S))).toStrictEqual(['error bad_mac']);
    // Without the keys it can only guess at CNN_OK.
    const guess = payloadOf('CNN_OK', {
      nonce: nonce(300),
      number: 1,
      broadcast: new Uint8Array(64),
    });
    const forged = sealFrame(nativeCrypto, OPEN_TO_CLIENT, 'CNN_OK', guess);
    expect(outcomes(client.receive(forged, NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it('fails for a thief of the relay key who poses as a user to that relay', () => {
    // All that the thief has: the relay's secrets, and Alice's public keys.
    const posing = { ...ALICE, fixedSecret: RELAY.fixedSecret };
    const s = connected({ client: { identity: posing } });
    expect(outcomes(s.relayEvents)).toStrictEqual(['error bad_mac']);
  });

  it('refuses an X25519 key that the user did not sign', () => {
    const { events } = handClient(newRelay(), { fixed: BOB.fixed });
    expect(outcomes(events)).toStrictEqual(['error bad_binding']);
  });

  it('refuses an X25519 key that the relay did not sign', () => {
    expect(outcomes(handRelay(newClient(), { fixed: BOB.fixed }).events)).toStrictEqual([
      'error bad_binding',
    ]);
  });

  it("refuses another user's key under one's own name", () => {
    const { events } = handClient(newRelay(), { id: BOB.user });
    expect(outcomes(events)).toStrictEqual(['error bad_binding']);
  });
});

describe('a handshake from elsewhere', () => {
  it('never verifies at another relay', () => {
    const client = newClient();
    const other = newRelay({ identity: OTHER_RELAY });
    const info = client.start(NOW_S);
    other.receive(info, NOW_S);
    const cnn = sent(client.receive(sent(newRelay().receive(info, NOW_S)), NOW_S));
    expect(outcomes(other.receive(cnn, NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it('never verifies in another session of the same relay', () => {
    const { frames } = connected();
    const relay = newRelay({ seed: 77 });
    expect(outcomes(relay.receive(frames.info, NOW_S))).toStrictEqual(['send']);
    expect(outcomes(relay.receive(frames.cnn, NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it("never verifies as the relay's answers to another session of the same client", () => {
    const { frames } = connected();
    const client = newClient({ seed: 77 });
    client.start(NOW_S);
    expect(outcomes(client.receive(frames.sinfo, NOW_S))).toStrictEqual(['send']);
    expect(outcomes(client.receive(frames.cnnOk, NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it('never verifies in the other direction', () => {
    const client = newClient();
    expect(outcomes(client.receive(client.start(NOW_S), NOW_S))).toStrictEqual([
      'error unexpected_command',
    ]);
    const asSinfo = { ...parse(connected().frames.info), name: 'SINFO' };
    const other = newClient();
    other.start(NOW_S);
    expect(
      outcomes(other.receive(encodeFrame(asSinfo.name, asSinfo.payload, asSinfo.sig), NOW_S)),
    ).toStrictEqual(['error bad_mac']);
  });
});

describe('X25519 keys of low order', () => {
  const lowOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map(hexToBytes);
  /** A user who signs such a key itself. */
  const signed = (identity: typeof ALICE, fixed: Uint8Array) => {
    const statement = new Uint8Array(
      Buffer.concat([
        Uint8Array.of(0, 0, 0, 21),
        utf8('conclave/link-binding'),
        Uint8Array.of(PROTOCOL_VERSION),
        hexToBytes(identity.user),
        fixed,
      ]),
    );
    return { fixed, binding: nativeCrypto.ed25519Sign(identity.seed, statement) };
  };

  it.each(ports)('are refused by a relay (%s)', (_, crypto) => {
    for (const key of lowOrder) {
      const fresh = handClient(newRelay({ crypto }), { fresh: key });
      const fixed = handClient(newRelay({ crypto }), signed(ALICE, key));
      expect(outcomes([...fresh.events, ...fixed.events])).toStrictEqual([
        'error bad_key',
        'error bad_key',
      ]);
    }
  });

  it.each(ports)('are refused by a client (%s)', (_, crypto) => {
    for (const key of lowOrder) {
      const fresh = handRelay(newClient({ crypto }), { fresh: key });
      const fixed = handRelay(newClient({ crypto }), signed(RELAY, key));
      expect(outcomes([...fresh.events, ...fixed.events])).toStrictEqual([
        'error bad_key',
        'error bad_key',
      ]);
    }
  });
});

describe('versions', () => {
  it('refuses a client of another version before it reads the rest', () => {
    const relay = newRelay();
    relay.receive(newClient().start(NOW_S), NOW_S);
    const cnn = sealFrame(
      nativeCrypto,
      OPEN_TO_RELAY,
      'CNN',
      new Uint8Array([0x81, 0xb0, ...utf8('protocol_version'), 7]),
    );
    expect(outcomes(relay.receive(cnn, NOW_S))).toStrictEqual(['error protocol_version']);
  });

  it('refuses a relay of another version before it reads the rest', () => {
    const client = newClient();
    client.start(NOW_S);
    const sinfo = sealFrame(
      nativeCrypto,
      OPEN_TO_CLIENT,
      'SINFO',
      new Uint8Array([0x81, 0xb0, ...utf8('protocol_version'), 7]),
    );
    expect(outcomes(client.receive(sinfo, NOW_S))).toStrictEqual(['error protocol_version']);
  });
});

describe('before there is a key', () => {
  it.each(['CNN', 'KALIVE', 'CH_MSG', 'SINFO'])(
    'a relay takes nothing but INFO, not %s',
    (name) => {
      const frame = sealFrame(
        nativeCrypto,
        OPEN_TO_RELAY,
        name,
        payloadOf('KALIVE', { nonce: nonce(1) }),
      );
      expect(outcomes(newRelay().receive(frame, NOW_S))).toStrictEqual([
        'error unexpected_command',
      ]);
    },
  );

  it('a relay names an unknown command', () => {
    const frame = sealFrame(
      nativeCrypto,
      OPEN_TO_RELAY,
      'HELO',
      payloadOf('KALIVE', { nonce: nonce(1) }),
    );
    expect(newRelay().receive(frame, NOW_S)).toMatchObject([
      { type: 'error', about: 'HELO', error: { code: 'unknown_command' } },
    ]);
  });

  it('a relay refuses an INFO, and a client an SINFO, with a wrong checksum', () => {
    const { frames } = connected();
    const damaged = (frame: Uint8Array, name: string) => {
      const { payload, sig } = parse(frame);
      return encodeFrame(name, payload, flipped(sig, 0));
    };
    const info = damaged(frames.info, 'INFO');
    const sinfo = damaged(frames.sinfo, 'SINFO');
    const client = newClient();
    client.start(NOW_S);
    expect(outcomes(newRelay().receive(info, NOW_S))).toStrictEqual(['error bad_mac']);
    expect(outcomes(client.receive(sinfo, NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it('a relay takes INFO once', () => {
    const relay = newRelay();
    const info = newClient().start(NOW_S);
    relay.receive(info, NOW_S);
    expect(outcomes(relay.receive(info, NOW_S))).toStrictEqual(['error unexpected_command']);
  });

  it("a relay's ERR reaches the client, as a refusal of the link", () => {
    const relay = newRelay();
    const client = newClient();
    client.receive(sent(relay.receive(client.start(NOW_S), NOW_S)), NOW_S);
    expect(outcomes(relay.receive(utf8('nonsense'), NOW_S))).toStrictEqual(['error bad_frame']);
    const err = { code: 'bad_frame', about: '', message: 'not a frame' };
    const events = client.receive(relay.send({ name: 'ERR', payload: err }, NOW_S), NOW_S);
    expect(outcomes(events)).toStrictEqual(['error relay_refused']);
    expect(events).toMatchObject([{ error: { retryable: true, cause: { code: 'bad_frame' } } }]);
  });

  it('a client takes an ERR only with its checksum', () => {
    const client = newClient();
    client.start(NOW_S);
    const err = { code: 'busy', about: '', message: 'come back later' };
    const { name, payload, sig } = parse(newRelay().send({ name: 'ERR', payload: err }, NOW_S));
    const damaged = encodeFrame(name, payload, flipped(sig, 63));
    expect(outcomes(client.receive(damaged, NOW_S))).toStrictEqual(['error bad_mac']);
  });

  it('a relay can send nothing but ERR', () => {
    expect(codeOf(() => newRelay().send({ name: 'KALIVE', payload: {} }, NOW_S))).toBe(
      'not_connected',
    );
  });

  it('a client can send nothing', () => {
    const client = newClient();
    expect(codeOf(() => client.send({ name: 'KALIVE', payload: {} }, NOW_S))).toBe('not_connected');
    client.start(NOW_S);
    expect(codeOf(() => client.send({ name: 'KALIVE', payload: {} }, NOW_S))).toBe('not_connected');
  });

  it('neither end takes a payload of over 1,024 bytes', () => {
    const large = new Uint8Array(HANDSHAKE_PAYLOAD_BYTES_MAX + 1);
    const client = newClient();
    client.start(NOW_S);
    const sinfo = sealFrame(nativeCrypto, OPEN_TO_CLIENT, 'SINFO', large);
    const info = sealFrame(nativeCrypto, OPEN_TO_RELAY, 'INFO', large);
    expect(outcomes(client.receive(sinfo, NOW_S))).toStrictEqual(['error frame_too_large']);
    expect(outcomes(newRelay().receive(info, NOW_S))).toStrictEqual(['error frame_too_large']);
  });

  it('CNN needs a larger nonce than INFO', () => {
    expect(outcomes(handClient(newRelay(), { nonce: nonce(100) }).events)).toStrictEqual([
      'error replayed',
    ]);
  });

  it('CNN_OK needs a larger nonce than SINFO', () => {
    const client = newClient();
    const { cnnOk } = handRelay(client);
    expect(outcomes(client.receive(cnnOk!(1, 200), NOW_S))).toStrictEqual(['error replayed']);
  });
});

describe('the broadcast key', () => {
  const { key } = broadcastOf(1);
  const keysOf = (seed: number) => handClient(newRelay({ seed })).keys;

  it('does not travel in the open', () => {
    const { payload } = parse(connected().frames.cnnOk);
    expect(Buffer.from(payload).includes(Buffer.from(key))).toBe(false);
  });

  it('is hidden by another pad on each link, and for each number', () => {
    const hidden = [
      hideBroadcastKey(nativeCrypto, keysOf(1), 1, key),
      hideBroadcastKey(nativeCrypto, keysOf(1), 2, key),
      hideBroadcastKey(nativeCrypto, keysOf(2), 1, key),
    ];
    expect(new Set(hidden.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBe(3);
  });
});

describe('the key schedule', () => {
  const crypto = nativeCrypto;
  const bytes = randomFrom(5);
  const transcript = {
    client: { id: ALICE.user, fixed: bytes(32), fresh: bytes(32) },
    relay: { id: RELAY.user, fixed: bytes(32), fresh: bytes(32) },
    nonces: { info: bytes(8), sinfo: bytes(8), cnn: bytes(8) },
    infoFrame: bytes(100),
    sinfoFrame: bytes(300),
    cnnPayload: bytes(200),
  };
  const secrets = bytes(128);
  const info = keyInfo(crypto, transcript);
  const keysOf = (s: Uint8Array, i: Uint8Array) => {
    const keys = linkKeys(crypto, s, i);
    return [keys.toRelay.key, keys.toClient.key, keys.hide].map((k) =>
      Buffer.from(k).toString('hex'),
    );
  };

  it('makes three different keys', () => {
    expect(new Set(keysOf(secrets, info)).size).toBe(3);
  });

  it('depends on every byte of the four secrets', () => {
    const all = [keysOf(secrets, info)];
    for (let i = 0; i < secrets.length; i++) all.push(keysOf(flipped(secrets, i), info));
    expect(new Set(all.flat()).size).toBe(3 * 129);
  });

  it('depends on everything in the transcript', () => {
    const { client, relay, nonces } = transcript;
    const changed = [
      { ...transcript, client: { ...client, id: BOB.user } },
      { ...transcript, client: { ...client, fixed: flipped(client.fixed, 31) } },
      { ...transcript, client: { ...client, fresh: flipped(client.fresh, 0) } },
      { ...transcript, relay: { ...relay, id: OTHER_RELAY.user } },
      { ...transcript, relay: { ...relay, fixed: flipped(relay.fixed, 31) } },
      { ...transcript, relay: { ...relay, fresh: flipped(relay.fresh, 0) } },
      { ...transcript, client: relay, relay: client },
      { ...transcript, nonces: { ...nonces, info: flipped(nonces.info, 7) } },
      { ...transcript, nonces: { ...nonces, sinfo: flipped(nonces.sinfo, 7) } },
      { ...transcript, nonces: { ...nonces, cnn: flipped(nonces.cnn, 7) } },
      { ...transcript, infoFrame: flipped(transcript.infoFrame, 99) },
      { ...transcript, sinfoFrame: flipped(transcript.sinfoFrame, 299) },
      { ...transcript, cnnPayload: flipped(transcript.cnnPayload, 199) },
    ];
    const keys = [transcript, ...changed].flatMap((t) => keysOf(secrets, keyInfo(crypto, t)));
    expect(new Set(keys).size).toBe(3 * (changed.length + 1));
  });
});
