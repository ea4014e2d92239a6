/**
 * The history checker judges a good history good, and each of its checks fails
 * on a history that breaks what it is for: the checker is only worth what it
 * refuses.
 */

import { describe, expect, it } from 'vitest';
import { CHECKS, type CheckName, checkHistory } from '../../src/testing/check-history.js';
import type {
  History,
  HistoryEntry,
  HistoryEvent,
  HistoryState,
} from '../../src/testing/history.js';
import { importsOf, readSource, sourceFiles } from '../unit/fixtures/source-tree.js';

type Brief = readonly [id: string, place: number | 'queued' | 'sent' | 'committed' | 'withheld'];

/** Who sent a message is the first letter of its name. */
const entry = ([id, place]: Brief): HistoryEntry => ({
  id,
  author: id[0]!,
  seq: typeof place === 'number' ? place : null,
  state: typeof place === 'number' ? 'final' : place,
});

const NODE: { readonly [author: string]: number } = { a: 0, b: 1, c: 2, d: 3 };

const send = (at: number, id: string, prev?: string | null): HistoryEvent => ({
  type: 'send',
  at,
  node: NODE[id[0]!]!,
  author: id[0]!,
  id,
  ...(prev === undefined ? {} : { prev }),
});
const told = (at: number, id: string, place: Brief[1]): HistoryEvent => {
  const { seq, state } = entry([id, place]);
  return { type: 'told', at, node: NODE[id[0]!]!, id, state, seq };
};
const read = (at: number, node: number, page: Brief[], from = 1): HistoryEvent => ({
  type: 'read',
  at,
  node,
  from,
  page: page.map(entry),
});
const shown = (at: number, reader: string, ...of: Brief): HistoryEvent => ({
  type: 'shown',
  at,
  node: 0,
  reader,
  entry: entry([...of]),
});
const start = (at: number, node: number, memory: 'kept' | 'old' = 'kept'): HistoryEvent => ({
  type: 'start',
  at,
  node,
  memory,
});

const history = (
  events: HistoryEvent[],
  end: Brief[] | Brief[][] = [],
  more: Partial<History> = {},
): History => {
  const logs = (Array.isArray(end[0]?.[0]) ? end : [end, end, end]) as Brief[][];
  const ends = logs.map((log, node) => ({ node, log: log.map(entry) }));
  return { quorum: 'online', members: 3, events, ends, ...more };
};

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

/** For each check, histories that break it. */
const BAD: { readonly [C in CheckName]: { readonly [what: string]: History } } = {
  'well formed': {
    'time that falls': history([send(2, 'a1'), told(1, 'a1', 'queued')]),
    'two sends of one name': history([send(1, 'a1'), send(2, 'a1')]),
    'a reading that leaves out': history([read(1, 0, [], 3)]),
    'told by another node': history([
      send(1, 'a1'),
      { ...told(2, 'a1', 'sent'), node: 2 } as HistoryEvent,
    ]),
  },
  'no loss': {
    'a final message that a node lacks at the end': history([send(1, 'a1'), told(2, 'a1', 1)], [
      [['a1', 1]],
      [],
      [['a1', 1]],
    ] as Brief[][]),
    'a committed message that is nowhere': history([send(1, 'a1'), told(2, 'a1', 'committed')]),
    'one that only a reader saw committed': history([
      send(1, 'a1'),
      read(2, 1, [['a1', 'committed']]),
    ]),
    'a stored message that never became final': history(
      [send(1, 'a1'), told(2, 'a1', 'queued')],
      [['a1', 'sent']],
    ),
    'a committed message that nobody holds, in a run that still went on': history(
      [send(1, 'a1'), told(2, 'a1', 'committed')],
      [],
      { settled: false },
    ),
    'a final message of an author who was removed later': history([
      send(1, 'a1'),
      told(2, 'a1', 1),
      { type: 'removal', at: 3, author: 'a' },
    ]),
    'a final message, when one of three lost its memory': history([
      send(1, 'a1'),
      told(2, 'a1', 1),
      start(3, 1, 'old'),
    ]),
  },
  'final stays': {
    'two messages at one seq': history([
      send(1, 'a1'),
      send(1, 'b1'),
      read(2, 0, [['a1', 1]]),
      read(3, 1, [['b1', 1]]),
    ]),
    'told at one seq, shown at another': history([send(1, 'a1'), told(2, 'a1', 1)], [['a1', 2]]),
    'a final entry without a seq': history([
      send(1, 'a1'),
      { type: 'told', at: 2, node: 0, id: 'a1', state: 'queued', seq: null },
      {
        type: 'read',
        at: 3,
        node: 0,
        page: [{ id: 'a1', author: 'a', seq: null, state: 'final' }],
      },
    ]),
    'a place that is not final': history([
      send(1, 'a1'),
      {
        type: 'read',
        at: 3,
        node: 0,
        page: [{ id: 'a1', author: 'a', seq: 4, state: 'committed' }],
      },
    ]),
  },
  'no duplicates': {
    'twice in a page': history([
      send(1, 'a1'),
      read(2, 0, [
        ['a1', 'committed'],
        ['a1', 'sent'],
      ]),
    ]),
    'twice at the end': history(
      [send(1, 'a1')],
      [
        ['a1', 1],
        ['a1', 2],
      ],
    ),
    'twice to one following reader': history([
      send(1, 'a1'),
      shown(2, 'tail', 'a1', 1),
      shown(3, 'tail', 'a1', 1),
    ]),
  },
  'no invention': {
    'a message that nobody sent': history([], [['a1', 1]]),
    'one that was sent only later': history([read(1, 0, [['b1', 'sent']]), send(2, 'b1')]),
    'one under another name': history([
      send(1, 'a1'),
      { type: 'read', at: 2, node: 0, page: [{ ...entry(['a1', 'sent']), author: 'b' }] },
    ]),
    'one with another content': history([
      { ...(send(1, 'a1') as object), content: 'x' } as HistoryEvent,
      { type: 'read', at: 2, node: 0, page: [{ ...entry(['a1', 'sent']), content: 'y' }] },
    ]),
    'told of what nobody sent': history([told(1, 'a1', 'sent')]),
  },
  'no holes': {
    'a page without a final entry in its middle': history(
      [
        ...['a1', 'a2', 'a3'].map((id) => send(1, id)),
        read(2, 1, [
          ['a1', 1],
          ['a3', 3],
        ]),
      ],
      [
        ['a1', 1],
        ['a2', 2],
        ['a3', 3],
      ],
    ),
    'a page without the first': history(
      [send(1, 'a1'), send(1, 'a2'), read(2, 1, [['a2', 2]])],
      [
        ['a1', 1],
        ['a2', 2],
      ],
    ),
    'final entries out of order': history([
      send(1, 'a1'),
      send(1, 'a2'),
      read(2, 1, [
        ['a2', 2],
        ['a1', 1],
      ]),
    ]),
    'a final entry behind what is not': history([
      send(1, 'a1'),
      send(1, 'b2'),
      read(2, 1, [
        ['b2', 'sent'],
        ['a1', 1],
      ]),
    ]),
    'a following reader who misses one': history(
      [
        ...['a1', 'a2', 'a3'].map((id) => send(1, id)),
        shown(2, 'tail', 'a1', 1),
        shown(2, 'tail', 'a3', 3),
      ],
      [
        ['a1', 1],
        ['a2', 2],
        ['a3', 3],
      ],
    ),
  },
  'monotone reads': {
    'a log that gets shorter': history([send(1, 'a1'), read(2, 1, [['a1', 1]]), read(3, 1, [])]),
    'committed that becomes sent': history([
      send(1, 'a1'),
      read(2, 1, [['a1', 'committed']]),
      read(3, 1, [['a1', 'sent']]),
    ]),
    'committed that vanishes over a restart': history([
      send(1, 'a1'),
      read(2, 1, [['a1', 'committed']]),
      { type: 'crash', at: 3, node: 1 },
      start(4, 1),
      read(5, 1, []),
    ]),
  },
  'reads its own': {
    'told final, and not in the log': history([send(1, 'a1'), told(2, 'a1', 1), read(3, 0, [])]),
    'told committed, shown as sent': history([
      send(1, 'a1'),
      told(2, 'a1', 'committed'),
      read(3, 0, [['a1', 'sent']]),
    ]),
    'told stored, shown nowhere': history([send(1, 'a1'), told(2, 'a1', 'queued'), read(3, 0, [])]),
    'a reading that began later': history([
      send(1, 'a1'),
      told(2, 'a1', 1),
      { ...(read(5, 0, []) as object), began: 3 } as HistoryEvent,
    ]),
  },
  'states grow': {
    'from committed to sent': history([
      send(1, 'a1'),
      told(2, 'a1', 'committed'),
      told(3, 'a1', 'sent'),
    ]),
    'from final to committed': history([
      send(1, 'a1'),
      told(2, 'a1', 1),
      told(3, 'a1', 'committed'),
    ]),
    'a following reader for whom it shrinks': history([
      send(1, 'a1'),
      shown(2, 'tail', 'a1', 'committed'),
      shown(3, 'tail', 'a1', 'sent'),
    ]),
    'from withheld to sent': history([
      send(1, 'a1'),
      { type: 'removal', at: 2, author: 'a' },
      told(3, 'a1', 'withheld'),
      told(4, 'a1', 'sent'),
    ]),
  },
  'moves are announced': {
    'committed messages that change places': history([
      send(1, 'a1'),
      send(1, 'b1'),
      read(2, 2, [
        ['a1', 'committed'],
        ['b1', 'committed'],
      ]),
      read(3, 2, [
        ['b1', 'committed'],
        ['a1', 'committed'],
      ]),
    ]),
    'that were announced to others': history([
      send(1, 'a1'),
      send(1, 'b1'),
      read(2, 2, [
        ['a1', 'sent'],
        ['b1', 'sent'],
      ]),
      { type: 'merged', at: 3, node: 1 },
      read(4, 2, [
        ['b1', 'sent'],
        ['a1', 'sent'],
      ]),
    ]),
  },
  'author order': {
    'final in the wrong order': history(
      [send(1, 'a1', null), send(2, 'a2', 'a1')],
      [
        ['a2', 1],
        ['a1', 2],
      ],
    ),
    'final without its predecessor': history(
      [send(1, 'a1', null), told(1, 'a1', 'queued'), send(2, 'a2', 'a1')],
      [['a2', 1]],
    ),
    'the same over one that was never stored': history(
      [send(1, 'a1', null), send(2, 'a2', 'a1'), send(3, 'a3', 'a2')],
      [
        ['a3', 1],
        ['a1', 2],
      ],
    ),
    'shown before its predecessor': history([
      send(1, 'a1', null),
      send(2, 'a2', 'a1'),
      read(3, 1, [
        ['a2', 'sent'],
        ['a1', 'sent'],
      ]),
    ]),
    'shown as more than its predecessor': history([
      send(1, 'a1', null),
      send(2, 'a2', 'a1'),
      read(3, 1, [
        ['a1', 'sent'],
        ['a2', 'committed'],
      ]),
    ]),
    'shown as committed, its predecessor missing': history([
      send(1, 'a1', null),
      told(1, 'a1', 'queued'),
      send(2, 'a2', 'a1'),
      read(3, 1, [['a2', 'committed']]),
    ]),
  },
  'real-time order': {
    'sent after another was told final, and before it in the log': history(
      [send(1, 'a1'), told(2, 'a1', 5), send(3, 'b1')],
      [
        ['b1', 4],
        ['a1', 5],
      ],
    ),
    'the same after a mere reader saw it final': history(
      [send(1, 'a1'), read(2, 2, [['a1', 5]]), send(3, 'b1')],
      [
        ['b1', 4],
        ['a1', 5],
      ],
    ),
  },
  'cuts hold': {
    'seen on the other side': history([
      { type: 'cut', at: 1, sides: [{ nodes: [0] }, { nodes: [1, 2] }] },
      send(2, 'a1'),
      read(3, 1, [['a1', 'sent']]),
    ]),
    'final without a majority': history(
      [
        { type: 'cut', at: 1, sides: [{ nodes: [0, 1] }, { nodes: [2, 3] }] },
        send(2, 'a1'),
        told(3, 'a1', 1),
      ],
      [['a1', 1]],
      { members: 4 },
    ),
    'committed by one alone': history([
      { type: 'cut', at: 1, sides: [{ nodes: [0] }, { nodes: [1, 2] }] },
      send(2, 'a1'),
      read(3, 0, [['a1', 'committed']]),
    ]),
    'a side where nothing is committed': history([
      { type: 'cut', at: 1, sides: [{ nodes: [0, 1], commits: true }] },
      send(2, 'a1'),
      told(3, 'a1', 'committed'),
      { type: 'heal', at: 4 },
      read(5, 1, [['a1', 'committed']]),
    ]),
  },
  'committed is final': {
    'told committed': history([send(1, 'a1'), told(2, 'a1', 'committed')], [], {
      quorum: 'roster',
    }),
    'shown committed': history([send(1, 'a1'), read(2, 1, [['a1', 'committed']])], [], {
      quorum: 'roster',
    }),
  },
  'withheld after removal': {
    'of an author whom nobody removed': history([send(1, 'a1'), told(2, 'a1', 'withheld')]),
    'of a message that is final': history(
      [send(1, 'a1'), { type: 'removal', at: 2, author: 'a' }, read(3, 1, [['a1', 'withheld']])],
      [['a1', 1]],
    ),
  },
  'equal ends': {
    'one log is longer': history([send(1, 'a1')], [[['a1', 1]], [], [['a1', 1]]] as Brief[][]),
    'what is not final differs': history([send(1, 'a1')], [
      [['a1', 'sent']],
      [['a1', 'sent']],
      [['a1', 'committed']],
    ] as Brief[][]),
  },
};

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

it('has a history that fails for every check', () => {
  expect(Object.keys(BAD)).toStrictEqual(Object.keys(CHECKS));
});
