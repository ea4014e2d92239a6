/** What happened to a message, for people: a line for each step. Times are UTC. */

import type {
  ExplainedCertificate,
  ExplainedLeadership,
  ExplainStep,
  Explanation,
  Named,
} from '../node/api.js';
import type { Human } from './human.js';
import type { Paint } from './output.js';
import { printable } from './printable.js';
import { formatTime } from './when.js';

const SHORT_ID_CHARS = 8;
const who = ({ user, name }: Named): string =>
  name === '' ? user.slice(0, SHORT_ID_CHARS) : printable(name);

function under({ kind, term, leader }: ExplainedLeadership): string {
  const epoch = `${kind === null ? '' : `${kind} `}term ${term}`;
  return leader === null
    ? `${epoch}, whose leader is forgotten here`
    : `${epoch} under ${who(leader)}`;
}

const certified = ({ by, of, seq }: ExplainedCertificate, at: number): string => {
  const further = seq === at ? '' : `, up to seq ${seq}`;
  return `${by.map(who).join(', ')} (${by.length} of ${of}${further})`;
};

/** The step's name, and what there is to say of it. */
function told(step: ExplainStep): [name: string, what: string] {
  switch (step.step) {
    case 'made': {
      const { by, time, boot, n } = step;
      return [
        'made',
        `${formatTime(time)} by ${who(by)}, its record ${n} since ${printable(boot)}`,
      ];
    }
    case 'signed': {
      const batch = step.records === 1 ? 'alone' : `in one batch of ${step.records}`;
      return ['signed', `${batch}, under roster ${step.roster}`];
    }
    case 'queued':
      return ['queued', 'in the outbox of this node, until it is final'];
    case 'placed': {
      const where = step.in === 'log' ? 'in the log' : 'in a branch';
      const committed = step.committed
        ? `committed by ${certified(step.committed, step.seq)}`
        : 'not committed there';
      const own = step.acknowledged ? ', acknowledged by this node' : '';
      return ['placed', `${where}, ${under(step.under)}, at ${step.seq}: ${committed}${own}`];
    }
    case 'displaced':
      return ['displaced', `fell out of the log at ${step.seq}; its place there is kept`];
    case 'merged': {
      const from = step.branches.map((branch) => under(branch.under)).join('; ');
      return [
        'merged',
        `into the log by ${who(step.by)}, with the merge at ${step.seq}, from ${from}`,
      ];
    }
    case 'final': {
      const by = step.certificate ? `, by ${certified(step.certificate, step.seq)}` : '';
      return ['final', `at ${step.seq}, placed in ${under(step.under)}${by}`];
    }
  }
}

const STEP_CHARS = 10;

function title({ id, name, kind, text, state, seq }: Explanation, paint: Paint): string {
  const what = text === undefined ? `a record of kind ${printable(kind)}` : `"${printable(text)}"`;
  const where = seq === null ? '' : ` at ${seq}`;
  const colour = state === 'final' ? 'green' : 'yellow';
  const by = printable(name) || 'nobody known';
  return `${paint(colour, state + where)}  ${paint('dim', id)}  ${paint('bold', by)}: ${what}`;
}

export const explainLines: Human = (result, paint) => {
  const explanation = result as unknown as Explanation;
  const rows = explanation.steps.map(told);
  if (explanation.waits !== null) rows.push(['waits', printable(explanation.waits)]);
  const lines = rows.map(([name, what]) => `  ${paint('dim', name.padEnd(STEP_CHARS))} ${what}`);
  return [title(explanation, paint), ...lines].join('\n');
};
