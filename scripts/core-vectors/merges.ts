/** test/vectors/merges.json: bodies of `merge` records. */

import { alice, bob, ENCODING, id, LARGEST } from './common.js';
import { type Fields, type Hex, list, mergeBody, u16 } from './encoding.js';

const branch = (name: string, change: Fields = {}): Fields => ({
  epoch: id(name),
  kind: 'online',
  term: 12,
  leader: alice.user,
  entries: 3,
  warrant: '',
  ...change,
});

const BODIES: readonly [string, Fields][] = [
  ['of one branch', { entries: 3, branches: [branch('one')] }],
  [
    'of two online epochs and a former tail',
    {
      entries: 256,
      branches: [
        branch('one', { entries: 200 }),
        branch('two', { leader: bob.user, term: LARGEST, entries: 55, warrant: 'c0ffee' }),
        branch('tail', { kind: 'roster', term: 9, entries: 1 }),
      ],
    },
  ],
  ['of one record', { entries: 1, branches: [branch('one', { entries: 1 })] }],
];

function refused(): { what: string; bytes: Hex }[] {
  const bytes = mergeBody(BODIES[0]![1]);
  const one = bytes.slice(8);
  const warranted = (length: number) =>
    mergeBody({ entries: 3, branches: [branch('one', { warrant: '00'.repeat(length) })] });
  return [
    { what: 'no bytes at all', bytes: '' },
    { what: 'the last byte missing', bytes: bytes.slice(0, -2) },
    { what: 'a byte after its end', bytes: `${bytes}00` },
    { what: 'of no records', bytes: mergeBody({ entries: 0, branches: [] }) },
    { what: 'of more records than 256', bytes: mergeBody({ entries: 257, branches: [] }) },
    {
      what: 'a third kind of epoch',
      bytes: bytes.replace(`01${'0'.repeat(15)}c`, `02${'0'.repeat(15)}c`),
    },
    { what: 'a warrant of more than 45,056 bytes', bytes: warranted(45_057) },
    { what: 'of more branches than 256', bytes: u16(3) + list(Array(257).fill(one), (b) => b) },
  ];
}

export const mergeVectors = () => ({
  description: [
    'Bodies of `merge` records (docs/PROTOCOL.md, section "Merge records"). An implementation passes',
    'when it encodes `fields` of each of `bodies` as `bytes`, decodes `bytes` into them, and refuses',
    'each of `refused`.',
    ENCODING,
  ].join(' '),
  bodies: BODIES.map(([what, fields]) => ({ what, fields, bytes: mergeBody(fields) })),
  refused: refused(),
});
