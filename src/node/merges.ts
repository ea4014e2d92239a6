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
import { decodeMergeBody, type MergeBody } from '../core/merge-record.js';
import type { Merged } from './api.js';

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
    if (!open || open.moved === 0) return null;
    const { seq, record } = open.entry;
    return {
      seq,
      by: record.author,
      entries: open.moved,
      first: seq + 1,
      last: seq + open.moved,
      branches: open.body.branches.map(({ kind, term, leader, entries }) => ({
        kind,
        term,
        leader,
        entries,
      })),
    };
  }
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
