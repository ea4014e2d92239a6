/**
 * Elections (docs/PROTOCOL.md, section "Elections"): pre-vote, then ballots.
 * Raft's election with pre-vote and check-quorum, where every grant and ballot
 * is signed, the kind of epoch is fixed before the ballots, and the electorate
 * E is those who granted the pre-vote.
 *
 *     CH_PREVOTE → CH_GRANT … → CH_LEAD → CH_VOTE (ballot) … → CH_ELECTED
 *
 * A grant promises nothing and is not stored. A ballot is on disk before it
 * leaves: it is sent from `late`, behind the hard state.
 */

import { type EpochDescriptor, electorateDigest, epochId } from './chain.js';
import type { ChannelState, Election, Leadership } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import type { Digest, EpochId, UserId } from './ids.js';
import { encodeHardState, type HardState } from './layout.js';
import { takeLead } from './leader.js';
import { TERM_JUMP_MAX } from './limits.js';
import { pullFrom } from './pulls.js';
import { isMajority } from './quorum.js';
import { contextOf, endLeadership } from './replica.js';
import { voters } from './roster.js';
import { sendToMembers, sendToUser } from './sending.js';
import {
  type Ballot,
  decodeAs,
  encodeStatement,
  type Grant,
  type Lead,
  type Prevote,
  type Signed,
} from './statements.js';

export function setHard(ctx: StepContext, st: ChannelState, hard: HardState): void {
  st.hard = hard;
  ctx.ready.put(st.keys.hard, encodeHardState(hard));
  ctx.ready.sync = true;
}

const electionPatience = (ctx: StepContext): number =>
  ctx.timing.election_min_ms +
  ctx.random() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);

export function postponeElection(ctx: StepContext, st: ChannelState): void {
  st.electionAt = ctx.now + electionPatience(ctx);
}

const hasVote = (st: ChannelState, user: UserId): boolean =>
  st.roster.members.get(user)?.votes === true;

/** A roster leader that is heard is a reason to refuse every other candidate. */
export function hearsLeader(ctx: StepContext, st: ChannelState): boolean {
  const lead = st.leadership;
  if (!lead?.live) return false;
  return st.leading !== null || ctx.now - lead.lastHeardAt < ctx.timing.election_min_ms;
}

/** Drives elections by time. */
export function tickElection(ctx: StepContext, st: ChannelState): void {
  if (st.leading || st.conflict) return;
  if (st.leadership?.live && !hearsLeader(ctx, st)) loseLeader(ctx, st);
  if (hearsLeader(ctx, st)) {
    ctx.ready.wake(st.leadership!.lastHeardAt + ctx.timing.election_min_ms);
    return;
  }
  if (!hasVote(st, ctx.self)) return;
  const running = st.election;
  if (running) {
    if (ctx.now - running.startedAt >= ctx.timing.round_ms) {
      st.election = null;
      postponeElection(ctx, st);
    } else if (running.gatherUntil !== null && ctx.now >= running.gatherUntil) {
      askForBallots(ctx, st, running);
    }
  } else if (ctx.now >= st.electionAt) {
    startPrevote(ctx, st);
  }
  const e = st.election;
  ctx.ready.wake(e ? (e.gatherUntil ?? e.startedAt + ctx.timing.round_ms) : st.electionAt);
}

function loseLeader(ctx: StepContext, st: ChannelState): void {
  st.leadership!.live = false;
  postponeElection(ctx, st);
  // The silence itself was patience enough for the first to stand.
  st.electionAt =
    ctx.now + ctx.random() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}

export function startPrevote(ctx: StepContext, st: ChannelState): void {
  const term = Math.max(st.hard.term, Math.min(st.seenTerm, st.hard.term + TERM_JUMP_MAX - 1)) + 1;
  // A refusal is not signed: what it showed counts for one attempt.
  st.seenTerm = 0;
  const election: Election = {
    stage: 'prevote',
    round: ctx.ulid(),
    term,
    last: { term: st.log.lastTerm, seq: st.log.tip.seq },
    startedAt: ctx.now,
    grants: new Map(),
    ballots: new Map(),
    gatherUntil: null,
    electorate: [],
  };
  st.election = election;
  const own = signedGrant(ctx, st, candidacyOf(ctx.self, election));
  ctx.ready.onSigned.push(() => election.grants.set(ctx.self, own.sig));
  election.grants.set(ctx.self, own.sig);
  const others = voters(st.roster).filter((u) => u !== ctx.self);
  if (others.length > 0) {
    const statement = encodeStatement({
      tag: 'prevote',
      ...contextOf(st),
      ...candidacyOf(ctx.self, election),
    });
    const signed = ctx.ready.signed(ctx.self, statement);
    sendToMembers(ctx, st, ctx.ready.early, () => ({
      name: 'CH_PREVOTE',
      payload: { id: st.id, from: ctx.self, s: statement, sig: signed.sig },
    }));
  }
  countGrants(ctx, st, election);
}

function candidacyOf(candidate: UserId, e: Election) {
  return {
    kind: 'roster' as const,
    candidate,
    round: e.round,
    term: e.term,
    lastTerm: e.last.term,
    lastSeq: e.last.seq,
  };
}

type Candidacy = ReturnType<typeof candidacyOf>;

function signedGrant(ctx: StepContext, st: ChannelState, c: Candidacy): Signed {
  return ctx.ready.signed(ctx.self, encodeStatement({ tag: 'grant', ...contextOf(st), ...c }));
}

type Refusal = NonNullable<Payload<'CH_GRANT'>['refused']>;

function reasonToRefuse(ctx: StepContext, st: ChannelState, p: Prevote): Refusal | undefined {
  if (p.roster !== st.roster.number || p.rosterHash !== st.roster.hash) return 'roster';
  if (hearsLeader(ctx, st) && st.leadership?.epoch.leader !== p.candidate) return 'leader';
  if (p.term <= st.hard.term || p.term > st.hard.term + TERM_JUMP_MAX) return 'term';
  if (isBehind(st, p)) return 'log';
  return undefined;
}

/** True when the candidate's log is behind this node's: by last term, then length. */
const isBehind = (st: ChannelState, c: { lastTerm: number; lastSeq: number }): boolean =>
  c.lastTerm < st.log.lastTerm || (c.lastTerm === st.log.lastTerm && c.lastSeq < st.log.tip.seq);

/** Answers a pre-vote. Online epochs are not granted yet: their place is the `kind`. */
export function onPrevote(ctx: StepContext, st: ChannelState, from: UserId, p: Prevote): void {
  if (p.candidate !== from || from === ctx.self || p.kind !== 'roster') return;
  // Without a leader nobody else tells this node, who may be waited for, of its own new roster.
  if (p.roster > st.roster.number) pullFrom(ctx, st, from);
  if (!hasVote(st, ctx.self) || st.conflict) return;
  const refused = reasonToRefuse(ctx, st, p);
  if (refused === undefined && !hasVote(st, from)) return;
  const base = {
    id: st.id,
    from: ctx.self,
    to: from,
    round: p.round,
    term: st.hard.term,
    roster: st.roster.number,
  };
  if (refused !== undefined) {
    sendToUser(ctx, ctx.ready.early, from, () => ({
      name: 'CH_GRANT',
      payload: { ...base, refused },
    }));
    return;
  }
  const { candidate, round, term, lastTerm, lastSeq } = p;
  const grant = signedGrant(ctx, st, { kind: 'roster', candidate, round, term, lastTerm, lastSeq });
  sendToUser(ctx, ctx.ready.early, from, () => ({
    name: 'CH_GRANT',
    payload: { ...base, sig: grant.sig },
  }));
  // A grant gives the candidate time to win before this node stands itself.
  if (!st.election) postponeElection(ctx, st);
}

/** A voter promised a higher term: a candidate tries above it, and so does a leader that it can't follow. */
function seeTerm(ctx: StepContext, st: ChannelState, p: Payload<'CH_GRANT'>): void {
  st.seenTerm = Math.max(st.seenTerm, p.term);
  const isOver = st.leading && p.term > st.leadership!.epoch.term;
  if (isOver && p.roster === st.roster.number && hasVote(st, p.from)) endLeadership(ctx, st, 0);
}

/** A grant or a refusal. The driver verified `signed`, the grant that this node expects. */
export function onGrant(ctx: StepContext, st: ChannelState, p: Payload<'CH_GRANT'>): void {
  const election = st.election;
  if (p.refused !== undefined) {
    if (p.refused === 'term') seeTerm(ctx, st, p);
    return;
  }
  if (election?.stage !== 'prevote' || p.round !== election.round || !p.sig) return;
  if (!hasVote(st, p.from)) return;
  election.grants.set(p.from, p.sig);
  countGrants(ctx, st, election);
}

/** The statement that a grant to this node must have signed, for the driver to verify. */
export function expectedGrant(
  st: ChannelState,
  self: UserId,
  p: Payload<'CH_GRANT'>,
): Signed | undefined {
  if (!st.election || !p.sig || p.round !== st.election.round) return undefined;
  const c = candidacyOf(self, st.election);
  return {
    by: p.from,
    statement: encodeStatement({ tag: 'grant', ...contextOf(st), ...c }),
    sig: p.sig,
  };
}

function countGrants(ctx: StepContext, st: ChannelState, election: Election): void {
  const all = voters(st.roster);
  if (!isMajority(election.grants.size, all.length)) return;
  const waiting = all.filter((u) => !election.grants.has(u) && ctx.isOnline(u));
  if (waiting.length === 0) askForBallots(ctx, st, election);
  else election.gatherUntil ??= ctx.now + ctx.timing.gather_ms;
}

function askForBallots(ctx: StepContext, st: ChannelState, election: Election): void {
  if (election.term <= st.hard.term) {
    st.election = null;
    postponeElection(ctx, st);
    return;
  }
  election.stage = 'ballots';
  election.gatherUntil = null;
  election.electorate = [...election.grants.keys()].sort();
  const electorate = electorateDigest(ctx.crypto.sha256, election.electorate);
  castBallot(ctx, st, ctx.self, election.term, electorate);
  const c = candidacyOf(ctx.self, election);
  const statement = encodeStatement({ tag: 'lead', ...contextOf(st), ...c, electorate });
  const signed = ctx.ready.signed(ctx.self, statement);
  if (voters(st.roster).length === 1) return;
  sendToMembers(ctx, st, ctx.ready.late, () => ({
    name: 'CH_LEAD',
    payload: {
      id: st.id,
      from: ctx.self,
      election: election.term,
      user: ctx.self,
      request: {
        s: statement,
        sig: signed.sig,
        electorate: [...election.electorate],
        grants: election.electorate.map((user) => ({ user, sig: election.grants.get(user)! })),
      },
    },
  }));
}

/** Promises and signs; the ballot leaves (or is counted here) once the promise is durable. */
function castBallot(
  ctx: StepContext,
  st: ChannelState,
  candidate: UserId,
  term: number,
  electorate: Digest,
): void {
  setHard(ctx, st, { ...st.hard, term, votedFor: { candidate, electorate } });
  st.votedFor = { term, candidate };
  const ballot: Ballot = {
    tag: 'ballot',
    ...contextOf(st),
    kind: 'roster',
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
  if (l.kind !== 'roster' || st.conflict || !hasVote(st, ctx.self) || !hasVote(st, l.candidate))
    return;
  if (l.roster !== st.roster.number || l.rosterHash !== st.roster.hash) return;
  if (l.electorate !== electorateDigest(ctx.crypto.sha256, electorate)) return;
  const granted = new Set(grants);
  const distinct = new Set(electorate);
  for (const user of distinct) if (!granted.has(user) || !hasVote(st, user)) return;
  if (!isMajority(distinct.size, voters(st.roster).length)) return;
  const { term, votedFor } = st.hard;
  const again =
    l.term === term && votedFor?.candidate === l.candidate && votedFor.electorate === l.electorate;
  if (!again && (l.term <= term || l.term > term + TERM_JUMP_MAX)) return;
  if (isBehind(st, l)) return;
  if (hearsLeader(ctx, st) && st.leadership?.epoch.leader !== l.candidate) return;
  if (st.leading) endLeadership(ctx, st, ctx.timing.election_min_ms);
  st.election = null;
  castBallot(ctx, st, l.candidate, l.term, l.electorate);
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

export function onBallot(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  b: Ballot,
  sig: Uint8Array,
): void {
  const election = st.election;
  if (election?.stage !== 'ballots' || b.candidate !== ctx.self) return;
  if (b.term !== election.term || b.kind !== 'roster' || !hasVote(st, from)) return;
  if (b.roster !== st.roster.number || b.rosterHash !== st.roster.hash) return;
  if (b.electorate !== electorateDigest(ctx.crypto.sha256, election.electorate)) return;
  election.ballots.set(from, sig);
  if (!isMajority(election.ballots.size, voters(st.roster).length)) return;
  const epoch: EpochDescriptor = {
    ...contextOf(st),
    kind: 'roster',
    term: election.term,
    leader: ctx.self,
    electorate: election.electorate,
  };
  const ballots = [...election.ballots].map(([user, s]) => ({ user, sig: s }));
  st.election = null;
  takeLead(ctx, st, leadershipOf(ctx, st, epoch, ballots, true));
}

export function leadershipOf(
  ctx: StepContext,
  st: ChannelState,
  epoch: EpochDescriptor,
  ballots: Leadership['ballots'],
  live: boolean,
): Leadership {
  return {
    id: epochId(ctx.crypto.sha256, epoch),
    epoch,
    ballots,
    live,
    lastBeat: 0,
    lastHeardAt: ctx.now,
    // What is final here is in every later roster leader's log.
    matched: st.log.final.seq,
    acked: null,
    ackAgain: false,
    committed: 0,
  };
}

/** CH_ELECTED as its parts: the epoch it speaks of and the ballots that prove it. */
export function electedProof(
  hash: (data: Uint8Array) => Uint8Array,
  p: Payload<'CH_ELECTED'>,
): {
  epoch: EpochDescriptor;
  id: EpochId;
  beat: ReturnType<typeof decodeBeat>;
  signatures: Signed[];
} {
  const beat = decodeBeat(p.s);
  const epoch: EpochDescriptor = {
    channel: beat.channel,
    roster: beat.roster,
    rosterHash: beat.rosterHash,
    kind: p.kind,
    term: p.election,
    leader: p.leader,
    electorate: [...new Set(p.electorate)].sort(),
  };
  const ballot = encodeStatement({
    tag: 'ballot',
    channel: beat.channel,
    roster: beat.roster,
    rosterHash: beat.rosterHash,
    kind: p.kind,
    candidate: p.leader,
    term: p.election,
    electorate: electorateDigest(hash, epoch.electorate),
  });
  return {
    epoch,
    id: epochId(hash, epoch),
    beat,
    signatures: p.ballots.map(({ user, sig }) => ({ by: user, statement: ballot, sig })),
  };
}

const decodeBeat = (bytes: Uint8Array) => decodeAs('beat', bytes);
