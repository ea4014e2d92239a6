/**
 * What the checks of a history look up again and again, gathered once: who sent
 * what, and which message is known to be final where, and since when. Part of
 * the history checker; knows nothing of the implementation.
 */

import type { History, HistoryEntry, HistoryState, SendEvent } from './history.js';

/** Position in `history.events`; what the ends show comes after all of them. */
export type Moment = number;

/** One entry that somebody saw. */
export interface Sighting {
  readonly when: Moment;
  readonly node: number;
  readonly entry: HistoryEntry;
}

interface Sent {
  readonly event: SendEvent;
  readonly when: Moment;
}

/** A message known to be final. */
export interface FinalPlace {
  readonly id: string;
  readonly seq: number;
  /** When anybody first knew, and who. */
  readonly when: Moment;
  readonly node: number;
}

export interface Facts {
  readonly history: History;
  readonly sends: ReadonlyMap<string, Sent>;
  /** Every entry that anybody saw, in the order of the history. */
  readonly sightings: readonly Sighting[];
  /** Whenever anybody was given to know that a message is final somewhere. */
  readonly finalClaims: readonly FinalPlace[];
  /** The first claim for each seq, and for each message; 'final stays' compares the others. */
  readonly finalAt: ReadonlyMap<number, FinalPlace>;
  readonly finalOf: ReadonlyMap<string, FinalPlace>;
  /** Messages that surely came to be: seen by anyone, or told of as stored. */
  readonly existing: ReadonlySet<string>;
  /** When the removal of an author was first asked for. */
  readonly removals: ReadonlyMap<string, Moment>;
  readonly distrusted: ReadonlySet<string>;
}

/** What a later state promises, an earlier one does too; `withheld` stands aside. */
export const RANK: { readonly [S in HistoryState]: number } = {
  withheld: -1,
  queued: 0,
  sent: 1,
  committed: 2,
  final: 3,
};

export const isMessage = ({ kind }: HistoryEntry): boolean =>
  kind === undefined || kind === 'message';

export const majority = (of: number): number => Math.floor(of / 2) + 1;

/** Fewer nodes than this can never make a message committed (docs/PROTOCOL.md, "Elections"). */
export const committersMin = ({ members, minOnline = 3 }: History): number =>
  Math.min(majority(minOnline), majority(majority(members)));

/** Every entry that anybody saw, in the order of the history. */
function sightingsIn({ events, ends }: History): Sighting[] {
  const sightings: Sighting[] = [];
  for (let when = 0; when < events.length; when++) {
    const event = events[when]!;
    if (event.type === 'shown') sightings.push({ when, node: event.node, entry: event.entry });
    if (event.type !== 'read') continue;
    for (const entry of event.page) sightings.push({ when, node: event.node, entry });
  }
  for (const { node, log } of ends) {
    for (const entry of log) sightings.push({ when: events.length, node, entry });
  }
  return sightings;
}

/** Whenever anybody was given to know that a message is final somewhere. */
function finalClaimsIn({ events }: History, sightings: readonly Sighting[]): FinalPlace[] {
  const claims: FinalPlace[] = [];
  for (const [when, event] of events.entries()) {
    if (event.type !== 'told' || event.state !== 'final' || event.seq === null) continue;
    claims.push({ id: event.id, seq: event.seq, when, node: event.node });
  }
  for (const { when, node, entry } of sightings) {
    const { id, seq, state } = entry;
    if (state === 'final' && seq !== null) claims.push({ id, seq, when, node });
  }
  return claims;
}

export function keepFirst<K>(places: Map<K, FinalPlace>, key: K, place: FinalPlace): void {
  const known = places.get(key);
  if (!known || place.when < known.when) places.set(key, place);
}

export function factsOf(history: History): Facts {
  const sends = new Map<string, Sent>();
  const removals = new Map<string, Moment>();
  const existing = new Set<string>();
  for (const [when, event] of history.events.entries()) {
    if (event.type === 'send' && !sends.has(event.id)) sends.set(event.id, { event, when });
    if (event.type === 'told') existing.add(event.id);
    if (event.type === 'removal' && !removals.has(event.author)) removals.set(event.author, when);
  }
  const sightings = sightingsIn(history);
  for (const { entry } of sightings) existing.add(entry.id);
  const finalClaims = finalClaimsIn(history, sightings);
  const finalAt = new Map<number, FinalPlace>();
  const finalOf = new Map<string, FinalPlace>();
  for (const claim of finalClaims) {
    keepFirst(finalAt, claim.seq, claim);
    keepFirst(finalOf, claim.id, claim);
  }
  const distrusted = new Set(history.distrusted);
  const seen = { sightings, finalClaims, finalAt, finalOf, existing };
  return { history, sends, ...seen, removals, distrusted };
}

/** For messages: when this was, where. */
export function stamp({ events }: History, when: Moment): string {
  const event = events[when];
  return event ? `at ${event.at} ms` : 'at the end';
}
