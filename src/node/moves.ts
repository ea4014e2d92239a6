/**
 * What a reader was shown of what is not final, against what is so now
 * (docs/PROTOCOL.md, section "Reading"): which messages are new or have grown,
 * and the fewest that must be said to stand elsewhere, so that who applies all
 * that is said has the same order.
 */

import type { Digest } from '../core/ids.js';
import type { ChannelRecord } from '../core/record.js';
import type { ProvisionalEntry } from '../core/view.js';
import { RANK } from './sending.js';

/** A message as it is to be shown now, and the one that it stands behind. */
export interface Change {
  readonly what: 'entry' | 'moved';
  readonly item: ProvisionalEntry;
  readonly after: ProvisionalEntry | null;
}

interface Shown {
  readonly record: ChannelRecord;
  readonly state: ProvisionalEntry['state'];
  /** Its place in the order that the reader has; null when it had vanished. */
  readonly at: number | null;
}

export class Moves {
  #shown = new Map<Digest, Shown>();

  /** It is final: whoever reads has it elsewhere. */
  settled(digest: Digest): void {
    this.#shown.delete(digest);
  }

  /**
   * What to say of `now`, in order; of what has vanished, that it is withheld,
   * where it is. It counts as said.
   */
  next(
    now: readonly ProvisionalEntry[],
    isWithheld: (record: ChannelRecord) => boolean = () => false,
  ): Change[] {
    const before = this.#shown;
    const after = new Map<Digest, Shown>();
    const hasGrown = now.map(({ record, state }) => {
      const was = before.get(record.digest);
      return was === undefined || RANK[state] > RANK[was.state];
    });
    const staying = longestAscending(
      now.map(({ record }, i) => (hasGrown[i] ? null : before.get(record.digest)!.at)),
    );
    const changes: Change[] = [];
    now.forEach((item, i) => {
      const { record } = item;
      const { digest } = record;
      // Nothing is shown as less than it was.
      const state = hasGrown[i] ? item.state : before.get(digest)!.state;
      after.set(digest, { record, state, at: i });
      if (staying.has(i)) return;
      changes.push({ what: hasGrown[i] ? 'entry' : 'moved', item, after: now[i - 1] ?? null });
    });
    let last = now.at(-1) ?? null;
    for (const [digest, { record, state }] of before) {
      if (after.has(digest)) continue;
      const item = { record, state: isWithheld(record) ? ('withheld' as const) : state };
      after.set(digest, { ...item, at: null });
      if (item.state === state) continue;
      changes.push({ what: 'entry', item, after: last });
      last = item;
    }
    this.#shown = after;
    return changes;
  }
}

/** Indexes of a longest ascending run of `values`, those that are null left out. */
function longestAscending(values: readonly (number | null)[]): Set<number> {
  /** For each length, the index at which a run of it ends with the lowest value. */
  const ends: number[] = [];
  const previous: (number | undefined)[] = [];
  values.forEach((value, i) => {
    if (value === null) return;
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (values[ends[middle]!]! < value) low = middle + 1;
      else high = middle;
    }
    previous[i] = ends[low - 1];
    ends[low] = i;
  });
  const run = new Set<number>();
  for (let i = ends.at(-1); i !== undefined; i = previous[i]) run.add(i);
  return run;
}
