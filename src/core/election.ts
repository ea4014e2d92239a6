/**
 * Standing for election (docs/PROTOCOL.md, section "Elections"): pre-vote, then
 * ballots. Raft's election with pre-vote and check-quorum, where every grant
 * and ballot is signed, the kind of epoch is fixed before the pre-vote, and
 * the electorate E is those who granted it. The voter's side is voting.ts.
 *
 *     CH_PREVOTE → CH_GRANT … → CH_LEAD → CH_VOTE (ballot) … → CH_ELECTED
 *
 * A candidate stands for a roster epoch where more than half of the voters
 * answer, else for an online epoch where enough do.
 */

import { type EpochDescriptor, electorateDigest, epochId } from './chain.js';
import type { ChannelState, Election, Leadership } from './channel-state.js';
import type { Payload } from './commands.js';
import type { StepContext } from './effects.js';
import { ballotSignatures, type ElectionProof, isElectorate } from './epoch-record.js';
import {
  answering,
  electionPatience,
  hearsLeader,
  isHeard,
  postponeElection,
  standsAgainst,
} from './hearing.js';
import type { EpochId, UserId } from './ids.js';
import { takeLead } from './leader.js';
import { ROUND_GROWTH_MAX, SET_RECORDS_MAX, TERM_JUMP_MAX } from './limits.js';
import { askForTail } from './pulls.js';
import { isMajority } from './quorum.js';
import { contextOf, endLeadership } from './replica.js';
import { minOnline, voters } from './roster.js';
import { sendToMembers } from './sending.js';
import {
  type Ballot,
  decodeAs,
  type EpochKind,
  encodeStatement,
  type Prevote,
  type Signed,
} from './statements.js';
import { tickSuspicion } from './suspicion.js';
import { castBallot, hasVote, signedGrant } from './voting.js';

/** Drives elections by time. */
export function tickElection(ctx: StepContext, st: ChannelState): void {
  if (st.conflict || st.memory) return;
  const lead = st.leadership;
  if (lead?.live && !st.leading && !isHeard(ctx, st, lead)) loseLeader(ctx, st);
  if (hearsLeader(ctx, st) && !st.leading) {
    ctx.ready.wake(st.leadership!.lastHeardAt + ctx.timing.election_min_ms);
  }
  if (!hasVote(st, ctx.self)) return;
  tickSuspicion(ctx, st);
  const running = st.election;
  if (running) {
    if (ctx.now - running.startedAt >= running.lasts) giveUp(ctx, st, running);
    else if (running.gatherUntil !== null && ctx.now >= running.gatherUntil) {
      askForBallots(ctx, st, running);
    }
  } else {
    const kind = kindToStandFor(ctx, st);
    if (kind === null) return;
    if (ctx.now >= st.electionAt) startPrevote(ctx, st, kind);
  }
  const e = st.election;
  ctx.ready.wake(e ? (e.gatherUntil ?? e.startedAt + e.lasts) : st.electionAt);
}

function loseLeader(ctx: StepContext, st: ChannelState): void {
  st.leadership!.live = false;
  st.yieldUntil = null;
  st.votedFor = null;
  // The silence itself was patience enough for the first to stand.
  st.electionAt =
    ctx.now + ctx.patience() * (ctx.timing.election_max_ms - ctx.timing.election_min_ms);
  ctx.ready.events.push({ type: 'changed', channel: st.id });
}

/**
 * What this node would stand for now. Without a leader: a roster epoch, or an
 * online one where that is all that those who answer can have. Under an online
 * leader: a roster epoch, once more than half of the voters answer; the leader
 * itself also stands anew when members that answer are missing from its
 * electorate. Under a roster leader: nothing.
 */
function kindToStandFor(ctx: StepContext, st: ChannelState): EpochKind | null {
  const heard = hearsLeader(ctx, st) ? st.leadership : null;
  const lead = heard && standsAgainst(ctx, heard) ? null : heard;
  if (lead?.epoch.kind === 'roster') {
    st.majoritySince = null;
    return null;
  }
  const all = voters(st.roster).length;
  const reached = answering(ctx, st).length;
  if (!isMajority(reached, all)) st.majoritySince = null;
  if (isMajority(reached, all)) {
    if (lead && st.majoritySince === null) {
      // The online leader goes first; the others give it time.
      st.majoritySince = ctx.now;
      st.electionAt = ctx.now + (st.leading ? 0 : electionPatience(ctx));
    }
    return st.standOnline && !lead && mayStandOnline(st, majorityLess(all)) ? 'online' : 'roster';
  }
  if (lead) return st.leading && isMissed(ctx, st, lead) ? 'online' : null;
  return mayStandOnline(st, reached) ? 'online' : 'roster';
}

/** The most voters that are not more than half. */
const majorityLess = (all: number): number => Math.floor(all / 2);

const mayStandOnline = (st: ChannelState, reached: number): boolean =>
  st.genesis.quorum === 'online' &&
  isElectorate('online', reached, voters(st.roster).length, minOnline(st.roster));

/** A voter that answers has been missing from this online leader's electorate for long enough, or its branch is full. */
function isMissed(ctx: StepContext, st: ChannelState, lead: Leadership): boolean {
  const leading = st.leading!;
  if (lead.branch!.size >= SET_RECORDS_MAX) return true;
  const missing = answering(ctx, st).some((user) => !lead.epoch.electorate.includes(user));
  if (!missing) {
    leading.missingSince = null;
    return false;
  }
  leading.missingSince ??= ctx.now;
  const due = leading.missingSince + ctx.timing.election_max_ms;
  if (ctx.now >= due) return true;
  ctx.ready.wake(due);
  return false;
}

/** A round that found too few: the next is of the other kind where that may do. */
function giveUp(ctx: StepContext, st: ChannelState, round: Election): void {
  st.election = null;
  postponeElection(ctx, st);
  // Where more than half answer, one of those who refused has the log to win with.
  const answered = round.grants.size + round.refusals.size;
  const isAlone = !isMajority(answered, voters(st.roster).length);
  // Members are heard and none answered: the way may be longer than a round.
  const isEarly = round.grants.size <= 1 && round.refusals.size === 0;
  if (isEarly && answering(ctx, st).length > 1) {
    st.roundMs = Math.min(2 * round.lasts, ROUND_GROWTH_MAX * ctx.timing.round_ms);
  }
  const wasRoster = round.kind === 'roster' && round.stage === 'prevote';
  st.standOnline = wasRoster && isAlone && mayStandOnline(st, round.grants.size);
  if (st.standOnline && !hearsLeader(ctx, st)) st.electionAt = ctx.now;
  if (st.leading) st.leading.missingSince = null;
}

/** One above what this node promised or saw; never a term that it used for the other kind. */
function nextTerm(st: ChannelState, kind: EpochKind): number {
  const { roster, online } = st.hard;
  const promised = Math.max(roster.term, st.log.lastTerm);
  const own = kind === 'roster' ? promised : Math.max(promised, online.term);
  const term = Math.max(own, Math.min(st.seenTerm[kind], own + TERM_JUMP_MAX)) + 1;
  return kind === 'roster' && term === online.term ? term + 1 : term;
}

export function startPrevote(ctx: StepContext, st: ChannelState, kind: EpochKind): void {
  const election: Election = {
    kind,
    stage: 'prevote',
    round: ctx.ulid(),
    term: nextTerm(st, kind),
    last: { term: st.log.lastTerm, seq: st.log.tip.seq },
    startedAt: ctx.now,
    lasts: Math.max(st.roundMs, ctx.timing.round_ms),
    grants: new Map(),
    refusals: new Set(),
    ballots: new Map(),
    gatherUntil: null,
    electorate: [],
  };
  // A refusal is not signed: what it showed counts for one attempt.
  st.seenTerm[kind] = 0;
  st.yieldUntil = null;
  st.standOnline = false;
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
    kind: e.kind,
    candidate,
    round: e.round,
    term: e.term,
    lastTerm: e.last.term,
    lastSeq: e.last.seq,
  };
}

/** A voter promised a higher term: a candidate tries above it, and so does a leader that it can't follow. */
function seeTerm(ctx: StepContext, st: ChannelState, p: Payload<'CH_GRANT'>): void {
  st.seenTerm[p.kind] = Math.max(st.seenTerm[p.kind], p.term);
  const lead = st.leadership;
  // Its own new candidacy is no reason to give up.
  const standsFor = st.election?.kind === p.kind ? st.election.term : 0;
  const beyond = Math.max(lead?.epoch.term ?? 0, standsFor);
  // Of an online epoch only its electorate decides.
  const counts = p.kind === 'roster' || lead?.epoch.electorate.includes(p.from) === true;
  const isOver = st.leading && lead?.epoch.kind === p.kind && p.term > beyond && counts;
  if (isOver && p.roster === st.roster.number && hasVote(st, p.from)) endLeadership(ctx, st, 0);
}

/** A grant or a refusal. The driver verified `signed`, the grant that this node expects. */
export function onGrant(ctx: StepContext, st: ChannelState, p: Payload<'CH_GRANT'>): void {
  const election = st.election;
  if (p.refused !== undefined) {
    if (p.refused === 'term') seeTerm(ctx, st, p);
    if (p.refused === 'leader' && p.round === election?.round) {
      st.carrier = { user: p.from, at: ctx.now };
    }
    if (p.refused === 'log' && p.round === election?.round) askForTail(ctx, st, p.from);
    const mayWin = p.refused === 'term' || p.refused === 'log';
    if (mayWin && p.round === election?.round && hasVote(st, p.from)) election.refusals.add(p.from);
    return;
  }
  if (election?.stage !== 'prevote' || p.round !== election.round || !p.sig) return;
  if (!hasVote(st, p.from) || !ctx.isKnownTo(p.from)) return;
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

/**
 * Of two candidates for a roster epoch, both at their pre-votes, one gives up:
 * that of the lower term, or the greater id. Where a partition heals, both
 * sides' leaders stand at once, and would split the votes.
 */
export function yieldToRival(ctx: StepContext, st: ChannelState, p: Prevote): void {
  const own = st.election;
  if (own?.kind !== 'roster' || own.stage !== 'prevote' || p.kind !== 'roster') return;
  const { last, term } = own;
  const isFirst = p.term > term || (p.term === term && p.candidate < ctx.self);
  const isBehind = p.lastTerm < last.term || (p.lastTerm === last.term && p.lastSeq < last.seq);
  const mayWin = p.rosterHash === st.roster.hash && p.term > st.hard.roster.term && !isBehind;
  if (!isFirst || !mayWin || !hasVote(st, p.candidate)) return;
  st.election = null;
  postponeElection(ctx, st);
}

function countGrants(ctx: StepContext, st: ChannelState, election: Election): void {
  const all = voters(st.roster);
  const size = election.grants.size;
  // More than half granted an online epoch: then a roster epoch can be had.
  if (election.kind === 'online' && isMajority(size, all.length)) {
    st.election = null;
    return startPrevote(ctx, st, 'roster');
  }
  if (!isElectorate(election.kind, size, all.length, minOnline(st.roster))) return;
  if (!isGain(st, election)) return;
  const waiting = all.filter((u) => !election.grants.has(u) && ctx.isOnline(u));
  if (waiting.length === 0) askForBallots(ctx, st, election);
  else election.gatherUntil ??= ctx.now + ctx.timing.gather_ms;
}

/**
 * The log is no longer one to lead with: it must have all that those of its
 * voters have, and nothing of a term that is as late.
 */
const isOutdated = ({ log }: ChannelState, { kind, last, term }: Election): boolean =>
  kind === 'roster' &&
  (log.lastTerm >= term ||
    log.lastTerm < last.term ||
    (log.lastTerm === last.term && log.tip.seq < last.seq));

/**
 * An online leader that stands anew for those that its electorate lacks needs
 * one of them: with fewer it would only end its epoch, and raise the term of
 * whoever hears it and others.
 */
function isGain({ leading, leadership }: ChannelState, { kind, grants }: Election): boolean {
  if (kind === 'roster' || !leading || !leadership?.branch) return true;
  if (leadership.branch.size >= SET_RECORDS_MAX) return true;
  return [...grants.keys()].some((user) => !leadership.epoch.electorate.includes(user));
}

function askForBallots(ctx: StepContext, st: ChannelState, election: Election): void {
  const { kind } = election;
  if (election.term <= st.hard[kind].term || isOutdated(st, election)) {
    st.election = null;
    return postponeElection(ctx, st);
  }
  election.stage = 'ballots';
  election.startedAt = ctx.now;
  election.gatherUntil = null;
  election.electorate = [...election.grants.keys()].sort();
  const electorate = electorateDigest(ctx.crypto.sha256, election.electorate);
  const c = candidacyOf(ctx.self, election);
  // An online leader that found a majority gives way; one that takes in more members leads on until it won.
  if (st.leading && kind === 'roster') {
    endLeadership(ctx, st, ctx.timing.election_min_ms);
    st.election = election;
  }
  castBallot(ctx, st, { ...c, electorate });
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

export function onBallot(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  b: Ballot,
  sig: Uint8Array,
): void {
  const election = st.election;
  if (election?.stage !== 'ballots' || b.candidate !== ctx.self) return;
  if (b.term !== election.term || b.kind !== election.kind || !hasVote(st, from)) return;
  if (b.roster !== st.roster.number || b.rosterHash !== st.roster.hash) return;
  if (b.electorate !== electorateDigest(ctx.crypto.sha256, election.electorate)) return;
  const counted = b.kind === 'roster' ? voters(st.roster) : election.electorate;
  if (!counted.includes(from)) return;
  election.ballots.set(from, sig);
  if (!isMajority(election.ballots.size, counted.length)) return;
  // The next round lasts no longer than this one shows to be needed.
  st.roundMs = Math.min(st.roundMs, 2 * (ctx.now - election.startedAt));
  if (isOutdated(st, election)) {
    st.election = null;
    return;
  }
  const epoch: EpochDescriptor = {
    ...contextOf(st),
    kind: election.kind,
    term: election.term,
    leader: ctx.self,
    electorate: election.electorate,
  };
  const ballots = [...election.ballots].map(([user, s]) => ({ user, sig: s }));
  takeLead(ctx, st, epoch, ballots);
}

/** CH_ELECTED as its parts: the epoch it speaks of and the ballots that prove it. */
export function electedProof(
  hash: (data: Uint8Array) => Uint8Array,
  p: Payload<'CH_ELECTED'>,
): ElectionProof & { beat: ReturnType<typeof decodeBeat>; signatures: Signed[] } {
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
  const id: EpochId = epochId(hash, epoch);
  const { ballots } = p;
  return { epoch, id, ballots, beat, signatures: ballotSignatures(hash, { epoch, ballots }) };
}

const decodeBeat = (bytes: Uint8Array) => decodeAs('beat', bytes);
