/**
 * Beginning to hold or follow a leadership (docs/PROTOCOL.md, section
 * "Epochs"): what a node keeps of it, and the chain that its entries go to.
 */

import { branchStart, type EpochDescriptor, epochId } from './chain.js';
import type { ChannelState, Leadership } from './channel-state.js';
import type { StepContext } from './effects.js';
import { openBranch, rememberEpoch } from './provisional.js';

/** Its proof is kept as long as its entries are not all final. */
export function leadershipOf(
  ctx: StepContext,
  st: ChannelState,
  epoch: EpochDescriptor,
  ballots: Leadership['ballots'],
  live: boolean,
): Leadership {
  const hash = ctx.crypto.sha256;
  const id = epochId(hash, epoch);
  rememberEpoch(ctx, st, { id, epoch, ballots });
  const own = st.acks.get(id);
  rememberSuspicion(st);
  const branch =
    epoch.kind === 'online'
      ? openBranch(ctx, st, id, { seq: 0, hash: branchStart(hash, id) })
      : null;
  return {
    id,
    epoch,
    ballots,
    branch,
    live,
    since: ctx.now,
    lastBeat: 0,
    lastHeardAt: ctx.now,
    // What is final here is in every later roster leader's log.
    matched: branch ? 0 : st.log.final.seq,
    acked: own ? { seq: own.ack.seq, signed: own.signed } : null,
    proposal: null,
    mergedAt: ctx.now,
    certifiedAt: ctx.now,
    ackAgain: false,
    suspicion: {
      ...{ tip: st.log.tip.seq, final: st.log.final.seq, placedAt: ctx.now, movedAt: ctx.now },
      ...{ newest: 0, holds: false, until: 0, nextAt: 0, times: 0 },
      ...(st.suspected?.id === id ? st.suspected.suspicion : {}),
      since: ctx.now,
    },
  };
}

/**
 * Whom this node suspects it suspects still when it led or followed others
 * meanwhile: else several may suspect a leader in turns, and never together.
 */
export function rememberSuspicion(st: ChannelState): void {
  const { id, suspicion } = st.leadership ?? {};
  if (id !== undefined && suspicion?.holds) st.suspected = { id, suspicion };
}
