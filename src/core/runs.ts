/**
 * How a branch lies in the store (docs/ARCHITECTURE.md, "Store"): in runs.
 * What one step puts into a branch is one value, places together with the
 * records that are stored nowhere else, so that a set of many thousands is not
 * written and deleted record by record. A run goes when the branch begins
 * behind its last place; until then what lies in it before the base says
 * nothing. Every change of a branch's places in memory has its call here.
 */

import type { Branch } from './branch.js';
import type { Header } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import type { Digest } from './ids.js';
import {
  encodeOffer,
  encodeRun,
  type OpenRun,
  RUN_BYTES_MAX,
  RUN_PLACES_MAX,
  type StoredPlace,
} from './layout.js';
import type { Pooled } from './pool.js';

/** Stores one place; `pooled` is its record, if it is stored nowhere else. */
export function putPlace(
  ctx: StepContext,
  st: ChannelState,
  branch: Branch,
  seq: number,
  place: StoredPlace,
): void {
  const { runs } = ctx.ready;
  let run = runs.get(branch.id);
  if (!run || !fits(run, seq, place.header)) {
    const opened: OpenRun = { first: seq, places: [], bytes: 0 };
    run = opened;
    runs.set(branch.id, run);
    branch.runs.splice(branch.runs.findLastIndex((first) => first < seq) + 1, 0, seq);
    const value = (): Uint8Array => encodeRun(opened.places);
    ctx.ready.ops.push({ key: st.keys.place(branch.id, seq), value });
    ctx.ready.sync = true;
  }
  run.places.push(place);
  run.bytes += place.offer?.record.bytes.length ?? 0;
}

/** A run is of one leadership's places, one behind the other, and bounded. */
function fits({ first, places, bytes }: OpenRun, seq: number, { epoch, term, roster }: Header) {
  if (first + places.length !== seq) return false;
  if (places.length >= RUN_PLACES_MAX || bytes >= RUN_BYTES_MAX) return false;
  const { header } = places[0]!;
  return header.epoch === epoch && header.term === term && header.roster === roster;
}

const endOfRun = ({ runs, tip }: Branch, index: number): number =>
  (runs[index + 1] ?? tip.seq + 1) - 1;

/** The record, if nothing but a run stores it. */
function keptInRun(st: ChannelState, digest: Digest): Pooled | null {
  const pooled = st.pool.get(digest);
  return pooled?.kept && !pooled.apart && !st.outbox.has(digest) ? pooled : null;
}

/** Stores a record under its own key. */
export function keepApart(ctx: StepContext, st: ChannelState, pooled: Pooled): void {
  pooled.apart = true;
  const key = st.keys.pool(pooled.record.digest);
  ctx.ready.ops.push({ key, value: () => encodeOffer(pooled) });
  ctx.ready.sync = true;
}

/** Writes what is left of a run anew, from `from` to `to`. */
function rewriteRun(
  ctx: StepContext,
  st: ChannelState,
  branch: Branch,
  index: number,
  from: number,
  to: number,
): void {
  ctx.ready.runs.delete(branch.id);
  const [first] = branch.runs.splice(index, 1);
  ctx.ready.del(st.keys.place(branch.id, first!));
  for (let seq = from; seq <= to; seq++) {
    const header = branch.headerAt(seq)!;
    const offer = keptInRun(st, header.digest);
    putPlace(ctx, st, branch, seq, { header, hash: branch.hashAt(seq)!, offer });
  }
  ctx.ready.runs.delete(branch.id);
}

/** Before places up to the base are put before it: the first run begins behind the base. */
export function openFront(ctx: StepContext, st: ChannelState, branch: Branch): void {
  const { runs, base } = branch;
  if (runs[0] === undefined || runs[0] > base.seq) return;
  rewriteRun(ctx, st, branch, 0, base.seq + 1, endOfRun(branch, 0));
}

/** Before the places behind `seq` are cut: their records stay held. */
export function cutRuns(ctx: StepContext, st: ChannelState, branch: Branch, seq: number): void {
  const { runs, base, tip } = branch;
  ctx.ready.runs.delete(branch.id);
  for (let at = seq + 1; at <= tip.seq; at++) {
    const pooled = keptInRun(st, branch.headerAt(at)!.digest);
    if (pooled) keepApart(ctx, st, pooled);
  }
  let end = tip.seq;
  for (let first = runs.at(-1); first !== undefined && first > seq; first = runs.at(-1)) {
    ctx.ready.del(st.keys.place(branch.id, runs.pop()!));
    end = first - 1;
  }
  if (runs.length === 0 || end <= seq) return;
  const last = runs.length - 1;
  rewriteRun(ctx, st, branch, last, Math.max(runs[last]!, base.seq + 1), seq);
}

/** Before the places up to `seq` are forgotten: nothing needs their records from here any more. */
export function trimRuns(ctx: StepContext, st: ChannelState, branch: Branch, seq: number): void {
  const { runs } = branch;
  while (runs.length > 0 && endOfRun(branch, 0) <= seq) {
    const first = runs.shift()!;
    ctx.ready.del(st.keys.place(branch.id, first));
    if (ctx.ready.runs.get(branch.id)?.first === first) ctx.ready.runs.delete(branch.id);
  }
}
