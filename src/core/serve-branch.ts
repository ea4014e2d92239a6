/**
 * Pages of a branch for a member that lacks it (docs/PROTOCOL.md, section
 * "Exchange"): from what the asker has, to the furthest certificate that fits.
 * Records come from memory while they are not final, from the log when they
 * are.
 */

import type { Branch } from './branch.js';
import { decodeWhole } from './bytes.js';
import { encodeHeaders } from './certificate.js';
import { headersOf } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Outgoing } from './commands.js';
import type { ServeBranch } from './effects.js';
import { encodeElectionProof } from './epoch-record.js';
import type { Digest, UserId } from './ids.js';
import { decodeRawEntry } from './layout.js';
import { PAGE_BYTES_MAX, PAGE_ENTRIES_MAX } from './limits.js';
import { heldRecord } from './provisional.js';
import type { Reader } from './serve.js';

interface Found {
  readonly record: Uint8Array;
  readonly proof: Uint8Array;
}

const VANISHED: Found = { record: new Uint8Array(0), proof: new Uint8Array(0) };

export function serveBranch(
  st: ChannelState,
  self: UserId,
  s: ServeBranch,
  reader: Reader,
  reply: (command: Outgoing) => void,
): void {
  const branch = st.branches.get(s.epoch);
  const proof = st.epochs.get(s.epoch);
  if (!branch || !proof || branch.certified <= s.seq) return;
  const from = Math.max(s.seq, branch.base.seq);
  const end = pageEnd(st, branch, from);
  if (end === undefined) return;
  const anchor = { seq: from, hash: branch.hashAt(from)! };
  const headers = headersOf(branch, from + 1, end);
  const tip = branch.certified;
  const digests = headers.map((h) => h.digest);
  findRecords(st, digests, reader, (found) => {
    reader.getMany([st.keys.commit(s.epoch, end)], ([cert]) => {
      if (!cert) return;
      reply({
        name: 'CH_MERGE',
        payload: {
          id: st.id,
          from: self,
          ...(s.toAll ? {} : { to: s.to }),
          epoch: s.epoch,
          proof: encodeElectionProof(proof),
          anchor,
          headers: encodeHeaders(headers),
          records: found.map((f) => f.record),
          proofs: found.map((f) => f.proof),
          cert,
          tip,
        },
      });
    });
  });
}

/** The furthest certificate that a page may end at; the next one where none fits. */
function pageEnd(st: ChannelState, branch: Branch, from: number): number | undefined {
  const ahead = branch.certificates.filter((seq) => seq > from);
  const most = fitting(st, branch, from);
  return ahead.findLast((seq) => seq <= most) ?? ahead[0];
}

/** How far a page may go by its entries and bytes. */
function fitting(st: ChannelState, branch: Branch, from: number): number {
  let bytes = 0;
  let seq = from;
  while (seq < branch.tip.seq && seq - from < PAGE_ENTRIES_MAX) {
    const held = heldRecord(st, branch.headerAt(seq + 1)!.digest);
    bytes += 80 + (held ? held.record.bytes.length + held.proof.length : 0);
    if (bytes > PAGE_BYTES_MAX && seq > from) break;
    seq += 1;
  }
  return seq;
}

/** Records by digest, in order; what is neither held nor final has vanished. */
function findRecords(
  st: ChannelState,
  digests: readonly Digest[],
  reader: Reader,
  done: (found: readonly Found[]) => void,
): void {
  const found: (Found | undefined)[] = digests.map((digest) => {
    const held = heldRecord(st, digest);
    return held && held.proof.length > 0
      ? { record: held.record.bytes, proof: held.proof }
      : undefined;
  });
  const missing = digests.flatMap((digest, i) => (found[i] ? [] : [{ digest, i }]));
  const whole = (): void => done(found.map((f) => f ?? VANISHED));
  if (missing.length === 0) return whole();
  reader.getMany(
    missing.map(({ digest }) => st.keys.placed(digest)),
    (seqs) => {
      const final = missing.flatMap(({ i }, k) => {
        const seq = seqs[k];
        return seq ? [{ i, key: st.keys.log(decodeWhole(seq, (r) => r.u64())) }] : [];
      });
      if (final.length === 0) return whole();
      reader.getMany(
        final.map(({ key }) => key),
        (values) => {
          values.forEach((value, k) => {
            if (!value) return;
            const { record, proof } = decodeRawEntry(value);
            found[final[k]!.i] = { record, proof };
          });
          whole();
        },
      );
    },
  );
}
