/** What a reader of the log is told of merges: when all that one moved was seen, and where that is. */

import { describe, expect, it, test } from 'vitest';
import type { Entry } from '../../src/core/layout.js';
import { RECORD_BODY_BYTES_MAX } from '../../src/core/limits.js';
import { encodeMergeBody } from '../../src/core/merge-record.js';
import { Merges, sinceMerge } from '../../src/node/merges.js';
import { digestOf, epochOf, person, recordBy } from './fixtures/channel.js';

const LEADER = person(1);
const BRANCH = { kind: 'online', term: 3, leader: person(2).user, entries: 2 } as const;

/** `m` a message, `e` an `epoch` record, `j` a change of membership, a digit a merge of so many. */
function logOf(kinds: string): Entry[] {
  return [...kinds].map((kind, i): Entry => {
    const seq = i + 1;
    const isMerge = /\d/.test(kind);
    const body = isMerge
      ? encodeMergeBody({
          entries: Number(kind),
          branches: [{ ...BRANCH, epoch: epochOf('x'), warrant: new Uint8Array(0) }],
        })
      : new Uint8Array(kind === 'M' ? RECORD_BODY_BYTES_MAX : 0);
    const name = isMerge ? 'merge' : kind === 'e' ? 'epoch' : kind === 'j' ? 'join' : 'message';
    const record = recordBy(LEADER, { n: seq, kind: kind === '!' ? 'merge' : name, body });
    const header = { epoch: epochOf('e'), term: 4, roster: 1, digest: record.digest };
    return { seq, header, hash: digestOf(`${seq}`), record, proof: new Uint8Array(0) };
  });
}

/** What is told, as `seq:first-last` of the merge behind the entry, or before it, where it is told. */
function toldIn(kinds: string, from = 1): string[] {
  const merges = new Merges();
  return logOf(kinds)
    .slice(from - 1)
    .flatMap((entry) => {
      const { before, with: merged } = merges.take(entry);
      return [
        ...(before ? [`before ${entry.seq} ${before.seq}:${before.first}-${before.last}`] : []),
        ...(merged ? [`with ${entry.seq} ${merged.seq}:${merged.first}-${merged.last}`] : []),
      ];
    });
}

describe('a merge is told', () => {
  it.each<[string, string, string[]]>([
    ['with the last message that it moved', 'm2mmm', ['with 4 2:3-4']],
    ['one after the other', '2mm1mm', ['with 3 1:2-3', 'with 5 4:5-5']],
    ['before the epoch that ends it early', '3mmemm', ['before 4 1:2-3']],
    ['before the next merge', '3m1m', ['before 3 1:2-2', 'with 4 3:4-4']],
    ['before a change of membership', '2mjm', ['before 3 1:2-2']],
    ['not where it moved nothing', '2e1m', ['with 4 3:4-4']],
    ['not before it is over', '3mm', []],
    ['not for what is no merge', 'mem!mm', []],
  ])('%s', (_, log, told) => {
    expect(toldIn(log)).toEqual(told);
  });

  test('with who merged, how many, and where from', () => {
    const merges = new Merges();
    const found = logOf('2mm').map((entry) => merges.take(entry).with);
    expect(found).toEqual([
      null,
      null,
      { seq: 1, by: LEADER.user, entries: 2, first: 2, last: 3, branches: [BRANCH] },
    ]);
  });
});

describe('who begins in the middle', () => {
  const since = async (log: string, last = log.length) => {
    async function* backwards() {
      yield* logOf(log).slice(0, last).reverse();
    }
    return (await sinceMerge(backwards())).map(({ seq }) => seq);
  };

  it.each<[string, string, number[]]>([
    ['finds the merge that runs', 'me3mm', [3, 4, 5]],
    ['finds one that is over, and tells it by counting', '1mmm', [1, 2, 3, 4]],
    ['stops at an epoch', '3me', []],
    ['stops at a change of membership', '3mjm', []],
    ['finds none where there is none', 'mmm', []],
    ['stops behind more than a merge moves', '9MMMM', []],
  ])('%s', async (_, log, found) => {
    expect(await since(log)).toEqual(found);
  });
});
