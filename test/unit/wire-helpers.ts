/**
 * For the tests of the wire: links with fixed keys, and either end of a
 * handshake made by hand, so that a test can change any field and then seal
 * whatever it likes with the keys of the link.
 */

import { ClientLink, type LinkEvent } from '../../src/core/client-link.js';
import {
  type CommandName,
  decodeCommand,
  encodePayload,
  type Payload,
} from '../../src/core/commands.js';
import type { Crypto } from '../../src/core/crypto.js';
import { type Frame, FrameParser } from '../../src/core/frame.js';
import {
  agreeAsClient,
  agreeAsRelay,
  hideBroadcastKey,
  keyInfo,
  type LinkIdentity,
  linkIdentity,
  linkKeys,
} from '../../src/core/keys.js';
import { FRAME_PAYLOAD_BYTES_MAX, PROTOCOL_VERSION } from '../../src/core/limits.js';
import { pack, unpack } from '../../src/core/msgpack.js';
import { type RelayEvent, type RelayInfo, RelayLink } from '../../src/core/relay-link.js';
import { OPEN_TO_CLIENT, OPEN_TO_RELAY, sealFrame } from '../../src/core/seal.js';
import { nativeCrypto } from '../../src/native/crypto-native.js';

export const NOW_S = 1_700_000_000;

/** mulberry32: the same numbers for the same seed, from 0 up to 2^32. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

export function randomFrom(seed: number): (bytes: number) => Uint8Array {
  const next = generator(seed);
  return (bytes) => Uint8Array.from({ length: bytes }, () => next() & 255);
}

export const concat = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** The code of what `run` throws. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as { code?: string }).code ?? `not typed: ${error}`;
  }
  return 'nothing thrown';
}

export const INFO: RelayInfo = {
  server_name: 'test relay',
  version: '1.2.3',
  timeout_s: 180,
  cnn_s: 10,
  payload_bytes_max: FRAME_PAYLOAD_BYTES_MAX,
};

const seed = (byte: number) => new Uint8Array(32).fill(byte);
export const ALICE = linkIdentity(nativeCrypto, seed(1));
export const BOB = linkIdentity(nativeCrypto, seed(2));
export const RELAY = linkIdentity(nativeCrypto, seed(3));
export const OTHER_RELAY = linkIdentity(nativeCrypto, seed(4));

export interface Options {
  readonly crypto?: Crypto;
  readonly identity?: LinkIdentity;
  readonly seed?: number;
}

export const newClient = (o: Options & { readonly relayKey?: LinkIdentity } = {}): ClientLink =>
  new ClientLink({
    crypto: o.crypto ?? nativeCrypto,
    identity: o.identity ?? ALICE,
    name: 'alice',
    random: randomFrom(o.seed ?? 5),
    relayKey: o.relayKey?.user,
  });

/** Every relay of a test has the same broadcast keys unless told otherwise. */
export const broadcastOf = (number: number) => ({ number, key: new Uint8Array(64).fill(number) });

export const newRelay = (
  o: Options & {
    readonly info?: Partial<RelayInfo>;
    readonly broadcast?: () => { number: number; key: Uint8Array };
  } = {},
): RelayLink =>
  new RelayLink({
    crypto: o.crypto ?? nativeCrypto,
    identity: o.identity ?? RELAY,
    random: randomFrom(o.seed ?? 6),
    info: { ...INFO, ...o.info },
    broadcast: o.broadcast ?? (() => broadcastOf(1)),
  });

type AnyEvent = LinkEvent | RelayEvent;

/** The bytes of the `send` events. */
export const sent = (events: readonly AnyEvent[]): Uint8Array =>
  concat(...events.flatMap((e) => (e.type === 'send' ? [e.bytes] : [])));

export const types = (events: readonly AnyEvent[]): string[] => events.map((e) => e.type);

/** `type code` of errors and refusals, `type` of everything else. */
export const outcomes = (events: readonly AnyEvent[]): string[] =>
  events.map((e) => ('error' in e ? `${e.type} ${e.error.code}` : e.type));

/** Both ends' events, and the four frames as they went. */
export function shakeHands(client: ClientLink, relay: RelayLink) {
  const info = client.start(NOW_S);
  const sinfo = sent(relay.receive(info, NOW_S));
  const cnn = sent(client.receive(sinfo, NOW_S));
  const relayEvents = relay.receive(cnn, NOW_S);
  const cnnOk = sent(relayEvents);
  const clientEvents = client.receive(cnnOk, NOW_S);
  return { frames: { info, sinfo, cnn, cnnOk }, clientEvents, relayEvents };
}

export function connected(o: Parameters<typeof newRelay>[0] & { client?: Options } = {}) {
  const client = newClient(o.client);
  const relay = newRelay(o);
  return { client, relay, ...shakeHands(client, relay) };
}

export function parse(bytes: Uint8Array): Frame {
  return new FrameParser({ payloadBytesMax: FRAME_PAYLOAD_BYTES_MAX }).push(bytes)[0]!;
}

export const nonce = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
};

export const payloadOf = (name: CommandName, fields: object): Uint8Array =>
  pack(encodePayload(name, { timestamp: NOW_S, ...fields }));

/** A handshake with a relay, by hand: `change` replaces fields of CNN before it is sealed. */
export function handClient(
  relay: RelayLink,
  change: Partial<Payload<'CNN'>> & { readonly freshSecret?: Uint8Array } = {},
) {
  const crypto = nativeCrypto;
  const freshSecret = change.freshSecret ?? seed(9);
  const infoNonce = nonce(100);
  const infoFrame = sealFrame(
    crypto,
    OPEN_TO_RELAY,
    'INFO',
    payloadOf('INFO', { nonce: infoNonce }),
  );
  const sinfoFrame = sent(relay.receive(infoFrame, NOW_S));
  const sinfo = decodeCommand('SINFO', unpack(parse(sinfoFrame).payload))
    .payload as Payload<'SINFO'>;
  const cnn = {
    timestamp: NOW_S,
    nonce: nonce(101),
    protocol_version: PROTOCOL_VERSION,
    id: ALICE.user,
    name: 'alice',
    fixed: ALICE.fixed,
    binding: ALICE.binding,
    fresh: crypto.x25519PublicKey(freshSecret),
    ...change,
  };
  const cnnPayload = payloadOf('CNN', cnn);
  const secrets = agreeAsClient(crypto, { fixed: ALICE.fixedSecret, fresh: freshSecret }, sinfo);
  const keys = linkKeys(
    crypto,
    secrets,
    keyInfo(crypto, {
      client: cnn,
      relay: sinfo,
      nonces: { info: infoNonce, sinfo: sinfo.nonce, cnn: cnn.nonce },
      infoFrame,
      sinfoFrame,
      cnnPayload,
    }),
  );
  const cnnFrame = sealFrame(crypto, keys.toRelay, 'CNN', cnnPayload);
  const seal = (name: string, fields: object) =>
    sealFrame(crypto, keys.toRelay, name, pack(fields));
  return { keys, cnnFrame, seal, events: relay.receive(cnnFrame, NOW_S) };
}

/** A handshake with a client, by hand: `change` replaces fields of SINFO before it is sealed. */
export function handRelay(client: ClientLink, change: Partial<Payload<'SINFO'>> = {}) {
  const crypto = nativeCrypto;
  const freshSecret = seed(10);
  const infoFrame = client.start(NOW_S);
  const sinfo = {
    ...INFO,
    timestamp: NOW_S,
    nonce: nonce(200),
    protocol_version: PROTOCOL_VERSION,
    id: RELAY.user,
    fixed: RELAY.fixed,
    binding: RELAY.binding,
    fresh: crypto.x25519PublicKey(freshSecret),
    ...change,
  };
  const sinfoFrame = sealFrame(crypto, OPEN_TO_CLIENT, 'SINFO', payloadOf('SINFO', sinfo));
  const afterSinfo = client.receive(sinfoFrame, NOW_S);
  if (afterSinfo[0]?.type !== 'send') return { events: afterSinfo, keys: undefined };
  const cnnPayload = parse(afterSinfo[0].bytes).payload;
  const cnn = decodeCommand('CNN', unpack(cnnPayload)).payload as Payload<'CNN'>;
  const secrets = agreeAsRelay(crypto, { fixed: RELAY.fixedSecret, fresh: freshSecret }, cnn);
  const keys = linkKeys(
    crypto,
    secrets,
    keyInfo(crypto, {
      client: cnn,
      relay: sinfo,
      nonces: { info: infoNonceOf(infoFrame), sinfo: sinfo.nonce, cnn: cnn.nonce },
      infoFrame,
      sinfoFrame,
      cnnPayload,
    }),
  );
  const cnnOk = (number: number, at: number) =>
    sealFrame(
      crypto,
      keys.toClient,
      'CNN_OK',
      payloadOf('CNN_OK', {
        nonce: nonce(at),
        number,
        broadcast: hideBroadcastKey(crypto, keys, number, broadcastOf(number).key),
      }),
    );
  const seal = (name: string, fields: object) =>
    sealFrame(crypto, keys.toClient, name, pack(fields));
  return { events: afterSinfo, keys, seal, cnnOk };
}

const infoNonceOf = (frame: Uint8Array): Uint8Array =>
  (decodeCommand('INFO', unpack(parse(frame).payload)).payload as Payload<'INFO'>).nonce;
