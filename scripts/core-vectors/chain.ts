/** test/vectors/chain.json: the hash chain, electorates, epochs, roster hashes. */

import {
  alice,
  bob,
  CHANNEL,
  carol,
  context,
  ENCODING,
  id,
  LARGEST,
  OTHER_CHANNEL,
  repeat,
} from './common.js';
import {
  branchStart,
  chainNext,
  chainStart,
  electorateDigest,
  epochId,
  type Fields,
  type Hex,
  rosterNext,
  rosterStart,
} from './encoding.js';

const header = (n: number, change: Fields = {}): Fields => ({
  epoch: id('epoch'),
  term: 3,
  roster: 7,
  digest: id(`record ${n}`),
  ...change,
});

function entriesFrom(start: Hex, headers: readonly Fields[]) {
  let hash = start;
  return headers.map((h, i) => {
    hash = chainNext(hash, i + 1, h);
    return { seq: i + 1, header: h, hash };
  });
}

function chainCase(what: string, channel: Hex, headers: readonly Fields[]) {
  const start = chainStart(channel);
  return { what, channel, start, entries: entriesFrom(start, headers) };
}

/** The chain of an online epoch. */
function branchCase(what: string, epoch: Hex, headers: readonly Fields[]) {
  const start = branchStart(epoch);
  return { what, epoch, start, entries: entriesFrom(start, headers) };
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
    'from `channel`, and the `hash` of each entry from the one before it, `seq` and `header`; the same',
    'for each of `branches`, the chains of online epochs, which start from `epoch`; for each of',
    '`electorates` the `digest`, whatever the order; for each of `epochs` the `id`; and for',
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
  branches: [
    branchCase('an online epoch that placed nothing', id('epoch'), []),
    branchCase('two entries of an online epoch', id('epoch'), [header(1), header(2)]),
    branchCase('the same records in another online epoch', id('another epoch'), [
      header(1, { epoch: id('another epoch') }),
      header(2, { epoch: id('another epoch') }),
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
