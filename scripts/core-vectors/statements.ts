/** test/vectors/statements.json: every kind of signed statement. */

import {
  alice,
  bob,
  carol,
  context,
  ENCODING,
  id,
  KEYS,
  LARGEST,
  LARGEST_ULID,
  leadership,
  ulidOf,
  ZERO_ULID,
} from './common.js';
import { bytes, encode, type Fields, signed, statement, text, u8, u64 } from './encoding.js';

const BOOT = ulidOf(100);
const ROUND = ulidOf(200);

const candidacy = {
  kind: 'roster',
  candidate: alice.user,
  round: ROUND,
  term: 9,
  lastTerm: 8,
  lastSeq: 4_321,
};
const point = { seq: 4_322, hash: id('chain 4322') };
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
  kind: 'roster',
};

const STATEMENTS: readonly [string, string, Fields][] = [
  [
    'a beacon of who heard nobody',
    'beacon',
    { user: alice.user, boot: BOOT, counter: 1, batches: 0, before: [], heard: [] },
  ],
  [
    'a beacon that names two, and two boots before its own',
    'beacon',
    {
      ...{ user: alice.user, boot: LARGEST_ULID, counter: 2 ** 32, batches: LARGEST, heard },
      before: [
        { boot: BOOT, batches: 12 },
        { boot: ROUND, batches: 1 },
      ],
    },
  ],
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
  ['an acknowledgement', 'ack', { ...context, kind: 'roster', ...leadership, ...point }],
  [
    'an acknowledgement in an online epoch',
    'ack',
    { ...context, kind: 'online', ...leadership, ...point },
  ],
  [
    'an acknowledgement with the largest numbers',
    'ack',
    {
      ...context,
      kind: 'online',
      ...leadership,
      roster: LARGEST,
      term: LARGEST,
      seq: LARGEST,
      hash: point.hash,
    },
  ],
  [
    'a question of who lost memory',
    'recall',
    { ...context, round: ROUND, term: 9, onlineTerm: 12 },
  ],
  [
    'a report to who lost memory',
    'report',
    {
      ...context,
      round: ROUND,
      term: 9,
      promised: 11,
      onlineTerm: 0,
      onlinePromised: 2,
      lastTerm: 8,
      lastSeq: 4_321,
      lastHash: id('chain 4321'),
    },
  ],
  [
    'a request to join',
    'join',
    {
      ...context,
      user: alice.user,
      name: 'Ünïcödé 😀',
      sealing: id('key'),
      invite: carol.user,
      ...point,
    },
  ],
  [
    'a request to join with a name of 64 bytes',
    'join',
    {
      ...context,
      user: alice.user,
      name: 'é'.repeat(32),
      sealing: id('key'),
      invite: carol.user,
      ...point,
    },
  ],
  [
    'a request to join whose name starts with a byte order mark',
    'join',
    {
      ...context,
      user: alice.user,
      name: '\ufeffalice',
      sealing: id('key'),
      invite: carol.user,
      ...point,
    },
  ],
  [
    'a request to join of one that stores and never reads',
    'join',
    {
      ...context,
      user: alice.user,
      name: 'archive',
      sealing: null,
      invite: carol.user,
      ...point,
    },
  ],
  [
    'a request of a new key for the place of an old one',
    'replace',
    {
      ...context,
      ...{ old: bob.user, user: alice.user, name: 'alice', sealing: id('key') },
      ...{ recovery: id('next recovery'), by: carol.user },
    },
  ],
  [
    'the same without recovery keys, of one that never reads',
    'replace',
    {
      ...context,
      ...{ old: bob.user, user: alice.user, name: '', sealing: null, recovery: null, by: null },
    },
  ],
  ['a first recovery key', 'recovery', { ...context, user: bob.user, key: alice.user, by: null }],
  [
    'another recovery key',
    'recovery',
    { ...context, user: bob.user, key: carol.user, by: alice.user },
  ],
];

function refusedStatements() {
  const ack = statement('ack', { ...context, kind: 'roster', ...leadership, ...point });
  const tag = (name: string) => text(`conclave/${name}`);
  const none = { recovery: null, by: null };
  const join = { ...context, user: alice.user, sealing: id('key'), invite: carol.user, ...point };
  const beacon =
    text('conclave/beacon') +
    u8(0) +
    encode('user raw, boot ulid, counter u64, batches u64, before boots', {
      ...heard[0]!,
      batches: 1,
      before: [],
    });
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
    {
      what: 'a request to replace with a name of 65 bytes',
      bytes: statement('replace', { ...join, ...none, old: bob.user, name: 'x'.repeat(65) }),
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
  keys: KEYS.slice(0, 3),
  statements: STATEMENTS.map(([what, tag, fields]) => {
    const bytes = statement(tag, fields);
    return { what, tag, fields, bytes, by: alice.user, sig: signed(alice, bytes) };
  }),
  refused: refusedStatements(),
});
