/** The hash chain, epochs and the record that proves one (docs/PROTOCOL.md, sections "Chain", "Epochs", "Epoch records"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chainNext,
  chainOver,
  chainStart,
  type EpochDescriptor,
  electorateDigest,
  epochId,
} from '../../src/core/chain.js';
import { decodeEpochBody, encodeEpochBody } from '../../src/core/epoch-record.js';
import { MEMBERS_PER_CHANNEL_MAX, RECORD_BODY_BYTES_MAX } from '../../src/core/limits.js';
import * as any from './fixtures/arbitraries.js';
import { codeOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';
import { portableCrypto } from './fixtures/ports.js';

const hash = portableCrypto.sha256;

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

describe('the chain', () => {
  it('starts elsewhere in every channel', () => {
    fc.assert(
      fc.property(any.channel, any.channel, (a, b) => {
        expect(chainStart(hash, a) === chainStart(hash, b)).toBe(a === b);
      }),
    );
  });

  it('binds the hash before, the seq and each part of the header', () => {
    const link = any.plain({ previous: any.digest, seq: any.u64, header: any.header });
    fc.assert(
      fc.property(link, link, (a, b) => {
        const at = chainNext(hash, a.previous, a.seq, a.header);
        expect(chainNext(hash, b.previous, a.seq, a.header) === at).toBe(a.previous === b.previous);
        expect(chainNext(hash, a.previous, b.seq, a.header) === at).toBe(a.seq === b.seq);
        for (const field of Object.keys(a.header) as (keyof typeof a.header)[]) {
          const other = { ...a.header, [field]: b.header[field] };
          expect(chainNext(hash, a.previous, a.seq, other) === at, field).toBe(
            a.header[field] === b.header[field],
          );
        }
      }),
    );
  });

  it('goes over headers one by one, in any number of pieces', () => {
    const headers = fc.array(any.header, { maxLength: 8 });
    const base = any.plain({ seq: fc.nat(1_000_000), hash: any.digest });
    fc.assert(
      fc.property(base, headers, headers, (start, first, second) => {
        const end = chainOver(hash, start, [...first, ...second]);
        expect(chainOver(hash, chainOver(hash, start, first), second)).toStrictEqual(end);
        expect(end.seq).toBe(start.seq + first.length + second.length);
        let at = start.hash;
        for (const [i, h] of [...first, ...second].entries()) {
          at = chainNext(hash, at, start.seq + 1 + i, h);
        }
        expect(end.hash).toBe(at);
      }),
    );
  });

  it('stays where it is over nothing', () => {
    const start = { seq: 7, hash: chainStart(hash, fc.sample(any.channel, 1)[0]!) };
    expect(chainOver(hash, start, [])).toStrictEqual(start);
  });

  it('ends before the numbers do', () => {
    const [header] = fc.sample(any.header, 1);
    const last = { seq: Number.MAX_SAFE_INTEGER, hash: header!.digest };
    expect(codeOf(() => chainOver(hash, last, [header!]))).toBe('bad_encoding');
  });
});

const electorate = fc.uniqueArray(any.user, { maxLength: 6 });
const descriptor: fc.Arbitrary<EpochDescriptor> = any.plain({
  channel: any.channel,
  roster: any.u64,
  rosterHash: any.digest,
  kind: fc.constantFrom('roster' as const, 'online' as const),
  term: any.u64,
  leader: any.user,
  electorate,
});

describe('an epoch', () => {
  it('has an id that changes with every part of it', () => {
    fc.assert(
      fc.property(descriptor, descriptor, (a, b) => {
        const id = epochId(hash, a);
        for (const field of Object.keys(a) as (keyof EpochDescriptor)[]) {
          const other = epochId(hash, { ...a, [field]: b[field] });
          expect(other === id, field).toBe(same(a[field], b[field]));
        }
      }),
    );
  });

  it('has an electorate in no order, of which each member counts', () => {
    fc.assert(
      fc.property(electorate, any.user, (members, more) => {
        const digest = electorateDigest(hash, members);
        const given = [...members];
        expect(electorateDigest(hash, members.toReversed())).toBe(digest);
        expect(members).toStrictEqual(given);
        expect(electorateDigest(hash, [...members, more])).not.toBe(digest);
        if (members.length > 0) {
          expect(electorateDigest(hash, members.slice(1))).not.toBe(digest);
        }
      }),
    );
  });
});

const epochBody = any.plain({
  epoch: any.plain({
    kind: fc.constantFrom('roster' as const, 'online' as const),
    term: any.u64,
    leader: any.user,
    electorate: fc.array(any.user, { maxLength: 5 }),
  }),
  ballots: fc.array(any.plain({ user: any.user, sig: any.sig }), { maxLength: 4 }),
});

describe('the body of an epoch record', () => {
  it('decodes into what it was made of', () => {
    fc.assert(
      fc.property(epochBody, (body) => {
        expect(decodeEpochBody(encodeEpochBody(body))).toStrictEqual(body);
      }),
    );
  });

  it('is refused at every other length', () => {
    const [body] = fc.sample(epochBody, { numRuns: 1, seed: 1 });
    refusesOtherLengths(encodeEpochBody(body!), decodeEpochBody);
  });

  it('is refused or canonical when damaged', () => {
    staysCanonical(epochBody.map(encodeEpochBody), decodeEpochBody, encodeEpochBody);
  });

  it('is of one of two kinds', () => {
    const bytes = encodeEpochBody(fc.sample(epochBody, 1)[0]!).slice();
    expect(bytes[0]).toBeLessThan(2);
    bytes[0] = 2;
    expect(codeOf(() => decodeEpochBody(bytes))).toBe('bad_encoding');
  });

  it('holds as many members as a channel may have, in a body that a record may have', () => {
    const [one] = fc.sample(any.plain({ user: any.user, sig: any.sig }), 1);
    const [body] = fc.sample(epochBody, 1);
    const of = (members: number, ballots: number) =>
      encodeEpochBody({
        epoch: { ...body!.epoch, electorate: Array(members).fill(one!.user) },
        ballots: Array(ballots).fill(one),
      });
    const most = of(MEMBERS_PER_CHANNEL_MAX, MEMBERS_PER_CHANNEL_MAX);
    expect(decodeEpochBody(most).ballots).toHaveLength(MEMBERS_PER_CHANNEL_MAX);
    expect(most.length).toBeLessThan(RECORD_BODY_BYTES_MAX);
    expect(codeOf(() => decodeEpochBody(of(MEMBERS_PER_CHANNEL_MAX + 1, 1)))).toBe('bad_encoding');
    expect(codeOf(() => decodeEpochBody(of(1, MEMBERS_PER_CHANNEL_MAX + 1)))).toBe('bad_encoding');
  });
});
