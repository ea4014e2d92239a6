/** Which links a command takes (docs/PROTOCOL.md, section "Links and routes"). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LinkId } from '../../src/core/presence.js';
import { chooseLinks } from '../../src/core/route.js';
import { person } from './fixtures/channel.js';

const NAMES = ['a', 'b', 'c', 'd'];
const userOf = (name: string) => person(1 + NAMES.indexOf(name)).user;

/** `reach` names, for each link, whom it reaches: `{1: 'ab'}`. */
type Reach = { readonly [link: number]: string };

const chosen = (targets: string, links: readonly LinkId[], reach: Reach): LinkId[] =>
  chooseLinks([...targets].map(userOf), links, (link, user) =>
    [...(reach[link] ?? '')].some((name) => userOf(name) === user),
  );

const TABLE: readonly [string, string, LinkId[], Reach, LinkId[]][] = [
  ['no link at all', 'ab', [], {}, []],
  ['one link that reaches all', 'ab', [1], { 1: 'ab' }, [1]],
  ['one link that reaches some', 'ab', [1], { 1: 'a' }, [1]],
  ['one link that reaches nobody', 'ab', [1], {}, [1]],
  ['both links reach all: the preferred one', 'ab', [1, 2], { 1: 'ab', 2: 'ab' }, [1]],
  ['both links reach all, in another order of preference', 'ab', [2, 1], { 1: 'ab', 2: 'ab' }, [2]],
  ['a only over 1, b only over 2', 'ab', [1, 2], { 1: 'a', 2: 'b' }, [1, 2]],
  ['a only over 1, b over both', 'ab', [1, 2], { 1: 'ab', 2: 'b' }, [1]],
  ['a over both, b only over 2', 'ab', [1, 2], { 1: 'a', 2: 'ab' }, [2]],
  ['only a, which is on 2 alone', 'a', [1, 2], { 1: 'b', 2: 'a' }, [2]],
  ['nobody known on any link: all are tried', 'ab', [1, 2], {}, [1, 2]],
  ['whom it is for unknown, others known: all are tried', 'c', [1, 2], { 1: 'a', 2: 'b' }, [1, 2]],
  ['for nobody', '', [1, 2], { 1: 'a', 2: 'b' }, [1]],
  ['the first of three is of no use', 'ab', [1, 2, 3], { 1: '', 2: 'ab', 3: 'a' }, [2]],
  [
    'two of three do, though the third reaches most',
    'abcd',
    [3, 1, 2],
    { 1: 'ab', 2: 'cd', 3: 'bc' },
    [1, 2],
  ],
  ['three links, each needed', 'abc', [1, 2, 3], { 1: 'a', 2: 'b', 3: 'c' }, [1, 2, 3]],
  // Networks in which not everyone reaches everyone (docs/PROTOCOL.md, "Links and routes").
  ['who bridges both sides, for a member of one side', 'a', [1, 2], { 1: 'ab', 2: 'cd' }, [1]],
  ['who bridges both sides, for one of each', 'ad', [1, 2], { 1: 'ab', 2: 'cd' }, [1, 2]],
  ['who bridges both sides, for all', 'abcd', [1, 2], { 1: 'ab', 2: 'cd' }, [1, 2]],
  ['beside another bridge, which both links reach', 'abd', [1, 2], { 1: 'abc', 2: 'cd' }, [1, 2]],
  ['only the other bridge: one link will do', 'c', [2, 1], { 1: 'abc', 2: 'cd' }, [2]],
  ['one that hears and is not heard is on no link: no link for it', 'ab', [1, 2], { 1: 'a' }, [1]],
  ['all that is known is one-way: all are tried', 'b', [1, 2], { 1: 'a' }, [1, 2]],
  ['a link that went down is not there, whoever it reached', 'ab', [2], { 1: 'ab', 2: 'a' }, [2]],
  ['three relays in a row, the ends apart', 'ad', [1, 2, 3], { 1: 'ab', 2: 'bc', 3: 'cd' }, [1, 3]],
  ['one link makes two others needless', 'abc', [1, 2, 3], { 1: 'ab', 2: 'bc', 3: 'abc' }, [3]],
];

describe('chooseLinks', () => {
  it.each(TABLE)('%s', (_, targets, links, reach, expected) => {
    expect(chosen(targets, links, reach).sort()).toStrictEqual(expected.sort());
  });

  const situation = fc.record({
    targets: fc.subarray(NAMES).map((names) => names.join('')),
    links: fc.shuffledSubarray([1, 2, 3]),
    reach: fc.record({
      1: fc.subarray(NAMES).map((names) => names.join('')),
      2: fc.subarray(NAMES).map((names) => names.join('')),
      3: fc.subarray(NAMES).map((names) => names.join('')),
    }),
  });
  const reaches = (reach: Reach, links: readonly LinkId[], name: string) =>
    links.some((link) => reach[link]!.includes(name));

  it('reaches everyone whom some link reaches, over links that are up, each once', () => {
    fc.assert(
      fc.property(situation, ({ targets, links, reach }) => {
        const over = chosen(targets, links, reach);
        expect(new Set(over).size).toBe(over.length);
        expect(over.filter((link) => !links.includes(link))).toStrictEqual([]);
        for (const name of targets) {
          expect(reaches(reach, over, name), name).toBe(reaches(reach, links, name));
        }
        if (links.length > 0) expect(over.length).toBeGreaterThan(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes the fewest of two links, for any three users and any reach', () => {
    const subsets = ['', 'a', 'b', 'c', 'ab', 'ac', 'bc', 'abc'];
    let cases = 0;
    for (const links of [
      [1, 2],
      [2, 1],
    ]) {
      for (const targets of subsets) {
        for (const one of subsets) {
          for (const two of subsets) {
            const reach = { 1: one, 2: two };
            const known = [...targets].filter((name) => reaches(reach, links, name));
            if (known.length === 0) continue;
            const oneIsEnough = links.some((l) => known.every((name) => reaches(reach, [l], name)));
            expect(chosen(targets, links, reach)).toHaveLength(oneIsEnough ? 1 : 2);
            cases++;
          }
        }
      }
    }
    expect(cases).toBeGreaterThan(500);
  });
});
