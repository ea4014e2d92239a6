/**
 * Checks of a history that look at the log itself: what is final stays and is
 * the same for all, nothing is lost, doubled or invented. Part of the history
 * checker (check-history.ts); knows nothing of the implementation.
 */

import type { HistoryEntry, HistoryState } from './history.js';
import {
  committersMin,
  type Facts,
  type FinalPlace,
  isMessage,
  keepFirst,
  type Moment,
  majority,
  RANK,
  stamp,
} from './history-facts.js';

/** What was told or shown as final at a seq is there for ever, for everyone, and has a seq. */
export function finalStays(facts: Facts): string[] {
  const { history, sends, sightings, finalClaims, finalAt, finalOf, distrusted } = facts;
  const problems: string[] = [];
  for (const { id, seq, when, node } of finalClaims) {
    const there = finalAt.get(seq)!;
    if (there.id !== id) {
      const first = `${there.id} (node ${there.node}, ${stamp(history, there.when)})`;
      problems.push(`seq ${seq} is ${first} and is ${id} for node ${node} ${stamp(history, when)}`);
    }
    const other = finalOf.get(id)!;
    // One who is not trusted may have given one name to two messages.
    if (other.seq !== seq && !distrusted.has(sends.get(id)?.event.author ?? '')) {
      const claim = `node ${node} ${stamp(history, when)}`;
      problems.push(`${id} is final at seq ${other.seq} and, for ${claim}, at seq ${seq}`);
    }
  }
  for (const { when, node, entry } of sightings) {
    const { id, seq, state } = entry;
    if ((state === 'final') === (seq !== null)) continue;
    problems.push(`node ${node} shows ${id} as ${state} with seq ${seq} ${stamp(history, when)}`);
  }
  return problems;
}

interface Acknowledged {
  readonly id: string;
  readonly state: HistoryState;
  readonly when: Moment;
  readonly author: string;
  readonly node: number;
}

/** The best that anyone was given to know of each message. */
function acknowledgements({ history, sightings, sends }: Facts): Iterable<Acknowledged> {
  const best = new Map<string, Acknowledged>();
  const note = (id: string, state: HistoryState, when: Moment, node: number): void => {
    const sent = sends.get(id);
    const known = best.get(id);
    if (!sent || RANK[known?.state ?? 'withheld'] >= RANK[state]) return;
    best.set(id, { id, state, when, node, author: sent.event.author });
  };
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'told') note(event.id, event.state, when, event.node);
  }
  for (const { entry, when, node } of sightings) {
    if (RANK[entry.state] >= RANK.committed) note(entry.id, entry.state, when, node);
  }
  return best.values();
}

/** The nodes that came back with an old or empty disk after a moment, and those that were gone for good at any time. */
function forgetfulSince({ history }: Facts): (when: Moment) => ReadonlySet<number> {
  const starts: { when: Moment; node: number }[] = [];
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'start' && (event.memory ?? 'kept') !== 'kept')
      starts.push({ when, node: event.node });
    // What it helped to make final others may say when it is gone already.
    if (event.type === 'gone') starts.push({ when: history.events.length, node: event.node });
  }
  return (when) => new Set(starts.filter((s) => s.when > when).map((s) => s.node));
}

/**
 * No acknowledged message is lost. What anybody was told is committed or final
 * is in the logs at the end, and so is what a node called stored, if the run
 * came to rest and the node kept its disk. Excepted: what was not final when
 * its author was to be removed, and what only those who lost their disks held, or are gone for good.
 */
export function noLoss(facts: Facts): string[] {
  const { history, removals, distrusted } = facts;
  const settled = history.settled ?? true;
  const forgetful = forgetfulSince(facts);
  const ends = history.ends.map(({ node, log }) => ({
    node,
    rank: new Map(log.map(({ id, state }) => [id, RANK[state]])),
  }));
  // Those who stay may have it and not its certificate, and be too few to make another.
  const isLeft = history.events.some(({ type }) => type === 'gone');
  const least = isLeft ? RANK.queued : RANK.committed;
  const problems: string[] = [];
  for (const { id, state, when, author, node } of acknowledgements(facts)) {
    const rank = RANK[state];
    const isFinal = rank === RANK.final;
    const isCommitted = rank === RANK.committed;
    if (distrusted.has(author) || (!isFinal && removals.has(author))) continue;
    const forgot = forgetful(when);
    // What only those held who forgot or are not trusted, nobody may have.
    if (
      forgot.size + distrusted.size >=
      (isFinal ? majority(history.members) : committersMin(history))
    )
      continue;
    if (!isFinal && !isCommitted && (!settled || forgot.has(node))) continue;
    const said = `node ${node} said ${stamp(history, when)} that ${id} is ${state}`;
    const lacking = ends.find(({ rank: of }) => (of.get(id) ?? -1) < RANK.final);
    if (settled && lacking) {
      problems.push(`${said}; it is not final at the end for node ${lacking.node}`);
    } else if (ends.every(({ rank: of }) => (of.get(id) ?? -1) < Math.min(rank, least))) {
      problems.push(`${said}; no node holds it at the end`);
    }
  }
  return problems;
}

/** Nothing appears twice in a page, or twice as final for one reader. */
export function noDuplicates({ history, sends, distrusted }: Facts): string[] {
  const problems: string[] = [];
  const isTrusted = (id: string): boolean => !distrusted.has(sends.get(id)?.event.author ?? '');
  const checkPage = (page: readonly HistoryEntry[], node: number, when: Moment): void => {
    const seen = new Set<string>();
    for (const { id } of page) {
      if (seen.has(id) && isTrusted(id))
        problems.push(`node ${node} shows ${id} twice ${stamp(history, when)}`);
      seen.add(id);
    }
  };
  const shown = new Set<string>();
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'read') checkPage(event.page, event.node, when);
    if (event.type !== 'shown' || event.entry.state !== 'final') continue;
    const key = `${event.reader}\n${event.entry.id}`;
    if (shown.has(key) && isTrusted(event.entry.id)) {
      problems.push(
        `reader ${event.reader} is shown ${event.entry.id} twice as final ${stamp(history, when)}`,
      );
    }
    shown.add(key);
  }
  for (const { node, log } of history.ends) checkPage(log, node, history.events.length);
  return problems;
}

/** Every message was sent before it was seen, by its author, with that content. */
export function noInvention({ history, sightings, sends, distrusted }: Facts): string[] {
  const problems: string[] = [];
  for (const { when, node, entry } of sightings) {
    const { id, author, content } = entry;
    if (!isMessage(entry) || distrusted.has(author)) continue;
    const sent = sends.get(id);
    const sight = (): string => `node ${node} shows ${id} ${stamp(history, when)}`;
    if (!sent || sent.when > when) {
      problems.push(`${sight()}, and nobody had sent it`);
      continue;
    }
    if (sent.event.author !== author) {
      problems.push(`${sight()} as ${author}'s, and it was ${sent.event.author} who sent it`);
    }
    const was = sent.event.content;
    if (content !== undefined && was !== undefined && content !== was) {
      problems.push(`${sight()} with another content than it was sent with`);
    }
  }
  for (const event of history.events) {
    if (event.type === 'told' && !sends.has(event.id)) {
      problems.push(`node ${event.node} told of ${event.id}, and nobody had sent it`);
    }
  }
  return problems;
}

/** How many of ascending numbers are below `limit`. */
function countBelow(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Final entries come first in every page, in log order, and none between two of them is left out. */
export function noHoles({ history, sightings }: Facts): string[] {
  const problems: string[] = [];
  const known = new Set<number>();
  for (const { entry } of sightings) if (entry.seq !== null) known.add(entry.seq);
  const sorted = [...known].sort((a, b) => a - b);
  const order = new Map(sorted.map((seq, i) => [seq, i]));
  const checkPage = (page: readonly HistoryEntry[], from: number, what: () => string): void => {
    let next = countBelow(sorted, from);
    let over = false;
    for (const { id, seq } of page) {
      if (seq === null) {
        over = true;
        continue;
      }
      if (over) problems.push(`${what()}: ${id} is final and stands behind what is not`);
      const at = order.get(seq)!;
      if (at !== next) problems.push(`${what()}: seq ${seq} comes out of order, or behind a hole`);
      next = at + 1;
    }
  };
  const readers = new Map<string, number>();
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'read')
      checkPage(
        event.page,
        event.from ?? 1,
        () => `the page of node ${event.node} ${stamp(history, when)}`,
      );
    if (event.type !== 'shown' || event.entry.seq === null) continue;
    const { reader, entry } = event;
    const at = order.get(entry.seq!)!;
    const before = readers.get(reader);
    if (before !== undefined && at !== before + 1) {
      problems.push(
        `reader ${reader} ${stamp(history, when)}: seq ${entry.seq} comes out of order, or behind a hole`,
      );
    }
    readers.set(reader, at);
  }
  for (const { node, log } of history.ends)
    checkPage(log, 1, () => `the log that node ${node} ends with`);
  return problems;
}

/** Once at rest, all nodes show the same. */
export function equalEnds({ history }: Facts): string[] {
  if (history.settled === false) return [];
  const text = (e: HistoryEntry | undefined): string =>
    e ? `${e.id} (${e.seq ?? 'no seq'}, ${e.state})` : 'nothing';
  const [one, ...others] = history.ends;
  return others.flatMap(({ node, log }) => {
    const length = Math.max(log.length, one!.log.length);
    for (let i = 0; i < length; i++) {
      const [here, there] = [log[i], one!.log[i]];
      if (here?.id === there?.id && here?.seq === there?.seq && here?.state === there?.state)
        continue;
      return `entry ${i + 1} is ${text(here)} for node ${node} and ${text(there)} for node ${one!.node}`;
    }
    return [];
  });
}

/** With `quorum: 'roster'`, committed and final are one: nothing is ever less than final and more than sent. */
export function committedIsFinal({ history, sightings }: Facts): string[] {
  if (history.quorum !== 'roster') return [];
  const problems: string[] = [];
  for (const event of history.events) {
    if (event.type === 'told' && event.state === 'committed') {
      problems.push(`node ${event.node} told at ${event.at} ms that ${event.id} is committed`);
    }
  }
  for (const { when, node, entry } of sightings) {
    if (entry.state === 'committed')
      problems.push(`node ${node} shows ${entry.id} as committed ${stamp(history, when)}`);
  }
  return problems;
}

/** Nothing is withheld but of authors that were to be removed, and nobody calls so what it knew to be final. */
export function withheldAfterRemoval({
  history,
  sightings,
  sends,
  removals,
  finalClaims,
}: Facts): string[] {
  const problems: string[] = [];
  const known = new Map<string, FinalPlace>();
  for (const claim of finalClaims) keepFirst(known, `${claim.node} ${claim.id}`, claim);
  const check = (id: string, author: string | undefined, when: Moment, node: number): void => {
    const asked = author === undefined ? undefined : removals.get(author);
    const what = `node ${node} calls ${id} withheld ${stamp(history, when)}`;
    if (asked === undefined || asked > when) problems.push(`${what}; its author was not removed`);
    const final = known.get(`${node} ${id}`);
    if (final && final.when < when) problems.push(`${what}; it is final at seq ${final.seq}`);
  };
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'told' && event.state === 'withheld')
      check(event.id, sends.get(event.id)?.event.author, when, event.node);
  }
  for (const { when, node, entry } of sightings) {
    if (entry.state === 'withheld') check(entry.id, entry.author, when, node);
  }
  return problems;
}
