/** test/vectors/genesis.json: geneses, channel ids, commitments to names. */

import { alice, ENCODING, RELAY, relayOf, repeat, SALT, sealingOf, TIME } from './common.js';
import { channelId, type Fields, genesis, list, nameCommitment, signed, text } from './encoding.js';

const plainGenesis: Fields = {
  founder: alice.user,
  founderName: 'alice',
  founderSealing: sealingOf(alice),
  nameCommitment: nameCommitment(SALT, 'team'),
  salt: SALT,
  time: TIME,
  minOnline: 3,
  few: 'archive',
  quorum: 'online',
  history: 'all',
  relays: [RELAY],
};

const eight = (length: number) => [1, 2, 3, 4, 5, 6, 7, 8].map((n) => relayOf(n, length));

function genesisCases() {
  const cases: [string, Fields][] = [
    ['one relay', {}],
    ['two relays', { relays: [relayOf(2), RELAY] }],
    ['policy quorum: roster', { quorum: 'roster' }],
    ['policy history: joined', { history: 'joined' }],
    ['the smallest minOnline with an archive', { minOnline: 2 }],
    ['the smallest minOnline', { minOnline: 1, few: 'always' }],
    ['the largest minOnline', { minOnline: 128 }],
    ['a nickname of 64 bytes', { founderName: '😀'.repeat(16) }],
    ['eight relays of 512 bytes', { relays: eight(512) }],
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
    made('minOnline 0', { minOnline: 0, few: 'always' }),
    made('minOnline 1 with an archive', { minOnline: 1 }),
    made('a founder that holds no keys', { founderSealing: null }),
    made('minOnline 129', { minOnline: 129 }),
    {
      what: 'a third policy of few',
      bytes: good.replace(`03000000${list([RELAY], text)}`, `03020000${list([RELAY], text)}`),
    },
    {
      what: 'a third policy of quorums',
      bytes: good.replace(`03000000${list([RELAY], text)}`, `03000200${list([RELAY], text)}`),
    },
    {
      what: 'a third policy of history',
      bytes: good.replace(`03000000${list([RELAY], text)}`, `03000002${list([RELAY], text)}`),
    },
    made('a nickname of 65 bytes', { founderName: 'x'.repeat(65) }),
    made('no relay', { relays: [] }),
    made('nine relays', { relays: [...eight(0), relayOf(9)] }),
    made('a relay twice', { relays: [RELAY, relayOf(1, 100)] }),
    made('a relay without its key', { relays: ['conclave://relay.example:4400'] }),
    made('no address of a relay', { relays: ['relay.example'] }),
    made('a relay address of 513 bytes', { relays: [relayOf(1, 513)] }),
  ];
}

export const genesisVectors = () => ({
  description: [
    'Genesis and channel id (docs/PROTOCOL.md, section "Genesis"). An implementation passes when it',
    'encodes `fields` of each of `geneses` as `bytes` and decodes `bytes` into them, finds `sig` to be',
    'the founder\'s signature on `bytes` and `channel` their id, H(text "conclave/channel", bytes);',
    'gets `commitment` = H(text "conclave/name", salt, text name) for each of `names`; and refuses',
    'each of `refused`. A policy `archive`, `online` or `all` is 0, `always`, `roster` or `joined` is 1; a founder has',
    'a sealing key; `relays` are 1 to 8',
    'addresses conclave://KEY@HOST:PORT, each with a key of its own.',
    ENCODING,
  ].join(' '),
  keys: [alice],
  geneses: genesisCases(),
  names: NAMES.map(([salt, name]) => ({ salt, name, commitment: nameCommitment(salt, name) })),
  refused: refusedGeneses(),
});
