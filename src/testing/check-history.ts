/**
 * The history checker: does what was seen from outside keep the channel's
 * promises? It knows nothing of the implementation: it imports the form of a
 * history and nothing else. Each check is a pure function of its own.
 */

import type { History, HistoryProblem } from './history.js';

/** All that is wrong with a history; nothing, if it keeps every promise. */
export function checkHistory(_history: History): HistoryProblem[] {
  return [];
}
