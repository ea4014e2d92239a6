/**
 * Records of kind `keys`: how a channel key gets to its readers
 * (docs/PROTOCOL.md, section "Encryption").
 *
 *     body = commitment 32 · roster u64 · rosterHash 32 · sealed list of (user 32 · sealed 80) · older bytes
 *     info = text "conclave/channel-key-for" ‖ version u8 ‖ channel 32 ‖ commitment 32
 *            ‖ roster u64 ‖ rosterHash 32 ‖ maker 32 ‖ receiver 32
 *     ad   = text "conclave/older-keys" ‖ channel 32 ‖ commitment 32 ‖ maker 32
 *
 * `sealed` names exactly the readers of that roster, in order, each with the
 * key's secret under HPKE; 80 zero bytes for one to whose sealing key nothing
 * can be sealed. `older` is the secrets of older keys, under the new one.
 */

import { bytesEqual, decodeWhole, Writer } from '../core/bytes.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { type ChannelId, type Digest, hex, type UserId, unhex } from '../core/ids.js';
import { KEYS_CARRIED_MAX, MEMBERS_PER_CHANNEL_MAX, PROTOCOL_VERSION } from '../core/limits.js';
import { KEY_ID_BYTES } from '../core/message-key.js';
import type { ChannelRecord } from '../core/record.js';
import { type Roster, readers } from '../core/roster.js';
import {
  type ChannelKey,
  COMMITMENT_BYTES,
  channelKey,
  type KeyId,
  NONCE_BYTES,
  openOlder,
  type Random,
  SECRET_BYTES,
  sealOlder,
  TAG_BYTES,
} from './channel-cipher.js';
import { open, SEALED_OVERHEAD_BYTES, type SealingKey, seal } from './sealing.js';

export const KEYS_KIND = 'keys';
const SEALED_BYTES = SECRET_BYTES + SEALED_OVERHEAD_BYTES;
const OLDER_BYTES_MAX = NONCE_BYTES + KEYS_CARRIED_MAX * SECRET_BYTES + TAG_BYTES;

export interface KeysBody {
  readonly commitment: Uint8Array;
  readonly roster: number;
  readonly rosterHash: Digest;
  readonly sealed: readonly { readonly user: UserId; readonly bytes: Uint8Array }[];
  readonly older: Uint8Array;
}

export function encodeKeys({
  commitment,
  roster,
  rosterHash,
  sealed,
  older,
}: KeysBody): Uint8Array {
  const w = new Writer(256 + sealed.length * 112 + older.length).raw(commitment);
  w.u64(roster).id(rosterHash);
  return w
    .list(sealed, ({ user, bytes }) => w.id(user).raw(bytes))
    .bytes(older)
    .kept();
}

/** Throws `bad_encoding`. */
export const decodeKeys = (body: Uint8Array): KeysBody =>
  decodeWhole(body, (r) => ({
    commitment: r.raw(COMMITMENT_BYTES),
    roster: r.u64(),
    rosterHash: r.id<Digest>(),
    sealed: r.list(MEMBERS_PER_CHANNEL_MAX, () => ({
      user: r.id<UserId>(),
      bytes: r.raw(SEALED_BYTES),
    })),
    older: r.bytes(OLDER_BYTES_MAX),
  }));

/** Undefined for a record of another kind, and for one that is malformed: it gives nobody a key. */
export function keysIn({ kind, body }: ChannelRecord): KeysBody | undefined {
  if (kind !== KEYS_KIND) return undefined;
  try {
    return decodeKeys(body);
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    return undefined;
  }
}

/** The key that a record is about. */
export const keyIdIn = ({ commitment }: Pick<KeysBody, 'commitment'>): KeyId =>
  hex(commitment.subarray(0, KEY_ID_BYTES));

type Sealing = Pick<KeysBody, 'commitment' | 'roster' | 'rosterHash'> & {
  readonly channel: ChannelId;
  readonly maker: UserId;
};

function infoFor(s: Sealing, receiver: UserId): Uint8Array {
  const w = new Writer(320).text('conclave/channel-key-for').u8(PROTOCOL_VERSION).id(s.channel);
  w.raw(s.commitment).u64(s.roster).id(s.rosterHash);
  return w.id(s.maker).id(receiver).kept();
}

const olderAd = ({ channel, commitment, maker }: Sealing): Uint8Array =>
  new Writer(160).text('conclave/older-keys').id(channel).raw(commitment).id(maker).kept();

/** Users of a roster to whom a key of it is sealed, in the order of a `keys` record. */
export const receiversOf = (roster: Pick<Roster, 'members'>): UserId[] =>
  readers(roster)
    .map(({ user }) => user)
    .sort();

/** The body of a record that gives `key` to the readers of a roster, and with it older ones. */
export async function makeKeys(
  key: ChannelKey,
  roster: Roster,
  maker: UserId,
  older: readonly Uint8Array[],
  random: Random,
): Promise<Uint8Array> {
  const { number, hash: rosterHash, members } = roster;
  const { channel, commitment, secret } = key;
  const about = { channel, commitment, roster: number, rosterHash, maker };
  const sealed = await Promise.all(
    receiversOf(roster).map(async (user) => ({
      user,
      bytes: await sealFor(unhex(members.get(user)!.sealing!), infoFor(about, user), secret),
    })),
  );
  const carried = sealOlder(key, older, olderAd(about), random);
  return encodeKeys({ ...about, sealed, older: carried });
}

/** A member whose sealing key is none harms itself alone: it gets nothing. */
async function sealFor(
  receiver: Uint8Array,
  info: Uint8Array,
  secret: Uint8Array,
): Promise<Uint8Array> {
  try {
    return await seal(receiver, info, secret);
  } catch (error) {
    if (!(error instanceof ConclaveError && error.code === 'bad_key')) throw error;
    return new Uint8Array(SEALED_BYTES);
  }
}

/** Who opens `keys` records. */
export interface Opener {
  readonly user: UserId;
  readonly sealing: SealingKey;
  readonly crypto: Crypto;
}

type Made = Pick<ChannelRecord, 'channel' | 'author'>;

const aboutOf = ({ channel, author: maker }: Made, keys: Omit<KeysBody, 'sealed'>): Sealing => ({
  ...keys,
  channel,
  maker,
});

/** The key that a record gives to who opens it; undefined where it gives it none, or another than it says. */
export async function openKeys(
  opener: Opener,
  record: ChannelRecord,
  keys: KeysBody,
): Promise<ChannelKey | undefined> {
  const mine = keys.sealed.find(({ user }) => user === opener.user);
  if (!mine) return undefined;
  try {
    const info = infoFor(aboutOf(record, keys), opener.user);
    const secret = await open(opener.sealing, info, mine.bytes);
    if (secret.length !== SECRET_BYTES) return undefined;
    const key = channelKey(opener.crypto, record.channel, secret);
    return bytesEqual(key.commitment, keys.commitment) ? key : undefined;
  } catch (error) {
    if (!(error instanceof ConclaveError && error.code === 'bad_seal')) throw error;
    return undefined;
  }
}

/** The older keys that a record carries, for who has its key. */
export const olderIn = (
  crypto: Crypto,
  record: Made,
  keys: Omit<KeysBody, 'sealed'>,
  key: ChannelKey,
): ChannelKey[] =>
  openOlder(key, keys.older, olderAd(aboutOf(record, keys))).map((secret) =>
    channelKey(crypto, record.channel, secret),
  );
