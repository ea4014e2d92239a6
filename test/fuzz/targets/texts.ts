/**
 * Texts that people hand over or that lie in files: relay addresses,
 * invitations, requests of new keys, recovery keys, proofs, identity files.
 */

import { createHash } from 'node:crypto';
import { decodeIdentity } from '../../../src/cli/identity-file.js';
import {
  checkRelays,
  parseRelayUrl,
  pinnedRelayUrl,
  relayKeyOf,
} from '../../../src/core/relay-url.js';
import { nativeCrypto } from '../../../src/native/crypto-native.js';
import { decodeInvite, encodeInvite } from '../../../src/node/invite.js';
import { unarmour } from '../../../src/node/proof-file.js';
import { decodeReplacing, recoveryKeyOf } from '../../../src/node/recovery.js';
import { founded, person } from '../../unit/fixtures/channel.js';
import { replaceBody } from '../../unit/fixtures/replacements.js';
import { mutate } from '../../unit/mutate.js';
import type { Dice } from '../dice.js';
import { intBytes, parse } from '../grammar.js';
import { someBytes } from '../mutations.js';
import {
  areRelays,
  inviteBody,
  readUrl,
  recoveryKey,
  replaceRequest,
  STATEMENTS,
  someUrl,
} from '../shapes.js';
import { must, mustBeBounded, mustEqual, refusal, same, type Target, typed } from '../target.js';

const hash = nativeCrypto.sha256;
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

function damagedText(d: Dice, text: string, other: string): Uint8Array {
  const bytes = bytesOf(text);
  return d.oneIn(2) || bytes.length === 0 ? bytes : mutate(d, bytes, bytesOf(other));
}

const relayUrl: Target = {
  name: 'relay-url',
  what: 'relay addresses, one a line, alone and as a channel has them',
  share: 40,
  make: (d) =>
    damagedText(d, Array.from({ length: 1 + d.int(9) }, () => someUrl(d)).join('\n'), someUrl(d)),
  check(input) {
    const urls = textOf(input).split('\n');
    for (const url of urls) checkUrl(url);
    const all = typed(() => checkRelays(urls), ['bad_relay_url']);
    must(
      (all !== undefined) === areRelays(urls),
      `a list of addresses is ${all ? 'taken' : 'refused'}`,
    );
    return all !== undefined;
  },
};

function checkUrl(url: string): void {
  const found = typed(() => parseRelayUrl(url), ['bad_relay_url']);
  const pinned = typed(() => pinnedRelayUrl(url), ['bad_relay_url']);
  const expected = readUrl(url);
  must(
    (found !== undefined) === (expected !== undefined),
    `"${url}" is ${found ? 'taken' : 'refused'}`,
  );
  must(
    (pinned !== undefined) === (expected !== undefined && expected.key !== ''),
    `"${url}" has no key`,
  );
  if (!found || !expected) return;
  const { key, host, port, via } = found.value;
  mustEqual({ key: key ?? '', host, port, via }, expected, `"${url}" was read as another address`);
  must(relayKeyOf(url) === key, `"${url}" has two keys`);
}

const withChecksum = (body: Uint8Array): Uint8Array =>
  new Uint8Array(Buffer.concat([body, createHash('sha256').update(body).digest().subarray(0, 4)]));

/** What a text of this word holds, read without the product; undefined where it is not whole. */
function checkedBody(word: string, text: string): Uint8Array | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith(`${word}.`)) return undefined;
  const encoded = trimmed.slice(word.length + 1);
  const whole = Buffer.from(encoded, 'base64url');
  if (whole.toString('base64url') !== encoded || whole.length < 4) return undefined;
  const body = new Uint8Array(whole.subarray(0, -4));
  return whole.equals(withChecksum(body)) ? body : undefined;
}

/** A text of this word, most often whole. */
function someChecked(d: Dice, word: string, body: Uint8Array): Uint8Array {
  const whole = d.oneIn(10) ? mutate(d, withChecksum(body), body) : withChecksum(body);
  const text = `${word}.${Buffer.from(whole).toString('base64url')}`;
  const spaced = d.oneIn(10) ? d.pick([` ${text}\n`, `${text}=`, text.slice(1), `${text}A`]) : text;
  return d.oneIn(6) ? damagedText(d, spaced, text) : bytesOf(spaced);
}

const INVITE = 'conclave-invite';

const invite: Target = {
  name: 'invite',
  what: 'invitations, most under a right checksum',
  share: 40,
  make: (d) => someChecked(d, INVITE, someBytes(d, inviteBody, [])),
  check(input) {
    const text = textOf(input);
    const decoded = typed(() => decodeInvite(hash, text), ['bad_invite']);
    const body = checkedBody(INVITE, text);
    const isGood = body !== undefined && parse(inviteBody, body) !== undefined;
    must((decoded !== undefined) === isGood, `an invitation is ${decoded ? 'taken' : 'refused'}`);
    if (!decoded) return false;
    mustBeBounded(decoded.value, input);
    must(encodeInvite(hash, decoded.value) === text.trim(), 'an invitation has two texts');
    return true;
  },
};

const RECOVERY = 'conclave-recovery';

const recovery: Target = {
  name: 'recovery-key',
  what: 'recovery keys as texts',
  share: 5,
  make: (d) => someChecked(d, RECOVERY, someBytes(d, recoveryKey, [])),
  check(input) {
    const text = textOf(input);
    const key = typed(() => recoveryKeyOf(text), ['bad_recovery_key']);
    const body = checkedBody(RECOVERY, text);
    const seed = body && parse(recoveryKey, body)?.parts[1]?.bytes;
    must(
      (key !== undefined) === (seed !== undefined),
      `a recovery key is ${key ? 'taken' : 'refused'}`,
    );
    if (!key || !seed) return false;
    must(key.value === hexOf(nativeCrypto.ed25519PublicKey(seed)), 'another public half');
    return true;
  },
};

const REPLACE = 'conclave-replace';
const NOBODY = '0'.repeat(64);

/** A request with its signatures, most often good ones. */
function someReplacing(d: Dice): Uint8Array {
  const [user, by] = [person(50), person(300)];
  const body = replaceBody(founded(), person(1), d.oneIn(2) ? by : null, { next: user });
  const request = d.oneIn(6) ? someBytes(d, STATEMENTS.replace, [body.request]) : body.request;
  const length = intBytes(BigInt(request.length), 4);
  const sigs = [d.oneIn(12) ? body.bySig : body.userSig, d.oneIn(12) ? d.bytes(64) : body.bySig];
  const whole = new Uint8Array(Buffer.concat([Uint8Array.of(0), length, request, ...sigs]));
  return d.oneIn(6) ? someBytes(d, replaceRequest, [whole]) : whole;
}

/** Whether a request is whole, and its keys signed it. */
function isReplacing(text: string): boolean {
  const body = checkedBody(REPLACE, text);
  const parts = body && parse(replaceRequest, body)?.parts;
  if (!parts) return false;
  const [, request, userSig, bySig] = parts.map(({ bytes }) => bytes) as [
    ...[Uint8Array, Uint8Array, Uint8Array, Uint8Array],
  ];
  const asked = parse(STATEMENTS.replace, request)?.parts;
  if (!asked) return false;
  const isSigned = (key: Uint8Array, sig: Uint8Array): boolean =>
    nativeCrypto.ed25519Verify(key, request, sig);
  const by = asked[10]!.bytes;
  return isSigned(asked[6]!.bytes, userSig) && (hexOf(by) === NOBODY || isSigned(by, bySig));
}

const replacing: Target = {
  name: 'replace-request',
  what: 'requests of new keys for the place of old ones, as texts',
  share: 8,
  make: (d) => someChecked(d, REPLACE, someReplacing(d)),
  check(input) {
    const text = textOf(input);
    const read = typed(() => decodeReplacing(nativeCrypto, text), ['bad_replace_request']);
    must((read !== undefined) === isReplacing(text), `a request is ${read ? 'taken' : 'refused'}`);
    if (read) mustBeBounded(read.value, input);
    return read !== undefined;
  },
};

const [BEGIN, END] = ['BEGIN', 'END'].map((w) => `-----${w} CONCLAVE PROOF-----`) as [
  string,
  string,
];

/** RFC 7468 as the document has it. */
function armoured(proof: Uint8Array): string {
  const encoded = Buffer.from(proof).toString('base64');
  return [BEGIN, ...(encoded.match(/.{1,64}/g) ?? []), END].join('\n');
}

function someArmour(d: Dice): string {
  const text = armoured(d.bytes(d.int(200)));
  switch (d.int(8)) {
    case 0:
      return ` ${text.replaceAll('\n', '\r\n')}\n\n`;
    case 1:
      return text.replace('\n', d.pick(['', '\n\n', '\r', ' \n']));
    case 2:
      return text.replace(/=*\n-/, d.pick(['=\n-', 'A\n-', '\n-']));
    case 3:
      return text.replace('PROOF', 'PROVE');
    default:
      return text;
  }
}

const proofFile: Target = {
  name: 'proof-file',
  what: 'portable proofs as text',
  share: 10,
  make(d) {
    const text = someArmour(d);
    return d.oneIn(4) ? damagedText(d, text, someArmour(d)) : bytesOf(text);
  },
  check(input) {
    const text = textOf(input);
    const read = typed(() => unarmour(text), ['bad_proof', 'proof_too_large']);
    const lines = text.trim().split('\n');
    const plain = lines.map((line) => line.replace(/\r$/, '')).join('\n');
    const proof = Buffer.from(plain.split('\n').slice(1, -1).join(''), 'base64');
    must(
      (read !== undefined) === (armoured(proof) === plain),
      `a proof is ${read ? 'taken' : 'refused'}`,
    );
    if (read) must(same(read.value, proof), 'a proof is read as another');
    return read !== undefined;
  },
};

const SEEDS = [1, 2, 3].map((n) => new Uint8Array(32).fill(n));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const USERS = SEEDS.map((seed) => hexOf(nativeCrypto.ed25519PublicKey(seed)));

function someIdentity(d: Dice): object {
  const n = d.int(3);
  const plain = {
    version: 1,
    user: USERS[d.oneIn(8) ? d.int(3) : n],
    name: d.pick(['alice', '', '\ufeff', 'x'.repeat(d.int(100))]),
  };
  if (d.oneIn(2)) return { ...plain, seed: hexOf(SEEDS[n]!) };
  const kdf = {
    name: 'scrypt',
    N: d.pick([16_384, 131_072, 262_144, 524_288, 2 ** 31, 100_000, -1, 1.5, '131072']),
    r: d.pick([8, 8, 8, 9]),
    p: d.pick([1, 4, 5, 0]),
    salt: hexOf(d.bytes(d.oneIn(8) ? 31 : 32)),
  };
  const sealed = { kdf, cipher: 'aes-256-gcm', nonce: hexOf(d.bytes(12)), box: hexOf(d.bytes(48)) };
  return { ...plain, version: 2, sealed };
}

/** JSON values in the place of others. */
const ODD = [
  'null',
  '[]',
  '{}',
  '""',
  '1e999',
  '-0',
  'true',
  '{"toString":0}',
  '"\\u0000"',
  '[[[[]]]]',
];

export function oddJson(d: Dice, json: string): string {
  const values = [...json.matchAll(/(?<=:)("[^"]*"|[0-9.]+|true|false|null)/g)];
  const at = values.length > 0 ? d.pick(values) : undefined;
  if (!at) return json;
  return json.slice(0, at.index) + d.pick(ODD) + json.slice(at.index + at[0].length);
}

const isHex = (value: unknown, bytes: number): value is string =>
  typeof value === 'string' && /^[0-9a-f]+$/.test(value) && value.length === 2 * bytes;
const isOneOf = (value: unknown, from: readonly unknown[]): boolean => from.includes(value);

/** What a file of either version must have. */
function isIdentity(text: string): boolean {
  let file: { [field: string]: unknown };
  try {
    file = Object(JSON.parse(text));
  } catch {
    return false;
  }
  if (!isHex(file.user, 32) || typeof file.name !== 'string') return false;
  if (file.version === 1) {
    if (!isHex(file.seed, 32)) return false;
    return hexOf(nativeCrypto.ed25519PublicKey(Buffer.from(file.seed, 'hex'))) === file.user;
  }
  const sealed = Object(file.sealed);
  const kdf = Object(sealed.kdf);
  const costs = [16_384, 32_768, 65_536, 131_072, 262_144];
  const isKdf = kdf.name === 'scrypt' && kdf.r === 8 && isOneOf(kdf.N, costs);
  return (
    file.version === 2 &&
    isKdf &&
    isOneOf(kdf.p, [1, 2, 3, 4]) &&
    isHex(kdf.salt, 32) &&
    sealed.cipher === 'aes-256-gcm' &&
    isHex(sealed.nonce, 12) &&
    isHex(sealed.box, 48)
  );
}

const identity: Target = {
  name: 'identity',
  what: 'identity files, plain and under a passphrase',
  share: 25,
  make(d) {
    let json = JSON.stringify(someIdentity(d));
    if (d.oneIn(3)) json = oddJson(d, json);
    return d.oneIn(4) ? damagedText(d, json, JSON.stringify(someIdentity(d))) : bytesOf(json);
  },
  check(input) {
    const text = textOf(input);
    let file: ReturnType<typeof decodeIdentity>;
    try {
      file = decodeIdentity(text);
    } catch (error) {
      refusal(error, []);
    }
    must((file !== undefined) === isIdentity(text), `an identity is ${file ? 'taken' : 'refused'}`);
    if (file) mustBeBounded(file, input);
    return file !== undefined;
  },
};

export const TEXT_TARGETS: readonly Target[] = [
  ...[relayUrl, invite, identity, recovery, replacing, proofFile],
];
