/**
 * Every bound and default time of a relay, each with its unit in its name
 * (docs/PROTOCOL.md, section "Relay limits"). They protect the relay's memory
 * and its one thread; a client meets them as `RATE`, or as an `ERR` with one of
 * the codes named here, and both name the limit. An operator may change each.
 *
 * Without a word of whose they are, they are of one connection or of all of
 * them; `user_` are of a user and `address_` of a network address (address.ts),
 * over all their connections, and remembered when those end (accounts.ts).
 */

import { ConclaveError } from '../core/errors.js';
import { CNN_DEADLINE_MS, FRAME_PAYLOAD_BYTES_MAX, KEEPALIVE_TIMEOUT_S } from '../core/limits.js';
import { TokenBucket } from './token-bucket.js';

export interface RelayLimits {
  /** Over it a new connection is closed at once. */
  readonly connections_max: number;
  readonly address_connections_max: number;
  /** Connections before a valid `CNN`; over it the oldest of them is closed (`busy`). */
  readonly unauthenticated_max: number;
  readonly address_unauthenticated_max: number;
  /** Connections that were sent away and have not closed; over it the oldest is cut off. */
  readonly lingering_max: number;

  /** Handshakes verified, over all connections, about a millisecond each (`busy`). */
  readonly handshakes_per_s: number;
  readonly handshakes_burst: number;
  /** Valid ones of a user (`busy`): others are told of each. */
  readonly user_handshakes_per_s: number;
  readonly user_handshakes_burst: number;
  /** New connections of an address, paid before anything is done for them (`busy`). */
  readonly address_handshakes_per_s: number;
  readonly address_handshakes_burst: number;
  /** Of those over it, the ones that are told so; the others are closed at once. */
  readonly address_refusals_per_s: number;
  readonly address_refusals_burst: number;

  /** Over the burst comes `RATE`, a whole burst later `ERR rate`. */
  readonly frames_per_s: number;
  readonly frames_burst: number;
  readonly user_frames_per_s: number;
  readonly user_frames_burst: number;
  readonly address_frames_per_s: number;
  readonly address_frames_burst: number;
  readonly bytes_per_s: number;
  readonly bytes_burst: number;
  readonly user_bytes_per_s: number;
  readonly user_bytes_burst: number;
  readonly address_bytes_per_s: number;
  readonly address_bytes_burst: number;

  readonly payload_bytes_max: number;
  /** Incomplete frames of all connections together; over it whoever holds more than its share goes (`busy`). */
  readonly receive_buffer_total_bytes_max: number;
  /** Bytes, and what counts like them, that an address' users may bring without waiting for a turn. */
  readonly address_prompt_per_s: number;
  readonly address_prompt_burst: number;
  /** Thread time, in milliseconds, for all that waits for its turn together; the rest is for those who send little. */
  readonly turn_ms_per_s: number;
  readonly turn_ms_burst: number;
  /** Bytes of all connections that wait for their turn; over it whoever brings more goes (`busy`). */
  readonly turn_total_bytes_max: number;
  /** What waits for one receiver; over it the receiver is dropped (`slow`). */
  readonly send_buffer_bytes_max: number;
  /** What waits for all receivers; over it whoever holds more than its share goes (`slow`). */
  readonly send_buffer_total_bytes_max: number;

  /** Known channels; over it the one without an online member for longest is forgotten, else `full`. */
  readonly channels_max: number;
  /** Channels that one connection may make known (`full`). */
  readonly channels_announced_max: number;
  /** Channels made known by a user, and from an address (`full`). */
  readonly user_channels_per_s: number;
  readonly user_channels_burst: number;
  readonly address_channels_per_s: number;
  readonly address_channels_burst: number;
  /** Users on the allow-list. */
  readonly allowed_max: number;
  /** Users that one connection is told of since it wrote to them; over it the oldest is forgotten. */
  readonly watched_max: number;

  /** Costly work (checks of rosters and requests, long lists), in units of about 0.1 ms (`RATE`). */
  readonly user_work_per_s: number;
  readonly user_work_burst: number;
  readonly address_work_per_s: number;
  readonly address_work_burst: number;
  readonly work_total_per_s: number;
  readonly work_total_burst: number;
  /** `CH_JOIN`s of one connection (`RATE`): a newcomer sends one for each page that it got. */
  readonly joins_per_s: number;
  readonly joins_burst: number;
  /** Requesters that may be answered by a channel's members; over it the oldest is forgotten. */
  readonly guests_per_channel_max: number;
  /** How long after its last valid `CH_JOIN` a requester may be answered. */
  readonly guest_ms: number;

  /** Users, and addresses, whose use is remembered though they are not connected. */
  readonly idle_accounts_max: number;
  /** Lines of the audit log; over it they are counted, and one says how many. */
  readonly audit_lines_per_s: number;
  readonly audit_lines_burst: number;
}

const MiB = 1_048_576;

export const RELAY_LIMITS: RelayLimits = {
  connections_max: 10_000,
  address_connections_max: 4_096,
  unauthenticated_max: 1_024,
  address_unauthenticated_max: 256,
  lingering_max: 1_024,

  handshakes_per_s: 300,
  handshakes_burst: 600,
  user_handshakes_per_s: 1,
  user_handshakes_burst: 60,
  address_handshakes_per_s: 50,
  address_handshakes_burst: 300,
  address_refusals_per_s: 10,
  address_refusals_burst: 20,

  frames_per_s: 20_000,
  frames_burst: 40_000,
  user_frames_per_s: 20_000,
  user_frames_burst: 60_000,
  address_frames_per_s: 60_000,
  address_frames_burst: 120_000,
  bytes_per_s: 32 * MiB,
  bytes_burst: 64 * MiB,
  user_bytes_per_s: 32 * MiB,
  user_bytes_burst: 96 * MiB,
  address_bytes_per_s: 96 * MiB,
  address_bytes_burst: 192 * MiB,

  payload_bytes_max: FRAME_PAYLOAD_BYTES_MAX,
  receive_buffer_total_bytes_max: 256 * MiB,
  address_prompt_per_s: 2_000_000,
  address_prompt_burst: 100_000,
  turn_ms_per_s: 400,
  turn_ms_burst: 100,
  turn_total_bytes_max: 64 * MiB,
  send_buffer_bytes_max: 8 * MiB,
  send_buffer_total_bytes_max: 512 * MiB,

  channels_max: 65_536,
  channels_announced_max: 2_048,
  user_channels_per_s: 1,
  user_channels_burst: 4_096,
  address_channels_per_s: 4,
  address_channels_burst: 16_384,
  allowed_max: 4_096,
  watched_max: 256,

  user_work_per_s: 1_000,
  user_work_burst: 4_000,
  address_work_per_s: 2_000,
  address_work_burst: 8_000,
  work_total_per_s: 4_000,
  work_total_burst: 16_000,
  joins_per_s: 200,
  joins_burst: 400,
  guests_per_channel_max: 64,
  guest_ms: 60_000,

  idle_accounts_max: 16_384,
  audit_lines_per_s: 100,
  audit_lines_burst: 10_000,
};

/** What is limited by a rate and a burst. */
type Rate =
  | ('handshakes' | 'frames' | 'bytes' | 'joins' | 'work_total' | 'turn_ms' | 'audit_lines')
  | ('address_refusals' | 'address_prompt')
  | `${'user' | 'address'}_${'handshakes' | 'frames' | 'bytes' | 'channels' | 'work'}`;

/** A bucket of that limit, full. */
export function rateOf(limits: RelayLimits, rate: Rate, nowMs: number): TokenBucket {
  return new TokenBucket(limits[`${rate}_per_s`], limits[`${rate}_burst`], nowMs, `${rate}_per_s`);
}

export interface RelayTiming {
  /** V0's `z`. */
  readonly cnn_ms: number;
  /** Silence after which a client is disconnected. */
  readonly timeout_s: number;
  /** A frame must be complete so long after it began (`frame_timeout`). */
  readonly frame_ms: number;
  /** A receiver must take something of what waits for it within this (`slow`). */
  readonly write_ms: number;
  /** How often deadlines are looked at. */
  readonly sweep_ms: number;
  /** How long `close()` waits for clients to take what is left. */
  readonly drain_ms: number;
  /** How long one that is sent away may take to read why. */
  readonly linger_ms: number;
}

export const RELAY_TIMING: RelayTiming = {
  cnn_ms: CNN_DEADLINE_MS,
  timeout_s: KEEPALIVE_TIMEOUT_S,
  frame_ms: 60_000,
  write_ms: 60_000,
  sweep_ms: 250,
  drain_ms: 2_000,
  linger_ms: 1_000,
};

/** Limits and times by their names, as an operator gives them. Throws `bad_limit`. */
export function splitLimits(given: Readonly<Record<string, number>>): {
  readonly limits: Partial<RelayLimits>;
  readonly timing: Partial<RelayTiming>;
} {
  const limits: Record<string, number> = {};
  const timing: Record<string, number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (Object.hasOwn(RELAY_LIMITS, name)) limits[name] = value;
    else if (Object.hasOwn(RELAY_TIMING, name)) timing[name] = value;
    else {
      throw new ConclaveError('bad_limit', `a relay has no limit "${name}": "--help" lists them`);
    }
  }
  return { limits, timing };
}

/**
 * These bytes of a connection are parsed before it is charged a handshake:
 * an `INFO` fits, a `CNN` does not, and garbage has shown itself.
 */
export const HANDSHAKE_FREE_BYTES = 256;

/** The relay's thread goes from one connection to another after so many bytes … */
export const TURN_PIECE_BYTES = 8_192;
/** … one that sends little may be so far ahead of the others, in bytes and what counts like them … */
export const TURN_CREDIT = 65_536;
/** … and back to the network after so long. */
export const TURN_MS = 1;

/**
 * What is charged, in those units. A key that was never seen costs as much as
 * ten signatures; a step and a first request bring two of them.
 */
export const WORK = {
  per_signature: 1,
  per_unknown_key: 9,
  /** Hash chains and headers of a roster step. */
  step_bytes_per_unit: 4_096,
  list_entries_per_unit: 32,
  lookups_per_unit: 2_048,
} as const;

/** Lists are cut so that they fit a frame. */
export const LIST_ENTRY_BYTES_MAX = { user: 128, channel: 320 } as const;
export const LIST_HEAD_BYTES_MAX = 256;
/** A page of a catch-up ends at a certificate and may need all of it: no relay takes less. */
export const PAYLOAD_BYTES_MAX_LEAST = FRAME_PAYLOAD_BYTES_MAX;
