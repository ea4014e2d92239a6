/**
 * What a change of the roster does to messages that are not final
 * (docs/PROTOCOL.md, section "Roster"): those of authors who left or were
 * removed lose their standing. Here they are withheld, a terminal state that
 * their author sees too; who joins again begins anew behind its join.
 */

import type { ChannelState } from './channel-state.js';
import type { StepContext } from './effects.js';
import { rememberFact } from './facts.js';
import { isMessageLane } from './log.js';
import { dropOffer, isInBranch, reportProgress } from './provisional.js';
import type { Member, Roster } from './roster.js';
import { isInStanding, warrantedIn } from './standing.js';

/** The roster in force is another than `before`. */
export function noteDepartures(ctx: StepContext, st: ChannelState, before: Roster): void {
  const { members } = st.roster;
  const gone = [...before.members.keys()].filter((user) => !members.has(user));
  for (const user of gone) {
    withhold(ctx, st, before.members.get(user)!);
    if (user === ctx.self) {
      withholdOwn(ctx, st);
      st.shutOut = null;
      endJoining(ctx, st);
    }
  }
  if (members.has(ctx.self) && !before.members.has(ctx.self)) beginAnew(ctx, st);
}

/** Forgets what of a former member nothing places, and its last message: what it writes once it is back stands behind its join. */
function withhold(ctx: StepContext, st: ChannelState, { user, root }: Member): void {
  // What a merge brings of it under a warrant may follow its last message, or be its first.
  rememberFact(st, root);
  const tip = st.log.finalTipOf(user);
  if (tip !== undefined) rememberFact(st, tip);
  st.log.forgetTip(user);
  ctx.ready.del(st.keys.tip(user));
  for (const pooled of [...st.pool.values()]) {
    const { record } = pooled;
    if (record.author !== user || !isMessageLane(record) || st.outbox.has(record.digest)) continue;
    if (!isInBranch(st, record.digest)) dropOffer(ctx, st, pooled);
  }
}

/** What a warrant covers stays as it is: who stayed brings it into the log. */
function withholdOwn(ctx: StepContext, st: ChannelState): void {
  for (const [digest, own] of st.outbox) {
    if (own.state === 'withheld' || warrantedIn(st, digest)) continue;
    own.state = 'withheld';
    reportProgress(ctx, st, own.pooled.record, 'withheld', null);
  }
}

/** It was in, and is out again before it could say so. What ends earlier than the invitation is of another time. */
function endJoining(ctx: StepContext, st: ChannelState): void {
  const { joining } = st;
  if (!joining || st.log.final.seq < joining.pinned.seq) return;
  st.joining = null;
  const message = 'this node is not a member of the channel any more';
  ctx.ready.events.push({
    type: 'failed',
    token: joining.token,
    code: 'removed',
    message,
    retryable: false,
  });
}

function beginAnew(ctx: StepContext, st: ChannelState): void {
  st.ownPrev = null;
  for (const [digest, { pooled, count }] of [...st.outbox]) {
    if (isInStanding(st, pooled) || warrantedIn(st, digest)) continue;
    st.outbox.delete(digest);
    st.outBytes -= pooled.record.bytes.length;
    ctx.ready.del(st.keys.out(count));
    if (!isInBranch(st, digest)) st.pool.remove(digest);
  }
}
