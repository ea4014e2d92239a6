/**
 * Writes test/vectors/{records,statements,chain,genesis,ballots,certificates}.json:
 * everything that is hashed or signed. It is deterministic, and a unit test
 * compares the files with what it makes. Run `npx tsx
 * scripts/make-core-vectors.ts`, then `npx biome check --write test/vectors`.
 *
 * It takes nothing from src/core: the encodings are those of core-encoding.ts,
 * made a second time, so that the vectors can judge the core.
 */

import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { ballotVectors, certificateVectors } from './core-channel-vectors.js';
import {
  actor,
  bytes,
  chainNext,
  chainStart,
  channelId,
  electorateDigest,
  encode,
  epochId,
  type Fields,
  genesis,
  type Hex,
  list,
  merklePath,
  merkleRoot,
  nameCommitment,
  proof,
  record,
  recordDigest,
  rosterNext,
  rosterStart,
  sha256,
  signed,
  statement,
  text,
  u8,
  u32,
  u64,
  utf8,
} from './core-encoding.js';

const alice = actor('alice', 1);
const bob = actor('bob', 2);
const carol = actor('carol', 3);
const keys = [alice, bob, carol];

/** Some 32 bytes, named by what they stand for. */
const id = (what: string): Hex => sha256(utf8(what));
const repeat = (byte: number, count: number): Hex => u8(byte).repeat(count);

const CHANNEL = id('channel');
const OTHER_CHANNEL = id('other channel');
const ulidOf = (number: number): string => `01HF${String(number).padStart(22, '0')}`;
const BOOT = ulidOf(100);
const ROUND = ulidOf(200);
const ZERO_ULID = '0'.repeat(26);
const LARGEST_ULID = `7${'Z'.repeat(25)}`;
const LARGEST = Number.MAX_SAFE_INTEGER;
const TIME = 1_700_000_000_000;
const context = { channel: CHANNEL, roster: 7, rosterHash: id('roster 7') };

const ENCODING = [
  "All byte strings and 32-byte ids are lowercase hex; ULIDs are texts of 26 digits of Crockford's base 32",
  '(16 bytes when encoded). u8, u16, u32 and u64 are unsigned and big-endian, u64 at most 2^53-1;',
  '`text` and `bytes` stand behind a u32 length, a text is UTF-8; `list` stands behind a u16 count;',
  'all else has a fixed width and no length. H is SHA-256. Signatures are Ed25519 (RFC 8032).',
  'The file is made by scripts/make-core-vectors.ts.',
].join(' ');

// Records and batches

const plainRecord: Fields = {
  channel: CHANNEL,
  author: alice.user,
  boot: BOOT,
  n: 1,
  prev: CHANNEL,
  kind: 'message',
  id: ulidOf(1),
  time: TIME,
  keyEpoch: 0,
  body: utf8('hello'),
};

function recordCases() {
  const cases: [string, Fields][] = [
    ['a message', {}],
    ['an empty body', { body: '' }],
    ['a body that is no text', { body: 'ff00fe' }],
    ['every integer at its largest', { n: LARGEST, time: LARGEST, keyEpoch: 0xffff_ffff }],
    ['integers above 2^32', { n: 2 ** 32, time: 2 ** 40 + 1 }],
    ['the smallest and the largest ULID', { boot: ZERO_ULID, id: LARGEST_ULID }],
    ['a kind of one character', { kind: 'x' }],
    ['a kind of 32 characters', { kind: `a${'-0'.repeat(15)}z` }],
  ];
  return cases.map(([what, change]) => {
    const fields = { ...plainRecord, ...change };
    return { what, fields, bytes: record(fields), digest: recordDigest(record(fields)) };
  });
}

function refusedRecords() {
  const good = record(plainRecord);
  const kind = text('message');
  const withKind = (kind: Hex) => good.replace(text('message'), kind);
  return [
    { what: 'no bytes at all', bytes: '' },
    { what: 'the last byte missing', bytes: good.slice(0, -2) },
    { what: 'a byte after its end', bytes: `${good}00` },
    { what: 'another version', bytes: `01${good.slice(2)}` },
    { what: 'n over 2^53-1', bytes: good.replace(u64(1), '0020000000000000') },
    { what: 'a kind of 33 characters', bytes: withKind(text('a'.repeat(33))) },
    { what: 'an empty kind', bytes: withKind(text('')) },
    { what: 'a kind with a capital letter', bytes: withKind(text('Message')) },
    { what: 'a kind that starts with a digit', bytes: withKind(text('1st')) },
    { what: 'a kind with a line feed at its end', bytes: withKind(text('message\n')) },
    { what: 'a kind behind a byte order mark', bytes: withKind(text('\ufeffmessage')) },
    { what: 'a kind that is not UTF-8', bytes: withKind(bytes('ff')) },
    { what: 'a kind whose length is over the record', bytes: withKind(u32(0xffff_ffff) + kind) },
    { what: 'a body of 65,537 bytes, cut off', bytes: good.slice(0, -18) + u32(65_537) },
  ];
}

/** Records of one batch: alice's, one after the other. */
function chainOfRecords(count: number): Hex[] {
  const records: Hex[] = [];
  let prev: Hex = CHANNEL;
  for (let n = 1; n <= count; n++) {
    const fields = { ...plainRecord, n, prev, id: ulidOf(n), body: utf8(`no. ${n}`) };
    records.push(record(fields));
    prev = recordDigest(records.at(-1)!);
  }
  return records;
}

function batchCase(count: number, proven: readonly number[]) {
  const records = chainOfRecords(count);
  const digests = records.map(recordDigest);
  const root = merkleRoot(digests);
  const bytes = statement('records', { ...context, root, count });
  const sig = signed(alice, bytes);
  return {
    what: count === 1 ? 'one record' : `${count} records`,
    author: alice.user,
    ...context,
    digests,
    root,
    statement: bytes,
    sig,
    proven: proven.map((index) => {
      const path = merklePath(digests, index);
      const encoded = proof({ ...context, count, index, path, sig });
      return { index, record: records[index]!, path, proof: encoded };
    }),
  };
}

function refusedProofs() {
  const five = batchCase(5, [0, 1, 4]);
  const [first, second, last] = five.proven as [
    (typeof five.proven)[0],
    (typeof five.proven)[0],
    (typeof five.proven)[0],
  ];
  const fields = { ...context, count: 5, index: 0, path: first.path, sig: five.sig };
  const made = (what: string, breaks: string, change: Fields, of = first.record) => ({
    what,
    breaks,
    record: of,
    proof: proof({ ...fields, ...change }),
  });
  return [
    made('the proof of another record', 'signature', {}, second.record),
    made('a place that is not its own', 'signature', { index: 1 }),
    made('the path of the last record', 'path', { path: last.path }),
    made('a path with one hash too many', 'path', { path: [...first.path, first.path[0]] }),
    made('a path upside down', 'signature', { path: [...first.path].reverse() }),
    made('a larger batch', 'signature', { count: 6 }),
    made('another roster number', 'signature', { roster: 8 }),
    made('another roster hash', 'signature', { rosterHash: id('roster 8') }),
    made('a batch of none', 'encoding', { count: 0 }),
    made('a batch of 257', 'encoding', { count: 257 }),
    made('a place after the last', 'encoding', { index: 5 }),
    made('a path of 17 hashes', 'encoding', { path: Array(17).fill(first.path[0]) }),
    made("another author's signature", 'signature', { sig: signed(bob, five.statement) }),
    made('a signature of the root alone', 'signature', { sig: signed(alice, five.root) }),
    {
      what: 'a byte after its end',
      breaks: 'encoding',
      record: first.record,
      proof: `${first.proof}00`,
    },
  ];
}

export const recordVectors = () => ({
  description: [
    'Records, batches and proofs (docs/PROTOCOL.md, sections "Records" and "Batches").',
    'An implementation passes when it encodes `fields` of each of `records` as `bytes` with digest',
    '`digest` = H("conclave/record", without a length, then bytes), decodes `bytes` into `fields`,',
    'and refuses each of `refused_records`. For each of `batches`: `root` is the Merkle root of',
    '`digests` (RFC 6962, section 2.1, digests as leaves), `statement` is what the author signs,',
    '`sig` its signature, and each of `proven` shows that `record` stands at `index`: `path` are the',
    'hashes beside the way up, `proof` is encoded. Each of `refused_proofs` breaks one rule:',
    '`encoding` (it is not a proof), `path` (its length is not that of the place in a tree of this',
    'size), `signature` (the signature is not of the statement that record and proof lead to).',
    ENCODING,
  ].join(' '),
  keys,
  records: recordCases(),
  refused_records: refusedRecords(),
  batches: [
    batchCase(1, [0]),
    batchCase(2, [0, 1]),
    batchCase(3, [0, 1, 2]),
    batchCase(5, [0, 1, 2, 3, 4]),
    batchCase(256, [0, 1, 127, 128, 255]),
  ],
  refused_proofs: refusedProofs(),
});

// Statements

const candidacy = {
  kind: 'roster',
  candidate: alice.user,
  round: ROUND,
  term: 9,
  lastTerm: 8,
  lastSeq: 4_321,
};
const point = { seq: 4_322, hash: id('chain 4322') };
const leadership = { epoch: id('epoch'), term: 9 };
const heard = [
  { user: bob.user, boot: BOOT, counter: 17 },
  { user: carol.user, boot: LARGEST_ULID, counter: LARGEST },
];
const proposal: Fields = {
  ...context,
  ...leadership,
  beat: 12,
  baseSeq: 4_320,
  baseHash: id('chain 4320'),
  tipSeq: 4_322,
  tipHash: id('chain 4322'),
  finalSeq: 4_319,
  quiet: false,
};

const STATEMENTS: readonly [string, string, Fields][] = [
  [
    'a beacon of who heard nobody',
    'beacon',
    { user: alice.user, boot: BOOT, counter: 1, heard: [] },
  ],
  ['a beacon that names two', 'beacon', { user: alice.user, boot: BOOT, counter: 2 ** 32, heard }],
  ['a pre-vote', 'prevote', { ...context, ...candidacy }],
  ['a pre-vote for an online epoch', 'prevote', { ...context, ...candidacy, kind: 'online' }],
  ['a grant', 'grant', { ...context, ...candidacy }],
  ['a candidacy', 'lead', { ...context, ...candidacy, electorate: id('electorate') }],
  [
    'a ballot',
    'ballot',
    { ...context, kind: 'roster', candidate: bob.user, term: 9, electorate: id('electorate') },
  ],
  [
    'a ballot for an online epoch',
    'ballot',
    { ...context, kind: 'online', candidate: bob.user, term: 9, electorate: id('electorate') },
  ],
  ['a beat that nobody asked for', 'beat', { ...context, ...leadership, beat: 1, echo: ZERO_ULID }],
  ['a beat that answers a challenge', 'beat', { ...context, ...leadership, beat: 2, echo: ROUND }],
  ['a proposal', 'propose', proposal],
  ['the last proposal before silence', 'propose', { ...proposal, quiet: true }],
  ['an acknowledgement', 'ack', { ...context, ...leadership, ...point }],
  [
    'an acknowledgement with the largest numbers',
    'ack',
    { ...context, ...leadership, roster: LARGEST, term: LARGEST, seq: LARGEST, hash: point.hash },
  ],
  [
    'a request to join',
    'join',
    { ...context, user: alice.user, name: 'Ünïcödé 😀', invite: carol.user, ...point },
  ],
  [
    'a request to join with a name of 64 bytes',
    'join',
    { ...context, user: alice.user, name: 'é'.repeat(32), invite: carol.user, ...point },
  ],
  [
    'a request to join whose name starts with a byte order mark',
    'join',
    { ...context, user: alice.user, name: '\ufeffalice', invite: carol.user, ...point },
  ],
];

function refusedStatements() {
  const ack = statement('ack', { ...context, ...leadership, ...point });
  const tag = (name: string) => text(`conclave/${name}`);
  const join = { ...context, user: alice.user, invite: carol.user, ...point };
  const beacon =
    text('conclave/beacon') + u8(0) + encode('user raw, boot ulid, counter u64', heard[0]!);
  const named = encode('user raw, boot ulid, counter u64', heard[1]!);
  return [
    { what: 'no bytes at all', bytes: '' },
    { what: 'a tag alone', bytes: tag('ack') },
    { what: 'the last byte missing', bytes: ack.slice(0, -2) },
    { what: 'a byte after its end', bytes: `${ack}00` },
    { what: 'another version', bytes: ack.replace(`${tag('ack')}00`, `${tag('ack')}01`) },
    { what: 'an unknown tag', bytes: ack.replace(tag('ack'), tag('nack')) },
    { what: 'a tag of another protocol', bytes: ack.replace(tag('ack'), text('conclude/ack')) },
    {
      what: 'a tag behind a byte order mark',
      bytes: ack.replace(tag('ack'), text('\ufeffconclave/ack')),
    },
    {
      what: 'the statement over a batch, which never travels',
      bytes: statement('records', { ...context, root: id('root'), count: 1 }),
    },
    { what: 'a seq over 2^53-1', bytes: ack.replace(u64(point.seq), '0020000000000000') },
    {
      what: 'a third kind of epoch',
      bytes: statement('prevote', { ...context, ...candidacy }).replace(
        `00${alice.user}`,
        `02${alice.user}`,
      ),
    },
    { what: 'a flag that is 2', bytes: `${statement('propose', proposal).slice(0, -2)}02` },
    { what: 'a name of 65 bytes', bytes: statement('join', { ...join, name: 'x'.repeat(65) }) },
    {
      what: 'a name that is not UTF-8',
      bytes: statement('join', { ...join, name: 'xy' }).replace(text('xy'), bytes('c328')),
    },
    { what: 'a beacon that names one more than it holds', bytes: `${beacon}0002${named}` },
  ];
}

export const statementVectors = () => ({
  description: [
    'Signed statements (docs/PROTOCOL.md, section "Signed statements"). An implementation passes',
    'when it encodes tag and `fields` of each of `statements` as `bytes`, decodes `bytes` into them,',
    'finds `sig` to be the signature of `by` on `bytes`, and refuses each of `refused`.',
    ENCODING,
  ].join(' '),
  keys,
  statements: STATEMENTS.map(([what, tag, fields]) => {
    const bytes = statement(tag, fields);
    return { what, tag, fields, bytes, by: alice.user, sig: signed(alice, bytes) };
  }),
  refused: refusedStatements(),
});

// Chain, epochs, rosters

const header = (n: number, change: Fields = {}): Fields => ({
  epoch: id('epoch'),
  term: 3,
  roster: 7,
  digest: id(`record ${n}`),
  ...change,
});

function chainCase(what: string, channel: Hex, headers: readonly Fields[]) {
  const start = chainStart(channel);
  let hash = start;
  const entries = headers.map((h, i) => {
    hash = chainNext(hash, i + 1, h);
    return { seq: i + 1, header: h, hash };
  });
  return { what, channel, start, entries };
}

function epochCases() {
  const electorate = [alice.user, bob.user, carol.user].sort();
  const plain = { ...context, kind: 'roster', term: 9, leader: alice.user, electorate };
  const cases: [string, typeof plain][] = [
    ['a roster epoch', plain],
    ['an online epoch', { ...plain, kind: 'online' }],
    ['another term', { ...plain, term: 10 }],
    ['another leader', { ...plain, leader: bob.user }],
    ['another electorate', { ...plain, electorate: electorate.slice(0, 2) }],
    ['another channel', { ...plain, channel: OTHER_CHANNEL }],
    ['another roster number', { ...plain, roster: 8 }],
    ['another roster hash', { ...plain, rosterHash: id('roster 8') }],
  ];
  return cases.map(([what, fields]) => ({
    what,
    fields,
    electorate_digest: electorateDigest(fields.electorate),
    id: epochId(fields),
  }));
}

function rosterCase(channel: Hex, count: number) {
  const start = rosterStart(channel);
  let hash = start;
  const steps = Array.from({ length: count }, (_, i) => {
    const digest = id(`membership record ${i + 1}`);
    hash = rosterNext(hash, i + 1, digest);
    return { number: i + 1, digest, hash };
  });
  return { channel, start, steps };
}

export const chainVectors = () => ({
  description: [
    'The hash chain of a log, epochs and rosters (docs/PROTOCOL.md, sections "Chain", "Epochs" and',
    '"Roster"). An implementation passes when for each of `chains` it gets `start`, the hash at seq 0,',
    'from `channel`, and the `hash` of each entry from the one before it, `seq` and `header`; for',
    'each of `electorates` the `digest`, whatever the order; for each of `epochs` the `id`; and for',
    'each of `rosters` the hash of roster 0 and, one after the other, those that membership records',
    'with digest `digest` lead to.',
    ENCODING,
  ].join(' '),
  chains: [
    chainCase('no entry', CHANNEL, []),
    chainCase('three entries of one epoch', CHANNEL, [header(1), header(2), header(3)]),
    chainCase('the same in another channel', OTHER_CHANNEL, [header(1), header(2)]),
    chainCase('entries of several epochs, terms and rosters', CHANNEL, [
      header(1, { term: 1, roster: 0, epoch: id('epoch 1') }),
      header(2, { term: 2 ** 32, roster: 1, epoch: id('epoch 2') }),
      header(3, { term: LARGEST, roster: LARGEST, epoch: repeat(0xff, 32) }),
    ]),
  ],
  electorates: [
    { what: 'one member', electorate: [alice.user], digest: electorateDigest([alice.user]) },
    {
      what: 'three members, not in order',
      electorate: [carol.user, alice.user, bob.user],
      digest: electorateDigest([alice.user, bob.user, carol.user]),
    },
  ],
  epochs: epochCases(),
  rosters: [rosterCase(CHANNEL, 3), rosterCase(OTHER_CHANNEL, 1)],
});

// Genesis

const SALT = repeat(0x5a, 16);
const RELAY = `conclave://${repeat(0xab, 32)}@127.0.0.1:4400`;
const plainGenesis: Fields = {
  founder: alice.user,
  founderName: 'alice',
  nameCommitment: nameCommitment(SALT, 'team'),
  salt: SALT,
  time: TIME,
  minOnline: 3,
  quorum: 'online',
  relays: [RELAY],
};

function genesisCases() {
  const cases: [string, Fields][] = [
    ['one relay', {}],
    ['two relays', { relays: [RELAY, 'conclave://relay.example:4400'] }],
    ['policy quorum: roster', { quorum: 'roster' }],
    ['the smallest minOnline', { minOnline: 1 }],
    ['the largest minOnline', { minOnline: 128 }],
    ['a nickname of 64 bytes', { founderName: '😀'.repeat(16) }],
    ['eight relays of 512 bytes', { relays: Array(8).fill(RELAY.padEnd(512, 'x')) }],
  ];
  return cases.map(([what, change]) => {
    const fields = { ...plainGenesis, ...change };
    const bytes = genesis(fields);
    return { what, fields, bytes, sig: signed(alice, bytes), channel: channelId(bytes) };
  });
}

const NAMES = [
  [SALT, 'team'],
  [repeat(0, 16), 'team'],
  [SALT, ''],
  [SALT, 'été 😀'],
] as const;

function refusedGeneses() {
  const good = genesis(plainGenesis);
  const made = (what: string, change: Fields) => ({
    what,
    bytes: genesis({ ...plainGenesis, ...change }),
  });
  return [
    { what: 'no bytes at all', bytes: '' },
    { what: 'the last byte missing', bytes: good.slice(0, -2) },
    { what: 'a byte after its end', bytes: `${good}00` },
    {
      what: 'another tag',
      bytes: good.replace(text('conclave/genesis'), text('conclave/channel')),
    },
    {
      what: 'another version',
      bytes: good.replace(`${text('conclave/genesis')}00`, `${text('conclave/genesis')}01`),
    },
    made('minOnline 0', { minOnline: 0 }),
    made('minOnline 129', { minOnline: 129 }),
    {
      what: 'a third policy',
      bytes: good.replace(`0300${list([RELAY], text)}`, `0302${list([RELAY], text)}`),
    },
    made('a nickname of 65 bytes', { founderName: 'x'.repeat(65) }),
    made('nine relays', { relays: Array(9).fill(RELAY) }),
    made('a relay address of 513 bytes', { relays: [RELAY.padEnd(513, 'x')] }),
  ];
}

export const genesisVectors = () => ({
  description: [
    'Genesis and channel id (docs/PROTOCOL.md, section "Genesis"). An implementation passes when it',
    'encodes `fields` of each of `geneses` as `bytes` and decodes `bytes` into them, finds `sig` to be',
    'the founder\'s signature on `bytes` and `channel` their id, H(text "conclave/channel", bytes);',
    'gets `commitment` = H(text "conclave/name", salt, text name) for each of `names`; and refuses',
    'each of `refused`. A policy `online` is 0, `roster` is 1.',
    ENCODING,
  ].join(' '),
  keys: [alice],
  geneses: genesisCases(),
  names: NAMES.map(([salt, name]) => ({ salt, name, commitment: nameCommitment(salt, name) })),
  refused: refusedGeneses(),
});

export const coreVectors = () => ({
  records: recordVectors(),
  statements: statementVectors(),
  chain: chainVectors(),
  genesis: genesisVectors(),
  ballots: ballotVectors(ENCODING),
  certificates: certificateVectors(ENCODING),
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, vectors] of Object.entries(coreVectors())) {
    const file = new URL(`../test/vectors/${name}.json`, import.meta.url);
    writeFileSync(file, `${JSON.stringify(vectors, null, 2)}\n`);
  }
}
