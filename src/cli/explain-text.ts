/** What happened to a message, for people: a line for each step. Its store knows one time, the author's; times are UTC. */

import { decodeTime } from 'ulid';
import type { Ulid } from '../core/ids.js';
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
import { formatSeconds } from './when.js';

const SHORT_ID_CHARS = 8;
const who = ({ user, name }: Named): string =>
  name === '' ? user.slice(0, SHORT_ID_CHARS) : printable(name);

const LED = {
  roster: 'leader by a majority of all members',
  online: 'leader of those online',
} as const;

/** `by bob (leader of those online, term 4)`. */
function byLeader({ kind, term, leader }: ExplainedLeadership): string {
  const led = kind === null ? 'a leader' : LED[kind];
  return leader === null
    ? `by one whose name is forgotten here (${led}, term ${term})`
    : `by ${who(leader)} (${led}, term ${term})`;
}

const certified = ({ by, of, seq }: ExplainedCertificate, at: number): string => {
  const further = seq === at ? '' : `, up to ${seq}`;
  return `${by.map(who).join(', ')} (${by.length} of ${of}${further})`;
};

/** The step's name, and what there is to say of it. */
function told(step: ExplainStep): [name: string, what: string] {
  switch (step.step) {
    case 'made': {
      const { by, time, boot, n } = step;
      const start = startOf(boot);
      // A leader's records of its epoch are made by no outbox.
      const number =
        start === 0 ? '' : `: record ${n} since its node started at ${formatSeconds(start)}`;
      return ['made', `${formatSeconds(time)} by ${who(by)}${number}`];
    }
    case 'signed': {
      const others = step.records - 1;
      const batch =
        others === 0 ? 'alone' : `together with ${others} other${others === 1 ? '' : 's'}`;
      return ['signed', `${batch}, under version ${step.roster} of the list of members`];
    }
    case 'queued':
      return ['queued', 'this node keeps it, to offer it until it is final'];
    case 'placed': {
      const where = step.in === 'log' ? 'in the log' : 'beside the log, on one side';
      const stored = step.committed
        ? `stored by ${certified(step.committed, step.seq)}, so committed`
        : 'not committed there';
      const own = step.acknowledged ? '; this node said that it has it there' : '';
      return ['placed', `${where} at ${step.seq} ${byLeader(step.under)}: ${stored}${own}`];
    }
    case 'displaced':
      return ['displaced', `from ${step.seq} in the log, where a later leader has something else`];
    case 'merged': {
      const from = step.branches.map((branch) => `what was placed ${byLeader(branch.under)}`);
      const merge = `with the merge at ${step.seq}`;
      return ['merged', `into the log by ${who(step.by)}, ${merge}, from ${from.join('; ')}`];
    }
    case 'final': {
      const by = step.certificate ? `: stored by ${certified(step.certificate, step.seq)}` : '';
      return ['final', `at ${step.seq}, placed ${byLeader(step.under)}${by}`];
    }
  }
}

/** A boot's id begins with when it was; the id of none is zero. */
const startOf = (boot: Ulid): number => decodeTime(boot);

const STEP_CHARS = 10;

function title(
  { id, name, kind, text, sealed, plain, member, role, state, seq }: Explanation,
  paint: Paint,
): string {
  const about = `${member ? `, of ${who(member)}` : ''}${role ? `: ${role}` : ''}`;
  const other = sealed
    ? 'a message that this node has no key for'
    : plain
      ? 'a message that is not encrypted, and not shown'
      : `a record of kind ${printable(kind)}${about}`;
  const what = text === undefined ? other : `"${printable(text)}"`;
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
