/**
 * The wire against test/vectors/frames.json and test/vectors/keys.json, with
 * both crypto ports (docs/PROTOCOL.md, sections "Frames", "Payloads",
 * "Signatures of frames" and "Keys"). The vectors were made without the core.
 */

import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import { frameVectors, keyVectors } from '../../scripts/make-wire-vectors.js';
import { Writer } from '../../src/core/bytes.js';
import { ClientLink } from '../../src/core/client-link.js';
import { decodeCommand, type Payload } from '../../src/core/commands.js';
import type { Crypto } from '../../src/core/crypto.js';
import { portableCrypto } from '../../src/core/crypto-portable.js';
import { FrameParser } from '../../src/core/frame.js';
import {
  agreeAsClient,
  agreeAsRelay,
  hideBroadcastKey,
  keyInfo,
  linkIdentity,
  linkKeys,
} from '../../src/core/keys.js';
import { unpack } from '../../src/core/msgpack.js';
import { RelayLink } from '../../src/core/relay-link.js';
import {
  checkFrame,
  frameMac,
  type MacKey,
  OPEN_TO_RELAY,
  sealFrame,
} from '../../src/core/seal.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';
import { codeOf, sent } from './wire-helpers.js';

const read = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')) as T;
const frames = read<ReturnType<typeof frameVectors>>('frames.json');
const keys = read<ReturnType<typeof keyVectors>>('keys.json');
const ports: readonly Crypto[] = [portableCrypto, nativeCrypto];
const hex = hexToBytes;

describe('the files', () => {
  it('are what scripts/make-wire-vectors.ts makes', () => {
    expect(frames).toStrictEqual(frameVectors());
    expect(keys).toStrictEqual(keyVectors());
  });
});

describe('frames.json', () => {
  const parser = () => new FrameParser({ payloadBytesMax: frames.payload_bytes_max });

  it('has the open key', () => {
    expect(bytesToHex(OPEN_TO_RELAY.key)).toBe(frames.open_key);
  });

  it.each(frames.frames)('frame: $what', ({ name, frame, ...c }) => {
    const key: MacKey = { direction: c.direction as MacKey['direction'], key: hex(c.key) };
    const expected = { name, payload: hex(c.payload), sig: hex(c.sig) };
    expect(parser().push(hex(frame))).toStrictEqual([expected]);
    for (const crypto of ports) {
      expect(bytesToHex(frameMac(crypto, key, name, expected.payload))).toBe(c.sig);
      expect(bytesToHex(sealFrame(crypto, key, name, expected.payload))).toBe(frame);
      expect(codeOf(() => checkFrame(crypto, key, expected))).toBe('nothing thrown');
    }
  });

  it.each(frames.refused_frames)('refuses $what, at the last byte', ({ bytes, code }) => {
    const p = parser();
    const all = hex(bytes);
    expect(p.push(all.subarray(0, -1))).toStrictEqual([]);
    expect(codeOf(() => p.push(all.subarray(-1)))).toBe(code);
  });

  it.each(frames.refused_payloads)('refuses the payload: $what', ({ payload }) => {
    expect(codeOf(() => unpack(hex(payload)))).toBe('bad_payload');
  });
});

const v = keys.handshake;

/** Gives the vector's random bytes in the order in which a link asks for them. */
function randomOf(firstNonce: string, freshSecret: string) {
  // A link starts at half of its random number.
  const start = BigInt(`0x${firstNonce}`) * 2n;
  const values = [hex(start.toString(16).padStart(16, '0')), hex(freshSecret)];
  return (bytes: number): Uint8Array => {
    const value = values.shift();
    if (value?.length !== bytes) throw new Error(`the vector has no ${bytes} random bytes here`);
    return value;
  };
}

describe.each(ports)('keys.json, with the $name port', (crypto) => {
  const client = linkIdentity(crypto, hex(v.client.seed));
  const relay = linkIdentity(crypto, hex(v.relay.seed));
  const sinfo = decodeCommand('SINFO', unpack(hex(v.sinfo.payload))).payload as Payload<'SINFO'>;
  const cnn = decodeCommand('CNN', unpack(hex(v.cnn.payload))).payload as Payload<'CNN'>;

  it.each([
    ['client', client, v.client],
    ['relay', relay, v.relay],
  ] as const)('the identity of the %s', (_, identity, expected) => {
    expect(identity.user).toBe(expected.id);
    expect(bytesToHex(identity.fixedSecret)).toBe(expected.fixed_secret);
    expect(bytesToHex(identity.fixed)).toBe(expected.fixed);
    expect(bytesToHex(identity.binding)).toBe(expected.binding);
    expect(bytesToHex(crypto.x25519PublicKey(hex(expected.fresh_secret)))).toBe(expected.fresh);
  });

  const ownSecrets = (end: typeof v.client) => ({
    fixed: hex(end.fixed_secret),
    fresh: hex(end.fresh_secret),
  });
  const secrets = hex(Object.values(v.secrets).join(''));

  it('the shared secrets, from both sides', () => {
    expect(agreeAsClient(crypto, ownSecrets(v.client), sinfo)).toStrictEqual(secrets);
    expect(agreeAsRelay(crypto, ownSecrets(v.relay), cnn)).toStrictEqual(secrets);
  });

  it('the keys', () => {
    const info = keyInfo(crypto, {
      client: cnn,
      relay: sinfo,
      nonces: { info: hex(v.info.nonce), sinfo: sinfo.nonce, cnn: cnn.nonce },
      infoFrame: hex(v.info.frame),
      sinfoFrame: hex(v.sinfo.frame),
      cnnPayload: hex(v.cnn.payload),
    });
    expect(bytesToHex(info)).toBe(v.keys_info);
    expect(bytesToHex(info.subarray(-32))).toBe(v.sent_sha256);
    const made = linkKeys(crypto, secrets, info);
    expect(bytesToHex(made.toRelay.key)).toBe(v.keys.to_relay);
    expect(bytesToHex(made.toClient.key)).toBe(v.keys.to_client);
    expect(bytesToHex(made.hide)).toBe(v.keys.hide);
  });

  it.each(v.broadcast_keys)(
    'broadcast key $number, hidden and shown',
    ({ number, key, hidden }) => {
      const made = linkKeys(crypto, secrets, hex(v.keys_info));
      expect(bytesToHex(hideBroadcastKey(crypto, made, number, hex(key)))).toBe(hidden);
      expect(bytesToHex(hideBroadcastKey(crypto, made, number, hex(hidden)))).toBe(key);
    },
  );

  it('the handshake, byte for byte', () => {
    const clientLink = new ClientLink({
      crypto,
      identity: client,
      name: cnn.name,
      random: randomOf(v.info.nonce, v.client.fresh_secret),
      relayKey: relay.user,
    });
    const { server_name, version, timeout_s, cnn_s, payload_bytes_max } = sinfo;
    const relayLink = new RelayLink({
      crypto,
      identity: relay,
      random: randomOf(v.sinfo.nonce, v.relay.fresh_secret),
      info: { server_name, version, timeout_s, cnn_s, payload_bytes_max },
      broadcast: () => ({ number: 1, key: hex(v.broadcast_keys[0]!.key) }),
    });
    const nowS = cnn.timestamp;
    const info = clientLink.start(nowS);
    const answer = sent(relayLink.receive(info, nowS));
    const proof = sent(clientLink.receive(answer, nowS));
    const ok = sent(relayLink.receive(proof, nowS));
    expect([info, answer, proof, ok].map(bytesToHex)).toStrictEqual([
      v.info.frame,
      v.sinfo.frame,
      v.cnn.frame,
      v.cnn_ok.frame,
    ]);
    expect(clientLink.receive(ok, nowS)).toMatchObject([{ type: 'connected', relay: relay.user }]);
  });

  it.each(keys.low_order)('a peer with the X25519 key %s is refused', (point) => {
    const key = hex(point);
    for (const weak of [
      { ...sinfo, fixed: key },
      { ...sinfo, fresh: key },
    ]) {
      expect(codeOf(() => agreeAsClient(crypto, ownSecrets(v.client), weak))).toBe('bad_key');
      expect(codeOf(() => agreeAsRelay(crypto, ownSecrets(v.relay), weak))).toBe('bad_key');
    }
  });

  it('the statement of a binding', () => {
    for (const end of [v.client, v.relay]) {
      const statement = new Writer().text('conclave/link-binding').u8(keys.protocol_version);
      expect(bytesToHex(statement.raw(hex(end.id)).raw(hex(end.fixed)).done())).toBe(
        end.binding_statement,
      );
      expect(crypto.ed25519Verify(hex(end.id), hex(end.binding_statement), hex(end.binding))).toBe(
        true,
      );
    }
  });
});
