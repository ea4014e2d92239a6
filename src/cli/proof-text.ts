/** What a proof shows, for people: what is proven, of which channel, and by whom. Times are UTC. */

import type { CheckedFinal, CheckedProof, Named } from '../node/api.js';
import type { Human } from './human.js';
import type { Paint } from './output.js';
import { printable } from './printable.js';
import { formatSeconds } from './when.js';

const SHORT_ID_CHARS = 8;
const LABEL_CHARS = 10;

/** Whoever reads a proof knows nobody by name: the id stands beside it. */
const who = ({ user, name }: Named): string =>
  name === '' ? user : `${printable(name)} (${user.slice(0, SHORT_ID_CHARS)})`;

export const proofLines: Human = (result, paint) => {
  const proof = result as unknown as CheckedProof;
  if (proof.proves === 'final') return finalLines(proof, paint);
  const rows = [
    ['user', proof.user],
    ['channel', proof.channel],
    ['offence', printable(proof.about)],
  ];
  return withRows(paint('red', 'this user misbehaved'), rows, paint);
};

function withRows(title: string, rows: readonly (readonly string[])[], paint: Paint): string {
  const lines = rows.map(
    ([label, text]) => `  ${paint('dim', label!.padEnd(LABEL_CHARS))} ${text}`,
  );
  return [title, ...lines].join('\n');
}

function finalLines(proof: CheckedFinal, paint: Paint): string {
  const { certificate: cert } = proof;
  const sealed = proof.kind === 'message' ? 'a message, whose text the proof does not show' : '';
  const what =
    proof.text === undefined
      ? sealed || `a record of kind ${proof.kind}`
      : `"${printable(proof.text)}"`;
  const former = proof.authorIsMember ? '' : ', who had left by then';
  const about = `${proof.member ? `, of ${who(proof.member)}` : ''}${proof.role ? `: ${proof.role}` : ''}`;
  const further = cert.seq === proof.seq ? '' : `, with all up to ${cert.seq}`;
  const rows = [
    ['author', `${printable(proof.name) || 'no name'}, ${proof.from}${former}`],
    ['time', `${formatSeconds(proof.time)}, as the author says`],
    ['channel', `${proof.channel}, founded by ${who(proof.founder)}`],
    ['place', `${proof.seq} in the log of the channel`],
    ['message', `${proof.id}, digest ${proof.digest}`],
    [
      'certified',
      `by ${cert.by.map(who).join(', ')}: ${cert.by.length} of ${cert.of} voters of roster ${cert.roster}, term ${cert.term}${further}`,
    ],
  ];
  return withRows(`${paint('green', 'this is final')}  ${what}${about}`, rows, paint);
}
