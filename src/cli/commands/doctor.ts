/** `doctor`: finds what is wrong with a node's directory, and repairs what can be. */

import type { Command } from 'commander';
import { ConclaveError } from '../../core/errors.js';
import type { Cli } from '../cli.js';
import { type Ailment, examine } from '../doctor.js';
import type { Json } from '../output.js';
import { printable } from '../printable.js';
import { whileLocked } from '../session.js';
import { dirOption, example } from './shared.js';

export function addDoctor(program: Command, cli: () => Cli): void {
  const command = program
    .command('doctor')
    .summary("find what is wrong with a node's directory, and repair it")
    .description(
      'Looks at the files of a directory whose node is not up: identity, modes, what a crash left ' +
        'behind, and everything that "conclave verify" checks. It says of each finding whether it can ' +
        'be repaired, and changes nothing without --repair. A repaired store lacks what was damaged; ' +
        'the node fetches that from other members when it is up. The damaged store stays beside it. A ' +
        'repair that takes away what does not come back by itself, as a whole channel, ends with exit ' +
        'code 1 and says what.',
    )
    .addOption(dirOption())
    .option('--repair', 'repair what can be')
    .action(({ dir, repair = false }) => doctor(cli(), dir, repair));
  example(command, 'conclave doctor --dir ./alice\nconclave doctor --dir ./alice --repair');
}

async function doctor(cli: Cli, dir: string, repair: boolean): Promise<void> {
  const { host, out, passphrase } = cli;
  const { progress } = out;
  const found: Ailment[] = [];
  for await (const one of examine({ host, dir, passphrase, progress })) found.push(one);
  let repaired = 0;
  const lost: string[] = [];
  for (const ailment of found) {
    const done = repair && ailment.mend ? await whileLocked(host, ailment.mend) : undefined;
    if (done) repaired += 1;
    lost.push(...(done?.lost ?? []));
    await tell(cli, ailment, done?.deeds);
  }
  const left = found.length - repaired;
  const ok = left === 0 && lost.length === 0;
  const summary = { event: 'summary', ok, findings: found.length, repaired };
  const told = lost.length > 0 ? { ...summary, lost } : summary;
  await out.result(told, ok ? wellText(repaired) : undefined);
  if (ok) return;
  if (left === 0) {
    const what = lost.join('; ');
    throw new ConclaveError(
      'repaired_with_loss',
      `${count(repaired)} repaired, at a loss: ${what}`,
    );
  }
  const possible = found.filter(({ mend }) => mend !== undefined).length - repaired;
  const next = possible > 0 ? `, ${possible} of them can be repaired: say --repair` : '';
  throw new ConclaveError('unhealthy', `${count(left)} in ${dir}${next}`);
}

const count = (n: number): string => (n === 1 ? '1 finding' : `${n} findings`);

const wellText = (repaired: number): string =>
  repaired === 0 ? 'nothing is wrong' : `${count(repaired)} repaired, nothing else is wrong`;

async function tell(
  { out }: Cli,
  { code, where, what, repair }: Ailment,
  deeds: readonly string[] | undefined,
): Promise<void> {
  const state = deeds ? 'done' : repair;
  const finding: Json = { event: 'finding', code, what, where, repair: state };
  const mark = { possible: 'can be repaired', no: 'no repair', done: 'repaired' }[state];
  const colour = { possible: 'yellow', no: 'red', done: 'green' } as const;
  const lines = [
    `${out.paint(colour[state], `${code} (${mark})`)}  ${printable(where)}`,
    ...what.split('\n').map((line) => `  ${printable(line)}`),
    ...(deeds ?? []).map((deed) => `  → ${printable(deed)}`),
  ];
  await out.result(deeds && deeds.length > 0 ? { ...finding, deeds } : finding, lines.join('\n'));
}
