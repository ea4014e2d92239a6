/**
 * Checks of a history that follow one reader or one sender: pages never go
 * back, what moves is announced, one reads one's own messages, states grow.
 * Part of the history checker; knows nothing of the implementation.
 */

import type { HistoryEntry, HistoryEvent, HistoryState, ReadEvent, StartEvent } from './history.js';
import { type Facts, type Moment, RANK, stamp } from './history-facts.js';

/** Something that later readings at the same node must still show. */
interface Promised {
  readonly id: string;
  readonly rank: number;
  readonly at: number;
}

const forgets = (event: HistoryEvent): event is StartEvent =>
  event.type === 'start' && (event.memory ?? 'kept') !== 'kept';

/** Whether what was known at time `at` binds a reading: only if that began later. */
const binds = (read: ReadEvent, at: number): boolean => read.began === undefined || at < read.began;

const indexOf = (page: readonly HistoryEntry[]): Map<string, HistoryEntry> =>
  new Map(page.map((entry) => [entry.id, entry]));

/** How a page shows less of a message than was promised; undefined if it does not. */
function shownLess(
  { finalOf, removals, sends, distrusted }: Facts,
  read: ReadEvent,
  when: Moment,
  page: ReadonlyMap<string, HistoryEntry>,
  { id, rank }: Promised,
): string | undefined {
  const entry = page.get(id);
  const author = sends.get(id)?.event.author ?? entry?.author ?? '';
  if (distrusted.has(author)) return undefined;
  const removal = removals.get(author);
  if (rank < RANK.final && removal !== undefined && removal < when) return undefined;
  // What a leader has, and loses, goes back to the queue.
  const needed = rank < RANK.committed ? RANK.queued : rank;
  if (entry) return RANK[entry.state] >= needed ? undefined : `as ${entry.state}`;
  const place = finalOf.get(id);
  return place && place.seq < (read.from ?? 1) ? undefined : 'no more';
}

/**
 * What a node showed it shows again: the final log only grows, and a message
 * once shown as committed is not shown as less later, across restarts too,
 * unless the disk was lost.
 */
export function monotoneReads(facts: Facts): string[] {
  const { history } = facts;
  const problems: string[] = [];
  const floors = new Map<
    number,
    { finals: { seq: number; at: number }[]; promised: Map<string, Promised> }
  >();
  for (const [when, event] of history.events.entries()) {
    if (forgets(event)) floors.delete(event.node);
    if (event.type !== 'read') continue;
    const { node, page, at } = event;
    const floor = floors.get(node) ?? { finals: [], promised: new Map<string, Promised>() };
    floors.set(node, floor);
    const shown = indexOf(page);
    const last = page.findLast(({ seq }) => seq !== null)?.seq ?? (event.from ?? 1) - 1;
    const least = floor.finals.findLast((f) => binds(event, f.at))?.seq ?? 0;
    if (last < least) {
      const now = `final up to ${last} ${stamp(history, when)}`;
      problems.push(`node ${node} shows its log as ${now}, and showed it up to ${least} before`);
    }
    if (last > (floor.finals.at(-1)?.seq ?? 0)) floor.finals.push({ seq: last, at });
    for (const promised of floor.promised.values()) {
      const less = binds(event, promised.at)
        ? shownLess(facts, event, when, shown, promised)
        : undefined;
      if (less)
        problems.push(
          `node ${node} shows ${promised.id} ${less} ${stamp(history, when)}, and showed it as committed before`,
        );
    }
    for (const { id, state } of page) {
      if (state === 'final' || state === 'withheld') floor.promised.delete(id);
      else if (state === 'committed' && !floor.promised.has(id))
        floor.promised.set(id, { id, rank: RANK.committed, at });
    }
  }
  return problems;
}

/** A reading that began after its node told how far a message is shows it at least so. */
export function readsItsOwn(facts: Facts): string[] {
  const { history } = facts;
  const problems: string[] = [];
  const told = new Map<number, Map<string, Promised>>();
  for (const [when, event] of history.events.entries()) {
    if (forgets(event)) told.delete(event.node);
    if (event.type === 'told') {
      const { node, id, state, at } = event;
      const mine = told.get(node) ?? new Map<string, Promised>();
      told.set(node, mine);
      const rank = RANK[state];
      if (rank > (mine.get(id)?.rank ?? -1)) mine.set(id, { id, rank, at });
    }
    if (event.type !== 'read') continue;
    const mine = told.get(event.node);
    if (!mine) continue;
    const shown = indexOf(event.page);
    for (const promised of mine.values()) {
      if (!binds(event, promised.at)) continue;
      const less = shownLess(facts, event, when, shown, promised);
      if (less)
        problems.push(
          `node ${event.node} shows ${promised.id} ${less} ${stamp(history, when)}, and told its sender more`,
        );
      else if (shown.get(promised.id)?.state === 'final') mine.delete(promised.id);
    }
  }
  return problems;
}

/** What a sender is told of a message, and what a following reader is shown of it, only grows. */
export function statesGrow({ history, removals, sends, distrusted }: Facts): string[] {
  const problems: string[] = [];
  /** The best so far, for each who was told or shown, of each message. */
  const best = new Map<string, Map<string, HistoryState>>();
  for (const [when, event] of history.events.entries()) {
    if (forgets(event)) best.delete(`the sender at node ${event.node}`);
    if (event.type !== 'told' && event.type !== 'shown') continue;
    const { id, state } = event.type === 'told' ? event : event.entry;
    const author = sends.get(id)?.event.author ?? '';
    if (distrusted.has(author)) continue;
    const who =
      event.type === 'told' ? `the sender at node ${event.node}` : `reader ${event.reader}`;
    const mine = best.get(who) ?? new Map<string, HistoryState>();
    best.set(who, mine);
    const before = mine.get(id);
    if (before === undefined || RANK[state] > RANK[before] || state === 'withheld') {
      if (before !== 'withheld' || state === 'final') mine.set(id, state);
    }
    if (before === undefined || state === before) continue;
    const removal = removals.get(author);
    const mayFall = state === 'withheld' && removal !== undefined && removal < when;
    const falls = RANK[before] >= RANK.committed && RANK[state] < RANK[before] && !mayFall;
    // Others may have held a warrant.
    if (falls || (before === 'withheld' && state !== 'final')) {
      problems.push(`${id} is ${state} for ${who} ${stamp(history, when)}, and was ${before}`);
    }
  }
  return problems;
}

/** Where two pages of a node disagree about the order of what is final in neither, it was told before. */
export function movesAreAnnounced({ history, distrusted }: Facts): string[] {
  const problems: string[] = [];
  const last = new Map<number, { page: readonly HistoryEntry[]; at: number; announced: boolean }>();
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'start') last.delete(event.node);
    if (event.type === 'merged' || event.type === 'changed') {
      const before = last.get(event.node);
      if (before) before.announced = true;
    }
    if (event.type !== 'read') continue;
    const before = last.get(event.node);
    if (before && binds(event, before.at) && !before.announced) {
      const moved = firstMoved(before.page, event.page, distrusted);
      if (moved)
        problems.push(
          `node ${event.node} shows ${moved} elsewhere ${stamp(history, when)} and did not say that anything moved`,
        );
    }
    last.set(event.node, { page: event.page, at: event.at, announced: false });
  }
  return problems;
}

/** The first entry, final in neither page and the same in both, that others changed places with. */
function firstMoved(
  before: readonly HistoryEntry[],
  now: readonly HistoryEntry[],
  distrusted: ReadonlySet<string>,
): string | undefined {
  const then = indexOf(before.filter((e) => e.seq === null && !distrusted.has(e.author)));
  const isSame = (e: HistoryEntry): boolean => e.seq === null && then.get(e.id)?.state === e.state;
  const same = now.filter(isSame);
  const inBoth = new Set(same.map(({ id }) => id));
  const order = [...then.keys()].filter((id) => inBoth.has(id));
  return same.find(({ id }, i) => id !== order[i])?.id;
}
