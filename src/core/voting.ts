/**
 * The voter's side of an election (docs/PROTOCOL.md, section "Elections"):
 * grants and refusals of pre-votes, promises and ballots. A grant promises
 * nothing and is not stored. A ballot is on disk before it leaves: it is sent
 * from `late`, behind the promise. One ballot for each kind and term, over
 * crashes.
 */

import { electorateDigest } from './chain.js';
import type { ChannelState } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import { isElectorate } from './epoch-record.js';
import { answering, hearsOther, postponeElection, yieldTo } from './hearing.js';
import type { UserId } from './ids.js';
import { encodeHardState, type HardState, type VotePromise } from './layout.js';
import { TERM_JUMP_MAX } from './limits.js';
import { pullFrom } from './pulls.js';
import { isMajority } from './quorum.js';
import { contextOf, endLeadership } from './replica.js';
import { minOnline, voters } from './roster.js';
import { sendToUser } from './sending.js';
import {
  type Ballot,
  type EpochKind,
  encodeStatement,
  type Grant,
  type Lead,
  type Prevote,
  type Signed,
} from './statements.js';

export const hasVote = (st: ChannelState, user: UserId): boolean =>
  st.roster.members.get(user)?.votes === true;

/** Promises are durable before what rests on them leaves. */
export function storePromises(ctx: StepContext, st: ChannelState, hard: HardState): void {
  st.hard = hard;
  ctx.ready.put(st.keys.hard, encodeHardState(hard));
  ctx.ready.sync = true;
}

/** Makes a promise about one kind of epoch. */
export function promise(
  ctx: StepContext,
  st: ChannelState,
  kind: EpochKind,
  made: Omit<VotePromise, 'seen'>,
): void {
  storePromises(ctx, st, { ...st.hard, [kind]: { ...made, seen: made.term } });
}

type Candidacy = Pick<Grant, 'kind' | 'candidate' | 'round' | 'term' | 'lastTerm' | 'lastSeq'>;

export function signedGrant(ctx: StepContext, st: ChannelState, c: Candidacy): Signed {
  return ctx.ready.signed(ctx.self, encodeStatement({ tag: 'grant', ...contextOf(st), ...c }));
}

type Refusal = NonNullable<Payload<'CH_GRANT'>['refused']>;

function reasonToRefuse(ctx: StepContext, st: ChannelState, p: Prevote): Refusal | undefined {
  if (p.roster !== st.roster.number || p.rosterHash !== st.roster.hash) return 'roster';
  if (st.memory) return 'memory';
  if (hearsOther(ctx, st, p.kind, p.candidate)) return 'leader';
  if (!isNewTerm(st, p.kind, p.term)) return 'term';
  if (p.kind === 'roster' && isBehind(st, p)) return 'log';
  return undefined;
}

/** The highest term that this node may be led to at once: a bounded jump above what it knows. */
export function reachOf({ hard: { roster, online }, log }: ChannelState, kind: EpochKind): number {
  const known = Math.max(roster.term, log.lastTerm, kind === 'online' ? online.term : 0);
  return known + TERM_JUMP_MAX;
}

export const isInReach = (st: ChannelState, kind: EpochKind, term: number): boolean =>
  term <= reachOf(st, kind);

/** Above the promise for that kind, and within reach. */
const isNewTerm = (st: ChannelState, kind: EpochKind, term: number): boolean =>
  term > st.hard[kind].term && isInReach(st, kind, term);

/** True when the candidate's log is behind this node's: by last term, then length. */
const isBehind = (st: ChannelState, c: { lastTerm: number; lastSeq: number }): boolean =>
  c.lastTerm < st.log.lastTerm || (c.lastTerm === st.log.lastTerm && c.lastSeq < st.log.tip.seq);

/** Answers a pre-vote. */
export function onPrevote(ctx: StepContext, st: ChannelState, from: UserId, p: Prevote): void {
  if (p.candidate !== from || from === ctx.self) return;
  if (p.kind === 'online' && st.genesis.quorum === 'roster') return;
  // Without a leader nobody else tells this node, who may be waited for, of its own new roster.
  if (p.roster > st.roster.number) pullFrom(ctx, st, from);
  if (!hasVote(st, ctx.self) || st.conflict || !ctx.isKnownTo(from)) return;
  let refused = reasonToRefuse(ctx, st, p);
  if (refused === undefined && !hasVote(st, from)) return;
  const isFar = refused === 'term' && hasVote(st, from) && !isInReach(st, p.kind, p.term);
  const comes = isFar && comeNearer(ctx, st, p.kind);
  if (comes) refused = reasonToRefuse(ctx, st, p);
  const lane = comes ? ctx.ready.late : ctx.ready.early;
  const base = {
    id: st.id,
    from: ctx.self,
    to: from,
    round: p.round,
    kind: p.kind,
    term: st.hard[p.kind].term,
    roster: st.roster.number,
  };
  if (refused !== undefined) {
    sendToUser(ctx, lane, from, () => ({
      name: 'CH_GRANT',
      payload: { ...base, refused },
    }));
    return;
  }
  const { kind, candidate, round, term, lastTerm, lastSeq } = p;
  const grant = signedGrant(ctx, st, { kind, candidate, round, term, lastTerm, lastSeq });
  sendToUser(ctx, lane, from, () => ({
    name: 'CH_GRANT',
    payload: { ...base, sig: grant.sig },
  }));
  // A grant gives the candidate time to win before this node stands itself for the same.
  const isMine =
    p.kind === 'roster' || !isMajority(answering(ctx, st).length, voters(st.roster).length);
  if (!st.election && isMine) yieldTo(ctx, st);
}

/**
 * A voter stands in a term that is out of reach here: it may have promised so
 * much that it can stand in none that is nearer. This node's promise rises to
 * the end of its reach, for nobody, unless it waits for ballots itself; it may
 * be near enough then.
 */
function comeNearer(ctx: StepContext, st: ChannelState, kind: EpochKind): boolean {
  if (st.election?.stage === 'ballots') return false;
  const raised = { ...st.hard[kind], term: reachOf(st, kind), votedFor: null };
  storePromises(ctx, st, { ...st.hard, [kind]: raised });
  return true;
}

type Vote = Pick<Lead, 'kind' | 'candidate' | 'term' | 'electorate'>;

/** Promises and signs; the ballot leaves (or is counted here) once the promise is durable. */
export function castBallot(ctx: StepContext, st: ChannelState, vote: Vote): void {
  const { kind, candidate, term, electorate } = vote;
  promise(ctx, st, kind, { term, votedFor: { candidate, electorate } });
  st.votedFor = { kind, term, candidate };
  sendBallot(ctx, st, vote);
}

function sendBallot(
  ctx: StepContext,
  st: ChannelState,
  { kind, candidate, term, electorate }: Vote,
): void {
  const ballot: Ballot = {
    tag: 'ballot',
    ...contextOf(st),
    kind,
    candidate,
    term,
    electorate,
  };
  const statement = encodeStatement(ballot);
  const signed = ctx.ready.signed(ctx.self, statement);
  if (candidate === ctx.self) {
    ctx.ready.self.push({ type: 'own-ballot', channel: st.id, ballot, signed });
    return;
  }
  sendToUser(ctx, ctx.ready.late, candidate, () => ({
    name: 'CH_VOTE',
    payload: {
      id: st.id,
      from: ctx.self,
      to: candidate,
      election: term,
      user: candidate,
      ballot: { s: statement, sig: signed.sig },
    },
  }));
}

/** A request to vote. The driver verified the candidate's signature and all grants. */
export function onLead(
  ctx: StepContext,
  st: ChannelState,
  l: Lead,
  electorate: readonly UserId[],
  grants: readonly UserId[],
): void {
  if (st.conflict || st.memory || !ctx.isKnownTo(l.candidate)) return;
  if (!hasVote(st, ctx.self) || !hasVote(st, l.candidate)) return;
  if (l.kind === 'online' && st.genesis.quorum === 'roster') return;
  if (l.roster !== st.roster.number || l.rosterHash !== st.roster.hash) return;
  if (l.electorate !== electorateDigest(ctx.crypto.sha256, electorate)) return;
  const granted = new Set(grants);
  const distinct = new Set(electorate);
  for (const user of distinct) if (!granted.has(user) || !hasVote(st, user)) return;
  if (!isElectorate(l.kind, distinct.size, voters(st.roster).length, minOnline(st.roster))) return;
  const { term, votedFor } = st.hard[l.kind];
  const again =
    l.term === term && votedFor?.candidate === l.candidate && votedFor.electorate === l.electorate;
  if (!again && !isNewTerm(st, l.kind, l.term)) return;
  if (l.kind === 'roster' && isBehind(st, l)) return;
  if (hearsOther(ctx, st, l.kind, l.candidate)) return;
  // A copy, which may be old: its candidate gets the ballot again, which is no news here.
  if (again) return sendBallot(ctx, st, l);
  if (st.leading) endLeadership(ctx, st, ctx.timing.election_min_ms);
  st.election = null;
  castBallot(ctx, st, l);
  postponeElection(ctx, st);
}

/** The grants of a CH_LEAD as their voters signed them. */
export function grantSignatures(
  l: Lead,
  grants: readonly { user: UserId; sig: Uint8Array }[],
): Signed[] {
  const grant: Grant = {
    tag: 'grant',
    channel: l.channel,
    roster: l.roster,
    rosterHash: l.rosterHash,
    kind: l.kind,
    candidate: l.candidate,
    round: l.round,
    term: l.term,
    lastTerm: l.lastTerm,
    lastSeq: l.lastSeq,
  };
  const statement = encodeStatement(grant);
  return grants.map(({ user, sig }) => ({ by: user, statement, sig }));
}
