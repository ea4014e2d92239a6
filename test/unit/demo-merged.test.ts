/** What the demo says of merges: a line for each leadership, and one for what bridged two leaders. */

import { expect, test } from 'vitest';
import { bridgedLine, type Merge, mergeLines } from '../../src/cli/demo/merged.js';
import type { UserId } from '../../src/core/ids.js';

const user = (name: string): UserId => name as UserId;
const nameOf = (id: string): string => id.toUpperCase();
const online = (leader: string, term: number) => ({
  ...{ kind: 'online' as const, term, leader: user(leader), entries: 0 },
  ...{ first: 1, last: 1 },
});
const merge = (seq: number, by: string, messages: number, leader: string, term: number) =>
  ({ seq, by: user(by), messages, branches: [online(leader, term)] }) as unknown as Merge;

test('parts of one leadership are one line', () => {
  const merges = [
    merge(9, 'a', 256, 'f', 12),
    merge(270, 'b', 184, 'f', 12),
    merge(500, 'b', 6, 'g', 14),
  ];
  expect(mergeLines(merges, nameOf)).toEqual([
    "440 messages, placed in F's online epoch of term 12, were merged by A at seq 9, by B at seq 270",
    "6 messages, placed in G's online epoch of term 14, were merged by B at seq 500",
  ]);
});

test('who led between two leaders is told, where somebody did', () => {
  const entry = { kind: 'merge', merge: { entries: 33, branches: [online('g', 10)] } };
  expect(bridgedLine([{ kind: 'message' }, { kind: 'epoch' }], nameOf)).toBeUndefined();
  expect(bridgedLine([{ kind: 'message' }, entry, entry], nameOf)).toContain(
    'had elected G: the 66 messages committed under G are merged',
  );
});
