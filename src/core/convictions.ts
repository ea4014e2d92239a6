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

type Kept = Pick<ChannelState, 'convictions' | 'roster'>;

/**
 * Which proofs give way to one more of the kind, or undefined where there is no
 * room for it. Those of present members never do, and those of former members
 * to these alone, oldest first: else who comes in again and again under new
 * identities, to be removed for it, would leave no room for anybody's.
 */
export function roomForProof(
  { convictions, roster }: Kept,
  { offence, offender }: Pick<Misbehaviour, 'offence' | 'offender'>,
  bytes: number,
): readonly Digest[] | undefined {
  const isMember = roster.members.has(offender);
  if (!isMember && !roster.departed.has(offender)) return undefined;
  const all = [...convictions];
  const alike = all.filter(([, c]) => c.offence === offence && c.offender === offender);
  if (alike.length >= CONVICTIONS_PER_OFFENCE_MAX) return undefined;
  let over = all.reduce((sum, [, c]) => sum + c.proof.length, bytes) - CONVICTION_BYTES_MAX;
  const dropped: Digest[] = [];
  for (const [id, c] of all.sort(([, a], [, b]) => a.since - b.since)) {
    if (over <= 0) return dropped;
    if (!isMember || roster.members.has(c.offender)) continue;
    dropped.push(id);
    over -= c.proof.length;
  }
  return over <= 0 ? dropped : undefined;
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
  const dropped = roomForProof(st, { offence, offender }, proof.length);
  if (!dropped) return;
  for (const one of dropped) {
    st.convictions.delete(one);
    ctx.ready.del(st.keys.conviction(one));
  }
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
