/** What simulated runs write down: cuts of the network, and enough for each check to have something to judge. */

import { beforeAll, describe, expect, it } from 'vitest';
import {
  type CheckName,
  checkHistory,
  type Fault,
  type History,
  type HistoryEntry,
  type HistoryEvent,
  simulate,
} from '../../src/testing/index.js';
import { CutRecorder, sidesLeft } from '../../src/testing/record-cuts.js';
import { CALM } from '../../src/testing/weather.js';

/** Both directions of each pair. */
const both = (...pairs: [number, number][]): [number, number][] =>
  pairs.flatMap(([a, b]): [number, number][] => [
    [a, b],
    [b, a],
  ]);

const sides = (nodes: number, pairs: readonly [number, number][]): number[][] =>
  sidesLeft(nodes, (a, b) => pairs.some(([x, y]) => x === a && y === b));

describe('sides that blocks leave', () => {
  it.each([
    ['no blocks', 3, [], [[0, 1, 2]]],
    [
      'halves',
      4,
      both([0, 2], [0, 3], [1, 2], [1, 3]),
      [
        [0, 1],
        [2, 3],
      ],
    ],
    ['a bridge between two', 3, both([0, 2]), [[0, 1, 2]]],
    ['one direction only', 2, [[0, 1]] as [number, number][], [[0, 1]]],
    ['all alone', 3, both([0, 1], [0, 2], [1, 2]), [[0], [1], [2]]],
  ])('%s', (_what, nodes, pairs, expected) => {
    expect(sides(nodes, pairs)).toStrictEqual(expected);
  });

  it('are cut and healed as blocks come and go', () => {
    const cuts = new CutRecorder(3);
    const time = { at: 0, until: 0 };
    const block = (...pairs: [number, number][]): Fault => ({ ...time, kind: 'block', pairs });
    const split: Fault = { ...time, kind: 'relay-split', sides: [[0], [1, 2]], reset: false };
    const half = block([0, 1], [1, 0]);
    const away = block(...both([0, 1], [0, 2]));
    const cut = { type: 'cut', sides: [{ nodes: [0] }, { nodes: [1, 2] }] };
    expect(cuts.change(1, half, 1)).toBeUndefined();
    expect(cuts.change(2, away, 1)).toStrictEqual({ ...cut, at: 2 });
    expect(cuts.change(3, half, -1)).toBeUndefined();
    expect(cuts.change(4, away, -1)).toStrictEqual({ type: 'heal', at: 4 });
    expect(cuts.change(5, split, 1)).toStrictEqual({ ...cut, at: 5 });
    expect(cuts.over(6)).toStrictEqual({ type: 'heal', at: 6 });
    expect(cuts.over(7)).toBeUndefined();
  });

  it('are none while a relay lies', () => {
    const cuts = new CutRecorder(2);
    const time = { at: 0, until: 0 };
    const away: Fault = { ...time, kind: 'block', pairs: both([0, 1]) };
    const rates = { drop: 0, late: 0, lateMs: 0, replay: 0, forge: 0, rumour: 0 };
    const lies = { ...rates, censored: [] };
    const liar: Fault = { ...time, kind: 'lying-relay', relay: 0, lies, restarts: false };
    expect(cuts.change(1, liar, 1)).toBeUndefined();
    expect(cuts.change(2, away, 1)).toBeUndefined();
    expect(cuts.change(3, liar, -1)).toMatchObject({ type: 'cut', at: 3 });
    expect(cuts.change(4, liar, 1)).toStrictEqual({ type: 'heal', at: 4 });
  });
});

const pairs = [0, 1, 2].flatMap((a) => both([a, 3], [a, 4], [a, 5]));
const split: Fault = { kind: 'block', at: 6_000, until: 12_000, pairs };
const crash: Fault = { kind: 'crash', node: 1, inWrite: false, at: 13_000, until: 14_000 };

/** Six nodes, cut 3 | 3 while both sides send. */
async function historyOfSplit(): Promise<History> {
  let history: History | undefined;
  const result = await simulate({
    seed: 11,
    nodes: 6,
    minOnline: 3,
    quorum: 'online',
    weather: CALM,
    early: false,
    faults: [split, crash],
    workload: { everyMs: 200, changes: [] },
    loadMs: 12_000,
    onHistory: (h) => {
      history = h;
    },
  });
  expect(result.violation).toBeUndefined();
  return history!;
}

type End = History['ends'][number]['log'];

const withEnd = (h: History, node: number, change: (log: End) => End): History => ({
  ...h,
  ends: h.ends.map((end) => (end.node === node ? { node, log: change(end.log) } : end)),
});

/** Changes the first event that fits. */
function withEvent<T extends HistoryEvent>(
  h: History,
  fits: (event: HistoryEvent) => event is T,
  change: (event: T) => HistoryEvent[],
): History {
  const at = h.events.findIndex(fits);
  expect(at).toBeGreaterThanOrEqual(0);
  return { ...h, events: h.events.toSpliced(at, 1, ...change(h.events[at] as T)) };
}

type Read = Extract<HistoryEvent, { type: 'read' }>;
type Told = Extract<HistoryEvent, { type: 'told' }>;
type Send = Extract<HistoryEvent, { type: 'send' }>;

const isPage =
  (fits: (page: Read['page']) => boolean) =>
  (event: HistoryEvent): event is Read =>
    event.type === 'read' && fits(event.page);
const isFinal = (e: { seq: number | null }): boolean => e.seq !== null;
const isTold = (event: HistoryEvent): event is Told =>
  event.type === 'told' && event.state === 'final';
const isSend = (event: HistoryEvent): event is Send => event.type === 'send';
const isMessage = (e: HistoryEntry): boolean => e.kind === undefined;

/** What could have gone wrong in that run, and which check must see it. */
const DAMAGE: readonly (readonly [string, CheckName, (h: History) => History])[] = [
  [
    'a node lacks the newest message',
    'no loss',
    (h) => withEnd(h, 2, (l) => l.slice(0, l.findLastIndex(isMessage))),
  ],
  [
    'a node lacks an entry in the middle',
    'no holes',
    (h) => withEnd(h, 2, (l) => l.toSpliced(9, 1)),
  ],
  [
    'a node has two entries in another order',
    'no holes',
    (h) => withEnd(h, 4, (l) => l.toSpliced(8, 2, l[9]!, l[8]!)),
  ],
  [
    'two nodes have two entries at one place',
    'final stays',
    (h) => withEnd(h, 4, (l) => l.toSpliced(8, 1, { ...l[8]!, id: l[9]!.id })),
  ],
  [
    'a message is in the log twice',
    'no duplicates',
    (h) => withEnd(h, 0, (l) => [...l, { ...l.findLast(isMessage)!, seq: l.length + 1 }]),
  ],
  [
    'a message changes on its way',
    'no invention',
    (h) => withEnd(h, 0, (l) => l.map((e) => (isMessage(e) ? { ...e, content: 'other' } : e))),
  ],
  ['a message comes from nowhere', 'no invention', (h) => withEvent(h, isSend, () => [])],
  [
    'a page lacks its newest entry',
    'reads its own',
    (h) => {
      const { id, node } = h.events.find(isTold)!;
      const shows = (e: HistoryEvent): e is Read =>
        e.type === 'read' && e.node === node && e.page.some((p) => p.id === id && isFinal(p));
      return withEvent(h, shows, (e) => [{ ...e, page: e.page.filter((p) => p.id !== id) }]);
    },
  ],
  [
    'a page shows what was committed as sent',
    'monotone reads',
    (h) => {
      const committed = (page: Read['page']) => page.some((e) => e.state === 'committed');
      return withEvent(h, isPage(committed), (e) => [
        e,
        { ...e, page: e.page.map((p) => (isFinal(p) ? p : { ...p, state: 'sent' as const })) },
      ]);
    },
  ],
  [
    'a page is read again from before',
    'monotone reads',
    (h) =>
      withEvent(
        h,
        isPage((page) => page.some(isFinal)),
        (e) => [e, { ...e, page: [] }],
      ),
  ],
  [
    'a sender is told of another place',
    'final stays',
    (h) => withEvent(h, isTold, (e) => [{ ...e, seq: e.seq! + 1 }]),
  ],
  [
    'a sender is told final, then committed',
    'states grow',
    (h) => withEvent(h, isTold, (e) => [e, { ...e, state: 'committed', seq: null }]),
  ],
  [
    'messages that are not final change places',
    'moves are announced',
    (h) =>
      withEvent(
        h,
        isPage((page) => page.filter((e) => e.state === 'committed').length > 1),
        (e) => [
          e,
          {
            ...e,
            page: [...e.page.filter(isFinal), ...e.page.filter((p) => !isFinal(p)).reverse()],
          },
        ],
      ),
  ],
  [
    'an author is shown in another order',
    'author order',
    (h) => {
      const [first, second] = h.events.filter(isSend).filter(({ node }) => node === 0);
      return withEvent(h, isSend, () => [
        ...h.events.filter((e) => e === second).map((e) => ({ ...(e as Send), prev: null })),
        { ...first!, prev: second!.id },
      ]);
    },
  ],
  [
    'a message is final before it was sent',
    'real-time order',
    (h) => {
      const last = h.ends[0]!.log.findLast(isMessage)!;
      const told = { type: 'read', at: 0, node: 0, from: 1, page: [last] } as const;
      return { ...h, events: [told, ...h.events] };
    },
  ],
  [
    'the cut leaks',
    'cuts hold',
    (h) => {
      const cut = h.events.findIndex(({ type }) => type === 'cut');
      const sent = h.events.findIndex((e, i) => i > cut && isSend(e) && e.node === 0);
      const { at, id, author } = h.events[sent] as Send;
      const page = [{ id, author, seq: null, state: 'sent' }] as const;
      const leak: Read = { type: 'read', at, node: 5, page };
      return { ...h, events: h.events.toSpliced(sent + 1, 0, leak) };
    },
  ],
  ['the policy is another', 'committed is final', (h) => ({ ...h, quorum: 'roster' })],
];

describe('the history of a run', () => {
  let history: History;
  beforeAll(async () => {
    history = await historyOfSplit();
  });

  it('has everything that the checks look at', () => {
    const { events, ends, members } = history;
    expect([members, ends.length]).toStrictEqual([6, 6]);
    const types = new Set(events.map(({ type }) => type));
    for (const type of ['send', 'told', 'read', 'start', 'crash', 'cut', 'heal'] as const) {
      expect(types).toContain(type);
    }
    const states = (type: 'told' | 'read'): string[] =>
      events.flatMap((e) => {
        if (e.type !== type) return [];
        return e.type === 'told' ? [e.state] : (e as Read).page.map(({ state }) => state);
      });
    for (const state of ['queued', 'sent', 'committed', 'final']) {
      expect(states('told')).toContain(state);
      expect(states('read')).toContain(state);
    }
  });

  it('shows that both sides of a cut commit', () => {
    const commit = (e: HistoryEvent): HistoryEvent =>
      e.type === 'cut' ? { ...e, sides: e.sides.map((s) => ({ ...s, commits: true })) } : e;
    expect(checkHistory({ ...history, events: history.events.map(commit) })).toStrictEqual([]);
  });

  it.each(DAMAGE)('is refused if %s: %s', (_what, check, damage) => {
    const checks = checkHistory(damage(history)).map((problem) => problem.check);
    expect(checks).toContain(check);
  });
});
