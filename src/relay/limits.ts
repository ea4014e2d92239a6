/**
 * Every bound and default time of a relay, each with its unit in its name
 * (docs/PROTOCOL.md, section "Relay limits"). They protect the relay's memory
 * and its one thread; a client meets them as `RATE`, or as an `ERR` with one of
 * the codes named here. An operator may change each of them.
 */

import { CNN_DEADLINE_MS, FRAME_PAYLOAD_BYTES_MAX, KEEPALIVE_TIMEOUT_S } from '../core/limits.js';

export interface RelayLimits {
  /** Over it a new connection is closed at once. */
  readonly connections_max: number;
  /** Connections before a valid `CNN`; over it the oldest of them is closed (`busy`). */
  readonly unauthenticated_max: number;
  /** Handshakes verified, over all connections, about a millisecond each (`busy`). */
  readonly handshakes_per_s: number;
  readonly handshakes_burst: number;

  /** Of one connection; over the burst it gets `RATE`, a whole burst later `ERR rate`. */
  readonly frames_per_s: number;
  readonly frames_burst: number;
  readonly bytes_per_s: number;
  readonly bytes_burst: number;
  readonly payload_bytes_max: number;
  /** Incomplete frames of all connections together; over it whoever holds more than its share goes (`busy`). */
  readonly receive_buffer_total_bytes_max: number;
  /** What waits for one receiver; over it the receiver is dropped (`slow`). */
  readonly send_buffer_bytes_max: number;
  /** What waits for all receivers; over it whoever holds more than its share goes (`slow`). */
  readonly send_buffer_total_bytes_max: number;

  /** Known channels; over it the one without an online member for longest is forgotten, else `full`. */
  readonly channels_max: number;
  /** Channels that one connection may make known (`full`). */
  readonly channels_announced_max: number;
  /** Users on the allow-list. */
  readonly allowed_max: number;
  /** Users that one connection is told of since it wrote to them; over it the oldest is forgotten. */
  readonly watched_max: number;

  /** Costly work (checks of rosters and requests, long lists), in units of about 0.1 ms: of one connection … */
  readonly work_per_s: number;
  readonly work_burst: number;
  /** … and of all of them (`RATE`). */
  readonly work_total_per_s: number;
  readonly work_total_burst: number;
  /** `CH_JOIN`s of one connection (`RATE`): a newcomer sends one for each page that it got. */
  readonly joins_per_s: number;
  readonly joins_burst: number;
  /** Requesters that may be answered by a channel's members; over it the oldest is forgotten. */
  readonly guests_per_channel_max: number;
  /** How long after its last valid `CH_JOIN` a requester may be answered. */
  readonly guest_ms: number;
}

const MiB = 1_048_576;

export const RELAY_LIMITS: RelayLimits = {
  connections_max: 10_000,
  unauthenticated_max: 1_024,
  handshakes_per_s: 300,
  handshakes_burst: 600,

  frames_per_s: 20_000,
  frames_burst: 40_000,
  bytes_per_s: 32 * MiB,
  bytes_burst: 64 * MiB,
  payload_bytes_max: FRAME_PAYLOAD_BYTES_MAX,
  receive_buffer_total_bytes_max: 256 * MiB,
  send_buffer_bytes_max: 8 * MiB,
  send_buffer_total_bytes_max: 512 * MiB,

  channels_max: 65_536,
  channels_announced_max: 2_048,
  allowed_max: 4_096,
  watched_max: 256,

  work_per_s: 1_000,
  work_burst: 4_000,
  work_total_per_s: 4_000,
  work_total_burst: 16_000,
  joins_per_s: 200,
  joins_burst: 400,
  guests_per_channel_max: 64,
  guest_ms: 60_000,
};

export interface RelayTiming {
  /** V0's `z`. */
  readonly cnn_ms: number;
  /** Silence after which a client is disconnected. */
  readonly timeout_s: number;
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
  sweep_ms: 250,
  drain_ms: 2_000,
  linger_ms: 1_000,
};

/**
 * These bytes of a connection are parsed before it is charged a handshake:
 * an `INFO` fits, a `CNN` does not, and garbage has shown itself.
 */
export const HANDSHAKE_FREE_BYTES = 256;

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
