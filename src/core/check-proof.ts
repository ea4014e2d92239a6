/**
 * The judge of portable proofs (docs/PROTOCOL.md, section "Portable proofs"):
 * a pure function of the proof's bytes. It believes nothing but signatures: the
 * channel's id is that of the genesis, each roster follows from the one before
 * by a step that is proven, and the certificate is one of more than half of the
 * last roster's voters. All rules of certificates are those of certificate.ts,
 * what convicts somebody those of misbehaviour.ts.
 */

import { checkInclusion, checkStep } from './certificate.js';
import type { Hash } from './crypto.js';
import { ConclaveError } from './errors.js';
import { channelIdOf, decodeGenesis } from './genesis.js';
import type { ChannelId, UserId } from './ids.js';
import { openDisclosed } from './message-key.js';
import { checkMisbehaviour, type Misbehaviour } from './misbehaviour.js';
import { decodePortableProof, type FinalProof } from './portable-proof.js';
import type { ChannelRecord } from './record.js';
import {
  applyMembership,
  genesisRoster,
  isMembership,
  nameIn,
  type Roster,
  voters,
} from './roster.js';
import { standsIn } from './standing.js';
import type { Signed } from './statements.js';

/** What judging takes: a hash, and whether somebody signed a statement. */
export interface Verifier {
  readonly sha256: Hash;
  isValid(signed: Signed): boolean;
}

/** Somebody, by the name that the channel's log gave. */
interface Person {
  readonly user: UserId;
  readonly name: string;
}

/** What a proof shows. */
export interface ProvenFinal {
  readonly proves: 'final';
  readonly channel: ChannelId;
  readonly founder: Person;
  readonly record: ChannelRecord;
  /** The plain body of the record, where the proof opens an encrypted one. */
  readonly opened?: Uint8Array;
  /** Its place in the channel's log. */
  readonly seq: number;
  readonly author: Person;
  /** Under the roster in force there; not so of what a merge brought in after its author left. */
  readonly authorIsMember: boolean;
  /** That of whose voters certified it, or the one that the record itself makes: for names. */
  readonly roster: Roster;
  /** Who certified it: more than half of the voters of a roster. */
  readonly certificate: {
    readonly seq: number;
    readonly term: number;
    readonly roster: number;
    readonly by: readonly Person[];
    readonly of: number;
  };
}

/** Two statements under one key that nobody signs who follows the protocol. */
export interface ProvenMisbehaviour {
  readonly proves: 'misbehaviour';
  readonly misbehaviour: Misbehaviour;
}

export type Proven = ProvenFinal | ProvenMisbehaviour;

function bad(why: string, cause?: unknown): never {
  throw new ConclaveError('bad_proof', `the proof does not hold: ${why}`, { cause });
}

/** Throws `bad_proof`, `proof_too_large` or `proof_version`. */
export function checkPortableProof(crypto: Verifier, bytes: Uint8Array): Proven {
  try {
    const proof = decodePortableProof(bytes);
    if (proof.kind === 'final') return checkFinal(crypto, proof);
    const { misbehaviour } = proof;
    verify(crypto, checkMisbehaviour(crypto.sha256, misbehaviour));
    return { proves: 'misbehaviour', misbehaviour };
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    if (['bad_proof', 'proof_too_large', 'proof_version'].includes(error.code)) throw error;
    return bad(error.message, error);
  }
}

function verify({ isValid }: Verifier, signed: readonly Signed[]): void {
  for (const one of signed) {
    if (!isValid(one)) bad(`a signature of ${one.by} does not verify`);
  }
}

function checkFinal(crypto: Verifier, proof: FinalProof): ProvenFinal {
  const { sha256 } = crypto;
  const genesis = decodeGenesis(proof.genesis);
  const channel = channelIdOf(sha256, proof.genesis);
  verify(crypto, [{ by: genesis.founder, statement: proof.genesis, sig: proof.genesisSig }]);
  const rosters = rostersOf(crypto, genesisRoster(sha256, channel, genesis), proof);
  const last = rosters.at(-1)!;
  const { record, header, cert, signatures } = checkInclusion(sha256, last, proof.inclusion);
  verify(crypto, signatures);
  if (cert.seq <= (proof.steps.at(-1)?.seq ?? 0)) bad('its certificate is older than its roster');
  const placedUnder = rosters[header.roster];
  if (!placedUnder) bad(`the entry is of roster ${header.roster}, which nothing proves`);
  const opened = openedIn(crypto, proof, record);
  const changes = isMembership(record.kind) && header.roster === last.number;
  const roster = changes ? applyMembership(sha256, last, record) : last;
  const named = (user: UserId): Person => ({ user, name: nameIn(roster, user) });
  return {
    proves: 'final',
    channel,
    founder: { user: genesis.founder, name: genesis.founderName },
    record,
    ...(opened && { opened }),
    seq: proof.inclusion.seq,
    author: named(record.author),
    authorIsMember: standsIn(placedUnder, { record, proof: proof.inclusion.proof }),
    roster,
    certificate: {
      seq: cert.seq,
      term: cert.term,
      roster: cert.roster,
      by: cert.acks.map(({ user }) => named(user)),
      of: voters(last).length,
    },
  };
}

/** What the record says, to whoever is shown the key of the message; no other key opens it. */
function openedIn(
  { sha256 }: Verifier,
  { disclosure }: FinalProof,
  record: ChannelRecord,
): Uint8Array | undefined {
  if (!disclosure) return undefined;
  return openDisclosed(sha256, record, disclosure) ?? bad('its key does not open the message');
}

/** Every roster up to the last that a step puts in force, from the founder's on. */
function rostersOf(crypto: Verifier, first: Roster, { steps }: FinalProof): Roster[] {
  const rosters = [first];
  let before = 0;
  for (const step of steps) {
    if (step.seq <= before) bad('its changes of membership are not in the order of the log');
    const { roster, signatures } = checkStep(crypto.sha256, rosters.at(-1)!, step);
    verify(crypto, signatures);
    rosters.push(roster);
    before = step.seq;
  }
  return rosters;
}
