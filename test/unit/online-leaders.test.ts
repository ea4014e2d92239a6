/**
 * Where not everyone reaches everyone, several lead online epochs side by side
 * (docs/PROTOCOL.md, section "Elections"): whom a member between them follows,
 * how it asks for signs of life, what such a leader goes on for, and that it
 * shows the log that it has.
 */

import { expect, it } from 'vitest';
import type { Payload } from '../../src/core/commands.js';
import { onGrant, startPrevote } from '../../src/core/election.js';
import type { ElectionProof } from '../../src/core/epoch-record.js';
import { challenge, onElected } from '../../src/core/follower.js';
import type { Ulid } from '../../src/core/ids.js';
import { takeLead } from '../../src/core/leader.js';
import { TIMING } from '../../src/core/limits.js';
import { rememberEpoch } from '../../src/core/provisional.js';
import { answerPull } from '../../src/core/pull-answers.js';
import { ZERO_BOOT } from '../../src/core/record.js';
import { appendEntry, keepProposal } from '../../src/core/replica.js';
import type { Beat, Propose } from '../../src/core/statements.js';
import { person } from './fixtures/channel.js';
import { CoreState, messages, users } from './fixtures/core-state.js';

function hears(state: CoreState, { epoch, id, ballots }: ElectionProof, echo?: Ulid): void {
  const beat = { epoch: id, term: epoch.term, beat: 1, echo: echo ?? ZERO_BOOT } as Beat;
  onElected(state.ctx, state.st, epoch.leader, { epoch, id, ballots }, beat);
  state.carryOut();
}

it('who meets several of one term stays with the greatest, unless another one alone answers', () => {
  const state = new CoreState(10, 10);
  const [low, middle, high] = [1, 4, 7]
    .map((n) => state.election('online', 5, person(n), users(n, n + 1, n + 2)))
    .sort((a, b) => (a.id < b.id ? -1 : 1)) as [ElectionProof, ElectionProof, ElectionProof];
  const following = () => [state.st.leadership?.id, state.st.leadership?.live];
  hears(state, low);
  const question = state.st.challenge!.id;
  hears(state, high);
  // The others answer what was asked before: that must not end the question to this one.
  const asked = state.st.challenge!.id;
  for (const answer of [low, middle]) hears(state, answer, question);
  expect(following()).toEqual([high.id, false]);
  expect(state.st.challenge!.id).toBe(asked);
  state.now += TIMING.pull_ms;
  challenge(state.ctx, state.st, middle.epoch.leader);
  hears(state, middle, state.st.challenge!.id);
  expect(following()).toEqual([middle.id, true]);
});

it('a question to a leader stays the same while it is asked again, and is answered once', () => {
  const state = new CoreState(7, 7);
  const proof = state.election('roster', 5, person(2), users(1, 2, 3, 4));
  hears(state, proof);
  const { leader } = proof.epoch;
  const first = state.st.challenge!.id;
  state.now += TIMING.pull_ms;
  challenge(state.ctx, state.st, leader);
  const answeredAt = state.now + TIMING.pull_ms / 2;
  state.now = answeredAt;
  hears(state, proof, first);
  expect(state.st.leadership).toMatchObject({ live: true, lastHeardAt: answeredAt });
  // A copy of the answer, however often, keeps no dead leader alive.
  state.now += TIMING.pull_ms;
  hears(state, proof, first);
  expect(state.st.leadership!.lastHeardAt).toBe(answeredAt);
  for (const _ of Array(6)) {
    challenge(state.ctx, state.st, leader);
    state.now += TIMING.pull_ms;
  }
  const [last, old] = [state.st.challenge!.id, first];
  expect(last).not.toBe(old);
  expect(state.now - state.st.challenge!.since).toBeLessThanOrEqual(TIMING.election_max_ms);
});

/** Person 1 leads an online epoch of persons 1 to 3. */
function leader(): CoreState {
  const state = new CoreState(9);
  const { epoch, ballots } = state.election('online', 5, person(1), users(1, 2, 3));
  state.online = new Set(users(2, 3, 4));
  takeLead(state.ctx, state.st, epoch, ballots);
  state.carryOut();
  return state;
}

it('an online leader that stands anew asks for ballots only with a grant of one that its electorate lacks', () => {
  const state = leader();
  startPrevote(state.ctx, state.st, 'online');
  state.carryOut();
  const election = state.st.election!;
  const grant = (n: number): void => {
    const p = { from: person(n).user, round: election.round, sig: new Uint8Array(64) };
    onGrant(state.ctx, state.st, p as unknown as Payload<'CH_GRANT'>);
  };
  grant(2);
  grant(3);
  expect([election.stage, election.gatherUntil]).toEqual(['prevote', null]);
  grant(4);
  expect([election.stage, election.electorate]).toEqual(['ballots', users(1, 2, 3, 4).sort()]);
});

it('an online leader ends its epoch for a higher promise of its electorate, not of others', () => {
  const state = leader();
  const refusal = (n: number): void => {
    const { number: roster } = state.st.roster;
    const p = { from: person(n).user, round: ZERO_BOOT, refused: 'term', kind: 'online', term: 9 };
    onGrant(state.ctx, state.st, { ...p, roster } as unknown as Payload<'CH_GRANT'>);
  };
  refusal(4);
  expect(state.st.leading).not.toBeNull();
  refusal(3);
  expect(state.st.leading).toBeNull();
});

it('an online leader shows its better tail, as anybody does, to one that it refused for its log', () => {
  const state = leader();
  const { ctx, st } = state;
  const proof = state.election('roster', 4, person(2), users(1, 2, 3, 4, 5));
  rememberEpoch(ctx, st, proof);
  const records = messages(person(2), 3, state.rootOf(2));
  const at = { epoch: proof.id, term: 4, roster: st.roster.number };
  for (const record of records) appendEntry(ctx, st, record, () => state.proofOf(record), at);
  const { seq: tipSeq, hash: tipHash } = st.log.tip;
  const signed = { statement: new Uint8Array(1), sig: new Uint8Array(64) };
  keepProposal(ctx, st, { epoch: proof.id, tipSeq, tipHash } as Propose, signed);
  state.carryOut();
  const [asker] = users(4);
  const asked = { from: asker, anchor: [st.log.final], want: [], tail: true };
  answerPull(state.ctx, st, asker!, asked as unknown as Payload<'CH_PULL'>);
  const pages = state.carryOut().filter(({ name }) => name === 'CH_APPEND');
  expect(pages.map(({ payload }) => (payload as Payload<'CH_APPEND'>).records)).toEqual([
    records.map(({ bytes }) => bytes),
  ]);
});
