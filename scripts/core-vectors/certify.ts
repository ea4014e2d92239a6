/** Certificates that were rightly signed by whom the case names, or changed afterwards. */

import { alice, bob, type Context, carol, dave, erin, id, leadership } from './common.js';
import {
  type Actor,
  certificate,
  chainNext,
  type Fields,
  type Hex,
  signed,
  statement,
} from './encoding.js';

/** A roster as far as certificates need it. */
const rosterOf = (number: number, voting: readonly Actor[], others: readonly Actor[] = []) => ({
  channel: id('channel'),
  number,
  hash: id(`roster ${number}`),
  members: [...voting, ...others].map((a) => ({ user: a.user, votes: voting.includes(a) })),
});
export const ROSTERS = {
  one: rosterOf(0, [alice]),
  two: rosterOf(3, [alice, bob]),
  waiting: rosterOf(2, [alice], [bob]),
  five: rosterOf(7, [alice, bob, carol, dave, erin], []),
};
type RosterName = keyof typeof ROSTERS;

export const contextOf = (name: RosterName): Context => ({
  channel: ROSTERS[name].channel,
  roster: ROSTERS[name].number,
  rosterHash: ROSTERS[name].hash,
});

export const SEQ = 10;
export const headerAt = (seq: number, roster: number, change: Fields = {}): Fields => ({
  ...leadership,
  roster,
  digest: id(`record ${seq}`),
  ...change,
});

export interface CertOptions {
  /** Who acknowledged, and up to where. */
  readonly acks: readonly (readonly [Actor, number])[];
  readonly roster?: RosterName;
  readonly kind?: 'committed' | 'final';
  readonly epochKind?: 'roster' | 'online';
  /** The leadership that was acknowledged. */
  readonly under?: { readonly epoch: Hex; readonly term: number };
  /** What its statements say instead. */
  readonly said?: Fields;
  /** What it says itself, after it was signed. */
  readonly change?: Fields;
  readonly head?: Fields;
  readonly links?: number;
}

/** A certificate, final unless it says otherwise, over the entry at seq 10, with the chain hash at each position after it. */
export function certOf({
  acks,
  roster = 'five',
  kind = 'final',
  epochKind = 'roster',
  under = leadership,
  said = {},
  change = {},
  head = {},
  links = 0,
}: CertOptions) {
  const context = contextOf(roster);
  const headers = Array.from({ length: links + 1 }, (_, i) =>
    headerAt(SEQ + i, context.roster, { ...under, ...(i === 0 ? head : {}) }),
  );
  const hashes: Hex[] = [];
  for (const [i, header] of headers.entries()) {
    hashes.push(chainNext(hashes.at(-1) ?? id('chain 9'), SEQ + i, header));
  }
  const statementAt = (seq: number): Hex =>
    statement('ack', {
      ...context,
      kind: epochKind,
      ...under,
      seq,
      hash: hashes[seq - SEQ] ?? id('nothing'),
      ...said,
    });
  const fields: Fields = {
    kind,
    epochKind,
    ...context,
    ...under,
    seq: SEQ,
    prevHash: id('chain 9'),
    head: headers[0],
    links: headers.slice(1),
    acks: acks.map(([by, seq]) => ({ user: by.user, seq, sig: signed(by, statementAt(seq)) })),
    ...change,
  };
  return {
    roster,
    fields,
    bytes: certificate(fields),
    point: { seq: SEQ, hash: hashes[0]! },
    statements: acks.map(([, seq]) => statementAt(seq)),
  };
}

export const THREE = [
  [alice, SEQ],
  [bob, SEQ],
  [carol, SEQ],
] as const;
export const SPREAD = [
  [alice, SEQ],
  [bob, SEQ + 1],
  [carol, SEQ + 3],
] as const;
