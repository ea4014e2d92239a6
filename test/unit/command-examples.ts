/**
 * One full payload of every command, every optional field set, and what the
 * tests of the schemas know about fields on their own: sizes, optional ones,
 * enumerations. A command that is missing here doesn't compile.
 */

import type { CommandName, Payload } from '../../src/core/commands.js';
import type { ChannelId, Digest, EpochId, Ulid, UserId } from '../../src/core/ids.js';

const hex = (digits: string) => digits.repeat(32);
const user = hex('a1') as UserId;
const other = hex('b2') as UserId;
const channel = hex('c3') as ChannelId;
const digest = hex('d4') as Digest;
const epoch = hex('e5') as EpochId;
const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV' as Ulid;

const b = (bytes: number, value = 7) => new Uint8Array(bytes).fill(value);
const always = { timestamp: 1_700_000_000, nonce: b(8) };
const member = { ...always, id: channel, from: user };
const signed = { s: b(100), sig: b(64) };
const votes = [{ user, sig: b(64) }];
const point = { seq: 12, hash: digest };
const userInfo = { id: user, status: 'online', name: 'zoë' } as const;
const channelInfo = { id: channel, name: b(40), leader: user, status: 'healthy' } as const;
const entries = { headers: b(90), records: [b(200), b(201)], proofs: [b(66)] };
const request = { ...signed, electorate: [user, other], grants: votes };
const privateMessage = { ...always, from: user, to: other, msg_id: ulid, msg: b(30) };
const receipt = { ...always, from: user, to: other, msg_id: ulid, sig: b(64), have: digest };
const handshake = { ...always, from: user, to: other, data: b(16) };
const ack = { ...member, to: other, ...signed, re: true };
const commit = { ...member, to: other, cert: b(300) };
const confirm = { ...member, users: [user], epoch, seq: 5, message: digest };
const keys = { id: user, fixed: b(32), binding: b(64), fresh: b(32) };

export const EXAMPLES: { readonly [N in CommandName]: Payload<N> } = {
  INFO: always,
  SINFO: {
    ...always,
    ...keys,
    protocol_version: 0,
    server_name: 'relay',
    version: '1.0.0',
    timeout_s: 180,
    cnn_s: 10,
    payload_bytes_max: 65_536,
    tls: b(32),
  },
  CNN: { ...always, ...keys, protocol_version: 0, name: 'zoë', token: b(32) },
  CNN_OK: { ...always, broadcast: b(64), number: 1 },
  KALIVE: always,
  DCNN: always,
  ERR: {
    ...always,
    code: 'bad_payload',
    about: 'CH_MSG',
    message: 'no',
    id: channel,
    limit: 'frames_per_s',
  },
  RATE: { ...always, retry_ms: 500, about: 'CH_MSG', limit: 'frames_per_s' },
  LST_USR: always,
  USR_LST: { ...always, users: [userInfo] },
  UCNN: { ...always, id: user, name: 'zoë' },
  UDCNN: { ...always, id: user, name: 'zoë' },
  USR_ADD: { ...always, ...userInfo },
  USR_RMD: { ...always, id: user },
  CNN_USR: handshake,
  USR_HSK: handshake,
  PV_MSG: privateMessage,
  MSG: privateMessage,
  ACK_MSG: receipt,
  MSG_ACK: receipt,
  BEACON: { ...always, from: user, ...signed },
  CH_LST: always,
  LST_CH: { ...always, channels: [channelInfo] },
  CH_ROSTER: {
    ...always,
    id: channel,
    genesis: b(400),
    genesis_sig: b(64),
    number: 3,
    first: 1,
    steps: [b(500)],
    name: b(40),
  },
  CH_STATUS: {
    ...always,
    id: channel,
    name: b(40),
    leader: user,
    roster: 3,
    online: [user, other],
  },
  CH_UJOIN: { ...always, channel, user },
  CH_ULEAVE: { ...always, channel, user },
  CH_JOIN: { ...member, request: b(300), invite_sig: b(64), sig: b(64) },
  CH_REFUSE: { ...member, to: other, code: 'removed', message: 'no' },
  CH_MSG: {
    ...member,
    to: other,
    batch: { author: user, roster: 2, roster_hash: digest, sig: b(64), records: [b(200)] },
    each: { records: [b(200)], proofs: [b(66)] },
  },
  CH_PROPOSE: { ...member, to: other, ...signed, headers: b(90) },
  ACK_CH_MSG: ack,
  CH_MSG_ACK: ack,
  CH_COMMIT: commit,
  CH_MSG_COMMIT: commit,
  CH_PREVOTE: { ...member, ...signed },
  CH_GRANT: {
    ...member,
    to: other,
    round: ulid,
    sig: b(64),
    refused: 'leader',
    kind: 'online',
    term: 4,
    roster: 2,
  },
  CH_LEAD: { ...member, election: 4, user, request },
  CH_VOTE: { ...member, election: 4, user, request, to: other, ballot: signed },
  CH_ELECTED: {
    ...member,
    to: other,
    election: 4,
    leader: user,
    kind: 'roster',
    ...signed,
    electorate: [user, other],
    ballots: votes,
  },
  CH_PULL: {
    ...member,
    to: other,
    anchor: [point],
    want: [digest],
    challenge: ulid,
    recall: ulid,
    tail: true,
    set: [{ epoch, seq: 9 }],
    take: { epoch, seq: 3 },
  },
  CH_APPEND: {
    ...member,
    to: other,
    anchor: point,
    ...entries,
    report: signed,
    cert: b(300),
    propose: signed,
    proof: b(400),
    final: 9,
    genesis: { bytes: b(400), sig: b(64) },
  },
  CH_MERGE: {
    ...member,
    to: other,
    epoch,
    proof: b(400),
    anchor: point,
    ...entries,
    cert: b(300),
    tip: 9,
  },
  CH_RECALL: { ...member, ...signed },
  CH_REPORT: { ...member, to: other, ...signed },
  CH_PROOF: { ...member, to: other, conviction: b(300) },
  CH_ACK_REQ: confirm,
  CH_MSG_CONFIRM: confirm,
};

/** Fields that may be absent, by command; a path inside is `field.field`. */
export const OPTIONAL: { readonly [name: string]: readonly string[] } = {
  SINFO: ['tls'],
  CNN: ['token'],
  ERR: ['id', 'limit'],
  RATE: ['limit'],
  CNN_USR: ['data'],
  USR_HSK: ['data'],
  ACK_MSG: ['have'],
  MSG_ACK: ['have'],
  LST_CH: ['channels[0].leader'],
  CH_STATUS: ['leader'],
  CH_MSG: ['to', 'batch', 'each'],
  CH_PROPOSE: ['to'],
  CH_PROOF: ['to'],
  ACK_CH_MSG: ['to', 're'],
  CH_MSG_ACK: ['to', 're'],
  CH_COMMIT: ['to'],
  CH_MSG_COMMIT: ['to'],
  CH_GRANT: ['sig', 'refused'],
  CH_VOTE: ['request', 'to', 'ballot'],
  CH_ELECTED: ['to'],
  CH_PULL: ['challenge', 'recall', 'tail', 'set', 'take'],
  CH_APPEND: ['report', 'cert', 'propose', 'proof', 'genesis'],
  CH_MERGE: ['to'],
};
