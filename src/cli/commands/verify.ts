/** `verify`: everything that the store says, checked against what was signed. */

import type { Command } from 'commander';
import { ConclaveError } from '../../core/errors.js';
import { type Cli, callNode } from '../cli.js';
import { connectControl } from '../control-client.js';
import { verifyLines } from '../human.js';
import { readIdentity } from '../identity.js';
import { dirOption, example } from './shared.js';

export function addVerify(program: Command, cli: () => Cli): void {
  const command = program
    .command('verify')
    .summary('check everything in the store')
    .description(
      'Checks the files of the store, then recomputes the chain of each channel and checks every ' +
        'signature and certificate in it. Needs nobody else. While the node is up, its files are not ' +
        'checked: stop it for that.',
    )
    .argument('[channel]', 'the id of the channel, or its name; without it, all')
    .addOption(dirOption())
    .action(async (channel: string | undefined, { dir }) => {
      await checkFiles(cli(), dir);
      await callNode(cli(), {
        dir,
        name: 'verify',
        links: false,
        args: { channel },
        human: verifyLines,
      });
    });
  example(command, 'conclave verify --dir ./alice');
}

async function checkFiles({ host, out }: Cli, dir: string): Promise<void> {
  const running = await connectControl(dir);
  if (running) {
    running.destroy();
    return;
  }
  await readIdentity(dir);
  const problems = await host.checkStore(dir, (done) =>
    out.progress({ what: 'keys checked', done }),
  );
  if (problems.length === 0) return;
  const report = { ok: false, problems };
  await out.result(report, verifyLines(report, out.paint));
  const { where, what } = problems[0]!;
  throw new ConclaveError('verify_failed', `the store in ${dir} is damaged: ${where}: ${what}`);
}
