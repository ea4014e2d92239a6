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
import type { Outgoing, Payload } from './commands.js';
import type { ServeBranch } from './effects.js';
import { encodeElectionProof } from './epoch-record.js';
import type { Digest, EpochId, UserId } from './ids.js';
import { decodeRawEntry } from './layout.js';
import { furthestInPage, heldRecord } from './provisional.js';
import type { Reader } from './serve.js';
import { warrantOf } from './standing.js';

interface Found {
  readonly record: Uint8Array;
  readonly proof: Uint8Array;
}

const VANISHED: Found = { record: new Uint8Array(0), proof: new Uint8Array(0) };

/** Pages one after the other, so that they come in order. */
export function serveBranch(
  st: ChannelState,
  self: UserId,
  s: ServeBranch,
  reader: Reader,
  reply: (command: Outgoing) => void,
): void {
  const proof = st.epochs.get(s.epoch);
  if (!proof) return;
  const serveFrom = (seq: number, left: number): void =>
    findPage(st, s.epoch, seq, reader, (page, end) => {
      const more = end < page.tip ? left : 0;
      const { epoch } = s;
      const to = s.toAll ? {} : { to: s.to };
      const head = { id: st.id, from: self, ...to, epoch, proof: encodeElectionProof(proof) };
      reply({ name: 'CH_MERGE', payload: { ...head, ...page, ...(more > 0 ? { more } : {}) } });
      if (more > 0) serveFrom(end, more - 1);
    });
  serveFrom(s.seq, s.pages - 1);
}

type BranchPart = Pick<
  Payload<'CH_MERGE'>,
  'anchor' | 'headers' | 'records' | 'proofs' | 'cert' | 'tip' | 'base'
>;

/** The page behind `seq`, and where it ends; nothing where there is none. */
function findPage(
  st: ChannelState,
  epoch: EpochId,
  seq: number,
  reader: Reader,
  done: (page: BranchPart, end: number) => void,
): void {
  const branch = st.branches.get(epoch);
  if (!branch || branch.certified <= seq) return;
  const from = Math.max(seq, branch.base.seq);
  const end = pageEnd(st, branch, from);
  if (end === undefined) return;
  const anchor = { seq: from, hash: branch.hashAt(from)! };
  const headers = headersOf(branch, from + 1, end);
  const tip = branch.certified;
  const base = branch.base.seq > 0 ? { base: branch.base.seq } : {};
  const digests = headers.map((h) => h.digest);
  const cert = branch.certificates.find(({ seq: at }) => at === end)!.bytes;
  findRecords(st, digests, reader, (found) => {
    const records = found.map((f) => f.record);
    const proofs = found.map((f) => f.proof);
    done({ anchor, headers: encodeHeaders(headers), records, proofs, cert, tip, ...base }, end);
  });
}

/** The furthest certificate that a page may end at, but not behind the furthest warrant; the next one where none fits. */
export function pageEnd(st: ChannelState, branch: Branch, from: number): number | undefined {
  const warranted = warrantOf(st, branch)?.seq ?? 0;
  const ahead = branch.certificates
    .map(({ seq }) => seq)
    .filter((seq) => seq > from && (from >= warranted || seq <= warranted));
  const most = furthestInPage(st, branch, from);
  return ahead.findLast((seq) => seq <= most) ?? ahead[0];
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
