/** Histories that break one promise each, and what they are built of. Who sent a message is the first letter of its name. */

import type { CheckName } from '../../src/testing/check-history.js';
import type { History, HistoryEntry, HistoryEvent } from '../../src/testing/history.js';

export type Brief = readonly [
  id: string,
  place: number | 'queued' | 'sent' | 'committed' | 'withheld',
];

export const entry = ([id, place]: Brief): HistoryEntry => ({
  id,
  author: id[0]!,
  seq: typeof place === 'number' ? place : null,
  state: typeof place === 'number' ? 'final' : place,
});

const NODE: { readonly [author: string]: number } = { a: 0, b: 1, c: 2, d: 3 };

export const send = (at: number, id: string, prev?: string | null): HistoryEvent => ({
  type: 'send',
  at,
  node: NODE[id[0]!]!,
  author: id[0]!,
  id,
  ...(prev === undefined ? {} : { prev }),
});
export const told = (at: number, id: string, place: Brief[1]): HistoryEvent => {
  const { seq, state } = entry([id, place]);
  return { type: 'told', at, node: NODE[id[0]!]!, id, state, seq };
};
export const read = (at: number, node: number, page: Brief[], from = 1): HistoryEvent => ({
  type: 'read',
  at,
  node,
  from,
  page: page.map(entry),
});
export const shown = (at: number, reader: string, ...of: Brief): HistoryEvent => ({
  type: 'shown',
  at,
  node: 0,
  reader,
  entry: entry([...of]),
});
export const start = (at: number, node: number, memory: 'kept' | 'old' = 'kept'): HistoryEvent => ({
  type: 'start',
  at,
  node,
  memory,
});

export const history = (
  events: HistoryEvent[],
  end: Brief[] | Brief[][] = [],
  more: Partial<History> = {},
): History => {
  const logs = (Array.isArray(end[0]?.[0]) ? end : [end, end, end]) as Brief[][];
  const ends = logs.map((log, node) => ({ node, log: log.map(entry) }));
  return { quorum: 'online', members: 3, events, ends, ...more };
};

/** For each check, histories that break it. */
export const BAD: { readonly [C in CheckName]: { readonly [what: string]: History } } = {
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
    'a final message, when one of three is gone': history([
      send(1, 'a1'),
      told(2, 'a1', 1),
      { type: 'gone', at: 3, node: 1 },
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
    'of a message that the node knew to be final': history([
      send(1, 'a1'),
      { type: 'removal', at: 2, author: 'a' },
      read(3, 1, [['a1', 1]]),
      read(4, 1, [['a1', 'withheld']]),
    ]),
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
