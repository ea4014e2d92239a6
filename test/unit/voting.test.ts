/**
 * Who is heard, granted and voted for (docs/PROTOCOL.md, section "Elections"):
 * tables of what a voter knows against what a candidate asks, where every pair
 * is decided.
 */

import { describe, expect, it, test } from 'vitest';
import { electorateDigest } from '../../src/core/chain.js';
import type { Outgoing, Payload } from '../../src/core/commands.js';
import { startPrevote } from '../../src/core/election.js';
import { hearsLeader, hearsOther } from '../../src/core/hearing.js';
import type { UserId } from '../../src/core/ids.js';
import { decodeHardState, type HardState } from '../../src/core/layout.js';
import { leadershipOf } from '../../src/core/leadership.js';
import { TERM_JUMP_MAX, TIMING } from '../../src/core/limits.js';
import type { EpochKind, Lead, Prevote } from '../../src/core/statements.js';
import { decodeAs, encodeStatement } from '../../src/core/statements.js';
import { onLead, onPrevote } from '../../src/core/voting.js';
import { CHANNEL, digestOf, hash, person, recordBy, ulidOf, verifies } from './fixtures/channel.js';
import { CoreState, users } from './fixtures/core-state.js';

const KINDS = ['roster', 'online'] as const;
const VOTER = person(1);
const LEADER = person(2);
const CANDIDATE = person(3);
const SEVEN = users(1, 2, 3, 4, 5, 6, 7);

/** Whom the voter follows, or that it leads itself. */
type Following = 'nobody' | 'not live' | 'silent' | 'heard' | 'itself';

function following(kind: EpochKind, how: Following, leader = LEADER): CoreState {
  const state = new CoreState(7);
  if (how === 'nobody') return state;
  const electorate = kind === 'roster' ? SEVEN : users(1, 2, 3);
  const { epoch, ballots } = state.election(kind, 5, how === 'itself' ? VOTER : leader, electorate);
  const lead = leadershipOf(state.ctx, state.st, epoch, ballots, how !== 'not live');
  state.st.leadership = lead;
  if (how === 'itself') state.st.leading = {} as never;
  state.now += how === 'heard' ? TIMING.election_min_ms - 1 : TIMING.election_min_ms;
  return state;
}

describe('a leader', () => {
  it.each<[Following, boolean]>([
    ['nobody', false],
    ['not live', false],
    ['silent', false],
    ['heard', true],
    ['itself', true],
  ])('%s: heard %s, of either kind', (how, heard) => {
    for (const kind of KINDS) {
      const { ctx, st } = following(kind, how);
      expect(hearsLeader(ctx, st)).toBe(heard);
    }
  });

  /** Whether a leader of one kind that is heard is a reason to refuse an election of another, or its own. */
  it.each<[EpochKind, EpochKind, other: boolean, itself: boolean]>([
    ['roster', 'roster', true, false],
    ['roster', 'online', true, true],
    ['online', 'roster', false, false],
    ['online', 'online', true, false],
  ])('of a %s epoch, a candidate for a %s epoch', (led, wanted, other, itself) => {
    for (const how of ['nobody', 'not live', 'silent', 'heard'] as const) {
      const { ctx, st } = following(led, how);
      const isHeard = how === 'heard';
      expect(hearsOther(ctx, st, wanted, CANDIDATE.user)).toBe(isHeard && other);
      expect(hearsOther(ctx, st, wanted, LEADER.user)).toBe(isHeard && itself);
    }
  });
});

const prevoteOf = (state: CoreState, change: Partial<Prevote> = {}): Prevote => ({
  tag: 'prevote',
  channel: CHANNEL,
  roster: state.st.roster.number,
  rosterHash: state.st.roster.hash,
  kind: 'roster',
  candidate: CANDIDATE.user,
  round: ulidOf(7),
  term: 10,
  lastTerm: 0,
  lastSeq: 0,
  ...change,
});

const sentAs = <N extends Outgoing['name']>(sent: readonly Outgoing[], name: N) =>
  sent.flatMap((c) => (c.name === name ? [c.payload as unknown as Payload<N>] : []));

/** What the voter answers: a grant, a refusal and its reason, or nothing. */
function answerTo(state: CoreState, prevote: Prevote, from: UserId = CANDIDATE.user): string {
  onPrevote(state.ctx, state.st, from, prevote);
  const [grant, ...more] = sentAs(state.carryOut(), 'CH_GRANT');
  expect(more).toEqual([]);
  if (!grant) return 'nothing';
  expect(grant.kind).toBe(prevote.kind);
  if (grant.refused) return grant.refused;
  const { tag: _, ...fields } = prevote;
  expect(verifies([{ by: VOTER.user, statement: grantOf(fields), sig: grant.sig! }])).toBe(true);
  return 'grant';
}

const grantOf = (fields: Omit<Prevote, 'tag'>) => encodeStatement({ tag: 'grant', ...fields });

const promised = (roster: number, online: number): HardState => ({
  roster: { term: roster, seen: roster, votedFor: null },
  online: { term: online, seen: online, votedFor: null },
});

describe('a pre-vote', () => {
  it.each(KINDS)('for a %s epoch is granted, and promises nothing', (kind) => {
    const state = new CoreState(7);
    const before = new Map(state.store);
    expect(answerTo(state, prevoteOf(state, { kind }))).toBe('grant');
    expect(state.store).toEqual(before);
    expect(state.st.electionAt).toBeGreaterThan(state.now);
  });

  type Case = [what: string, kind: EpochKind, change: Partial<Prevote>, answer: string];
  it.each<Case>([
    ['in another roster', 'roster', { roster: 3 }, 'roster'],
    ['in another roster of this number', 'roster', { rosterHash: digestOf('x') }, 'roster'],
    ['in an older term', 'roster', { term: 4 }, 'term'],
    ['in the term promised', 'roster', { term: 5 }, 'term'],
    ['in the next term', 'roster', { term: 6 }, 'grant'],
    ['at the end of the jump', 'roster', { term: 5 + TERM_JUMP_MAX }, 'grant'],
    ['beyond the jump', 'roster', { term: 6 + TERM_JUMP_MAX }, 'grant'],
    ['beyond two jumps', 'roster', { term: 6 + 2 * TERM_JUMP_MAX }, 'term'],
    ['with a log behind', 'roster', { lastTerm: 2, lastSeq: 9 }, 'log'],
    ['with a shorter log', 'roster', { lastTerm: 3, lastSeq: 0 }, 'log'],
    ['with the same log', 'roster', { lastTerm: 3, lastSeq: 1 }, 'grant'],
    ['with a newer log', 'roster', { lastTerm: 4, lastSeq: 0 }, 'grant'],
    ['in the online term promised', 'online', { term: 8 }, 'term'],
    ['above it', 'online', { term: 9 }, 'grant'],
    ['below it, above the roster promise', 'online', { term: 6 }, 'term'],
    ['at the end of the jump', 'online', { term: 8 + TERM_JUMP_MAX }, 'grant'],
    ['beyond the jump', 'online', { term: 9 + TERM_JUMP_MAX }, 'grant'],
    ['beyond two jumps', 'online', { term: 9 + 2 * TERM_JUMP_MAX }, 'term'],
    ['with a log behind', 'online', { term: 9, lastTerm: 0, lastSeq: 0 }, 'grant'],
  ])('%s, for a %s epoch', (_, kind, change, answer) => {
    const state = new CoreState(7);
    state.st.hard = promised(5, 8);
    const epoch = state.election('roster', 3, LEADER, SEVEN);
    state.st.log.append(recordBy(person(4)), new Uint8Array(0), {
      epoch: epoch.id,
      term: 3,
      roster: state.st.roster.number,
    });
    const lengths = { lastTerm: 3, lastSeq: 1 };
    expect(answerTo(state, prevoteOf(state, { kind, ...lengths, ...change }))).toBe(answer);
  });

  it.each(KINDS)('beyond the jump, for a %s epoch, finds the promise risen', async (kind) => {
    const state = new CoreState(7);
    state.st.hard = promised(5, 8);
    const far = prevoteOf(state, { kind, term: 9 + 3 * TERM_JUMP_MAX });
    const from = kind === 'roster' ? 5 : 8;
    for (const [jumps, answer] of [
      [1, 'term'],
      [2, 'term'],
      [3, 'grant'],
    ] as const) {
      expect(answerTo(state, far)).toBe(answer);
      const term = from + jumps * TERM_JUMP_MAX;
      expect(state.st.hard[kind]).toEqual({ term, seen: from, votedFor: null });
      expect((await state.reopened()).hard).toEqual(state.st.hard);
    }
  });

  it('beyond the jump raises no promise of who hears a leader, or waits for ballots', () => {
    const state = following('roster', 'heard');
    const before = state.st.hard;
    const far = (of: CoreState) => prevoteOf(of, { term: 5_000 });
    expect(answerTo(state, far(state))).toBe('leader');
    expect(state.st.hard).toEqual(before);
    const candidate = new CoreState(7);
    startPrevote(candidate.ctx, candidate.st, 'roster');
    candidate.st.election!.stage = 'ballots';
    candidate.carryOut();
    expect(answerTo(candidate, far(candidate))).toBe('term');
    expect(candidate.st.hard.roster.term).toBe(0);
  });

  it.each<[EpochKind, EpochKind, string]>([
    ['roster', 'roster', 'leader'],
    ['roster', 'online', 'leader'],
    ['online', 'roster', 'grant'],
    ['online', 'online', 'leader'],
  ])('while a %s leader is heard, for a %s epoch', (led, wanted, answer) => {
    const state = following(led, 'heard');
    expect(answerTo(state, prevoteOf(state, { kind: wanted }))).toBe(answer);
    const later = following(led, 'silent');
    expect(answerTo(later, prevoteOf(later, { kind: wanted }))).toBe('grant');
  });

  it('gets no answer from, or for, who has no vote or is not asked', () => {
    const outsider = new CoreState(7, 8);
    expect(answerTo(outsider, prevoteOf(outsider))).toBe('nothing');
    const state = new CoreState(7);
    const stranger = person(9).user;
    expect(answerTo(state, prevoteOf(state, { candidate: stranger }), stranger)).toBe('nothing');
    expect(answerTo(state, prevoteOf(state), LEADER.user)).toBe('nothing');
    expect(answerTo(state, prevoteOf(state, { candidate: VOTER.user }), VOTER.user)).toBe(
      'nothing',
    );
    state.st.conflict = 'two final certificates conflict';
    expect(answerTo(state, prevoteOf(state))).toBe('nothing');
  });

  it('of a newer roster is a reason to pull it', () => {
    const state = new CoreState(7);
    const { number } = state.st.roster;
    onPrevote(state.ctx, state.st, CANDIDATE.user, prevoteOf(state, { roster: number + 1 }));
    const sent = state.carryOut();
    expect(sentAs(sent, 'CH_PULL').map(({ to }) => to)).toEqual([CANDIDATE.user]);
    expect(sentAs(sent, 'CH_GRANT').map(({ refused }) => refused)).toEqual(['roster']);
  });

  it("for an online epoch gets no answer where the policy is quorum 'roster'", () => {
    const state = new CoreState(7);
    Object.assign(state.st.genesis, { quorum: 'roster' });
    expect(answerTo(state, prevoteOf(state, { kind: 'online' }))).toBe('nothing');
    expect(answerTo(state, prevoteOf(state, { kind: 'roster' }))).toBe('grant');
  });
});

const THREE = users(1, 3, 4);
const FOUR = users(1, 3, 4, 5);

interface Request {
  readonly lead?: Partial<Lead>;
  readonly electorate?: UserId[];
  readonly grants?: UserId[];
}

/** The term and kind of the ballot that the voter sends, or undefined. */
function ballotFor(state: CoreState, kind: EpochKind, { lead, electorate, grants }: Request = {}) {
  const who = electorate ?? (kind === 'roster' ? FOUR : THREE);
  const { tag: _, ...prevote } = prevoteOf(state, { kind });
  const electorateHash = electorateDigest(hash, who);
  const l: Lead = { tag: 'lead', ...prevote, electorate: electorateHash, ...lead };
  onLead(state.ctx, state.st, l, who, grants ?? who);
  const [vote, ...more] = sentAs(state.carryOut(), 'CH_VOTE');
  expect(more).toEqual([]);
  if (!vote) return undefined;
  expect(vote.to).toBe(l.candidate);
  const ballot = decodeAs('ballot', vote.ballot!.s);
  expect(verifies([{ by: VOTER.user, statement: vote.ballot!.s, sig: vote.ballot!.sig }])).toBe(
    true,
  );
  expect(ballot).toMatchObject({ candidate: l.candidate, electorate: l.electorate });
  return [ballot.kind, ballot.term];
}

describe('a request to vote', () => {
  it.each(KINDS)('for a %s epoch gets a ballot, behind a durable promise', (kind) => {
    const state = new CoreState(7);
    expect(ballotFor(state, kind)).toEqual([kind, 10]);
    const hard = decodeHardState(state.store.get(state.st.keys.hard)!);
    const other = kind === 'roster' ? 'online' : 'roster';
    expect(hard[kind]).toMatchObject({ term: 10, votedFor: { candidate: CANDIDATE.user } });
    // An election of one kind never raises the promise of the other.
    expect(hard[other]).toEqual({ term: 0, seen: 0, votedFor: null });
  });

  it('is sent behind the disk', () => {
    const state = new CoreState(7);
    const { ready } = state;
    const { tag: _, ...prevote } = prevoteOf(state);
    const electorate = electorateDigest(hash, FOUR);
    onLead(state.ctx, state.st, { tag: 'lead', ...prevote, electorate }, FOUR, FOUR);
    expect([ready.early.length, ready.late.length, ready.sync]).toEqual([0, 1, true]);
  });

  type Case = [what: string, kind: EpochKind, request: Request, votes: boolean];
  it.each<Case>([
    ['by all seven', 'roster', { electorate: SEVEN }, true],
    ['of an electorate that is no majority', 'roster', { electorate: THREE }, false],
    ['of a majority', 'online', { electorate: FOUR }, false],
    ['of fewer than minOnline', 'online', { electorate: users(1, 3) }, false],
    ['of two named twice', 'online', { electorate: [...users(1, 3), ...users(3)] }, false],
    ['of an electorate that did not grant', 'roster', { grants: users(1, 3, 4) }, false],
    ['of an electorate that did not grant', 'online', { grants: users(1, 3) }, false],
    ['with a stranger in it', 'roster', { electorate: [...FOUR, person(9).user] }, false],
    [
      'of another electorate than it names',
      'roster',
      { lead: { electorate: digestOf('x') } },
      false,
    ],
    ['of somebody without a vote', 'roster', { lead: { candidate: person(9).user } }, false],
    ['in another roster', 'roster', { lead: { roster: 1 } }, false],
    ['in another roster of this number', 'online', { lead: { rosterHash: digestOf('x') } }, false],
    ['beyond the jump', 'roster', { lead: { term: TERM_JUMP_MAX + 6 } }, false],
    ['in the term promised', 'roster', { lead: { term: 5 } }, false],
    ['in the online term promised', 'online', { lead: { term: 8 } }, false],
    ['above the roster promise, below the online one', 'online', { lead: { term: 7 } }, false],
    ['below the online promise', 'roster', { lead: { term: 7 } }, true],
  ])('%s, for a %s epoch', (_, kind, request, votes) => {
    const state = new CoreState(7);
    state.st.hard = promised(5, 8);
    const expected = votes ? [kind, request.lead?.term ?? 10] : undefined;
    expect(ballotFor(state, kind, request)).toEqual(expected);
  });

  it.each<[EpochKind, EpochKind, boolean]>([
    ['roster', 'roster', false],
    ['roster', 'online', false],
    ['online', 'roster', true],
    ['online', 'online', false],
  ])('while a %s leader is heard, for a %s epoch', (led, wanted, votes) => {
    expect(ballotFor(following(led, 'heard'), wanted) !== undefined).toBe(votes);
    expect(ballotFor(following(led, 'silent'), wanted)).toBeDefined();
  });

  it('ends what the voter follows only where it votes', () => {
    const refusing = following('roster', 'heard');
    ballotFor(refusing, 'roster');
    expect(refusing.st.leadership).not.toBeNull();
    const leading = following('online', 'itself');
    expect(ballotFor(leading, 'roster')).toBeDefined();
    expect([leading.st.leading, leading.st.leadership]).toEqual([null, null]);
  });

  test.each(KINDS)('one ballot for each term of a %s epoch, also over a restart', async (kind) => {
    const state = new CoreState(7);
    const other = { lead: { candidate: LEADER.user } };
    expect(ballotFor(state, kind)).toBeDefined();
    expect(ballotFor(state, kind, other)).toBeUndefined();
    const another = kind === 'roster' ? SEVEN : users(1, 3, 5);
    expect(ballotFor(state, kind, { electorate: another })).toBeUndefined();
    // The same again is the same ballot: the first may be lost.
    expect(ballotFor(state, kind)).toBeDefined();
    state.st = await state.reopened();
    expect(ballotFor(state, kind, other)).toBeUndefined();
    expect(ballotFor(state, kind)).toBeDefined();
    expect(ballotFor(state, kind, { lead: { ...other.lead, term: 11 } })).toEqual([kind, 11]);
  });

  it('is given again, to an old question, by one that leads an online epoch since, and leads on', () => {
    const voted = new CoreState(7);
    expect(ballotFor(voted, 'roster')).toEqual(['roster', 10]);
    const leading = following('online', 'itself');
    Object.assign(leading.st, { hard: voted.st.hard, electionAt: 0 });
    expect(ballotFor(leading, 'roster')).toEqual(['roster', 10]);
    expect(leading.st.leading).not.toBeNull();
    expect(leading.st.electionAt).toBe(0);
  });

  it('that is given again makes nobody a live leader: those words may be as old', async () => {
    const state = new CoreState(7);
    expect(ballotFor(state, 'roster')).toBeDefined();
    expect(state.st.votedFor).not.toBeNull();
    state.st = await state.reopened();
    expect(ballotFor(state, 'roster')).toEqual(['roster', 10]);
    expect(state.st.votedFor).toBeNull();
  });

  it('may have one in each kind in one term: they are different promises', () => {
    const state = new CoreState(7);
    expect(ballotFor(state, 'online')).toEqual(['online', 10]);
    expect(ballotFor(state, 'roster')).toEqual(['roster', 10]);
  });

  it("for an online epoch gets none where the policy is quorum 'roster'", () => {
    const state = new CoreState(7);
    Object.assign(state.st.genesis, { quorum: 'roster' });
    expect(ballotFor(state, 'online')).toBeUndefined();
    expect(ballotFor(state, 'roster')).toBeDefined();
  });

  it('with a log behind gets one for an online epoch alone', () => {
    for (const kind of KINDS) {
      const state = new CoreState(7);
      const epoch = state.election('roster', 3, LEADER, SEVEN);
      const at = { epoch: epoch.id, term: 3, roster: state.st.roster.number };
      state.st.log.append(recordBy(person(4)), new Uint8Array(0), at);
      expect(ballotFor(state, kind) !== undefined).toBe(kind === 'online');
    }
  });

  it('gets none from who stopped, or has no vote', () => {
    const stopped = new CoreState(7);
    stopped.st.conflict = 'two final certificates conflict';
    expect(ballotFor(stopped, 'roster')).toBeUndefined();
    expect(ballotFor(new CoreState(7, 8), 'roster')).toBeUndefined();
  });
});
