/** `verify`: everything that the store says, checked against what was signed. */

import type { Command } from 'commander';
import { advising } from '../begin-anew.js';
import { type Cli, callNode } from '../cli.js';
import { connectControl } from '../control-client.js';
import { verifyLines } from '../human.js';
import { readOwner } from '../identity.js';
import type { Json } from '../output.js';
import { whileLocked } from '../session.js';
import { tellVerified, verifyFailed } from '../verified.js';
import { CHANNEL, dirOption, example } from './shared.js';

export function addVerify(program: Command, cli: () => Cli): void {
  const command = program
    .command('verify')
    .summary('check everything in the store')
    .description(
      'Checks the files of the store, then recomputes the chain of each channel and checks every ' +
        'signature and certificate in it. Needs nobody else. While the node is up, its files are not ' +
        'checked: stop it for that.',
    )
    .argument('[channel]', `${CHANNEL}; without it, all`)
    .addOption(dirOption())
    .action((channel: string | undefined, { dir }) => verify(cli(), dir, channel));
  example(command, 'conclave verify --dir ./alice');
}

async function verify(cli: Cli, dir: string, channel: string | undefined): Promise<void> {
  const running = await connectControl(dir);
  running?.destroy();
  if (!running) return advising(dir, () => verifyStore(cli, dir, channel));
  await callNode(cli, {
    dir,
    name: 'verify',
    links: false,
    args: { channel },
    human: verifyLines,
  });
}

/** Of a node that is not up: no part of the store is read but to check it. */
async function verifyStore(
  { host, out }: Cli,
  dir: string,
  channel: string | undefined,
): Promise<void> {
  const { user } = await readOwner(dir);
  const only = channel === undefined ? {} : { channel };
  const onProgress = (what: 'keys' | 'entries', done: number): void =>
    out.progress({ what: `${what} checked`, done });
  const { problems, channels } = await whileLocked(host, () =>
    host.verifyStore({ dir, user, onProgress, ...only }),
  );
  const emit = (report: Json): Promise<void> => out.result(report, verifyLines(report, out.paint));
  const [first] = problems;
  if (first) await emit({ ok: false, problems });
  if (!first || channels.length > 0) await tellVerified(channels, emit);
  if (!first) return;
  // Damaged files say themselves whose store it is.
  const whole = first.what.includes(dir);
  throw verifyFailed(
    whole ? first.what : `the store in ${dir} is damaged: ${first.where}: ${first.what}`,
  );
}
