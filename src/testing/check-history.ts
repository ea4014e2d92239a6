/**
 * The history checker: does what was seen from outside keep the channel's
 * promises (docs/PROTOCOL.md, sections "States", "Reading", "What finality
 * withstands")? It knows nothing of the implementation: it and its parts
 * import the form of a history and nothing else. Each check is a pure function
 * of its own; history.test.ts shows for each a history on which it fails.
 */

import type { History, HistoryProblem } from './history.js';
import { type Facts, factsOf } from './history-facts.js';
import { wellFormed } from './history-form.js';
import {
  committedIsFinal,
  equalEnds,
  finalStays,
  noDuplicates,
  noHoles,
  noInvention,
  noLoss,
  withheldAfterRemoval,
} from './history-log.js';
import { authorOrder, cutsHold, realTimeOrder } from './history-order.js';
import { monotoneReads, movesAreAnnounced, readsItsOwn, statesGrow } from './history-reads.js';

/** Every check by its name, which a violation carries. */
export const CHECKS = {
  'well formed': wellFormed,
  'no loss': noLoss,
  'final stays': finalStays,
  'no duplicates': noDuplicates,
  'no invention': noInvention,
  'no holes': noHoles,
  'monotone reads': monotoneReads,
  'reads its own': readsItsOwn,
  'states grow': statesGrow,
  'moves are announced': movesAreAnnounced,
  'author order': authorOrder,
  'real-time order': realTimeOrder,
  'cuts hold': cutsHold,
  'committed is final': committedIsFinal,
  'withheld after removal': withheldAfterRemoval,
  'equal ends': equalEnds,
} as const satisfies { readonly [name: string]: (facts: Facts) => string[] };

export type CheckName = keyof typeof CHECKS;

/** Beyond this many of one kind, one more says nothing new. */
const PROBLEMS_OF_A_CHECK_MAX = 10;

/** All that is wrong with a history; nothing, if it keeps every promise. */
export function checkHistory(history: History): HistoryProblem[] {
  const facts = factsOf(history);
  return Object.entries(CHECKS).flatMap(([check, find]) =>
    find(facts)
      .slice(0, PROBLEMS_OF_A_CHECK_MAX)
      .map((message) => ({ check, message })),
  );
}
