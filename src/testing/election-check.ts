/**
 * Invariants 1 and 12 of a leadership that begins: by more than half of the
 * roster's voters, in an online epoch of its electorate, who voted under it;
 * and in an online epoch by an electorate that is large enough for that roster,
 * and at most half of it.
 */

import type { Leadership } from '../core/channel-state.js';
import type { Verifier } from '../core/check-proof.js';
import { ballotSignatures } from '../core/epoch-record.js';
import type { KnownRoster } from './certificate-check.js';
import type { Break } from './chains.js';
import { isMore, type LeastOnline } from './counting.js';

export function checkElection(
  { sha256, isValid }: Verifier,
  index: number,
  { epoch, ballots }: Pick<Leadership, 'epoch' | 'ballots'>,
  { roster, voters }: KnownRoster,
  leastOnline: LeastOnline,
  broke: Break,
): void {
  const { term, kind, electorate } = epoch;
  const counted = new Set(ballots.map(({ user }) => user));
  const areGiven = ballotSignatures(sha256, { epoch, ballots }).every(isValid);
  const who = `node ${index} leads ${kind} term ${term}`;
  if (!areGiven || [...counted, ...electorate].some((user) => !voters.includes(user))) {
    broke('12 roster', `${who} by ballots of another roster`);
  }
  const among = kind === 'online' ? electorate : voters;
  const cast = [...counted].filter((user) => among.includes(user)).length;
  if (!isMore(cast, among.length)) {
    broke('1 one leader', `${who} by ${cast} of ${among.length} ballots`);
  }
  if (kind === 'roster') return;
  const { length } = electorate;
  if (length < leastOnline(roster.members.keys()) || isMore(length, voters.length)) {
    broke('12 roster', `${who} with an electorate of ${length} of ${voters.length}`);
  }
}
