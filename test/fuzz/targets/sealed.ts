/**
 * What is encrypted, and the keys that come with it: bodies, names, `keys`
 * records, private messages, sealing keys. Whether each opens, and to what, is
 * said a second time with other ciphers (cipher-twin.ts).
 */

import { channelKeys, encodeEntry } from '../../../src/core/layout.js';
import { memoryStore } from '../../../src/core/memory-store.js';
import {
  encodePrivate,
  isPadded,
  padPrivate,
  unpadPrivate,
} from '../../../src/core/private-statements.js';
import { type ChannelRecord, decodeRecord } from '../../../src/core/record.js';
import { readSealingKey, sealingSecret } from '../../../src/core/sealing-key.js';
import { channelKey, openBody, openName } from '../../../src/node/channel-cipher.js';
import { KeyLog } from '../../../src/node/key-log.js';
import { keysIn, olderIn, openKeys } from '../../../src/node/keys-record.js';
import { decodeMessageBody } from '../../../src/node/message-body.js';
import { sealingKeyOf } from '../../../src/node/sealing.js';
import { CHANNEL, digestOf, hash, person, recordBy, ulidOf } from '../../unit/fixtures/channel.js';
import { nativeCrypto } from '../../unit/fixtures/ports.js';
import { mutate } from '../../unit/mutate.js';
import {
  commitmentTo,
  hkdf,
  hpkeOpen,
  hpkeSeal,
  messageKey,
  openUnder,
  x25519Public,
  xchachaOpen,
  xchachaSeal,
} from '../cipher-twin.js';
import type { Dice } from '../dice.js';
import { intBytes, intOf, parse, type Tree, textOf } from '../grammar.js';
import { readPayload, writeValue } from '../msgpack-twin.js';
import { someBytes } from '../mutations.js';
import * as shapes from '../shapes.js';
import { must, mustBeBounded, mustEqual, same, type Target, typed } from '../target.js';

const concat = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const u32 = (n: number): Uint8Array => intBytes(BigInt(n), 4);
const text = (content: string): Uint8Array => concat(u32(content.length), Buffer.from(content));
const FIRST_VERSION = Uint8Array.of(0);
const ID = unhex(CHANNEL);
const [KEY_ID, NONCE, COMMITMENT, TAG] = [16, 24, 32, 16];

interface Keys {
  readonly commitment: Uint8Array;
  readonly id: Uint8Array;
  readonly body: Uint8Array;
  readonly name: Uint8Array;
  readonly older: Uint8Array;
}

/** What follows from a channel key. */
function keysOf(secret: Uint8Array): Keys {
  const all = hkdf(secret, concat(text('conclave/channel-key'), FIRST_VERSION, ID), 128);
  const [commitment, body, name, older] = [0, 32, 64, 96].map((at) => all.subarray(at, at + 32));
  return {
    ...{ commitment: commitment!, id: commitment!.subarray(0, KEY_ID) },
    ...{ body: body!, name: name!, older: older! },
  };
}

const SECRETS = [1, 2].map((n) => new Uint8Array(32).fill(n)) as [Uint8Array, Uint8Array];
const KEYS = SECRETS.map(keysOf) as [Keys, Keys];
const KEY = channelKey(nativeCrypto, CHANNEL, SECRETS[0]);

const sealUnder = (d: Dice, id: Uint8Array, key: Uint8Array, ad: Uint8Array, plain: Uint8Array) => {
  const nonce = d.bytes(NONCE);
  return concat(id, nonce, xchachaSeal(key, nonce, ad, plain));
};

function openNameUnder(id: Uint8Array, key: Uint8Array, ad: Uint8Array, sealed: Uint8Array) {
  if (sealed.length < KEY_ID + NONCE + TAG || !same(sealed.subarray(0, KEY_ID), id))
    return undefined;
  const nonce = sealed.subarray(KEY_ID, KEY_ID + NONCE);
  return xchachaOpen(key, nonce, ad, sealed.subarray(KEY_ID + NONCE));
}

function sealBody(d: Dice, { id, body: key }: Keys, ad: Uint8Array, plain: Uint8Array) {
  const nonce = d.bytes(NONCE);
  const commitment = d.oneIn(12) ? d.bytes(COMMITMENT) : commitmentTo(messageKey(key, nonce));
  return concat(id, nonce, commitment, xchachaSeal(key, nonce, ad, plain));
}

function openBodyUnder({ id, body: key }: Keys, ad: Uint8Array, sealed: Uint8Array) {
  const [at, from] = [KEY_ID + NONCE, KEY_ID + NONCE + COMMITMENT];
  if (sealed.length < from + TAG || !same(sealed.subarray(0, KEY_ID), id)) return undefined;
  const nonce = sealed.subarray(KEY_ID, at);
  const under = messageKey(key, nonce);
  if (!same(sealed.subarray(at, from), commitmentTo(under))) return undefined;
  return openUnder(under, nonce, ad, sealed.subarray(from));
}

/** A record's bytes before its body's length. */
const headerOf = (record: Uint8Array, body: Uint8Array): Uint8Array =>
  record.subarray(0, record.length - body.length - 4);

const somePlain = (d: Dice): Uint8Array => {
  const said = { t: d.pick(['', 'hello', '\ufeffx', 7]), ...(d.oneIn(2) ? { n: 'zoë' } : {}) };
  return d.oneIn(6) ? d.bytes(d.int(30)) : writeValue(d, said, { oneIn: 0 });
};

/** Any key, mostly the one that is known. */
const someKeys = (d: Dice): Keys => (d.oneIn(8) ? KEYS[1] : KEYS[0]);

function someSealed(d: Dice): Uint8Array {
  const fields = { n: 1 + d.int(3), boot: ulidOf(1), keyEpoch: d.oneIn(12) ? d.int(3) : 1 };
  const empty = recordBy(person(2), fields);
  const sealed = sealBody(d, someKeys(d), headerOf(empty.bytes, empty.body), somePlain(d));
  const changed = d.oneIn(6) ? mutate(d, sealed, sealed) : sealed;
  return concat(empty.bytes.subarray(0, -4), u32(changed.length), changed);
}

const RECORD_CODES = ['bad_encoding', 'bad_record'];

const sealedBody: Target = {
  name: 'sealed-body',
  what: 'encrypted bodies of records, under the one key that is known or another, and messages in them',
  share: 15,
  make(d) {
    const good = someSealed(d);
    return d.oneIn(3) ? someBytes(d, shapes.record, [good]) : good;
  },
  check(input) {
    const record = typed(() => decodeRecord(hash, input), RECORD_CODES);
    const parts = parse(shapes.record, input)?.parts;
    if (!record || !parts) return false;
    const plain = openBody(KEY, record.value);
    const body = parts.at(-1)!.bytes;
    const expected = openBodyUnder(KEYS[0], headerOf(input, body), body);
    must(
      (plain !== undefined) === (expected !== undefined),
      `a body ${plain ? 'opens' : 'is shut'}`,
    );
    if (!plain || !expected) return false;
    must(same(plain, expected), 'a body opens to another text');
    mustEqual(decodeMessageBody(plain), messageIn(expected), 'a message says something else');
    return true;
  },
};

function messageIn(plain: Uint8Array): { text: string; name?: string } | undefined {
  const said = readPayload(plain) as { t?: unknown; n?: unknown } | undefined;
  if (typeof said?.t !== 'string') return undefined;
  return typeof said.n === 'string' ? { text: said.t, name: said.n } : { text: said.t };
}

const NAME_AD = concat(text('conclave/name'), ID);

const sealedName: Target = {
  name: 'sealed-name',
  what: 'encrypted names of channels',
  share: 10,
  make(d) {
    const name = d.pick(['general', 'zoë', '\ufeffx', '']);
    const plain = d.oneIn(6) ? d.bytes(d.int(5)) : Buffer.from(name);
    const { id, name: key } = someKeys(d);
    const sealed = sealUnder(d, id, key, d.oneIn(12) ? ID : NAME_AD, plain);
    return d.oneIn(4) ? mutate(d, sealed, sealed) : sealed;
  },
  check(input) {
    const name = openName(KEY, input);
    const plain = openNameUnder(KEYS[0].id, KEYS[0].name, NAME_AD, input);
    const tree = plain && parse(shapes.anyText, concat(u32(plain.length), plain));
    mustEqual(name, tree && textOf(tree), 'a name opens to something else');
    return name !== undefined;
  },
};

const ME = person(2);
const SEALING_SECRET = sealingSecret(nativeCrypto, ME.seed);
const RECEIVER = x25519Public(SEALING_SECRET);

interface Made {
  readonly commitment: Uint8Array;
  readonly roster: Uint8Array;
  readonly rosterHash: Uint8Array;
  readonly maker: Uint8Array;
}

const infoFor = ({ commitment, roster, rosterHash, maker }: Made, receiver: Uint8Array) =>
  concat(
    ...[text('conclave/channel-key-for'), FIRST_VERSION, ID, commitment, roster, rosterHash],
    ...[maker, receiver],
  );
const olderAd = ({ commitment, maker }: Made): Uint8Array =>
  concat(text('conclave/older-keys'), ID, commitment, maker);

function someKeysRecord(d: Dice): Uint8Array {
  const maker = person(d.int(2) + 1);
  const secret = d.oneIn(6) ? SECRETS[1] : SECRETS[0];
  const made = {
    ...{ commitment: keysOf(d.oneIn(8) ? SECRETS[1] : SECRETS[0]).commitment },
    ...{ roster: intBytes(BigInt(d.int(3)), 8), rosterHash: unhex(digestOf('roster')) },
    maker: unhex(maker.user),
  };
  const users = [ME, person(3)].map(({ user }) => unhex(user));
  const sealed = users.map((user) => {
    const info = infoFor(made, d.oneIn(12) ? made.maker : user);
    const bytes = d.oneIn(8) ? new Uint8Array(80) : hpkeSeal(d.bytes(32), RECEIVER, info, secret);
    return concat(user, d.oneIn(12) ? mutateInPlace(d, bytes) : bytes);
  });
  const olderPlain = concat(
    ...Array.from({ length: d.int(3) }, () => d.bytes(32)),
    d.bytes(d.oneIn(8) ? 5 : 0),
  );
  const nonce = d.bytes(NONCE);
  const older = concat(nonce, xchachaSeal(keysOf(secret).older, nonce, olderAd(made), olderPlain));
  const carried = d.oneIn(4) ? d.bytes(d.int(60)) : older;
  const body = concat(
    ...[made.commitment, made.roster, made.rosterHash, intBytes(2n, 2), ...sealed],
    ...[u32(carried.length), carried],
  );
  const changed = d.oneIn(4) ? someBytes(d, shapes.keysBody, [body]) : body;
  return recordBy(maker, { kind: d.oneIn(20) ? 'message' : 'keys', body: changed }).bytes;
}

/** With a bit changed. */
function mutateInPlace(d: Dice, bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[d.int(copy.length)]! ^= 1 << d.int(8);
  return copy;
}

const keysRecord: Target = {
  name: 'keys-record',
  what: 'keys records: which key, and which older ones, a member gets of one',
  share: 4,
  make: someKeysRecord,
  async check(input) {
    const read = typed(() => decodeRecord(hash, input), RECORD_CODES);
    if (!read) return false;
    const { value: record } = read;
    const keys = keysIn(record);
    const body = record.kind === 'keys' ? parse(shapes.keysBody, record.body) : undefined;
    must(
      (keys !== undefined) === (body !== undefined),
      `a keys record is ${keys ? '' : 'not '}read`,
    );
    if (!keys || !body) return false;
    const sealing = await sealingKeyOf(nativeCrypto, SEALING_SECRET);
    const key = await openKeys({ user: ME.user, sealing, crypto: nativeCrypto }, record, keys);
    const expected = givenBy(record, body.parts);
    mustEqual(
      key && hexOf(key.secret),
      expected && hexOf(expected.secret),
      'a record gives another key',
    );
    if (!key || !expected) return false;
    const older = olderIn(nativeCrypto, record, keys, key).map(({ secret }) => hexOf(secret));
    mustEqual(older, expected.older, 'a record carries other keys');
    return true;
  },
};

/** The key, and the older ones, that a record gives to the receiver. */
function givenBy(record: ChannelRecord, body: readonly Tree[]) {
  const [commitment, roster, rosterHash, sealed, older] = body as [Tree, Tree, Tree, Tree, Tree];
  const made = {
    ...{ commitment: commitment.bytes, roster: roster.bytes, rosterHash: rosterHash.bytes },
    maker: unhex(record.author),
  };
  const mine = sealed.parts.find(({ parts }) => hexOf(parts[0]!.bytes) === ME.user)?.parts[1];
  const secret = mine && hpkeOpen(SEALING_SECRET, infoFor(made, unhex(ME.user)), mine.bytes);
  if (!secret || !same(keysOf(secret).commitment, made.commitment)) return undefined;
  const from = older.bytes;
  const plain =
    from.length < NONCE + TAG
      ? undefined
      : xchachaOpen(
          keysOf(secret).older,
          from.subarray(0, NONCE),
          olderAd(made),
          from.subarray(NONCE),
        );
  const whole = hexOf(plain ?? new Uint8Array(0));
  return { secret, older: whole.match(/.{64}/g) ?? [] };
}

const SIG = new Uint8Array(64).fill(3);
const ZERO_ID = '0'.repeat(64);

const somePrivate = (d: Dice): Uint8Array =>
  encodePrivate({
    ...{ from: person(1).user, to: ME.user, id: ulidOf(3), boot: ulidOf(4), n: 1 + d.int(3) },
    ...{ prev: digestOf('before'), body: d.bytes(d.oneIn(20) ? 65_535 + d.int(2) : d.int(900)) },
  });

/** 512 bytes, or twice as many until it fits. */
function paddedTo(length: number): number {
  const sizes = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];
  return sizes.find((size) => length <= size) ?? 66_048;
}

/** What is sealed: a message, its signature, and zeros. */
const privatePlain: Target = {
  name: 'private-plain',
  what: 'private messages as they come out of their seal',
  share: 15,
  make(d) {
    const message = somePrivate(d);
    const bytes = d.oneIn(3) ? someBytes(d, shapes.privateMessage, [message]) : message;
    if (bytes.length > 65_900) return bytes;
    const plain = padPrivate(bytes, SIG);
    switch (d.int(8)) {
      case 0:
        return mutate(d, plain, plain);
      case 1:
        return concat(plain, new Uint8Array(d.pick([1, plain.length])));
      case 2:
        return plain.slice(0, 4 + bytes.length + 64);
      default:
        return plain;
    }
  },
  check(input) {
    const read = typed(() => unpadPrivate(input), ['bad_encoding']);
    const length = input.length < 4 ? 0 : Buffer.from(input).readUInt32BE(0);
    const end = 4 + length + 64;
    const message = parse(shapes.privateMessage, input.subarray(4, 4 + length));
    const isGood =
      end <= input.length &&
      message !== undefined &&
      input.length === paddedTo(end) &&
      input.subarray(end).every((byte) => byte === 0);
    must((read !== undefined) === isGood, `a private message is ${read ? 'taken' : 'refused'}`);
    must(isPadded(input.length) === (input.length === paddedTo(input.length)), 'a size');
    if (!read) return false;
    mustBeBounded(read.value, input);
    const { statement, sig } = read.value;
    must(same(encodePrivate(statement), input.subarray(4, 4 + length)), 'another message');
    must(same(sig, input.subarray(end - 64, end)), 'another signature');
    return true;
  },
};

const shownBy = (n: number): Uint8Array => {
  const { user, seed } = person(n);
  const key = x25519Public(sealingSecret(nativeCrypto, seed));
  return concat(key, nativeCrypto.ed25519Sign(seed, keyStatement(user, key)));
};
const keyStatement = (user: string, key: Uint8Array): Uint8Array =>
  concat(text('conclave/sealing-key'), FIRST_VERSION, unhex(user), key);

const shownKey: Target = {
  name: 'sealing-key',
  what: 'sealing keys as their owners show them',
  share: 4,
  make(d) {
    const shown = shownBy(1 + d.int(3));
    return d.oneIn(2) ? shown : mutate(d, shown, shownBy(2));
  },
  check(input) {
    const read = typed(() => readSealingKey(nativeCrypto, ME.user, input), ['bad_sealing_key']);
    const [key, sig] = [input.subarray(0, 32), input.subarray(32)];
    const isGood =
      input.length === 96 &&
      nativeCrypto.ed25519Verify(unhex(ME.user), keyStatement(ME.user, key), sig);
    must((read !== undefined) === isGood, `a sealing key is ${read ? 'taken' : 'refused'}`);
    if (read) must(same(read.value, key), 'another key');
    return read !== undefined;
  },
};

const HINT = `node/keyed/${CHANNEL}/0`;
const ENTRIES = ['message', 'keys', 'message', 'keys', 'message'].map((kind, i) => {
  const record = recordBy(person(1), { kind, n: i + 1 });
  const epoch = ZERO_ID as Parameters<typeof encodeEntry>[0]['header']['epoch'];
  const header = { epoch, term: 1, roster: 0, digest: record.digest };
  const proof = new Uint8Array(0);
  const at = { seq: i + 1, header, hash: record.digest, record, proof };
  return [channelKeys(CHANNEL).log(i + 1), encodeEntry(at)] as const;
});

/** A hint may be wrong about what it does not say; it never makes a record of what is none. */
const keyLog: Target = {
  name: 'key-log',
  what: 'notes of where the keys records of a log stand',
  share: 8,
  make(d) {
    const seqs = Array.from({ length: d.int(3) }, () => d.pick([2, 4, 2, 4, 1 + d.int(6)]));
    const numbers = seqs.map((seq) => intBytes(BigInt(seq), 8));
    const note = concat(
      intBytes(BigInt(d.int(7)), 8),
      intBytes(BigInt(seqs.length), 2),
      ...numbers,
    );
    return d.oneIn(3) ? someBytes(d, shapes.keyLog, [note]) : note;
  },
  async check(input) {
    const store = memoryStore([...ENTRIES, [HINT, input]]);
    const found: number[] = [];
    const log = new KeyLog(CHANNEL, store, hash);
    for await (const { record, seq } of log.load(ENTRIES.length, false)) {
      must(record.kind === 'keys', 'a record of another kind');
      found.push(seq);
    }
    const noted = parse(shapes.keyLog, input)?.parts as [Tree, Tree] | undefined;
    const seen = noted ? intOf(noted[0]) : 0;
    const seqs = noted ? noted[1].parts.map(intOf) : [];
    const isOfUse = seen <= ENTRIES.length && seqs.every((seq) => seq === 2 || seq === 4);
    const behind = [2, 4].filter((seq) => seq > (isOfUse ? seen : 0));
    mustEqual(found.reverse(), [...(isOfUse ? seqs : []), ...behind], 'other records');
    return noted !== undefined;
  },
};

export const SEALED_TARGETS: readonly Target[] = [
  ...[sealedBody, sealedName, keysRecord, privatePlain, shownKey, keyLog],
];
