/** Certificates and roster steps (docs/PROTOCOL.md, section "Certificates"); each single rule is in test/vectors/certificates.json. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Certificate,
  certificateSignatures,
  certifiedPoint,
  checkFinalCertificate,
  checkStep,
  decodeCertificate,
  decodeHeaders,
  decodeStep,
  encodeCertificate,
  encodeHeaders,
  encodeStep,
  type RosterStep,
  recordSignatures,
} from '../../src/core/certificate.js';
import { chainNext, chainOver, type Header } from '../../src/core/chain.js';
import {
  MEMBERS_PER_CHANNEL_MAX,
  RECORD_BODY_BYTES_MAX,
  TAIL_ENTRIES_MAX,
} from '../../src/core/limits.js';
import { isMajority } from '../../src/core/quorum.js';
import { applyMembership, nestedSignatures, type Roster, voters } from '../../src/core/roster.js';
import { decodeAs, encodeStatement } from '../../src/core/statements.js';
import * as any from './fixtures/arbitraries.js';
import {
  apply,
  certificateOf,
  digestOf,
  epochOf,
  FOUNDER,
  founded,
  grown,
  hash,
  inviteBody,
  joinBody,
  membershipBy,
  person,
  proofOf,
  recordBy,
  verifies,
} from './fixtures/channel.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';

const SIZES = [1, 2, 3, 4, 5, 8] as const;
const ROSTERS: ReadonlyMap<number, Roster> = new Map(SIZES.map((n) => [n, grown(n)]));
const SEQ = 100;
const before = digestOf('before');

const headersOf = (roster: Roster, count: number): Header[] =>
  Array.from({ length: count }, (_, i) => ({
    epoch: epochOf('epoch'),
    term: 4,
    roster: roster.number,
    digest: digestOf(`record ${i}`),
  }));

/** A roster, who of its members acknowledged, and how far. */
const situation = fc.constantFrom(...SIZES).chain((size) =>
  fc.record({
    size: fc.constant(size),
    links: fc.nat(6),
    acks: fc.uniqueArray(fc.record({ n: fc.integer({ min: 1, max: size }), ahead: fc.nat(6) }), {
      selector: (a) => a.n,
      maxLength: size,
    }),
  }),
);
type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

function made({ size, links, acks }: Situation): { roster: Roster; cert: Certificate } {
  const roster = ROSTERS.get(size)!;
  const cert = certificateOf(roster, {
    seq: SEQ,
    prevHash: before,
    headers: headersOf(roster, links + 1),
    acks: acks.map((a) => ({ by: person(a.n), ahead: Math.min(a.ahead, links) })),
  });
  return { roster, cert };
}

/** What a node makes of a certificate's bytes: true, or false for a signature that is not right. */
function holds(roster: Roster, bytes: Uint8Array): boolean {
  const cert = decodeCertificate(bytes);
  checkFinalCertificate(cert, roster);
  return verifies(certificateSignatures(hash, cert));
}

describe('a final certificate', () => {
  it('holds just where more than half of those who vote signed', () => {
    const outcomes = new Set<boolean>();
    fc.assert(
      fc.property(situation, (s) => {
        const { roster, cert } = made(s);
        const votes = voters(roster);
        const strangers = cert.acks.some((a) => !votes.includes(a.user));
        const expected = !strangers && isMajority(cert.acks.length, votes.length);
        outcomes.add(expected);
        const check = () => holds(roster, encodeCertificate(cert));
        if (expected) expect(check()).toBe(true);
        else expect(codeOf(check)).toBe('bad_certificate');
      }),
      { numRuns: 300 },
    );
    expect(outcomes.size).toBe(2);
  });

  it('certifies the point of its head, which its links follow', () => {
    fc.assert(
      fc.property(situation, (s) => {
        const { cert } = made(s);
        const start = { seq: SEQ - 1, hash: before };
        expect(certifiedPoint(hash, cert)).toStrictEqual(chainOver(hash, start, [cert.head]));
        for (const [i, signed] of certificateSignatures(hash, cert).entries()) {
          const ack = decodeAs('ack', signed.statement);
          const upTo = [cert.head, ...cert.links].slice(0, ack.seq - SEQ + 1);
          expect({ seq: ack.seq, hash: ack.hash }).toStrictEqual(chainOver(hash, start, upTo));
          expect(signed.by).toBe(cert.acks[i]!.user);
        }
      }),
    );
  });

  it('is nothing once any single byte changed', () => {
    const roster = ROSTERS.get(5)!;
    const cert = certificateOf(roster, {
      seq: SEQ,
      prevHash: before,
      headers: headersOf(roster, 3),
      acks: [
        { by: person(1), ahead: 0 },
        { by: person(3), ahead: 1 },
        { by: person(4), ahead: 2 },
      ],
    });
    const bytes = encodeCertificate(cert);
    expect(holds(roster, bytes)).toBe(true);
    for (let at = 0; at < bytes.length; at++) {
      const bad = bytes.slice();
      bad[at]! ^= 1 << (at % 8);
      let held = false;
      const code = codeOf(() => {
        held = holds(roster, bad);
      });
      expect(held, `byte ${at}`).toBe(false);
      if (code !== undefined) expect(code).toMatch(/^bad_(encoding|certificate)$/);
    }
  });

  it('of an older roster does not hold in the next, though the same members signed', () => {
    const roster = ROSTERS.get(3)!;
    const next = apply(roster, FOUNDER, inviteBody(roster, person(50)));
    const { cert } = made({ size: 3, links: 0, acks: [1, 2, 3].map((n) => ({ n, ahead: 0 })) });
    expect(holds(roster, encodeCertificate(cert))).toBe(true);
    expect(errorOf(() => checkFinalCertificate(cert, next))?.message).toMatch(/another roster/);
  });

  it("over an entry of an older leadership proves nothing: Raft's figure 8", () => {
    const roster = ROSTERS.get(3)!;
    const [older, newer] = [epochOf('term 2'), epochOf('term 4')];
    const headers = headersOf(roster, 2);
    const old = { ...headers[0]!, epoch: older, term: 2 };
    const all = [1, 2, 3].map((n) => ({ by: person(n), ahead: 0 }));
    // Everyone holds the entry of term 2 and says so under the leadership of term 4 …
    const counted = certificateOf(roster, {
      seq: SEQ,
      prevHash: before,
      headers: [old],
      acks: all,
    });
    const claimed: Certificate = { ...counted, epoch: newer, term: 4 };
    expect(errorOf(() => checkFinalCertificate(claimed, roster))?.message).toMatch(/leadership/);
    expect(errorOf(() => checkFinalCertificate({ ...counted, term: 4 }, roster))?.message).toMatch(
      /leadership/,
    );
    // … and it is final with an entry of term 4 behind it.
    const entry = { ...headers[1]!, epoch: newer, term: 4 };
    const hashOfOld = chainNext(hash, before, SEQ, old);
    const covering = certificateOf(roster, {
      seq: SEQ + 1,
      prevHash: hashOfOld,
      headers: [entry],
      acks: all,
    });
    expect(holds(roster, encodeCertificate(covering))).toBe(true);
  });
});

const certificateParts = any.plain({
  kinds: fc.constantFrom(
    { kind: 'committed', epochKind: 'roster' } as const,
    { kind: 'committed', epochKind: 'online' } as const,
    { kind: 'final', epochKind: 'roster' } as const,
  ),
  channel: any.channel,
  roster: any.u64,
  rosterHash: any.digest,
  epoch: any.epoch,
  term: any.u64,
  seq: any.u64,
  prevHash: any.digest,
  head: any.header,
  links: fc.array(any.header, { maxLength: 4 }),
  acks: fc.array(any.plain({ user: any.user, seq: any.u64, sig: any.sig }), { maxLength: 4 }),
});
const certificate: fc.Arbitrary<Certificate> = certificateParts.map(({ kinds, ...rest }) => ({
  ...kinds,
  ...rest,
}));
const step: fc.Arbitrary<RosterStep> = any.plain({
  seq: any.u64,
  prevHash: any.digest,
  headers: fc.array(any.header, { maxLength: 4 }),
  record: fc.uint8Array({ maxLength: 300 }) as fc.Arbitrary<Uint8Array>,
  proof: fc.uint8Array({ maxLength: 300 }) as fc.Arbitrary<Uint8Array>,
  cert: fc.uint8Array({ maxLength: 300 }) as fc.Arbitrary<Uint8Array>,
});
const headers = fc.array(any.header, { maxLength: 6 });
const decodeFew = (bytes: Uint8Array) => decodeHeaders(bytes, 6);

describe('codecs', () => {
  it('decode into what was encoded', () => {
    fc.assert(
      fc.property(certificate, step, headers, (c, s, h) => {
        expect(decodeCertificate(encodeCertificate(c))).toStrictEqual(c);
        expect(decodeStep(encodeStep(s))).toStrictEqual(s);
        expect(decodeFew(encodeHeaders(h))).toStrictEqual(h);
      }),
    );
  });

  it('refuse every other length', () => {
    const first = <T>(of: fc.Arbitrary<T>): T => fc.sample(of, { numRuns: 1, seed: 4 })[0]!;
    refusesOtherLengths(encodeCertificate(first(certificate)), decodeCertificate);
    refusesOtherLengths(encodeStep(first(step)), decodeStep);
    refusesOtherLengths(encodeHeaders(first(headers)), decodeFew);
  });

  it('refuse what is damaged, or it is canonical', () => {
    staysCanonical(certificate.map(encodeCertificate), decodeCertificate, encodeCertificate);
    staysCanonical(step.map(encodeStep), decodeStep, encodeStep);
    staysCanonical(headers.map(encodeHeaders), decodeFew, encodeHeaders);
  });

  const [c] = fc.sample(certificate, { numRuns: 1, seed: 4 });
  const [s] = fc.sample(step, { numRuns: 1, seed: 4 });
  const [h] = fc.sample(any.header, { numRuns: 1, seed: 4 });
  const [ack] = fc.sample(any.plain({ user: any.user, seq: any.u64, sig: any.sig }), 1);
  const cert = (change: Partial<Certificate>) => () =>
    decodeCertificate(encodeCertificate({ ...c!, ...change }));
  const stepWith = (change: Partial<RosterStep>) => () =>
    decodeStep(encodeStep({ ...s!, ...change }));
  const times = <T>(count: number, item: T): T[] => Array(count).fill(item);
  const bytes = (count: number) => new Uint8Array(count);

  it.each([
    [
      'links',
      cert({ links: times(TAIL_ENTRIES_MAX, h!) }),
      cert({ links: times(TAIL_ENTRIES_MAX + 1, h!) }),
    ],
    [
      'acks',
      cert({ acks: times(MEMBERS_PER_CHANNEL_MAX, ack!) }),
      cert({ acks: times(MEMBERS_PER_CHANNEL_MAX + 1, ack!) }),
    ],
    [
      "a step's headers",
      stepWith({ headers: times(TAIL_ENTRIES_MAX, h!) }),
      stepWith({ headers: times(TAIL_ENTRIES_MAX + 1, h!) }),
    ],
    ["a step's proof", stepWith({ proof: bytes(1_024) }), stepWith({ proof: bytes(1_025) })],
    [
      "a step's record",
      stepWith({ record: bytes(RECORD_BODY_BYTES_MAX) }),
      stepWith({ record: bytes(RECORD_BODY_BYTES_MAX + 1_024) }),
    ],
    [
      'headers',
      () => decodeHeaders(encodeHeaders(times(6, h!)), 6),
      () => decodeHeaders(encodeHeaders(times(7, h!)), 6),
    ],
  ])('bound %s', (_, most, over) => {
    expect(codeOf(most)).toBeUndefined();
    expect(codeOf(over)).toBe('bad_encoding');
  });

  it('of a step take the largest certificate', () => {
    const largest = encodeCertificate({
      ...c!,
      links: times(TAIL_ENTRIES_MAX, h!),
      acks: times(MEMBERS_PER_CHANNEL_MAX, ack!),
    });
    expect(codeOf(stepWith({ cert: largest }))).toBeUndefined();
    expect(codeOf(stepWith({ cert: bytes(largest.length + 512) }))).toBe('bad_encoding');
  });
});

describe('a roster step', () => {
  /** The invitation of `roster` by its founder, with `behind` entries up to the certified one. */
  function stepOf(roster: Roster, behind: number): RosterStep {
    const record = membershipBy(roster, FOUNDER, inviteBody(roster, person(60)));
    const all = headersOf(roster, behind + 1).with(0, {
      ...headersOf(roster, 1)[0]!,
      digest: record.digest,
    });
    const start = { seq: SEQ - 1, hash: before };
    const end = chainOver(hash, start, all.slice(0, -1));
    const cert = certificateOf(roster, {
      seq: end.seq + 1,
      prevHash: end.hash,
      headers: all.slice(-1),
      acks: voters(roster).map((user) => ({
        by: [1, 2, 3, 4, 5].map(person).find((p) => p.user === user)!,
        ahead: 0,
      })),
    });
    return {
      seq: SEQ,
      prevHash: before,
      headers: all.slice(0, -1),
      record: record.bytes,
      proof: proofOf(FOUNDER, record, roster),
      cert: encodeCertificate(cert),
    };
  }

  it.each([0, 1, 2, 7])(
    'leads to the next roster, with %i entries up to the certified one',
    (behind) => {
      const roster = ROSTERS.get(3)!;
      const s = decodeStep(encodeStep(stepOf(roster, behind)));
      const checked = checkStep(hash, roster, s);
      expect(checked.roster).toStrictEqual(applyMembership(hash, roster, checked.record));
      expect(checked.point).toStrictEqual(certifiedPoint(hash, decodeCertificate(s.cert)));
      expect(checked.point.seq).toBe(SEQ + behind);
      // The author's signature and one of each voter.
      expect(checked.signatures).toHaveLength(1 + voters(roster).length);
      expect(verifies(checked.signatures)).toBe(true);
    },
  );

  it('is nothing once any single byte changed', () => {
    const roster = ROSTERS.get(3)!;
    const bytes = encodeStep(stepOf(roster, 1));
    for (let at = 0; at < bytes.length; at++) {
      const bad = bytes.slice();
      bad[at]! ^= 1 << (at % 8);
      let held = false;
      const code = codeOf(() => {
        held = verifies(checkStep(hash, roster, decodeStep(bad)).signatures);
      });
      expect(held, `byte ${at}`).toBe(false);
      if (code !== undefined) expect(code).toMatch(/^bad_/);
    }
  });
});

describe('the signatures of a record', () => {
  const roster = apply(founded(), FOUNDER, inviteBody(founded(), person(60)));
  const join = membershipBy(roster, FOUNDER, joinBody(roster, person(2), person(60)));

  it("are the author's, and for a join those of invitation and joiner", () => {
    const signed = recordSignatures(hash, join, proofOf(FOUNDER, join, roster));
    expect(signed.map((s) => s.by)).toStrictEqual([FOUNDER.user, person(60).user, person(2).user]);
    expect(verifies(signed)).toBe(true);
    expect(nestedSignatures(recordBy(FOUNDER))).toStrictEqual([]);
    const invite = membershipBy(founded(), FOUNDER, inviteBody(founded(), person(60)));
    expect(nestedSignatures(invite)).toStrictEqual([]);
  });

  it('need a proof that fits', () => {
    const other = proofOf(FOUNDER, recordBy(FOUNDER), roster);
    expect(verifies(recordSignatures(hash, join, other))).toBe(false);
    expect(codeOf(() => recordSignatures(hash, join, new Uint8Array(9)))).toBe('bad_encoding');
    // A place in a batch of two, with the path of a batch of one.
    const two = other.slice();
    two[41] = 2;
    expect(codeOf(() => recordSignatures(hash, join, two))).toBe('bad_record');
  });

  it('need a body that decodes where one is signed inside', () => {
    const broken = recordBy(FOUNDER, { kind: 'join', body: new Uint8Array(3) });
    expect(codeOf(() => nestedSignatures(broken))).toBe('bad_encoding');
    const body = { ...joinBody(roster, person(2), person(60)) };
    const beat = encodeStatement(fc.sample(any.statementOf.beat, 1)[0]!);
    const other = membershipBy(roster, FOUNDER, { ...body, request: beat });
    expect(codeOf(() => nestedSignatures(other))).toBe('bad_encoding');
  });
});
