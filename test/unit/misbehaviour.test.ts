/**
 * Proofs of misbehaviour (docs/PROTOCOL.md, section "Misbehaviour"): which two
 * statements convict, and which don't; what a witness finds of what it is
 * shown, and what it forgets.
 */

import { describe, expect, it } from 'vitest';
import { Branch } from '../../src/core/branch.js';
import { chainOver, type Header, type Point, stretchOf } from '../../src/core/chain.js';
import { checkPortableProof, type Verifier } from '../../src/core/check-proof.js';
import { unhex } from '../../src/core/ids.js';
import {
  BALLOTS_WITNESSED_MAX,
  MISBEHAVIOUR_BYTES_MAX,
  RECORD_BODY_BYTES_MAX,
  RECORDS_WITNESSED_MAX,
  TAIL_ENTRIES_MAX,
} from '../../src/core/limits.js';
import { type Misbehaviour, OFFENCES, type PlaceSide } from '../../src/core/misbehaviour.js';
import { decodePortableProof, encodePortableProof } from '../../src/core/portable-proof.js';
import type { RecordFields } from '../../src/core/record.js';
import {
  type Ack,
  type Ballot,
  encodeStatement,
  type Propose,
  type Statement,
} from '../../src/core/statements.js';
import { Witness } from '../../src/core/witness.js';
import {
  CHANNEL,
  digestOf,
  epochOf,
  grown,
  hash,
  person,
  proofOf,
  recordBy,
  ulidOf,
} from './fixtures/channel.js';
import { nativeCrypto as crypto } from './fixtures/ports.js';

const ROSTER = grown(3);
const BOB = person(2);
const CAROL = person(3);
const context = { channel: CHANNEL, roster: ROSTER.number, rosterHash: ROSTER.hash };
const convicted = { channel: CHANNEL, offender: BOB.user };

const verifier: Verifier = {
  sha256: hash,
  isValid: ({ by, statement, sig }) => crypto.ed25519Verify(unhex(by), statement, sig),
};
const signed = (statement: Statement, by = BOB) => {
  const bytes = encodeStatement(statement);
  return { statement: bytes, sig: crypto.ed25519Sign(by.seed, bytes) };
};

// Records
const record = (text: string, change: Partial<RecordFields> = {}, by = BOB) =>
  recordBy(by, { boot: ulidOf(7), n: 5, body: Buffer.from(text), ...change });
const recordSide = (text: string, change: Partial<RecordFields> = {}, by = BOB) => {
  const made = record(text, change, by);
  return { record: made.bytes, proof: proofOf(by, made, ROSTER) };
};
const records = (...sides: [ReturnType<typeof recordSide>, ReturnType<typeof recordSide>]) =>
  ({ ...convicted, offence: 'records', sides }) as const;

// Ballots
const ballot = (change: Partial<Ballot> = {}): Ballot => ({
  tag: 'ballot',
  ...context,
  kind: 'roster',
  candidate: CAROL.user,
  term: 9,
  electorate: digestOf('electorate'),
  ...change,
});
const ballots = (one: Partial<Ballot>, other: Partial<Ballot>) =>
  ({
    ...convicted,
    offence: 'ballots',
    sides: [signed(ballot(one)), signed(ballot(other))],
  }) as const;

// Chains of one leadership
const EPOCH = epochOf('leadership');
const header = (what: string): Header => ({
  epoch: EPOCH,
  term: 9,
  roster: ROSTER.number,
  digest: digestOf(what),
});
const BASE: Point = { seq: 20, hash: digestOf('base') };
const chain = (...entries: string[]): Point => chainOver(hash, BASE, entries.map(header));
const ack = ({ seq, hash: at }: Point, change: Partial<Ack> = {}): Ack => ({
  tag: 'ack',
  ...context,
  kind: 'roster',
  epoch: EPOCH,
  term: 9,
  seq,
  hash: at,
  ...change,
});
const propose = (base: Point, tip: Point, change: Partial<Propose> = {}): Propose => ({
  tag: 'propose',
  ...context,
  kind: 'roster',
  epoch: EPOCH,
  term: 9,
  beat: 1,
  baseSeq: base.seq,
  baseHash: base.hash,
  tipSeq: tip.seq,
  tipHash: tip.hash,
  finalSeq: 3,
  quiet: false,
  ...change,
});
type Side = PlaceSide;
const places = (
  offence: 'proposals' | 'acknowledgements',
  seq: number,
  ...sides: [Side, Side]
): Misbehaviour => ({ ...convicted, offence, seq, sides });
const at = (point: Point, entries: readonly string[], said: Statement): Side => ({
  hash: point.hash,
  headers: entries.map(header),
  ...signed(said),
});

const CONVICTING: readonly (readonly [string, Misbehaviour])[] = [
  ['two records with one counter', records(recordSide('a'), recordSide('b'))],
  [
    'two records with one counter, of different kinds and predecessors',
    records(recordSide('a'), recordSide('a', { kind: 'note', prev: digestOf('else') })),
  ],
  ['ballots for two candidates', ballots({}, { candidate: BOB.user })],
  ['ballots for one candidate with two electorates', ballots({}, { electorate: digestOf('x') })],
  [
    'ballots under two rosters',
    ballots({}, { candidate: BOB.user, roster: 99, rosterHash: digestOf('later') }),
  ],
  [
    'acknowledgements of two entries at one place',
    places(
      'acknowledgements',
      21,
      at(chain('a'), [], ack(chain('a'))),
      at(chain('b'), [], ack(chain('b'))),
    ),
  ],
  [
    'acknowledgements of two chains, one further on',
    places(
      'acknowledgements',
      21,
      at(chain('a'), [], ack(chain('a'))),
      at(chain('b'), ['c', 'd'], ack(chain('b', 'c', 'd'))),
    ),
  ],
  [
    'proposals of two chains',
    places(
      'proposals',
      22,
      at(chain('a', 'b'), [], propose(BASE, chain('a', 'b'))),
      at(chain('a', 'x'), ['y'], propose(chain('a'), chain('a', 'x', 'y'))),
    ),
  ],
  [
    'a proposal behind a chain that was not proposed',
    places(
      'proposals',
      21,
      at(chain('a'), [], propose(BASE, chain('a'))),
      at(chain('b'), [], propose(chain('b'), chain('b', 'c'))),
    ),
  ],
];

const INNOCENT: readonly (readonly [string, Misbehaviour, RegExp])[] = [
  ['one record twice', records(recordSide('a'), recordSide('a')), /in order|one record twice/],
  [
    'records of two boots, as of a restored copy',
    records(recordSide('a'), recordSide('b', { boot: ulidOf(8) })),
    /different counters/,
  ],
  ['records with two counters', records(recordSide('a'), recordSide('b', { n: 6 })), /different/],
  [
    'what two leaderships of one member placed',
    records(recordSide('a', { boot: ulidOf(0), n: 0 }), recordSide('b', { boot: ulidOf(0), n: 0 })),
    /no counter/,
  ],
  [
    'a record of another channel',
    records(recordSide('a'), recordSide('b', { channel: digestOf('other') as never })),
    /another channel/,
  ],
  [
    'a record of another author',
    records(recordSide('a'), recordSide('b', {}, CAROL)),
    /another author/,
  ],
  [
    'a record that somebody else signed',
    records(recordSide('a'), { ...recordSide('b'), proof: proofOf(CAROL, record('b'), ROSTER) }),
    /signature/,
  ],
  ['one ballot under two rosters', ballots({}, { roster: 99 }), /same candidate/],
  ['ballots in two terms', ballots({}, { candidate: BOB.user, term: 10 }), /different terms/],
  ['ballots of two kinds', ballots({}, { candidate: BOB.user, kind: 'online' }), /different terms/],
  [
    'a ballot in another channel',
    ballots({}, { candidate: BOB.user, channel: digestOf('other') as never }),
    /another channel/,
  ],
  [
    'a ballot that somebody else gave',
    {
      ...ballots({}, {}),
      sides: [signed(ballot()), signed(ballot({ candidate: BOB.user }), CAROL)],
    },
    /signature/,
  ],
  [
    'acknowledgements of one chain',
    places(
      'acknowledgements',
      21,
      at(chain('a'), [], ack(chain('a'))),
      at(chain('a'), ['b'], ack(chain('a', 'b'))),
    ),
    /agree/,
  ],
  [
    'acknowledgements under two leaderships',
    places(
      'acknowledgements',
      21,
      at(chain('a'), [], ack(chain('a'))),
      at(chain('b'), [], ack(chain('b'), { epoch: epochOf('other') })),
    ),
    /different leaderships/,
  ],
  [
    'headers that lead elsewhere',
    places(
      'acknowledgements',
      21,
      at(chain('a'), [], ack(chain('a'))),
      at(chain('b'), ['x'], ack(chain('b', 'c'))),
    ),
    /do not lead/,
  ],
  [
    'a hash that nobody signed',
    places(
      'proposals',
      21,
      at(chain('a'), [], propose(BASE, chain('a'))),
      at(chain('x'), [], propose(BASE, chain('a'))),
    ),
    /do not lead/,
  ],
  [
    'statements of another kind',
    places(
      'proposals',
      21,
      at(chain('a'), [], ack(chain('a'))),
      at(chain('b'), [], ack(chain('b'))),
    ),
    /where a propose belongs/,
  ],
];

const encoded = (misbehaviour: Misbehaviour): Uint8Array =>
  encodePortableProof({ kind: 'misbehaviour', misbehaviour });

describe('a proof of misbehaviour', () => {
  it.each(CONVICTING)('convicts: %s', (_, misbehaviour) => {
    const bytes = encoded(misbehaviour);
    const proven = checkPortableProof(verifier, bytes);
    expect(proven).toMatchObject({ proves: 'misbehaviour', misbehaviour: convicted });
    expect(encodePortableProof(decodePortableProof(bytes))).toEqual(bytes);
    const [one, other] = misbehaviour.sides;
    expect(encoded({ ...misbehaviour, sides: [other, one] } as Misbehaviour)).toEqual(bytes);
  });

  it('is one for each kind of offence', () => {
    expect(new Set(CONVICTING.map(([, { offence }]) => offence))).toEqual(new Set(OFFENCES));
  });

  it.each(INNOCENT)('convicts nobody: %s', (_, misbehaviour, why) => {
    expect(() => checkPortableProof(verifier, encoded(misbehaviour))).toThrow(
      expect.objectContaining({ code: 'bad_proof', message: expect.stringMatching(why) }),
    );
  });

  it.each(CONVICTING)('says nothing else with any byte changed: %s', (_, misbehaviour) => {
    const bytes = encoded(misbehaviour);
    const said = JSON.stringify(checkPortableProof(verifier, bytes));
    for (let i = 0; i < bytes.length; i++) {
      for (const mask of [1, 0x80]) {
        const changed = bytes.slice();
        changed[i]! ^= mask;
        try {
          expect(JSON.stringify(checkPortableProof(verifier, changed)), `byte ${i}`).toBe(said);
        } catch (error) {
          expect(['bad_proof', 'proof_version', 'proof_too_large']).toContain(
            (error as { code?: string }).code,
          );
        }
      }
    }
  });

  it('fits its bound, whatever it is of', () => {
    const large = 'x'.repeat(RECORD_BODY_BYTES_MAX);
    const long = Array.from({ length: TAIL_ENTRIES_MAX }, (_, i) => `${i}`);
    const of = (first: string) => {
      const end = chain(first, ...long);
      return at(chain(first), long, ack(end));
    };
    for (const misbehaviour of [
      records(recordSide(large), recordSide(large, { time: 1 })),
      places('acknowledgements', 21, of('a'), of('b')),
    ]) {
      expect(encoded(misbehaviour).length).toBeLessThanOrEqual(MISBEHAVIOUR_BYTES_MAX);
      expect(checkPortableProof(verifier, encoded(misbehaviour)).proves).toBe('misbehaviour');
    }
  });
});

describe('a witness', () => {
  const holds = (found: Misbehaviour | undefined): Misbehaviour['offence'] | undefined => {
    if (!found) return undefined;
    const proven = checkPortableProof(verifier, encoded(found));
    expect(proven).toMatchObject({ proves: 'misbehaviour' });
    return found.offence;
  };
  const shows = (witness: Witness, made: ReturnType<typeof record>, by = BOB) =>
    holds(witness.record(made, () => proofOf(by, made, ROSTER)));

  it('finds two records with one counter, and no others', () => {
    const witness = new Witness(CHANNEL);
    expect(shows(witness, record('a'))).toBeUndefined();
    expect(shows(witness, record('a'))).toBeUndefined();
    expect(shows(witness, record('b', { n: 6 }))).toBeUndefined();
    expect(shows(witness, record('b', {}, CAROL), CAROL)).toBeUndefined();
    // A restored copy goes on from the same predecessor in a boot of its own.
    expect(shows(witness, record('b', { boot: ulidOf(8) }))).toBeUndefined();
    expect(shows(witness, record('b'))).toBe('records');
  });

  it('forgets the oldest records', () => {
    const witness = new Witness(CHANNEL);
    shows(witness, record('a'));
    for (let n = 6; n < 6 + RECORDS_WITNESSED_MAX; n++) {
      witness.record(record('', { n }), () => new Uint8Array(0));
    }
    expect(shows(witness, record('b'))).toBeUndefined();
    shows(witness, record('large', { n: 5_000 }));
    for (let n = 5_001; n < 5_005; n++) {
      witness.record(record('x'.repeat(RECORD_BODY_BYTES_MAX), { n }), () => new Uint8Array(0));
    }
    expect(shows(witness, record('other', { n: 5_000 }))).toBeUndefined();
  });

  it('finds two ballots of a term and kind, and forgets the oldest', () => {
    const witness = new Witness(CHANNEL);
    const give = (change: Partial<Ballot>, by = BOB) =>
      witness.ballots(ballot(change), [{ by: by.user, ...signed(ballot(change), by) }]).map(holds);
    expect(give({})).toEqual([]);
    expect(give({})).toEqual([]);
    expect(give({ term: 10, candidate: BOB.user })).toEqual([]);
    expect(give({ kind: 'online', candidate: BOB.user })).toEqual([]);
    expect(give({ candidate: BOB.user }, CAROL)).toEqual([]);
    expect(give({ candidate: BOB.user })).toEqual(['ballots']);
    for (let term = 100; term < 100 + BALLOTS_WITNESSED_MAX; term++) {
      witness.ballots(ballot({ term }), [
        { by: BOB.user, statement: new Uint8Array(0), sig: new Uint8Array(64) },
      ]);
    }
    expect(give({ candidate: BOB.user })).toEqual([]);
  });

  it('finds two proposals that part, wherever they begin and end', () => {
    const proposed = (witness: Witness, from: readonly string[], entries: readonly string[]) => {
      const base = chain(...from);
      const stretch = stretchOf(hash, base, entries.map(header));
      const said = propose(base, chain(...from, ...entries));
      return holds(witness.proposal(BOB.user, said, stretch, signed(said)));
    };
    const witness = new Witness(CHANNEL);
    expect(proposed(witness, [], ['a', 'b', 'c'])).toBeUndefined();
    expect(proposed(witness, ['a', 'b', 'c'], ['d'])).toBeUndefined();
    expect(proposed(witness, ['a'], ['b'])).toBeUndefined();
    expect(proposed(witness, ['a', 'b', 'c', 'd'], [])).toBeUndefined();
    expect(proposed(witness, ['a'], ['x'])).toBe('proposals');
    expect(proposed(witness, ['a', 'x', 'y'], ['z'])).toBe('proposals');
    expect(proposed(witness, ['a', 'b', 'z'], [])).toBe('proposals');
    const short = new Witness(CHANNEL);
    expect(proposed(short, [], ['a', 'b'])).toBeUndefined();
    expect(proposed(short, ['x', 'y', 'z'], ['w'])).toBeUndefined();
  });

  it('finds acknowledgements of what is not the chain here, as far as that links them', () => {
    const log = new Branch(hash, EPOCH, BASE);
    for (const entry of ['a', 'b', 'c']) log.extend(header(entry));
    const given = (witness: Witness, ...entries: string[]) => {
      const said = ack(chain(...entries));
      return holds(witness.ack(BOB.user, said, signed(said).sig, log));
    };
    const seen = (...chains: string[][]) => {
      const witness = new Witness(CHANNEL);
      return chains.map((entries) => given(witness, ...entries)).at(-1);
    };
    expect(seen(['a'], ['a', 'b'], ['a', 'b', 'c'], ['a'])).toBeUndefined();
    expect(seen(['a', 'b'], ['a', 'x'])).toBe('acknowledgements');
    expect(seen(['a', 'x'], ['a', 'b'])).toBe('acknowledgements');
    expect(seen(['a', 'b', 'c'], ['x'])).toBe('acknowledgements');
    expect(seen(['x'], ['a', 'b', 'c'])).toBe('acknowledgements');
    expect(seen(['x', 'y'], ['x', 'z'])).toBe('acknowledgements');
    // What lies behind the chain here may be its continuation, or that of another.
    expect(seen(['a'], ['x', 'y', 'z'])).toBeUndefined();
    expect(seen(['a', 'b', 'c', 'd'], ['a', 'b', 'c'])).toBeUndefined();
  });
});
