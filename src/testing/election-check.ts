/** Who won an election, by which ballots: invariants 1 and 12 (docs/PROTOCOL.md, section "Invariants"). */

import type { Leadership } from '../core/channel-state.js';
import type { Verifier } from '../core/check-proof.js';
import { ballotSignatures } from '../core/epoch-record.js';
import type { Digest } from '../core/ids.js';
import type { KnownRoster } from './certificate-check.js';
import type { Break } from './chains.js';
import { isMore, type LeastOnline } from './counting.js';

/** Of a leadership that begins at a node. */
export type ElectionCheck = (node: number, least: LeastOnline, lead: Leadership) => void;

/** By more than half of the roster's voters, in an online epoch of its electorate, who voted under it and are as many as it asks for. */
export const electionCheck =
  (crypto: Verifier, rosters: ReadonlyMap<Digest, KnownRoster>, onBreak: Break): ElectionCheck =>
  (node, least, { epoch, ballots }) => {
    const { term, kind, electorate } = epoch;
    const known = rosters.get(epoch.rosterHash);
    if (!known) return;
    const { roster, voters } = known;
    const counted = new Set(ballots.map(({ user }) => user));
    const areGiven = ballotSignatures(crypto.sha256, { epoch, ballots }).every(crypto.isValid);
    const who = `node ${node} leads ${kind} term ${term}`;
    if (!areGiven || [...counted, ...electorate].some((user) => !voters.includes(user))) {
      onBreak('12 roster', `${who} by ballots of another roster`);
    }
    const among = kind === 'online' ? electorate : voters;
    const cast = [...counted].filter((user) => among.includes(user)).length;
    if (!isMore(cast, among.length)) {
      onBreak('1 one leader', `${who} by ${cast} of ${among.length} ballots`);
    }
    const { length } = electorate;
    if (kind === 'roster') return;
    if (length < least(roster.members.keys()) || isMore(length, voters.length)) {
      onBreak('12 roster', `${who} with an electorate of ${length} of ${voters.length}`);
    }
  };
