/**
 * Changes of membership (docs/PROTOCOL.md, section "Roster"): this node's own
 * wishes (invite, revoke, relays), the leader's admission of joiners, and this
 * node's own attempt to join.
 *
 * A membership record is valid on one roster number alone, so a wish is made
 * anew whenever another change came first. Growth from one founder: the second
 * member gets its vote just before the third joins, in two consecutive changes.
 * A key that replaced another gets its vote once it answers.
 */

import type { Point } from './chain.js';
import type { ChannelState, Joining, Wish } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import type { ConclaveError } from './errors.js';
import { hearsLeader, hearsRosterLeader } from './hearing.js';
import type { UserId } from './ids.js';
import { queueMembership } from './leader.js';
import {
  ASK_RELAYS_MS,
  JOIN_ATTEMPTS_MAX,
  JOIN_LAG_ENTRIES_MAX,
  JOIN_PATIENCE_MS,
  JOIN_REPEAT_MS,
  LEFT_ASK_MS,
  SHUT_OUT_MS,
} from './limits.js';
import { noteOffer, sendOffers, signBatch } from './offers.js';
import type { Pooled } from './pool.js';
import { encodeRecord } from './record.js';
import { contextOf, rosterAfter } from './replica.js';
import {
  applyMembership,
  checkJoinRequest,
  departedIn,
  encodeMembership,
  type MembershipBody,
  membershipPrev,
  voters,
} from './roster.js';
import { sendToUser } from './sending.js';
import { type Context, decodeAs, encodeStatement } from './statements.js';

function makeRecord(ctx: StepContext, st: ChannelState, body: MembershipBody): Pooled {
  st.ownN += 1;
  const record = encodeRecord(ctx.crypto.sha256, {
    channel: st.id,
    author: ctx.self,
    boot: ctx.boot,
    n: st.ownN,
    prev: membershipPrev(st.roster, ctx.self)!,
    kind: body.kind,
    id: ctx.ulid(),
    time: ctx.wall,
    keyEpoch: 0,
    body: encodeMembership(body),
  });
  return signBatch(ctx, st, [record])[0]!;
}

/** Carries on with what this node wants changed. */
export function tickWishes(ctx: StepContext, st: ChannelState): void {
  const wish = st.wishes[0];
  if (!wish) return;
  if (wish.doneAt !== null) {
    const isHeard = hearsRosterLeader(ctx, st) && st.leadership!.epoch.roster >= wish.doneAt;
    if (isHeard) reportDone(ctx, st, wish);
    else if (!st.roster.members.has(ctx.self)) askWhetherLeft(ctx, st, wish);
    return;
  }
  if (!st.roster.members.has(ctx.self)) return refuseAsOutsider(ctx, st, wish);
  if (!hearsRosterLeader(ctx, st) || st.leadership?.epoch.roster !== st.roster.number) return;
  const inFlight = st.log.membershipInFlight();
  if (inFlight) return;
  if (wish.current && wish.base === st.roster.number) {
    if (ctx.now - wish.current.offeredAt < ctx.timing.offer_ms) return;
    wish.current.offeredAt = ctx.now;
  } else {
    const body = wish.make(st.roster);
    const made = body && makeRecord(ctx, st, body);
    if (!made || !rosterAfter(ctx, st, made.record)) return refuseWish(ctx, st, wish, made);
    wish.current = made;
    wish.base = st.roster.number;
  }
  ctx.ready.wake(ctx.now + ctx.timing.offer_ms);
  if (st.leading) queueMembership(st.leading, wish.current);
  else {
    noteOffer(ctx, st, wish.current);
    sendOffers(ctx, st, ctx.ready.early, [wish.current], null);
  }
}

/** A change is done only once more than half of the new roster spoke under its number: an epoch of it exists. */
function reportDone(ctx: StepContext, st: ChannelState, wish: Wish): void {
  st.wishes.shift();
  const digest = wish.current?.record.digest;
  ctx.ready.events.push({ type: 'done', token: wish.token, ...(digest ? { digest } : {}) });
  ctx.ready.wake(ctx.now);
}

/**
 * Who left hears no leader any more, since relays forward to members alone: it
 * asks them which roster they know. One that knows the new one has it from a
 * member, which has the proof then.
 */
function askWhetherLeft(ctx: StepContext, st: ChannelState, { current }: Wish): void {
  if (current && ctx.now - current.offeredAt >= LEFT_ASK_MS) {
    current.offeredAt = ctx.now;
    for (const link of ctx.linksTo([])) {
      const first = st.roster.number + 1;
      ctx.ready.serves.push({ type: 'announce', channel: st.id, link, first });
    }
  }
  ctx.ready.wake((current?.offeredAt ?? ctx.now) + LEFT_ASK_MS);
}

/** A relay says that it knows roster `known`, and, to a member, which of them are connected there. */
export function onRosterKnown(
  ctx: StepContext,
  st: ChannelState,
  known: number,
  online: readonly UserId[],
): void {
  const isMember = st.roster.members.has(ctx.self);
  const isOther = isMember ? !hearsRosterLeader(ctx, st) : online.includes(ctx.self);
  if (known > st.roster.number && isOther) askWhetherIn(ctx, st);
  const [wish] = st.wishes;
  if (!wish || wish.doneAt === null || st.roster.members.has(ctx.self)) return;
  if (known >= wish.doneAt) reportDone(ctx, st, wish);
}

function refuseWish(ctx: StepContext, st: ChannelState, wish: Wish, made: Pooled | null): void {
  st.wishes.shift();
  ctx.ready.events.push({
    type: 'failed',
    token: wish.token,
    code: made ? 'not_allowed' : 'no_change',
    message: made
      ? `the roster in force does not allow this ${made.record.kind}: ${whyRefused(ctx, st, made)}`
      : 'there is nothing to change',
    retryable: false,
  });
}

function refuseAsOutsider(ctx: StepContext, st: ChannelState, { token }: Wish): void {
  st.wishes.shift();
  const message = 'this node is not a member of the channel';
  ctx.ready.events.push({ type: 'failed', token, code: 'removed', message, retryable: false });
  ctx.ready.wake(ctx.now);
}

function whyRefused(ctx: StepContext, { roster }: ChannelState, { record }: Pooled): string {
  try {
    applyMembership(ctx.crypto.sha256, roster, record);
    return 'another change came first';
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Whether one who is a member and does not know it gets no answer from a
 * leader: nobody hears one, and its vote may be needed for one; or it asks
 * again and again, so the leader may not hear it. Then anyone answers.
 */
function isLeftToOthers(ctx: StepContext, st: ChannelState, from: UserId): boolean {
  if (!hearsLeader(ctx, st)) return true;
  const asked = st.asked.get(from);
  const isRecent = asked !== undefined && ctx.now - asked.last < JOIN_PATIENCE_MS;
  const since = isRecent ? asked.since : ctx.now;
  st.asked.set(from, { since, last: ctx.now });
  return ctx.now - since >= JOIN_PATIENCE_MS;
}

/**
 * CH_JOIN, for the leader if there is one: from a stranger, or a member that
 * lost all it had. The driver verified both signatures of the request.
 */
export function onJoin(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  p: Payload<'CH_JOIN'>,
): void {
  const member = st.roster.members.has(from);
  const request = decodeAs('join', p.request);
  if (request.user !== from) return;
  const departed = departedIn(st.roster, request);
  if (!st.leading && !((member || departed) && isLeftToOthers(ctx, st, from))) return;
  if (!member && !departed) {
    try {
      checkJoinRequest(st.roster, request, ctx.wall);
    } catch (error) {
      // An online leader may be the one that does not know.
      if (st.leadership?.branch) return;
      return refuseJoin(ctx, st, from, error as ConclaveError);
    }
  }
  const current =
    st.log.hashAt(request.seq) === request.hash &&
    st.log.final.seq - request.seq <= JOIN_LAG_ENTRIES_MAX &&
    request.roster === st.roster.number;
  if (member || departed || !current) {
    ctx.ready.serves.push({
      type: 'page',
      channel: st.id,
      to: from,
      anchor: [{ seq: request.seq, hash: request.hash }],
      want: [],
      withGenesis: request.seq === 0,
      ...(departed ? { rostersBelow: departed.since } : {}),
    });
    return;
  }
  if (st.joins.size >= JOIN_ATTEMPTS_MAX && !st.joins.has(from)) return;
  const { request: bytes, invite_sig: inviteSig, sig: userSig } = p;
  st.joins.set(from, { request, bytes, inviteSig, userSig, at: ctx.now });
}

function refuseJoin(ctx: StepContext, st: ChannelState, to: UserId, error: ConclaveError): void {
  sendToUser(ctx, ctx.ready.early, to, () => ({
    name: 'CH_REFUSE',
    payload: { id: st.id, from: ctx.self, to, code: 'invite_refused', message: error.message },
  }));
}

/** As leader: gives a vote to a member that has none, or admits one who asks to join. */
export function admit(ctx: StepContext, st: ChannelState): void {
  const { leading } = st;
  if (!leading || st.leadership?.branch) return;
  if (st.log.membershipInFlight() || leading.membershipQueue.length > 0) return;
  if (st.log.final.seq < leading.firstSeq) return;
  for (const body of admissions(ctx, st)) {
    const made = makeRecord(ctx, st, body);
    if (rosterAfter(ctx, st, made.record)) {
      queueMembership(leading, made);
      // Others need its payload to acknowledge it.
      sendOffers(ctx, st, ctx.ready.early, [made], null);
      return;
    }
  }
}

/**
 * What a leader may do next for who votes and who is in. Two voters are only
 * safe to have while both answer, so the second of them gets its vote when it
 * speaks in the channel, and a third is there to get one, or to join, behind it.
 */
function* admissions(ctx: StepContext, st: ChannelState): Iterable<MembershipBody> {
  const { members, number } = st.roster;
  if (st.joins.size === 0 && voters(st.roster).length === members.size) return;
  for (const [user, { at }] of st.joins) {
    if (ctx.now - at > JOIN_PATIENCE_MS || members.has(user)) st.joins.delete(user);
  }
  for (const user of st.spoke) if (members.get(user)?.votes !== false) st.spoke.delete(user);
  const alone = voters(st.roster).length === 1;
  const waiting = [...members.values()].filter(
    (m) => !m.votes && ctx.isOnline(m.user) && (!alone || st.spoke.has(m.user)),
  );
  if (waiting[0] && (!alone || waiting.length > 1 || st.joins.size > 0)) {
    yield { kind: 'vote', base: number, user: waiting[0].user };
  }
  if (alone && members.size > 1) return;
  for (const { request, bytes, inviteSig, userSig } of st.joins.values()) {
    if (request.roster === number) {
      yield { kind: 'join', base: number, request: bytes, inviteSig, userSig };
    }
  }
}

/**
 * Others take this node for a member and it does not, or the other way round:
 * it asks for a while, and members show how that came about. Without it who
 * was removed and taken back, and then lost the memory of both, would stop
 * where its log says that it was removed.
 */
export function askWhetherIn({ now }: StepContext, st: ChannelState): void {
  st.shutOut = { toldAt: now, nextAt: st.shutOut?.nextAt ?? now + JOIN_REPEAT_MS };
}

/**
 * Whether to ask relays now which roster they know: who hears no roster leader
 * may be out, and nobody sends it anything any more.
 */
export function asksRelays(ctx: StepContext, st: ChannelState): boolean {
  const isDue = ctx.now >= st.askRelaysAt;
  const isDeaf = st.roster.members.has(ctx.self) && !hearsRosterLeader(ctx, st);
  if (isDue || !isDeaf) st.askRelaysAt = ctx.now + ASK_RELAYS_MS;
  if (isDeaf) ctx.ready.wake(st.askRelaysAt);
  return isDue && isDeaf;
}

function tickShutOut(ctx: StepContext, st: ChannelState): void {
  const { shutOut } = st;
  if (!shutOut) return;
  const member = st.roster.members.get(ctx.self);
  // An online leader, and all whom it leads, may be out.
  const isAnswered = member ? hearsRosterLeader(ctx, st) : st.joining !== null;
  if (ctx.now - shutOut.toldAt > SHUT_OUT_MS || isAnswered) {
    st.shutOut = null;
    return;
  }
  if (ctx.now >= shutOut.nextAt) {
    // Nobody is admitted by this: it takes an invitation.
    const { name = '', sealing = null } = member ?? {};
    const asking = { ...shutOut, invite: ctx.self, name, sealing };
    askToJoin(ctx, contextOf(st), asking, st.log.final);
    shutOut.nextAt = asking.nextAt;
  }
  ctx.ready.wake(shutOut.nextAt);
}

/** This node asks to be admitted, again and again, naming the final point that it holds. */
export function tickJoining(ctx: StepContext, st: ChannelState): void {
  tickShutOut(ctx, st);
  const { joining } = st;
  if (!joining || st.roster.members.has(ctx.self)) return;
  if (ctx.now >= joining.nextAt) askToJoin(ctx, contextOf(st), joining, st.log.final);
  ctx.ready.wake(joining.nextAt);
}

/** Also used before the genesis is here: then `at` is seq 0, which the channel's id alone defines. */
export function askToJoin(
  ctx: StepContext,
  context: Context,
  joining: Pick<Joining, 'invite' | 'name' | 'sealing' | 'nextAt'>,
  at: Point,
): void {
  joining.nextAt = ctx.now + JOIN_REPEAT_MS;
  const request = encodeStatement({
    tag: 'join',
    ...context,
    user: ctx.self,
    name: joining.name,
    sealing: joining.sealing,
    invite: joining.invite,
    seq: at.seq,
    hash: at.hash,
  });
  const byUser = ctx.ready.signed(ctx.self, request);
  const byInvite = ctx.ready.signed(joining.invite, request);
  ctx.ready.late.push({
    links: ctx.linksTo([]),
    command: () => ({
      name: 'CH_JOIN',
      payload: {
        id: context.channel,
        from: ctx.self,
        request,
        invite_sig: byInvite.sig,
        sig: byUser.sig,
      },
    }),
  });
}
