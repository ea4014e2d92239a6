/** Who may be an electorate and whom ballots elect (docs/PROTOCOL.md, section "Elections"). */

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  decodeElectionProof,
  decodeEpochBody,
  encodeElectionProof,
  isElected,
  isElectorate,
} from '../../src/core/epoch-record.js';
import type { UserId } from '../../src/core/ids.js';
import { CHANNEL, hash, person } from './fixtures/channel.js';
import { CoreState, users } from './fixtures/core-state.js';
import { codeOf } from './fixtures/errors.js';

describe('isElectorate', () => {
  /** Smallest and largest electorate of each kind; null where there is none. */
  const TABLE: readonly [
    voters: number,
    minOnline: number,
    roster: [number, number],
    online: [number, number] | null,
  ][] = [
    [1, 1, [1, 1], null],
    [2, 1, [2, 2], [1, 1]],
    [2, 3, [2, 2], null],
    [3, 1, [2, 3], [1, 1]],
    [3, 2, [2, 3], null],
    [4, 2, [3, 4], [2, 2]],
    [5, 2, [3, 5], [2, 2]],
    [5, 3, [3, 5], null],
    [6, 3, [4, 6], [3, 3]],
    [6, 1, [4, 6], [1, 3]],
    [7, 3, [4, 7], [3, 3]],
    [8, 3, [5, 8], [3, 4]],
    [8, 5, [5, 8], null],
    [128, 3, [65, 128], [3, 64]],
  ];

  it.each(TABLE)('of %i voters with minOnline %i', (voters, minOnline, roster, online) => {
    for (let size = 0; size <= voters + 1; size++) {
      const inRange = (range: [number, number] | null) =>
        range !== null && size >= range[0] && size <= range[1];
      if (size <= voters) {
        expect(isElectorate('roster', size, voters, minOnline)).toBe(inRange(roster));
      }
      expect(isElectorate('online', size, voters, minOnline)).toBe(inRange(online));
    }
  });

  it('is of one kind at most, so that two sides never both hold a roster epoch', () => {
    const number = fc.integer({ min: 1, max: 128 });
    fc.assert(
      fc.property(number, number, number, (voters, minOnline, size) => {
        const kinds = (['roster', 'online'] as const).filter((kind) =>
          isElectorate(kind, size, voters, minOnline),
        );
        expect(kinds.length).toBeLessThan(2);
        const other = voters - size;
        if (isElectorate('roster', size, voters, minOnline)) {
          expect(isElectorate('roster', other, voters, minOnline)).toBe(false);
        }
      }),
    );
  });
});

describe('isElected', () => {
  const STRANGER = person(99).user;
  const SEVEN = users(1, 2, 3, 4, 5, 6, 7);
  type Case = [
    what: string,
    kind: 'roster' | 'online',
    electorate: UserId[],
    ballots: UserId[],
    elected: boolean,
  ];
  const CASES: readonly Case[] = [
    ['more than half of all', 'roster', SEVEN, users(1, 2, 3, 4), true],
    ['all', 'roster', SEVEN, SEVEN, true],
    ['a majority as electorate', 'roster', users(1, 2, 3, 4), users(1, 2, 3, 4), true],
    ['a voter beyond the electorate', 'roster', users(1, 2, 3, 4), users(1, 2, 3, 5), true],
    ['less than half of all', 'roster', SEVEN, users(1, 2, 3), false],
    ['half of the electorate, not of all', 'roster', users(1, 2, 3, 4), users(1, 2, 3), false],
    ['one who votes twice', 'roster', SEVEN, users(1, 2, 3, 3), false],
    ['a stranger among the ballots', 'roster', SEVEN, [...users(1, 2, 3, 4), STRANGER], false],
    ['a stranger in the electorate', 'roster', [...SEVEN, STRANGER], users(1, 2, 3, 4), false],
    ['an electorate without the leader', 'roster', users(2, 3, 4, 5), users(2, 3, 4, 5), false],
    ['a minority as electorate', 'roster', users(1, 2, 3), users(1, 2, 3, 4), false],
    ['nobody', 'roster', SEVEN, [], false],

    ['all of three', 'online', users(1, 2, 3), users(1, 2, 3), true],
    ['two of three', 'online', users(1, 2, 3), users(2, 3), true],
    ['one of three', 'online', users(1, 2, 3), users(1), false],
    ['one of three, twice', 'online', users(1, 2, 3), users(1, 1), false],
    ['a voter outside the electorate', 'online', users(1, 2, 3), users(1, 2, 4), false],
    ['two of less than minOnline', 'online', users(1, 2), users(1, 2), false],
    ['two named twice to be enough', 'online', users(1, 2, 2), users(1, 2), false],
    ['a majority of all', 'online', users(1, 2, 3, 4), users(1, 2, 3, 4), false],
    ['without the leader', 'online', users(2, 3, 4), users(2, 3, 4), false],
    ['with a stranger', 'online', [...users(1, 2), STRANGER], users(1, 2), false],
    ['nobody', 'online', users(1, 2, 3), [], false],
  ];

  it.each(CASES)('%s, in a %s epoch', (_, kind, electorate, ballots, elected) => {
    const epoch = { kind, leader: person(1).user, electorate };
    const cast = ballots.map((user) => ({ user }));
    expect(isElected(epoch, cast, SEVEN, 3)).toBe(elected);
  });
});

describe('an election proof', () => {
  const state = new CoreState(7);
  const proof = state.election('online', 4, person(1), users(1, 2, 3));

  test('is what it was', () => {
    expect(decodeElectionProof(hash, CHANNEL, encodeElectionProof(proof))).toEqual(proof);
  });

  test('names its electorate in any order, each once', () => {
    const electorate = [...users(3, 1, 2), person(1).user];
    const shuffled = { ...proof, epoch: { ...proof.epoch, electorate } };
    expect(decodeElectionProof(hash, CHANNEL, encodeElectionProof(shuffled))).toEqual(proof);
  });

  test('is of another epoch in another channel', () => {
    const other = 'ab'.repeat(32) as typeof CHANNEL;
    expect(decodeElectionProof(hash, other, encodeElectionProof(proof)).id).not.toBe(proof.id);
  });

  test('is refused where it is damaged', () => {
    const bytes = encodeElectionProof(proof);
    const decode = (b: Uint8Array) => () => decodeElectionProof(hash, CHANNEL, b);
    for (const length of [0, 39, 40, bytes.length - 1]) {
      expect(codeOf(decode(bytes.subarray(0, length)))).toBe('bad_encoding');
    }
    expect(codeOf(decode(Uint8Array.from([...bytes, 0])))).toBe('bad_encoding');
    const kind = Uint8Array.from(bytes);
    kind[40] = 2;
    expect(codeOf(decode(kind))).toBe('bad_encoding');
    expect(codeOf(() => decodeEpochBody(kind.subarray(40)))).toBe('bad_encoding');
  });
});
