/**
 * Merging (docs/PROTOCOL.md, section "Merging"): a roster leader brings into
 * the log every record that a branch holds and the log lacks, in the order
 * that readers see it in, under signed `merge` records. It takes them in
 * parts, so that new traffic goes on meanwhile.
 */

import type { Branch } from './branch.js';
import type { ChannelState, Leading } from './channel-state.js';
import type { StepContext } from './effects.js';
import { isFetching } from './exchange.js';
import type { Digest, EpochId } from './ids.js';
import { notePlaceable, placeInLog, placeOwn } from './leader.js';
import { MERGE_RECORDS_MAX, WINDOW_BYTES_MAX, WINDOW_ENTRIES_MAX } from './limits.js';
import { isMessageLane } from './log.js';
import { encodeMergeBody, type MergeBody, type MergedBranch } from './merge-record.js';
import { inOrder, type Unordered } from './order.js';
import type { Pooled } from './pool.js';
import { certifiedPlace, isOrphan } from './provisional.js';
import { prevIsPlaced } from './replica.js';
import { isInStanding, warrantedIn, warrantOf } from './standing.js';

const NO_WARRANT = new Uint8Array(0);

/** The tail may hold so many entries when the next part of a merge is placed. */
const TAIL_BEFORE_PART = WINDOW_ENTRIES_MAX - MERGE_RECORDS_MAX;

/** Places the next part of what is to be merged, if there is something and room for it. */
export function tickMerge(ctx: StepContext, st: ChannelState): void {
  const { leading, leadership: lead } = st;
  if (!leading || !lead || lead.branch || st.branches.size === 0) return;
  if (st.log.membershipInFlight() || !hasRoomForPart(st)) return;
  if (isFetching(ctx, st)) return;
  if (leading.merging?.version !== st.version) {
    leading.merging = { rest: mergePlan(st), version: st.version };
  }
  const part = nextPart(st, leading);
  if (part.length === 0) return;
  placeOwn(ctx, st, lead, 'merge', encodeMergeBody(bodyOf(st, part)));
  leading.newSincePart = 0;
  for (const pooled of part) {
    placeInLog(ctx, st, lead, { record: pooled.record, proof: () => pooled.proof });
    for (const child of st.pool.childrenOf(pooled.record.digest)) notePlaceable(st, child.digest);
  }
  ctx.ready.wake(ctx.now);
}

/** A part may stand behind one that is not final yet, not behind more. */
const hasRoomForPart = ({ log }: ChannelState): boolean =>
  log.tail.length <= TAIL_BEFORE_PART && log.tailBytes < WINDOW_BYTES_MAX;

/** Digests of the messages that branches hold and the log lacks, in order; without what nobody holds the predecessor of. */
export function mergePlan(st: ChannelState): Digest[] {
  const items = new Map<Digest, Unordered>();
  for (const branch of st.branches.values()) {
    for (const digest of branch.digests()) {
      const record = st.pool.get(digest)?.record;
      if (!record || !isMessageLane(record) || items.has(digest)) continue;
      const { author, prev } = record;
      const place = certifiedPlace(st, digest);
      items.set(digest, { digest, author, prev, place, isOrphan: isOrphan(st, record) });
    }
  }
  return inOrder([...items.values()]).map(({ item }) => item.digest);
}

function nextPart(st: ChannelState, leading: Leading): Pooled[] {
  const rest = leading.merging!.rest;
  const part: Pooled[] = [];
  let warranted: Branch | undefined;
  const later: Digest[] = [];
  const inPart = new Set<Digest>();
  let bytes = 0;
  let taken = 0;
  while (taken < rest.length && part.length < MERGE_RECORDS_MAX && bytes < WINDOW_BYTES_MAX / 2) {
    const pooled = st.pool.get(rest[taken++]!);
    if (!pooled) continue;
    const { digest, prev } = pooled.record;
    const branch = isInStanding(st, pooled) ? null : warrantedIn(st, digest);
    // What a former member wrote and no warrant covers is withheld.
    if (branch === undefined) continue;
    // One part has room for one warrant.
    const isOther = branch !== null && warranted !== undefined && branch !== warranted;
    if (isOther || (!inPart.has(prev) && !prevIsPlaced(st, pooled.record))) {
      later.push(digest);
      continue;
    }
    if (branch) warranted = branch;
    part.push(pooled);
    inPart.add(pooled.record.digest);
    bytes += pooled.record.bytes.length;
  }
  rest.splice(0, taken, ...later);
  return part;
}

function bodyOf(st: ChannelState, part: readonly Pooled[]): MergeBody {
  const counts = new Map<EpochId, number>();
  const warrants = new Map<EpochId, Uint8Array>();
  for (const pooled of part) {
    const { digest } = pooled.record;
    const warranted = isInStanding(st, pooled) ? undefined : warrantedIn(st, digest);
    if (warranted) warrants.set(warranted.id, warrantOf(st, warranted)!.bytes);
    const id = warranted?.id ?? placedIn(st, digest);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const branches = [...counts].map(([epoch, entries]): MergedBranch => {
    const { kind, term, leader } = st.epochs.get(epoch)!.epoch;
    const warrant = warrants.get(epoch) ?? NO_WARRANT;
    return { epoch, kind, term, leader, entries, warrant };
  });
  return { entries: part.length, branches };
}

/** A leadership that placed the record and is known here; the one of its smallest certified place, if there is one. */
function placedIn(st: ChannelState, digest: Digest): EpochId {
  const place = certifiedPlace(st, digest);
  if (place && st.epochs.has(place.epoch)) return place.epoch;
  for (const branch of st.branches.values()) {
    // A page shows the election of its branch alone, not those of the leaders before.
    if (branch.seqOf(digest) !== undefined && st.epochs.has(branch.id)) return branch.id;
  }
  return st.leadership!.id;
}
