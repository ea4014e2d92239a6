/** Keys and values of a node's store (docs/ARCHITECTURE.md, "Store"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeGenesis } from '../../src/core/genesis.js';
import {
  CHANNEL_PREFIX,
  channelKeys,
  decodeEntry,
  decodeFinal,
  decodeHardState,
  decodeOffer,
  decodeRawEntry,
  decodeRun,
  decodeStoredGenesis,
  type Entry,
  encodeEntry,
  encodeFinal,
  encodeHardState,
  encodeOffer,
  encodeRun,
  encodeStoredGenesis,
  after as endOf,
  type FinalState,
  FRESH_HARD_STATE,
  type HardState,
  ordinal,
  type StoredGenesis,
} from '../../src/core/layout.js';
import {
  CHANNEL_NAME_BYTES_MAX,
  FRAME_PAYLOAD_BYTES_MAX,
  MEMBERS_PER_CHANNEL_MAX,
  RECORD_BODY_BYTES_MAX,
  RECORD_KIND_CHARS_MAX,
  RELAY_URL_BYTES_MAX,
  RELAYS_PER_CHANNEL_MAX,
  TAIL_ENTRIES_MAX,
} from '../../src/core/limits.js';
import { encodeProof, encodeRecord } from '../../src/core/record.js';
import * as any from './fixtures/arbitraries.js';
import { genesis, hash, person, recordBy } from './fixtures/channel.js';
import { codeOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';

const bytes = (max: number) => fc.uint8Array({ maxLength: max }) as fc.Arbitrary<Uint8Array>;
const record = any.recordFields.map((fields) => encodeRecord(hash, fields));
const entry: fc.Arbitrary<Entry> = any.plain({
  seq: any.u64,
  header: any.header,
  hash: any.digest,
  record,
  proof: bytes(300),
});
const promise = any.plain({
  term: any.u64,
  seen: any.u64,
  votedFor: fc.option(any.plain({ candidate: any.user, electorate: any.digest })),
});
const hardState: fc.Arbitrary<HardState> = any.plain({ roster: promise, online: promise });
const final: fc.Arbitrary<FinalState> = any.plain({
  seq: any.u64,
  hash: any.digest,
  keptSeq: any.u64,
  bytesSince: any.u64,
  cert: bytes(300),
});
const stored: fc.Arbitrary<StoredGenesis> = any.plain({
  bytes: bytes(300),
  sig: any.sig,
  name: any.text(CHANNEL_NAME_BYTES_MAX),
});

describe('keys', () => {
  it('sort as their numbers do', () => {
    fc.assert(
      fc.property(any.u64, any.u64, (a, b) => {
        expect(ordinal(a).length).toBe(ordinal(b).length);
        expect(ordinal(a) < ordinal(b)).toBe(a < b);
      }),
    );
  });

  /** Every key of a channel, with the prefix under which it is found by a range. */
  const keysOf = (of: ReturnType<typeof channelKeys>, n: number, hex: never) => [
    [of.logs, of.log(n)],
    [of.tips, of.tip(hex)],
    [of.certs, of.cert(n)],
    [of.steps, of.step(n)],
    [of.acks, of.ack(hex)],
    [of.outs, of.out(n)],
    [of.pools, of.pool(hex)],
  ];

  it('lie between their prefix and what is after it, and under no other', () => {
    fc.assert(
      fc.property(any.channel, any.channel, any.u64, any.digest, (a, b, n, hex) => {
        const keys = keysOf(channelKeys(a), n, hex as never);
        const within = (key: string, prefix: string) => key >= prefix && key < endOf(prefix);
        for (const [i, [prefix]] of keys.entries()) {
          const found = keys.filter(([, key]) => within(key!, prefix!));
          expect(found).toStrictEqual([keys[i]]);
        }
        const { all, genesis, hard, final, placed } = channelKeys(a);
        for (const key of [...keys.map(([, k]) => k!), genesis, hard, final, placed(hex)]) {
          expect(within(key, all)).toBe(true);
          expect(within(key, CHANNEL_PREFIX)).toBe(true);
          if (a !== b) expect(within(key, channelKeys(b).all)).toBe(false);
        }
      }),
    );
  });

  it('with a longer name than a prefix are not under it', () => {
    expect('a/log/0' < endOf('a/log/')).toBe(true);
    expect('a/log0' < endOf('a/log/')).toBe(false);
  });

  it('are all different', () => {
    const keys = channelKeys(fc.sample(any.channel, 1)[0]!);
    const digest = fc.sample(any.digest, 1)[0]!;
    const all = [
      ...keysOf(keys, 7, digest as never).map(([, key]) => key),
      ...[keys.genesis, keys.hard, keys.final, keys.placed(digest)],
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});

describe('values', () => {
  it('decode into what was encoded', () => {
    fc.assert(
      fc.property(entry, hardState, final, stored, (e, h, f, g) => {
        expect(decodeEntry(hash, encodeEntry(e))).toStrictEqual(e);
        expect(decodeRawEntry(encodeEntry(e))).toStrictEqual({ ...e, record: e.record.bytes });
        const offer = { record: e.record, proof: e.proof };
        expect(decodeOffer(hash, encodeOffer(offer))).toStrictEqual(offer);
        const places = [
          { header: e.header, hash: e.hash, offer },
          { header: e.header, hash: e.hash, offer: null },
        ];
        const nothing = new Uint8Array(0);
        expect(decodeRun(encodeRun(places))).toStrictEqual([
          { header: e.header, hash: e.hash, record: e.record.bytes, proof: e.proof },
          { header: e.header, hash: e.hash, record: nothing, proof: nothing },
        ]);
        expect(decodeHardState(encodeHardState(h))).toStrictEqual(h);
        expect(decodeFinal(encodeFinal(f))).toStrictEqual(f);
        expect(decodeStoredGenesis(encodeStoredGenesis(g))).toStrictEqual(g);
      }),
    );
  });

  it('keep a promise of nothing apart from none', () => {
    expect(decodeHardState(encodeHardState(FRESH_HARD_STATE))).toStrictEqual(FRESH_HARD_STATE);
  });

  const first = <T>(of: fc.Arbitrary<T>): T => fc.sample(of, { numRuns: 1, seed: 6 })[0]!;
  const decodeOfferOf = (b: Uint8Array) => decodeOffer(hash, b);

  it('are refused at every other length', () => {
    refusesOtherLengths(encodeEntry(first(entry)), (b) => decodeEntry(hash, b));
    refusesOtherLengths(encodeOffer(first(entry)), decodeOfferOf);
    const { header, hash: at, record: r, proof } = first(entry);
    refusesOtherLengths(
      encodeRun([{ header, hash: at, offer: { record: r, proof } }]),
      (b) => void decodeRun(b),
    );
    refusesOtherLengths(encodeHardState(FRESH_HARD_STATE), decodeHardState);
    const voted = { candidate: person(1).user, electorate: first(any.digest) };
    refusesOtherLengths(
      encodeHardState({ ...FRESH_HARD_STATE, roster: { term: 1, seen: 1, votedFor: voted } }),
      decodeHardState,
    );
    refusesOtherLengths(encodeFinal(first(final)), decodeFinal);
    refusesOtherLengths(encodeStoredGenesis(first(stored)), decodeStoredGenesis);
  });

  it('are refused or canonical when damaged', () => {
    staysCanonical(entry.map(encodeEntry), (b) => decodeEntry(hash, b), encodeEntry);
    staysCanonical(entry.map(encodeOffer), decodeOfferOf, encodeOffer);
    staysCanonical(hardState.map(encodeHardState), decodeHardState, encodeHardState);
    staysCanonical(final.map(encodeFinal), decodeFinal, encodeFinal);
    staysCanonical(stored.map(encodeStoredGenesis), decodeStoredGenesis, encodeStoredGenesis);
  });

  it('say with 0 or 1 whether a vote was cast', () => {
    const bytes = encodeHardState(FRESH_HARD_STATE).slice();
    expect(bytes[16]).toBe(0);
    bytes[16] = 2;
    expect(codeOf(() => decodeHardState(bytes))).toBe('bad_encoding');
    const voted = { candidate: person(1).user, electorate: first(any.digest) };
    const other = encodeHardState({
      ...FRESH_HARD_STATE,
      roster: { term: 1, seen: 1, votedFor: voted },
    }).slice();
    expect(other[16]).toBe(1);
    other[16] = 2;
    expect(codeOf(() => decodeHardState(other))).toBe('bad_encoding');
  });

  it('have room for the largest record, proof, certificate and genesis', () => {
    const largest = recordBy(person(1), {
      kind: 'x'.repeat(RECORD_KIND_CHARS_MAX),
      body: new Uint8Array(RECORD_BODY_BYTES_MAX),
    });
    const path = Array(16).fill(new Uint8Array(32));
    const sig = new Uint8Array(64);
    const proof = encodeProof({
      ...{ roster: 0, rosterHash: largest.digest, count: 256, index: 255 },
      path,
      sig,
    });
    const e = { ...first(entry), record: largest, proof };
    expect(decodeEntry(hash, encodeEntry(e)).record.digest).toBe(largest.digest);
    const offer = decodeOfferOf(encodeOffer({ record: largest, proof }));
    expect(offer.record.digest).toBe(largest.digest);
    expect(offer.proof).toStrictEqual(proof);
    const f = {
      ...first(final),
      cert: new Uint8Array(TAIL_ENTRIES_MAX * 80 + MEMBERS_PER_CHANNEL_MAX * 104 + 512),
    };
    expect(decodeFinal(encodeFinal(f)).cert).toHaveLength(f.cert.length);
    const relays = Array(RELAYS_PER_CHANNEL_MAX).fill('x'.repeat(RELAY_URL_BYTES_MAX));
    const founderName = 'x'.repeat(64);
    const g = { ...first(stored), bytes: encodeGenesis({ ...genesis, founderName, relays }) };
    expect(decodeStoredGenesis(encodeStoredGenesis(g)).bytes).toHaveLength(g.bytes.length);
  });

  it('have room for no more than that', () => {
    const e = first(entry);
    const over = (size: number) => new Uint8Array(size);
    const huge = { ...e.record, bytes: over(RECORD_BODY_BYTES_MAX + 1_024) };
    expect(codeOf(() => decodeRawEntry(encodeEntry({ ...e, record: huge })))).toBe('bad_encoding');
    expect(codeOf(() => decodeRawEntry(encodeEntry({ ...e, proof: over(1_025) })))).toBe(
      'bad_encoding',
    );
    expect(codeOf(() => decodeOfferOf(encodeOffer({ ...e, proof: over(1_025) })))).toBe(
      'bad_encoding',
    );
    const cert = over(FRAME_PAYLOAD_BYTES_MAX + 1);
    expect(codeOf(() => decodeFinal(encodeFinal({ ...first(final), cert })))).toBe('bad_encoding');
    const g = { ...first(stored), bytes: over(8_193) };
    expect(codeOf(() => decodeStoredGenesis(encodeStoredGenesis(g)))).toBe('bad_encoding');
  });
});
