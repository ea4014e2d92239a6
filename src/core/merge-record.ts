/**
 * The `merge` record (docs/PROTOCOL.md, section "Merge records"): a roster
 * leader places one before the records that it brings into the log from
 * branches, so that a merge is itself part of the log.
 *
 *     body   = entries u16 · branches list of branch
 *     branch = epoch 32 · kind u8 · term u64 · leader 32 · entries u16 · warrant bytes
 *
 * The `entries` records that follow it directly are those that it moved, so
 * many of each branch. A warrant is the certificate of commitment under which
 * records of authors come in who are no members any more (standing.ts); mostly
 * it is empty.
 */

import { decodeWhole, Writer } from './bytes.js';
import { ConclaveError } from './errors.js';
import type { EpochId, UserId } from './ids.js';
import { MERGE_RECORDS_MAX, WARRANT_BYTES_MAX } from './limits.js';
import type { EpochKind } from './statements.js';

export interface MergedBranch {
  readonly epoch: EpochId;
  readonly kind: EpochKind;
  readonly term: number;
  readonly leader: UserId;
  /** How many of the records that follow it placed. */
  readonly entries: number;
  /** Encoded certificate; empty where nobody needs one. */
  readonly warrant: Uint8Array;
}

export interface MergeBody {
  /** How many entries behind the record were moved by it. */
  readonly entries: number;
  readonly branches: readonly MergedBranch[];
}

export function encodeMergeBody({ entries, branches }: MergeBody): Uint8Array {
  const w = new Writer(128).u16(entries);
  return w
    .list(branches, (b) =>
      w
        .id(b.epoch)
        .u8(b.kind === 'roster' ? 0 : 1)
        .u64(b.term)
        .id(b.leader)
        .u16(b.entries)
        .bytes(b.warrant),
    )
    .done();
}

/** Throws `bad_encoding`. */
export function decodeMergeBody(bytes: Uint8Array): MergeBody {
  return decodeWhole(bytes, (r) => {
    const entries = r.u16();
    const branches = r.list(MERGE_RECORDS_MAX, () => {
      const epoch = r.id<EpochId>();
      const kind = r.u8();
      if (kind > 1) throw new ConclaveError('bad_encoding', 'an unknown kind of epoch');
      return {
        epoch,
        kind: kind === 0 ? ('roster' as const) : ('online' as const),
        term: r.u64(),
        leader: r.id<UserId>(),
        entries: r.u16(),
        warrant: r.bytes(WARRANT_BYTES_MAX),
      };
    });
    if (entries === 0 || entries > MERGE_RECORDS_MAX) {
      throw new ConclaveError('bad_encoding', 'a merge of no records, or of too many');
    }
    return { entries, branches };
  });
}
