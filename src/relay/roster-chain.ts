/**
 * What a relay checks before it believes anything about a channel: the
 * founder's genesis, the chain of membership records, a request to join
 * (docs/PROTOCOL.md, section "Relay: rosters"). A relay takes no one's word;
 * every roster it holds is proven by signatures of the members of the one
 * before. Work is paid for with `spend` before it is done, so that nobody can
 * keep the relay's thread busy. Pure.
 */

import { checkStep, decodeStep } from '../core/certificate.js';
import type { Payload } from '../core/commands.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { channelIdOf, decodeGenesis, type Genesis } from '../core/genesis.js';
import type { UserId } from '../core/ids.js';
import { unhex } from '../core/ids.js';
import { checkJoinRequest, departedIn, type Roster } from '../core/roster.js';
import { decodeAs, type Signed } from '../core/statements.js';
import { WORK } from './limits.js';

/** Pays for work, in the units of limits.ts; false when it can't be afforded now. */
export type Spend = (units: number) => boolean;

function verifyAll(crypto: Crypto, signatures: readonly Signed[]): void {
  for (const { by, statement, sig } of signatures) {
    if (!crypto.ed25519Verify(unhex(by), statement, sig)) {
      throw new ConclaveError('bad_signature', `a signature of ${by} does not verify`);
    }
  }
}

/** Throws unless the genesis is the channel's and its founder signed it. */
export function verifyGenesis(crypto: Crypto, announced: Payload<'CH_ROSTER'>): Genesis {
  if (channelIdOf(crypto.sha256, announced.genesis) !== announced.id) {
    throw new ConclaveError('bad_genesis', 'the genesis is of another channel');
  }
  const genesis = decodeGenesis(announced.genesis);
  verifyAll(crypto, [
    { by: genesis.founder, statement: announced.genesis, sig: announced.genesis_sig },
  ]);
  return genesis;
}

export interface Growth {
  /** The furthest roster that is proven. */
  readonly roster: Roster;
  /** Why it went no further; absent when every step was taken or known. */
  readonly stopped?: 'budget' | ConclaveError;
}

/** Takes the steps that are new to `known`, as far as they hold and are paid for. */
export function growRoster(
  crypto: Crypto,
  known: Roster,
  { first, steps }: Pick<Payload<'CH_ROSTER'>, 'first' | 'steps'>,
  spend: Spend,
): Growth {
  let roster = known;
  for (let i = Math.max(0, known.number - first); i < steps.length; i++) {
    if (first + i > roster.number) return { roster };
    try {
      const next = takeStep(crypto, roster, steps[i]!, spend);
      if (next === undefined) return { roster, stopped: 'budget' };
      roster = next;
    } catch (error) {
      if (error instanceof ConclaveError) return { roster, stopped: error };
      throw error;
    }
  }
  return { roster };
}

function takeStep(
  crypto: Crypto,
  roster: Roster,
  bytes: Uint8Array,
  spend: Spend,
): Roster | undefined {
  if (!spend(Math.ceil(bytes.length / WORK.step_bytes_per_unit))) return undefined;
  const checked = checkStep(crypto.sha256, roster, decodeStep(bytes));
  const signatures = checked.signatures.length * WORK.per_signature;
  if (!spend(signatures + 2 * WORK.per_unknown_key)) return undefined;
  verifyAll(crypto, checked.signatures);
  return checked.roster;
}

export const GENESIS_WORK = WORK.per_signature + WORK.per_unknown_key;
export const JOIN_WORK = 2 * (WORK.per_signature + WORK.per_unknown_key);
/** Its keys were seen before. */
export const JOIN_AGAIN_WORK = 2 * WORK.per_signature;

/**
 * Throws unless `from` may be presented to the channel's members: it holds an
 * invitation that is open (`invite_refused`) as far as the relay knows.
 */
export function verifyJoin(
  crypto: Crypto,
  roster: Roster,
  from: UserId,
  join: Payload<'CH_JOIN'>,
  wallMs: number,
): void {
  const request = decodeAs('join', join.request);
  if (request.user !== from) {
    throw new ConclaveError('bad_membership', "the request is another user's");
  }
  try {
    if (!departedIn(roster, request)) checkJoinRequest(roster, request, wallMs);
  } catch (cause) {
    if (!(cause instanceof ConclaveError)) throw cause;
    throw new ConclaveError('invite_refused', cause.message, { retryable: true, cause });
  }
  verifyAll(crypto, [
    { by: request.invite, statement: join.request, sig: join.invite_sig },
    { by: request.user, statement: join.request, sig: join.sig },
  ]);
}
