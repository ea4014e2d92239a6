/**
 * The history checker judges a good history good, and each of its checks fails
 * on a history that breaks what it is for: the checker is only worth what it
 * refuses.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CHECKS, checkHistory } from '../../src/testing/check-history.js';
import { FAULT_KINDS, LOSSY_KINDS, RARE_KINDS } from '../../src/testing/faults.js';
import type {
  History,
  HistoryEntry,
  HistoryEvent,
  HistoryState,
} from '../../src/testing/history.js';
import { importsOf, readSource, sourceFiles } from '../unit/fixtures/source-tree.js';
import {
  BAD,
  type Brief,
  entry,
  history,
  read,
  send,
  shown,
  start,
  told,
} from './history-cases.js';

const problems = (h: History): string[] => checkHistory(h).map(({ check }) => check);

/** A day in the life of a channel that keeps its promises. */
const good = history(
  [
    send(1, 'a1', null),
    told(2, 'a1', 'queued'),
    send(2, 'b1', null),
    read(3, 0, [['a1', 'queued']]),
    told(4, 'a1', 'committed'),
    told(4, 'b1', 'sent'),
    read(5, 0, [
      ['a1', 'committed'],
      ['b1', 'sent'],
    ]),
    shown(5, 'tail', 'a1', 'committed'),
    send(6, 'a2', 'a1'),
    { type: 'crash', at: 6, node: 0 },
    start(7, 0),
    { type: 'changed', at: 8, node: 0 },
    told(8, 'b1', 1),
    read(9, 0, [
      ['b1', 1],
      ['a1', 'committed'],
    ]),
    shown(9, 'tail 2', 'b1', 1),
    read(
      10,
      0,
      [
        ['a1', 2],
        ['a2', 3],
      ],
      2,
    ),
    shown(10, 'tail 2', 'a1', 2),
    told(11, 'a2', 3),
    read(11, 1, [['b1', 1]]),
  ],
  [
    ['b1', 1],
    ['a1', 2],
    ['a2', 3],
  ],
);

describe('the history checker', () => {
  it('finds nothing wrong with a good history', () => {
    expect(checkHistory(good)).toStrictEqual([]);
  });

  it('takes a history that went through JSON', () => {
    expect(checkHistory(JSON.parse(JSON.stringify(good)))).toStrictEqual([]);
    const bad = BAD['no loss']['a committed message that is nowhere']!;
    expect(checkHistory(JSON.parse(JSON.stringify(bad)))).toStrictEqual(checkHistory(bad));
  });

  for (const [check, histories] of Object.entries(BAD)) {
    it.each(Object.entries(histories))(`${check}: refuses %s`, (_what, bad) => {
      expect(problems(bad)).toContain(check);
    });
  }

  it('names what happened, where and when', () => {
    expect(checkHistory(BAD['monotone reads']['committed that becomes sent']!)).toContainEqual({
      check: 'monotone reads',
      message: 'node 1 shows a1 as sent at 3 ms, and showed it as committed before',
    });
  });

  it('imports nothing but its own parts', () => {
    const parts = sourceFiles().filter((f) => /^testing\/(history|check-history)/.test(f));
    expect(parts.length).toBe(7);
    for (const part of parts) {
      for (const imported of importsOf(readSource(part)))
        expect(imported).toMatch(/^\.\/history(-\w+)?\.js$/);
    }
  });
});

describe('the history checker excuses', () => {
  const none = (h: History): void => expect(checkHistory(h)).toStrictEqual([]);

  it('what was not final when its author was to be removed', () => {
    none(
      history([
        send(1, 'a1'),
        told(2, 'a1', 'committed'),
        { type: 'removal', at: 3, author: 'a' },
        told(4, 'a1', 'withheld'),
        read(5, 0, []),
      ]),
    );
  });

  it('what a node forgot with its disk, and what it stored and told nobody', () => {
    none(
      history([
        send(1, 'a1'),
        told(2, 'a1', 'queued'),
        read(2, 0, [['a1', 'queued']]),
        start(3, 0, 'old'),
        read(4, 0, []),
      ]),
    );
  });

  it('a committed message, once all who may have held it lost their memory', () => {
    const events = [send(1, 'a1'), told(2, 'a1', 'committed'), start(3, 1, 'old')];
    expect(problems(history(events))).toContain('no loss');
    none(history([...events, start(4, 2, 'old')]));
  });

  it('a message that goes back from sent to queued', () => {
    none(
      history(
        [
          send(1, 'a1'),
          told(2, 'a1', 'sent'),
          read(2, 0, [['a1', 'sent']]),
          told(3, 'a1', 'queued'),
          read(4, 0, [['a1', 'queued']]),
        ],
        [['a1', 1]],
      ),
    );
  });

  it('a reading that began before its node told', () => {
    none(
      history(
        [
          send(1, 'a1'),
          told(4, 'a1', 1),
          { ...(read(5, 0, []) as object), began: 3 } as HistoryEvent,
        ],
        [['a1', 1]],
      ),
    );
  });

  it('two sides of a cut that both commit, and an order of commits that changes when they merge', () => {
    const sides = [
      { nodes: [0, 1], commits: true },
      { nodes: [2, 3], commits: true },
    ];
    none(
      history(
        [
          { type: 'cut', at: 1, sides },
          send(2, 'c1'),
          told(3, 'c1', 'committed'),
          send(4, 'a1'),
          told(5, 'a1', 'committed'),
          read(6, 1, [['a1', 'committed']]),
          read(6, 3, [['c1', 'committed']]),
          { type: 'heal', at: 7 },
          { type: 'merged', at: 8, node: 3 },
          read(9, 3, [
            ['a1', 'committed'],
            ['c1', 'committed'],
          ]),
        ],
        [
          ['a1', 1],
          ['c1', 2],
        ],
        { members: 4, minOnline: 2 },
      ),
    );
  });

  it('authors that do as they like, but never two logs', () => {
    const events = [read(1, 0, [['a1', 'sent']]), read(2, 0, [])];
    none(history(events, [['a1', 1]], { distrusted: ['a'] }));
    const two = history(events, [[['a1', 1]], [['a2', 1]]] as Brief[][], { distrusted: ['a'] });
    expect(problems(two)).toContain('final stays');
  });

  it.each(['committed', 'sent'] as const satisfies HistoryState[])(
    'entries that take a place and nobody sent (%s beside them)',
    (state) => {
      const epoch: HistoryEntry = { id: 'e', author: 'd', seq: 1, state: 'final', kind: 'epoch' };
      const h = history(
        [send(1, 'a1'), { type: 'read', at: 2, node: 0, page: [epoch, entry(['a1', state])] }],
        [],
      );
      const log = [epoch, entry(['a1', 2])];
      none({ ...h, ends: [{ node: 0, log }] });
    },
  );
});

describe('every check', () => {
  it('has a history on which it fails', () => {
    expect(Object.keys(BAD)).toStrictEqual(Object.keys(CHECKS));
  });

  it('is in docs/testing.md, and so is every kind of fault', () => {
    const page = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
    expect(listed).toEqual(
      expect.arrayContaining([
        ...Object.keys(CHECKS),
        ...FAULT_KINDS,
        ...LOSSY_KINDS,
        ...RARE_KINDS,
      ]),
    );
  });
});
