/**
 * What a member does that misbehaves: plain data, part of a plan of faults
 * (docs/simulation.md, "Members that misbehave"). misbehaviour.ts does it;
 * offences.ts says what it excuses.
 */

import { below, chance, type Draw, pick, sample } from './prng.js';

/** `often` is a probability for each command that leaves. */
export type Misdeed =
  /** These commands never leave; of `all` only beacons do. */
  | { readonly do: 'withhold'; readonly names: readonly string[] | 'all' }
  /** As a leader it takes in no messages of this node, or of no other node. */
  | { readonly do: 'censor'; readonly author: number | 'all' }
  /** Commands with something in them changed, and odd statements under its own signature. */
  | { readonly do: 'forge'; readonly often: number }
  /** What was said before, by itself or others, under its own name. */
  | { readonly do: 'replay'; readonly often: number }
  | { readonly do: 'false-certificates'; readonly often: number }
  | { readonly do: 'false-pages'; readonly often: number }
  /** Asks for changes of membership that nobody signed, or that it may not ask for. */
  | { readonly do: 'false-changes'; readonly often: number }
  /** Grants and votes for every candidate. */
  | { readonly do: 'two-votes' }
  /** Acknowledges whatever any leader proposes, at once, held or not. */
  | { readonly do: 'two-acks' }
  /** A second record at the same author, boot and `n`. */
  | { readonly do: 'two-records'; readonly often: number }
  /** As a leader it proposes one thing to some and another to others. */
  | { readonly do: 'two-places'; readonly often: number }
  /** Tells a member that lost memory of a log that it hasn't got. */
  | { readonly do: 'false-report' };

export type Deed = Misdeed['do'];

const WITHHELD: readonly (readonly string[] | 'all')[] = [
  'all',
  'all',
  ['ACK_CH_MSG'],
  ['ACK_CH_MSG', 'CH_GRANT', 'CH_VOTE'],
  ['CH_GRANT', 'CH_VOTE', 'CH_PREVOTE', 'CH_LEAD'],
  ['CH_APPEND', 'CH_MERGE'],
  ['CH_MSG'],
  ['CH_PULL', 'CH_APPEND', 'CH_MERGE', 'CH_ACK_REQ', 'CH_REPORT'],
];

/** Keeps silent, wholly or in part. */
export function drawSilence(draw: Draw): Misdeed[] {
  return [{ do: 'withhold', names: pick(draw, WITHHELD) }];
}

export function drawCensorship(draw: Draw, nodes: number, self: number): Misdeed[] {
  const author = (self + 1 + below(draw, nodes - 1)) % nodes;
  return [{ do: 'censor', author: chance(draw, 0.3) ? 'all' : author }];
}

const LIES = ['forge', 'replay', 'false-certificates', 'false-pages'] as const;

/** Says what proves nothing. */
export const drawLyingMember = (draw: Draw): Misdeed[] =>
  sample(draw, LIES, 1 + below(draw, LIES.length)).map((lie) => ({
    do: lie,
    often: 0.02 * 50 ** draw(),
  }));

/** Signs what contradicts itself. */
export function drawTwoFaces(draw: Draw): Misdeed[] {
  const kinds = ['two-votes', 'two-acks', 'two-records', 'two-places', 'false-report'] as const;
  return sample(draw, kinds, 1 + below(draw, 3)).map((kind): Misdeed => {
    if (kind === 'two-records' || kind === 'two-places')
      return { do: kind, often: 0.1 * 10 ** draw() };
    return { do: kind };
  });
}
