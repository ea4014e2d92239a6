/**
 * Proofs of misbehaviour that a node keeps (docs/PROTOCOL.md, section
 * "Misbehaviour"): bounded for each offender, and told once to each member that
 * is online. They change nothing else: whom to remove is for those who manage
 * the channel to decide, by a record that all have (decision 0024).
 */

import type { ChannelState, Conviction } from './channel-state.js';
import type { StepContext } from './effects.js';
import type { Digest, UserId } from './ids.js';
import { encodeConviction } from './layout.js';
import { CONVICTION_BYTES_MAX, CONVICTIONS_PER_OFFENCE_MAX } from './limits.js';
import { disputedIn, type Misbehaviour } from './misbehaviour.js';
import { sendToMembers, sendToUser } from './sending.js';

/** Whether there is room for one more proof of the kind, of who is or was a member. */
export function hasRoomForProof(
  { convictions, roster }: ChannelState,
  { offence, offender }: Pick<Misbehaviour, 'offence' | 'offender'>,
  bytes: number,
): boolean {
  if (!roster.members.has(offender) && !roster.departed.has(offender)) return false;
  let count = 0;
  let sum = bytes;
  for (const known of convictions.values()) {
    if (known.offence === offence && known.offender === offender) count += 1;
    sum += known.proof.length;
  }
  return count < CONVICTIONS_PER_OFFENCE_MAX && sum <= CONVICTION_BYTES_MAX;
}

/** A proof that the driver has verified; `from` sent it, or this node found it. */
export function onMisbehaviour(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  misbehaviour: Misbehaviour,
  id: Digest,
  proof: Uint8Array,
): void {
  const { offence, offender } = misbehaviour;
  const known = st.convictions.get(id);
  if (known) {
    known.told.add(from);
    return;
  }
  if (!hasRoomForProof(st, { offence, offender }, proof.length)) return;
  const told = new Set([from, offender]);
  const conviction: Conviction = {
    offence,
    offender,
    since: ctx.wall,
    records: disputedIn(ctx.crypto.sha256, misbehaviour),
    proof,
    told,
    isOwn: from === ctx.self,
  };
  st.convictions.set(id, conviction);
  ctx.ready.put(st.keys.conviction(id), encodeConviction(conviction));
  ctx.ready.sync = true;
  const detail = `${offender} signed two ${offence} that contradict each other`;
  ctx.ready.events.push(
    { type: 'note', channel: st.id, note: 'misbehaviour', detail },
    { type: 'changed', channel: st.id },
  );
}

/** Tells the members that are online of what this node found itself, or leads with. */
export function tickConvictions(ctx: StepContext, st: ChannelState): void {
  for (const { told, proof, isOwn } of st.convictions.values()) {
    if (!isOwn && !st.leading) continue;
    const others = [...st.roster.members.keys()].filter(
      (user) => user !== ctx.self && !told.has(user) && ctx.isOnline(user),
    );
    if (others.length === 0) continue;
    for (const user of others) told.add(user);
    const [to] = others;
    const command = (to?: UserId) => () => ({
      name: 'CH_PROOF' as const,
      payload: { id: st.id, from: ctx.self, ...(to ? { to } : {}), conviction: proof },
    });
    if (others.length === 1) sendToUser(ctx, ctx.ready.late, to!, command(to));
    else sendToMembers(ctx, st, ctx.ready.late, command());
  }
}

/** Whether a proof that is kept shows another record with the same counter. */
export function isDisputed({ convictions }: ChannelState, digest: Digest): boolean {
  for (const { records } of convictions.values()) if (records.includes(digest)) return true;
  return false;
}
