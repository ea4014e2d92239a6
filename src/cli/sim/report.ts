/** Results of runs as the command shows them: an object for scripts, text for people. */

import { countFaults } from '../../testing/describe-fault.js';
import type { SimulateResult } from '../../testing/index.js';
import type { Json, Paint } from '../output.js';

/** The object for one run. */
export function verdictJson(result: SimulateResult): Json {
  const { seed, ok, traceHash, steps, marks, violation, beyond, outOfTime } = result;
  return {
    ...{ seed, ok, traceHash, steps, marks },
    ...(outOfTime.length > 0 && { outOfTime }),
    ...(violation && { violation }),
    ...(beyond && { beyond }),
  };
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const number = (n: number): string => n.toLocaleString('en');
const count = (n: number, what: string): string => `${number(n)} ${what}${n === 1 ? '' : 's'}`;

const archivesText = ({ few, archives }: SimulateResult['plan']): string =>
  few === 'always' ? '' : ` beside an archive (${count(archives, 'archive')})`;

/** One run in a few lines. */
export function verdictText(result: SimulateResult, paint: Paint): string {
  const { seed, ok, plan, steps, virtualMs, final, messages, terms, frames, traceHash } = result;
  const head = ok ? paint('green', 'ok') : paint('red', 'FAILED');
  const lines = [
    `seed ${seed}: ${head}`,
    `  ${count(plan.nodes, 'node')}, ${count(plan.relays, 'relay')}, minOnline ${plan.minOnline}${archivesText(plan)}; ${faultsText(result)}`,
    `  ${count(steps, 'step')} and ${count(frames, 'frame')} in ${seconds(virtualMs)} of virtual time, ${count(terms, 'roster leadership')}`,
    `  ${count(final, 'final entry').replace('entrys', 'entries')}, ${number(messages)} of them messages`,
    `  trace ${traceHash}`,
  ];
  if (result.marks.length > 0) lines.push(`  reached: ${result.marks.join(', ')}`);
  for (const what of result.outOfTime)
    lines.push(`  ${paint('yellow', 'did not happen')}: ${what}`);
  if (result.beyond) lines.push(`  ended early, beyond what is promised: ${result.beyond}`);
  if (result.violation) lines.push('', violationText(result, paint));
  return lines.join('\n');
}

export function violationText({ violation }: SimulateResult, paint: Paint): string {
  if (!violation) return '';
  const { invariant, message, at, step } = violation;
  return `${paint('red', `broken: ${invariant}`)} at ${seconds(at)}, step ${number(step)}\n  ${message.replaceAll('\n', '\n  ')}`;
}

/** `faults: 3 crash, halves (1 block)`. */
const faultsText = ({ plan: { faults } }: SimulateResult): string =>
  faults.length === 0 ? 'no faults' : `faults: ${countFaults(faults).join(', ')}`;
