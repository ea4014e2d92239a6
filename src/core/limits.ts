/**
 * Every bound of the protocol, each with its unit in its name
 * (docs/PROTOCOL.md, section "Limits"). A value here is part of the protocol
 * where a peer can observe it; times are defaults that a node may change.
 */

/** The wire's `protocol_version`; also the version byte of every signed statement. */
export const PROTOCOL_VERSION = 0;

// Frames
export const FRAME_NAME_CHARS_MAX = 16;
/** Largest payload a relay accepts unless it is configured lower. */
export const FRAME_PAYLOAD_BYTES_MAX = 1_048_576;
export const FRAME_SIG_HEX_CHARS = 128;
/** Largest payload of a frame before there is a key: what a stranger can make either end hold. */
export const HANDSHAKE_PAYLOAD_BYTES_MAX = 1_024;

// Payloads (msgpack)
export const PAYLOAD_DEPTH_MAX = 8;
/** Values and keys in one payload: what the largest `USR_LST` that fits a frame needs. */
export const PAYLOAD_ITEMS_MAX = 131_072;
export const PAYLOAD_MAP_KEYS_MAX = 32;
export const PAYLOAD_KEY_BYTES_MAX = 32;
/** Forwarded payloads that a client remembers on a link to know copies. */
export const FORWARDED_REMEMBERED_MAX = 4_096;

// Records
export const RECORD_BODY_BYTES_MAX = 65_536;
export const RECORD_KIND_CHARS_MAX = 32;
/** Records under one signature in one `CH_MSG`. */
export const RECORDS_PER_BATCH_MAX = 256;
/** Total bytes of records in one `CH_MSG`. */
export const RECORDS_BATCH_BYTES_MAX = 262_144;

// Private messages
export const PRIVATE_BODY_BYTES_MAX = 65_536;
/** What is sealed has 512 bytes, or twice as many until it fits, or the most. */
export const PRIVATE_PLAIN_BYTES_MIN = 512;
export const PRIVATE_PLAIN_BYTES_MAX = 66_048;
/** How much longer what is sealed becomes: an encapsulated key of 32 bytes and a tag of 16. */
export const SEALED_OVERHEAD_BYTES = 48;
/** Own messages that may wait to be delivered. */
export const PRIVATE_PENDING_MAX = 4_096;
/** An own message that is not acknowledged is sent again after this. */
export const PRIVATE_RESEND_MS = 3_000;
/** Relays are asked so often for a receiver that is on none of them; they tell when it comes. */
export const PRIVATE_AWAY_MS = 30_000;
/** Messages that came over one link and wait to be opened, in all and from one user; the rest is left to be sent again. */
export const PRIVATE_ARRIVED_PER_LINK_MAX = 64;
export const PRIVATE_ARRIVED_PER_USER_MAX = 4;

// Names and texts
export const NICKNAME_BYTES_MAX = 64;
export const CHANNEL_NAME_BYTES_MAX = 128;
export const RELAY_URL_BYTES_MAX = 512;
export const RELAYS_PER_CHANNEL_MAX = 8;

// Roster
export const MEMBERS_PER_CHANNEL_MAX = 128;
export const OPEN_INVITES_MAX = 64;
export const INVITE_USES_MAX = 1_000;

// Log
/** Entries that may stand behind the final point of a node's log (its tail). */
export const TAIL_ENTRIES_MAX = 1_024;
/** Of these entries, those that only `epoch` records may take. */
export const TAIL_EPOCHS_MAX = 64;
/** Bytes of records that may stand behind the final point of a node's log; `epoch` records are taken beyond it. */
export const TAIL_BYTES_MAX = 327_680;
/** A leader places no more than this ahead of its final point. */
export const WINDOW_ENTRIES_MAX = 512;
export const WINDOW_BYTES_MAX = 163_840;
/** A certificate is kept once this much became final since the last one kept. */
export const CHECKPOINT_ENTRIES = 128;
export const CHECKPOINT_BYTES = 65_536;
/** A joiner must have acknowledged a final point at most this far behind the leader's. */
export const JOIN_LAG_ENTRIES_MAX = 512;
/** An online leader places nothing while this much is not in the log. */
export const SET_RECORDS_MAX = 65_536;
export const SET_BYTES_MAX = 67_108_864;
/** One author's share of that: no honest one has more than an outbox that is not final. */
export const SET_RECORDS_PER_AUTHOR_MAX = 16_384;
export const SET_BYTES_PER_AUTHOR_MAX = 20_971_520;
/** Branches of online epochs of one leader that are taken from others. */
export const BRANCHES_PER_LEADER_MAX = 128;
/** Branches named in one comparison of provisional sets. */
export const BRANCHES_LISTED_MAX = 64;
/** How long a question for a branch that nobody answers is remembered: the next goes to somebody else. */
export const ASKED_KEEP_MS = 10_000;
/** How long what others still name of a branch that was withheld here in part is not asked for: they may only be behind. */
export const WITHHELD_AGAIN_MS = 10_000;
/** How long a record that a branch holds is left to a roster leader's merge before it is offered again, since its last part … */
export const MERGE_PATIENCE_MS = 10_000;
/** … and in all. */
export const MERGE_PATIENCE_MS_MAX = 60_000;
/** Records that one `merge` record brings into the log. */
export const MERGE_RECORDS_MAX = 256;
/** Certificate in a `merge` record under which it brings in what former members wrote. */
export const WARRANT_BYTES_MAX = 45_056;
/** New messages that a leader places beside each such part, however full its window is. */
export const NEW_BESIDE_PART_MAX = 64;
/** Digests in one request for missing records. */
export const WANT_DIGESTS_MAX = 512;
/** Positions in one `CH_PULL`. */
export const LOCATORS_MAX = 64;

// Proofs for others
/** What anybody can be asked to check: a proof has every change of membership up to its certificate. */
export const PORTABLE_PROOF_BYTES_MAX = 4_194_304;

// Misbehaviour
/** One proof that a member contradicted itself; the longest has two records, or two stretches of a tail. */
export const MISBEHAVIOUR_BYTES_MAX = 196_608;
/** Proofs that are kept of one offender and one kind of offence, and bytes of all of a channel. */
export const CONVICTIONS_PER_OFFENCE_MAX = 2;
export const CONVICTION_BYTES_MAX = 4_194_304;
/** What is remembered of a channel to recognise it: records, their bytes, ballots, proposals. */
export const RECORDS_WITNESSED_MAX = 512;
export const RECORD_BYTES_WITNESSED_MAX = 262_144;
export const BALLOTS_WITNESSED_MAX = 1_024;
export const PROPOSALS_WITNESSED_MAX = 32;

// Records that are not placed yet, held in memory, per author
export const POOL_RECORDS_PER_AUTHOR_MAX = 2_048;
export const POOL_BYTES_PER_AUTHOR_MAX = 4_194_304;

// Elections
/** A stage of a round lasts up to this many times `round_ms`, where answers come late. */
export const ROUND_GROWTH_MAX = 4;
/** A ballot may raise a voter's promise by no more than this; who lost memory votes again so far above what others promised. */
export const TERM_JUMP_MAX = 1_024;
/** So far above what a node that lost memory knows others promise before they report. */
export const FORGOTTEN_TERMS_MAX = 512;
/** A voter promises for the same member that lost memory again after this, and after twice as long each time … */
export const RECALL_PAUSE_MS = 2_000;
/** … up to this. */
export const RECALL_PAUSE_MS_MAX = 16_000;
/** V0: fewer online members than this, and no message is placed. */
export const MIN_ONLINE_DEFAULT = 3;

/** The least `minOnline` that counts while an archive is a member. */
export const MIN_ONLINE_ARCHIVE = 2;

// Beacons
export const BEACON_HEARD_MAX = 1_024;
/** Members that one beacon shows how far their stores have been. */
export const BEACONS_SHOWN_MAX = 4;
/** Boots before the present one that a store keeps and a beacon names. */
export const BOOTS_KEPT = 8;

/** Default timings of a node, in milliseconds. */
export const TIMING = {
  beacon_ms: 1_000,
  /** A member is online while its last beacon that names a recent one of mine is younger. */
  online_ms: 4_000,
  heartbeat_ms: 300,
  election_min_ms: 1_200,
  election_max_ms: 2_400,
  /** How long a round (pre-vote or ballots) may take before it is given up. */
  round_ms: 800,
  /** How long a candidate with a majority waits for the grants of the other online members. */
  gather_ms: 60,
  /** A leader that heard from no majority for this long steps down. */
  check_quorum_ms: 2_400,
  /** An unanswered pull is sent again, to another member, after this. */
  pull_ms: 500,
  /** Own records that are not placed are offered again after this. */
  offer_ms: 1_500,
  /** Members compare what is not final about this often, while something is not. */
  exchange_ms: 1_000,
} as const;

export type Timing = { readonly [K in keyof typeof TIMING]: number };

// Links
/** V0's `z`: a client that has not sent a valid `CNN` in time is disconnected. */
export const CNN_DEADLINE_MS = 10_000;
/** V0's `timeout_s`: silence after which a relay disconnects a client. */
export const KEEPALIVE_TIMEOUT_S = 180;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;

// Encryption
/** Older channel keys that a `keys` record carries at most. */
export const KEYS_CARRIED_MAX = 512;
/** A channel key is replaced once the log is so much longer than where the key stands. */
export const KEY_ENTRIES_MAX = 65_536;
/** Of one author so many `keys` records count in each KEY_ENTRIES_MAX entries of the log, the first ones. */
export const KEYS_PER_AUTHOR_MAX = 512;
/** Of one author so many `keys` records that are not final are looked at. */
export const KEYS_EARLY_PER_AUTHOR_MAX = 64;
/** How long changes of the readers are waited for before a key is made for them. */
export const KEY_PATIENCE_MS = 250;
/** Where several may make it, each leaves so much time to the one before it. */
export const KEY_TURN_MS = 2_000;
/** A node makes another key for the same readers, unasked, no sooner. */
export const KEY_REPEAT_MS = 5_000;
/** Who joined looks so often whether it can read what was before it … */
export const FIRST_KEY_LOOK_MS = 1_000;
/** … so many times, and no more once so many looks running found nobody online who could give it the key. */
export const FIRST_KEY_LOOKS_MAX = 30;
export const FIRST_KEY_ALONE_MAX = 5;

// Outbox
/** Own records that may wait for finality in one channel; then `outbox_full` until some are final. */
export const OUTBOX_RECORDS_MAX = 16_384;
export const OUTBOX_BYTES_MAX = 16_777_216;
/** A leader under which nothing becomes final, or a message offered to it stays out, is suspected after this. */
export const SUSPECT_MS = 8_000;
/** Own records offered to a leader and not placed by it yet. */
export const OFFER_WINDOW_RECORDS = 1_024;
/** Own records are offered again so often where this node reaches fewer than `minOnline`, or no leader. */
export const OFFER_UNSURE_MS = 6_000;
/** So long a member that hears a leader is taken for one, since it said so. */
export const CARRIER_KEEP_MS = 10_000;
/** So long a voter that lost memory and votes alone waits for a longer log to come. */
export const VOTES_ALONE_MS = 8_000;
/** How long a record of another member that nobody places is kept in memory. */
export const POOL_KEEP_MS = 60_000;

// Joining
/** How often a joiner repeats its request, and for how long the leader counts it as answering. */
export const JOIN_REPEAT_MS = 400;
export const JOIN_PATIENCE_MS = 2_000;
/** A relay's word that an invitation is not open counts once it repeats it for this long. */
export const JOIN_REFUSED_MS = 3_000;
export const JOIN_ATTEMPTS_MAX = 64;
/** Who left asks relays so often whether the others know. */
export const LEFT_ASK_MS = 500;
/** For so long a member asks whether it is one still, since a relay said that it is none. */
export const SHUT_OUT_MS = 5_000;
/** Who hears no leader asks its relays so often which roster they know. */
export const ASK_RELAYS_MS = 5_000;

// Pages of final entries
/** A page ends at a certificate; one that exists lies at most this far behind the last. */
export const PAGE_ENTRIES_MAX = 512;
export const PAGE_BYTES_MAX = 589_824;
/** Final pages in answer to one question: the next is asked once all of them came. */
export const PAGES_PER_ANSWER_MAX = 4;
/** Answers from the store that are under way at once, that wait for their turn, and that one asker may wait for. */
export const SERVES_AT_ONCE_MAX = 8;
export const SERVES_WAITING_MAX = 256;
export const SERVES_PER_ASKER_MAX = 4;
