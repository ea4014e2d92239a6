/**
 * Portable proofs: what shows to anybody, with no store and no network, that a
 * record is final, or that a member contradicted itself (docs/PROTOCOL.md,
 * section "Portable proofs"). This file is the encoding; check-proof.ts judges it.
 *
 *     proof = text "conclave/proof" · version u8 · kind u8 · body
 *     body  = misbehaviour (misbehaviour.ts), or
 *             genesis bytes · founder's sig 64 · steps list of bytes · inclusion bytes · disclosure bytes
 *
 * `steps` are the roster steps 1, 2, 3 … up to the roster of the certificate.
 * `inclusion` has the form of a step: a record, where it stands, the headers up
 * to the certified entry, and the certificate. `disclosure` is the key of this
 * one message (message-key.ts), or nothing.
 */

import { bytesEqual, decodeWhole, type Reader, utf8, Writer } from './bytes.js';
import { decodeStep, encodeStep, type RosterStep } from './certificate.js';
import { ConclaveError } from './errors.js';
import { PORTABLE_PROOF_BYTES_MAX, PROTOCOL_VERSION } from './limits.js';
import { MESSAGE_KEY_BYTES } from './message-key.js';
import { type Misbehaviour, readMisbehaviour, writeMisbehaviour } from './misbehaviour.js';

/** What a proof of a final record holds, nothing of it checked. */
export interface FinalProof {
  readonly kind: 'final';
  readonly genesis: Uint8Array;
  readonly genesisSig: Uint8Array;
  readonly steps: readonly RosterStep[];
  readonly inclusion: RosterStep;
  /** The key of the message, where its text is shown. */
  readonly disclosure?: Uint8Array;
}

/** What a proof of misbehaviour holds. */
export interface MisbehaviourProof {
  readonly kind: 'misbehaviour';
  readonly misbehaviour: Misbehaviour;
}

export type PortableProof = FinalProof | MisbehaviourProof;

const TAG = utf8('conclave/proof');
const KINDS = ['final', 'misbehaviour'] as const;
const NOTHING = new Uint8Array(0);
const GENESIS_BYTES_MAX = 8_192;
const STEPS_MAX = 65_535;

function tooLarge(bytes: number): never {
  throw new ConclaveError(
    'proof_too_large',
    `the proof has ${bytes} bytes; the limit is ${PORTABLE_PROOF_BYTES_MAX}`,
  );
}

/** Throws `proof_too_large`. */
export function encodePortableProof(proof: PortableProof): Uint8Array {
  const w = new Writer(4_096).bytes(TAG).u8(PROTOCOL_VERSION).u8(KINDS.indexOf(proof.kind));
  if (proof.kind === 'final') writeFinal(w, proof);
  else writeMisbehaviour(w, proof.misbehaviour);
  const bytes = w.kept();
  if (bytes.length > PORTABLE_PROOF_BYTES_MAX) tooLarge(bytes.length);
  return bytes;
}

function writeFinal(w: Writer, proof: FinalProof): void {
  const { genesis, genesisSig, steps, inclusion, disclosure = NOTHING } = proof;
  w.bytes(genesis).raw(genesisSig);
  w.list(steps, (step) => w.bytes(encodeStep(step)));
  w.bytes(encodeStep(inclusion)).bytes(disclosure);
}

/** Throws `proof_too_large`, `proof_version`, `bad_proof` or `bad_encoding`. */
export function decodePortableProof(bytes: Uint8Array): PortableProof {
  if (bytes.length > PORTABLE_PROOF_BYTES_MAX) tooLarge(bytes.length);
  return decodeWhole(bytes, (r) => {
    if (!bytesEqual(r.bytes(32), TAG)) {
      throw new ConclaveError('bad_proof', 'these bytes are no proof of conclave');
    }
    const version = r.u8();
    const kind = KINDS[r.u8()];
    if (version !== PROTOCOL_VERSION || kind === undefined) {
      throw new ConclaveError(
        'proof_version',
        `the proof is of version ${version} or a kind that this version does not know: check it with a newer conclave`,
      );
    }
    return kind === 'final' ? readFinal(r) : { kind, misbehaviour: readMisbehaviour(r) };
  });
}

function readFinal(r: Reader): FinalProof {
  const proof = {
    kind: 'final' as const,
    genesis: r.bytes(GENESIS_BYTES_MAX),
    genesisSig: r.raw(64),
    steps: r.list(STEPS_MAX, () => decodeStep(r.bytes(PORTABLE_PROOF_BYTES_MAX))),
    inclusion: decodeStep(r.bytes(PORTABLE_PROOF_BYTES_MAX)),
  };
  const disclosure = r.bytes(PORTABLE_PROOF_BYTES_MAX);
  if (disclosure.length === 0) return proof;
  if (disclosure.length === MESSAGE_KEY_BYTES) return { ...proof, disclosure };
  throw new ConclaveError(
    'proof_version',
    'the proof opens an encrypted message in a way that this version does not know: check it with a newer conclave',
  );
}
