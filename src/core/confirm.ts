/**
 * Confirming (docs/PROTOCOL.md, section "Confirming"): a member that holds
 * places whose certificate is not complete asks those who acknowledged them;
 * each sends its stored, original acknowledgement again, marked `re`. So what
 * a dead leader had committed, and told nobody else, is known to be committed.
 * This decides the state that is shown, not what survives.
 *
 *     CH_ACK_REQ → CH_MSG_CONFIRM → ACK_CH_MSG {re}
 */

import type { Branch } from './branch.js';
import type { ChannelState } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import { isAckUnder } from './epoch-record.js';
import { hearsLeader } from './hearing.js';
import type { UserId } from './ids.js';
import { announce } from './leader.js';
import { takeCommitted } from './provisional.js';
import { certificateFrom } from './replica.js';
import { sendToMembers, sendToUser } from './sending.js';
import type { Ack } from './statements.js';

const ASKED_AT_MOST = 5;

/** Asks for the acknowledgements that branches lack, once their epochs are over. */
export function tickConfirm(ctx: StepContext, st: ChannelState): void {
  if (st.branches.size === 0 || !hearsLeader(ctx, st)) return;
  for (const branch of st.branches.values()) {
    const isOpen = branch.size > 0 && branch.tip.seq > branch.certified;
    if (isOpen && branch !== st.leadership?.branch) ask(ctx, st, branch);
  }
}

function ask(ctx: StepContext, st: ChannelState, branch: Branch): void {
  const known = st.epochs.get(branch.id);
  if (!known) return;
  const { confirms } = st.exchange;
  const last = confirms.get(branch.id) ?? { at: 0, times: 0, tip: 0 };
  const isNew = last.tip !== branch.tip.seq;
  if (!isNew && (last.times >= ASKED_AT_MOST || ctx.now < last.at)) return;
  const times = isNew ? 1 : last.times + 1;
  confirms.set(branch.id, { at: ctx.now + ctx.timing.exchange_ms, times, tip: branch.tip.seq });
  ctx.ready.wake(ctx.now + ctx.timing.exchange_ms);
  const own = st.acks.get(branch.id);
  if (own && known.epoch.electorate.includes(ctx.self)) {
    onResent(ctx, st, ctx.self, own.ack, own.signed.sig);
  }
  const users = known.epoch.electorate.filter((u) => u !== ctx.self && !branch.acks.has(u));
  if (users.length === 0) return;
  const { seq } = branch.tip;
  const message = branch.headerAt(seq)!.digest;
  sendToMembers(ctx, st, ctx.ready.early, () => ({
    name: 'CH_ACK_REQ',
    payload: { id: st.id, from: ctx.self, users, epoch: branch.id, seq, message },
  }));
}

/** CH_MSG_CONFIRM: sends the stored acknowledgement again, as it was signed. */
export function onConfirm(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  p: Payload<'CH_MSG_CONFIRM'>,
): void {
  const own = st.acks.get(p.epoch);
  if (!own || !p.users.includes(ctx.self)) return;
  const { signed } = own;
  sendToUser(ctx, ctx.ready.late, from, () => ({
    name: 'ACK_CH_MSG',
    payload: {
      id: st.id,
      from: ctx.self,
      to: from,
      s: signed.statement,
      sig: signed.sig,
      re: true,
    },
  }));
}

/** An acknowledgement under an epoch that is over; the driver verified it. */
export function onResent(
  ctx: StepContext,
  st: ChannelState,
  user: UserId,
  ack: Ack,
  sig: Uint8Array,
): void {
  const branch = st.branches.get(ack.epoch);
  const known = st.epochs.get(ack.epoch);
  if (!branch || !known || sig.length === 0) return;
  const { epoch } = known;
  if (!isAckUnder(known, ack) || branch.hashAt(ack.seq) !== ack.hash) return;
  branch.acks.set(user, { seq: ack.seq, sig });
  const cert = certificateFrom(
    branch,
    'committed',
    known,
    branch.acks,
    epoch.electorate,
    branch.certified,
  );
  if (cert && takeCommitted(ctx, st, cert)) announce(ctx, st, cert);
}
