/**
 * Writes test/vectors/frames.json and test/vectors/keys.json: the frame codec,
 * the MAC of a frame, and the key schedule of a link step by step. It is
 * deterministic, and a unit test compares the files with what it makes. Run
 * `npx tsx scripts/make-wire-vectors.ts`, then `npx biome check --write
 * test/vectors/frames.json test/vectors/keys.json`.
 *
 * It takes nothing from src/core but the encoding of payloads, which are given
 * in the vectors as bytes: frames, MACs and keys are made here a second time,
 * from docs/PROTOCOL.md and node:crypto alone, so that the vectors can judge
 * the core.
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type CommandName, encodePayload } from '../src/core/commands.js';
import { pack } from '../src/core/msgpack.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
/** A text behind its 4-byte length. */
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
/** `length` bytes that count up from `first`. */
const counting = (length: number, first: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => first + i));

// Frames

const VERSION = 0;
const OPEN_KEY = ascii('conclave/open');
const TO_RELAY = 1;
const TO_CLIENT = 2;
const BROADCAST = 3;

const macInput = (direction: number, name: string, payload: Uint8Array): Buffer =>
  Buffer.concat([Uint8Array.of(direction), ascii(`${name}\n${payload.length}\n`), payload]);

const hmac = (key: Uint8Array, input: Uint8Array): Buffer =>
  createHmac('sha3-512', key).update(input).digest();

const frame = (name: string, payload: Uint8Array, sig: Uint8Array): Buffer =>
  Buffer.concat([ascii(`${name}\n${payload.length}\n${hex(sig)}\n`), payload]);

const seal = (key: Uint8Array, direction: number, name: string, payload: Uint8Array): Buffer =>
  frame(name, payload, hmac(key, macInput(direction, name, payload)));

function frameCase(
  what: string,
  key: Uint8Array,
  direction: number,
  name: string,
  payload: Uint8Array,
) {
  const input = macInput(direction, name, payload);
  const sig = hmac(key, input);
  return {
    what,
    name,
    payload: hex(payload),
    key: hex(key),
    direction,
    mac_input: hex(input),
    sig: hex(sig),
    frame: hex(frame(name, payload, sig)),
  };
}

function refusedFrames() {
  const zeros = '0'.repeat(127);
  const cases: [what: string, bytes: string, code: string][] = [
    ['a name that is empty', '\n', 'bad_frame'],
    ['a name with a lowercase letter', 'Ch', 'bad_frame'],
    ['a name with a digit', 'CH2', 'bad_frame'],
    ['a name of 17 characters', 'A'.repeat(17), 'bad_frame'],
    ['a carriage return', 'INFO\r', 'bad_frame'],
    ['a length that is missing', 'INFO\n\n', 'bad_frame'],
    ['a length of zero', 'INFO\n0', 'bad_frame'],
    ['a length with a leading zero', 'INFO\n0', 'bad_frame'],
    ['a length with a sign', 'INFO\n+', 'bad_frame'],
    ['a length that is not decimal', 'INFO\n1a', 'bad_frame'],
    ['a length one over the limit', 'INFO\n65537', 'frame_too_large'],
    ['a length with one digit too many', 'INFO\n655360', 'frame_too_large'],
    ['a signature in uppercase', `INFO\n1\n${zeros}A`, 'bad_frame'],
    ['a signature of 127 digits', `INFO\n1\n${zeros}\n`, 'bad_frame'],
    ['a signature of 129 digits', `INFO\n1\n${zeros}00`, 'bad_frame'],
  ];
  return cases.map(([what, bytes, code]) => ({ what, bytes: hex(ascii(bytes)), code }));
}

function refusedPayloads() {
  const cases: [what: string, payload: string][] = [
    ['nothing', ''],
    ['a list instead of a map', '90'],
    ['bytes after the map', '8000'],
    ['a map that ends too early', '81a161'],
    ['a key twice', '82a16101a16102'],
    ['a key twice, in two encodings', '82a16101d9016102'],
    ['a key that is not a text', '810101'],
    ['a key of 33 bytes', `81d921${'61'.repeat(33)}01`],
    ['an extension type', '81a161c70005'],
    ['a timestamp', '81a161d6ff00000000'],
    ['the head that no type has', '81a161c1'],
    ['a text that is not UTF-8', '81a161a1ff'],
    ['a text with a surrogate', '81a161a3eda080'],
    ['a byte string that is longer than the rest', '81a161c6ffffffff00'],
    ['nine levels, the map counted', `81a161${'91'.repeat(8)}01`],
  ];
  return cases.map(([what, payload]) => ({ what, payload }));
}

export function frameVectors() {
  const key = counting(64, 0x40);
  const broadcast = counting(64, 0x80);
  const ballot = pack({ timestamp: 1_702_622_553, nonce: u64(7), election: 3 });
  return {
    description:
      'Frames (docs/PROTOCOL.md, sections "Frames", "Payloads" and "Signatures of frames"). All byte strings are lowercase hex. An implementation passes when, for each of `frames`, it makes `sig` and `frame` from `name`, `payload`, `key` and `direction`, and parses `frame`, cut into any chunks, back into `name`, `payload` and `sig`; when, for each of `refused_frames`, with a limit of `payload_bytes_max` bytes, it takes all bytes but the last and refuses at the last, with an error of the kind `code`; and when it refuses each of `refused_payloads`. mac_input = direction byte, NAME, 0a, LEN, 0a, PAYLOAD; sig = HMAC-SHA3-512(key, mac_input). Directions: 1 client to relay, 2 relay to client, 3 broadcast. The file is made by scripts/make-wire-vectors.ts.',
    open_key: hex(OPEN_KEY),
    frames: [
      frameCase('INFO, under the open key', OPEN_KEY, TO_RELAY, 'INFO', pack({ nonce: u64(1) })),
      frameCase('the same, from a relay', OPEN_KEY, TO_CLIENT, 'INFO', pack({ nonce: u64(1) })),
      frameCase('the smallest payload', key, TO_RELAY, 'KALIVE', Uint8Array.of(0x80)),
      frameCase('a vote request to a relay', key, TO_RELAY, 'CH_LEAD', ballot),
      frameCase('that request as forwarded', broadcast, BROADCAST, 'CH_VOTE', ballot),
      frameCase('the longest name', key, TO_CLIENT, 'ABCDEFGHIJKLMNO_', Uint8Array.of(0x80)),
      frameCase(
        'a payload that looks like a frame',
        key,
        TO_RELAY,
        'PV_MSG',
        pack({ msg: frame('DCNN', Uint8Array.of(0x80), Buffer.alloc(64)) }),
      ),
      frameCase('a length of four digits', key, TO_RELAY, 'MSG', pack({ msg: counting(1_000, 0) })),
    ],
    payload_bytes_max: 65_536,
    refused_frames: refusedFrames(),
    refused_payloads: refusedPayloads(),
  };
}

// Keys

type Curve = 'Ed25519' | 'X25519';
const privateKey = (crv: Curve, secret: Uint8Array): KeyObject =>
  createPrivateKey({
    key: { kty: 'OKP', crv, d: Buffer.from(secret).toString('base64url'), x: '' },
    format: 'jwk',
  });
const publicKey = (crv: Curve, secret: Uint8Array): Buffer =>
  Buffer.from(
    createPublicKey(privateKey(crv, secret)).export({ format: 'jwk' }).x as string,
    'base64url',
  );
const x25519 = (secret: Uint8Array, peer: Uint8Array): Buffer =>
  diffieHellman({
    privateKey: privateKey('X25519', secret),
    publicKey: createPublicKey({
      key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(peer).toString('base64url') },
      format: 'jwk',
    }),
  });
const hkdf = (ikm: Uint8Array, info: Uint8Array, length: number): Buffer =>
  Buffer.from(hkdfSync('sha3-256', ikm, Buffer.alloc(0), info, length));

function identity(seed: Buffer, freshSecret: Buffer) {
  const id = publicKey('Ed25519', seed);
  const fixedSecret = hkdf(seed, text('conclave/link-fixed'), 32);
  const fixed = publicKey('X25519', fixedSecret);
  const statement = Buffer.concat([
    text('conclave/link-binding'),
    Uint8Array.of(VERSION),
    id,
    fixed,
  ]);
  const binding = sign(null, statement, privateKey('Ed25519', seed));
  const fresh = publicKey('X25519', freshSecret);
  return { seed, id, fixedSecret, fixed, statement, binding, freshSecret, fresh };
}
type End = ReturnType<typeof identity>;

const shownEnd = (end: End) => ({
  seed: hex(end.seed),
  id: hex(end.id),
  fixed_secret: hex(end.fixedSecret),
  fixed: hex(end.fixed),
  binding_statement: hex(end.statement),
  binding: hex(end.binding),
  fresh_secret: hex(end.freshSecret),
  fresh: hex(end.fresh),
});

const TIMESTAMP = 1_702_622_553;
const NICKNAME = 'zoë';
const SERVER = {
  server_name: 'test relay',
  version: '1.2.3',
  timeout_s: 180,
  cnn_s: 10,
  payload_bytes_max: 65_536,
};

const payloadOf = (name: CommandName, nonce: Buffer, fields: object): Uint8Array =>
  pack(encodePayload(name, { timestamp: TIMESTAMP, nonce, ...fields }));

const shownKeys = (end: End) => ({
  id: hex(end.id),
  fixed: end.fixed,
  binding: end.binding,
  fresh: end.fresh,
});

/** The three payloads that are sent before there is a key. */
function opening(client: End, relay: End) {
  const nonces = { info: u64(1_000), sinfo: u64(2_000), cnn: u64(1_001) };
  const version = { protocol_version: VERSION };
  const info = payloadOf('INFO', nonces.info, {});
  const sinfo = payloadOf('SINFO', nonces.sinfo, { ...version, ...SERVER, ...shownKeys(relay) });
  const cnn = payloadOf('CNN', nonces.cnn, { ...version, name: NICKNAME, ...shownKeys(client) });
  return {
    nonces,
    info: { payload: info, frame: seal(OPEN_KEY, TO_RELAY, 'INFO', info) },
    sinfo: { payload: sinfo, frame: seal(OPEN_KEY, TO_CLIENT, 'SINFO', sinfo) },
    cnn: { payload: cnn },
  };
}

function broadcastKeyVector(hide: Buffer, number: number, key: Buffer) {
  const info = Buffer.concat([text('conclave/link-pad'), u64(number)]);
  const pad = hkdf(hide, info, 64);
  const hidden = Buffer.from(key.map((byte, i) => byte ^ pad[i]!));
  return {
    shown: { number, key: hex(key), info: hex(info), pad: hex(pad), hidden: hex(hidden) },
    hidden,
  };
}

function handshakeVector() {
  const client = identity(counting(32, 0x00), counting(32, 0x20));
  const relay = identity(counting(32, 0x80), counting(32, 0xa0));
  const { nonces, info, sinfo, cnn } = opening(client, relay);
  const secrets = [
    x25519(client.fixedSecret, relay.fixed),
    x25519(client.fixedSecret, relay.fresh),
    x25519(client.freshSecret, relay.fixed),
    x25519(client.freshSecret, relay.fresh),
  ];
  const sent = Buffer.concat([info.frame, sinfo.frame, cnn.payload]);
  const sentHash = createHash('sha256').update(sent).digest();
  const keysInfo = Buffer.concat([
    text('conclave/link-keys'),
    Uint8Array.of(VERSION),
    client.id,
    relay.id,
    client.fixed,
    client.fresh,
    relay.fixed,
    relay.fresh,
    nonces.info,
    nonces.sinfo,
    nonces.cnn,
    sentHash,
  ]);
  const keys = hkdf(Buffer.concat(secrets), keysInfo, 192);
  const [toRelay, toClient, hide] = [0, 64, 128].map((at) => keys.subarray(at, at + 64));
  const first = broadcastKeyVector(hide!, 1, counting(64, 0xc0));
  const second = broadcastKeyVector(hide!, 2, counting(64, 0x10));
  const cnnOk = payloadOf('CNN_OK', u64(2_001), { broadcast: first.hidden, number: 1 });
  return {
    client: shownEnd(client),
    relay: shownEnd(relay),
    info: { nonce: hex(nonces.info), payload: hex(info.payload), frame: hex(info.frame) },
    sinfo: { nonce: hex(nonces.sinfo), payload: hex(sinfo.payload), frame: hex(sinfo.frame) },
    cnn: {
      nonce: hex(nonces.cnn),
      payload: hex(cnn.payload),
      frame: hex(seal(toRelay!, TO_RELAY, 'CNN', cnn.payload)),
    },
    secrets: {
      fixed_fixed: hex(secrets[0]!),
      client_fixed_relay_fresh: hex(secrets[1]!),
      client_fresh_relay_fixed: hex(secrets[2]!),
      fresh_fresh: hex(secrets[3]!),
    },
    sent_sha256: hex(sentHash),
    keys_info: hex(keysInfo),
    keys: { to_relay: hex(toRelay!), to_client: hex(toClient!), hide: hex(hide!) },
    broadcast_keys: [first.shown, second.shown],
    cnn_ok: {
      payload: hex(cnnOk),
      frame: hex(seal(toClient!, TO_CLIENT, 'CNN_OK', cnnOk)),
    },
  };
}

/** u-coordinates of low order, and their encodings that are not canonical. */
const LOW_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

export function keyVectors() {
  return {
    description:
      'The keys of a link, step by step (docs/PROTOCOL.md, section "Keys"). All byte strings are lowercase hex. HKDF is RFC 5869 with SHA3-256 and an empty salt; `text` is a 4-byte big-endian length and UTF-8. fixed_secret = HKDF(seed, text "conclave/link-fixed", 32). binding = Ed25519 signature of binding_statement = text "conclave/link-binding", version byte, id, fixed. The payloads are given as bytes, since msgpack has more than one encoding of a value: decode them to see their fields. The frames of INFO and SINFO are under the open key of frames.json. secrets are X25519 results; the input of HKDF is all four, in the order given. sent_sha256 = SHA-256(INFO frame, SINFO frame, CNN payload). keys_info = text "conclave/link-keys", version byte, client id, relay id, client fixed, client fresh, relay fixed, relay fresh, nonces of INFO, SINFO and CNN, sent_sha256. HKDF(secrets, keys_info, 192) = keys.to_relay, keys.to_client, keys.hide. pad of a broadcast key = HKDF(hide, info, 64) with info = text "conclave/link-pad", number as 8 bytes; hidden = key xor pad. CNN is under to_relay, CNN_OK under to_client. An implementation passes when it makes every value from the seeds, the fresh secrets and the payloads, and when it refuses a peer whose fixed or fresh key is one of low_order. The file is made by scripts/make-wire-vectors.ts.',
    protocol_version: VERSION,
    handshake: handshakeVector(),
    low_order: LOW_ORDER,
  };
}

function write(name: string, vectors: object): void {
  const file = new URL(`../test/vectors/${name}`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(vectors, null, 2)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  write('frames.json', frameVectors());
  write('keys.json', keyVectors());
}
