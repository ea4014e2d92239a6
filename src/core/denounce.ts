/**
 * From what a step takes in to proofs of misbehaviour (docs/PROTOCOL.md,
 * section "Misbehaviour"): shows it to the channel's witness, and has what that
 * finds judged like what others say, outside the step, before it counts.
 */

import { electorateDigest } from './chain.js';
import { type ChannelState, chainOf } from './channel-state.js';
import { roomForProof } from './convictions.js';
import type { StepContext } from './effects.js';
import type { UserId } from './ids.js';
import type { Inspection } from './inspect.js';
import { CONVICTIONS_PER_OFFENCE_MAX, MISBEHAVIOUR_BYTES_MAX } from './limits.js';
import type { Misbehaviour } from './misbehaviour.js';
import { encodePortableProof } from './portable-proof.js';
import type { ChannelRecord } from './record.js';
import { encodeStatement } from './statements.js';

/** What came, with the signatures that were verified: it may contradict what came before. */
export function witness(
  ctx: StepContext,
  st: ChannelState,
  from: UserId,
  { what, checks }: Pick<Inspection, 'what' | 'checks'>,
): void {
  const { sha256 } = ctx.crypto;
  switch (what.type) {
    case 'records':
      for (const { record, proof } of what.items) witnessRecord(ctx, st, record, proof);
      return;
    case 'page': {
      const { records, proofs, cert, propose, signed } = what.page;
      // Whoever certified a message checked its signature; this node did not.
      if (cert) return;
      for (const [i, record] of records.entries()) {
        witnessRecord(ctx, st, record, () => proofs[i]!.slice());
      }
      const leader = what.page.proof?.epoch.leader ?? from;
      if (propose && signed)
        denounce(ctx, st, st.witness.proposal(leader, propose, what.page, signed));
      return;
    }
    case 'propose': {
      const { propose, stretch, signed } = what;
      return denounce(ctx, st, st.witness.proposal(from, propose, stretch, signed));
    }
    case 'ballot': {
      const { ballot, sig } = what;
      return denounceAll(
        ctx,
        st,
        st.witness.ballots(ballot, [{ by: from, statement: encodeStatement(ballot), sig }]),
      );
    }
    case 'elected': {
      const { kind, term, leader: candidate, electorate } = what.proof.epoch;
      const choice = { kind, term, candidate, electorate: electorateDigest(sha256, electorate) };
      // Behind the leader's own, the ballots; none where the leadership is known.
      return denounceAll(ctx, st, st.witness.ballots(choice, checks.slice(1)));
    }
    case 'ack': {
      const lead = st.leadership;
      if (lead?.id !== what.ack.epoch) return;
      return denounce(ctx, st, st.witness.ack(from, what.ack, what.sig, chainOf(st, lead)));
    }
    case 'commit': {
      const lead = st.leadership;
      if (lead?.id !== what.cert.epoch) return;
      return denounceAll(ctx, st, st.witness.certificate(sha256, what.cert, chainOf(st, lead)));
    }
  }
}

function witnessRecord(
  ctx: StepContext,
  st: ChannelState,
  record: ChannelRecord,
  proof: () => Uint8Array,
): void {
  denounce(ctx, st, st.witness.record(record, proof));
}

function denounceAll(ctx: StepContext, st: ChannelState, found: readonly Misbehaviour[]): void {
  for (const one of found) denounce(ctx, st, one);
}

/** Has what the witness found judged, unless enough of it was handed on already. */
function denounce(ctx: StepContext, st: ChannelState, found: Misbehaviour | undefined): void {
  if (!found || !roomForProof(st, found, 0)) return;
  const key = `${found.offence}${found.offender}`;
  const times = st.denounced.get(key) ?? 0;
  if (times >= CONVICTIONS_PER_OFFENCE_MAX) return;
  st.denounced.set(key, times + 1);
  const proof = encodePortableProof({ kind: 'misbehaviour', misbehaviour: found });
  if (proof.length <= MISBEHAVIOUR_BYTES_MAX) ctx.ready.found.push({ channel: st.id, proof });
}
