/** Bodies of `merge` records (docs/PROTOCOL.md, section "Merge records"). Their bytes: test/vectors/merges.json. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MERGE_RECORDS_MAX } from '../../src/core/limits.js';
import { decodeMergeBody, encodeMergeBody, type MergeBody } from '../../src/core/merge-record.js';
import { epoch, plain, u64, user } from './fixtures/arbitraries.js';
import { codeOf } from './fixtures/errors.js';

const branch = plain<MergeBody['branches'][number]>({
  epoch,
  kind: fc.constantFrom('roster' as const, 'online' as const),
  term: u64,
  leader: user,
  entries: fc.nat(65_535),
  warrant: fc.uint8Array({ maxLength: 300 }),
});
const body = plain<MergeBody>({
  entries: fc.integer({ min: 1, max: MERGE_RECORDS_MAX }),
  branches: fc.array(branch, { maxLength: 8 }),
});

test('what was encoded is decoded', () => {
  fc.assert(
    fc.property(body, (given) => {
      expect(decodeMergeBody(encodeMergeBody(given))).toStrictEqual(given);
    }),
  );
});

test('any other bytes are refused', () => {
  fc.assert(
    fc.property(body, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, at, change) => {
      const bytes = encodeMergeBody(given);
      expect(codeOf(() => decodeMergeBody(bytes.subarray(0, at % bytes.length)))).toBe(
        'bad_encoding',
      );
      const other = Uint8Array.from(bytes);
      other[at % bytes.length]! ^= change;
      try {
        expect(encodeMergeBody(decodeMergeBody(other))).toStrictEqual(other);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_encoding' });
      }
    }),
  );
});

test.each([
  ['none', 0, 'bad_encoding'],
  ['one', 1, undefined],
  ['the most', MERGE_RECORDS_MAX, undefined],
  ['one more', MERGE_RECORDS_MAX + 1, 'bad_encoding'],
])('a merge of %s', (_, entries, code) => {
  const decode = () => decodeMergeBody(encodeMergeBody({ entries, branches: [] }));
  if (code === undefined) expect(decode()).toEqual({ entries, branches: [] });
  else expect(codeOf(decode)).toBe(code);
});
