/**
 * Quorum arithmetic (docs/PROTOCOL.md, section "Quorums"). The whole of it:
 * a majority is more than half, and a cumulative acknowledgement counts for
 * every position up to its own.
 */

/** More than half. */
export const isMajority = (count: number, of: number): boolean => count * 2 > of;

/** The smallest count that is more than half. */
export const majorityOf = (of: number): number => Math.floor(of / 2) + 1;

/**
 * The highest position that more than half of the voters have reached, where
 * `positions` holds one position for each voter (0 for none).
 */
export function majorityPosition(positions: readonly number[]): number {
  if (positions.length === 0) return 0;
  const descending = [...positions].sort((a, b) => b - a);
  return descending[majorityOf(positions.length) - 1]!;
}
