/**
 * What docs/PROTOCOL.md and docs/ARCHITECTURE.md say of every canonical value,
 * written down a second time, with none of the product's own limits.
 */

import type { Dice } from './dice.js';
import {
  bytes,
  either,
  intOf,
  list,
  maybe,
  raw,
  row,
  type Shape,
  such,
  type Tree,
  tag,
  text,
  textOf,
  u8,
  u16,
  u32,
  u64,
  write,
} from './grammar.js';

const id = raw(32);
const ulid = raw(16);
const sig = raw(64);
const version = u8(0);
const kind = u8(1);
const MEMBERS = 128;
const TAIL = 1_024;
export const RECORD_BYTES = 65_536 + 512;
const PROOF_BYTES = 1_024;
const BLOB = 1_048_576;

const KINDS = ['message', 'epoch', 'merge', 'join', 'invite', 'a', 'x-9', 'a'.repeat(32)];
const BAD_KINDS = ['', 'A', '9', '-a', 'a b', 'a\n', 'é', 'a'.repeat(33)];
const recordKind = such(
  text(32, (d: Dice) => (d.oneIn(12) ? d.pick(BAD_KINDS) : d.pick(KINDS))),
  ({ parts }) => {
    const name = textOf(parts[0]!);
    return (
      all(name, 'abcdefghijklmnopqrstuvwxyz0123456789-') &&
      all(name[0]!, 'abcdefghijklmnopqrstuvwxyz')
    );
  },
);

export const header = row(id, u64, u64, id);
export const headers = list(TAIL, header);
export const record = row(
  version,
  id,
  id,
  ulid,
  u64,
  id,
  recordKind,
  ulid,
  u64,
  u32,
  bytes(65_536),
);
export const proof = such(
  row(u64, id, u16(256, 1), u16(255), list(16, id), sig),
  ({ parts: [p] }) => intOf(p!.parts[3]!) < intOf(p!.parts[2]!),
);
const storedProof = bytes(PROOF_BYTES);
export const entry = row(u64, header, id, bytes(RECORD_BYTES, record), storedProof);
export const rawEntry = row(u64, header, id, bytes(RECORD_BYTES), storedProof);
export const offer = row(bytes(RECORD_BYTES, record), storedProof);
export const run = row(id, u64, u64, list(512, row(id, id, bytes(RECORD_BYTES), storedProof)));
const promise = row(u64, u64, maybe(row(id, id)));
export const hardState = row(promise, promise);
export const point = row(u64, id);
export const final = row(u64, id, u64, u64, bytes(BLOB));
export const storedGenesis = row(bytes(8_192), sig, text(1_024));

export const certificate = row(
  ...[u8(2), id, u64, id, id, u64, u64, id, header],
  headers,
  list(MEMBERS, row(id, u64, sig)),
);
export const step = row(
  ...[u64, id, headers],
  bytes(RECORD_BYTES),
  storedProof,
  bytes(512 + TAIL * 80 + MEMBERS * 104),
);

const epochFields = [kind, u64, id, list(MEMBERS, id), list(MEMBERS, row(id, sig))];
export const epochBody = row(...epochFields);
export const electionProof = row(u64, id, ...epochFields);
export const mergeBody = row(u16(256, 1), list(256, row(id, kind, u64, id, u16(), bytes(45_056))));

const HEX = '0123456789abcdef';
const someKey = (d: Dice): string =>
  d.pick([
    () => HEX[d.int(4)]!.repeat(64),
    () => Array.from({ length: 64 }, () => HEX[d.int(16)]).join(''),
  ])();
const HOSTS = ['relay.example', '127.0.0.1', '[::1]', '[::]', 'a_b-c.d', 'x'.repeat(400), '', 'é'];
const PORTS = ['1', '4400', '65535', '65536', '0', '00080', '123456', '', '-1', ' 1', '4400\n'];

/** An address, most often a good one. */
export function someUrl(d: Dice): string {
  const isGood = d.int(8) > 0;
  const host = isGood ? d.pick(HOSTS.slice(0, 5)) : d.pick(HOSTS);
  const port = isGood ? d.pick(PORTS.slice(0, 3)) : d.pick(PORTS);
  const key = isGood ? someKey(d) : d.pick([someKey(d).slice(1), someKey(d).toUpperCase(), '']);
  const via = d.pick(['', '', '?via=tls', '?via=tcp', isGood ? '' : '?via=udp']);
  return `conclave://${d.oneIn(16) ? '' : `${key}@`}${host}:${port}${via}`;
}

const isHexDigit = (c: string): boolean => HEX.includes(c) && c !== '';
const HOST_CHARS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-';
const IPV6_CHARS = '0123456789abcdefABCDEF:.';
const all = (s: string, chars: string): boolean =>
  s !== '' && [...s].every((c) => chars.includes(c));

/** What section "Relay addresses" says, letter by letter; the key, or '' where there is none. */
export function readUrl(
  url: string,
): { key: string; host: string; port: number; via: string } | undefined {
  if (url.length > 512 || !url.startsWith('conclave://')) return undefined;
  let rest = url.slice('conclave://'.length);
  let via = 'tcp';
  for (const v of ['tcp', 'tls']) {
    if (!rest.endsWith(`?via=${v}`)) continue;
    via = v;
    rest = rest.slice(0, -`?via=${v}`.length);
    break;
  }
  let key = '';
  if (rest[64] === '@') {
    key = rest.slice(0, 64);
    if (![...key].every(isHexDigit)) return undefined;
    rest = rest.slice(65);
  }
  const colon = rest.lastIndexOf(':');
  if (colon < 0) return undefined;
  let host = rest.slice(0, colon);
  const digits = rest.slice(colon + 1);
  if (!all(digits, '0123456789') || digits.length > 5) return undefined;
  const port = Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (host.startsWith('[') && host.endsWith(']')) {
    host = host.slice(1, -1);
    if (!all(host, IPV6_CHARS)) return undefined;
  } else if (!all(host, HOST_CHARS)) return undefined;
  return { key, host, port, via };
}

/** 1 to 8 whole addresses of different relays. */
export function areRelays(urls: readonly string[]): boolean {
  const keys = urls.map((url) => readUrl(url)?.key ?? '');
  return (
    urls.length >= 1 && urls.length <= 8 && !keys.includes('') && new Set(keys).size === keys.length
  );
}

/** Whatever is UTF-8. */
export const anyText = text(1_048_576);

const url = text(512, someUrl);
const urls = list(8, url);
const textsOf = (tree: Tree): string[] => tree.parts.map(textOf);

export const genesis = such(
  row(
    ...[tag('conclave/genesis'), version, id, text(64), id, id, raw(16), u64, u8(128, 1)],
    ...[u8(1), u8(1), u8(1)],
    urls,
  ),
  ({ parts: [g] }) => {
    const [sealing, minOnline, few] = [4, 8, 9].map((at) => g!.parts[at]!);
    const least = intOf(few!) === 1 ? 1 : 2;
    const isReader = sealing!.bytes.some((byte) => byte !== 0);
    return isReader && intOf(minOnline!) >= least && areRelays(textsOf(g!.parts.at(-1)!));
  },
);

const invite = row(version, id, raw(32), id, u64, id, text(128), urls, list(1, id), u8(1));
/** An invitation's bytes, without the checksum behind them. */
export const inviteBody = invite;

const context = [id, u64, id];
const candidacy = [kind, id, ulid, u64, u64, u64];
const heard = row(id, ulid, u64);
export const boots = list(8, row(ulid, u64));

const statement = (name: string, ...fields: readonly Shape[]): Shape =>
  row(tag(`conclave/${name}`), version, ...context, ...fields);

export const STATEMENTS = {
  beacon: row(tag('conclave/beacon'), version, heard, u64, boots, list(1_024, heard)),
  prevote: statement('prevote', ...candidacy),
  grant: statement('grant', ...candidacy),
  lead: statement('lead', ...candidacy, id),
  ballot: statement('ballot', kind, id, u64, id),
  beat: statement('beat', id, u64, u64, ulid),
  propose: statement('propose', kind, id, u64, u64, u64, id, u64, id, u64, u8(1)),
  ack: statement('ack', kind, id, u64, u64, id),
  recall: statement('recall', ulid, u64, u64),
  report: statement('report', ulid, u64, u64, u64, u64, u64, u64, id),
  join: statement('join', id, text(64), id, id, u64, id),
  replace: statement('replace', id, id, text(64), id, id, id),
  recovery: statement('recovery', id, id, id),
} as const;
export const anyStatement = either(...Object.values(STATEMENTS));

const base = u64;
export const MEMBERSHIP = {
  invite: row(base, id, u16(), u64, id, u8(1)),
  revoke: row(base, id),
  join: row(base, bytes(1_024), sig, sig),
  vote: row(base, id),
  relays: row(base, urls),
  leave: row(base),
  remove: row(base, id),
  role: row(base, id, u8(1)),
  replace: row(base, bytes(1_024), sig, sig),
  recovery: row(base, bytes(1_024), sig),
} as const;
/** Body of a `keys` record. */
export const keysBody = row(id, u64, id, list(MEMBERS, row(id, raw(80))), bytes(16_424));

const PROOF_FILE = 4_194_304;
const sides = (side: Shape): Shape =>
  such(row(side, side), ({ parts: [both] }) => {
    const [one, other] = both!.parts.map((part) => Buffer.from(write(part))) as [Buffer, Buffer];
    return Buffer.compare(one, other) < 0;
  });
const said = [bytes(512), sig];
/** By offence: the channel, its number, the offender, and what each side has. */
export const OFFENCES = [
  row(id, u8(0, 0), id, sides(row(bytes(RECORD_BYTES), storedProof))),
  row(id, u8(1, 1), id, sides(row(...said))),
  row(id, u8(2, 2), id, u64, sides(row(id, headers, ...said))),
  row(id, u8(3, 3), id, u64, sides(row(id, headers, ...said))),
] as const;
export const misbehaviourProof = row(
  ...[tag('conclave/proof'), version, u8(1, 1)],
  either(...OFFENCES),
);
/** The key of a message, or nothing. */
const disclosure = such(bytes(32), ({ parts }) => [0, 32].includes(parts[0]!.bytes.length));
export const finalProof = row(
  ...[tag('conclave/proof'), version, u8(0, 0), bytes(8_192), sig],
  ...[list(65_535, bytes(PROOF_FILE, step)), bytes(PROOF_FILE, step), disclosure],
);
export const portableProof = either(finalProof, misbehaviourProof);
export const conviction = row(u64, bytes(196_608));

export const signedPropose = row(sig, STATEMENTS.propose);
export const storeBoots = row(boots, u8(1));
export const page = list(4_096, row(text(2_048), bytes(16_777_216)));
const logged = [id, ulid, ulid, u64, id, id, bytes(65_536)];
/** What came has its author's signature behind it; of what was sent, the first flag is set. */
export const loggedMessage = either(
  row(u8(0, 0), ...logged, sig),
  row(u8(1, 1), ...logged),
  row(u8(2, 2), ...logged, sig),
  row(u8(3, 3), ...logged),
);
export const loggedReceipt = row(u64, sig);
export const loggedPlace = row(u64, ulid, u64);
/** What its author signs. */
export const privateMessage = row(
  ...[tag('conclave/private-message'), version, id, id, ulid, ulid, u64, id],
  bytes(65_536),
);
/** Where `keys` records stand in a log. */
export const keyLog = row(u64, list(4_096, u64));
export const recoveryKey = row(version, raw(32));
export const replaceRequest = row(version, bytes(1_024), sig, sig);
