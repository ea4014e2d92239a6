/**
 * Whose records may be placed (docs/PROTOCOL.md, sections "Roster" and "Merging"). A
 * member's, if it signed them since it became one. Who left or was removed has
 * no standing: what was not final then is withheld, but for what a merge
 * brings with a warrant: a certificate of commitment that more than half of
 * those of the electorate signed who are members still. So nobody who was
 * removed puts anything into the log with the help of others who were, or
 * dates it back; and what those who stayed acknowledged is not lost.
 */

import type { Branch } from './branch.js';
import {
  type Certificate,
  certifiedPoint,
  committedFlaw,
  decodeCertificate,
} from './certificate.js';
import type { ChannelState } from './channel-state.js';
import type { Digest } from './ids.js';
import { WARRANT_BYTES_MAX } from './limits.js';
import type { MergeBody } from './merge-record.js';
import type { Pooled } from './pool.js';
import { isMajority } from './quorum.js';
import { signedUnder } from './record.js';
import type { Roster } from './roster.js';

type Held = Pick<Pooled, 'record' | 'proof' | 'batch'>;

/** Whether a record's author is a member under this roster, and was one when it signed it. */
export function standsIn({ members }: Roster, { record, proof, batch }: Held): boolean {
  const member = members.get(record.author);
  if (member === undefined) return false;
  return member.since === 0 || (batch?.roster ?? signedUnder(proof)) >= member.since;
}

/** Whether the record may be placed wherever a member's may. */
export const isInStanding = (st: ChannelState, held: Held): boolean => standsIn(st.roster, held);

/** Up to where a certificate warrants the places of a branch; 0 where it does not. Its signatures were verified. */
function warrantedUpTo(st: ChannelState, branch: Branch, cert: Certificate): number {
  const epoch = st.epochs.get(branch.id)?.epoch;
  if (!epoch || committedFlaw(cert, branch.id, epoch) !== undefined) return 0;
  const { seq, hash: at } = certifiedPoint(branch.sha256, cert);
  if (branch.hashAt(seq) !== at) return 0;
  const signers = new Set(cert.acks.map(({ user }) => user));
  const left = epoch.electorate.filter((user) => st.roster.members.has(user));
  const signed = left.filter((user) => signers.has(user));
  return isMajority(signed.length, left.length) ? seq : 0;
}

const known = new WeakMap<Branch, { readonly of: string; readonly warrant: Warrant | null }>();

/** A certificate that warrants the places of a branch up to `seq`. */
export interface Warrant {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

/** The furthest warrant that this node holds for a branch under the roster in force. */
export function warrantOf(st: ChannelState, branch: Branch): Warrant | null {
  const of = `${st.roster.number} ${branch.certified}`;
  const last = known.get(branch);
  if (last?.of === of) return last.warrant;
  const warrant = branch.certificates.findLast(
    ({ bytes }) =>
      bytes.length <= WARRANT_BYTES_MAX && warrantedUpTo(st, branch, decodeCertificate(bytes)) > 0,
  );
  known.set(branch, { of, warrant: warrant ?? null });
  return warrant ?? null;
}

/** Whether the certificate kept at `last` warrants places of a branch that a later one does not. */
export function isBetterWarrant(
  st: ChannelState,
  branch: Branch,
  last: number,
  later: Uint8Array,
): boolean {
  const electorate = st.epochs.get(branch.id)?.epoch.electorate ?? [];
  // Of an electorate that nobody left, each certificate is a warrant.
  if (electorate.every((user) => st.roster.members.has(user))) return false;
  if (warrantOf(st, branch)?.seq !== last) return false;
  return warrantedUpTo(st, branch, decodeCertificate(later)) === 0;
}

/** The branch that a former member's record comes from, if a warrant covers it there. */
export function warrantedIn(st: ChannelState, digest: Digest): Branch | undefined {
  for (const branch of st.branches.values()) {
    const seq = branch.seqOf(digest);
    if (seq !== undefined && seq <= (warrantOf(st, branch)?.seq ?? 0)) return branch;
  }
  return undefined;
}

/** Whether a `merge` record's warrants cover a record, in a branch that this node has. */
export function isUnderWarrant(st: ChannelState, { branches }: MergeBody, digest: Digest): boolean {
  return branches.some(({ epoch, warrant }) => {
    const branch = warrant.length > 0 ? st.branches.get(epoch) : undefined;
    const seq = branch?.seqOf(digest);
    if (!branch || seq === undefined) return false;
    return seq <= warrantedUpTo(st, branch, decodeCertificate(warrant));
  });
}
