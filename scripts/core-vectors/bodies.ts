/** test/vectors/bodies.json: what channel keys do, and `keys` records. */

import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';
import { alice, bob, CHANNEL, carol, ENCODING, id, repeat, TIME, ulidOf } from './common.js';
import { bytes, encode, type Fields, type Hex, list, record, text, u16, utf8 } from './encoding.js';

const buffer = (hex: Hex): Buffer => Buffer.from(hex, 'hex');
const VERSION = '00';

// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) over node's ChaCha20-Poly1305

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

function quarter(s: Uint32Array, a: number, b: number, c: number, d: number): void {
  for (const [p, q, r, by] of [
    [a, b, d, 16],
    [c, d, b, 12],
    [a, b, d, 8],
    [c, d, b, 7],
  ] as const) {
    s[p] = s[p]! + s[q]!;
    s[r] = rotate(s[r]! ^ s[p]!, by);
  }
}

/** Section 2.2: a key from a key and 16 bytes of the nonce. */
function hchacha20(key: Buffer, nonce: Buffer): Buffer {
  const start = Buffer.concat([Buffer.from('expand 32-byte k'), key, nonce]);
  const s = Uint32Array.from({ length: 16 }, (_, i) => start.readUInt32LE(4 * i));
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarter(s, i, 4 + i, 8 + i, 12 + i);
    for (let i = 0; i < 4; i++)
      quarter(s, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
  }
  const out = Buffer.alloc(32);
  [...s.slice(0, 4), ...s.slice(12)].forEach((word, i) => {
    out.writeUInt32LE(word, 4 * i);
  });
  return out;
}

const subkeyOf = (key: Hex, nonce: Hex): Hex =>
  hchacha20(buffer(key), buffer(nonce).subarray(0, 16)).toString('hex');

/** What a body says of the key of its message. */
const commitmentOf = (messageKey: Hex): Hex =>
  createHash('sha256')
    .update(buffer(text('conclave/message-key') + VERSION + messageKey))
    .digest('hex');

/** An encrypted body, and the key that opens it and no other. */
export function sealedBody(key: ReturnType<typeof keyOf>, nonce: Hex, header: Hex, plain: Hex) {
  const message_key = subkeyOf(key.body_key, nonce);
  const sealed = xchacha20poly1305(key.body_key, nonce, header, plain);
  return { message_key, body: key.key_id + nonce + commitmentOf(message_key) + sealed };
}

function xchacha20poly1305(key: Hex, nonce: Hex, ad: Hex, plain: Hex): Hex {
  const subkey = hchacha20(buffer(key), buffer(nonce).subarray(0, 16));
  const iv = Buffer.concat([Buffer.alloc(4), buffer(nonce).subarray(16)]);
  const cipher = createCipheriv('chacha20-poly1305', subkey, iv, { authTagLength: 16 });
  cipher.setAAD(buffer(ad), { plaintextLength: plain.length / 2 });
  const sealed = Buffer.concat([cipher.update(buffer(plain)), cipher.final()]);
  return Buffer.concat([sealed, cipher.getAuthTag()]).toString('hex');
}

// HPKE (RFC 9180), base mode: X25519, HKDF-SHA256, AES-256-GCM

const PKCS8_X25519 = '302e020100300506032b656e04220420';
const SPKI_BYTES = 12;
const KEM = utf8('KEM') + u16(0x20);
const HPKE = utf8('HPKE') + u16(0x20) + u16(0x01) + u16(0x02);

const x25519 = (secret: Hex) =>
  createPrivateKey({ key: buffer(PKCS8_X25519 + secret), format: 'der', type: 'pkcs8' });
const publicOf = (secret: Hex): Hex =>
  createPublicKey(x25519(secret))
    .export({ format: 'der', type: 'spki' })
    .subarray(SPKI_BYTES)
    .toString('hex');

const hmac = (key: Hex, data: Hex): Hex =>
  createHmac('sha256', buffer(key)).update(buffer(data)).digest('hex');
const extract = (suite: Hex, salt: Hex, label: string, ikm: Hex): Hex =>
  hmac(salt || repeat(0, 32), utf8('HPKE-v1') + suite + utf8(label) + ikm);
/** Of at most 32 bytes. */
const expand = (suite: Hex, prk: Hex, label: string, info: Hex, length: number): Hex =>
  hmac(prk, `${u16(length)}${utf8('HPKE-v1')}${suite}${utf8(label)}${info}01`).slice(0, 2 * length);

function hpkeSeal(receiver: Hex, ephemeral: Hex, info: Hex, plain: Hex): Hex {
  const enc = publicOf(ephemeral);
  const secret = diffieHellman({
    privateKey: x25519(ephemeral),
    publicKey: createPublicKey(x25519(receiver)),
  }).toString('hex');
  const context = enc + publicOf(receiver);
  const shared = expand(KEM, extract(KEM, '', 'eae_prk', secret), 'shared_secret', context, 32);
  const schedule = `00${extract(HPKE, '', 'psk_id_hash', '')}${extract(HPKE, '', 'info_hash', info)}`;
  const prk = extract(HPKE, shared, 'secret', '');
  const key = expand(HPKE, prk, 'key', schedule, 32);
  const iv = expand(HPKE, prk, 'base_nonce', schedule, 12);
  const cipher = createCipheriv('aes-256-gcm', buffer(key), buffer(iv));
  const sealed = Buffer.concat([cipher.update(buffer(plain)), cipher.final()]);
  return enc + Buffer.concat([sealed, cipher.getAuthTag()]).toString('hex');
}

// Channel keys

const SECRET = id('a channel key');
const OLDER = [id('an older key'), id('an even older key')];

export function keyOf(secret: Hex, channel = CHANNEL) {
  const info = text('conclave/channel-key') + VERSION + channel;
  const all = Buffer.from(
    hkdfSync('sha3-256', buffer(secret), Buffer.alloc(0), buffer(info), 128),
  ).toString('hex');
  const part = (n: number): Hex => all.slice(64 * n, 64 * (n + 1));
  return {
    ...{ secret, commitment: part(0), key_id: part(0).slice(0, 32) },
    ...{ body_key: part(1), name_key: part(2), older_key: part(3) },
  };
}

const nonceOf = (what: string): Hex => createHash('sha256').update(what).digest('hex').slice(0, 48);

function bodies() {
  const key = keyOf(SECRET);
  const cases: [string, Hex][] = [
    ['a message of one byte', '78'],
    ['nothing', ''],
    ['1,000 bytes', repeat(0x61, 1_000)],
  ];
  return cases.map(([what, plain], i) => {
    const fields: Fields = {
      channel: CHANNEL,
      author: alice.user,
      boot: ulidOf(1),
      n: i + 1,
      prev: id('before'),
      kind: 'message',
      id: ulidOf(i + 7),
      time: TIME,
      keyEpoch: 1,
    };
    const header = record({ ...fields, body: '' }).slice(0, -8);
    const nonce = nonceOf(what);
    const { message_key, body } = sealedBody(key, nonce, header, plain);
    return { what, plain, header, nonce, message_key, body, record: record({ ...fields, body }) };
  });
}

function names() {
  const key = keyOf(SECRET);
  return ['team', '', 'été 😀'].map((name) => {
    const nonce = nonceOf(name);
    const ad = text('conclave/name') + CHANNEL;
    const sealed = key.key_id + nonce + xchacha20poly1305(key.name_key, nonce, ad, utf8(name));
    return { name, sealed };
  });
}

/** Sealing secrets: of the ends of links, never of an identity. */
const receivers = [alice, bob, carol].map((actor) => ({
  user: actor.user,
  secret: id(`sealing secret of ${actor.name}`),
}));
const inOrder = [...receivers].sort((a, b) => (a.user < b.user ? -1 : 1));

function keysRecord() {
  const key = keyOf(SECRET);
  const [roster, rosterHash, maker] = [3, id('roster 3'), alice.user];
  const sealed = inOrder.map(({ user, secret }, i) => {
    const info =
      text('conclave/channel-key-for') +
      VERSION +
      encode('channel raw, commitment raw, roster u64, rosterHash raw, maker raw, user raw', {
        ...{ channel: CHANNEL, commitment: key.commitment, roster, rosterHash, maker, user },
      });
    return { user, bytes: hpkeSeal(secret, id(`ephemeral ${i}`), info, SECRET) };
  });
  const nonce = nonceOf('older');
  const ad = text('conclave/older-keys') + CHANNEL + key.commitment + maker;
  const older = nonce + xchacha20poly1305(key.older_key, nonce, ad, OLDER.join(''));
  const body =
    encode('commitment raw, roster u64, rosterHash raw', { ...key, roster, rosterHash }) +
    list(sealed, (s) => s.user + s.bytes) +
    bytes(older);
  const made = record({
    ...{ channel: CHANNEL, author: maker, boot: ulidOf(1), n: 1, prev: id('before') },
    ...{ kind: 'keys', id: ulidOf(7), time: TIME, keyEpoch: 0, body },
  });
  return { maker, roster, rosterHash, sealed, older, carries: OLDER, body, record: made };
}

export const bodiesVectors = () => ({
  description: [
    'Encryption of bodies and names, and records of kind `keys` (docs/PROTOCOL.md, section "Encryption").',
    'An implementation passes when it derives all of `key` from its `secret` in `channel`; opens `body` of each',
    'of `bodies` to `plain` with `header` as associated data, by the channel key and by `message_key` alone, and',
    'makes it with that `nonce`; opens `sealed` of',
    'each of `names`; and, of `keys`, decodes `body`, opens the secret with each of the `receivers`, and finds the',
    'older secrets `carries`.',
    ENCODING,
  ].join(' '),
  channel: CHANNEL,
  key: keyOf(SECRET),
  bodies: bodies(),
  names: names(),
  receivers: receivers.map((r) => ({ ...r, key: publicOf(r.secret) })),
  keys: keysRecord(),
});
