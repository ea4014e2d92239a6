/**
 * Checks of a history that look at order in time: each author's messages in
 * the order in which they were sent, final places in an order that real time
 * allows, and what a cut network allows. Part of the history checker; knows
 * nothing of the implementation.
 */

import type { CutEvent, HistoryEntry } from './history.js';
import { committersMin, type Facts, type Moment, majority, RANK, stamp } from './history-facts.js';

/** For each message the last one before it, of the same author, that came to be. */
function predecessors({ sends, existing, removals, distrusted }: Facts): Map<string, string> {
  const found = new Map<string, string>();
  for (const { event } of sends.values()) {
    if (distrusted.has(event.author) || removals.has(event.author)) continue;
    let id = event.prev;
    while (typeof id === 'string' && !existing.has(id)) id = sends.get(id)?.event.prev;
    if (typeof id === 'string') found.set(event.id, id);
  }
  return found;
}

/**
 * Each author's messages stand in the order in which they were sent, and none
 * is shown as more than the one before it; one whose predecessor is missing is
 * not shown as more than sent.
 */
export function authorOrder(facts: Facts): string[] {
  const { history, finalOf } = facts;
  const problems: string[] = [];
  const before = predecessors(facts);
  for (const { id, seq } of finalOf.values()) {
    const prev = before.get(id);
    if (prev === undefined) continue;
    const place = finalOf.get(prev);
    if (!place) problems.push(`${id} is final at seq ${seq}, and ${prev}, sent before it, nowhere`);
    else if (place.seq > seq) {
      problems.push(`${prev} was sent before ${id}, and they are final at ${place.seq} and ${seq}`);
    }
  }
  const checkPage = (page: readonly HistoryEntry[], from: number, what: string): void => {
    const passed = new Map<string, number>();
    for (const { id, state } of page) {
      const rank = RANK[state];
      passed.set(id, rank);
      const prev = state === 'final' ? undefined : before.get(id);
      if (prev === undefined || (finalOf.get(prev)?.seq ?? from) < from) continue;
      const of = passed.get(prev) ?? (page.some((e) => e.id === prev) ? undefined : RANK.sent);
      if (of === undefined)
        problems.push(`${what} shows ${id} before ${prev}, which was sent first`);
      else if (of < rank) {
        problems.push(`${what} shows ${id} as ${state}, and ${prev}, sent before it, as less`);
      }
    }
  };
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'read')
      checkPage(event.page, event.from ?? 1, `node ${event.node} ${stamp(history, when)}`);
  }
  for (const { node, log } of history.ends) checkPage(log, 1, `node ${node} at the end`);
  return problems;
}

/**
 * The log is a linearizable list under appends: a message that was sent after
 * another was known to be final stands behind it. (Readings are not
 * linearizable: each shows a prefix of that list, see `monotoneReads` and
 * `readsItsOwn`.)
 */
export function realTimeOrder({ history, sends, finalAt }: Facts): string[] {
  const problems: string[] = [];
  let earliest: { id: string; seq: number; when: Moment } | undefined;
  for (const place of [...finalAt.values()].sort((a, b) => b.seq - a.seq)) {
    const sent = sends.get(place.id);
    if (sent && earliest && earliest.when < sent.when) {
      problems.push(
        `${place.id} was sent ${stamp(history, sent.when)}, when ${earliest.id} was known to be final at seq ${earliest.seq}, and is final at seq ${place.seq}`,
      );
    }
    if (!earliest || place.when < earliest.when) earliest = place;
  }
  return problems;
}

/** What was known about messages while the network was cut. */
interface CutWindow {
  readonly cut: CutEvent;
  readonly from: Moment;
  readonly to: Moment;
}

function windows({ history }: Facts): CutWindow[] {
  const found: CutWindow[] = [];
  for (const [from, cut] of history.events.entries()) {
    if (cut.type !== 'cut') continue;
    const over = history.events.findIndex(
      ({ type }, i) => i > from && (type === 'heal' || type === 'cut'),
    );
    found.push({ cut, from, to: over < 0 ? history.events.length : over });
  }
  return found;
}

/** What happened to one message within one window. */
interface Sign {
  readonly id: string;
  readonly rank: number;
  readonly node: number;
  readonly when: Moment;
}

/** What nodes told and showed, while the network was cut, of messages that were sent since. */
function signsIn({ history, sends }: Facts, { from, to }: CutWindow): Sign[] {
  const signs: Sign[] = [];
  const note = (id: string, rank: number, node: number, when: Moment): void => {
    const sent = sends.get(id);
    if (sent && sent.when > from && sent.when < to) signs.push({ id, rank, node, when });
  };
  for (let when = from + 1; when < to; when++) {
    const event = history.events[when]!;
    if (event.type === 'told') note(event.id, RANK[event.state], event.node, when);
    if (event.type === 'shown') note(event.entry.id, RANK[event.entry.state], event.node, when);
    if (event.type !== 'read') continue;
    for (const { id, state } of event.page) note(id, RANK[state], event.node, when);
  }
  return signs;
}

/**
 * While the network is cut, what is sent on one side is seen on that side
 * alone, becomes final only where more than half of the members are, and
 * committed only where enough are to commit. A side that can commit does, and
 * all of it see so.
 */
export function cutsHold(facts: Facts): string[] {
  // Where some may have left, nobody knows here how many are enough to go on.
  const areAll = facts.removals.size === 0;
  return windows(facts).flatMap((window) => [
    ...leaks(facts, window),
    ...(areAll ? idle(facts, window) : []),
  ]);
}

function leaks(facts: Facts, window: CutWindow): string[] {
  const { history, sends, removals } = facts;
  const membersMin = history.members - removals.size;
  const sideOf = new Map(window.cut.sides.flatMap((side) => side.nodes.map((n) => [n, side])));
  const problems: string[] = [];
  for (const { id, rank, node, when } of signsIn(facts, window)) {
    const side = sideOf.get(sends.get(id)!.event.node);
    if (!side || !sideOf.has(node)) continue;
    const what = `${id}, sent among nodes ${side.nodes.join(', ')} after they were cut off`;
    if (sideOf.get(node) !== side) {
      problems.push(`${what}, is seen by node ${node} ${stamp(history, when)}`);
    }
    const size = side.nodes.length;
    if (rank === RANK.final && size < majority(membersMin)) {
      problems.push(`${what}, is final ${stamp(history, when)} without a majority`);
    } else if (rank === RANK.committed && size < committersMin(history)) {
      problems.push(`${what}, is committed ${stamp(history, when)} by too few`);
    }
  }
  return problems;
}

function idle(facts: Facts, window: CutWindow): string[] {
  const { sends } = facts;
  const signs = signsIn(facts, window).filter(({ rank }) => rank >= RANK.committed);
  return window.cut.sides.flatMap(({ nodes, commits }) => {
    if (!commits) return [];
    const own = signs.filter(({ id }) => nodes.includes(sends.get(id)!.event.node));
    const lacking = nodes.filter((n) => !own.some(({ node }) => node === n));
    if (lacking.length === 0) return [];
    return `nodes ${nodes.join(', ')}, cut off at ${window.cut.at} ms, should commit among themselves; node ${lacking[0]} saw nothing committed`;
  });
}
