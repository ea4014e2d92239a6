/** What a node that is cut off may show: nothing that it was given since is committed, nothing is lost. */

import type { Json } from '../output.js';

export interface CutOff {
  readonly user: string;
  /** What the node's log shows now, entry by entry. */
  readonly log: readonly Json[];
  /** Lines it was given before the cut, and lines in its store now. */
  readonly handed: number;
  readonly posted: number;
  /** Its final messages when it noticed the cut, and now. */
  readonly finalThen: number;
  readonly finalNow: number;
  /** The most of its messages that any other node shows as final. */
  readonly knownElsewhere: number;
}

export interface Isolation {
  readonly queued: number;
  /** Undefined when all is as it must be. */
  readonly problem: string | undefined;
}

export function isolation(node: CutOff): Isolation {
  const { user, log, handed, posted, finalThen, finalNow, knownElsewhere } = node;
  const own = log.filter(({ from, kind }) => from === user && kind === 'message');
  const count = (...states: string[]): number =>
    own.filter(({ state }) => states.includes(String(state))).length;
  const queued = count('queued');
  const problems: readonly (readonly [boolean, string])[] = [
    [count('committed', 'final') > handed, 'shows what it was given after the cut as committed'],
    [finalNow !== finalThen, 'made messages final on its own'],
    [knownElsewhere > handed, 'got messages out'],
    [queued === 0 || queued < posted - handed, 'lost messages of its queue'],
  ];
  return { queued, problem: problems.find(([found]) => found)?.[1] };
}
