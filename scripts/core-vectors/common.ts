/** What the vectors of the core share: signers, ids, and how their files are to be read. */

import { type Actor, actor, type Fields, type Hex, sha256, u8, utf8 } from './encoding.js';

export const KEYS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'].map((name, i) =>
  actor(name, i + 1),
);
export const [alice, bob, carol, dave, erin, frank] = KEYS as [
  Actor,
  Actor,
  Actor,
  Actor,
  Actor,
  Actor,
];
export const users = (actors: readonly Actor[]): Hex[] => actors.map((a) => a.user);

/** Some 32 bytes, named by what they stand for. */
export const id = (what: string): Hex => sha256(utf8(what));
export const repeat = (byte: number, count: number): Hex => u8(byte).repeat(count);
export const ulidOf = (number: number): string => `01HF${String(number).padStart(22, '0')}`;

/** The X25519 key to which keys are sealed for a user; dave stores and never reads. */
export const sealingOf = ({ name }: Actor): Hex | null =>
  name === 'dave' ? null : id(`sealing key of ${name}`);

export const CHANNEL = id('channel');
export const OTHER_CHANNEL = id('other channel');
export const ZERO_ULID = '0'.repeat(26);
export const LARGEST_ULID = `7${'Z'.repeat(25)}`;
export const LARGEST = Number.MAX_SAFE_INTEGER;
export const TIME = 1_700_000_000_000;

export interface Context extends Fields {
  readonly channel: Hex;
  readonly roster: number;
  readonly rosterHash: Hex;
}
export const context: Context = { channel: CHANNEL, roster: 7, rosterHash: id('roster 7') };
export const leadership = { epoch: id('epoch'), term: 9 };

export const SALT = repeat(0x5a, 16);
/** The address of relay `number`, with a host that makes it `length` characters long. */
export function relayOf(number: number, length = 0): string {
  const [start, end] = [`conclave://${repeat(number, 32)}@`, ':4400'];
  return start + 'relay.example'.padEnd(length - start.length - end.length, 'x') + end;
}
export const RELAY = relayOf(1);

export const ENCODING = [
  "All byte strings and 32-byte ids are lowercase hex; ULIDs are texts of 26 digits of Crockford's base 32",
  '(16 bytes when encoded). u8, u16, u32 and u64 are unsigned and big-endian, u64 at most 2^53-1;',
  '`text` and `bytes` stand behind a u32 length, a text is UTF-8; `list` stands behind a u16 count;',
  'all else has a fixed width and no length. H is SHA-256. Signatures are Ed25519 (RFC 8032).',
  'The file is made by scripts/make-core-vectors.ts.',
].join(' ');
