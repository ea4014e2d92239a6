/**
 * What a node may show that is cut off together with too few others: nothing
 * that it was given since is final, the other side knows none of it, and none
 * of it is lost. Committed it may be, if the few elected a leader of their own.
 */

import type { Json } from '../output.js';

export interface CutOff {
  readonly user: string;
  /** What the node's log shows now, entry by entry. */
  readonly log: readonly Json[];
  /** Lines it was given before the cut, and lines that were in its store before the log was read. */
  readonly handed: number;
  readonly posted: number;
  /** The most messages that were final for any node of this side when all had noticed the cut. */
  readonly finalThen: number;
  /** Those that are final for this node now. */
  readonly finalNow: number;
  /** The most of its messages that any node of the other side shows as final. */
  readonly knownElsewhere: number;
}

/** What is wrong; undefined when all is as it must be. */
export function isolation(node: CutOff): string | undefined {
  const { user, log, handed, posted, finalThen, finalNow, knownElsewhere } = node;
  const own = log.filter(({ from, kind }) => from === user && kind === 'message');
  const count = (wanted: string): number => own.filter(({ state }) => state === wanted).length;
  const final = count('final');
  const problems: readonly (readonly [boolean, string])[] = [
    [final > handed, 'shows what it was given after the cut as final'],
    [finalNow > finalThen, 'made messages final, with too few members'],
    [knownElsewhere > handed, 'got messages out'],
    [own.length < posted, 'lost messages'],
  ];
  return problems.find(([found]) => found)?.[1];
}
