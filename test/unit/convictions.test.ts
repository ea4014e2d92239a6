/** Room for proofs of misbehaviour (docs/PROTOCOL.md, section "Misbehaviour", "Keeping"). */

import { expect, it } from 'vitest';
import type { Conviction } from '../../src/core/channel-state.js';
import { roomForProof } from '../../src/core/convictions.js';
import type { Digest } from '../../src/core/ids.js';
import {
  CONVICTION_BYTES_MAX,
  CONVICTIONS_PER_OFFENCE_MAX,
  MISBEHAVIOUR_BYTES_MAX,
} from '../../src/core/limits.js';
import type { Offence } from '../../src/core/misbehaviour.js';
import { apply, digestOf, FOUNDER, grown, type Person, person } from './fixtures/channel.js';

const [SECOND, THIRD, REMOVED] = [2, 3, 5].map(person) as [Person, Person, Person];
const seven = grown(7);
const roster = apply(seven, FOUNDER, {
  ...{ kind: 'remove', base: seven.number, user: REMOVED.user },
});

const OFFENCES: readonly Offence[] = ['records', 'ballots', 'proposals', 'acknowledgements'];

/** Proofs of so many bytes, one after the other in time. */
function keeping(proofs: readonly (readonly [Person, Offence, number])[]) {
  const convictions = new Map<Digest, Conviction>();
  for (const [i, [{ user: offender }, offence, bytes]] of proofs.entries()) {
    convictions.set(digestOf(`proof ${i}`), {
      ...{ offence, offender, since: i, records: [], proof: new Uint8Array(bytes) },
      ...{ told: new Set(), isOwn: false },
    });
  }
  return { convictions, roster };
}

const proof = (who: Person, offence: Offence) => ({ offence, offender: who.user });

it('is for two of an offender and offence', () => {
  const two = Array.from(
    { length: CONVICTIONS_PER_OFFENCE_MAX },
    () => [SECOND, 'records', 9] as const,
  );
  expect(roomForProof(keeping(two.slice(1)), proof(SECOND, 'records'), 9)).toStrictEqual([]);
  expect(roomForProof(keeping(two), proof(SECOND, 'records'), 9)).toBeUndefined();
  expect(roomForProof(keeping(two), proof(SECOND, 'ballots'), 9)).toStrictEqual([]);
  expect(roomForProof(keeping(two), proof(THIRD, 'records'), 9)).toStrictEqual([]);
});

it('is for who is or was a member', () => {
  expect(roomForProof(keeping([]), proof(REMOVED, 'records'), 9)).toStrictEqual([]);
  expect(roomForProof(keeping([]), proof(person(99), 'records'), 9)).toBeUndefined();
});

it('is made by former members for present ones, oldest first, and as far as needed', () => {
  const half = CONVICTION_BYTES_MAX / 2;
  const full = keeping([
    [SECOND, 'records', half - 2 * MISBEHAVIOUR_BYTES_MAX],
    [REMOVED, 'records', MISBEHAVIOUR_BYTES_MAX],
    [REMOVED, 'ballots', MISBEHAVIOUR_BYTES_MAX],
    [SECOND, 'ballots', half],
  ]);
  const [, first, second] = [...full.convictions.keys()];
  expect(roomForProof(full, proof(THIRD, 'records'), 1)).toStrictEqual([first]);
  const more = MISBEHAVIOUR_BYTES_MAX + 1;
  expect(roomForProof(full, proof(THIRD, 'records'), more)).toStrictEqual([first, second]);
  expect(roomForProof(full, proof(THIRD, 'records'), 2 * more)).toBeUndefined();
  for (const offence of OFFENCES) {
    expect(roomForProof(full, proof(REMOVED, offence), 1)).toBeUndefined();
  }
});
