/** test/vectors/private.json: what two users sign to each other, and their sealing keys. */

import { createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto';
import { alice, bob, ENCODING, id, KEYS, LARGEST, LARGEST_ULID, ulidOf } from './common.js';
import {
  type Actor,
  encode,
  type Fields,
  type Hex,
  sha256,
  signed,
  text,
  u8,
  utf8,
} from './encoding.js';

const VERSION = '00';
const REF = 'from raw, to raw, id ulid';
const MESSAGE = `${REF}, boot ulid, n u64, prev raw, body bytes`;
const ZERO = '0'.repeat(64);

const statement = (tag: string, table: string, fields: Fields): Hex =>
  text(`conclave/private-${tag}`) + VERSION + encode(table, fields);

/** `bytes`, the signature, and zeros up to 512 bytes, doubled until it fits, 66,048 at most. */
function padded(bytes: Hex, sig: Hex): Hex {
  const content = encode('bytes bytes, sig raw', { bytes, sig });
  let length = 512;
  while (length < content.length / 2) length *= 2;
  return content.padEnd(2 * Math.min(length, 66_048), '0');
}

function message(what: string, fields: Fields) {
  const bytes = statement('message', MESSAGE, fields);
  const digest = sha256(bytes);
  const sig = signed(alice, bytes);
  const receipt = statement('receipt', `${REF}, digest raw`, { ...fields, digest });
  const have = id('the last that bob has');
  const gap = statement('gap', `${REF}, digest raw, have raw`, { ...fields, digest, have });
  const plain = padded(bytes, sig);
  const body = fields.body as Hex;
  return {
    what,
    // A long body is one byte again and again.
    message: { ...fields, body: { byte: body.slice(0, 2), length: body.length / 2 } },
    digest,
    sig,
    plain: { length: plain.length / 2, digest: sha256(plain) },
    info: statement('seal', REF, fields),
    receipt: { statement: receipt, sig: signed(bob, receipt) },
    gap: { have, statement: gap, sig: signed(bob, gap) },
  };
}

const first = {
  ...{ from: alice.user, to: bob.user, id: ulidOf(1), boot: ulidOf(100), n: 1, prev: ZERO },
  body: utf8('aaaa'),
};
const longest = (length: number) => ({
  ...first,
  prev: id('before'),
  body: u8(0x62).repeat(length),
});

/** Lengths around those at which what is sealed becomes longer: 512 − 4 − 64 − 181. */
const FIXED_BYTES = statement('message', MESSAGE, { ...first, body: '' }).length / 2 + 4 + 64;

function sealingKey(who: Actor) {
  const label = Buffer.from(text('conclave/sealing-secret'), 'hex');
  const seed = Buffer.from(who.seed, 'hex');
  const secret = Buffer.from(hkdfSync('sha3-256', seed, new Uint8Array(0), label, 32));
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), secret]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const key = spki.subarray(12).toString('hex');
  const fields = { user: who.user, key };
  const said = text('conclave/sealing-key') + VERSION + encode('user raw, key raw', fields);
  return {
    ...{ name: who.name, seed: who.seed, user: who.user },
    ...{ secret: secret.toString('hex'), statement: said, shown: key + signed(who, said) },
  };
}

export const privateVectors = () => ({
  description:
    'Private messages (docs/PROTOCOL.md, section "Private messages"), from alice to bob: alice signs `message`, ' +
    '`digest` is its H, `plain` is what is sealed under `info`; bob signs `receipt` or `gap`. Sealing keys ' +
    `(section "Keys"): the secret, and what its owner shows. ${ENCODING}`,
  sealing_keys: KEYS.slice(0, 2).map(sealingKey),
  messages: [
    message('the first', first),
    message('the second in its boot', { ...first, id: ulidOf(2), n: 2, prev: id('before') }),
    message('the first in a later boot', { ...first, boot: LARGEST_ULID, prev: id('before') }),
    message('the largest count', { ...first, n: LARGEST, prev: id('before') }),
    message('an empty one', { ...first, body: '' }),
    message('one that fills the smallest size', longest(512 - FIXED_BYTES)),
    message('one byte more', longest(513 - FIXED_BYTES)),
    message('the longest', longest(65_536)),
  ],
});
