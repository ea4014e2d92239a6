/**
 * Every command of the wire: its name, who may send it, the key its frame is
 * under, what a relay turns it into, and the schema of its payload
 * (docs/PROTOCOL.md, section "Commands"). Wire names appear in this file alone.
 *
 * A command's name decides which key its frame is under (section "Keys"):
 *   - `open`: there is no key yet;
 *   - `link`: the key of this link and direction;
 *   - `broadcast`: forwarded by a relay; from the client it comes under its link key.
 *
 * A forwarded payload is the sender's bytes, untouched. Its sender writes
 * `from`; the relay checks it and changes only the name (`as`). `to` narrows
 * the receivers to one user; without it they are all online members of the
 * channel `id` except the sender.
 */

import { alike } from './alike.js';
import { ConclaveError } from './errors.js';
import {
  BEACON_HEARD_MAX,
  BEACONS_SHOWN_MAX,
  BOOTS_KEPT,
  BRANCHES_LISTED_MAX,
  CHANNEL_NAME_BYTES_MAX,
  FRAME_PAYLOAD_BYTES_MAX,
  LOCATORS_MAX,
  MEMBERS_PER_CHANNEL_MAX,
  MISBEHAVIOUR_BYTES_MAX,
  NICKNAME_BYTES_MAX,
  PAGES_PER_ANSWER_MAX,
  PRIVATE_PLAIN_BYTES_MAX,
  RECORD_BODY_BYTES_MAX,
  RECORDS_PER_BATCH_MAX,
  SEALED_OVERHEAD_BYTES,
  TAIL_ENTRIES_MAX,
  WANT_DIGESTS_MAX,
} from './limits.js';
import {
  boolean,
  bytes,
  type Codec,
  channel,
  digest,
  epoch,
  integer,
  list,
  object,
  oneOf,
  optional,
  type TypeOf,
  text,
  ulid,
  user,
} from './schema.js';

/** Fields of every payload, as V0 asks: unix seconds, and 8 bytes that strictly increase on a link. */
const always = { timestamp: integer(), nonce: bytes(8, true) };

const PROOF_BYTES_MAX = 256 + MEMBERS_PER_CHANNEL_MAX * (32 + 96);
/** Records share what their author, its boot and the channel make alike, proofs of a batch most of what they are. */
const records = (items: number) =>
  alike({ items, itemBytes: RECORD_BODY_BYTES_MAX + 512, first: 128, last: 0 });
const proofs = (items: number) => alike({ items, itemBytes: 1_024, first: 64, last: 512 });
const sig = bytes(64, true);
const statement = bytes(16 + BEACON_HEARD_MAX * 56 + BOOTS_KEPT * 24 + 128);
const blob = bytes(FRAME_PAYLOAD_BYTES_MAX);
const key32 = bytes(32, true);
/** Which of the relay's limits it was. */
const limitName = text(40);
const point = object({ seq: integer(), hash: digest });
const vote = object({ user, sig });
const votes = list(vote, MEMBERS_PER_CHANNEL_MAX);
const electorate = list(user, MEMBERS_PER_CHANNEL_MAX);
const userInfo = object({
  id: user,
  status: oneOf('online', 'offline'),
  name: text(NICKNAME_BYTES_MAX),
});
const channelInfo = object({
  id: channel,
  name: bytes(CHANNEL_NAME_BYTES_MAX + 64),
  leader: optional(user),
  status: oneOf('healthy', 'waiting'),
});

/** A statement and its signature; the signer is `from`. */
const signed = { s: statement, sig };
/** On all that is forwarded to members of a channel. */
const member = { ...always, id: channel, from: user };
/** Entries of the log: headers in one blob (certificate.ts), records and proofs beside it. */
const entries = {
  headers: blob,
  records: records(TAIL_ENTRIES_MAX),
  proofs: proofs(TAIL_ENTRIES_MAX),
};

interface Spec<T> {
  readonly from: 'client' | 'relay' | 'both';
  readonly key: 'open' | 'link' | 'broadcast';
  /** Name under which a relay forwards it. */
  readonly as?: string;
  readonly payload: Codec<T>;
}

const spec = <T>(
  from: Spec<T>['from'],
  key: Spec<T>['key'],
  payload: Codec<T>,
  as?: string,
): Spec<T> => (as === undefined ? { from, key, payload } : { from, key, payload, as });

export const COMMANDS = {
  // Link
  INFO: spec('client', 'open', object(always)),
  SINFO: spec(
    'relay',
    'open',
    object({
      ...always,
      protocol_version: integer(),
      server_name: text(64),
      version: text(32),
      timeout_s: integer(1, 86_400),
      cnn_s: integer(1, 3_600),
      payload_bytes_max: integer(1_024, FRAME_PAYLOAD_BYTES_MAX),
      /** The relay's Ed25519 key, its static X25519 key, the binding of both, and the link's fresh X25519 key. */
      id: user,
      fixed: key32,
      binding: sig,
      fresh: key32,
      /** SHA-256 of the certificate that this connection's TLS showed. */
      tls: optional(key32),
    }),
  ),
  CNN: spec(
    'client',
    'open',
    object({
      ...always,
      protocol_version: integer(),
      id: user,
      name: text(NICKNAME_BYTES_MAX),
      fixed: key32,
      binding: sig,
      fresh: key32,
      /** Proof of the relay's registration token (keys.ts). */
      token: optional(key32),
    }),
  ),
  CNN_OK: spec(
    'relay',
    'link',
    object({
      ...always,
      broadcast: bytes(64, true),
      /** Which broadcast key; 1, 2, 3 … */ number: integer(1),
    }),
  ),
  KALIVE: spec('both', 'link', object(always)),
  DCNN: spec('client', 'link', object(always)),
  ERR: spec(
    'relay',
    'link',
    object({
      ...always,
      code: text(32),
      about: text(16),
      message: text(512),
      id: optional(channel),
      limit: optional(limitName),
    }),
  ),
  RATE: spec(
    'relay',
    'link',
    object({ ...always, retry_ms: integer(), about: text(16), limit: optional(limitName) }),
  ),

  // Users
  LST_USR: spec('client', 'link', object(always)),
  USR_LST: spec('relay', 'link', object({ ...always, users: list(userInfo, 65_536) })),
  UCNN: spec('relay', 'link', object({ ...always, id: user, name: text(NICKNAME_BYTES_MAX) })),
  UDCNN: spec('relay', 'link', object({ ...always, id: user, name: text(NICKNAME_BYTES_MAX) })),
  USR_ADD: spec('relay', 'link', object({ ...always, ...userFields() })),
  USR_RMD: spec('relay', 'link', object({ ...always, id: user })),
  CNN_USR: spec('client', 'broadcast', object({ ...always, ...handshakeFields() }), 'USR_HSK'),
  USR_HSK: spec('relay', 'broadcast', object({ ...always, ...handshakeFields() })),
  PV_MSG: spec('client', 'broadcast', object({ ...always, ...privateFields() }), 'MSG'),
  MSG: spec('relay', 'broadcast', object({ ...always, ...privateFields() })),
  ACK_MSG: spec('client', 'broadcast', object({ ...always, ...receiptFields() }), 'MSG_ACK'),
  MSG_ACK: spec('relay', 'broadcast', object({ ...always, ...receiptFields() })),
  BEACON: spec(
    'both',
    'broadcast',
    object({
      ...always,
      from: user,
      ...signed,
      /** Beacons of members whose stores were put back since. */
      shown: optional(list(object({ user, ...signed }), BEACONS_SHOWN_MAX)),
    }),
    'BEACON',
  ),

  // Channels: the relay's own
  CH_LST: spec('client', 'link', object(always)),
  LST_CH: spec('relay', 'link', object({ ...always, channels: list(channelInfo, 65_536) })),
  CH_ROSTER: spec(
    'client',
    'link',
    object({
      ...always,
      id: channel,
      genesis: bytes(8_192),
      genesis_sig: sig,
      /** Number of the roster that the client has; `steps` lead from roster `first` towards it, one each. */
      number: integer(),
      first: integer(),
      steps: list(blob, 256),
      name: bytes(CHANNEL_NAME_BYTES_MAX + 64),
    }),
  ),
  CH_STATUS: spec(
    'relay',
    'link',
    object({
      ...always,
      id: channel,
      name: bytes(CHANNEL_NAME_BYTES_MAX + 64),
      leader: optional(user),
      /** Number of the roster that the relay knows; a member that knows more sends the steps. */
      roster: integer(),
      online: list(user, MEMBERS_PER_CHANNEL_MAX),
    }),
  ),
  CH_UJOIN: spec('relay', 'link', object({ ...always, channel, user })),
  CH_ULEAVE: spec('relay', 'link', object({ ...always, channel, user })),
  /** The one command that a non-member may send. */
  CH_JOIN: spec(
    'both',
    'broadcast',
    object({ ...always, id: channel, from: user, request: bytes(1_024), invite_sig: sig, sig }),
    'CH_JOIN',
  ),
  /** Tells a user that its request was refused, and why. */
  CH_REFUSE: spec(
    'both',
    'broadcast',
    object({ ...member, to: user, code: text(32), message: text(512) }),
    'CH_REFUSE',
  ),

  // Channels: between members
  CH_MSG: spec(
    'both',
    'broadcast',
    object({
      ...member,
      to: optional(user),
      /** Records of one author under one signature … */
      batch: optional(
        object({
          author: user,
          roster: integer(),
          roster_hash: digest,
          sig,
          records: records(RECORDS_PER_BATCH_MAX),
        }),
      ),
      /** … or records of anyone, each with its proof. */
      each: optional(
        object({
          records: records(RECORDS_PER_BATCH_MAX),
          proofs: proofs(RECORDS_PER_BATCH_MAX),
        }),
      ),
    }),
    'CH_MSG',
  ),
  CH_PROPOSE: spec(
    'both',
    'broadcast',
    object({ ...member, to: optional(user), ...signed, headers: blob }),
    'CH_PROPOSE',
  ),
  ACK_CH_MSG: spec('client', 'broadcast', object({ ...member, ...ackFields() }), 'CH_MSG_ACK'),
  CH_MSG_ACK: spec('relay', 'broadcast', object({ ...member, ...ackFields() })),
  CH_COMMIT: spec('client', 'broadcast', object({ ...member, ...commitFields() }), 'CH_MSG_COMMIT'),
  CH_MSG_COMMIT: spec('relay', 'broadcast', object({ ...member, ...commitFields() })),
  CH_PREVOTE: spec('both', 'broadcast', object({ ...member, ...signed }), 'CH_PREVOTE'),
  CH_GRANT: spec(
    'both',
    'broadcast',
    object({
      ...member,
      to: user,
      round: ulid,
      /** The voter's signature over the grant, absent when refused. */
      sig: optional(sig),
      refused: optional(oneOf('leader', 'log', 'term', 'roster', 'memory')),
      /** Of which kind of epoch it speaks, the voter's promise for that, and its roster number. */
      kind: oneOf('roster', 'online'),
      term: integer(),
      roster: integer(),
    }),
    'CH_GRANT',
  ),
  CH_LEAD: spec('client', 'broadcast', object({ ...member, ...leadFields() }), 'CH_VOTE'),
  CH_VOTE: spec(
    'both',
    'broadcast',
    object({
      ...member,
      election: integer(),
      user,
      /** A request to vote for `user` (sent as CH_LEAD) … */
      request: optional(object(requestFields())),
      /** … or a ballot for `user`. */
      to: optional(user),
      ballot: optional(object(signed)),
    }),
    'CH_VOTE',
  ),
  CH_ELECTED: spec(
    'both',
    'broadcast',
    object({
      ...member,
      to: optional(user),
      election: integer(),
      leader: user,
      kind: oneOf('roster', 'online'),
      ...signed,
      electorate,
      ballots: votes,
    }),
    'CH_ELECTED',
  ),
  CH_PULL: spec(
    'both',
    'broadcast',
    object({
      ...member,
      to: user,
      anchor: list(point, LOCATORS_MAX),
      want: list(digest, WANT_DIGESTS_MAX),
      /** A challenge to the leader: answer with CH_ELECTED that echoes it. */
      challenge: optional(ulid),
      /** What the sender holds of the provisional set: branches, and up to where they are certified … */
      set: optional(list(object(branchFields()), BRANCHES_LISTED_MAX)),
      /** A node that lost memory asks for the log that was reported in this round. */
      recall: optional(ulid),
      /** A candidate that was refused for its log asks for the better one. */
      tail: optional(boolean),
      /** … or which branch it wants, behind what it has of it. */
      take: optional(object(branchFields())),
    }),
    'CH_PULL',
  ),
  CH_APPEND: spec(
    'both',
    'broadcast',
    object({
      ...member,
      to: user,
      anchor: point,
      ...entries,
      /** What the sender reported to one that lost memory: exactly these entries end its log … */
      report: optional(object(signed)),
      /** … or a certificate: the last entry is final … */
      cert: optional(blob),
      /** … or the leader's proposal for exactly these entries … */
      propose: optional(object(signed)),
      /** … which may be another than the sender: then with the proof of its election. */
      proof: optional(bytes(PROOF_BYTES_MAX)),
      /** Where the sender's final point is, for progress. */
      final: integer(),
      /** How many final pages of the same answer follow this one. */
      more: optional(integer(0, PAGES_PER_ANSWER_MAX)),
      genesis: optional(object({ bytes: bytes(8_192), sig })),
    }),
    'CH_APPEND',
  ),
  /** A node that lost memory asks all others; each answers it. */
  CH_RECALL: spec('both', 'broadcast', object({ ...member, ...signed }), 'CH_RECALL'),
  CH_REPORT: spec('both', 'broadcast', object({ ...member, to: user, ...signed }), 'CH_REPORT'),
  /** Proof that a member contradicted itself (misbehaviour.ts). */
  CH_PROOF: spec(
    'both',
    'broadcast',
    object({ ...member, to: optional(user), conviction: bytes(MISBEHAVIOUR_BYTES_MAX) }),
    'CH_PROOF',
  ),
  CH_MERGE: spec(
    'both',
    'broadcast',
    object({
      ...member,
      to: optional(user),
      epoch,
      /** Proof of the election under which the branch was acknowledged. */
      proof: bytes(PROOF_BYTES_MAX),
      anchor: point,
      headers: blob,
      /** Empty for a record that vanished. */
      records: records(TAIL_ENTRIES_MAX),
      proofs: proofs(TAIL_ENTRIES_MAX),
      /** Certifies the last of these as committed. */
      cert: blob,
      /** Up to where the sender's branch is certified. */
      tip: integer(),
      /** What the sender's branch begins behind, where that is not 0. */
      base: optional(integer()),
      /** How many pages of the same answer follow this one. */
      more: optional(integer(0, PAGES_PER_ANSWER_MAX)),
    }),
    'CH_MERGE',
  ),
  CH_ACK_REQ: spec(
    'client',
    'broadcast',
    object({ ...member, ...confirmFields() }),
    'CH_MSG_CONFIRM',
  ),
  CH_MSG_CONFIRM: spec('relay', 'broadcast', object({ ...member, ...confirmFields() })),
} as const;

function userFields() {
  return { id: user, status: oneOf('online', 'offline'), name: text(NICKNAME_BYTES_MAX) };
}
function privateFields() {
  const sealed = bytes(PRIVATE_PLAIN_BYTES_MAX + SEALED_OVERHEAD_BYTES);
  return { from: user, to: user, msg_id: ulid, msg: sealed };
}
function receiptFields() {
  /** Over a receipt; with `have`, over a gap (private-statements.ts). */
  return { from: user, to: user, msg_id: ulid, sig, have: optional(digest) };
}
/** Without `data` it asks for the other's sealing key, with it it shows the own. */
function handshakeFields() {
  return { from: user, to: user, data: optional(bytes(4_096)) };
}
function ackFields() {
  return { to: optional(user), ...signed, re: optional(boolean) };
}
function commitFields() {
  return { to: optional(user), cert: blob };
}
function requestFields() {
  return { ...signed, electorate, grants: votes };
}
function leadFields() {
  return { election: integer(), user, request: object(requestFields()) };
}
function branchFields() {
  return { epoch, seq: integer() };
}
function confirmFields() {
  return { users: list(user, MEMBERS_PER_CHANNEL_MAX), epoch, seq: integer(), message: digest };
}

export type CommandName = keyof typeof COMMANDS;
export type Payload<N extends CommandName> = TypeOf<(typeof COMMANDS)[N]['payload']>;
/** A payload before the link adds `timestamp` and `nonce`. */
export type Body<N extends CommandName> = Omit<Payload<N>, 'timestamp' | 'nonce'>;
/** A decoded command. */
export type Command = {
  [N in CommandName]: { readonly name: N; readonly payload: Payload<N> };
}[CommandName];
/** A command that a node wants sent. */
export type Outgoing = {
  [N in CommandName]: { readonly name: N; readonly payload: Body<N> };
}[CommandName];

export const isCommandName = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name);

/** Checks a payload that came as `name`. Throws `bad_payload`. */
export function decodeCommand(name: CommandName, payload: unknown): Command {
  const codec = COMMANDS[name].payload as Codec<unknown>;
  return { name, payload: codec.decode(payload, '') } as Command;
}

/** The plain map that msgpack encodes. */
export function encodePayload(name: CommandName, payload: object): object {
  const codec = COMMANDS[name].payload as Codec<object>;
  return codec.encode(payload) as object;
}

/** Throws `unknown_command`. */
export function commandName(name: string): CommandName {
  if (isCommandName(name)) return name;
  throw new ConclaveError('unknown_command', `there is no command "${name}"`);
}
