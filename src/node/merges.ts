/**
 * Merges as a reader of the log meets them (docs/PROTOCOL.md, sections "Merge
 * records" and "Reading"): behind a `merge` record stand the messages that it
 * moved into the log. What it moved is known once they are all there, or once
 * its leader's epoch ends before that.
 */

import { ConclaveError } from '../core/errors.js';
import type { Entry } from '../core/layout.js';
import { WINDOW_BYTES_MAX } from '../core/limits.js';
import { isMessageLane } from '../core/log.js';
import { decodeMergeBody, type MergeBody, type MergedBranch } from '../core/merge-record.js';
import type { ChannelRecord } from '../core/record.js';
import type { ChannelEntry, Merged } from './api.js';

interface Open {
  readonly entry: Entry;
  readonly body: MergeBody;
  moved: number;
}

export class Merges {
  #open: Open | null = null;

  /** Takes the next entry of the log; the merge that is complete with it, or ended `before` it. */
  take(entry: Entry): { before: Merged | null; with: Merged | null } {
    if (this.#open && isMessageLane(entry.record)) {
      this.#open.moved += 1;
      return {
        before: null,
        with: this.#open.moved < this.#open.body.entries ? null : this.#end(),
      };
    }
    const before = this.#end();
    if (entry.record.kind === 'merge') this.#begin(entry);
    return { before, with: null };
  }

  /** The merge that the last entry belongs to, as far as it was seen; null behind its last one. */
  get open(): Merged | null {
    return this.#open && toldOf(this.#open);
  }

  #begin(entry: Entry): void {
    try {
      this.#open = { entry, body: decodeMergeBody(entry.record.body), moved: 0 };
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error;
    }
  }

  #end(): Merged | null {
    const open = this.#open;
    this.#open = null;
    return open && toldOf(open);
  }
}

/** `{ merge }` of a 'merge', nothing of other records. */
export function mergeIn({ kind, body }: ChannelRecord): Pick<ChannelEntry, 'merge'> | undefined {
  if (kind !== 'merge') return undefined;
  try {
    const { entries, branches } = decodeMergeBody(body);
    return { merge: { entries, branches: branches.map(branchOf) } };
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    return undefined;
  }
}

const branchOf = ({ kind, term, leader, entries }: MergedBranch): Merged['branches'][number] => ({
  kind,
  term,
  leader,
  entries,
});

function toldOf({ entry: { seq, record }, body, moved }: Open): Merged | null {
  if (moved === 0) return null;
  return {
    seq,
    by: record.author,
    entries: moved,
    first: seq + 1,
    last: seq + moved,
    branches: body.branches.map(branchOf),
  };
}

/**
 * The entries, oldest first, from the `merge` record that may still be open
 * before the first of `backwards`: entries of the log, newest first.
 */
export async function sinceMerge(backwards: AsyncIterable<Entry>): Promise<Entry[]> {
  const found: Entry[] = [];
  let bytes = 0;
  for await (const entry of backwards) {
    found.push(entry);
    if (entry.record.kind === 'merge') return found.reverse();
    bytes += entry.record.bytes.length;
    if (!isMessageLane(entry.record) || bytes > WINDOW_BYTES_MAX) return [];
  }
  return [];
}
