/**
 * A portable proof as a file (docs/PROTOCOL.md, section "Portable proofs"):
 * text that survives mail and chat, in the form of RFC 7468,
 *
 *     -----BEGIN CONCLAVE PROOF-----
 *     base64, 64 characters a line
 *     -----END CONCLAVE PROOF-----
 *
 * One proof has one such text; only line ends and blanks around it may differ.
 */

import { base64 } from '@scure/base';
import {
  checkPortableProof,
  type Proven,
  type ProvenFinal,
  type Verifier,
} from '../core/check-proof.js';
import type { Crypto } from '../core/crypto.js';
import { ConclaveError } from '../core/errors.js';
import { unhex } from '../core/ids.js';
import { PORTABLE_PROOF_BYTES_MAX } from '../core/limits.js';
import type { Misbehaviour } from '../core/misbehaviour.js';
import { decodeRecord } from '../core/record.js';
import { decodeAs } from '../core/statements.js';
import { nativeCrypto } from '../native/crypto-native.js';
import type { CheckedFinal, CheckedProof } from './api.js';
import { membershipIn } from './member-in.js';
import { decodeMessageBody, type MessageBody } from './message-body.js';

const BEGIN = '-----BEGIN CONCLAVE PROOF-----';
const END = '-----END CONCLAVE PROOF-----';
const LINE_CHARS = 64;
/** What a file may have: base64 and its line ends. */
export const PROOF_FILE_BYTES_MAX = Math.ceil(PORTABLE_PROOF_BYTES_MAX * 1.5);

export function armour(proof: Uint8Array): string {
  const lines = base64.encode(proof).match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? [];
  return `${[BEGIN, ...lines, END].join('\n')}\n`;
}

/** Throws `bad_proof` or `proof_too_large`. */
export function unarmour(text: string): Uint8Array {
  if (text.length > PROOF_FILE_BYTES_MAX) {
    throw new ConclaveError(
      'proof_too_large',
      `the proof has ${text.length} characters; the limit is ${PROOF_FILE_BYTES_MAX}`,
    );
  }
  const lines = text.trim().split(/\r?\n/);
  try {
    const bytes = base64.decode(lines.slice(1, -1).join(''));
    if (armour(bytes) === `${lines.join('\n')}\n`) return bytes;
  } catch {
    // Reported below, like every other text that is no armour.
  }
  throw new ConclaveError(
    'bad_proof',
    `this is not a whole proof: it begins with "${BEGIN}" and ends with "${END}". Ask for it again and copy all of it`,
  );
}

/** What a proof shows, of a text that `prove` made or a file with it. Throws `bad_proof`, `proof_too_large` or `proof_version`. */
export function checkProof(file: string | Uint8Array, crypto: Crypto = nativeCrypto): CheckedProof {
  const text = typeof file === 'string' ? file : new TextDecoder('latin1').decode(file);
  return shown(checkPortableProof(verifierOf(crypto), unarmour(text)));
}

export const verifierOf = ({ sha256, ed25519Verify }: Crypto): Verifier => ({
  sha256,
  isValid: ({ by, statement, sig }) => ed25519Verify(unhex(by), statement, sig),
});

function shown(proven: Proven): CheckedProof {
  if (proven.proves === 'final') return shownFinal(proven);
  const { misbehaviour } = proven;
  const { channel, offence, offender: user } = misbehaviour;
  return { proves: 'misbehaviour', channel, user, offence, about: aboutOf(misbehaviour) };
}

/** What contradicts what. */
function aboutOf(m: Misbehaviour): string {
  if (m.offence === 'records') {
    const [one, other] = m.sides.map(({ record }) => decodeRecord(nativeCrypto.sha256, record));
    const { boot, n } = one!;
    return `two records are number ${n} of its boot ${boot}: ${one!.digest} and ${other!.digest}`;
  }
  if (m.offence === 'ballots') {
    const [one, other] = m.sides.map(({ statement }) => decodeAs('ballot', statement));
    const { kind, term } = one!;
    return `it voted twice for a leader of kind ${kind} in term ${term}: for ${one!.candidate} and ${other!.candidate}`;
  }
  const tag = m.offence === 'proposals' ? 'propose' : 'ack';
  const { epoch, term } = decodeAs<'propose' | 'ack'>(tag, m.sides[0].statement);
  const did = m.offence === 'proposals' ? 'proposed' : 'acknowledged';
  const hashes = m.sides.map(({ hash }) => hash).join(' and ');
  return `it ${did} two chains under one leadership, ${epoch} of term ${term}: they differ at ${m.seq}, ${hashes}`;
}

/** As `read` shows it: a body that is none of ours is a message without text. */
const messageShown = (plain: Uint8Array): MessageBody => decodeMessageBody(plain) ?? { text: '' };

function shownFinal(proven: ProvenFinal): CheckedFinal {
  const { channel, founder, record, seq, author, authorIsMember, roster, certificate } = proven;
  const { id, digest, kind, time, keyEpoch } = record;
  const plain = keyEpoch === 0 ? record.body : proven.opened;
  const body = kind === 'message' && plain ? messageShown(plain) : undefined;
  return {
    ...{ proves: 'final', channel, founder, seq, id, digest },
    from: author.user,
    name: body?.name ?? author.name,
    authorIsMember,
    ...{ time, kind },
    ...(body && { text: body.text }),
    ...membershipIn(record, roster),
    certificate,
  };
}
