/** test/vectors/records.json: records, batches under one signature, proofs. */

import {
  alice,
  bob,
  CHANNEL,
  context,
  ENCODING,
  id,
  KEYS,
  LARGEST,
  LARGEST_ULID,
  TIME,
  ulidOf,
  ZERO_ULID,
} from './common.js';
import {
  bytes,
  type Fields,
  type Hex,
  merklePath,
  merkleRoot,
  proof,
  record,
  recordDigest,
  signed,
  statement,
  text,
  u32,
  u64,
  utf8,
} from './encoding.js';

const BOOT = ulidOf(100);

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
  keys: KEYS.slice(0, 3),
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
