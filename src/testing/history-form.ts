/**
 * Is a history well formed? What breaks here is a mistake of whoever wrote it
 * down, and makes the other checks worthless. Part of the history checker.
 */

import type { HistoryEvent } from './history.js';
import type { Facts } from './history-facts.js';

/** Time never falls, messages have one sender each, and readings leave nothing out. */
export function wellFormed({ history, sends }: Facts): string[] {
  const problems: string[] = [];
  let now = Number.NEGATIVE_INFINITY;
  const read = new Map<number, number>();
  for (const [i, event] of history.events.entries()) {
    const here = (): string => `event ${i} (${event.type}, at ${event.at} ms)`;
    if (event.at < now) problems.push(`${here()} is before the one before it`);
    now = Math.max(now, event.at);
    const problem = problemOf(event, read);
    if (problem) problems.push(`${here()}: ${problem}`);
    if (event.type === 'send' && sends.get(event.id)!.event !== event)
      problems.push(`${here()}: ${event.id} was sent before`);
    if (event.type === 'told' && (sends.get(event.id)?.event.node ?? event.node) !== event.node)
      problems.push(`${here()}: node ${event.node} did not send ${event.id}`);
  }
  if (history.ends.length === 0) problems.push('there is no log at the end');
  return problems;
}

/** `read` is how far each node's log was read. */
function problemOf(event: HistoryEvent, read: Map<number, number>): string | undefined {
  if (event.type === 'start' && (event.memory ?? 'kept') !== 'kept') read.delete(event.node);
  if (event.type !== 'read') return undefined;
  const { node, from = 1, page, began = event.at } = event;
  const before = read.get(node) ?? 0;
  const last = page.findLast(({ seq }) => seq !== null)?.seq ?? 0;
  read.set(node, Math.max(before, last));
  if (began > event.at) return 'it began after it ended';
  if (from > before + 1) return `it begins at seq ${from}, and the log was read up to ${before}`;
  if (page.some(({ seq }) => seq !== null && seq < from)) return `it shows more than from ${from}`;
  return undefined;
}
