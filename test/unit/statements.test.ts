/** Signed statements (docs/PROTOCOL.md, section "Signed statements"). */

import { bytesToHex } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, Writer } from '../../src/core/bytes.js';
import { BEACON_HEARD_MAX, NICKNAME_BYTES_MAX, PROTOCOL_VERSION } from '../../src/core/limits.js';
import {
  decodeAs,
  decodeStatement,
  encodeStatement,
  type Statement,
  signedRecords,
} from '../../src/core/statements.js';
import * as any from './fixtures/arbitraries.js';
import { codeOf, errorOf } from './fixtures/errors.js';
import { refusesOtherLengths, staysCanonical } from './fixtures/hostile.js';

const TAGS = Object.keys(any.statementOf) as Statement['tag'][];

function sampleOf<T extends Statement['tag']>(tag: T): Extract<Statement, { tag: T }> {
  return fc.sample(any.statementOf[tag], { numRuns: 1, seed: 1 })[0]!;
}

describe.each(TAGS)('a %s', (tag) => {
  const statements: fc.Arbitrary<Statement> = any.statementOf[tag];

  it('decodes into what it was made of', () => {
    fc.assert(
      fc.property(statements, (s) => {
        expect(decodeStatement(encodeStatement(s))).toStrictEqual(s);
        expect(decodeAs(tag, encodeStatement(s))).toStrictEqual(s);
      }),
    );
  });

  it('changes with every field', () => {
    fc.assert(
      fc.property(statements, statements, (a, b) => {
        const bytes = bytesToHex(encodeStatement(a));
        for (const [field, value] of Object.entries(b)) {
          const same = JSON.stringify(a[field as keyof Statement]) === JSON.stringify(value);
          const other = bytesToHex(encodeStatement({ ...a, [field]: value } as Statement));
          expect(other === bytes, field).toBe(same);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is refused at every other length', () => {
    refusesOtherLengths(encodeStatement(sampleOf(tag)), decodeStatement);
  });

  it('is refused or canonical when damaged', () => {
    staysCanonical(statements.map(encodeStatement), decodeStatement, encodeStatement);
  });

  it('is nothing of another kind', () => {
    const bytes = encodeStatement(sampleOf(tag));
    for (const other of TAGS.filter((t) => t !== tag)) {
      expect(errorOf(() => decodeAs(other, bytes))).toMatchObject({
        code: 'bad_encoding',
        message: `a ${tag} statement where a ${other} belongs`,
      });
    }
  });

  it('starts with its tag and version, and names its channel and roster', () => {
    const s = sampleOf(tag);
    const r = new Reader(encodeStatement(s));
    expect([r.text(32), r.u8()]).toStrictEqual([`conclave/${tag}`, PROTOCOL_VERSION]);
    if (s.tag === 'beacon') r.id();
    else expect([r.id(), r.u64(), r.id()]).toStrictEqual([s.channel, s.roster, s.rosterHash]);
  });
});

describe('the bytes of a statement', () => {
  const rest = encodeStatement(sampleOf('ack')).subarray(4 + 'conclave/ack'.length);
  const under = (tag: string, version = rest[0]!) =>
    new Writer().text(tag).u8(version).raw(rest.subarray(1)).done();

  it('are taken under their own tag and version', () => {
    expect(decodeStatement(under('conclave/ack')).tag).toBe('ack');
  });

  it.each(['ack', 'conclave/', 'conclave/nack', 'Conclave/ack', '\ufeffconclave/ack', ''])(
    'are refused under the tag "%s"',
    (tag) => {
      expect(codeOf(() => decodeStatement(under(tag)))).toBe('bad_encoding');
    },
  );

  it('are refused under another version', () => {
    const other = under('conclave/ack', PROTOCOL_VERSION + 1);
    expect(errorOf(() => decodeStatement(other))?.message).toMatch(/protocol version/);
  });

  it('of a batch are no statement that travels, and differ with root, count and context', () => {
    const [a, b] = fc.sample(any.context, { numRuns: 2, seed: 1 }) as [never, never];
    const [root, other] = [new Uint8Array(32), new Uint8Array(32).fill(1)];
    const all = [
      signedRecords(a, root, 1),
      signedRecords(a, root, 2),
      signedRecords(a, other, 1),
      signedRecords(b, root, 1),
    ].map(bytesToHex);
    expect(new Set(all).size).toBe(4);
    expect(codeOf(() => decodeStatement(signedRecords(a, root, 1)))).toBe('bad_encoding');
  });
});

describe('bounds', () => {
  const beacon = sampleOf('beacon');
  const [named] = fc.sample(any.plain({ user: any.user, boot: any.ulid, counter: any.u64 }), 1);
  const naming = (count: number) => encodeStatement({ ...beacon, heard: Array(count).fill(named) });

  it('a beacon names at most BEACON_HEARD_MAX users', () => {
    expect(decodeAs('beacon', naming(BEACON_HEARD_MAX)).heard).toHaveLength(BEACON_HEARD_MAX);
    expect(codeOf(() => decodeStatement(naming(BEACON_HEARD_MAX + 1)))).toBe('bad_encoding');
  });

  it('a name in a request to join has at most NICKNAME_BYTES_MAX bytes', () => {
    const join = sampleOf('join');
    const longest = 'é'.repeat(NICKNAME_BYTES_MAX / 2);
    expect(decodeAs('join', encodeStatement({ ...join, name: longest })).name).toBe(longest);
    const longer = encodeStatement({ ...join, name: `${longest}x` });
    expect(codeOf(() => decodeStatement(longer))).toBe('bad_encoding');
  });

  it('a kind of epoch is 0 or 1, a flag is 0 or 1', () => {
    const ballot = encodeStatement(sampleOf('ballot')).slice();
    const kindAt = 4 + 'conclave/ballot'.length + 1 + 32 + 8 + 32;
    expect(ballot[kindAt]).toBeLessThan(2);
    ballot[kindAt] = 2;
    expect(codeOf(() => decodeStatement(ballot))).toBe('bad_encoding');
    const propose = encodeStatement(sampleOf('propose')).slice();
    propose[propose.length - 1] = 2;
    expect(codeOf(() => decodeStatement(propose))).toBe('bad_encoding');
  });
});
